//! A connection of a caller's own, on the caller's thread, for as long as it makes many calls.
//!
//! Commands share a connection, which lives on the thread that has the sockets. Each call on it wakes that thread and is
//! woken by it, which costs more than all else of the call, and each of the two frees memory of the other's. On a
//! connection that lives on the thread of its caller nothing crosses. It is opened beside the calls once they are many, and
//! nobody waits for it; few calls are not worth it, as a connection is kept up by asking whether the daemon is there.
//!
//! A thread with sockets takes some descriptors, busy or not, so not every caller may have some: hosts with hundreds of
//! scripts get by with few descriptors.

use std::{
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use rustix::process::{Resource, getrlimit};
use tokio::{
    net::TcpStream,
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    connection::{Connection, Gate, Lease, Purpose},
    transport::Target,
};

/// Calls within [`SPELL`] that are many.
const MANY: u32 = 16;

const SPELL: Duration = Duration::from_secs(1);

/// For how long calls may be few before the connection is closed, or before one that failed is tried again.
const QUIET: Duration = Duration::from_secs(30);

/// One in so many of the process's descriptors is a caller's that may have a connection: with it and what waits for what
/// comes on it, it takes four.
const SHARE: u64 = 16;

/// Who may have a connection.
pub(super) fn places() -> Arc<Semaphore> {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let places = usize::try_from(descriptors / SHARE).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)))
}

/// What one caller has for itself. Calls are made on the runtime that the connection is to live on, which needs sockets.
pub(super) struct Dedicated {
    target: Target,
    gate: Arc<Gate>,
    /// Where names are looked up, as that takes threads of its own.
    sockets: Handle,
    state: Mutex<State>,
    _place: OwnedSemaphorePermit,
}

struct State {
    connection: Option<Arc<Connection>>,
    /// Whether a task looks after it, or makes it.
    is_kept: bool,
    /// Calls since the spell began.
    calls: u32,
    spell: Instant,
    /// When calls were many last.
    busy: Instant,
}

impl Dedicated {
    pub(super) fn new(target: Target, gate: Arc<Gate>, sockets: Handle, place: OwnedSemaphorePermit) -> Arc<Self> {
        let now = Instant::now();
        let state = State { connection: None, is_kept: false, calls: 0, spell: now, busy: now };
        Arc::new(Self { target, gate, sockets, state: Mutex::new(state), _place: place })
    }

    /// Takes note of a call, and finds a place for it where there is a connection.
    pub(super) fn lease(&self) -> Option<Lease> {
        let (mut state, now) = (self.state(), Instant::now());
        if now.duration_since(state.spell) >= SPELL {
            (state.spell, state.calls) = (now, 0);
        }
        state.calls += 1;
        if state.calls >= MANY {
            state.busy = now;
        }
        state.connection.as_ref().and_then(|connection| connection.lease(Purpose::Commands))
    }

    /// Makes a connection beside what else goes on, where calls are many and there is none.
    pub(super) fn wish(self: &Arc<Self>) {
        let mut state = self.state();
        if state.calls >= MANY && !mem::replace(&mut state.is_kept, true) {
            let kept = Kept(Arc::downgrade(self));
            tokio::spawn(kept.keep(self.connect()));
        }
    }

    /// Makes a connection that lives on this runtime.
    fn connect(&self) -> impl Future<Output = Result<Arc<Connection>, String>> + Send + use<> {
        let (target, sockets) = (self.target.clone(), self.sockets.clone());
        let reached = async move {
            let stream = sockets.spawn(async move { target.reach().await?.into_std() });
            TcpStream::from_std(stream.await.map_err(io::Error::other)??)
        };
        Connection::make(self.target.clone(), reached, Purpose::Commands, Arc::clone(&self.gate))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that looks after a connection. Dropped, the next call may ask for another.
struct Kept(Weak<Dedicated>);

impl Kept {
    async fn keep(self, connected: impl Future<Output = Result<Arc<Connection>, String>>) {
        // A daemon that takes no further connection may take one later: calls have the shared one.
        let connection = connected.await.ok();
        let mut ended = connection.as_ref().map(|connection| connection.ended());
        if let Some(owner) = self.0.upgrade() {
            owner.state().connection = connection;
        }
        loop {
            let Some(busy) = self.0.upgrade().map(|owner| owner.state().busy) else { return };
            if busy.elapsed() >= QUIET {
                return;
            }
            match &mut ended {
                None => sleep_until(busy + QUIET).await,
                Some(ended) => {
                    if timeout_at(busy + QUIET, ended.wait_for(Option::is_some)).await.is_ok() {
                        return;
                    }
                }
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(owner) = self.0.upgrade() {
            let mut state = owner.state();
            state.is_kept = false;
            // Calls that are on it keep it until they end.
            let closed = state.connection.take();
            drop(state);
            drop(closed);
        }
    }
}
