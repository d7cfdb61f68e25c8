//! The control socket of a running host: what the host is asked over it, and what it answers.
//!
//! One JSON line in, one JSON line out: `{"command":"status"}`, or `{"command":"reload","wait":true}`, which is answered
//! with the outcome; without `wait` at once, with `{"asked":true}`. What cannot be answered is answered with
//! `{"error":"…"}`. Only processes of the user whom the host runs as, and root's, are listened to.
//!
//! What a status and an outcome hold is the host's business; where sockets are is `place`'s.

mod place;

use std::{io, path::Path, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::{
        Semaphore,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::clients;

pub use self::place::Surroundings;
pub use super::clients::CLIENTS;

pub(super) use self::place::{Placed, put, user};

/// Bytes of a request's line.
pub const LONGEST_LINE: usize = 64 * 1024;

/// Clients that may wait for the end of a reload at one time: the other places are left for the status.
pub const WAITING: usize = 8;

/// How long a client may take to say what it wants, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests that the host has not looked at; those beyond are told that it is busy.
const REQUESTS: usize = 8;

/// The open control socket of a host; removed when dropped.
#[derive(Debug)]
pub struct Control {
    placed: Placed,
    listener: UnixListener,
    user: u32,
}

/// What the host is asked to do.
#[derive(Debug)]
pub enum Request {
    /// To load its rules again; who waits for the outcome is told it. Dropping the sender says that the host stops.
    Reload(Option<oneshot::Sender<Json>>),
}

impl Control {
    /// Opens the socket where these surroundings have it. Must be called within a runtime.
    ///
    /// The text of an error names the path. A socket there that a host answers on is an error, too; one that nobody
    /// listens on any more is replaced.
    pub async fn open(surroundings: &Surroundings) -> io::Result<Self> {
        let user = user()?;
        let (placed, listener) = place::open(surroundings, user).await?;
        Ok(Self { placed, listener, user })
    }

    /// Where the socket is, as an absolute path.
    pub fn path(&self) -> &Path {
        self.placed.path()
    }

    /// Serves until [`Serving`] is dropped. `status` is asked on the runtime's thread at each request for it, also while
    /// a reload is under way, so it must be cheap.
    pub fn serve(self, status: impl Fn() -> Json + Send + Sync + 'static) -> (mpsc::Receiver<Request>, Serving) {
        let (requests, received) = mpsc::channel(REQUESTS);
        let desk = Desk { status: Box::new(status), requests, waiting: Semaphore::new(WAITING), user: self.user };
        let (desk, listener) = (Arc::new(desk), self.listener);
        let next = async move || Ok(listener.accept().await?.0);
        let serving = clients::attend_all(next, move |client| Arc::clone(&desk).attend(client));
        let task = AbortOnDropHandle::new(tokio::spawn(serving));
        (received, Serving { placed: self.placed, _task: task })
    }
}

/// A control socket that is being served. Dropped, it removes the socket and cuts its clients.
#[derive(Debug)]
#[must_use = "dropping it ends the serving"]
pub struct Serving {
    // Before the task, which has the listener: a socket that is still there must not refuse.
    placed: Placed,
    _task: AbortOnDropHandle<()>,
}

impl Serving {
    /// Where the socket is, as an absolute path.
    pub fn path(&self) -> &Path {
        self.placed.path()
    }
}

/// Answers clients.
struct Desk {
    status: Box<dyn Fn() -> Json + Send + Sync>,
    requests: mpsc::Sender<Request>,
    waiting: Semaphore,
    user: u32,
}

/// A request as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    command: String,
    #[serde(default)]
    wait: bool,
}

impl Desk {
    async fn attend(self: Arc<Self>, mut client: UnixStream) {
        if !client.peer_cred().is_ok_and(|peer| peer.uid() == self.user || peer.uid() == 0) {
            return;
        }
        let Ok(Ok(line)) = timeout(PATIENCE, line(&mut client)).await else { return };
        if line.is_empty() {
            return;
        }
        let mut answer = self.answer(&line).await.to_string();
        answer.push('\n');
        let said = async {
            client.write_all(answer.as_bytes()).await?;
            client.shutdown().await
        };
        // Who went away needs no answer.
        drop(timeout(PATIENCE, said).await);
    }

    async fn answer(&self, line: &[u8]) -> Json {
        if line.len() > LONGEST_LINE {
            return refusal("a request is one line of at most 64 KiB");
        }
        let asked: Asked = match serde_json::from_slice(line) {
            Ok(asked) => asked,
            Err(error) => return refusal(&format!("expected a line such as {{\"command\":\"status\"}}: {error}")),
        };
        match (asked.command.as_str(), asked.wait) {
            ("status", false) => (self.status)(),
            ("reload", false) => self.ask(Request::Reload(None)).err().unwrap_or_else(|| json!({ "asked": true })),
            ("reload", true) => self.reload().await.unwrap_or_else(|refused| refused),
            ("status", true) => refusal("`wait` belongs to `reload`"),
            (other, _) => refusal(&format!("no command `{other}`; there are `status` and `reload`")),
        }
    }

    async fn reload(&self) -> Result<Json, Json> {
        let _place = self.waiting.try_acquire().map_err(|_| refusal("busy: too many wait for a reload already"))?;
        let (told, outcome) = oneshot::channel();
        self.ask(Request::Reload(Some(told)))?;
        outcome.await.map_err(|_| stopping())
    }

    fn ask(&self, request: Request) -> Result<(), Json> {
        self.requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => refusal("busy: too many reloads are asked for already"),
            TrySendError::Closed(_) => stopping(),
        })
    }
}

/// Reads to the end of a line, one byte more than its longest at most.
async fn line(client: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let most = LONGEST_LINE as u64 + 1;
    BufReader::new(client.take(most)).read_until(b'\n', &mut line).await?;
    line.pop_if(|last| *last == b'\n');
    Ok(line)
}

fn refusal(text: &str) -> Json {
    json!({ "error": text })
}

fn stopping() -> Json {
    refusal("the host is stopping")
}
