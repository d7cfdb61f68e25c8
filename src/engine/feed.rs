//! A feed: one stream, kept open, and the rules it feeds.
//!
//! One task each. It opens, hands over, and opens again after a pause; a completed one ends. Every change of its state
//! stands in its [`Cell`] and is told once. When a queue is full it waits, and with it its stream, through flow control:
//! nobody else's. Which rules it feeds may change while it runs.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    select,
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

mod hand;
mod pace;
mod recover;

use super::{
    BATCH,
    catch_up::{CatchUp, now},
    cell::Cell,
    handover::{Behind, DRY},
    herald::Herald,
    route::Route,
};
use crate::{
    daemon::{CallError, Changes, Daemon, Disposition, Messages, pauses},
    lua::Counters,
    schema::{Subscription, encode},
};
use pace::{is_slow, retry_at};

/// A stream that lived this long was a good one: the next loss starts with the shortest pause.
const STABLE: Duration = Duration::from_secs(10);

/// A subscription that is not answered and not refused either for so long is told to be open.
pub(crate) const ASSUMED_OPEN: Duration = Duration::from_secs(2);

/// What a half-dead connection takes at most to be noticed: for so long before a loss nothing is known.
const UNNOTICED: SignedDuration = SignedDuration::from_secs(20);

/// What a feed's task is made of.
pub(super) struct Feed {
    pub(super) cell: Arc<Cell>,
    pub(super) subscription: Arc<Subscription>,
    pub(super) request: Bytes,
    /// What is left of the rule's `count`.
    pub(super) remaining: Option<u64>,
    /// By which it finds out what it missed, where that can be had.
    pub(super) catch_up: Option<CatchUp>,
    /// Since when something was missed that is neither caught up nor told.
    pub(super) away: Option<Timestamp>,
    /// Notifications that a rule's queue has still to take.
    pub(super) in_hand: Arc<AtomicU64>,
    pub(super) routes: watch::Receiver<Arc<[Route]>>,
    /// Rules are moving, or a slow retry is to be made now.
    pub(super) stir: Arc<Notify>,
    pub(super) closing: CancellationToken,
    pub(super) daemon: Daemon,
    pub(super) counters: Arc<Counters>,
    pub(super) herald: Herald,
}

/// Why a stream is over.
enum End {
    /// The host is stopping, or nobody is fed any more.
    Closed,
    /// It delivered its count.
    Completed,
    /// To be opened again.
    Lost(CallError),
}

/// What a feed's task wakes up for while its stream is open.
enum Wake {
    Closing,
    Stirred,
    Dry(Option<Duration>),
    Message(Result<Option<Bytes>, CallError>),
}

impl Feed {
    /// Keeps the stream open until it completes, the host stops, or its last rule has gone.
    pub(super) async fn run(&mut self) {
        let count = self.remaining.unwrap_or_default();
        let mut attempts = pauses();
        let mut again = true;
        loop {
            // What was stirred up until now is what it is tried with.
            let _ = self.stir.notified().now_or_never();
            let mut changes = self.daemon.changes();
            let mut opened = None;
            let error = match self.once(&mut opened).await {
                End::Closed => break,
                End::Completed => {
                    self.cell.completed(count, &self.herald).await;
                    break;
                }
                End::Lost(error) => error,
            };
            self.lost(&error);
            // Once: a daemon that never looks at it is one to be left alone for a while.
            let at_once = error.disposition == Disposition::Again;
            if std::mem::replace(&mut again, !at_once) && at_once {
                continue;
            }
            let was_open = self.cell.is_open();
            if was_open {
                // What was lost before and is neither caught up nor told belongs to the same gap.
                self.away = self.away.or_else(|| Some(self.last_heard()));
            }
            if opened.is_some_and(|opened: Instant| opened.elapsed() >= STABLE) {
                attempts = pauses();
            }
            let retry_at = retry_at(&error, &mut attempts);
            self.cell.failed(&error, retry_at, &self.herald).await;
            if !self.pause(&error, retry_at, &mut changes).await {
                break;
            }
        }
        // Whoever still waits for this stream to let a rule go, or to take one over, need not.
        self.let_go().await;
        for route in &*self.current() {
            route.closed();
            route.rested();
        }
        self.hand_over(&[], false).await;
    }

    /// Hands over what waited for rules that have arrived, where nothing comes before it, and lets all rules go that
    /// leave: there is nothing to come on this stream. What it still had, and what was left to it, is the new ones' to
    /// list.
    async fn let_go(&mut self) {
        self.take_over(true);
        let owes = self.catch_up.as_ref().is_some_and(CatchUp::owes);
        if !owes || self.current().iter().any(|route| route.is_leaving() && !route.has_left()) {
            self.current().iter().for_each(Route::rested);
        }
        self.hand_over(&[], false).await;
        let (completed, gap) = (self.cell.is_completed(), self.away);
        for route in &*self.current() {
            route.leave_behind(self.behind(route, !completed, gap.filter(|_| !completed)));
        }
    }

    /// What a rule takes along that leaves: `whole`, or without what its new stream carries.
    fn behind(&self, route: &Route, whole: bool, gap: Option<Timestamp>) -> Behind {
        let rest = self.catch_up.as_ref().and_then(|catch_up| catch_up.rest_of(whole, &route.waiting()));
        Behind { rest, gap }
    }

    /// Waits until the next attempt is due; false when there is to be none.
    async fn pause(&mut self, error: &CallError, retry_at: Instant, changes: &mut Changes) -> bool {
        loop {
            self.let_go().await;
            if self.is_left() {
                return false;
            }
            select! {
                () = self.closing.cancelled() => return false,
                () = sleep_until(retry_at) => return true,
                () = changes.help(error) => return true,
                routes = self.routes.changed() => if routes.is_err() { return false },
                // The operator changed something: it is worth an attempt.
                () = self.stir.notified() => if is_slow(error.disposition) { return true },
            }
        }
    }

    /// Opens the stream once and hands over until it ends; `opened` says since when it was open.
    async fn once(&mut self, opened: &mut Option<Instant>) -> End {
        // What it takes to open a stream is given back before it is read: there may be ten thousand that are only read.
        let mut messages = match Box::pin(self.open(opened)).await {
            Ok(messages) => messages,
            Err(end) => return end,
        };
        self.read(&mut messages).await
    }

    /// Opens the stream and hands over what was missed; an end, where it does not come to be read.
    async fn open(&mut self, opened: &mut Option<Instant>) -> Result<Messages, End> {
        let place = select! {
            () = self.closing.cancelled() => return Err(End::Closed),
            place = self.daemon.place() => place.map_err(End::Lost)?,
        };
        if !self.cell.is_open() && self.is_only_left() {
            self.let_go().await;
            return Err(End::Closed);
        }
        *opened = Some(Instant::now());
        // What comes from here on may be on the stream, however long its headers take.
        let asked = now();
        let (daemon, subscription, request) =
            (self.daemon.clone(), Arc::clone(&self.subscription), self.current_request());
        let mut subscribing = pin!(daemon.subscribe(place, &subscription.method, request));
        let messages = select! {
            () = self.closing.cancelled() => return Err(End::Closed),
            messages = &mut subscribing => Some(messages.map_err(End::Lost)?),
            // A server may keep its headers until the first notification. What it refuses it refuses at once.
            () = sleep(ASSUMED_OPEN) => None,
        };
        if let Some(end) = self.opened(asked).await {
            return Err(end);
        }
        if let Some(messages) = messages {
            return Ok(messages);
        }
        loop {
            let patience = self.current().iter().filter_map(Route::patience).min();
            select! {
                () = self.closing.cancelled() => return Err(End::Closed),
                messages = &mut subscribing => return messages.map_err(End::Lost),
                () = self.stir.notified() => {}
                Ok(()) = self.routes.changed() => {}
                () = nothing_for(patience.unwrap_or_default()), if patience.is_some() => {
                    self.leave_dry(patience);
                    continue;
                }
            }
            if let Some(end) = self.stirred().await {
                return Err(end);
            }
        }
    }

    /// The stream stands: tells it, and hands over what was missed before the stream is read. An end, where the host is
    /// stopping meanwhile or the daemon went away.
    async fn opened(&mut self, asked: u64) -> Option<End> {
        self.cell.opened(&self.herald).await;
        self.current().iter().for_each(Route::opened);
        self.catch_up.iter_mut().for_each(|catch_up| catch_up.opened(asked));
        self.take_over(true);
        self.recover().await
    }

    /// Takes over what rules that came here took along from their streams; returns whether there is any. What waits for
    /// them to arrive may have to wait for what is to be listed.
    fn take_over(&mut self, waits: bool) -> bool {
        let routes = self.current();
        let (alone, mut any) = (is_alone(&routes), false);
        for route in &*routes {
            let Some(Behind { rest, gap }) = route.take_behind(waits) else { continue };
            any = true;
            let (Some(catch_up), Some(rest)) = (&self.catch_up, rest) else {
                self.away = self.away.into_iter().chain(gap).min();
                continue;
            };
            let mut passed = rest.ids();
            self.remaining = self.remaining.map(|left| left + catch_up.drop_waiting(route, &passed));
            let waiting = route.waiting();
            if !alone {
                passed.extend(catch_up.ids(&waiting));
                route.remember(passed);
            }
            catch_up.take_over(rest, &waiting, alone, now());
        }
        if any {
            self.hold_waiting(&routes);
        }
        any
    }

    /// Hands over what comes until the stream ends.
    async fn read(&mut self, messages: &mut Messages) -> End {
        // Rules may have moved while the stream was not open.
        let mut wake = Wake::Stirred;
        loop {
            match wake {
                Wake::Closing => return End::Closed,
                Wake::Stirred => {
                    // Rarely, and then it may list: apart, so that a stream at rest does not hold the room for it.
                    if let Some(end) = Box::pin(self.stirred()).await {
                        return end;
                    }
                }
                Wake::Dry(waited) => self.leave_dry(waited),
                Wake::Message(Ok(Some(first))) => {
                    let (mut batch, end) = ready(first, messages);
                    let brought = batch.len() as u64;
                    if let Some(catch_up) = &mut self.catch_up {
                        let now = now();
                        batch.retain(|notification| catch_up.is_new(notification, now));
                    }
                    self.received(&batch, false, 0).await;
                    self.counters.brought.fetch_add(brought, Ordering::AcqRel);
                    match end {
                        _ if self.remaining == Some(0) => return End::Completed,
                        None => {}
                        Some(Ok(())) => return ended(),
                        Some(Err(error)) => return End::Lost(error),
                    }
                }
                Wake::Message(Ok(None)) => return ended(),
                Wake::Message(Err(error)) => return End::Lost(error),
            }
            wake = self.wake(messages).await;
        }
    }

    /// Rules are moving: takes over those that came, and what waited for them. An end, where none is left.
    async fn stirred(&mut self) -> Option<End> {
        if self.take_over(true)
            && let Some(end) = self.recover().await
        {
            return Some(end);
        }
        self.hand_over(&[], false).await;
        self.is_left().then_some(End::Closed)
    }

    async fn wake(&mut self, messages: &mut Messages) -> Wake {
        let routes = self.current();
        let patience = routes.iter().filter_map(Route::patience).min();
        let full = routes.iter().any(Route::is_full);
        select! {
            // What is there comes before the end of all patience.
            biased;
            () = self.closing.cancelled() => Wake::Closing,
            () = self.stir.notified() => Wake::Stirred,
            Ok(()) = self.routes.changed() => Wake::Stirred,
            next = next(messages, &routes), if !full => Wake::Message(next),
            () = nothing_for(patience.unwrap_or_default()), if patience.is_some() => Wake::Dry(patience),
        }
    }

    /// Lets the rules go whose new streams stand: there was nothing on this one for so long.
    fn leave_dry(&self, waited: Option<Duration>) {
        let routes = self.current();
        let done = routes.iter().filter(|route| route.patience().is_some_and(|patience| Some(patience) <= waited));
        let gap = (waited < Some(DRY)).then(|| self.last_heard());
        done.for_each(|route| route.leave_behind(self.behind(route, true, gap)));
    }

    /// Whether all rules go on to other streams: to open this one again for them would help nobody.
    fn is_only_left(&self) -> bool {
        let routes = self.current();
        !routes.is_empty() && routes.iter().all(Route::is_leaving)
    }

    /// Whether no rule is left to be fed.
    fn is_left(&self) -> bool {
        self.current().iter().all(Route::has_left)
    }

    fn lost(&self, error: &CallError) {
        // What is not going to stand has the old stream no longer asked for either.
        self.current().iter().for_each(|route| route.lost(error.disposition.is_refusal()));
    }

    fn current(&self) -> Arc<[Route]> {
        Arc::clone(&self.routes.borrow())
    }

    /// The last moment at which the stream was known to be there.
    fn last_heard(&self) -> Timestamp {
        let noticed = Timestamp::now();
        let earliest = noticed.checked_sub(UNNOTICED).unwrap_or(noticed);
        self.cell.open_since().into_iter().chain(self.cell.last()).fold(earliest, Timestamp::max)
    }

    /// The request with what is left of the count: on the wire, the last value of a field is the one that counts.
    fn current_request(&self) -> Bytes {
        match (self.remaining, self.subscription.method.input.field("count")) {
            (Some(remaining), Some(field)) => {
                let mut request = self.request.to_vec();
                encode::put_number(field.number, remaining, &mut request);
                request.into()
            }
            _ => self.request.clone(),
        }
    }
}

/// Whether one rule is fed and no other.
fn is_alone(routes: &[Route]) -> bool {
    routes.iter().filter(|route| !route.has_left()).count() == 1
}

/// Returns what is next on a stream, and tells the routes when there is nothing.
async fn next(messages: &mut Messages, routes: &[Route]) -> Result<Option<Bytes>, CallError> {
    if let Some(ready) = messages.next().now_or_never() {
        return ready;
    }
    routes.iter().for_each(Route::emptied);
    let next = messages.next().await;
    routes.iter().for_each(Route::emptied);
    next
}

async fn nothing_for(patience: Duration) {
    if !patience.is_zero() {
        sleep(patience).await;
    }
}

fn ended() -> End {
    let message = "the daemon ended the stream".to_owned();
    End::Lost(CallError::new("OK", message, Disposition::Retry))
}

/// Takes what else is ready behind a first message; with it the stream's end, where that is ready too.
fn ready(first: Bytes, messages: &mut Messages) -> (Vec<Bytes>, Option<Result<(), CallError>>) {
    let mut batch = vec![first];
    while batch.len() < BATCH {
        match messages.next().now_or_never() {
            None => break,
            Some(Ok(Some(next))) => batch.push(next),
            Some(Ok(None)) => return (batch, Some(Ok(()))),
            Some(Err(error)) => return (batch, Some(Err(error))),
        }
    }
    (batch, None)
}
