//! `--listen`: metrics, health and status over HTTP, for monitors.
//!
//! Answers GET and HEAD and nothing else, one request a connection, and listens to nobody for long: who is slow, or sends
//! more than a request's head, is cut. What is answered is made on a thread of its own, so that the streams go on
//! meanwhile. Who may connect is the operator's to say by the address; nothing that is answered holds a key.

mod health;
pub mod metrics;
mod process;

use std::{
    convert::Infallible,
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use serde_json::Value as Json;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    clients,
    control::{self, Placed},
};
use crate::{
    engine::{Board, Stalled},
    report::{Event, Reporter},
};

use self::metrics::{Form, Scrape};

/// Bytes of a request's head, and how many lines it may have.
const LONGEST_HEAD: usize = 16 * 1024;
const MOST_LINES: usize = 64;

/// How long a client may take to say what it wants, and from the first byte to the last of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(20);

/// How often the scripts are asked whether they make progress.
const ASKED: Duration = Duration::from_secs(5);

/// Owner and group: a monitor that is in the host's group may read.
const MODE: u32 = 0o660;

/// What there is.
const PAGES: &str = "\
olvid-rules

/metrics  what is counted and measured: OpenMetrics, or Prometheus' text format
/healthz  200 while the program makes progress
/readyz   200 once the rules run and their streams are open
/status   what runs, as one JSON object: the answer of `olvid-rules status --json`
";

/// Where to listen, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(EXPECTED.to_owned()) } else { Ok(Self::Unix(path.into())) };
        }
        match text.parse() {
            Ok(address) => Ok(Self::Tcp(address)),
            Err(_) if text.contains('/') && !text.contains("://") => Ok(Self::Unix(text.into())),
            Err(_) => Err(expected(text)),
        }
    }
}

const EXPECTED: &str =
    "expected an address and port such as 127.0.0.1:9464 or [::1]:9464, or a socket such as unix:/run/olvid-rules/http";

/// What was expected, and what may have been meant.
fn expected(text: &str) -> String {
    let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
    match (text.rsplit_once(':').map(|(host, _)| host), port) {
        (None | Some("" | "localhost"), Some(port)) => format!("{EXPECTED}; for this machine, write 127.0.0.1:{port}"),
        _ => EXPECTED.to_owned(),
    }
}

/// Sockets that listen, and answer nothing yet.
pub(super) struct Listeners(Vec<Socket>);

enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, Placed),
}

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {0}: {1}")]
pub(super) struct Unheard(String, io::Error);

impl Listeners {
    /// Opens all of them, or none. Must be called within a runtime.
    pub(super) async fn open(addresses: &[Address]) -> Result<Self, Unheard> {
        let mut sockets = Vec::new();
        for address in addresses {
            let told = |error| Unheard(address.to_string(), error);
            sockets.push(match address {
                Address::Tcp(at) => {
                    let listener = TcpListener::bind(at).await.map_err(told)?;
                    let at = listener.local_addr().map_err(told)?;
                    Socket::Tcp(listener, at)
                }
                Address::Unix(path) => {
                    let (placed, listener) = control::put(path, MODE).await.map_err(told)?;
                    Socket::Unix(listener, placed)
                }
            });
        }
        Ok(Self(sockets))
    }

    /// Answers at all of them until the [`Endpoint`] is dropped, and tells where that is.
    pub(super) fn serve(
        self,
        board: &Arc<Board>,
        status: Arc<dyn Fn() -> Json + Send + Sync>,
        reporter: &Reporter,
    ) -> Endpoint {
        let (stage, started, stalled) = (AtomicU8::new(LOADING), Timestamp::now(), Mutex::default());
        let desk = Arc::new(Desk { board: Arc::clone(board), status, stage, started, stalled });
        let mut endpoint = Endpoint { placed: Vec::new(), tasks: Vec::new(), desk };
        if !self.0.is_empty() {
            let ask = tokio::spawn(Arc::clone(&endpoint.desk).ask());
            endpoint.tasks.push(AbortOnDropHandle::new(ask));
        }
        for socket in self.0 {
            reporter.emit(&Event::Listening(socket.to_string()));
            if let Socket::Tcp(_, at) = &socket
                && !at.ip().is_loopback()
            {
                let whom = "whoever reaches this address may read metrics, status and health";
                reporter.emit(&Event::Notice(format!("{socket}: {whom}; there is no password")));
            }
            let desk = Arc::clone(&endpoint.desk);
            let task = match socket {
                Socket::Tcp(listener, _) => {
                    let next = async move || Ok(listener.accept().await?.0);
                    tokio::spawn(clients::attend_all(next, move |client| attend(Arc::clone(&desk), client)))
                }
                Socket::Unix(listener, placed) => {
                    endpoint.placed.push(placed);
                    let next = async move || Ok(listener.accept().await?.0);
                    tokio::spawn(clients::attend_all(next, move |client| attend(Arc::clone(&desk), client)))
                }
            };
            endpoint.tasks.push(AbortOnDropHandle::new(task));
        }
        endpoint
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => write!(f, "{at}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(_, at) => write!(f, "http://{at}"),
            Self::Unix(_, placed) => write!(f, "unix:{}", placed.path().display()),
        }
    }
}

/// What is answered while it is held. Dropped, it cuts its clients and removes its sockets.
#[must_use = "dropping it ends the answering"]
pub(super) struct Endpoint {
    // Before the tasks, which have the listeners: a socket that is still there must not refuse.
    placed: Vec<Placed>,
    tasks: Vec<AbortOnDropHandle<()>>,
    desk: Arc<Desk>,
}

impl Endpoint {
    /// The rules run from here on.
    pub(super) fn runs(&self) {
        self.desk.stage.store(RUNNING, Ordering::Release);
    }

    /// The host is stopping.
    pub(super) fn stops(&self) {
        self.desk.stage.store(STOPPING, Ordering::Release);
    }
}

/// How far the host has come.
const LOADING: u8 = 0;
const RUNNING: u8 = 1;
const STOPPING: u8 = 2;

/// Answers clients.
struct Desk {
    board: Arc<Board>,
    status: Arc<dyn Fn() -> Json + Send + Sync>,
    stage: AtomicU8,
    started: Timestamp,
    /// The scripts that made no progress when they were last asked.
    stalled: Mutex<Vec<Stalled>>,
}

async fn attend<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(desk: Arc<Desk>, client: S) {
    let answer = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    // An idle connection would take one of few places.
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
    http.max_headers(MOST_LINES).max_buf_size(LONGEST_HEAD);
    // Who went away, or sent what is no request, needs no answer.
    drop(timeout(LONGEST, http.serve_connection(TokioIo::new(client), answer)).await);
}

/// What is answered to one request.
struct Page {
    status: StatusCode,
    kind: &'static str,
    text: String,
}

const PLAIN: &str = "text/plain; charset=utf-8";

impl Page {
    fn plain(status: StatusCode, text: String) -> Self {
        Self { status, kind: PLAIN, text }
    }
}

impl Desk {
    /// Asks the scripts, again and again: what they say is known at the next time.
    async fn ask(self: Arc<Self>) {
        loop {
            let stalled = self.board.stalled(Instant::now());
            *self.stalled.lock().unwrap_or_else(PoisonError::into_inner) = stalled;
            sleep(ASKED).await;
        }
    }

    fn stalled(&self) -> Vec<Stalled> {
        self.stalled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refused = response(Page::plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned()));
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        // Some of it takes a while where there are many rules.
        let made = spawn_blocking(move || self.page(&request)).await;
        response(made.unwrap_or_else(|_| failed()))
    }

    fn page(&self, request: &Request<Incoming>) -> Page {
        match request.uri().path() {
            "/" => Page::plain(StatusCode::OK, PAGES.to_owned()),
            "/metrics" => {
                let form = Form::of(request.headers().get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok()));
                let scrape = Scrape::of(&self.board, self.stalled(), self.unready().is_empty(), self.started);
                match scrape.text(form) {
                    Ok(text) => Page { status: StatusCode::OK, kind: form.content_type(), text },
                    Err(fmt::Error) => failed(),
                }
            }
            "/healthz" => judged(&health::stalled(&self.stalled())),
            "/readyz" => judged(&self.unready()),
            "/status" => {
                let text = format!("{:#}\n", (self.status)());
                Page { status: StatusCode::OK, kind: "application/json", text }
            }
            _ => Page::plain(StatusCode::NOT_FOUND, PAGES.to_owned()),
        }
    }

    /// Why the host is not doing yet, or any more, all that its rules say.
    fn unready(&self) -> Vec<String> {
        match self.stage.load(Ordering::Acquire) {
            LOADING => vec!["the rules are being loaded".to_owned()],
            RUNNING => health::closed(&self.board, Timestamp::now()),
            _ => vec!["the host is stopping".to_owned()],
        }
    }
}

fn failed() -> Page {
    Page::plain(StatusCode::INTERNAL_SERVER_ERROR, "this answer could not be made\n".to_owned())
}

/// `ok`, or a line for each cause.
fn judged(causes: &[String]) -> Page {
    if causes.is_empty() {
        return Page::plain(StatusCode::OK, "ok\n".to_owned());
    }
    Page::plain(StatusCode::SERVICE_UNAVAILABLE, causes.join("\n") + "\n")
}

fn response(page: Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(page.text.into()));
    *response.status_mut() = page.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(page.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        text.parse::<Address>().map(|address| address.to_string())
    }

    #[test]
    fn an_address_is_a_port_of_this_machine_or_a_path() {
        for text in ["127.0.0.1:9464", "[::1]:9464", "0.0.0.0:0", "unix:/run/x", "unix:x"] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        assert_eq!(read("./x.sock").as_deref(), Ok("unix:./x.sock"));
        for text in ["", "unix:", "9464", "localhost:9464", ":9464", "http://127.0.0.1:9464", "127.0.0.1", "host:1"] {
            let told = read(text).unwrap_err();
            assert!(told.starts_with("expected an address and port such as 127.0.0.1:9464"), "{text}: {told}");
            let is_meant = ["9464", "localhost:9464", ":9464"].contains(&text);
            assert_eq!(told.ends_with("write 127.0.0.1:9464"), is_meant, "{text}: {told}");
        }
    }
}
