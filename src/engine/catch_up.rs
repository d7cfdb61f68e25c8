//! Catching up: what came while a feed's stream was not open is listed by a command and handed over as it would have been.
//!
//! The daemon keeps nothing for a stream that is not open, and its mark of what is unread is shared by all its clients;
//! so a feed has a cursor of its own ([`seen`]), kept over the end of the host by [`Cursors`]. The stream is opened
//! first, then what was missed is listed and handed over, then the stream is read: nothing falls between, and what is
//! in both is told by its id.
//!
//! What stays out: what was deleted meanwhile; what is stored with a stamp more than [`SLACK`](seen::SLACK) older than
//! what was handed over before it; before anything was handed over, what a clock of the host's that is ahead of the
//! daemon's takes for older than the stream. Conditions are met by what a message is when it is listed: one that was
//! changed so that it meets them now is handed over. A host that dies, rather than stops, hands over again what came in
//! the seconds before, since its cursor was kept last, and loses what was queued before that and not handled.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::time::timeout;

mod cursors;
mod seen;
#[cfg(test)]
mod tests;

pub use cursors::Cursors;
pub(super) use seen::Rest;
use seen::{Cursor, Seen};

use super::{BATCH, route::Route};
use crate::{
    daemon::{CallError, Daemon, Disposition, Messages},
    schema::{
        Recovery, Subscription,
        recovery::{Mark, Wanted},
        wire::WireError,
    },
};

/// Lists in a row that yield nothing before the stream is read without.
const ATTEMPTS: u32 = 3;

/// How long the daemon may keep us waiting for a page of a list: the stream that is to be read then waits too.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a feed knows of what it handed over: the cursor by which it finds out what it missed. A clone knows the same.
#[derive(Clone)]
pub(super) struct CatchUp {
    recovery: Arc<Recovery>,
    parameters: Bytes,
    /// Shared with [`Cursors`], which looks every few seconds.
    seen: Arc<Mutex<Seen>>,
    failures: u32,
}

/// A list of what was missed, under way.
pub(super) struct Missed {
    /// The lists that are still to be asked for.
    lists: VecDeque<(Bytes, Wanted)>,
    /// How many of them are of other streams, asked for or not.
    rests: usize,
    in_order: bool,
    messages: Option<Messages>,
    since: u64,
    page: VecDeque<Bytes>,
    /// Elements that were left out because they cannot be read or have no id.
    pub(super) unreadable: u64,
}

/// Milliseconds since 1970, as the host's clock says.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl CatchUp {
    /// For a subscription with its encoded parameters; none where what is missed cannot be listed.
    pub(super) fn new(subscription: &Subscription, parameters: &Bytes) -> Option<Self> {
        // Parameters that only other things can meet get nothing by the stream either.
        let recovery = subscription.recovery.clone()?;
        recovery.request(parameters, Wanted::Unread).ok().flatten()?;
        Some(Self { recovery, parameters: parameters.clone(), seen: Arc::default(), failures: 0 })
    }

    /// Before the first opening: catches up with what came before the start. Without a cursor that is what no client of
    /// the daemon has seen.
    pub(super) fn resume(&mut self, cursor: Option<Cursor>, now: u64) {
        self.seen().resume(cursor, now);
    }

    /// What its stream still has of what the feed's rules are owed, and what they have got; none while that cannot be said.
    pub(super) fn rest(&self) -> Option<Rest> {
        self.seen().rest(&self.parameters)
    }

    /// The same for one rule, which has not got these. `whole`: with what came to the stream and nobody has seen; another
    /// one may carry that.
    pub(super) fn rest_of(&self, whole: bool, except: &[Bytes]) -> Option<Rest> {
        let ids = self.ids(except);
        self.seen().rest_of(&self.parameters, whole, &ids)
    }

    /// Goes on, beside its own, with what another feed of the subscription still had of what a rule is owed, these in hand
    /// already; `alone` where it feeds that rule and no other.
    pub(super) fn take_over(&self, rest: Rest, waiting: &[Bytes], alone: bool, now: u64) {
        let marks: Vec<_> = waiting.iter().filter_map(|notification| self.mark(notification)).collect();
        let mut seen = self.seen();
        seen.take_over(rest, alone, now);
        if alone {
            seen.note(marks.into_iter(), now);
        }
    }

    /// To be called each time the stream stands, before it is read.
    pub(super) fn opened(&mut self, now: u64) {
        self.seen().opened(now);
    }

    /// Whether something is to be listed.
    pub(super) fn owes(&self) -> bool {
        self.seen().owes()
    }

    /// Whether it can be said where it stands: not while it is still to begin with what nobody has seen.
    pub(super) fn stands(&self) -> bool {
        self.seen().own().is_some()
    }

    /// Takes note of a notification of the stream that is about to be handed over, and is in hand until then; false when
    /// it was handed over before.
    pub(super) fn is_new(&mut self, notification: &Bytes, now: u64) -> bool {
        let (mark, mut seen) = (self.mark(notification), self.seen());
        // What cannot be read is handed over all the same: its handler's rule tells.
        let new = mark.is_none_or(|mark| seen.note_live(mark, now));
        if new {
            seen.hold_more([mark].into_iter());
        }
        new
    }

    /// Says what is in hand: noted, or another stream's for the same rule, and taken by no queue yet.
    pub(super) fn hold<'n>(&self, notifications: impl Iterator<Item = &'n Bytes>) {
        self.seen().hold(notifications.map(|notification| self.mark(notification)));
    }

    /// Says what is in hand besides.
    pub(super) fn hold_more<'n>(&self, notifications: impl Iterator<Item = &'n Bytes>) {
        self.seen().hold_more(notifications.map(|notification| self.mark(notification)));
    }

    /// A queue took so many of what is in hand.
    pub(super) fn took(&self, notifications: usize) {
        self.seen().took(notifications);
    }

    fn mark(&self, notification: &Bytes) -> Option<Mark> {
        self.recovery.mark(notification).ok().flatten()
    }

    /// What was missed, to be listed. That goes over the streams' connections: a list waits while its queue is full, and
    /// commands, which may be what empties the queue, must not wait with it.
    ///
    /// `in_order` includes what is noted and still waits: what is listed before it came before it.
    pub(super) fn missed(&self, in_order: bool) -> Missed {
        let seen = self.seen();
        let (lists, rests) = (seen.lists(&self.parameters).into(), seen.rests());
        Missed { lists, rests, in_order, messages: None, since: 0, page: VecDeque::new(), unreadable: 0 }
    }

    /// The ids of notifications.
    pub(super) fn ids(&self, batch: &[Bytes]) -> HashSet<u64> {
        batch.iter().filter_map(|notification| self.id(notification)).collect()
    }

    /// The id of a notification.
    pub(super) fn id(&self, notification: &Bytes) -> Option<u64> {
        self.mark(notification).map(|mark| mark.id)
    }

    /// Drops of what waits for a rule to arrive what has one of these ids; returns how much.
    pub(super) fn drop_waiting(&self, route: &Route, ids: &HashSet<u64>) -> u64 {
        route.drop_waiting(|waiting| self.id(waiting).is_some_and(|id| ids.contains(&id))) as u64
    }

    /// Takes note of a batch of [`Missed`] that is about to be handed over, and is in hand until then.
    pub(super) fn listed(&mut self, batch: &[Bytes], now: u64) {
        self.failures = 0;
        let mut seen = self.seen();
        for mark in batch.iter().map(|notification| self.mark(notification)) {
            if let Some(mark) = mark {
                seen.note_listed(mark, now);
            }
            seen.hold_more([mark].into_iter());
        }
    }

    /// All of [`Missed`] was handed over.
    pub(super) fn caught_up(&mut self) {
        self.failures = 0;
        self.seen().settle();
    }

    /// Learns why a list could not be had, or not all of it. Returns whether to read the stream without; otherwise the
    /// stream is to be opened again and the list asked for again, which then goes on where it broke off.
    ///
    /// A refusal for good, and a page that is too big to take, give up what was missed; after three failures in a row it
    /// stays owed, to be asked for again the next time the stream is opened.
    pub(super) fn failed(&mut self, error: &CallError) -> bool {
        // Too big for us; the daemon's own word for asking less is another.
        let too_big = error.code == "OUT_OF_RANGE";
        if too_big || error.disposition == Disposition::Permanent {
            self.caught_up();
            return true;
        }
        self.failures = (self.failures + 1) % ATTEMPTS;
        self.failures == 0
    }

    async fn list(&self, daemon: &Daemon, parameters: &[u8], wanted: Wanted) -> Result<Option<Messages>, CallError> {
        let Some(request) = self.recovery.request(parameters, wanted).map_err(unreadable)? else { return Ok(None) };
        let place = daemon.place().await?;
        in_time(daemon.subscribe(place, &self.recovery.command.method, request)).await.map(Some)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Missed {
    /// Lists what was taken over meanwhile, too: at the end or, `in_order`, first, with all else behind it once more.
    pub(super) fn goes_on(&mut self, catch_up: &CatchUp, in_order: bool) {
        let seen = catch_up.seen();
        let (rests, more) = (seen.rests(), seen.lists_after(self.rests));
        drop(seen);
        if more.is_empty() {
            self.in_order = in_order;
        } else if in_order {
            *self = Self { unreadable: self.unreadable, ..catch_up.missed(true) };
        } else {
            self.lists.extend(more);
            (self.rests, self.in_order) = (rests, false);
        }
    }

    /// Returns what is next in order and was not handed over, and none at the end. It is to be told to
    /// [`CatchUp::listed`]; the next page is not read before.
    pub(super) async fn next_batch(
        &mut self,
        catch_up: &CatchUp,
        daemon: &Daemon,
    ) -> Result<Option<Vec<Bytes>>, CallError> {
        loop {
            let batch = self.take(catch_up);
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
            let Some(messages) = &mut self.messages else {
                let Some((parameters, wanted)) = self.lists.pop_front() else { return Ok(None) };
                self.since = if let Wanted::Since(since) = wanted { since } else { 0 };
                self.messages = catch_up.list(daemon, &parameters, wanted).await?;
                continue;
            };
            match in_time(messages.next()).await? {
                Some(page) => self.page = catch_up.recovery.notifications(&page).map_err(unreadable)?.into(),
                None => self.messages = None,
            }
        }
    }

    /// Takes from the page until a batch is full or the page is empty.
    fn take(&mut self, catch_up: &CatchUp) -> Vec<Bytes> {
        let (mut batch, mut ids) = (Vec::new(), HashSet::new());
        let mut seen = catch_up.seen();
        while let Some(notification) = (batch.len() < BATCH).then(|| self.page.pop_front()).flatten() {
            match catch_up.recovery.mark(&notification) {
                // A daemon may understand the bound otherwise; what is older was not missed.
                Ok(Some(mark)) if mark.time < self.since || !ids.insert(mark.id) => {}
                Ok(Some(mark)) if seen.has_passed(mark.id) || !self.in_order && seen.holds(mark.id) => {}
                Ok(Some(mark)) => {
                    seen.reached(mark, now());
                    batch.push(notification);
                }
                // It could not be told from itself the next time.
                Ok(None) | Err(_) => self.unreadable += 1,
            }
        }
        batch
    }
}

/// Waits for a part of a list, and no longer than [`PATIENCE`].
async fn in_time<T>(part: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    let late = |_| {
        let message = format!("no part of the list of what was missed came within {} s", PATIENCE.as_secs());
        Err(CallError::new("DEADLINE_EXCEEDED", message, Disposition::Retry))
    };
    timeout(PATIENCE, part).await.unwrap_or_else(late)
}

/// A list that is no message of the type it should be: asking again gets the same.
fn unreadable(error: WireError) -> CallError {
    let message = format!("the list cannot be read: {error}");
    CallError::new("INTERNAL", message, Disposition::Permanent)
}
