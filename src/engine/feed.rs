//! A feed: one stream, kept open, and the queues it fills.
//!
//! One task each. It opens, hands over, and opens again after a pause; a completed one ends. Every change of its state is
//! told once. When a queue is full it waits, and with it its stream, through flow control: nobody else's.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::{
    select,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    daemon::{CallError, Daemon, Disposition, Messages, pauses},
    lua::{Counters, RuleQueue},
    report::{Event, Reporter},
    rules::Rule,
    schema::{Subscription, encode},
};

/// Notifications handed over at once, when so many are ready.
const BATCH: usize = 64;

/// A stream that lived this long was a good one: the next loss starts with the shortest pause.
const STABLE: Duration = Duration::from_secs(10);

/// A subscription that is not answered and not refused either for so long is told to be open.
const ASSUMED_OPEN: Duration = Duration::from_secs(2);

/// Pauses where trying again soon cannot help.
const REFUSED_PAUSE: Duration = Duration::from_mins(5);
const UNAUTHORISED_PAUSE: Duration = Duration::from_secs(30);
const LATER_PAUSE: Duration = Duration::from_mins(1);
const SLOWER_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Feed {
    subscription: Arc<Subscription>,
    request: Bytes,
    /// What is left of the rule's `count`.
    remaining: Option<u64>,
    rules: Vec<Arc<str>>,
    queues: Vec<RuleQueue>,
}

/// Tells each change of a feed's state once.
struct Teller {
    reporter: Reporter,
    subscription: Arc<str>,
    rules: Arc<[Arc<str>]>,
    told: Told,
}

/// What was told last.
#[derive(PartialEq, Eq)]
enum Told {
    Nothing,
    Open,
    Lost(String),
}

impl Teller {
    fn is_open(&self) -> bool {
        self.told == Told::Open
    }

    fn opened(&mut self) {
        if !self.is_open() {
            self.told = Told::Open;
            let (subscription, rules) = (Arc::clone(&self.subscription), Arc::clone(&self.rules));
            self.reporter.emit(&Event::FeedOpened { subscription, rules });
        }
    }

    fn lost(&mut self, error: &CallError, pause: Duration) {
        let cause = error.to_string();
        let now = Told::Lost(cause.clone());
        if self.told == now {
            return;
        }
        self.told = now;
        let (subscription, rules) = (Arc::clone(&self.subscription), Arc::clone(&self.rules));
        let retry_in = pause.as_secs_f64();
        self.reporter.emit(&match error.disposition {
            Disposition::Again | Disposition::Retry | Disposition::Slower | Disposition::Later => {
                Event::FeedLost { subscription, rules, cause, retry_in }
            }
            _ => Event::FeedRefused { subscription, rules, cause, retry_in },
        });
    }

    fn completed(self, count: u64) {
        self.reporter.emit(&Event::FeedCompleted { subscription: self.subscription, rules: self.rules, count });
    }
}

/// Why a stream is over.
enum End {
    /// The host is stopping.
    Closed,
    /// It delivered its count.
    Completed,
    /// To be opened again.
    Lost(CallError),
}

impl Feed {
    pub(super) fn new(rule: &Arc<Rule>, queue: &RuleQueue) -> Self {
        let (subscription, request) = (Arc::clone(&rule.subscription), rule.request.clone());
        let (rules, queues) = (vec![rule.name.as_str().into()], vec![queue.clone()]);
        Self { subscription, request, remaining: rule.count, rules, queues }
    }

    pub(super) fn add(&mut self, rule: &Arc<Rule>, queue: &RuleQueue) {
        self.rules.push(rule.name.as_str().into());
        self.queues.push(queue.clone());
    }

    /// Keeps the stream open until it completes or the host stops.
    pub(super) async fn run(
        mut self,
        daemon: Daemon,
        reporter: Reporter,
        counters: Arc<Counters>,
        closing: CancellationToken,
    ) {
        let count = self.remaining.unwrap_or_default();
        let (subscription, rules) = (self.subscription.name.as_str().into(), self.rules.clone().into());
        let mut teller = Teller { reporter, subscription, rules, told: Told::Nothing };
        let mut attempts = pauses();
        let mut again = true;
        loop {
            let mut opened = None;
            let error = match self.once(&daemon, &counters, &closing, &mut teller, &mut opened).await {
                End::Closed => return,
                End::Completed => return teller.completed(count),
                End::Lost(error) => error,
            };
            if opened.is_some_and(|opened| opened.elapsed() >= STABLE) {
                attempts = pauses();
            }
            if std::mem::replace(&mut again, error.disposition != Disposition::Again)
                && error.disposition == Disposition::Again
            {
                continue;
            }
            let pause = match (error.retry_at, error.disposition) {
                // All feeds wait for the same moment; the first to ask then makes the one attempt for all.
                (Some(at), _) => at.saturating_duration_since(Instant::now()),
                _ if error.pause.is_some() => error.pause.unwrap_or_default(),
                (_, Disposition::Later) => LATER_PAUSE,
                (_, Disposition::Again | Disposition::Retry) => attempts.next().unwrap_or(UNAUTHORISED_PAUSE),
                (_, Disposition::Slower) => attempts.next().unwrap_or(UNAUTHORISED_PAUSE).max(SLOWER_PAUSE),
                (_, Disposition::Permanent) => REFUSED_PAUSE,
                (_, Disposition::Unauthorised) => UNAUTHORISED_PAUSE,
            };
            teller.lost(&error, pause);
            let unreachable = error.retry_at.is_some();
            select! {
                () = closing.cancelled() => return,
                () = sleep(pause) => {}
                () = daemon.reached(), if unreachable => {}
            }
        }
    }

    /// Opens the stream once and hands over until it ends; `opened` says since when it was open.
    async fn once(
        &mut self,
        daemon: &Daemon,
        counters: &Counters,
        closing: &CancellationToken,
        teller: &mut Teller,
        opened: &mut Option<Instant>,
    ) -> End {
        let place = select! {
            () = closing.cancelled() => return End::Closed,
            place = daemon.place() => place,
        };
        let place = match place {
            Ok(place) => place,
            Err(error) => return End::Lost(error),
        };
        *opened = Some(Instant::now());
        let subscription = Arc::clone(&self.subscription);
        let mut subscribing = pin!(daemon.subscribe(place, &subscription.method, self.current_request()));
        let messages = loop {
            select! {
                () = closing.cancelled() => return End::Closed,
                messages = &mut subscribing => break messages,
                // A server may keep its headers until the first notification. What it refuses it refuses at once.
                () = sleep(ASSUMED_OPEN), if !teller.is_open() => teller.opened(),
            }
        };
        let mut messages = match messages {
            Ok(messages) => messages,
            Err(error) => return End::Lost(error),
        };
        teller.opened();
        loop {
            let next = select! {
                () = closing.cancelled() => return End::Closed,
                next = messages.next() => next,
            };
            match next {
                Ok(Some(first)) => {
                    let (batch, end) = ready(first, &mut messages);
                    self.hand_over(&batch, counters).await;
                    match end {
                        _ if self.remaining == Some(0) => return End::Completed,
                        None => {}
                        Some(Ok(())) => return ended(),
                        Some(Err(error)) => return End::Lost(error),
                    }
                }
                Ok(None) => return ended(),
                Err(error) => return End::Lost(error),
            }
        }
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

    async fn hand_over(&mut self, batch: &[Bytes], counters: &Counters) {
        // A rule is owed its count and no more, even of a daemon that goes on.
        let owed = self.remaining.and_then(|remaining| usize::try_from(remaining).ok()).unwrap_or(usize::MAX);
        let batch = &batch[..batch.len().min(owed)];
        let frames = batch.len() as u64;
        self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(frames));
        // Queued before received: who sees all as received must not see too few as queued.
        counters.queued.fetch_add(frames * self.queues.len() as u64, Ordering::AcqRel);
        counters.received.fetch_add(frames, Ordering::AcqRel);
        for queue in &self.queues {
            queue.push(batch, false).await;
        }
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
