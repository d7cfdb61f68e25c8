//! How often something may happen, as a value: so many times a second, and what was saved up in ten seconds at once.
//!
//! Time is passed in. It knows only when all that was taken is earned again, so it costs one addition. A crate for rate
//! limits would bring its own clock and state for many keys.

use std::time::Duration;

use tokio::time::Instant;

/// What can be saved up.
pub(super) const SAVED: Duration = Duration::from_secs(10);

/// Full at first.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes one of so many a second, if there is one. With a rate of 0 there always is.
    pub(super) fn take(&mut self, now: Instant, rate: u32) -> bool {
        self.turn(now, rate, now) == now
    }

    /// When there is one of so many a second. It is taken now where that is not after `latest`.
    pub(super) fn turn(&mut self, now: Instant, rate: u32, latest: Instant) -> Instant {
        let Some(each) = Duration::from_secs(1).checked_div(rate) else { return now };
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + each;
        let at = full_at.checked_sub(SAVED).map_or(now, |at| at.max(now));
        if at <= latest {
            self.full_at = Some(full_at);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut Bucket, now: Instant, rate: u32) -> usize {
        (0..10_000).filter(|_| bucket.take(now, rate)).count()
    }

    #[test]
    fn ten_seconds_worth_are_there_at_once_and_then_so_many_a_second() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        assert_eq!(taken(&mut bucket, start, 100), 1000);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(9), 100), 0);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(10), 100), 1);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(1010), 100), 100);
        assert_eq!(taken(&mut bucket, start + Duration::from_hours(1), 100), 1000);
    }

    #[test]
    fn a_rate_that_changes_holds_at_once_and_none_is_no_bound() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        assert_eq!(taken(&mut bucket, start, 1), 10);
        assert_eq!(taken(&mut bucket, start, 0), 10_000);
        let later = start + Duration::from_secs(5);
        assert_eq!(taken(&mut bucket, later, 2), 10);
    }
}
