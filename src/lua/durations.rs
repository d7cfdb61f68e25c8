//! How long things take, counted into classes. Whoever measures adds, anybody reads; nobody waits for anybody.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The upper ends of the classes; what takes longer is in one more. From what a handler takes that only looks, past what
/// a daemon takes to answer, to what a rule's `timeout` is at most set to in practice.
pub const BOUNDS: [Duration; 13] = [
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(1),
    Duration::from_mins(5),
];

/// The same as numbers.
const NANOSECONDS: [u64; BOUNDS.len()] = {
    let (mut numbers, mut at) = ([0; BOUNDS.len()], 0);
    while at < BOUNDS.len() {
        numbers[at] = nanoseconds(BOUNDS[at]);
        at += 1;
    }
    numbers
};

/// As many as fit: more than five hundred years.
const fn nanoseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos() as u64)
}

/// Classes: one for each bound, and one for what takes longer.
const CLASSES: usize = BOUNDS.len() + 1;

/// Durations of one kind.
#[derive(Debug, Default)]
pub struct Durations {
    classes: [AtomicU64; CLASSES],
    nanoseconds: AtomicU64,
}

/// Durations as they were at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// How many of each class, as [`BOUNDS`] has them; the last is of all that took longer.
    pub classes: [u64; CLASSES],
    /// Seconds of all together.
    pub seconds: f64,
}

impl Durations {
    /// Counts one.
    pub(super) fn add(&self, time: Duration) {
        // On the way of every notification: numbers of one kind, and most are found in the first place.
        let time = nanoseconds(time);
        let class = NANOSECONDS.iter().position(|bound| time <= *bound).unwrap_or(BOUNDS.len());
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(time, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn read(&self) -> Measured {
        let classes = std::array::from_fn(|class| self.classes[class].load(Ordering::Relaxed));
        let time = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
        Measured { classes, seconds: time.as_secs_f64() }
    }
}

impl Measured {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// The bound that so large a part of them stays within, a part between 0 and 1; none where there are none, or where
    /// it took longer than the last bound.
    pub fn within(&self, part: f64) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "a part of it is a guess anyway")]
        let wanted = self.count() as f64 * part;
        let mut seen = 0;
        let found = BOUNDS.iter().zip(self.classes).find(|(_, count)| {
            seen += count;
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            let enough = seen > 0 && seen as f64 >= wanted;
            enough
        });
        found.map(|(bound, _)| *bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_in_the_first_class_that_it_fits_into() {
        let durations = Durations::default();
        for micros in [0, 100, 101, 1000, 400_000_000] {
            durations.add(Duration::from_micros(micros));
        }
        let measured = durations.read();
        assert_eq!((measured.classes[..3].to_vec(), measured.classes[BOUNDS.len()]), (vec![2, 2, 0], 1));
        assert_eq!(measured.count(), 5);
        assert!((measured.seconds - 400.001_201).abs() < 1e-9, "{}", measured.seconds);
    }

    #[test]
    fn a_part_of_them_is_within_a_bound() {
        let durations = Durations::default();
        assert_eq!(durations.read().within(0.99), None);
        (0..99).for_each(|_| durations.add(Duration::from_micros(1)));
        durations.add(Duration::from_secs(3));
        let measured = durations.read();
        assert_eq!(measured.within(0.99), Some(BOUNDS[0]));
        assert_eq!(measured.within(0.995), Some(Duration::from_secs(5)));
        durations.add(Duration::from_hours(1));
        assert_eq!(durations.read().within(1.0), None);
    }
}
