//! What waits in a queue, in the order of its arrival, and which of it may run now.
//!
//! Where order is kept by discussion, that is the first one whose discussion has no run under way. A busy rule has all its
//! credits waiting behind runs, so who is known to wait is not looked at again: only the end of a run of its own discussion
//! changes that.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use tokio::time::Instant;

use super::claims::{Claims, Line};

/// Notifications of one rule.
#[derive(Default)]
pub(super) struct Waiting {
    all: VecDeque<Notification>,
    /// How many at the front were found to be behind runs of their discussions.
    behind: usize,
    /// Of these, the first one of each discussion that has no run any more, by number.
    free: BTreeSet<u64>,
    next: u64,
}

pub(super) struct Notification {
    /// Ascending, with gaps.
    number: u64,
    /// Its discussion, read when it is first looked at.
    key: Option<u64>,
    pub(super) bytes: Bytes,
    pub(super) caught_up: bool,
    pub(super) arrived: Instant,
}

impl Waiting {
    /// Puts notifications at the end.
    pub(super) fn extend(&mut self, batch: &[Bytes], caught_up: bool, arrived: Instant) {
        for bytes in batch {
            let number = self.next;
            self.next += 1;
            self.all.push_back(Notification { number, key: None, bytes: bytes.clone(), caught_up, arrived });
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.forget();
    }

    /// Forgets what it found out: the terms are others.
    pub(super) fn forget(&mut self) {
        self.behind = 0;
        self.free.clear();
    }

    /// Where the first one stands whose discussion has no run under way, and which discussion that is.
    pub(super) fn first_free(&mut self, claims: &mut Claims, read: impl Fn(&Bytes) -> u64) -> Option<(usize, Line)> {
        let first = self.all.front()?;
        if claims.is_empty() {
            // What is behind runs has been looked at: where this has not been, nothing is.
            return Some((0, first.key.map_or_else(|| Line::Unread(first.bytes.clone()), Line::Of)));
        }
        if !claims.read(&read) {
            return None;
        }
        if let Some(number) = self.free.first() {
            let at = self.all.binary_search_by_key(number, |waiting| waiting.number).ok()?;
            return Some((at, Line::Of(self.all.get(at)?.key?)));
        }
        while let Some(waiting) = self.all.get_mut(self.behind) {
            let key = *waiting.key.get_or_insert_with(|| read(&waiting.bytes));
            if !claims.is_busy(key) {
                return Some((self.behind, Line::Of(key)));
            }
            self.behind += 1;
        }
        None
    }

    /// Takes out the one at a place.
    pub(super) fn remove(&mut self, at: usize) -> Option<Notification> {
        let waiting = self.all.remove(at)?;
        if at < self.behind {
            self.behind -= 1;
            self.free.remove(&waiting.number);
        }
        Some(waiting)
    }

    /// The last run of a discussion has ended.
    pub(super) fn ended(&mut self, key: u64) {
        let mut behind = self.all.iter().take(self.behind);
        self.free.extend(behind.find(|waiting| waiting.key == Some(key)).map(|waiting| waiting.number));
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push(u8),
        Start,
        End(usize),
        Forget,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..5u8).prop_map(Step::Push),
            5 => Just(Step::Start),
            4 => (0..8usize).prop_map(Step::End),
            1 => Just(Step::Forget),
        ]
    }

    fn key(bytes: &Bytes) -> u64 {
        bytes[0].into()
    }

    /// The same, looked up anew each time, with what is known of the discussions of all runs.
    fn looked_up(waiting: &Waiting, runs: &[(u64, u64)]) -> Option<(usize, u64)> {
        let mut all = waiting.all.iter().map(|waiting| key(&waiting.bytes)).enumerate();
        all.find(|(_, key)| runs.iter().all(|(_, discussion)| discussion != key))
    }

    #[test]
    fn a_run_that_nothing_waits_behind_is_not_asked_what_it_is_about() {
        let unasked = |_: &Bytes| panic!("nobody has to know");
        let (mut waiting, mut claims) = (Waiting::default(), Claims::default());
        waiting.extend(&[Bytes::from_static(&[1])], false, Instant::now());
        let (at, line) = waiting.first_free(&mut claims, unasked).unwrap();
        waiting.remove(at);
        let run = claims.begin(1, line);
        assert!(waiting.first_free(&mut claims, unasked).is_none());
        assert!(claims.end(run, |_| panic!("nobody has to know")));
    }

    proptest! {
        #[test]
        fn the_first_one_that_is_free_is_found_whatever_came_before(steps in vec(step(), 1..200)) {
            let (mut waiting, mut claims, mut runs) = (Waiting::default(), Claims::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Push(key) => waiting.extend(&[Bytes::copy_from_slice(&[key])], false, Instant::now()),
                    Step::Start => {
                        let found = waiting.first_free(&mut claims, key);
                        let expected = looked_up(&waiting, &runs);
                        prop_assert_eq!(found.as_ref().map(|(at, _)| *at), expected.map(|(at, _)| at));
                        if let (Some((at, line)), Some((_, discussion))) = (found, expected) {
                            let taken = waiting.remove(at).unwrap();
                            prop_assert_eq!(key(&taken.bytes), discussion);
                            match &line {
                                Line::Of(read) => prop_assert_eq!(*read, discussion),
                                Line::Unread(bytes) => prop_assert_eq!(bytes, &taken.bytes),
                                Line::Any => prop_assert!(false, "its discussion is known"),
                            }
                            runs.push((claims.begin(1, line), discussion));
                        }
                    }
                    Step::End(at) if at < runs.len() => {
                        prop_assert!(claims.end(runs.swap_remove(at).0, |key| waiting.ended(key)));
                    }
                    Step::End(_) => {}
                    Step::Forget => waiting.forget(),
                }
            }
        }
    }
}
