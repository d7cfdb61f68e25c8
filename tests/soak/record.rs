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

    /// What became of a message, for the message of a failure.
    fn tale(&self, number: usize, told: &Told) -> String {
        let sent = self.sent[number];
        let own = told.entries.iter().filter(|entry| usize::try_from(entry.number).is_ok_and(|of| of == number));
        let handled: Vec<_> =
            own.map(|entry| format!("by {} at {:.3?}", entry.version, entry.at.duration_since(self.begun))).collect();
        let handled = handled.join(", ");
        format!("{number} was sent at {sent:.3?}, handled {handled}:\n{}", self.around(sent, told))
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
        let turned: Vec<_> = turned.into_iter().map(|number| usize::try_from(number).unwrap()).collect();
        eprintln!("lost {}, doubled {}, out of order {}", lost.len(), doubled.len(), turned.len());
        let mut all = [&lost[..], &doubled, &turned].concat();
        all.sort_unstable();
        all.dedup();
        // Of what belongs together, the first.
        let firsts = all.iter().enumerate().filter(|(at, number)| *at == 0 || all[at - 1] + 50 < **number);
        let tales: Vec<_> = firsts.map(|(_, number)| self.tale(*number, told)).collect();
        let tales = tales.join("\n\n");
        assert!(all.is_empty(), "lost {lost:?}, doubled {doubled:?}, out of order {turned:?}\n{tales}");
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
