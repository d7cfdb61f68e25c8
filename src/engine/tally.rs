//! What became of all streams of a subscription, over all feeds that it has had: counts that do not go back when a rule
//! changes. There are as many as there are subscriptions.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// All subscriptions that any rule has had.
#[derive(Debug, Default)]
pub(super) struct Tallies(Mutex<BTreeMap<Arc<str>, Arc<Tally>>>);

/// One subscription's.
#[derive(Debug, Default)]
pub(super) struct Tally {
    received: AtomicU64,
    caught_up: AtomicU64,
    reopened: AtomicU64,
    failures: Mutex<BTreeMap<&'static str, u64>>,
}

/// What became of a subscription's streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFigures {
    /// The subscription.
    pub subscription: Arc<str>,
    /// Notifications that came in.
    pub received: u64,
    /// Of these, the ones that streams had missed, and that were listed.
    pub caught_up: u64,
    /// How often a stream was opened that had been open before.
    pub reopened: u64,
    /// How often a stream ended or could not be opened, by gRPC's code; `OK` where the daemon ended it.
    pub failures: Vec<(&'static str, u64)>,
}

impl Tallies {
    /// Finds a subscription's, or begins it.
    pub(super) fn of(&self, subscription: &str) -> Arc<Tally> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = all.get(subscription) {
            return Arc::clone(tally);
        }
        Arc::clone(all.entry(subscription.into()).or_default())
    }

    pub(super) fn read(&self) -> Vec<StreamFigures> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = |(subscription, tally): (&Arc<str>, &Arc<Tally>)| StreamFigures {
            subscription: Arc::clone(subscription),
            received: tally.received.load(Ordering::Relaxed),
            caught_up: tally.caught_up.load(Ordering::Relaxed),
            reopened: tally.reopened.load(Ordering::Relaxed),
            failures: tally.failures().iter().map(|(code, count)| (*code, *count)).collect(),
        };
        all.iter().map(figures).collect()
    }
}

impl Tally {
    fn failures(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn received(&self, notifications: u64, caught_up: bool) {
        self.received.fetch_add(notifications, Ordering::Relaxed);
        self.caught_up.fetch_add(if caught_up { notifications } else { 0 }, Ordering::Relaxed);
    }

    pub(super) fn reopened(&self) {
        self.reopened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, code: &'static str) {
        *self.failures().entry(code).or_default() += 1;
    }
}
