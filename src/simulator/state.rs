//! What all parts of the simulated daemon share, behind one lock that is never held across an await.
//!
//! Whatever an action causes is published before the lock is free again: when a command is answered, everything that
//! follows from it is already on the streams.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::watch;
use tonic::Status;

use super::{
    hub::Hub,
    queue::Queue,
    record::{Record, Recorded},
    script::Scripts,
    world::{Caller, Reply, World},
};
use crate::schema::{Catalog, Command, Subscription};

/// The world, who listens to it, and what a test wants to know or change of both.
#[derive(Debug)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) hub: Hub,
    pub(super) record: Record,
    pub(super) scripts: Scripts,
}

/// The state, and a signal that it changed.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Shared {
    pub(super) fn new(world: World) -> Arc<Self> {
        let state = State { world, hub: Hub::default(), record: Record::default(), scripts: Scripts::default() };
        Arc::new(Self { state: Mutex::new(state), changed: watch::Sender::new(()) })
    }

    /// Looks at the state or changes it. A panic of another holder does not spread.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait for a change that there may be one.
    pub(super) fn touch(&self) {
        self.changed.send_replace(());
    }

    /// Waits until something holds.
    pub(super) async fn until(&self, holds: impl Fn(&State) -> bool) {
        let mut changed = self.changed.subscribe();
        while !holds(&self.state()) {
            // The sender lives as long as `self`.
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Does what a command asks for, and publishes what follows.
    pub(super) fn perform(&self, caller: &Caller, command: &Command, frames: &[Bytes]) -> Result<Reply, Status> {
        let outcome = self.state().perform(caller, command, frames);
        self.touch();
        outcome
    }

    /// Writes down that a command arrived.
    pub(super) fn record(&self, caller: Option<&Caller>, command: &Arc<Command>, frames: &[Bytes]) {
        let mut state = self.state();
        let identity = caller.map(|caller| state.world.name_of(caller.identity)).unwrap_or_default();
        let time = state.world.now();
        state.record.add(Recorded {
            identity,
            command: Arc::clone(command),
            request: frames.first().cloned().unwrap_or_default(),
            messages: frames.len(),
            time,
        });
        drop(state);
        self.touch();
    }

    /// Opens a stream for a client.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        identity: u64,
        subscription: &Arc<Subscription>,
        request: Bytes,
    ) -> Result<Reading<Bytes>, Status> {
        let mut state = self.state();
        state.world.check_ids(identity, subscription, &request)?;
        let (seat, queue) = state.hub.subscribe(identity, subscription, request)?;
        drop(state);
        self.touch();
        Ok(Reading { queue, seat, shared: Arc::clone(self) })
    }
}

impl State {
    fn perform(&mut self, caller: &Caller, command: &Command, frames: &[Bytes]) -> Result<Reply, Status> {
        let outcome = self.world.call(caller, &command.name, frames);
        // A refused command may have changed nothing; if it did, its events are as true as any.
        for event in self.world.take_events() {
            let Some(subscription) = Catalog::embedded().subscription(event.subscription) else {
                debug_assert!(false, "the world notifies of `{}`", event.subscription);
                continue;
            };
            let reached = self.hub.publish(event.identity, subscription, &event.notification);
            self.world.published(&event, reached);
        }
        if command.admin {
            // Who no longer exists listens no more.
            let gone = Status::unauthenticated("the identity was deleted");
            self.hub.end_where(|identity| !self.world.has(identity), &gone);
        }
        outcome
    }
}

/// The reading end of a live stream. Dropped, it is no longer live.
pub(super) struct Reading<T> {
    pub(super) queue: Arc<Queue<T>>,
    pub(super) seat: u64,
    pub(super) shared: Arc<Shared>,
}

impl<T> Stream for Reading<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.queue.poll(context);
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            self.shared.touch();
        }
        polled
    }
}

impl<T> Drop for Reading<T> {
    fn drop(&mut self) {
        self.shared.state().hub.leave(self.seat);
        self.shared.touch();
    }
}
