//! Failures of one rule that come again and again, as a value: the first is told in full, the others are counted.
//!
//! Two failures are the same when their kind, place and message are. Who tells, and wakes up for it, is [`told`](super::told)'s;
//! time is passed in.

use std::{mem, time::Duration};

use tokio::time::Instant;

use crate::report::Failure;

/// How long a failure that was told is not told again.
const WHILE: Duration = Duration::from_mins(1);

/// Failures that are remembered at a time. Of more, the count of the oldest is told early.
const KEPT: usize = 32;

/// In the order in which they were first told.
#[derive(Default)]
pub(super) struct Repeats(Vec<Known>);

struct Known {
    until: Instant,
    /// What it will be told as: the last one, without its frames.
    last: Failure,
}

/// What became of one.
pub(super) enum Heard {
    /// These are to be told: counts whose time has come, and this one.
    Now(Vec<Failure>),
    /// It was counted; the count is to be told then.
    Counted(Instant),
}

impl Repeats {
    /// Takes a failure.
    pub(super) fn hear(&mut self, failure: Failure, now: Instant) -> Heard {
        let mut told = self.due(now);
        if let Some(known) = self.0.iter_mut().find(|known| is_same(&known.last, &failure)) {
            let repeats = known.last.repeats + 1;
            known.last = Failure { repeats, traceback: Vec::new(), ..failure };
            return Heard::Counted(known.until);
        }
        if self.0.len() >= KEPT {
            told.extend(counted(self.0.remove(0)));
        }
        let last = Failure { traceback: Vec::new(), ..failure.clone() };
        self.0.push(Known { until: now + WHILE, last });
        told.push(failure);
        Heard::Now(told)
    }

    /// The counts whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Failure> {
        let over = self.0.iter().take_while(|known| known.until <= now).count();
        self.0.drain(..over).filter_map(counted).collect()
    }

    /// All counts, before their time.
    pub(super) fn rest(&mut self) -> Vec<Failure> {
        mem::take(&mut self.0).into_iter().filter_map(counted).collect()
    }

    /// When the next count is to be told.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().find(|known| known.last.repeats > 0).map(|known| known.until)
    }
}

fn counted(known: Known) -> Option<Failure> {
    Some(known.last).filter(|failure| failure.repeats > 0)
}

fn is_same(one: &Failure, other: &Failure) -> bool {
    one.kind == other.kind && one.origin.place == other.origin.place && one.message == other.message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{FailureKind, Origin};

    fn failure(message: &str, number: u64) -> Failure {
        Failure {
            origin: Origin { rule: None, subscription: None, script: "a.lua".into(), place: None },
            kind: FailureKind::Error,
            message: message.to_owned(),
            notification: Some(format!("message {number}")),
            traceback: vec!["a.lua:1: in function".to_owned()],
            repeats: 0,
        }
    }

    /// Each as `message×repeats@number`.
    fn shown(failures: &[Failure]) -> Vec<String> {
        let show = |failure: &Failure| {
            assert_eq!(failure.traceback.is_empty(), failure.repeats > 0, "in full, or counted");
            let notification = failure.notification.as_deref().unwrap().trim_start_matches("message ");
            format!("{}×{}@{notification}", failure.message, failure.repeats)
        };
        failures.iter().map(show).collect()
    }

    fn hear(repeats: &mut Repeats, message: &str, number: u64, now: Instant) -> Vec<String> {
        match repeats.hear(failure(message, number), now) {
            Heard::Now(failures) => shown(&failures),
            Heard::Counted(until) => {
                assert_eq!(repeats.next(), Some(until).filter(|until| *until >= now));
                Vec::new()
            }
        }
    }

    #[test]
    fn the_first_is_told_in_full_and_the_others_once_as_a_number() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        assert_eq!(hear(&mut repeats, "no", 1, start), ["no×0@1"]);
        assert_eq!(repeats.next(), None, "nothing is owed");
        for number in 2..=5 {
            assert!(hear(&mut repeats, "no", number, start + Duration::from_secs(number)).is_empty());
        }
        assert_eq!(hear(&mut repeats, "else", 6, start + Duration::from_secs(9)), ["else×0@6"], "what differs is told");
        assert!(repeats.due(start + Duration::from_secs(59)).is_empty());
        assert_eq!(shown(&repeats.due(start + WHILE)), ["no×4@5"]);
        assert_eq!(repeats.next(), None);
        assert_eq!(hear(&mut repeats, "no", 7, start + WHILE), ["no×0@7"], "the next minute begins with one in full");
    }

    #[test]
    fn a_count_whose_time_has_come_is_told_before_what_comes_next() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        hear(&mut repeats, "no", 1, start);
        hear(&mut repeats, "no", 2, start);
        assert_eq!(hear(&mut repeats, "no", 3, start + 2 * WHILE), ["no×1@2", "no×0@3"]);
        hear(&mut repeats, "no", 4, start + 2 * WHILE);
        assert_eq!(shown(&repeats.rest()), ["no×1@4"]);
        assert!(repeats.rest().is_empty());
    }

    #[test]
    fn of_many_that_differ_the_oldest_is_forgotten_and_no_count_is_lost() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        hear(&mut repeats, "0", 0, start);
        hear(&mut repeats, "0", 0, start);
        let mut told = Vec::new();
        for number in 1..=KEPT as u64 {
            told.extend(hear(&mut repeats, &number.to_string(), number, start));
        }
        assert_eq!(told.len(), KEPT + 1);
        assert_eq!(told[KEPT - 1..], ["0×1@0".to_owned(), format!("{KEPT}×0@{KEPT}")]);
        assert_eq!(repeats.0.len(), KEPT);
    }
}
