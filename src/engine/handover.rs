//! One rule on its way from one stream to another, without a gap and without a double.
//!
//! When a rule's parameters change, its new stream is opened beside the old one. Both carry what matches both requests.
//! The old stream hands over until it meets something that the new one has brought too, or until it has run dry; what the
//! new one brings meanwhile waits here. Then the new one goes on, leaving out what the old one has handed over. Two
//! notifications are the same where their bytes are; the record is kept for a moment only, so that a later one that
//! happens to be equal is not taken for it.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// Notifications of the new stream that wait for the old one; then the new one is not read on.
pub(super) const WAITING: usize = 256;

/// How long nothing must have come on the old stream, with the new one open, until it counts as run dry.
pub(super) const DRY: Duration = Duration::from_millis(500);

/// How long the new stream may lag behind the old one with what both carry.
const LAG: Duration = Duration::from_secs(5);

/// A rule between two streams.
pub(super) struct Handover {
    inner: Mutex<Inner>,
    left: watch::Sender<bool>,
    /// Wakes the old feed's task.
    pub(super) from: Arc<Notify>,
    /// Wakes the new feed's task.
    pub(super) to: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    /// Whether the new stream is open.
    open: bool,
    /// What the new stream has brought.
    waiting: Vec<Bytes>,
    /// The same, by hash.
    brought: HashMap<u64, usize>,
    /// What the old stream has handed over since both were there.
    handed: HashMap<u64, usize>,
    /// When the old stream was done with the rule.
    left: Option<Instant>,
}

impl Handover {
    pub(super) fn new(from: Arc<Notify>, to: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), left: watch::Sender::new(false), from, to })
    }

    /// The new stream is open: from here on it carries what happens.
    pub(super) fn opened(&self) {
        self.inner().open = true;
        self.from.notify_one();
    }

    /// The new stream is gone before it took over. What it brought comes on the old one.
    pub(super) fn lost(&self) {
        let mut inner = self.inner();
        if inner.left.is_none() {
            (inner.open, inner.waiting, inner.brought) = (false, Vec::new(), HashMap::new());
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.inner().open
    }

    pub(super) fn has_left(&self) -> bool {
        *self.left.borrow()
    }

    /// Waits until the old stream is done with the rule.
    pub(super) async fn done(&self) {
        // The sender lives as long as this value.
        drop(self.left.subscribe().wait_for(|left| *left).await);
    }

    /// How many of these notifications of the old stream are to be handed over, and whether it is done then.
    pub(super) fn leaving(&self, batch: &[Bytes]) -> (usize, bool) {
        let mut inner = self.inner();
        if inner.left.is_some() {
            return (0, false);
        }
        for (at, notification) in batch.iter().enumerate() {
            let hash = hash(notification);
            if inner.open && inner.brought.contains_key(&hash) {
                return (at, true);
            }
            *inner.handed.entry(hash).or_default() += 1;
        }
        (batch.len(), false)
    }

    /// The old stream is done with the rule.
    pub(super) fn leave(&self) {
        if self.inner().left.replace(Instant::now()).is_none() {
            self.left.send_replace(true);
            self.to.notify_one();
            self.from.notify_one();
        }
    }

    /// Takes what the new stream brings. Returns what of it, and of what waited, is to be handed over now; none while the
    /// old stream still has the rule.
    pub(super) fn arriving(&self, batch: &[Bytes]) -> Option<Vec<Bytes>> {
        let mut inner = self.inner();
        let Some(left) = inner.left else {
            for notification in batch {
                *inner.brought.entry(hash(notification)).or_default() += 1;
                inner.waiting.push(notification.clone());
            }
            return None;
        };
        let mut all = mem::take(&mut inner.waiting);
        all.extend_from_slice(batch);
        if left.elapsed() > LAG {
            inner.handed.clear();
        }
        if !inner.handed.is_empty() {
            all.retain(|notification| take(&mut inner.handed, hash(notification)).is_none());
        }
        Some(all)
    }

    /// Whether the new stream brought as much as may wait.
    pub(super) fn is_full(&self) -> bool {
        let inner = self.inner();
        inner.left.is_none() && inner.waiting.len() >= WAITING
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes one of a hash out of a record.
fn take(record: &mut HashMap<u64, usize>, hash: u64) -> Option<()> {
    let count = record.get_mut(&hash)?;
    *count -= 1;
    if *count == 0 {
        record.remove(&hash);
    }
    Some(())
}

fn hash(notification: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    notification.hash(&mut hasher);
    hasher.finish()
}
