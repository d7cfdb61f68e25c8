//! What happened in a soak, what was seen of it, and what must hold of that.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    rig::{Told, Usage, percentile},
    site::BAD,
};

/// What is seen of a run.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) begun: Instant,
    /// What happened when.
    diary: Vec<(Duration, String)>,
    /// When each message was sent.
    pub(crate) sent: Vec<Duration>,
    /// From the daemon's return to the stream, for the first fault after a calm, and for all others.
    pub(crate) returns: [Vec<Duration>; 2],
    /// From a save to the answer, and to the first message that the new code handled.
    pub(crate) answered: Vec<Duration>,
    pub(crate) active: Vec<Duration>,
}

impl Record {
    pub(crate) fn new() -> Self {
        let (diary, sent, returns, answered, active) = Default::default();
        Self { begun: Instant::now(), diary, sent, returns, answered, active }
    }

    pub(crate) fn note(&mut self, what: String) {
        self.diary.push((self.begun.elapsed(), what));
    }

    /// What happened about a moment, for the message of a failure.
    fn around(&self, moment: Duration, told: &Told) -> String {
        let near = |at: Duration| at + Duration::from_secs(6) > moment && at < moment + Duration::from_secs(6);
        let told = told.events.iter().map(|(at, event)| (at.duration_since(self.begun), event.to_string()));
        let mut all: Vec<_> = self.diary.iter().cloned().chain(told).filter(|(at, _)| near(*at)).collect();
        all.sort();
        let lines: Vec<_> = all.iter().map(|(at, what)| format!("{at:.3?} {what}")).collect();
        lines.join("\n")
    }

    /// Every message was handled once, and in order within its discussion.
    pub(crate) fn assert_ledger(&self, told: &Told) {
        let sent = &self.sent;
        let mut times = vec![0_usize; sent.len()];
        let mut newest = HashMap::new();
        let mut turned = Vec::new();
        for entry in &told.entries {
            assert_ne!(&*entry.version, BAD);
            times[usize::try_from(entry.number).unwrap()] += 1;
            let before = newest.insert(entry.discussion, entry.number);
            if before.is_some_and(|before| before > entry.number) {
                turned.push(entry.number);
            }
        }
        let wrong =
            |is: fn(usize) -> bool| -> Vec<_> { (0..times.len()).filter(|number| is(times[*number])).collect() };
        let (lost, doubled) = (wrong(|times| times == 0), wrong(|times| times > 1));
        let turned_at = turned.first().map(|number| usize::try_from(*number).unwrap());
        let first = lost.first().or(doubled.first()).copied().or(turned_at);
        eprintln!("lost {}, doubled {}, out of order {}", lost.len(), doubled.len(), turned.len());
        assert!(
            first.is_none(),
            "lost {lost:?}, doubled {doubled:?}, out of order {turned:?}{}",
            first.map_or_else(String::new, |number| format!(
                "; {number} was sent at {:.3?}:\n{}",
                sent[number],
                self.around(sent[number], told)
            ))
        );
    }

    pub(crate) fn tell(&mut self, usages: &[Usage]) {
        let [after_calm, else_returns] = &mut self.returns;
        for (what, times) in [
            ("from the daemon's return to the stream, after a calm", after_calm),
            ("from the daemon's return to the stream, else", else_returns),
            ("from a save to its answer", &mut self.answered),
            ("from a save to the first message by the new code", &mut self.active),
        ] {
            let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| percentile(times, share));
            eprintln!("{what}: p50 {p50:.0?}, p99 {p99:.0?}, max {most:.0?} of {}", times.len());
        }
        let (half, end) = (usages[usages.len() / 2], usages[usages.len() - 1]);
        eprintln!("half-way {half:?}, at the end {end:?}");
    }
}
