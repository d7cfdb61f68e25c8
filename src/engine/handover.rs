//! One rule on its way from one stream to another, without a gap and without a double.
//!
//! When a rule's parameters change, its new stream is opened beside the old one. Both carry what matches both requests.
//! The old stream hands over until one of them brings something that the other one has brought too, or until it has run
//! dry; what the new one brings meanwhile waits here. Then the new one goes on, leaving out what the old one has handed
//! over. That an old stream has nothing more is known for sure only where both have brought the same; otherwise, and
//! where it is lost, the new one lists what it may still have had, and where that cannot be, the gap is told. Two notifications are the
//! same where their bytes are; the record is kept for a moment only, so that a later one that happens to be equal is not
//! taken for it.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};

use super::catch_up::Rest;

/// Notifications of the new stream that wait for the old one; then the new one is not read on.
const WAITING: usize = 256;

/// How long nothing must have come on the old stream, with the new one open, until it counts as run dry. A stream that
/// lags behind may be silent for longer: what it may still have is listed all the same, where it can be.
pub(super) const DRY: Duration = Duration::from_millis(500);

/// No timer is that precise.
const SHORTEST: Duration = Duration::from_millis(5);

/// How long the new stream may bring nothing that the old one has handed over until it counts as past that.
const LAG: Duration = Duration::from_secs(5);

/// A rule between two streams.
pub(super) struct Handover {
    inner: Mutex<Inner>,
    /// Wakes the old feed's task.
    pub(super) from: Arc<Notify>,
    /// Wakes the new feed's task.
    pub(super) to: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    /// Since when the new stream is open.
    open: Option<Instant>,
    /// What the new stream has brought and the old one has not handed over.
    waiting: Vec<Bytes>,
    /// The same by hash, since the new stream was opened last.
    brought: HashMap<u64, usize>,
    /// What the old stream has handed over and the new one has not brought.
    handed: HashMap<u64, usize>,
    /// Whether the new stream has brought something that the old one had handed over: it carries all that follows.
    met: bool,
    /// Whether the old stream is done with the rule.
    left: bool,
    /// When the new stream last brought something that was left out, or went on alone.
    left_out: Option<Instant>,
    owed: Owed,
}

/// What an old stream may still have had when it was left.
#[derive(Debug, Default, Clone)]
pub(super) struct Behind {
    /// That, where it can be listed.
    pub(super) rest: Option<Rest>,
    /// Since when it may have missed something, where it cannot.
    pub(super) gap: Option<Timestamp>,
}

/// What became of that.
#[derive(Default)]
enum Owed {
    #[default]
    Nothing,
    /// It waits for the new stream's feed.
    Left(Behind),
    /// The new stream's feed lists it: it comes before what waits.
    Listed,
}

impl Handover {
    pub(super) fn new(from: Arc<Notify>, to: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), from, to })
    }

    /// The new stream is open: from here on it carries what happens.
    pub(super) fn opened(&self) {
        self.inner().open.get_or_insert_with(Instant::now);
        self.from.notify_one();
    }

    /// The new stream is gone before it took over. What follows comes on the old one.
    pub(super) fn lost(&self) {
        let mut inner = self.inner();
        if !inner.left {
            let Inner { open, waiting, brought, handed, met, .. } = &mut *inner;
            (*open, *met, *brought) = (None, false, HashMap::new());
            waiting.retain(|notification| take(handed, hash(notification)).is_none());
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
        self.inner().left
    }

    /// Whether the new stream has taken over all there was, so that nothing of it is to be remembered.
    pub(super) fn is_over(&self) -> bool {
        let inner = self.inner();
        let Inner { left, waiting, handed, owed, .. } = &*inner;
        *left && waiting.is_empty() && handed.is_empty() && matches!(owed, Owed::Nothing)
    }

    /// How many of these notifications of the old stream are to be handed over now, and whether it is done then. Where it
    /// meets what the new stream has brought it is done at once, and the new one hands over what was before that.
    pub(super) fn leaving(&self, batch: &[Bytes]) -> (usize, bool) {
        let mut inner = self.inner();
        if inner.left {
            return (0, false);
        }
        let met = batch.iter().position(|notification| inner.brought.contains_key(&hash(notification)));
        if let Some(at) = met {
            inner.waiting.splice(0..0, batch[..at].iter().cloned());
            drop(inner);
            self.leave();
            return (0, true);
        }
        for notification in batch {
            *inner.handed.entry(hash(notification)).or_default() += 1;
        }
        (batch.len(), inner.met)
    }

    /// The old stream is done with the rule: it has nothing more for it.
    pub(super) fn leave(&self) {
        self.leave_behind(Behind::default());
    }

    /// The old stream lets the rule go, and with it what it may not have handed over.
    pub(super) fn leave_behind(&self, behind: Behind) {
        let mut inner = self.inner();
        if !mem::replace(&mut inner.left, true) {
            let nothing = behind.rest.is_none() && behind.gap.is_none();
            inner.owed = if nothing { Owed::Nothing } else { Owed::Left(behind) };
            drop(inner);
            self.to.notify_one();
            self.from.notify_one();
        }
    }

    /// Takes what the old stream left behind, to be listed and handed over before what waits, or told.
    pub(super) fn take_behind(&self) -> Option<Behind> {
        let owed = &mut self.inner().owed;
        match mem::take(owed) {
            Owed::Left(behind) => {
                *owed = Owed::Listed;
                Some(behind)
            }
            other => {
                *owed = other;
                None
            }
        }
    }

    /// What the old stream still had was handed over, or cannot be had.
    pub(super) fn rested(&self) {
        let owed = &mut self.inner().owed;
        if matches!(owed, Owed::Listed) {
            *owed = Owed::Nothing;
        }
    }

    /// Takes what the new stream brings. Returns what of it, and of what waited, is to be handed over now; none while the
    /// old stream still has the rule.
    pub(super) fn arriving(&self, batch: &[Bytes]) -> Option<Vec<Bytes>> {
        let mut inner = self.inner();
        if inner.left {
            return Some(inner.go_on(batch));
        }
        for notification in batch {
            let hash = hash(notification);
            if take(&mut inner.handed, hash).is_some() {
                inner.met = true;
            } else {
                *inner.brought.entry(hash).or_default() += 1;
                inner.waiting.push(notification.clone());
            }
        }
        if inner.met {
            self.from.notify_one();
        }
        None
    }

    /// What the new stream has brought and waits.
    pub(super) fn waiting(&self) -> Vec<Bytes> {
        self.inner().waiting.clone()
    }

    /// Whether the new stream brought as much as may wait.
    pub(super) fn is_full(&self) -> bool {
        let inner = self.inner();
        !inner.left && inner.brought.len() >= WAITING
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What the new stream hands over once it has the rule.
    fn go_on(&mut self, batch: &[Bytes]) -> Vec<Bytes> {
        let is_listed = matches!(self.owed, Owed::Listed);
        let mut all = if is_listed { Vec::new() } else { mem::take(&mut self.waiting) };
        all.extend_from_slice(batch);
        let before = all.len();
        if !self.handed.is_empty() {
            all.retain(|notification| take(&mut self.handed, hash(notification)).is_none());
        }
        let now = Instant::now();
        if all.len() < before || self.left_out.is_none() {
            self.left_out = Some(now);
        } else if self.left_out.is_some_and(|at| now - at > LAG) {
            self.handed.clear();
        }
        all
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
