//! The way to the daemon: its address, the socket, TLS on it, and a look at the server's first frame.
//!
//! HTTP/2 servers may limit the streams of a connection, and the client library below keeps that to itself: a stream
//! beyond the limit waits in silence. The limit stands in the settings frame that every server must send first, so the
//! socket reads along until it has seen it.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, pki_types::ServerName},
};
use tonic::transport::Endpoint;
use tower_service::Service;

use super::{CallError, tls::TlsFiles};

/// Where to connect to, checked.
#[derive(Clone)]
pub(super) struct Target {
    url: Arc<str>,
    host: Arc<str>,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
}

/// The port of the published client's default address.
const DEFAULT_PORT: u16 = 50051;

impl Target {
    pub(super) fn new(url: &str, files: &TlsFiles) -> Result<Self, CallError> {
        let bad = |why: &str| CallError::invalid(format!("`{url}` is no address of a daemon: {why}"));
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
        let tls = secure.then(|| files.config()).transpose()?;
        Ok(Self { url: url.into(), host: host.into(), port, tls })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The endpoint as the HTTP/2 client sees it; sockets come from the [`Connector`].
    pub(super) fn endpoint(&self) -> Result<Endpoint, CallError> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let parse = |scheme: &str| format!("{scheme}://{host}:{}", self.port).parse::<Uri>();
        match (parse("http"), parse(scheme)) {
            // TLS is on the socket already: the endpoint must not ask for it again, only the requests name it.
            (Ok(plain), Ok(named)) => Ok(Endpoint::from(plain).origin(named)),
            _ => Err(CallError::invalid(format!("`{}` is no address of a daemon", self.url))),
        }
    }
}

/// Makes sockets for one connection.
#[derive(Clone)]
pub(super) struct Connector {
    target: Target,
    limit: watch::Sender<Option<u32>>,
}

impl Connector {
    pub(super) fn new(target: Target, limit: watch::Sender<Option<u32>>) -> Self {
        Self { target, limit }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Socket>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Socket>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { target, limit } = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect((&*target.host, target.port)).await?;
            stream.set_nodelay(true)?;
            let stream = match &target.tls {
                None => Stream::Plain(stream),
                Some(config) => Stream::Tls(Box::new(handshake(config, &target.host, stream).await?)),
            };
            Ok(TokioIo::new(Socket { stream, preface: Some(Preface { seen: Vec::new(), limit }) }))
        })
    }
}

async fn handshake(config: &Arc<ClientConfig>, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
    stream.map_err(|error| match error.get_ref().map(ToString::to_string) {
        Some(text) if text.contains("corrupt message") => io::Error::other("the server does not speak TLS"),
        Some(text) => io::Error::other(format!("TLS: {text}")),
        None => error,
    })
}

/// A socket that reads along until it has seen the server's settings.
pub(super) struct Socket {
    stream: Stream,
    preface: Option<Preface>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

struct Preface {
    seen: Vec<u8>,
    limit: watch::Sender<Option<u32>>,
}

/// RFC 9113: a frame's head, the type of a settings frame, the id of the setting, and its value where none is sent.
const FRAME_HEAD: usize = 9;
const SETTINGS: u8 = 4;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const UNLIMITED: u32 = u32::MAX;

/// A settings frame that is bigger than this tells us nothing that we wait for.
const PREFACE_LIMIT: usize = 1024;

impl Preface {
    /// Takes what was read; true once there is nothing more to learn.
    fn read(&mut self, bytes: &[u8]) -> bool {
        self.seen.extend_from_slice(&bytes[..bytes.len().min(PREFACE_LIMIT)]);
        let Some((head, payload)) = self.seen.split_first_chunk::<FRAME_HEAD>() else { return false };
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        if head[3] == SETTINGS && length <= PREFACE_LIMIT && payload.len() < length {
            return false;
        }
        let settings = if head[3] == SETTINGS { &payload[..length.min(payload.len())] } else { &[] };
        let limit = settings
            .as_chunks::<6>()
            .0
            .iter()
            .filter(|setting| u16::from_be_bytes([setting[0], setting[1]]) == MAX_CONCURRENT_STREAMS)
            .map(|setting| u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]))
            .next_back();
        self.limit.send_replace(Some(limit.unwrap_or(UNLIMITED)));
        true
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        let read = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        ready!(read)?;
        if this.preface.as_mut().is_some_and(|preface| preface.read(&buf.filled()[before..])) {
            this.preface = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_from_the_first_frame_even_byte_by_byte() {
        let (limit, seen) = watch::channel(None);
        let mut preface = Preface { seen: Vec::new(), limit };
        let frame = [0, 0, 12, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 255, 255, 0, 3, 0, 0, 0, 100];
        let (last, first) = frame.split_last().unwrap();
        assert!(first.iter().all(|byte| !preface.read(&[*byte])));
        assert!(preface.read(&[*last]));
        assert_eq!(*seen.borrow(), Some(100));
    }

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
}
