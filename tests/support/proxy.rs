//! A TCP proxy with a bad network in it: what passes, and what becomes of it, is said while it runs. It knows bytes only,
//! so that HTTP/2 and TLS are alike to it.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, tcp},
    select,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

/// What happens to bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Pass,
    /// Nothing gets through; it is kept.
    Stall,
    /// So many bytes get through a second.
    Slow(u32),
    /// The connection is closed behind so many bytes, from now on.
    CutAfter(usize),
    /// The byte behind so many is turned into another, from now on.
    Corrupt(usize),
}

/// The two directions, as the client sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    No,
    /// FIN, as a process does that exits.
    Close,
    /// RST, as a machine does that knows nothing of the connection.
    Reset,
}

/// A listener before a daemon; all of it is gone when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    daemon: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
    /// The address while nobody listens there, so that no other test is given the port.
    kept: Mutex<Option<TcpSocket>>,
}

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<Connection>>,
    taken: AtomicUsize,
    /// New connections are taken and nothing more.
    silent: std::sync::atomic::AtomicBool,
}

#[derive(Clone)]
struct Connection {
    up: watch::Sender<Flow>,
    down: watch::Sender<Flow>,
    end: watch::Sender<End>,
}

impl Connection {
    fn flow(&self, way: Way) -> &watch::Sender<Flow> {
        if way == Way::Up { &self.up } else { &self.down }
    }

    /// Whether it still carries anything: its task holds the receivers.
    fn lives(&self) -> bool {
        !self.end.is_closed()
    }
}

impl Proxy {
    /// Listens on a free port.
    pub(crate) async fn start(daemon: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy =
            Self { address, daemon, shared: Arc::default(), listening: Mutex::default(), kept: Mutex::default() };
        proxy.serve(listener);
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections were taken since the start.
    pub(crate) fn taken(&self) -> usize {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.live().len()
    }

    /// Refuses new connections, as no process at all does.
    pub(crate) async fn refuse(&self) {
        let listening = self.listening.lock().unwrap().take();
        if let Some(listening) = listening {
            listening.abort();
            drop(listening.await);
            *self.kept.lock().unwrap() = Some(bound(self.address));
        }
    }

    /// Takes new connections again, and passes what they carry.
    #[allow(clippy::unused_async, reason = "it takes a runtime to listen")]
    pub(crate) async fn accept(&self) {
        self.shared.silent.store(false, Ordering::Relaxed);
        let kept = self.kept.lock().unwrap().take();
        if let Some(kept) = kept {
            self.serve(kept.listen(1024).unwrap());
        }
    }

    /// Takes new connections and is silent on them, as a stopped process is.
    pub(crate) fn accept_silently(&self) {
        self.shared.silent.store(true, Ordering::Relaxed);
    }

    /// Changes what becomes of the bytes of all connections that are open.
    pub(crate) fn set(&self, way: Way, flow: Flow) {
        for connection in self.live() {
            connection.flow(way).send_replace(flow);
        }
    }

    /// The same for the one that was opened first of those that are open.
    pub(crate) fn set_first(&self, way: Way, flow: Flow) {
        self.live()[0].flow(way).send_replace(flow);
    }

    /// What comes of something within so long while that one carries nothing to the daemon.
    pub(crate) async fn without_the_first<T>(&self, time: Duration, what: impl Future<Output = T>) -> Option<T> {
        self.set_first(Way::Up, Flow::Stall);
        let outcome = timeout(time, what).await.ok();
        self.set_first(Way::Up, Flow::Pass);
        outcome
    }

    /// Lets nothing through in either direction.
    pub(crate) fn stall(&self) {
        self.set(Way::Up, Flow::Stall);
        self.set(Way::Down, Flow::Stall);
    }

    /// Ends all connections as a process does that exits.
    pub(crate) fn close(&self) {
        self.end(End::Close, usize::MAX);
    }

    /// Ends so many connections, the oldest first, as a machine does that forgot them.
    pub(crate) fn reset(&self, connections: usize) {
        self.end(End::Reset, connections);
    }

    /// There is no daemon for a time: what is open is reset, what is new is refused.
    pub(crate) async fn blackout(&self, time: Duration) {
        self.refuse().await;
        self.reset(usize::MAX);
        sleep(time).await;
        self.accept().await;
    }

    fn end(&self, end: End, connections: usize) {
        for connection in self.live().iter().take(connections) {
            connection.end.send_replace(end);
        }
    }

    fn live(&self) -> Vec<Connection> {
        let mut connections = self.shared.connections.lock().unwrap();
        connections.retain(Connection::lives);
        connections.clone()
    }

    fn serve(&self, listener: TcpListener) {
        let (shared, daemon) = (Arc::clone(&self.shared), self.daemon);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.taken.fetch_add(1, Ordering::Relaxed);
                let (up, down, end) =
                    (watch::Sender::new(Flow::Pass), watch::Sender::new(Flow::Pass), watch::Sender::new(End::No));
                let silent = shared.silent.load(Ordering::Relaxed);
                let flows = [up.subscribe(), down.subscribe()];
                // Not a child of the listener's: what is open stays when new ones are refused.
                tokio::spawn(carry(client, daemon, flows, end.subscribe(), silent));
                shared.connections.lock().unwrap().push(Connection { up, down, end });
            }
        });
        *self.listening.lock().unwrap() = Some(task);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.lock().unwrap().take() {
            listening.abort();
        }
        self.end(End::Reset, usize::MAX);
    }
}

/// Takes an address where connections may just have ended, without listening there yet.
pub(crate) fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn carry(
    mut client: TcpStream,
    daemon: SocketAddr,
    [up, down]: [watch::Receiver<Flow>; 2],
    mut end: watch::Receiver<End>,
    silent: bool,
) {
    let onward = if silent { None } else { TcpStream::connect(daemon).await.ok() };
    let ended = match onward {
        None if silent => how(&mut end).await,
        None => End::Reset,
        Some(mut onward) => {
            let ended = {
                let (from_client, to_client) = client.split();
                let (from_daemon, to_daemon) = onward.split();
                select! {
                    () = pump(from_client, to_daemon, up) => End::Close,
                    () = pump(from_daemon, to_client, down) => End::Close,
                    ended = how(&mut end) => ended,
                }
            };
            forget(&onward);
            ended
        }
    };
    match ended {
        End::Close => {
            // What is unread would turn the farewell into a reset.
            drop(client.shutdown().await);
            let mut rest = [0; 4096];
            while matches!(client.read(&mut rest).await, Ok(1..)) {}
        }
        _ => forget(&client),
    }
}

fn forget(socket: &TcpStream) {
    drop(SockRef::from(socket).set_linger(Some(Duration::ZERO)));
}

async fn how(end: &mut watch::Receiver<End>) -> End {
    // A proxy that is gone resets what it left.
    end.wait_for(|end| *end != End::No).await.map_or(End::Reset, |end| *end)
}

/// Carries bytes one way until the sender ends or the flow cuts.
async fn pump(mut from: tcp::ReadHalf<'_>, mut to: tcp::WriteHalf<'_>, mut flow: watch::Receiver<Flow>) {
    let mut buffer = vec![0; 16 * 1024];
    // Bytes that passed since the flow was changed.
    let mut passed = 0;
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        let mut bytes = &mut buffer[..read];
        if flow.has_changed().unwrap_or_default() {
            passed = 0;
        }
        let mut now = *flow.borrow_and_update();
        while now == Flow::Stall {
            if flow.changed().await.is_err() {
                return;
            }
            now = *flow.borrow_and_update();
        }
        match now {
            Flow::Corrupt(at) if (passed..passed + read).contains(&at) => bytes[at - passed] ^= 0xff,
            Flow::CutAfter(most) if passed + read > most => bytes = &mut bytes[..most.saturating_sub(passed)],
            _ => {}
        }
        passed += bytes.len();
        let written = if let Flow::Slow(rate) = now {
            drip(&mut to, bytes, rate, &flow).await
        } else {
            to.write_all(bytes).await
        };
        if written.is_err() || matches!(now, Flow::CutAfter(most) if passed >= most) {
            return;
        }
    }
}

/// Writes byte by byte, until the flow is changed.
async fn drip(
    to: &mut tcp::WriteHalf<'_>,
    bytes: &[u8],
    rate: u32,
    flow: &watch::Receiver<Flow>,
) -> std::io::Result<()> {
    for (at, byte) in bytes.iter().enumerate() {
        if flow.has_changed().unwrap_or(true) {
            return to.write_all(&bytes[at..]).await;
        }
        sleep(Duration::from_secs(1) / rate).await;
        to.write_all(&[*byte]).await?;
    }
    Ok(())
}

/// Keeps connections that nobody answers: a full queue before a listener.
pub(crate) fn crowd(address: SocketAddr) -> JoinSet<()> {
    let mut waiting = JoinSet::new();
    for _ in 0..8 {
        waiting.spawn(async move {
            let _waiting = TcpStream::connect(address).await;
            std::future::pending::<()>().await;
        });
    }
    waiting
}
