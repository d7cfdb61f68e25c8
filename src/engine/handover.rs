//! One rule on its way from one stream to another, without a gap and without a double.
//!
//! When a rule's parameters change, its new stream is opened beside the old one. Both carry what matches both requests.
//! The old stream hands over until it meets something that the new one has brought too, or until it has run dry; what the
//! new one brings meanwhile waits here. Then the new one goes on, leaving out what the old one has handed over. Two
//! notifications are the same where their bytes are; the record is kept for a moment only, so that a later one that
//! happens to be equal is not taken for it.

use std::{
    collections::{HashMap, VecDeque},
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

#[cfg(test)]
mod tests;

/// Notifications of the new stream that wait for the old one; then the new one is not read on.
const WAITING: usize = 256;

/// How long nothing must have come on the old stream, with the new one open, until it counts as run dry.
const DRY: Duration = Duration::from_millis(500);

/// No timer is that precise.
const SHORTEST: Duration = Duration::from_millis(5);

/// How long one stream may lag behind the other with what both carry.
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
    /// Since when the new stream is open.
    open: Option<Instant>,
    /// What the new stream has brought.
    waiting: Vec<Bytes>,
    /// The same, by hash.
    brought: HashMap<u64, usize>,
    /// What the old stream handed over lately, with the new one not open yet as far as we know.
    before: VecDeque<(Instant, u64)>,
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
        self.inner().opened();
        self.from.notify_one();
    }

    /// The new stream is gone before it took over. What it brought comes on the old one.
    pub(super) fn lost(&self) {
        let mut inner = self.inner();
        if inner.left.is_none() {
            *inner = Inner::default();
        }
    }

    /// How long nothing must come on the old stream for it to be done; none while the new one is not open.
    ///
    /// The longer the new one is there the less: a busy stream that shares nothing with it would keep the rule for ever.
    /// Of a stream that lags behind, what is ready is still read first.
    pub(super) fn patience(&self) -> Option<Duration> {
        let over = self.inner().open?.elapsed().saturating_sub(LAG).as_secs();
        let halved =
            u32::try_from(over).ok().and_then(|over| 2_u32.checked_pow(over)).map_or(Duration::ZERO, |by| DRY / by);
        Some(if halved < SHORTEST { Duration::ZERO } else { halved })
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
            if inner.open.is_some() && inner.brought.contains_key(&hash) {
                return (at, true);
            }
            inner.handed_over(hash);
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

impl Inner {
    fn opened(&mut self) {
        self.open.get_or_insert_with(Instant::now);
        self.forget();
        // It may have stood at the daemon for a moment before we knew.
        for (_, hash) in mem::take(&mut self.before) {
            *self.handed.entry(hash).or_default() += 1;
        }
    }

    fn handed_over(&mut self, hash: u64) {
        if self.open.is_some() {
            *self.handed.entry(hash).or_default() += 1;
        } else {
            self.before.push_back((Instant::now(), hash));
            self.forget();
        }
    }

    fn forget(&mut self) {
        while self.before.pop_front_if(|(at, _)| at.elapsed() > LAG).is_some() {}
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
