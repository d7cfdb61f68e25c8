//! The load daemon: notifications that were encoded before, sent as fast as they are taken or at a rate.
//!
//! It tells the judge on standard output: `port N`; `open N` as streams are opened; `done SECONDS` with the times there and
//! back in microseconds, where there are any. It begins when the judge says `go`.

use std::{
    convert::Infallible,
    io::{BufRead as _, Write as _, stdin, stdout},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, future, stream};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use olvid_rules::{
    daemon::codec::RawCodec,
    schema::{Catalog, catalog::Entry, json},
};
use tokio::{
    net::TcpListener,
    runtime, select,
    sync::{Notify, Semaphore, oneshot, watch},
    time::sleep_until,
};
use tonic::{Status, Streaming, body::Body, server::Grpc};

use crate::load::{self, ASK, DISCUSSIONS, DONE, LAST, Load};

/// What all calls share.
struct Daemon {
    load: Load,
    /// Whether the judge said so.
    go: watch::Receiver<Option<Instant>>,
    streams: AtomicU64,
    answers: AtomicU64,
    /// One for each answer, where the next notification waits for it.
    answered: Semaphore,
    /// When each that is to be answered was sent, in microseconds from `go`; by its place among them.
    asked: Vec<AtomicU64>,
    back: Vec<AtomicU64>,
    done: Notify,
    ring: Vec<Bytes>,
    sent: Bytes,
}

/// Serves until the judge hangs up.
pub(crate) fn serve(load: Load) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (start, go) = watch::channel(None);
    let (gone, judge) = oneshot::channel::<()>();
    thread::spawn(move || {
        // Dropped when the judge is gone, or has what it wants.
        let _gone = gone;
        for line in stdin().lock().lines().map_while(Result::ok) {
            if line == "go" {
                start.send_replace(Some(Instant::now()));
            }
        }
    });
    let serving = async {
        let asks = if let Load::Rate { count, each, .. } = load { count.div_ceil(each) } else { 0 };
        let zeros = || (0..asks).map(|_| AtomicU64::new(0)).collect();
        let daemon = Arc::new(Daemon {
            load,
            go,
            streams: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            answered: Semaphore::new(1),
            asked: zeros(),
            back: zeros(),
            done: Notify::new(),
            ring: (1..=DISCUSSIONS).map(|discussion| load::notification(discussion, &load::text())).collect(),
            sent: load::sent(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        tell(&format!("port {}", listener.local_addr().unwrap().port()));
        tokio::spawn(Arc::clone(&daemon).told());
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let daemon = Arc::clone(&daemon);
            let service = service_fn(move |request| Arc::clone(&daemon).respond(request));
            tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service));
        }
    };
    runtime.block_on(async {
        select! {
            () = serving => {}
            _ = judge => {}
        }
    });
    runtime.shutdown_background();
}

fn tell(line: &str) {
    let mut out = stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl Daemon {
    /// Tells the end of the measurement.
    async fn told(self: Arc<Self>) {
        self.done.notified().await;
        let took = self.since_go();
        let times = self.asked.iter().zip(&self.back).filter_map(|(asked, back)| {
            let back = back.load(Ordering::Relaxed);
            (back > 0).then(|| back.saturating_sub(asked.load(Ordering::Relaxed)).to_string())
        });
        tell(&format!("done {} {}", took.as_secs_f64(), times.collect::<Vec<_>>().join(" ")));
    }

    fn since_go(&self) -> Duration {
        self.go.borrow().map(|go| go.elapsed()).unwrap_or_default()
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let Some(entry) = Catalog::embedded().at_path(request.uri().path()) else {
            return Ok(Status::unimplemented(request.uri().path().to_owned()).into_http());
        };
        let mut grpc = Grpc::new(RawCodec);
        Ok(grpc.streaming(Answering { daemon: self, entry: entry.clone() }, request).await)
    }

    /// What a stream brings.
    fn messages(self: &Arc<Self>) -> Messages {
        let daemon = Arc::clone(self);
        let begun = async move {
            daemon.go.clone().wait_for(Option::is_some).await.unwrap();
            daemon.flow()
        };
        Box::pin(stream::once(begun).flatten())
    }

    fn flow(self: Arc<Self>) -> Messages {
        // The stream stays open when all is said.
        let open = stream::pending();
        match self.load {
            Load::Nothing => Box::pin(open),
            Load::Flood { count } => {
                let last = stream::once(future::ready(Ok(load::notification(1, LAST))));
                Box::pin(stream::iter(1..count).map(move |number| Ok(self.usual(number))).chain(last).chain(open))
            }
            Load::Answered { count, at_once: true } => {
                Box::pin(stream::iter(1..=count).map(move |number| Ok(self.usual(number))).chain(open))
            }
            Load::Answered { count, at_once: false } => {
                let next = move |number: u64| {
                    let daemon = Arc::clone(&self);
                    async move {
                        daemon.answered.acquire().await.unwrap().forget();
                        Ok(daemon.usual(number))
                    }
                };
                Box::pin(stream::iter(1..=count).then(next).chain(open))
            }
            Load::Rate { per_second, count, each } => {
                let start = tokio::time::Instant::now();
                let next = move |number: u64| {
                    let daemon = Arc::clone(&self);
                    async move {
                        sleep_until(start + Duration::from_nanos(number * 1_000_000_000 / per_second)).await;
                        if !number.is_multiple_of(each) {
                            return Ok(daemon.usual(number));
                        }
                        let place = number / each;
                        let bytes = load::notification(number % DISCUSSIONS + 1, &format!("{ASK}{place}"));
                        let now = u64::try_from(daemon.since_go().as_micros()).unwrap();
                        daemon.asked[usize::try_from(place).unwrap()].store(now, Ordering::Relaxed);
                        Ok(bytes)
                    }
                };
                Box::pin(stream::iter(0..count).then(next).chain(open))
            }
        }
    }

    fn usual(&self, number: u64) -> Bytes {
        self.ring[usize::try_from(number % DISCUSSIONS).unwrap()].clone()
    }

    /// A command came.
    fn answer(&self, body: &str) {
        match self.load {
            Load::Answered { count, .. } => {
                self.answered.add_permits(1);
                if self.answers.fetch_add(1, Ordering::Relaxed) + 1 == count {
                    self.done.notify_one();
                }
            }
            Load::Rate { count, each, .. } => {
                let place = body.strip_prefix(ASK).and_then(|place| place.parse().ok());
                let Some(back) = place.and_then(|place: usize| self.back.get(place)) else { return };
                back.store(u64::try_from(self.since_go().as_micros()).unwrap(), Ordering::Relaxed);
                if self.answers.fetch_add(1, Ordering::Relaxed) + 1 == count.div_ceil(each) {
                    self.done.notify_one();
                }
            }
            Load::Flood { .. } if body == DONE => self.done.notify_one(),
            Load::Flood { .. } | Load::Nothing => {}
        }
    }
}

/// One call.
struct Answering {
    daemon: Arc<Daemon>,
    entry: Entry,
}

impl tonic::server::StreamingService<Bytes> for Answering {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Messages>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let (daemon, entry) = (Arc::clone(&self.daemon), self.entry.clone());
        Box::pin(async move {
            let messages: Messages = match entry {
                Entry::Subscription(_) => {
                    tell(&format!("open {}", daemon.streams.fetch_add(1, Ordering::Relaxed) + 1));
                    daemon.messages()
                }
                Entry::Command(command) => {
                    let mut request = request.into_inner();
                    let bytes = request.message().await?.unwrap_or_default();
                    let body = json::from_wire(&command.method.input, &bytes).ok();
                    let body = body.as_ref().and_then(|request| request["body"].as_str());
                    let is_send = command.name == "message_send";
                    if is_send {
                        daemon.answer(body.unwrap_or_default());
                    }
                    let answer = if is_send { daemon.sent.clone() } else { Bytes::new() };
                    Box::pin(stream::once(future::ready(Ok(answer))))
                }
            };
            Ok(tonic::Response::new(messages))
        })
    }
}
