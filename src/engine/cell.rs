//! The visible state of one feed: written by its task, read by whoever asks, and told once at each change.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::herald::{Change, Herald};
use crate::{
    daemon::{CallError, Disposition},
    report::FeedName,
};

/// Where a feed stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// Not open.
    Opening {
        /// Since when.
        since: Timestamp,
        /// What the last attempt failed with; none before the first has failed.
        cause: Option<String>,
        /// When the next attempt is made; none while one is under way.
        next_try: Option<Timestamp>,
    },
    /// Open.
    Open {
        /// Since when.
        since: Timestamp,
    },
    /// Its `count` was delivered.
    Completed {
        /// Since when.
        since: Timestamp,
    },
    /// The daemon does not want it.
    Refused {
        /// Since when.
        since: Timestamp,
        /// The daemon's words.
        cause: String,
        /// When it is tried again.
        next_try: Timestamp,
    },
}

/// What is known of a feed from outside of its task.
#[derive(Debug)]
pub(super) struct Cell {
    /// Unique in this process.
    pub(super) id: u64,
    name: Mutex<FeedName>,
    state: Mutex<State>,
    /// Notifications since the start.
    received: AtomicU64,
    /// When the last one came, in milliseconds of the epoch; 0 for never.
    last: AtomicU64,
    /// What is left of a `count`; `u64::MAX` where there is none.
    remaining: AtomicU64,
}

impl Cell {
    pub(super) fn new(id: u64, name: FeedName, count: Option<u64>) -> Arc<Self> {
        let state = State::Opening { since: Timestamp::now(), cause: None, next_try: None };
        let remaining = AtomicU64::new(count.unwrap_or(u64::MAX));
        let (received, last) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { id, name: Mutex::new(name), state: Mutex::new(state), received, last, remaining })
    }

    pub(super) fn name(&self) -> FeedName {
        lock(&self.name).clone()
    }

    pub(super) fn rename(&self, name: FeedName) {
        *lock(&self.name) = name;
    }

    pub(super) fn state(&self) -> State {
        lock(&self.state).clone()
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(*lock(&self.state), State::Open { .. })
    }

    pub(super) fn open_since(&self) -> Option<Timestamp> {
        if let State::Open { since } = *lock(&self.state) { Some(since) } else { None }
    }

    pub(super) fn is_completed(&self) -> bool {
        matches!(*lock(&self.state), State::Completed { .. })
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn last(&self) -> Option<Timestamp> {
        let last = self.last.load(Ordering::Relaxed);
        (last > 0).then(|| Timestamp::from_millisecond(last.cast_signed()).ok()).flatten()
    }

    pub(super) fn remaining(&self) -> Option<u64> {
        Some(self.remaining.load(Ordering::Relaxed)).filter(|remaining| *remaining < u64::MAX)
    }

    /// Notifications came in.
    pub(super) fn note(&self, notifications: u64, remaining: Option<u64>) {
        self.received.fetch_add(notifications, Ordering::Relaxed);
        self.last.store(Timestamp::now().as_millisecond().cast_unsigned(), Ordering::Relaxed);
        if let Some(remaining) = remaining {
            self.remaining.store(remaining, Ordering::Relaxed);
        }
    }

    pub(super) async fn opened(&self, herald: &Herald) {
        if !self.is_open() {
            *lock(&self.state) = State::Open { since: Timestamp::now() };
            herald.tell(self.id, self.name(), Change::Opened).await;
        }
    }

    /// An attempt or a stream failed, and the next attempt is at a time.
    pub(super) async fn failed(&self, error: &CallError, retry_at: Instant, herald: &Herald) {
        let pause = retry_at.saturating_duration_since(Instant::now());
        let (now, cause) = (Timestamp::now(), error.to_string());
        let next_try = SignedDuration::try_from(pause).ok().and_then(|pause| now.checked_add(pause).ok());
        let retry_in = pause.as_secs_f64();
        let refused = matches!(error.disposition, Disposition::Permanent | Disposition::Unauthorised);
        let before = self.state();
        let since = match before {
            State::Opening { since, .. } if !refused => since,
            State::Refused { since, .. } if refused => since,
            _ => now,
        };
        let change = match &before {
            State::Refused { cause: told, .. } if refused && *told == cause => None,
            State::Opening { cause: Some(told), .. } if !refused && *told == cause => None,
            _ if refused => Some(Change::Refused { cause: cause.clone(), retry_in }),
            State::Opening { cause: Some(_), .. } | State::Refused { .. } => {
                Some(Change::Waiting { cause: cause.clone(), retry_in })
            }
            _ => Some(Change::Lost { cause: cause.clone(), retry_in }),
        };
        *lock(&self.state) = if refused {
            State::Refused { since, cause, next_try: next_try.unwrap_or(now) }
        } else {
            State::Opening { since, cause: Some(cause), next_try }
        };
        if let Some(change) = change {
            herald.tell(self.id, self.name(), change).await;
        }
    }

    pub(super) async fn completed(&self, count: u64, herald: &Herald) {
        *lock(&self.state) = State::Completed { since: Timestamp::now() };
        herald.tell(self.id, self.name(), Change::Completed { count }).await;
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
