//! One rule on its way from one stream to another, without a gap and without a double.
//!
//! When a rule's parameters change, its new stream is opened beside the old one. Both carry what matches both requests.
//! The old stream hands over until one of them brings something that the other one has brought too, or until it has run
//! dry; what the new one brings meanwhile waits here. Then the new one goes on, leaving out what the old one has handed
//! over. That an old stream has nothing more is known for sure only where both have brought the same; otherwise, and
//! where it is lost, the new one lists what it may still have had, and where that cannot be, the gap is told. Two
//! notifications are the same where their bytes are; what was handed over is on record only for as long as the new stream
//! may still bring it, so that a later one that happens to be equal is not taken for it. What the new one's lists bring
//! later is told by its id: where there are lists the old one leaves behind the ids of what it has handed over.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};

#[cfg(test)]
mod tests;

use super::catch_up::Rest;

/// Notifications of the new stream that wait for the old one; then the new one is not read on.
const WAITING: usize = 256;

/// How long nothing must have come on the old stream, with the new one open, until it counts as run dry. A stream that
/// lags behind may be silent for longer: what it may still have is listed all the same, where it can be.
pub(super) const DRY: Duration = Duration::from_millis(500);

/// No timer is that precise.
const SHORTEST: Duration = Duration::from_millis(5);

/// What the old stream has handed over and the new one, open, has not brought; then the old one is not read on. While the
/// new one is not open there is on record what was handed over in twice [`LAG`].
const HANDED: usize = 65_536;

/// How far the new stream may be behind the old one: what was handed over so long before the new one had nothing more to
/// read, it does not bring. Nor does what was handed over so long before it was opened.
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
    handed: Record,
    /// Whether the new stream has brought something that the old one had handed over: it carries all that follows.
    met: bool,
    /// Whether the old stream is done with the rule.
    left: bool,
    prospect: Prospect,
    /// Whether the new stream has gone on alone.
    alone: bool,
    owed: Owed,
    /// The ids of what the rule has got, or gets from what waited: a list of the new stream's may bring it again. They are
    /// here where the new stream's feed is for other rules too, and otherwise that feed's to know.
    passed: HashSet<u64>,
}

/// Whether the new stream is to be expected soon. If not, the old one is to let the rule go.
#[derive(Default, PartialEq, Eq)]
enum Prospect {
    #[default]
    Expected,
    Refused,
}

/// What was handed over, by hash: how often, and when last.
#[derive(Default)]
struct Record {
    entries: HashMap<u64, (usize, Instant)>,
    /// When the new stream last brought something of it, or went on alone: then it is expected to bring more.
    expecting: Option<Instant>,
    /// When the new stream last had nothing more to read.
    emptied: Option<Instant>,
    swept: Option<Instant>,
}

/// What a rule takes along from the stream that it leaves.
#[derive(Debug, Default, Clone)]
pub(super) struct Behind {
    /// What it was handed over, and the stream may still have had; where there are lists.
    pub(super) rest: Option<Rest>,
    /// Since when it may have missed something, where it cannot.
    pub(super) gap: Option<Timestamp>,
}

/// What became of that.
#[derive(Default)]
enum Owed {
    #[default]
    Nothing,
    /// The new stream's feed is to look at it, before it hands over what waits where there may be lists.
    Left(Behind),
    /// It is to look at it some time: the new stream is not going to stand soon.
    Late(Behind),
    /// The new stream's feed is about to list it, or does: it comes before what waits.
    Listed,
}

impl Handover {
    pub(super) fn new(from: Arc<Notify>, to: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), from, to })
    }

    /// The new stream is open: from here on it carries what happens.
    pub(super) fn opened(&self) {
        let mut inner = self.inner();
        inner.prospect = Prospect::Expected;
        if inner.open.is_none() {
            inner.open = Some(Instant::now());
            inner.handed.emptied();
        }
        drop(inner);
        self.from.notify_one();
    }

    /// The new stream is gone before it took over. What follows comes on the old one.
    pub(super) fn lost(&self) {
        let mut inner = self.inner();
        if !inner.left {
            let Inner { open, waiting, brought, handed, met, .. } = &mut *inner;
            (*open, *met, *brought) = (None, false, HashMap::new());
            waiting.retain(|notification| !handed.take(hash(notification)));
        }
    }

    /// The new stream has nothing to read at this moment.
    pub(super) fn emptied(&self) {
        self.inner().handed.emptied();
    }

    /// How long nothing must come on the old stream for it to be done; none while the new one is not open, or once it is.
    ///
    /// The longer the new one is there the less: a busy stream that shares nothing with it would keep the rule for ever.
    /// Of a stream that lags behind, what is ready is still read first.
    pub(super) fn patience(&self) -> Option<Duration> {
        let inner = self.inner();
        if inner.prospect == Prospect::Refused && !inner.left {
            return Some(Duration::ZERO);
        }
        let over = inner.waited_for()?.elapsed().saturating_sub(LAG).as_secs();
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
        let Inner { left, waiting, handed, owed, passed, .. } = &*inner;
        let is_over = *left && waiting.is_empty() && handed.entries.is_empty() && matches!(owed, Owed::Nothing);
        is_over && passed.is_empty()
    }

    /// How many of these notifications of the old stream are to be handed over now, and whether it is done then: its feed
    /// is to leave at once, as nothing of it is taken before. Where it meets what the new stream has brought, the new one
    /// hands over what was before that.
    pub(super) fn leaving(&self, batch: &[Bytes]) -> (usize, bool) {
        let mut inner = self.inner();
        if inner.left {
            return (0, false);
        }
        let met = batch.iter().position(|notification| inner.brought.contains_key(&hash(notification)));
        if let Some(at) = met {
            inner.waiting.splice(0..0, batch[..at].iter().cloned());
            return (0, true);
        }
        let Inner { open, waiting, handed, met, .. } = &mut *inner;
        if open.is_none() {
            handed.sweep(Instant::now().checked_sub(LAG));
        }
        for notification in batch {
            // From before the new stream was lost.
            match waiting.iter().position(|other| other == notification) {
                Some(at) => drop(waiting.remove(at)),
                None => handed.note(hash(notification)),
            }
        }
        (batch.len(), *met)
    }

    /// The old stream is done with the rule, and nothing is known of it that would matter.
    pub(super) fn leave(&self) {
        self.leave_behind(Behind::default());
    }

    /// The old stream lets the rule go, and with it what it may not have handed over.
    pub(super) fn leave_behind(&self, behind: Behind) {
        let mut inner = self.inner();
        if !mem::replace(&mut inner.left, true) {
            let nothing = behind.rest.is_none() && behind.gap.is_none();
            inner.owed = match inner.prospect {
                _ if nothing => Owed::Nothing,
                Prospect::Refused => Owed::Late(behind),
                Prospect::Expected => Owed::Left(behind),
            };
            drop(inner);
            self.to.notify_one();
            self.from.notify_one();
        }
    }

    /// Takes what the old stream left behind, to be listed, or told. What waits may have to wait for that.
    pub(super) fn take_behind(&self, waits: bool) -> Option<Behind> {
        let owed = &mut self.inner().owed;
        match mem::take(owed) {
            Owed::Left(behind) => {
                if waits {
                    *owed = Owed::Listed;
                }
                Some(behind)
            }
            Owed::Late(behind) => Some(behind),
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

    /// The daemon will not have the new stream, for now: the old one is to let the rule go, with what it still has.
    pub(super) fn refused(&self) {
        let mut inner = self.inner();
        inner.prospect = Prospect::Refused;
        inner.owed = match mem::take(&mut inner.owed) {
            Owed::Left(behind) => Owed::Late(behind),
            other => other,
        };
        if !inner.left {
            self.from.notify_one();
        }
    }

    /// There will be no new stream: whatever it was to wait for, its feed hands over what it has.
    pub(super) fn close(&self) {
        self.refused();
        self.leave();
    }

    /// Takes what the new stream brings. Returns what of it, and of what waited, is to be handed over now; none while the
    /// old stream still has the rule, or what it left behind is to be looked at.
    pub(super) fn arriving(&self, batch: &[Bytes]) -> Option<Vec<Bytes>> {
        let mut inner = self.inner();
        if inner.left && !inner.owed.comes_first() {
            return Some(inner.go_on(batch));
        }
        for notification in batch {
            let hash = hash(notification);
            if inner.handed.take(hash) {
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

    /// Drops of what waits what is listed in its place, or was handed over; returns how much.
    pub(super) fn drop_waiting(&self, is_dropped: impl Fn(&Bytes) -> bool) -> usize {
        let waiting = &mut self.inner().waiting;
        let before = waiting.len();
        waiting.retain(|notification| !is_dropped(notification));
        before - waiting.len()
    }

    /// Remembers what the rule has got.
    pub(super) fn remember(&self, passed: HashSet<u64>) {
        self.inner().passed.extend(passed);
    }

    /// Whether the rule has got what has this id.
    pub(super) fn has_passed(&self, id: u64) -> bool {
        self.inner().passed.contains(&id)
    }

    /// Whether the new stream brought as much as may wait.
    pub(super) fn is_full(&self) -> bool {
        let inner = self.inner();
        !inner.left && inner.waiting.len() >= WAITING
    }

    /// Whether the old stream has handed over as much as may be on record.
    pub(super) fn has_handed_enough(&self) -> bool {
        let inner = self.inner();
        !inner.left && inner.open.is_some() && inner.handed.entries.len() >= HANDED
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owed {
    /// Whether there may be something to be listed, which came before what waits.
    fn comes_first(&self) -> bool {
        matches!(self, Self::Left(behind) if behind.rest.is_some())
    }
}

impl Inner {
    /// Since when the new stream, open, waits for the old one to be done.
    fn waited_for(&self) -> Option<Instant> {
        self.open.filter(|_| !self.left)
    }

    /// What the new stream hands over once it has the rule.
    fn go_on(&mut self, batch: &[Bytes]) -> Vec<Bytes> {
        let is_listed = matches!(self.owed, Owed::Listed);
        let mut all = if is_listed { Vec::new() } else { mem::take(&mut self.waiting) };
        all.extend_from_slice(batch);
        if !mem::replace(&mut self.alone, true) {
            self.handed.expecting = Some(Instant::now());
        }
        if !self.handed.entries.is_empty() {
            all.retain(|notification| !self.handed.take(hash(notification)));
        }
        all
    }
}

impl Record {
    fn note(&mut self, hash: u64) {
        let (count, at) = self.entries.entry(hash).or_insert_with(|| (0, Instant::now()));
        (*count, *at) = (*count + 1, Instant::now());
    }

    /// Takes one of a hash out, if there is one that the new stream may still bring.
    fn take(&mut self, hash: u64) -> bool {
        let limit = self.limit();
        let Some((count, _)) = self.entries.get_mut(&hash).filter(|(_, at)| Some(*at) >= limit) else { return false };
        *count -= 1;
        if *count == 0 {
            self.entries.remove(&hash);
        }
        self.expecting = Some(Instant::now());
        true
    }

    fn emptied(&mut self) {
        self.emptied = Some(Instant::now());
        self.sweep(self.limit());
    }

    /// What was handed over before that, the new stream does not bring any more.
    fn limit(&self) -> Option<Instant> {
        let emptied = self.emptied?;
        let is_behind = self.expecting.is_some_and(|at| at + LAG >= emptied);
        if is_behind { None } else { emptied.checked_sub(LAG) }
    }

    /// Forgets what was handed over before a moment, when it has not just done that.
    fn sweep(&mut self, limit: Option<Instant>) {
        let now = Instant::now();
        if limit.is_some() && self.swept.is_none_or(|at| now - at >= LAG) {
            self.entries.retain(|_, (_, at)| Some(*at) >= limit);
            self.swept = Some(now);
        }
    }
}

fn hash(notification: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    notification.hash(&mut hasher);
    hasher.finish()
}
