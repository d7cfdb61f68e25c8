//! Whether everything has come to rest: for who acts only when nothing is under way.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Engine;
use crate::{
    clock::Rest,
    lua::{Counters, RuleQueue},
};

/// What only grows while anything happens.
#[derive(PartialEq, Eq)]
struct Marks {
    settled: u64,
    queued: u64,
    brought: u64,
    sent: u64,
    rest: Rest,
}

impl Engine {
    /// Whether nothing happens before time passes or the daemon sends something: all that it sent, so many notifications,
    /// was handed over, every one that may run has run, runs under way wait for the clock, and no script needs another VM.
    ///
    /// What a run causes is sent before its command is answered. So nothing was under way where nothing was found, one
    /// thing after another, and all counts are the same before and after that.
    pub fn is_idle(&self, sent: impl Fn() -> u64) -> bool {
        let before = self.marks(&sent);
        if before.brought != before.sent || before.rest.is_ringing {
            return false;
        }
        if self.running.scripts.values().any(|(script, _)| script.needs_replacing()) {
            return false;
        }
        if self.running.queues.values().any(RuleQueue::may_start) || self.running.feeds.catches_up() {
            return false;
        }
        let running = |queue: &RuleQueue| queue.counters().running.load(Ordering::Acquire);
        let running: u64 = self.running.queues.values().map(running).sum();
        running == before.rest.asleep as u64 && self.marks(&sent) == before
    }

    /// The rules with runs under way or something waiting.
    pub fn running_rules(&self) -> Vec<&str> {
        let busy = |queue: &RuleQueue| {
            let counters = queue.counters();
            counters.queued.load(Ordering::Acquire) > counters.settled.load(Ordering::Acquire)
        };
        let mut names: Vec<_> =
            self.running.queues.iter().filter(|(_, queue)| busy(queue)).map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    fn marks(&self, sent: &impl Fn() -> u64) -> Marks {
        let Counters { settled, queued, brought, .. } = &*self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let (settled, queued, brought) = (read(settled), read(queued), read(brought));
        Marks { settled, queued, brought, sent: sent(), rest: self.clock.rest() }
    }
}
