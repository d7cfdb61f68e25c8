//! The way to the daemon: its address, the socket, TLS on it, and a reader along of what the server says first.

use std::{
    future::Future as _,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use http::Uri;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, lookup_host},
    sync::watch,
    time::timeout,
};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    CallError, PING_TIMEOUT,
    preface::{Greeting, Preface},
    tls::{Tls, TlsFiles},
};

/// Where to connect to, checked.
#[derive(Clone)]
pub(super) struct Target {
    url: Arc<str>,
    host: Arc<str>,
    port: u16,
    tls: Option<Tls>,
    origin: Uri,
}

/// The port of the published client's default address.
const DEFAULT_PORT: u16 = 50051;

impl Target {
    pub(super) fn new(url: &str, files: &TlsFiles) -> Result<Self, CallError> {
        // What stands before an `@` may be a password.
        let shown = url.rsplit('@').next().unwrap_or_default();
        let bad = |why: &str| CallError::invalid(format!("`{shown}` is no address of a daemon: {why}"));
        let (scheme, rest) = url.split_once("://").map_or((None, url), |(scheme, rest)| (Some(scheme), rest));
        let secure = match scheme {
            None | Some("http") => files.any(),
            Some("https") => true,
            Some(_) => return Err(bad("write http://host:port or https://host:port")),
        };
        let authority: http::uri::Authority = rest.trim_end_matches('/').parse().map_err(|_| bad("write host:port"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(bad("write host:port"));
        }
        let port = match authority.port() {
            Some(port) => port.as_str().parse().map_err(|_| bad("the port is 1 to 65535"))?,
            None if scheme == Some("https") => 443,
            None => DEFAULT_PORT,
        };
        let tls = secure.then(|| files.read()).transpose()?;
        let literal = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let scheme = if secure { "https" } else { "http" };
        let origin = format!("{scheme}://{literal}:{port}").parse().map_err(|_| bad("write host:port"))?;
        Ok(Self { url: url.into(), host: host.into(), port, tls, origin })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Where requests say that they go.
    pub(super) fn origin(&self) -> &Uri {
        &self.origin
    }

    /// Whether what is sent can be read by others on its way: beyond this machine, and without TLS.
    pub(super) fn is_exposed(&self) -> bool {
        let here = self.host.parse::<IpAddr>().map_or(&*self.host == "localhost", |address| address.is_loopback());
        self.tls.is_none() && !here
    }

    /// The host's name, and the port.
    pub(super) fn host(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// What encrypts the way, if anything does.
    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Finds the addresses of the host.
    pub(super) async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let addresses = lookup_host((&*self.host, self.port)).await;
        let addresses =
            addresses.map_err(|error| io::Error::other(format!("`{}` cannot be resolved: {error}", self.host)))?;
        Ok(addresses.collect())
    }

    /// Connects to the host.
    pub(super) async fn reach(&self) -> io::Result<TcpStream> {
        reach(self.resolve().await?).await
    }

    /// Makes a socket of a connection, TLS included, that tells what the server says first.
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        greeting: watch::Sender<Greeting>,
        pulse: Arc<Pulse>,
    ) -> io::Result<Socket> {
        let stream = match &self.tls {
            None => Stream::Plain(stream),
            Some(tls) => Stream::Tls(Box::new(tls.handshake(&self.host, stream).await?), tls.clone()),
        };
        let given_up = Box::pin(pulse.given_up.clone().cancelled_owned());
        Ok(Socket { stream, preface: Some(Preface::new(greeting)), pulse, given_up })
    }
}

/// Connects to one of a host's addresses.
pub(super) async fn reach(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let stream = first_of(alternating(addresses)).await?;
    stream.set_nodelay(true)?;
    probe(&stream)?;
    Ok(stream)
}

/// How long an address may take before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Addresses of the two families in turn, so that one dead family costs one head start.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (ahead, behind): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut ahead, mut behind) = (ahead.into_iter(), behind.into_iter());
    let mut turns = Vec::with_capacity(ahead.len() + behind.len());
    while ahead.len() + behind.len() > 0 {
        turns.extend(ahead.next());
        turns.extend(behind.next());
    }
    turns
}

/// Connects to the first address that answers; they are tried in order, each with a head start.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let (mut under_way, mut failure) = (FuturesUnordered::new(), None);
    loop {
        under_way.extend(waiting.next().map(TcpStream::connect));
        let next =
            if waiting.len() > 0 { timeout(HEAD_START, under_way.next()).await } else { Ok(under_way.next().await) };
        match next {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => failure = failure.or(Some(error)),
            Ok(None) if waiting.len() == 0 => {
                return Err(failure.unwrap_or_else(|| io::Error::other("the name has no address")));
            }
            Ok(None) | Err(_) => {}
        }
    }
}

/// Has TCP itself look after a connection, beside the calls that ask whether it is there: a peer that the
/// network lost is noticed within 19 s when idle, and within 18 s when it owes us an acknowledgement.
fn probe(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let probes =
        TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(3)).with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(18)))?;
    Ok(())
}

/// A socket that reads along until the server has said its first word.
pub(super) struct Socket {
    stream: Stream,
    preface: Option<Preface>,
    pulse: Arc<Pulse>,
    /// Ready once the connection is given up.
    given_up: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Whether anything is heard on a socket, and the means to give it up.
#[derive(Default)]
pub(super) struct Pulse {
    heard: AtomicBool,
    given_up: CancellationToken,
}

impl Pulse {
    /// Whether anything was heard since this was asked last.
    pub(super) fn take(&self) -> bool {
        self.heard.swap(false, Ordering::Relaxed)
    }

    /// Ends the connection: all that is on it fails as when the network breaks.
    pub(super) fn give_up(&self) {
        self.given_up.cancel();
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>, Tls),
}

impl Socket {
    /// The end came before the first word.
    fn fail(&mut self, cause: &str) {
        let Some(preface) = self.preface.take() else { return };
        preface.fail(&match &self.stream {
            Stream::Plain(_) => format!("{cause}; if it speaks TLS, write https://"),
            Stream::Tls(_, tls) => tls.explain(cause),
        });
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.fail(CLOSED);
    }
}

const CLOSED: &str = "the server closed the connection";

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        if this.given_up.as_mut().poll(cx).is_ready() {
            let unanswered = format!("no answer to a ping within {} s", PING_TIMEOUT.as_secs());
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, unanswered)));
        }
        let read = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream, _) => Pin::new(stream).poll_read(cx, buf),
        };
        let read = ready!(read);
        this.pulse.heard.store(true, Ordering::Relaxed);
        if let Some(preface) = &mut this.preface {
            match &read {
                Err(error) => this.fail(&error.to_string()),
                Ok(()) if buf.filled().len() == before => this.fail(CLOSED),
                Ok(()) if preface.read(&buf.filled()[before..]) => this.preface = None,
                Ok(()) => {}
            }
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream, _) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream, _) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream, _) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Tls(stream, _) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[test]
    fn addresses_are_read_as_the_published_client_reads_them_and_mistakes_are_told() {
        let target =
            |url: &str| Target::new(url, &TlsFiles::default()).map(|target| (target.host.to_string(), target.port));
        assert_eq!(target("localhost:7").unwrap(), ("localhost".into(), 7));
        assert_eq!(target("http://[::1]:7/").unwrap(), ("::1".into(), 7));
        assert_eq!(target("http://daemon").unwrap(), ("daemon".into(), 50051));
        assert!(target("ftp://x").unwrap_err().message.contains("https://host:port"));
        assert!(target("http://a b").is_err());
    }

    #[test]
    fn what_leaves_the_machine_without_tls_is_exposed() {
        let exposed = |url: &str| Target::new(url, &TlsFiles::default()).unwrap().is_exposed();
        assert!(["localhost", "http://127.0.0.1:1", "http://127.8.8.8", "[::1]:7"].iter().all(|url| !exposed(url)));
        assert!(
            ["http://10.0.0.1", "daemon:50051", "[2001:db8::1]:7", "http://0.0.0.0"].iter().all(|url| exposed(url))
        );
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_costs_a_head_start() {
        // One that waits in a full queue is neither refused nor taken.
        let dead = TcpSocket::new_v4().unwrap();
        dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let dead = dead.listen(1).unwrap();
        let silent = dead.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(taken) = timeout(HEAD_START, TcpStream::connect(silent)).await {
            waiting.push(taken.unwrap());
        }
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refused = "127.0.0.1:1".parse().unwrap();
        let stream = first_of(vec![silent, refused, alive.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive.local_addr().unwrap());
        assert_eq!(first_of(vec![refused]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn families_take_turns() {
        let of = |texts: &[&str]| -> Vec<SocketAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let sorted = alternating(of(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]));
        assert_eq!(sorted, of(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
    }
}
