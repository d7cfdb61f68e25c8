//! How fast a rule may send commands, as a value. Waiting is the caller's job.

use std::time::Duration;

use tokio::time::Instant;

use super::super::bucket::Bucket;

/// No call had to wait for so long: the rule is no longer slowed.
const CALM: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Pace {
    bucket: Bucket,
    slowed: Option<Slowed>,
}

/// A time during which calls have to wait.
struct Slowed {
    calls: u64,
    /// When the last of them may go.
    until: Instant,
}

/// When a call may go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// It waits. The first one to do so is worth telling.
    At {
        at: Instant,
        first: bool,
    },
}

/// What has become of a time during which calls had to wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Slowness {
    /// There is none, or somebody else told its end.
    None,
    /// Ask again then.
    Until(Instant),
    /// It is over; so many calls had to wait.
    Over(u64),
}

impl Pace {
    /// Gives a call its turn, at so many calls a second. One that would come after its run's deadline takes none: it does
    /// not make others wait for what is never sent.
    pub(super) fn turn(&mut self, rate: u32, now: Instant, deadline: Instant) -> Turn {
        let at = self.bucket.turn(now, rate, deadline);
        if at == now {
            return Turn::Now;
        }
        let first = self.slowed.is_none();
        let slowed = self.slowed.get_or_insert(Slowed { calls: 0, until: now });
        slowed.calls += 1;
        slowed.until = slowed.until.max(at.min(deadline));
        Turn::At { at, first }
    }

    /// Whether calls had to wait, and that is not over as far as anybody looked.
    pub(super) fn is_slowed(&self) -> bool {
        self.slowed.is_some()
    }

    /// Ends the time during which calls had to wait, once it is over.
    pub(super) fn slowness(&mut self, now: Instant) -> Slowness {
        let Some(slowed) = &self.slowed else { return Slowness::None };
        let until = slowed.until + CALM;
        if until > now {
            return Slowness::Until(until);
        }
        self.slowed.take().map_or(Slowness::None, |slowed| Slowness::Over(slowed.calls))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{super::super::bucket::SAVED, *};

    const FAR: Duration = Duration::from_hours(1);

    /// Sends calls one after another, as a handler does, and returns how long it took.
    fn sent(pace: &mut Pace, rate: u32, calls: u32, start: Instant) -> Duration {
        let mut now = start;
        for _ in 0..calls {
            if let Turn::At { at, .. } = pace.turn(rate, now, now + FAR) {
                now = at;
            }
        }
        now - start
    }

    #[test]
    fn ten_seconds_worth_goes_at_once_and_the_rest_at_the_rate() {
        let now = Instant::now();
        for rate in [1, 7, 2000] {
            assert_eq!(sent(&mut Pace::default(), rate, 10 * rate, now), Duration::ZERO, "{rate}");
            let took = sent(&mut Pace::default(), rate, 15 * rate, now);
            assert!(took.abs_diff(Duration::from_secs(5)) < Duration::from_millis(1), "{rate}: {took:?}");
        }
        assert_eq!(sent(&mut Pace::default(), 0, 1_000_000, now), Duration::ZERO);
    }

    #[test]
    fn a_bucket_fills_up_again_and_never_beyond_its_size() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        sent(&mut pace, 10, 100, now);
        assert_ne!(pace.turn(10, now, now + FAR), Turn::Now);
        let later = now + FAR;
        assert_eq!(sent(&mut pace, 10, 100, later), Duration::ZERO);
        assert_ne!(pace.turn(10, later, later + FAR), Turn::Now);
    }

    proptest! {
        #[test]
        fn however_calls_come_no_time_has_more_than_its_share(rate in 1_u32..3000, gaps in vec(0_u64..400_000, 1..400)) {
            let (mut pace, mut now) = (Pace::default(), Instant::now());
            let start = now;
            let mut calls = 0;
            for gap in gaps {
                now += Duration::from_micros(gap);
                if pace.turn(rate, now, now) == Turn::Now {
                    calls += 1;
                }
                let share = f64::from(rate) * ((now - start).as_secs_f64() + SAVED.as_secs_f64());
                prop_assert!(f64::from(calls) <= share + 1.0);
            }
        }
    }

    #[test]
    fn a_call_that_would_come_too_late_keeps_nobody_waiting() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        sent(&mut pace, 1, 10, now);
        for _ in 0..1000 {
            assert_ne!(pace.turn(1, now, now + Duration::from_millis(500)), Turn::Now);
        }
        assert_eq!(pace.turn(1, now + Duration::from_secs(1), now + FAR), Turn::Now);
    }

    #[test]
    fn it_is_told_once_while_calls_wait_and_at_the_end_with_their_number() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.slowness(now), Slowness::None);
        sent(&mut pace, 10, 100, now);
        let second = Duration::from_secs(1);
        let waits = |pace: &mut Pace| matches!(pace.turn(10, now, now + FAR), Turn::At { first: true, .. });
        assert_eq!([waits(&mut pace), waits(&mut pace), waits(&mut pace)], [true, false, false]);
        let Slowness::Until(until) = pace.slowness(now + second) else { panic!("it is over at once") };
        assert_eq!(pace.slowness(until), Slowness::Over(3));
        assert_eq!(pace.slowness(until), Slowness::None);
    }
}
