//! A connection of a caller's own, on the caller's thread, for as long as it makes many calls.
//!
//! Commands share a connection, which lives on the thread that has the sockets. Each call on it wakes that thread and is
//! woken by it, which costs more than all else of the call, and each of the two frees memory of the other's. On a
//! connection that lives on the thread of its caller nothing crosses. It is opened beside the calls once they are many, and
//! nobody waits for it; few calls are not worth it, as a connection is kept up by asking whether the daemon is there.
//! Whatever becomes of it, calls have the shared one: only what was on it when it broke fails with it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    runtime::Handle,
    sync::{OwnedSemaphorePermit, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{
    CONNECT_TIMEOUT,
    connection::{Connection, Gate, Lease, Purpose},
    transport::Target,
};

/// Calls within one [`SPELL`] that are many. Spells follow each other, the first call after one begins the next.
const MANY: u32 = 64;

const SPELL: Duration = Duration::from_secs(1);

/// For how long calls may be few before the connection is closed.
const QUIET: Duration = Duration::from_secs(30);

/// How long after an attempt the next one may be made, whatever came of it: a daemon that takes one more connection for a
/// moment only would fail the calls on it each time.
const PAUSE: Duration = Duration::from_secs(30);

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
    /// When an attempt may be made; none while one is under way.
    next_try: Option<Instant>,
    /// Calls since the spell began.
    calls: u32,
    spell: Instant,
    /// When calls were many last.
    busy: Instant,
}

impl Dedicated {
    pub(super) fn new(target: Target, gate: Arc<Gate>, sockets: Handle, place: OwnedSemaphorePermit) -> Arc<Self> {
        let now = Instant::now();
        let state = State { connection: None, next_try: Some(now), calls: 0, spell: now, busy: now };
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
        let lease = state.connection.as_ref()?.lease(Purpose::Dedicated);
        if lease.is_none() {
            // It goes on for the calls that are on it.
            state.connection = None;
        }
        lease
    }

    /// Makes a connection beside what else goes on, where calls are many and there is none. The daemon is there.
    pub(super) fn wish(self: &Arc<Self>) {
        let mut state = self.state();
        let may_try = state.next_try.is_some_and(|at| at <= Instant::now());
        if state.calls >= MANY && state.connection.is_none() && may_try {
            state.next_try = None;
            tokio::spawn(keep(Arc::downgrade(self), self.connect()));
        }
    }

    /// Makes a connection that lives on this runtime; of all callers one at a time.
    fn connect(&self) -> impl Future<Output = Option<Arc<Connection>>> + Send + use<> {
        let (target, gate, sockets) = (self.target.clone(), Arc::clone(&self.gate), self.sockets.clone());
        async move {
            let (pass, passed) = oneshot::channel();
            let (made, is_made) = oneshot::channel::<()>();
            let (host, turns) = (target.clone(), Arc::clone(&gate));
            // The turn is kept there: this thread may be busy with something else meanwhile, or never come back.
            sockets.spawn(async move {
                let Some(_turn) = turns.turn().await.filter(|_| !pass.is_closed()) else { return };
                let reached = timeout(CONNECT_TIMEOUT, host.reach()).await;
                let Ok(Ok(Ok(stream))) = reached.map(|reached| reached.map(TcpStream::into_std)) else { return };
                if pass.send(stream).is_ok() {
                    drop(timeout(CONNECT_TIMEOUT, is_made).await);
                }
            });
            let stream = passed.await.ok()?;
            let reached = async { TcpStream::from_std(stream) };
            let connection = Connection::make(target, reached, Purpose::Dedicated, gate).await;
            drop(made);
            connection.ok()
        }
    }

    /// Until when it needs this connection, as far as is known; lets it go where that is over.
    fn needs(&self, kept: &Weak<Connection>) -> Option<Instant> {
        let mut state = self.state();
        if !Weak::ptr_eq(&Arc::downgrade(state.connection.as_ref()?), kept) {
            return None;
        }
        let until = state.busy + QUIET;
        if until <= Instant::now() {
            state.connection = None;
            return None;
        }
        Some(until)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands a connection over to whom it is for, and takes it back when calls have been few for a while.
async fn keep(owner: Weak<Dedicated>, connected: impl Future<Output = Option<Arc<Connection>>>) {
    let connection = connected.await;
    let kept = connection.as_ref().map(Arc::downgrade);
    if let Some(owner) = owner.upgrade() {
        let mut state = owner.state();
        state.next_try = Some(Instant::now() + PAUSE);
        state.connection = connection;
    }
    let Some(kept) = kept else { return };
    while let Some(until) = owner.upgrade().and_then(|owner| owner.needs(&kept)) {
        sleep_until(until).await;
    }
}
