//! Connections and who is on them.
//!
//! A pool opens a connection when no open one has room, one at a time, and remembers a failed attempt: until its pause
//! is over every caller gets the same answer at once, so that a thousand feeds do not storm a daemon that restarts. A
//! connection that failed is not used again; what holds it finds out by its own error.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::{
    runtime::Handle,
    sync::{Mutex as AsyncMutex, watch},
    time::{Instant, timeout},
};
use tonic::{Status, transport::Channel};

use super::{
    CONNECT_TIMEOUT,
    error::{CallError, broken, innermost, is_transport},
    preface::Greeting,
    transport::{Connector, Target},
};

/// Streams on one connection where the daemon sets no lower limit. With `STREAM_WINDOW` each, all of them stalled take
/// half of `CONNECTION_WINDOW`: the other half is what keeps a busy stream going beside stuck ones.
pub const STREAMS_PER_CONNECTION: usize = 256;

/// Bytes that one stream may have under way: small, because what waits in the kernel and in us leaves the cache.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Bytes that all streams of a connection may have under way.
#[expect(clippy::cast_possible_truncation, reason = "256 streams of 64 KiB, twice, are 32 MiB")]
const CONNECTION_WINDOW: u32 = 2 * STREAM_WINDOW * STREAMS_PER_CONNECTION as u32;

/// A command's answer may be a photo or an attachment: wider, so that a download is not bound by round trips.
const COMMAND_WINDOW: u32 = 1024 * 1024;

/// With [`PING_TIMEOUT`], what a half-dead peer costs at most before it is noticed: 18 s, idle or busy.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(8);

/// How long the server's first frame, its settings, may take behind the handshake before we stop waiting for its limit.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(2);

/// What a pool's connections carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Long streams, each in a place of its own.
    Subscriptions,
    /// Short calls, any number on one connection; beyond the daemon's limit they wait for each other.
    Commands,
}

pub(super) struct Pool {
    target: Target,
    purpose: Purpose,
    /// The runtime that owns the sockets: a connection may be asked for on any thread, it lives on this one.
    io: Handle,
    gate: Arc<Gate>,
    connections: AsyncMutex<Vec<Arc<Connection>>>,
}

/// Whether the daemon can be reached: what the pools of one daemon know together, so that it sees one attempt at a time
/// and what one learns helps the other.
#[derive(Default)]
pub(super) struct Gate {
    failure: Mutex<Option<Failure>>,
    reached: watch::Sender<()>,
}

/// The last attempt, while its pause lasts; the pauses go on where they were until one succeeds.
struct Failure {
    error: CallError,
    until: Instant,
    pauses: ExponentialBackoff,
}

impl Gate {
    /// Waits until the daemon has been reached, from now on.
    pub(super) async fn reached(&self) {
        // The sender lives as long as this value.
        drop(self.reached.subscribe().changed().await);
    }

    fn closed(&self) -> Option<CallError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().filter(|failure| Instant::now() < failure.until).map(|failure| failure.error.clone())
    }

    fn open(&self) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.reached.send_replace(());
    }

    /// Starts the next pause; the error then says when it is over.
    fn close(&self, error: CallError) -> CallError {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pauses = failure.take().map_or_else(pauses, |failure| failure.pauses);
        let until = Instant::now() + pauses.next().unwrap_or(LONGEST_PAUSE);
        let error = CallError { retry_at: Some(until), ..error };
        *failure = Some(Failure { error: error.clone(), until, pauses });
        error
    }
}

struct Connection {
    channel: Channel,
    retired: AtomicBool,
    used: Mutex<usize>,
    /// What the server said it takes at one time.
    greeting: watch::Receiver<Greeting>,
}

/// A place on a connection, given back when dropped.
pub(super) struct Lease(Arc<Connection>);

impl Pool {
    pub(super) fn new(target: Target, purpose: Purpose, io: Handle, gate: Arc<Gate>) -> Self {
        Self { target, purpose, io, gate, connections: AsyncMutex::default() }
    }

    /// Finds a place, on a new connection if need be.
    pub(super) async fn lease(&self) -> Result<Lease, CallError> {
        let mut connections = self.connections.lock().await;
        connections.retain(|connection| !connection.retired.load(Ordering::Acquire));
        if let Some(lease) = connections.iter().find_map(|connection| connection.lease(self.purpose)) {
            return Ok(lease);
        }
        if let Some(error) = self.gate.closed() {
            return Err(error);
        }
        let connection = self.connect().await.map_err(|error| self.gate.close(error))?;
        self.gate.open();
        connections.push(Arc::clone(&connection));
        Ok(Lease::take(connection))
    }

    async fn connect(&self) -> Result<Arc<Connection>, CallError> {
        let (said, mut greeting) = watch::channel(Greeting::Awaited);
        let connector = Connector::new(self.target.clone(), said);
        let window = if self.purpose == Purpose::Commands { COMMAND_WINDOW } else { STREAM_WINDOW };
        let endpoint = self
            .target
            .endpoint()?
            .initial_stream_window_size(window)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true);
        let attempt = async move { timeout(CONNECT_TIMEOUT, endpoint.connect_with_connector(connector)).await };
        let channel = match self.io.spawn(attempt).await {
            Ok(Ok(Ok(channel))) => channel,
            Ok(Ok(Err(error))) => return Err(self.unreachable(&innermost(&error))),
            Err(error) => return Err(self.unreachable(&error.to_string())),
            Ok(Err(_)) => return Err(self.unreachable(&format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
        };
        // Until its settings are there more may be sent than the server takes, which it would refuse. One that does not
        // send them is none; the first call on it will tell.
        drop(timeout(SETTINGS_TIMEOUT, greeting.wait_for(|said| *said != Greeting::Awaited)).await);
        if let Greeting::Failed(cause) = &*greeting.borrow() {
            return Err(self.unreachable(cause));
        }
        Ok(Arc::new(Connection { channel, retired: AtomicBool::new(false), used: Mutex::new(0), greeting }))
    }

    fn unreachable(&self, cause: &str) -> CallError {
        CallError::unavailable(format!("cannot connect to {}: {cause}", self.target.url()))
    }
}

impl Connection {
    fn lease(self: &Arc<Self>, purpose: Purpose) -> Option<Lease> {
        let said = if let Greeting::Limit(limit) = *self.greeting.borrow() { limit as usize } else { usize::MAX };
        let room = match purpose {
            // A server that takes none at all would get one: its refusal is clearer than a silent wait.
            Purpose::Subscriptions => said.clamp(1, STREAMS_PER_CONNECTION),
            Purpose::Commands => usize::MAX,
        };
        let full = *self.used.lock().unwrap_or_else(PoisonError::into_inner) >= room;
        (!full).then(|| Lease::take(Arc::clone(self)))
    }
}

impl Lease {
    fn take(connection: Arc<Connection>) -> Self {
        *connection.used.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(connection)
    }

    pub(super) fn channel(&self) -> Channel {
        self.0.channel.clone()
    }

    /// Classifies a status; a connection that failed gets no further callers.
    pub(super) fn failed(&self, status: &Status) -> CallError {
        if is_transport(status) {
            self.0.retired.store(true, Ordering::Release);
        }
        CallError::from_status(status)
    }

    /// The connection is gone before anything was sent.
    pub(super) fn broken(&self, error: &tonic::transport::Error) -> CallError {
        self.0.retired.store(true, Ordering::Release);
        CallError::unavailable(broken(error))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.0.used.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Connecting again: 0.5 s doubling to 15 s, each with as much again at random, so 30 s at the most.
pub(crate) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(LONGEST_PAUSE / 2)
        .with_jitter()
        .without_max_times()
        .build()
}
