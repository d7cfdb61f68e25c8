//! Which exchanges go round in circles: a breaker for loops of bots as a value, with time passed in.
//!
//! An exchange is a notification and what its run sent first that others notice. Two things count within a minute, for
//! each party (a discussion and who wrote in it): exchanges that are the same to the letter, and exchanges that are alike,
//! of these only such as came in after the one before was answered. That is how a loop runs, and how a burst of numbered
//! messages does not. One more than the limit stops the party for a minute, each further time for twice as long.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

/// Over how long exchanges are counted, in parts: the oldest part goes as a whole.
const WINDOW: Duration = Duration::from_mins(1);
const PART: Duration = Duration::from_secs(5);
const PARTS: usize = 12;

/// How long a party is stopped, the first time and at most.
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(1);

/// After so long without a loop, the next one is the first again.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// Kinds of exchanges that are counted at one time, and parties that are stopped: what is oldest goes for what is new.
const MOST: usize = 4096;

/// Who wrote, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Party {
    pub(super) discussion: u64,
    pub(super) author: u64,
}

/// A notification and what was sent on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    pub(super) party: Party,
    /// When the notification came in.
    pub(super) arrived: Instant,
    /// The same number for the same texts.
    pub(super) exact: u64,
    /// The same number for texts that are alike.
    pub(super) alike: u64,
}

/// A party that went round in circles.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    /// Exchanges within a minute.
    pub(super) count: u32,
    /// For how long it is stopped.
    pub(super) pause: Duration,
    pub(super) until: Instant,
}

/// A party that is heard again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resumed {
    pub(super) party: Party,
    /// Notifications that were left out.
    pub(super) left_out: u64,
}

#[derive(Default)]
pub(super) struct Loops {
    /// What parts of the window are counted from.
    began: Option<Instant>,
    seen: HashMap<(Party, u64), Seen>,
    stops: HashMap<Party, Stop>,
}

struct Seen {
    parts: [u32; PARTS],
    newest: u64,
    answered: Instant,
}

struct Stop {
    pause: Duration,
    until: Instant,
    /// The one that was exceeded.
    limit: u32,
    left_out: u64,
    told: bool,
}

impl Loops {
    /// Whether a party is stopped.
    pub(super) fn is_stopped(&self, party: Party, now: Instant) -> bool {
        self.stops.get(&party).is_some_and(|stop| stop.until > now)
    }

    /// Whether any party was: nothing has to be found out about a notification where none was.
    pub(super) fn has_stops(&self) -> bool {
        !self.stops.is_empty()
    }

    /// Leaves a notification of a party out, where it is stopped.
    pub(super) fn leaves_out(&mut self, party: Party, now: Instant) -> bool {
        let Some(stop) = self.stops.get_mut(&party).filter(|stop| stop.until > now) else { return false };
        stop.left_out += 1;
        true
    }

    /// Counts an exchange, and stops its party where it is one too many. A limit of 0 counts nothing.
    pub(super) fn count(&mut self, exchange: &Exchange, limit: u32, now: Instant) -> Option<Stopped> {
        let Exchange { party, arrived, exact, alike } = *exchange;
        if limit == 0 {
            return None;
        }
        let part = now.saturating_duration_since(*self.began.get_or_insert(now)).as_secs() / PART.as_secs();
        let same = self.seen((party, exact), part, now).count(part, now);
        let alike = self.seen((party, alike), part, now);
        let goes_round = arrived > alike.answered || alike.sum(part) == 0;
        let alike = if goes_round { alike.count(part, now) } else { alike.sum(part) };
        let count = same.max(alike);
        (count > limit).then(|| self.stop(party, count, limit, now))
    }

    /// Ends the pauses that began at another limit.
    pub(super) fn limit(&mut self, limit: u32, now: Instant) {
        for stop in self.stops.values_mut().filter(|stop| stop.limit != limit) {
            stop.until = stop.until.min(now);
        }
    }

    /// The parties that are heard again by now and were not told yet.
    pub(super) fn resumed(&mut self, now: Instant) -> Vec<Resumed> {
        let mut resumed = Vec::new();
        for (party, stop) in self.stops.iter_mut().filter(|(_, stop)| !stop.told && stop.until <= now) {
            stop.told = true;
            resumed.push(Resumed { party: *party, left_out: stop.left_out });
        }
        self.stops.retain(|_, stop| !(stop.told && stop.until + FORGOTTEN <= now));
        resumed.sort_by_key(|resumed| resumed.party);
        resumed
    }

    /// The parties that are stopped: for how long still, and what was left out.
    pub(super) fn stopped(&self, now: Instant) -> Vec<(Party, Duration, u64)> {
        let holding = self.stops.iter().filter(|(_, stop)| stop.until > now);
        let mut all: Vec<_> = holding.map(|(party, stop)| (*party, stop.until - now, stop.left_out)).collect();
        all.sort_unstable();
        all
    }

    fn stop(&mut self, party: Party, count: u32, limit: u32, now: Instant) -> Stopped {
        let former = self.stops.get(&party).filter(|stop| stop.until + FORGOTTEN > now);
        let pause = former.map_or(SHORTEST, |stop| (stop.pause * 2).min(LONGEST));
        self.seen.retain(|(seen, _), _| *seen != party);
        if self.stops.len() >= MOST && !self.stops.contains_key(&party) {
            let first = self.stops.iter().min_by_key(|(_, stop)| stop.until).map(|(party, _)| *party);
            first.map(|first| self.stops.remove(&first));
        }
        let until = now + pause;
        self.stops.insert(party, Stop { pause, until, limit, left_out: 0, told: false });
        Stopped { count, pause, until }
    }

    fn seen(&mut self, key: (Party, u64), part: u64, now: Instant) -> &mut Seen {
        if self.seen.len() >= MOST && !self.seen.contains_key(&key) {
            self.forget(now);
        }
        self.seen.entry(key).or_insert(Seen { parts: [0; PARTS], newest: part, answered: now })
    }

    /// Makes room: what is out of the window goes, and a quarter of the rest where that is not enough.
    fn forget(&mut self, now: Instant) {
        self.seen.retain(|_, seen| seen.answered + WINDOW > now);
        if self.seen.len() >= MOST {
            let mut times: Vec<_> = self.seen.values().map(|seen| seen.answered).collect();
            let (_, quarter, _) = times.select_nth_unstable(MOST / 4);
            let quarter = *quarter;
            self.seen.retain(|_, seen| seen.answered > quarter);
        }
    }
}

impl Seen {
    fn count(&mut self, part: u64, now: Instant) -> u32 {
        self.turn(part);
        self.parts[at(part)] = self.parts[at(part)].saturating_add(1);
        self.answered = now;
        self.sum(part)
    }

    fn sum(&mut self, part: u64) -> u32 {
        self.turn(part);
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
    }

    /// Empties the parts that are older than the window.
    fn turn(&mut self, part: u64) {
        for passed in (self.newest + 1..=part).take(PARTS) {
            self.parts[at(passed)] = 0;
        }
        self.newest = self.newest.max(part);
    }
}

fn at(part: u64) -> usize {
    usize::try_from(part).unwrap_or_default() % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = 60;
    const ALICE: Party = Party { discussion: 1, author: 5 };

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// One exchange after another, each notification in answer to the one before; the number that stops, if any.
    fn rounds(loops: &mut Loops, party: Party, every: Duration, start: Instant, count: u64) -> Option<(u64, Stopped)> {
        (0..count).find_map(|at| {
            let now = start + every * u32::try_from(at).unwrap();
            let exchange = Exchange { party, arrived: now.checked_sub(every / 2).unwrap(), exact: at, alike: 1 << 40 };
            loops.count(&exchange, LIMIT, now).map(|stopped| (at + 1, stopped))
        })
    }

    #[test]
    fn a_loop_is_stopped_at_the_first_exchange_beyond_the_limit() {
        let (mut loops, now) = (Loops::default(), Instant::now() + FORGOTTEN);
        let (at, stopped) = rounds(&mut loops, ALICE, seconds(0.1), now, 1000).unwrap();
        assert_eq!((at, stopped.count, stopped.pause), (61, 61, SHORTEST));
        assert!(loops.is_stopped(ALICE, now + seconds(20.0)));
        for other in [Party { author: 6, ..ALICE }, Party { discussion: 2, ..ALICE }] {
            assert!(!loops.is_stopped(other, now + seconds(20.0)));
        }
    }

    #[test]
    fn what_is_slower_than_the_limit_goes_on_for_ever() {
        let (mut loops, now) = (Loops::default(), Instant::now() + FORGOTTEN);
        assert_eq!(rounds(&mut loops, ALICE, seconds(1.0), now, 5000), None);
        assert!(rounds(&mut loops, ALICE, seconds(0.9), now + FORGOTTEN * 2, 5000).is_some());
    }

    #[test]
    fn a_burst_of_numbered_messages_is_no_loop_and_the_same_one_over_and_over_is() {
        let (mut loops, now) = (Loops::default(), Instant::now() + FORGOTTEN);
        let burst = |exact| Exchange { party: ALICE, arrived: now, exact, alike: 1 << 40 };
        let told: Vec<_> = (0..5000).filter_map(|at| loops.count(&burst(at), LIMIT, now + seconds(0.01))).collect();
        assert_eq!(told, []);
        let mut loops = Loops::default();
        let same = (0..1000).find(|_| loops.count(&burst(7), LIMIT, now + seconds(0.01)).is_some());
        assert_eq!(same, Some(60));
    }

    #[test]
    fn many_people_who_say_the_same_are_no_loop() {
        let (mut loops, now) = (Loops::default(), Instant::now() + FORGOTTEN);
        for author in 0..1000 {
            assert_eq!(rounds(&mut loops, Party { author, ..ALICE }, seconds(0.1), now, 5), None);
        }
        assert!(loops.seen.len() <= MOST);
    }

    #[test]
    fn what_was_left_out_is_told_at_the_end_and_each_further_pause_is_twice_as_long() {
        let (mut loops, mut now) = (Loops::default(), Instant::now() + FORGOTTEN);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            let (_, stopped) = rounds(&mut loops, ALICE, seconds(0.1), now, 100).unwrap();
            assert_eq!(stopped.pause, Duration::from_mins(minutes));
            let before = stopped.until - seconds(1.0);
            assert!(loops.leaves_out(ALICE, before) && loops.leaves_out(ALICE, before));
            assert_eq!(loops.resumed(before), []);
            now = stopped.until;
            assert!(!loops.leaves_out(ALICE, now));
            assert_eq!(loops.resumed(now), [Resumed { party: ALICE, left_out: 2 }]);
            assert_eq!(loops.resumed(now), []);
        }
        now += FORGOTTEN;
        assert_eq!(rounds(&mut loops, ALICE, seconds(0.1), now, 100).unwrap().1.pause, SHORTEST);
        loops.resumed(now + FORGOTTEN * 3);
        assert!(!loops.has_stops());
    }

    #[test]
    fn another_limit_ends_a_pause_and_none_counts_nothing() {
        let (mut loops, now) = (Loops::default(), Instant::now() + FORGOTTEN);
        let (_, stopped) = rounds(&mut loops, ALICE, seconds(0.1), now, 100).unwrap();
        let before = stopped.until - seconds(1.0);
        loops.limit(LIMIT, before);
        assert!(loops.is_stopped(ALICE, before));
        loops.limit(2 * LIMIT, before);
        assert!(!loops.leaves_out(ALICE, before));
        assert_eq!(loops.resumed(before).len(), 1);
        let exchange = Exchange { party: ALICE, arrived: now, exact: 1, alike: 1 };
        assert!((0..1000).all(|_| loops.count(&exchange, 0, now).is_none()));
    }

    #[test]
    fn memory_is_bounded_and_a_loop_is_found_among_ever_new_exchanges() {
        let (mut loops, now) = (Loops::default(), Instant::now() + FORGOTTEN);
        let mut stops = 0;
        for at in 0..20_000_u64 {
            let now = now + Duration::from_millis(at);
            let other = Party { discussion: at, author: 1 };
            assert_eq!(loops.count(&Exchange { party: other, arrived: now, exact: at, alike: !at }, LIMIT, now), None);
            if at % 100 == 0 && !loops.is_stopped(ALICE, now) {
                stops += u32::from(rounds(&mut loops, ALICE, seconds(0.001), now, 1).is_some());
            }
            assert!(loops.seen.len() <= MOST);
        }
        assert_eq!(stops, 1);
        for discussion in 0..5000 {
            loops.stop(Party { discussion, author: 1 }, 61, LIMIT, now);
        }
        assert_eq!(loops.stops.len(), MOST);
    }
}
