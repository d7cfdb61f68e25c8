//! The way to the daemon: its address, the socket, TLS on it, and a reader along of what the server says first.

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
use tokio_rustls::client::TlsStream;
use tonic::transport::Endpoint;
use tower_service::Service;

use super::{
    CallError,
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
    greeting: watch::Sender<Greeting>,
}

impl Connector {
    pub(super) fn new(target: Target, greeting: watch::Sender<Greeting>) -> Self {
        Self { target, greeting }
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
        let Self { target, greeting } = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect((&*target.host, target.port)).await?;
            stream.set_nodelay(true)?;
            let stream = match target.tls {
                None => Stream::Plain(stream),
                Some(tls) => Stream::Tls(Box::new(tls.handshake(&target.host, stream).await?), tls),
            };
            Ok(TokioIo::new(Socket { stream, preface: Some(Preface::new(greeting)) }))
        })
    }
}

/// A socket that reads along until the server has said its first word.
pub(super) struct Socket {
    stream: Stream,
    preface: Option<Preface>,
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
        let read = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream, _) => Pin::new(stream).poll_read(cx, buf),
        };
        let read = ready!(read);
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
}
