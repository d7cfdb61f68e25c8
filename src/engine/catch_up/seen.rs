//! What was handed over, as far as it takes to find out what was missed: a cursor as a value.
//!
//! The cursor is a time of the daemon's and the ids handed over from there on. Stamps may come out of order by
//! [`SLACK`]: a list is asked for from that much before the newest, and what is in it twice is told by its id. At most
//! [`REMEMBERED`] ids are kept. Where one has to be dropped, nothing of its time is asked for again: rather missed than
//! handled twice, and only by what was stored out of order behind so many others.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::schema::recovery::{Mark, Wanted};

/// How far stamps may be out of order, in milliseconds.
pub(super) const SLACK: u64 = 60_000;

/// Ids of one feed that are kept: those of the last minute of 270 messages a second.
pub(super) const REMEMBERED: usize = 16_384;

/// Where a feed stands, to be kept over the end of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct Cursor {
    /// All that is older was handed over, or is not to be.
    pub(in crate::engine) since: u64,
    /// Time and id of what was handed over since.
    pub(in crate::engine) seen: Vec<(u64, u64)>,
}

/// What a rule takes along from a stream that it leaves: what the stream may still have had is to be listed by the
/// parameters that were its own, and what was handed over is told by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Rest {
    /// Parameters, and from when on; none where the stream had nothing more.
    lists: Vec<(Bytes, u64)>,
    /// Time and id of what was handed over, as far as it is remembered.
    seen: Vec<(u64, u64)>,
}

impl Rest {
    /// The ids of what was handed over.
    pub(in crate::engine) fn ids(&self) -> HashSet<u64> {
        self.seen.iter().map(|(_, id)| *id).collect()
    }
}

/// What a feed has handed over. Times are in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Where it began; none before the stream was open.
    start: Option<u64>,
    /// Whether that is the host's word alone, which no message has confirmed.
    guessed: bool,
    /// The newest of all, and of those that the stream brought.
    newest: u64,
    live: u64,
    /// Of what is older no id is known any more.
    forgotten: u64,
    owed: Owed,
    /// What other streams still had: their parameters, and from when on.
    rests: Vec<(Bytes, u64)>,
    times: HashMap<u64, u64>,
    order: BTreeSet<(u64, u64)>,
    /// The ids of those that may come on the stream once more.
    listed: HashSet<u64>,
    /// Of what is noted, what no queue has taken yet, in order: a cursor leaves it out. None where nothing is known of it.
    in_hand: VecDeque<Option<Mark>>,
    /// How often it changed.
    changes: u64,
}

/// What is still to be listed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Owed {
    #[default]
    Nothing,
    /// All from a time on, which stays where it is until all was handed over, whatever the stream brings meanwhile.
    Since(u64),
    /// What no client has seen; with the time of the first of it, then of the newest that was handed over. The mark is
    /// used up by asking: a list that broke off cannot be asked for again, and goes on by time.
    Unread(Option<u64>),
}

impl Seen {
    /// Goes on where another run stopped; without a cursor, with what no client has seen.
    pub(super) fn resume(&mut self, cursor: Option<Cursor>, now: u64) {
        self.owed = Owed::Unread(None);
        let Some(cursor) = cursor else { return };
        let since = cursor.since.min(now);
        (self.start, self.owed) = (Some(since), Owed::Since(since));
        for (time, id) in cursor.seen {
            self.listed.insert(id);
            self.insert(Mark { id, time }, now);
        }
    }

    /// What its stream, of these parameters, still has, and what was taken; none while that cannot be said.
    pub(super) fn rest(&self, parameters: &Bytes) -> Option<Rest> {
        let in_hand = self.in_hand.iter().flatten().map(|mark| mark.id).collect();
        self.rest_of(parameters, true, &in_hand)
    }

    /// What one rule is owed, and has got: all but these. Of its own stream only what is to be listed anyway, where
    /// another one carries `whole` of what follows; none while that cannot be said.
    pub(super) fn rest_of(&self, parameters: &Bytes, whole: bool, except: &HashSet<u64>) -> Option<Rest> {
        let own = (whole || self.owed != Owed::Nothing).then(|| self.own());
        let own = match own {
            Some(None) if self.rests.is_empty() => return None,
            own => own.flatten().map(|since| (parameters.clone(), since)),
        };
        // What was taken over came first, and is listed first.
        let lists = self.rests.iter().cloned().chain(own).collect();
        let seen = self.order.iter().filter(|(_, id)| !except.contains(id)).copied().collect();
        Some(Rest { lists, seen })
    }

    /// Goes on with what another stream still had, beside its own. What that one has handed over is left out, where that
    /// was for the only rule that is fed.
    pub(super) fn take_over(&mut self, rest: Rest, alone: bool, now: u64) {
        self.rests.extend(rest.lists.into_iter().map(|(parameters, since)| (parameters, since.min(now))));
        self.changes += 1;
        for (time, id) in rest.seen.into_iter().filter(|_| alone) {
            self.listed.insert(id);
            self.insert(Mark { id, time }, now);
        }
    }

    /// Notes what another stream brought and is handed over here.
    pub(super) fn note(&mut self, marks: impl Iterator<Item = Mark>, now: u64) {
        marks.for_each(|mark| self.insert(mark, now));
    }

    /// How many lists there are of what other streams still had.
    pub(super) fn rests(&self) -> usize {
        self.rests.len()
    }

    /// The lists of what other streams still had, but for so many that are known.
    pub(super) fn lists_after(&self, known: usize) -> Vec<(Bytes, Wanted)> {
        let list = |(of, since): &(Bytes, u64)| (of.clone(), Wanted::Since((*since).max(self.forgotten)));
        self.rests.iter().skip(known).map(list).collect()
    }

    /// The stream stands: what came since it stood last is owed.
    pub(super) fn opened(&mut self, now: u64) {
        if self.start.is_none() {
            (self.start, self.guessed) = (Some(now), true);
            self.changes += 1;
        } else if self.owed == Owed::Nothing {
            self.owed = Owed::Since(self.bound());
        }
    }

    /// Whether anything is to be listed.
    pub(super) fn owes(&self) -> bool {
        self.owed != Owed::Nothing || !self.rests.is_empty()
    }

    /// What to list, each by its parameters; those of the stream itself are given.
    pub(super) fn lists(&self, parameters: &Bytes) -> Vec<(Bytes, Wanted)> {
        let own = self.wanted().map(|wanted| (parameters.clone(), wanted));
        self.lists_after(0).into_iter().chain(own).collect()
    }

    /// What of its own is to be listed.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        match self.owed {
            Owed::Nothing => None,
            Owed::Unread(None) => Some(Wanted::Unread),
            Owed::Unread(Some(reached)) => Some(Wanted::Since(reached.saturating_sub(SLACK).max(self.forgotten))),
            Owed::Since(since) => Some(Wanted::Since(since.max(self.forgotten))),
        }
    }

    pub(super) fn holds(&self, id: u64) -> bool {
        self.times.contains_key(&id)
    }

    /// Whether a queue has taken it, or it was not for any.
    pub(super) fn has_passed(&self, id: u64) -> bool {
        self.holds(id) && !self.in_hand.iter().flatten().any(|mark| mark.id == id)
    }

    /// Notes what the stream brought; false where it was handed over already because it was listed. What the stream brings
    /// twice by itself is the daemon's to know.
    pub(super) fn note_live(&mut self, mark: Mark, now: u64) -> bool {
        if self.listed.remove(&mark.id) {
            return false;
        }
        if self.guessed {
            // A host whose clock is ahead of the daemon's would take what comes now for something old.
            (self.guessed, self.start) = (false, self.start.map(|start| start.min(mark.time)));
        }
        self.live = self.live.max(mark.time.min(now));
        self.insert(mark, now);
        self.forget();
        true
    }

    /// A list has begun to come; it is said where.
    pub(super) fn reached(&mut self, mark: Mark, now: u64) {
        if self.owed == Owed::Unread(None) {
            self.owed = Owed::Unread(Some(mark.time.min(now)));
            self.changes += 1;
        }
    }

    /// Notes what a list brought and was handed over.
    pub(super) fn note_listed(&mut self, mark: Mark, now: u64) {
        self.listed.insert(mark.id);
        self.insert(mark, now);
        if let Owed::Unread(reached) = &mut self.owed {
            *reached = (*reached).max(Some(mark.time.min(now)));
        }
    }

    /// All that was owed was handed over, or cannot be had.
    pub(super) fn settle(&mut self) {
        self.owed = Owed::Nothing;
        self.rests.clear();
        self.changes += 1;
    }

    /// Where it stands; none while that cannot be said by a time.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        let since = self.rests.iter().map(|(_, since)| *since).fold(self.own()?, u64::min);
        Some(Cursor { since, seen: self.taken_since(since) })
    }

    /// From when on its own stream may have had something that was not handed over; none while that cannot be said.
    pub(super) fn own(&self) -> Option<u64> {
        let own = match self.wanted() {
            Some(Wanted::Unread) => return None,
            Some(Wanted::Since(since)) => since,
            None => self.start.map(|_| self.bound())?,
        };
        Some(self.in_hand.iter().flatten().map(|mark| mark.time).fold(own, u64::min))
    }

    /// What a queue has taken since a time.
    fn taken_since(&self, since: u64) -> Vec<(u64, u64)> {
        let in_hand: HashSet<_> = self.in_hand.iter().flatten().map(|mark| mark.id).collect();
        self.order.range((since, 0)..).filter(|(_, id)| !in_hand.contains(id)).copied().collect()
    }

    /// Says what is in hand, in order: all of it is noted, and taken by no queue.
    pub(super) fn hold(&mut self, marks: impl Iterator<Item = Option<Mark>>) {
        let before = self.in_hand.len();
        self.in_hand.clear();
        self.in_hand.extend(marks);
        self.changes += u64::from(before + self.in_hand.len() > 0);
    }

    pub(super) fn hold_more(&mut self, marks: impl Iterator<Item = Option<Mark>>) {
        self.in_hand.extend(marks);
        self.changes += 1;
    }

    /// A queue took the first of what is in hand.
    pub(super) fn took(&mut self, notifications: usize) {
        self.in_hand.drain(..notifications.min(self.in_hand.len()));
        self.changes += 1;
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The earliest time that something missed can have.
    fn bound(&self) -> u64 {
        self.start.unwrap_or_default().max(self.forgotten).max(self.newest.saturating_sub(SLACK))
    }

    /// A stamp from the future counts as now: whoever sends one must not move the cursor there.
    fn insert(&mut self, mark: Mark, now: u64) {
        let time = mark.time.min(now);
        if self.times.insert(mark.id, time).is_none() {
            self.order.insert((time, mark.id));
        }
        self.newest = self.newest.max(time);
        self.changes += 1;
        if self.order.len() > REMEMBERED
            && let Some((time, id)) = self.order.pop_first()
        {
            self.times.remove(&id);
            self.listed.remove(&id);
            self.forgotten = self.forgotten.max(time + 1);
        }
    }

    /// Drops what can come neither by the stream nor by a list again.
    fn forget(&mut self) {
        let live = self.live.saturating_sub(SLACK);
        let rests = self.rests.iter().map(|(_, since)| *since).fold(live, u64::min);
        let needed = match self.wanted() {
            Some(Wanted::Unread) => 0,
            Some(Wanted::Since(since)) => rests.min(since),
            None => rests,
        };
        while let Some(&(time, id)) = self.order.first().filter(|(time, _)| *time < needed) {
            self.order.remove(&(time, id));
            self.times.remove(&id);
            self.listed.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_along_from_stream_to_stream_is_listed_from_the_oldest_on() {
        let [first, second] = ["first", "second"].map(|parameters| Bytes::from_static(parameters.as_bytes()));
        let mut seen = Seen::default();
        seen.take_over(Rest { lists: vec![(first.clone(), 100)], seen: Vec::new() }, true, 300);
        seen.opened(200);
        let rest = seen.rest(&second).unwrap();
        assert_eq!(rest.lists, [(first, 100), (second, 200)]);
    }
}
