//! Connections and who is on them.
//!
//! A pool opens a connection when no open one has room, one at a time, and remembers a failed attempt: until its pause
//! is over every caller gets the same answer at once, so that a thousand feeds do not storm a daemon that restarts. A
//! connection that ended is not used again, and whatever was on it is told the same cause. A stream that is broken off is
//! that stream's affair only.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use bytes::Bytes;
use hyper::{client::conn::http2, rt::Executor};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    runtime::Handle,
    sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, OwnedSemaphorePermit, watch},
    time::{Instant, sleep, timeout, timeout_at},
};
use tonic::{Request, Status, body::Body, client::Grpc};

use super::{
    CONNECT_TIMEOUT, PING_TIMEOUT,
    codec::RawCodec,
    dedicated::Dedicated,
    error::{Break, CallError, innermost},
    exchange::Exchange,
    preface::Greeting,
    probe::liveness,
    transport::{Pulse, Socket, Target},
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

/// Bytes that the calls of one caller may have under way: what waits here is not counted to a script's memory.
const DEDICATED_WINDOW: u32 = 8 * COMMAND_WINDOW;

/// With [`PING_TIMEOUT`], what a half-dead peer costs at most before it is noticed: 18 s, idle or busy. It is asked by a
/// call of its own: gRPC servers end a connection that carries more than a few of HTTP/2's pings in five minutes. Doubled
/// for a daemon that finds it too often all the same, up to [`LONGEST_PING_INTERVAL`]; what the network loses is then
/// still noticed in time by TCP's own probes.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const LONGEST_PING_INTERVAL: Duration = Duration::from_mins(5);

/// What a daemon says with its farewell when it is pinged too often.
const TOO_MANY_PINGS: &str = "too_many_pings";

/// How long a call that failed with its connection waits for the cause that all its calls are told. It is there at once,
/// unless the farewell cannot be sent.
const CAUSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a pool's connections carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Long streams, each in a place of its own.
    Subscriptions,
    /// Short calls, any number on one connection; beyond the daemon's limit they wait for each other.
    Commands,
    /// The same, of one caller.
    Dedicated,
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
pub(super) struct Gate {
    failure: Mutex<Option<Failure>>,
    reached: watch::Sender<()>,
    /// How often a new connection asks whether its peer is there.
    pings: Mutex<Duration>,
    /// Whose turn it is to make a connection beside those of the pools.
    turn: AsyncMutex<()>,
}

impl Default for Gate {
    fn default() -> Self {
        let (failure, reached, turn) = Default::default();
        Self { failure, reached, pings: Mutex::new(PING_INTERVAL), turn }
    }
}

/// The last attempt, while its pause lasts; the pauses go on where they were until one succeeds.
struct Failure {
    error: CallError,
    until: Instant,
    pauses: ExponentialBackoff,
}

impl Gate {
    /// Changes when the daemon has been reached, from now on.
    pub(super) fn reached(&self) -> watch::Receiver<()> {
        self.reached.subscribe()
    }

    fn closed(&self) -> Option<CallError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().filter(|failure| Instant::now() < failure.until).map(|failure| failure.error.clone())
    }

    /// Waits until nobody else makes a connection beside those of the pools; none where the daemon cannot be reached then.
    pub(super) async fn turn(&self) -> Option<AsyncMutexGuard<'_, ()>> {
        let turn = self.turn.lock().await;
        self.closed().is_none().then_some(turn)
    }

    fn open(&self) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.reached.send_replace(());
    }

    fn pings(&self) -> Duration {
        *self.pings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that pings in this interval were too many; returns the interval from now on.
    fn slow_down(&self, interval: Duration) -> Duration {
        let mut pings = self.pings.lock().unwrap_or_else(PoisonError::into_inner);
        *pings = (*pings).max(LONGEST_PING_INTERVAL.min(interval * 2));
        *pings
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

pub(super) struct Connection {
    exchange: Exchange,
    target: Target,
    retired: AtomicBool,
    used: Mutex<usize>,
    /// What the server said it takes at one time.
    greeting: watch::Receiver<Greeting>,
    /// Why it ended.
    ended: watch::Receiver<Option<CallError>>,
    pulse: Arc<Pulse>,
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
        connections.retain(|connection| connection.lives());
        if let Some(lease) = connections.iter().find_map(|connection| connection.lease(self.purpose)) {
            return Ok(lease);
        }
        if let Some(error) = self.gate.closed() {
            return Err(error);
        }
        let (target, gate) = (self.target.clone(), Arc::clone(&self.gate));
        let reached = {
            let target = target.clone();
            async move { target.reach().await }
        };
        let attempt = self.io.spawn(Connection::make(target, reached, self.purpose, gate));
        let connected = attempt.await.unwrap_or_else(|error| Err(error.to_string()));
        let connection = connected.map_err(|cause| {
            let cause = format!("cannot connect to {}: {cause}", self.target.url());
            self.gate.close(CallError::unavailable(cause))
        })?;
        self.gate.open();
        connections.push(Arc::clone(&connection));
        Ok(Lease::take(connection))
    }

    /// What a caller with many calls has beside it.
    pub(super) fn dedicated(&self, place: OwnedSemaphorePermit) -> Arc<Dedicated> {
        Dedicated::new(self.target.clone(), Arc::clone(&self.gate), self.io.clone(), place)
    }
}

/// Asks, whenever nothing was heard for a while, whether the peer is there, and gives the connection up where it is not;
/// for as long as there is somebody on the connection. One whose places are all taken, as a server with a limit of one has
/// it, cannot be asked: there TCP's probes are what is left.
async fn look_after(connection: Weak<Connection>, interval: Duration) {
    loop {
        // What is heard in one half is asked for in the next: together they are the interval.
        sleep(interval / 2).await;
        let Some(connection) = connection.upgrade().filter(|connection| connection.lives()) else { return };
        if connection.pulse.take() || connection.has(connection.limit()) {
            continue;
        }
        let Some(path) = liveness() else { return };
        let mut grpc = connection.grpc();
        let asked = grpc.unary(Request::new(Bytes::new()), path, RawCodec);
        // Any answer is one, and so is anything else that is heard meanwhile.
        if timeout(PING_TIMEOUT, asked).await.is_err() && !connection.pulse.take() {
            return connection.pulse.give_up();
        }
    }
}

type Serving = http2::Connection<TokioIo<Socket>, Body, Tasks>;

/// Runs what HTTP/2 does beside the connection: for each request a task, which is done soon. Its memory is kept for as long
/// as the request's stream is open, as that still knows how to wake it, so only a pointer is in it; otherwise it would be
/// 1.7 KB for each open stream.
#[derive(Clone)]
struct Tasks;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        tokio::spawn(Box::pin(task));
    }
}

/// Drives a connection to its end and tells the cause of it, the same to everybody who was on it.
async fn serve(serving: Serving, over: watch::Sender<Option<CallError>>, pings: Duration, gate: Arc<Gate>) {
    let cause = match serving.await {
        Ok(()) => CallError::closed(),
        Err(error) => {
            let cause = CallError::broken(&error);
            if cause.message.contains(TOO_MANY_PINGS) {
                let interval = gate.slow_down(pings).as_secs();
                let advice = "the daemon finds our pings too frequent; they are sent every";
                CallError::unavailable(format!("{advice} {interval} s from now on"))
            } else {
                cause
            }
        }
    };
    over.send_replace(Some(cause));
}

impl Connection {
    /// Makes a connection that stands, on this runtime: the server has said its first word. Otherwise says why it does not.
    pub(super) async fn make(
        target: Target,
        reached: impl Future<Output = io::Result<TcpStream>>,
        purpose: Purpose,
        gate: Arc<Gate>,
    ) -> Result<Arc<Self>, String> {
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let seconds = CONNECT_TIMEOUT.as_secs();
        let (said, mut greeting) = watch::channel(Greeting::Awaited);
        let pulse = Arc::<Pulse>::default();
        let socket = async { target.secure(reached.await?, said, Arc::clone(&pulse)).await };
        let socket = timeout_at(deadline, socket).await;
        let socket = socket.map_err(|_| format!("no answer within {seconds} s"))?.map_err(|error| innermost(&error))?;
        let pings = gate.pings();
        let (window, connection_window) = match purpose {
            Purpose::Subscriptions => (STREAM_WINDOW, CONNECTION_WINDOW),
            Purpose::Commands => (COMMAND_WINDOW, CONNECTION_WINDOW),
            Purpose::Dedicated => (COMMAND_WINDOW, DEDICATED_WINDOW),
        };
        let handshake = http2::Builder::new(Tasks)
            .initial_stream_window_size(window)
            .initial_connection_window_size(connection_window)
            .handshake::<_, Body>(TokioIo::new(socket))
            .await;
        let (sender, serving) = handshake.map_err(|error| innermost(&error))?;
        let (over, ended) = watch::channel(None);
        tokio::spawn(serve(serving, over, pings, gate));
        // Until its settings are there more may be sent than the server takes, which it would refuse. A peer that takes a
        // connection and is silent is not there: a stopped process does that.
        match timeout_at(deadline, greeting.wait_for(|said| *said != Greeting::Awaited)).await {
            Err(_) => return Err(format!("it takes the connection and says nothing for {seconds} s")),
            Ok(Err(_)) => return Err("the connection was dropped".to_owned()),
            Ok(Ok(said)) => {
                if let Greeting::Failed(cause) = &*said {
                    return Err(cause.to_string());
                }
            }
        }
        let exchange = Exchange::new(sender);
        let (retired, used) = (AtomicBool::new(false), Mutex::new(0));
        let connection = Arc::new(Self { exchange, target, retired, used, greeting, ended, pulse });
        tokio::spawn(look_after(Arc::downgrade(&connection), pings));
        Ok(connection)
    }

    fn lives(&self) -> bool {
        !self.retired.load(Ordering::Acquire) && !self.exchange.is_closed()
    }

    /// Finds a place on it, if it goes on and has one.
    pub(super) fn lease(self: &Arc<Self>, purpose: Purpose) -> Option<Lease> {
        let room = match purpose {
            // One place is kept to ask whether the daemon is there. A server that takes none at all would get one: its
            // refusal is clearer than a silent wait.
            Purpose::Subscriptions => (self.limit() - 1).clamp(1, STREAMS_PER_CONNECTION),
            Purpose::Commands | Purpose::Dedicated => usize::MAX,
        };
        (self.lives() && !self.has(room)).then(|| Lease::take(Arc::clone(self)))
    }

    /// Whether at least so many calls are on it.
    fn has(&self, calls: usize) -> bool {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) >= calls
    }

    fn grpc(&self) -> Grpc<Exchange> {
        Grpc::with_origin(self.exchange.clone(), self.target.origin().clone())
    }

    /// How many calls the server takes at one time, at least one.
    fn limit(&self) -> usize {
        if let Greeting::Limit(limit) = *self.greeting.borrow() { (limit as usize).max(1) } else { usize::MAX }
    }

    fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }
}

impl Lease {
    fn take(connection: Arc<Connection>) -> Self {
        *connection.used.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(connection)
    }

    /// What calls are made with.
    pub(super) fn grpc(&self) -> Grpc<Exchange> {
        self.0.grpc()
    }

    /// Classifies the status of a call on this connection; one that ended gets no further callers.
    pub(super) async fn failed(&self, status: &Status) -> CallError {
        let broken = match Break::of(status) {
            None => return CallError::answered(status),
            Some(Break::Known(error)) => return error.clone(),
            Some(Break::Stream(error)) => return CallError::reset(error),
            Some(Break::Unsent) => {
                self.0.retire();
                return CallError::unsent();
            }
            Some(Break::Connection(error)) => CallError::broken(error),
        };
        self.0.retire();
        let mut ended = self.0.ended.clone();
        match timeout(CAUSE_TIMEOUT, ended.wait_for(Option::is_some)).await {
            Ok(Ok(cause)) => cause.clone().unwrap_or(broken),
            _ => broken,
        }
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
