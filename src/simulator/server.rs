//! The listener and its connections: HTTP/2, gRPC framing, and the ways in which a connection may end.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Status, body::Body, server::Grpc};

use super::{dispatch::Answering, state::Shared};
use crate::{daemon::codec::RawCodec, schema::Catalog};

/// How many clients may wait to be taken, as tokio has it for its own listeners.
const BACKLOG: u32 = 1024;

/// How long open calls may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// A server that may be stopped and started again at the same address.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    streams: Option<u32>,
    run: Arc<Mutex<Run>>,
    /// The address while nobody serves there: clients are refused, and no other process is given the port.
    kept: Arc<Mutex<Option<TcpSocket>>>,
}

/// What one period of serving is ended with.
#[derive(Debug, Default, Clone)]
struct Run {
    /// No new connections.
    closed: CancellationToken,
    /// The connections so far take no new calls.
    drained: CancellationToken,
    /// The connections so far are cut.
    cut: CancellationToken,
    connections: TaskTracker,
}

impl Server {
    /// Binds an address and serves it.
    pub(super) async fn start(listen: SocketAddr, streams: Option<u32>, shared: &Arc<Shared>) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let server = Self { address: listener.local_addr()?, streams, run: Arc::default(), kept: Arc::default() };
        server.serve(listener, shared);
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves again where it served before.
    pub(super) fn restart(&self, shared: &Arc<Shared>) -> io::Result<()> {
        if !self.run().closed.is_cancelled() {
            return Ok(());
        }
        let kept = locked(&self.kept).take();
        let listener = kept.map_or_else(|| bound(self.address), Ok)?.listen(BACKLOG)?;
        *self.run() = Run::default();
        self.serve(listener, shared);
        Ok(())
    }

    /// Takes no connections and no calls any more, and waits for the open ones; late ones are cut.
    pub(super) async fn stop(&self) {
        let run = self.run().clone();
        run.closed.cancel();
        run.drained.cancel();
        run.connections.close();
        if tokio::time::timeout(GRACE, run.connections.wait()).await.is_err() {
            run.cut.cancel();
            run.connections.wait().await;
        }
    }

    /// Ends everything at once, without a word to anybody.
    pub(super) fn abort(&self) {
        let run = self.run();
        run.closed.cancel();
        run.cut.cancel();
    }

    /// Cuts the connections that are open now.
    pub(super) fn cut(&self) {
        std::mem::take(&mut self.run().cut).cancel();
    }

    /// Asks the clients that are connected now to go elsewhere for new calls.
    pub(super) fn go_away(&self) {
        std::mem::take(&mut self.run().drained).cancel();
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        locked(&self.run)
    }

    fn serve(&self, listener: TcpListener, shared: &Arc<Shared>) {
        let (run, shared, streams) = (Arc::clone(&self.run), Arc::clone(shared), self.streams);
        let (address, kept) = (self.address, Arc::clone(&self.kept));
        let Run { closed, connections, .. } = self.run().clone();
        let tasks = connections.clone();
        tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = closed.cancelled() => break,
                };
                // A failed accept is about that one client.
                let Ok((socket, _)) = accepted else { continue };
                // `cut` and `go_away` replace the tokens: each connection has those of its time.
                let Run { drained, cut, .. } = locked(&run).clone();
                connections.spawn(connection(socket, Arc::clone(&shared), streams, drained, cut));
            }
            drop(listener);
            // Where it cannot be kept, it is bound anew.
            *locked(&kept) = bound(address).ok();
        });
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes an address, even where connections to it have just ended, without listening there yet.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Serves one client until it leaves, is asked to, or is cut.
async fn connection(
    socket: TcpStream,
    shared: Arc<Shared>,
    streams: Option<u32>,
    drained: CancellationToken,
    cut: CancellationToken,
) {
    // Small frames must not wait for each other.
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request| respond(Arc::clone(&shared), request));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    // Resets of calls that were never seen: a client that drops a hundred streams at once is no attack.
    builder.max_concurrent_streams(streams).max_pending_accept_reset_streams(1000);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(socket), service));
    let mut draining = false;
    loop {
        tokio::select! {
            _ = serving.as_mut() => return,
            () = cut.cancelled() => return,
            () = drained.cancelled(), if !draining => {
                draining = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Finds what a path leads to and lets gRPC's framing do the rest.
async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let Some(entry) = Catalog::embedded().at_path(request.uri().path()) else {
        let unknown = format!("unknown method {}", request.uri().path());
        return Ok(Status::unimplemented(unknown).into_http());
    };
    let answering = Answering { shared, entry: entry.clone() };
    let mut grpc = Grpc::new(RawCodec).max_decoding_message_size(usize::MAX);
    Ok(grpc.streaming(answering, request).await)
}
