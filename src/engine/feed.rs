//! A feed: one stream, kept open, and the queues it fills.
//!
//! One task each. It opens, hands over, and opens again after a pause; a completed one ends. Every change of its state is
//! told once. When a queue is full it waits, and with it its stream, through flow control: nobody else's.

use std::{
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

/// Pauses where trying again soon cannot help.
const REFUSED_PAUSE: Duration = Duration::from_mins(5);
const UNAUTHORISED_PAUSE: Duration = Duration::from_secs(30);
const SLOWER_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Feed {
    subscription: Arc<Subscription>,
    request: Bytes,
    /// What is left of the rule's `count`.
    remaining: Option<u64>,
    rules: Vec<Arc<str>>,
    queues: Vec<RuleQueue>,
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
        let subscription: Arc<str> = self.subscription.name.as_str().into();
        let rules: Arc<[Arc<str>]> = self.rules.clone().into();
        let mut attempts = pauses();
        let mut told: Option<String> = None;
        loop {
            let mut opened = None;
            let end = self.once(&daemon, &counters, &closing, || {
                opened = Some(Instant::now());
                reporter
                    .emit(&Event::FeedOpened { subscription: Arc::clone(&subscription), rules: Arc::clone(&rules) });
            });
            let error = match end.await {
                End::Closed => return,
                End::Completed => return reporter.emit(&Event::FeedCompleted { subscription, rules, count }),
                End::Lost(error) => error,
            };
            if opened.is_some_and(|opened| opened.elapsed() >= STABLE) {
                attempts = pauses();
            }
            let pause = match error.disposition {
                Disposition::Retry => attempts.next().unwrap_or(UNAUTHORISED_PAUSE),
                Disposition::Slower => attempts.next().unwrap_or(UNAUTHORISED_PAUSE).max(SLOWER_PAUSE),
                Disposition::Permanent => REFUSED_PAUSE,
                Disposition::Unauthorised => UNAUTHORISED_PAUSE,
            };
            let cause = error.to_string();
            if opened.is_some() || told.as_ref() != Some(&cause) {
                let (subscription, rules) = (Arc::clone(&subscription), Arc::clone(&rules));
                let (told_cause, retry_in) = (cause.clone(), pause.as_secs_f64());
                reporter.emit(&match error.disposition {
                    Disposition::Retry | Disposition::Slower => {
                        Event::FeedLost { subscription, rules, cause: told_cause, retry_in }
                    }
                    _ => Event::FeedRefused { subscription, rules, cause: told_cause, retry_in },
                });
            }
            told = Some(cause);
            select! {
                () = closing.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// Opens the stream once and hands over until it ends.
    async fn once(
        &mut self,
        daemon: &Daemon,
        counters: &Counters,
        closing: &CancellationToken,
        on_open: impl FnOnce(),
    ) -> End {
        let request = self.current_request();
        let opened = select! {
            () = closing.cancelled() => return End::Closed,
            opened = daemon.subscribe(&self.subscription.method, request) => opened,
        };
        let mut messages = match opened {
            Ok(messages) => messages,
            Err(error) => return End::Lost(error),
        };
        on_open();
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
            queue.push(batch).await;
        }
    }
}

fn ended() -> End {
    let message = "the daemon ended the stream".to_owned();
    End::Lost(CallError { code: "OK", message, disposition: Disposition::Retry })
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
