//! What time it is in the simulated world: the machine's, or one that a test sets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A source of time stamps in milliseconds. Clones of a clock set by hand show the same time.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicU64>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until it is set or advanced.
    pub fn manual(milliseconds: u64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(milliseconds))))
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> u64 {
        match &self.0 {
            Some(time) => time.load(Ordering::SeqCst),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Sets a clock that is set by hand, backward too.
    pub fn set(&self, milliseconds: u64) {
        if let Some(time) = &self.0 {
            time.store(milliseconds, Ordering::SeqCst);
        }
    }

    /// Moves a clock set by hand forward; the machine's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Some(time) = &self.0 {
            time.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }
}
