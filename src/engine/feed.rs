//! A feed: one stream, kept open, and the rules it feeds.
//!
//! One task each. It opens, hands over, and opens again after a pause; a completed one ends. Every change of its state
//! stands in its [`Cell`] and is told once. When a queue is full it waits, and with it its stream, through flow control:
//! nobody else's. Which rules it feeds may change while it runs.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use backon::ExponentialBackoff;
use bytes::Bytes;
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    select,
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    catch_up::{CatchUp, now},
    cell::Cell,
    handover::DRY,
    herald::{Change, Herald},
    route::Route,
};
use crate::{
    daemon::{CallError, Daemon, Disposition, Messages, pauses},
    lua::Counters,
    schema::{Subscription, encode},
};

/// Notifications handed over at once, when so many are ready.
const BATCH: usize = 64;

/// A stream that lived this long was a good one: the next loss starts with the shortest pause.
const STABLE: Duration = Duration::from_secs(10);

/// A subscription that is not answered and not refused either for so long is told to be open.
const ASSUMED_OPEN: Duration = Duration::from_secs(2);

/// What a half-dead connection takes at most to be noticed: for so long before a loss nothing is known.
const UNNOTICED: SignedDuration = SignedDuration::from_secs(20);

/// Pauses where trying again soon cannot help.
const REFUSED_PAUSE: Duration = Duration::from_mins(5);
const UNAUTHORISED_PAUSE: Duration = Duration::from_secs(30);
const SLOWER_PAUSE: Duration = Duration::from_secs(5);
const LATER_PAUSE: Duration = Duration::from_mins(1);

/// What a feed's task is made of.
pub(super) struct Feed {
    pub(super) cell: Arc<Cell>,
    pub(super) subscription: Arc<Subscription>,
    pub(super) request: Bytes,
    /// What is left of the rule's `count`.
    pub(super) remaining: Option<u64>,
    /// By which it finds out what it missed, where that can be had.
    pub(super) catch_up: Option<CatchUp>,
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
    Dry,
    Message(Result<Option<Bytes>, CallError>),
}

impl Feed {
    /// Keeps the stream open until it completes, the host stops, or its last rule has gone.
    pub(super) async fn run(mut self) {
        let count = self.remaining.unwrap_or_default();
        let mut attempts = pauses();
        let (mut away, mut again) = (None, true);
        loop {
            let mut opened = None;
            let error = match self.once(&mut opened, &mut away).await {
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
                away = Some(self.last_heard());
            }
            if opened.is_some_and(|opened: Instant| opened.elapsed() >= STABLE) {
                attempts = pauses();
            }
            let retry_at = retry_at(&error, was_open, &mut attempts);
            self.cell.failed(&error, was_open, retry_at, &self.herald).await;
            if !self.pause(&error, retry_at).await {
                break;
            }
        }
        // Whoever still waits for this stream to let a rule go, or to take one over, need not.
        self.let_go().await;
        self.current().iter().for_each(|route| route.lost(true));
        self.hand_over(&[], false).await;
    }

    /// Hands over what waited for rules that have arrived, and lets all rules go that leave: there is nothing to come on
    /// this stream. What it still had is the new ones' to list.
    async fn let_go(&self) {
        self.hand_over(&[], false).await;
        let rest = self.catch_up.as_ref().and_then(CatchUp::cursor);
        self.current().iter().for_each(|route| route.leave_behind(rest.as_ref()));
    }

    /// Waits until the next attempt is due; false when there is to be none.
    async fn pause(&mut self, error: &CallError, retry_at: Instant) -> bool {
        let (unreachable, unauthorised) = (error.retry_at.is_some(), error.disposition == Disposition::Unauthorised);
        loop {
            self.let_go().await;
            if self.is_left() {
                return false;
            }
            select! {
                () = self.closing.cancelled() => return false,
                () = sleep_until(retry_at) => return true,
                () = self.daemon.reached(), if unreachable => return true,
                () = self.daemon.rekeyed(), if unauthorised => return true,
                changed = self.routes.changed() => if changed.is_err() { return false },
                // The operator changed something: it is worth an attempt.
                () = self.stir.notified() => if is_slow(error.disposition) { return true },
            }
        }
    }

    /// Opens the stream once and hands over until it ends; `opened` says since when it was open, `away` since when it
    /// was not.
    async fn once(&mut self, opened: &mut Option<Instant>, away: &mut Option<Timestamp>) -> End {
        let place = select! {
            () = self.closing.cancelled() => return End::Closed,
            place = self.daemon.place() => place,
        };
        let place = match place {
            Ok(place) => place,
            Err(error) => return End::Lost(error),
        };
        *opened = Some(Instant::now());
        let (daemon, subscription, request) =
            (self.daemon.clone(), Arc::clone(&self.subscription), self.current_request());
        let mut subscribing = pin!(daemon.subscribe(place, &subscription.method, request));
        let messages = select! {
            () = self.closing.cancelled() => return End::Closed,
            messages = &mut subscribing => Some(messages),
            // A server may keep its headers until the first notification. What it refuses it refuses at once.
            () = sleep(ASSUMED_OPEN) => None,
        };
        if let Some(Err(error)) = messages {
            return End::Lost(error);
        }
        if let Some(end) = self.opened(away).await {
            return end;
        }
        let messages = if let Some(messages) = messages {
            messages
        } else {
            select! {
                () = self.closing.cancelled() => return End::Closed,
                messages = subscribing => messages,
            }
        };
        match messages {
            Err(error) => End::Lost(error),
            Ok(messages) => self.read(messages).await,
        }
    }

    /// The stream stands: tells it, and hands over what was missed before the stream is read. An end, where the host is
    /// stopping meanwhile or the daemon went away.
    async fn opened(&mut self, away: &mut Option<Timestamp>) -> Option<End> {
        self.cell.opened(&self.herald).await;
        self.current().iter().for_each(Route::opened);
        self.take_rest();
        self.recover(away).await
    }

    /// Takes over what streams still had whose rules came here; returns whether there is any.
    fn take_rest(&mut self) -> bool {
        let rests: Vec<_> = self.current().iter().filter_map(Route::take_rest).collect();
        if let Some(catch_up) = &mut self.catch_up {
            for rest in &rests {
                catch_up.take_over(rest.clone(), now());
            }
        }
        !rests.is_empty()
    }

    /// Hands over what was missed, and tells it. An end, where the host is stopping meanwhile or the daemon went away.
    async fn recover(&mut self, away: &mut Option<Timestamp>) -> Option<End> {
        let closing = self.closing.clone();
        let caught_up = select! {
            () = closing.cancelled() => return Some(End::Closed),
            caught_up = self.catch_up() => caught_up,
        };
        if !matches!(caught_up, Err((_, false))) {
            self.current().iter().for_each(Route::rested);
        }
        let change = match (caught_up, away.take()) {
            (Ok(Some(0)), _) | (Ok(None), None) => return None,
            (Ok(Some(notifications)), _) => Change::CaughtUp { notifications },
            (Ok(None), Some(from)) => Change::Gap { from, to: Timestamp::now(), cause: None },
            (Err((error, false)), from) => {
                *away = from;
                return Some(End::Lost(error));
            }
            (Err((error, true)), from) => {
                let to = Timestamp::now();
                Change::Gap { from: from.unwrap_or(to), to, cause: Some(error.to_string()) }
            }
        };
        self.herald.tell(self.cell.id, self.cell.name(), change).await;
        (self.remaining == Some(0)).then_some(End::Completed)
    }

    /// Hands over what was missed, and returns how many notifications that were; none where nothing is to be listed. With
    /// an error, whether the stream is to be read without.
    async fn catch_up(&mut self) -> Result<Option<u64>, (CallError, bool)> {
        let Some(catch_up) = &mut self.catch_up else { return Ok(None) };
        if !catch_up.opened(now()) {
            return Ok(None);
        }
        let mut missed = match catch_up.missed(&self.daemon).await {
            Ok(missed) => missed,
            Err(error) => return Err(self.not_caught_up(error)),
        };
        let mut notifications = 0;
        loop {
            let Some(catch_up) = &self.catch_up else { return Ok(None) };
            match missed.next_batch(catch_up).await {
                Err(error) => return Err(self.not_caught_up(error)),
                Ok(Some(batch)) => {
                    notifications += batch.len() as u64;
                    self.received(&batch, true).await;
                    self.catch_up.iter_mut().for_each(|catch_up| catch_up.handed_over(&batch, now()));
                }
                Ok(None) => {
                    self.catch_up.iter_mut().for_each(CatchUp::caught_up);
                    return Ok(Some(notifications));
                }
            }
        }
    }

    fn not_caught_up(&mut self, error: CallError) -> (CallError, bool) {
        let without = self.catch_up.as_mut().is_none_or(|catch_up| catch_up.failed(&error));
        (error, without)
    }

    /// Hands over what comes until the stream ends.
    async fn read(&mut self, mut messages: Messages) -> End {
        loop {
            match self.wake(&mut messages).await {
                Wake::Closing => return End::Closed,
                Wake::Stirred => {
                    if self.take_rest()
                        && let Some(end) = self.recover(&mut None).await
                    {
                        return end;
                    }
                    self.hand_over(&[], false).await;
                    if self.is_left() {
                        return End::Closed;
                    }
                }
                Wake::Dry => self.leave_dry(),
                Wake::Message(Ok(Some(first))) => {
                    let (mut batch, end) = ready(first, &mut messages);
                    if let Some(catch_up) = &mut self.catch_up {
                        let now = now();
                        batch.retain(|notification| catch_up.is_new(notification, now));
                    }
                    self.received(&batch, false).await;
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
        }
    }

    async fn wake(&mut self, messages: &mut Messages) -> Wake {
        let routes = self.current();
        let (leaving, full) = (routes.iter().any(Route::is_awaited), routes.iter().any(Route::is_full));
        select! {
            () = self.closing.cancelled() => Wake::Closing,
            () = self.stir.notified() => Wake::Stirred,
            Ok(()) = self.routes.changed() => Wake::Stirred,
            next = messages.next(), if !full => Wake::Message(next),
            () = sleep(DRY), if leaving => Wake::Dry,
        }
    }

    /// Lets the rules go whose new streams stand: there is nothing on this one.
    fn leave_dry(&self) {
        self.current().iter().filter(|route| route.is_awaited()).for_each(|route| route.leave_behind(None));
    }

    /// Whether no rule is left to be fed.
    fn is_left(&self) -> bool {
        self.current().iter().all(Route::has_left)
    }

    fn lost(&self, error: &CallError) {
        // What is not going to stand has the old stream no longer asked for either.
        let for_good = matches!(error.disposition, Disposition::Permanent | Disposition::Unauthorised);
        self.current().iter().for_each(|route| route.lost(for_good));
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

    async fn received(&mut self, batch: &[Bytes], caught_up: bool) {
        // A rule is owed its count and no more, even of a daemon that goes on.
        let owed = self.remaining.and_then(|remaining| usize::try_from(remaining).ok()).unwrap_or(usize::MAX);
        let batch = &batch[..batch.len().min(owed)];
        let frames = batch.len() as u64;
        self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(frames));
        self.cell.note(frames, self.remaining);
        self.hand_over(batch, caught_up).await;
        // Behind the queues' own counters: who sees all as received must not see too few as queued.
        self.counters.received.fetch_add(frames, Ordering::AcqRel);
    }

    /// Hands notifications to the rules, and to those that have just arrived what waited for them.
    async fn hand_over(&self, batch: &[Bytes], caught_up: bool) {
        for route in &*self.current() {
            route.hand_over(batch, caught_up).await;
        }
    }
}

/// When to try again.
fn retry_at(error: &CallError, was_open: bool, attempts: &mut ExponentialBackoff) -> Instant {
    // All feeds wait for the same moment; the first to ask then makes the one attempt for all.
    if let Some(at) = error.retry_at {
        return at;
    }
    let mut soon = || attempts.next().unwrap_or(UNAUTHORISED_PAUSE);
    let pause = match (error.pause, error.disposition) {
        // The daemon says itself when to come again.
        (Some(pause), _) => pause,
        (_, Disposition::Again | Disposition::Retry) => soon(),
        (_, Disposition::Slower) => soon().max(SLOWER_PAUSE),
        // What was open is tried again soon, whatever it ended with: the answer to that tells.
        _ if was_open => soon(),
        (_, Disposition::Later) => LATER_PAUSE,
        (_, Disposition::Permanent) => REFUSED_PAUSE,
        (_, Disposition::Unauthorised) => UNAUTHORISED_PAUSE,
    };
    Instant::now() + pause
}

/// Whether the pause after it is so long that a change of the rules is worth an attempt.
fn is_slow(disposition: Disposition) -> bool {
    matches!(disposition, Disposition::Later | Disposition::Permanent | Disposition::Unauthorised)
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
