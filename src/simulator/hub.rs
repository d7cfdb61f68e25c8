//! The live streams: who listens to what, and with which conditions. What happens is the world's to say.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use tonic::Status;

use super::{filters::Conditions, queue::Queue};
use crate::schema::{Subscription, wire::Reader, wire::Value};

/// A notification as it goes over the wire, with the name of its subscription.
pub type Notification = (Arc<Subscription>, Bytes);

/// A stream that is open now.
#[derive(Debug, Clone)]
pub struct LiveStream {
    /// The identity it belongs to.
    pub identity: String,
    /// What it listens to.
    pub subscription: Arc<Subscription>,
    /// The encoded request.
    pub request: Bytes,
    /// How many notifications were sent on it.
    pub sent: u64,
    /// How many of them its reader has not taken yet.
    pub waiting: usize,
}

/// All live streams.
#[derive(Debug, Default)]
pub(super) struct Hub {
    subscribers: Vec<Subscriber>,
    observers: Vec<Observer>,
    next_seat: u64,
    /// Notifications put on a stream, by identity, since the start.
    sent: HashMap<u64, u64>,
    /// Streams opened, by identity, since the start.
    opened: HashMap<u64, u64>,
}

#[derive(Debug)]
struct Subscriber {
    seat: u64,
    identity: u64,
    subscription: Arc<Subscription>,
    request: Bytes,
    conditions: Conditions,
    remaining: Option<u64>,
    sent: u64,
    queue: Arc<Queue<Bytes>>,
}

#[derive(Debug)]
struct Observer {
    seat: u64,
    identity: u64,
    queue: Arc<Queue<Notification>>,
}

impl Hub {
    /// Opens a stream. Fails where its request is not a message or holds a pattern that does not compile.
    pub(super) fn subscribe(
        &mut self,
        identity: u64,
        subscription: &Arc<Subscription>,
        request: Bytes,
    ) -> Result<(u64, Arc<Queue<Bytes>>), Status> {
        let conditions = Conditions::of(&subscription.method, &request)?;
        let remaining = count_of(subscription, &request)?;
        let (seat, queue) = (self.seat(), Queue::new());
        *self.opened.entry(identity).or_default() += 1;
        self.subscribers.push(Subscriber {
            seat,
            identity,
            subscription: Arc::clone(subscription),
            request,
            conditions,
            remaining,
            sent: 0,
            queue: Arc::clone(&queue),
        });
        Ok((seat, queue))
    }

    /// Opens a view of everything that an identity is notified of.
    pub(super) fn observe(&mut self, identity: u64) -> (u64, Arc<Queue<Notification>>) {
        let (seat, queue) = (self.seat(), Queue::new());
        self.observers.push(Observer { seat, identity, queue: Arc::clone(&queue) });
        (seat, queue)
    }

    /// Forgets a stream that is no longer read.
    pub(super) fn leave(&mut self, seat: u64) {
        self.subscribers.retain(|subscriber| subscriber.seat != seat);
        self.observers.retain(|observer| observer.seat != seat);
    }

    /// Puts a notification on every stream whose conditions it meets and returns their number.
    ///
    /// A stream whose `count` is reached ends, as does one whose reader is too far behind.
    pub(super) fn publish(&mut self, identity: u64, subscription: &Arc<Subscription>, notification: &Bytes) -> usize {
        let mut reached = 0;
        self.subscribers.retain_mut(|subscriber| {
            let listens = subscriber.identity == identity && subscriber.subscription.name == subscription.name;
            if !listens || !subscriber.conditions.accept(notification) {
                return true;
            }
            if !subscriber.queue.push(notification.clone()) {
                return false;
            }
            reached += 1;
            subscriber.sent += 1;
            if let Some(remaining) = &mut subscriber.remaining {
                *remaining -= 1;
                if *remaining == 0 {
                    subscriber.queue.finish(Ok(()));
                    return false;
                }
            }
            true
        });
        self.observers.retain(|observer| {
            observer.identity != identity || observer.queue.push((Arc::clone(subscription), notification.clone()))
        });
        *self.sent.entry(identity).or_default() += reached as u64;
        reached
    }

    /// Ends the streams of some identities, behind what already waits, and returns their number.
    pub(super) fn end_where(&mut self, concerned: impl Fn(u64) -> bool, status: &Status) -> usize {
        let before = self.subscribers.len();
        self.subscribers.retain(|subscriber| {
            let ends = concerned(subscriber.identity);
            if ends {
                subscriber.queue.finish(Err(status.clone()));
            }
            !ends
        });
        before - self.subscribers.len()
    }

    pub(super) fn sent(&self, identity: u64) -> u64 {
        self.sent.get(&identity).copied().unwrap_or_default()
    }

    pub(super) fn opened(&self, identity: u64) -> u64 {
        self.opened.get(&identity).copied().unwrap_or_default()
    }

    pub(super) fn open(&self, identity: u64) -> usize {
        self.subscribers.iter().filter(|subscriber| subscriber.identity == identity).count()
    }

    /// How many notifications no reader has taken yet.
    pub(super) fn waiting(&self) -> usize {
        self.subscribers.iter().map(|subscriber| subscriber.queue.len()).sum()
    }

    pub(super) fn streams(&self, name: impl Fn(u64) -> String) -> Vec<LiveStream> {
        let live = |subscriber: &Subscriber| LiveStream {
            identity: name(subscriber.identity),
            subscription: Arc::clone(&subscriber.subscription),
            request: subscriber.request.clone(),
            sent: subscriber.sent,
            waiting: subscriber.queue.len(),
        };
        self.subscribers.iter().map(live).collect()
    }

    fn seat(&mut self) -> u64 {
        self.next_seat += 1;
        self.next_seat
    }
}

/// Reads the limit of a subscription request; absent and 0 mean none.
fn count_of(subscription: &Subscription, request: &[u8]) -> Result<Option<u64>, Status> {
    let plan = &subscription.method.input;
    let mut reader = Reader::new(plan, request);
    let mut count = None;
    loop {
        match reader.advance() {
            Ok(Some((index, Value::Unsigned(number)))) if plan.fields[index].name == "count" => count = Some(number),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(count.filter(|count| *count > 0)),
            Err(error) => return Err(Status::invalid_argument(error.to_string())),
        }
    }
}
