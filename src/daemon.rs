//! The daemon as its client sees it: calls and streams of wire bytes, one attempt each.
//!
//! Owns connections, TLS, keys and message framing. Knows no message type beyond what the catalog says of an RPC, and
//! never retries: a [`CallError`] says what the caller can do. Subscriptions and commands have connections of their own,
//! so that neither a full set of streams nor a stalled one can hold up a command.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::Stream;
use http::uri::PathAndQuery;
use tokio::{
    runtime::Handle,
    select,
    sync::{Semaphore, watch},
};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    metadata::{Ascii, MetadataValue},
};

use crate::schema::Method;

pub mod codec;
mod connection;
mod dedicated;
mod error;
mod exchange;
mod preface;
mod probe;
pub mod tls;
mod transport;
mod trust;

use codec::RawCodec;
pub use connection::STREAMS_PER_CONNECTION;
pub(crate) use connection::pauses;
use connection::{Gate, Lease, Pool, Purpose};
use dedicated::Dedicated;
pub use error::{CallError, Disposition};
use exchange::Exchange;
pub use probe::{Probe, Reached, Secured};
pub use tls::{TlsFiles, Trusted};
use transport::Target;
pub use trust::Untrusted;

/// Where the daemon is and who we are to it.
#[derive(Clone)]
pub struct Settings {
    /// `http://host:port`, `https://host:port` or `host:port`.
    pub url: String,
    /// Certificates, where the system's are not meant.
    pub tls: TlsFiles,
    /// Authenticates everything but administration.
    pub client_key: Option<Secret>,
    /// Authenticates administration, and everything else for its identity where no client key is given.
    pub admin: Option<Administrator>,
    /// The largest message taken, in bytes.
    pub max_message_size: usize,
}

/// An administrator's key and the identity it acts for.
#[derive(Clone)]
pub struct Administrator {
    /// The key.
    pub key: Secret,
    /// The identity's id; 0 for none.
    pub identity_id: u64,
}

/// A key. It has no way out but into the metadata of a call. Its memory is not wiped: the libraries below make copies of
/// their own, so it is the process that is closed to others.
#[derive(Clone)]
pub struct Secret(MetadataValue<Ascii>);

/// Why a text cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nothing but blanks.
    #[error("the key is empty")]
    Empty,
    /// Something that is no text, which a gRPC header cannot carry.
    #[error("the key holds a character that is not visible ASCII")]
    Unprintable,
    /// A letter that a gRPC header cannot carry, counted from 1.
    #[error("the key holds a character that is not visible ASCII: number {at} is {}", shown(*letter))]
    Letter {
        /// Which one, without the blanks before the key.
        at: usize,
        /// The letter.
        letter: char,
    },
}

/// A letter that is not to be printed as it is.
fn shown(letter: char) -> String {
    match letter {
        '\n' | '\r' => "a line end".to_owned(),
        '\u{feff}' => "a byte order mark".to_owned(),
        letter => format!("U+{:04X}", u32::from(letter)),
    }
}

impl Secret {
    /// Takes a key as read from a file or a variable; blanks around it, a trailing line end say, are not part of it.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        // The header's own check lets through what is beyond ASCII; gRPC's metadata cannot carry it.
        if let Some((at, letter)) = text.chars().enumerate().find(|(_, letter)| !(' '..='~').contains(letter)) {
            return Err(SecretError::Letter { at: at + 1, letter });
        }
        let mut value: MetadataValue<Ascii> = text.parse().map_err(|_| SecretError::Unprintable)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// Whether it stands in quotation marks: they are part of it, and rarely meant.
    pub fn is_quoted(&self) -> bool {
        let bytes = self.0.as_encoded_bytes();
        bytes.len() > 1 && bytes.first() == bytes.last() && matches!(bytes.first(), Some(b'"' | b'\''))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A handle on the daemon; clones share its connections.
#[derive(Clone)]
pub struct Daemon {
    shared: Arc<Shared>,
    dedicated: Option<Arc<Dedicated>>,
}

struct Shared {
    url: String,
    max_message_size: usize,
    keys: watch::Sender<Keys>,
    /// Of the private key that TLS uses.
    line_of_key: Option<Vec<u8>>,
    gate: Arc<Gate>,
    subscriptions: Pool,
    commands: Pool,
    /// For those who may have a connection of their own.
    places: Arc<Semaphore>,
}

/// What authenticates us, for the time being.
#[derive(Clone)]
struct Keys {
    client: Option<Secret>,
    admin: Option<Administrator>,
}

/// What changed since it was asked for. It is not to outlive its daemon's last handle.
pub struct Changes {
    keys: watch::Receiver<Keys>,
    reached: watch::Receiver<()>,
}

/// A stream of messages that holds its place on a connection until it is dropped.
pub struct Messages {
    streaming: Streaming<Bytes>,
    /// Those that it was opened under.
    keys: Keys,
    /// How it failed, until that is classified.
    failure: Option<Status>,
    lease: Lease,
}

/// A place on a connection for one stream.
pub struct Place(Lease);

impl Settings {
    /// The largest message taken where nobody says otherwise, in bytes.
    pub const MAX_MESSAGE_SIZE: usize = 16 * 1024 * 1024;

    /// A daemon at this address, with this client key and all else as usual.
    pub fn new(url: impl Into<String>, client_key: Secret) -> Self {
        let (tls, admin) = (TlsFiles::default(), None);
        Self { url: url.into(), tls, client_key: Some(client_key), admin, max_message_size: Self::MAX_MESSAGE_SIZE }
    }

    /// Whether the keys would be sent where others on the way can read them: to another machine, without TLS. The
    /// published client does that too, and a container's network may be meant.
    pub fn expose_keys(&self) -> bool {
        Target::new(&self.url, &self.tls).is_ok_and(|target| target.is_exposed())
    }
}

impl Daemon {
    /// Checks the settings. Nothing is connected before the first call.
    ///
    /// Called on the runtime that is to own the sockets; calls may then come from any thread with tokio's timers, but
    /// for those of a [dedicated](Self::dedicated) handle.
    pub fn new(settings: Settings) -> Result<Self, CallError> {
        let Settings { url, tls, client_key, admin, max_message_size } = settings;
        let target = Target::new(&url, &tls)?;
        let io = Handle::try_current().map_err(|error| CallError::internal(error.to_string()))?;
        let gate = Arc::<Gate>::default();
        let subscriptions = Pool::new(target.clone(), Purpose::Subscriptions, io.clone(), Arc::clone(&gate));
        let commands = Pool::new(target, Purpose::Commands, io, Arc::clone(&gate));
        let keys = watch::Sender::new(Keys { client: client_key, admin });
        let line_of_key = tls.line_of_key();
        let shared = Shared {
            url,
            max_message_size,
            keys,
            line_of_key,
            gate,
            subscriptions,
            commands,
            places: Arc::new(Semaphore::new(0)),
        };
        Ok(Self { shared: Arc::new(shared), dedicated: None })
    }

    /// Lets so many more have a connection of their own at one time, see [`dedicated`](Self::dedicated).
    pub fn offer(&self, places: usize) {
        self.shared.places.add_permits(places);
    }

    /// A handle for somebody who makes all calls on one thread, by a runtime with sockets: while they are many, they go by
    /// a connection of their own, which lives there. None, where no place is left.
    #[must_use]
    pub fn dedicated(&self) -> Option<Self> {
        let place = Arc::clone(&self.shared.places).try_acquire_owned().ok()?;
        let dedicated = Some(self.shared.commands.dedicated(place));
        Some(Self { shared: Arc::clone(&self.shared), dedicated })
    }

    /// Where it connects to, as the user wrote it.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Whether administration is possible.
    pub fn is_admin(&self) -> bool {
        self.shared.keys.borrow().admin.is_some()
    }

    /// Replaces the keys: new calls and streams go under these, open streams stay as they are.
    pub fn set_keys(&self, client_key: Option<Secret>, admin: Option<Administrator>) {
        self.shared.keys.send_replace(Keys { client: client_key, admin });
    }

    /// What changes from now on: to be asked for before an attempt, so that nothing is missed while that is under way.
    pub fn changes(&self) -> Changes {
        Changes { keys: self.shared.keys.subscribe(), reached: self.shared.gate.reached() }
    }

    /// Finds a place for a stream of notifications on a connection that stands.
    pub async fn place(&self) -> Result<Place, CallError> {
        self.shared.subscriptions.lease().await.map(Place)
    }

    /// Opens a stream of notifications. Resolves with the server's headers, which may come with the first notification
    /// only: waiting here does not mean that the stream is not open. Put no timeout around it.
    pub async fn subscribe(&self, place: Place, method: &Method, request: Bytes) -> Result<Messages, CallError> {
        self.stream_on(place, method, request, false).await
    }

    /// Sends one request and waits for its one answer.
    pub async fn unary(&self, method: &Method, admin: bool, request: Bytes) -> Result<Bytes, CallError> {
        let path = path(method)?;
        self.again(|| self.ask(path.clone(), admin, request.clone())).await
    }

    /// Sends one request and reads a stream of answers.
    pub async fn pages(&self, method: &Method, admin: bool, request: Bytes) -> Result<Messages, CallError> {
        let open = || async { self.stream_on(Place(self.line().await?), method, request.clone(), admin).await };
        self.again(open).await
    }

    /// Sends a stream of requests and waits for its one answer. It is the caller's to make that stream again.
    pub async fn upload<S>(&self, method: &Method, admin: bool, requests: S) -> Result<Bytes, CallError>
    where
        S: Stream<Item = Bytes> + Send + 'static,
    {
        let lease = self.line().await?;
        let keys = self.keys();
        let request = keys.sign(requests, admin);
        match self.grpc(&lease).client_streaming(request, path(method)?, RawCodec).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(keys.hide(lease.failed(&status).await)),
        }
    }

    async fn ask(&self, path: PathAndQuery, admin: bool, request: Bytes) -> Result<Bytes, CallError> {
        let lease = self.line().await?;
        let keys = self.keys();
        match self.grpc(&lease).unary(keys.sign(request, admin), path, RawCodec).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(keys.hide(lease.failed(&status).await)),
        }
    }

    async fn stream_on(
        &self,
        Place(lease): Place,
        method: &Method,
        request: Bytes,
        admin: bool,
    ) -> Result<Messages, CallError> {
        let keys = self.keys();
        let request = keys.sign(request, admin);
        match self.grpc(&lease).server_streaming(request, path(method)?, RawCodec).await {
            Ok(answer) => Ok(Messages { streaming: answer.into_inner(), keys, failure: None, lease }),
            Err(status) => Err(keys.hide(lease.failed(&status).await)),
        }
    }

    /// Makes a call, and again where the daemon never looked at it: once, or twice where the first connection was not the
    /// shared one, as that may have ended just so.
    async fn again<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let mut left = 1 + usize::from(self.dedicated.is_some());
        loop {
            match attempt().await {
                Err(error) if error.disposition == Disposition::Again && left > 0 => left -= 1,
                outcome => return outcome,
            }
        }
    }

    /// Finds a connection for a command.
    async fn line(&self) -> Result<Lease, CallError> {
        let Some(dedicated) = &self.dedicated else { return self.shared.commands.lease().await };
        if let Some(lease) = dedicated.lease() {
            return Ok(lease);
        }
        let lease = self.shared.commands.lease().await?;
        // The daemon is there.
        dedicated.wish();
        Ok(lease)
    }

    fn grpc(&self, lease: &Lease) -> Grpc<Exchange> {
        let limit = self.shared.max_message_size;
        lease.grpc().max_decoding_message_size(limit).max_encoding_message_size(limit)
    }

    /// Whether a content repeats one of the keys, or the private one of TLS: nobody sends that on purpose.
    pub fn is_key_in(&self, content: &[u8]) -> bool {
        let keys = self.keys();
        let mut all = keys.all().map(str::as_bytes).chain(self.shared.line_of_key.as_deref());
        all.any(|key| memchr::memmem::find(content, key).is_some())
    }

    fn keys(&self) -> Keys {
        self.shared.keys.borrow().clone()
    }
}

/// A key of fewer letters may be part of any word.
const SHORTEST_HIDDEN: usize = 8;

/// What stands where a key was.
const HIDDEN: &str = "…";

impl Keys {
    /// Wraps a body with the key that it goes under.
    fn sign<T>(&self, body: T, admin: bool) -> Request<T> {
        let mut request = Request::new(body);
        let metadata = request.metadata_mut();
        match (&self.client, &self.admin) {
            (Some(key), _) if !admin => drop(metadata.insert("daemon-client-key", key.0.clone())),
            (_, Some(administrator)) => {
                metadata.insert("daemon-client-key", administrator.key.0.clone());
                metadata.insert("daemon-identity-id", administrator.identity_id.into());
            }
            (Some(key), None) => drop(metadata.insert("daemon-client-key", key.0.clone())),
            (None, None) => {}
        }
        request
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        let keys = [self.client.as_ref(), self.admin.as_ref().map(|admin| &admin.key)];
        let keys = keys.into_iter().flatten().filter_map(|Secret(key)| key.to_str().ok());
        keys.filter(|key| key.len() >= SHORTEST_HIDDEN)
    }

    /// Leaves the keys out of an error: what answers may repeat what it was sent, up to where its words are cut.
    fn hide(&self, mut error: CallError) -> CallError {
        for key in self.all() {
            error.message = error.message.replace(key, HIDDEN);
            let mut lengths = (SHORTEST_HIDDEN..key.len()).rev();
            if let Some(cut) = lengths.find(|length| error.message.ends_with(&key[..*length])) {
                error.message.truncate(error.message.len() - cut);
                error.message.push_str(HIDDEN);
            }
        }
        error
    }
}

impl Changes {
    /// Waits for what makes it worth trying again after an error: where the daemon could not be reached, that it was, by
    /// whichever call; where it did not know the key, that the keys were replaced. For ever, after any other.
    pub async fn help(&mut self, error: &CallError) {
        let (unreachable, unauthorised) = (error.retry_at.is_some(), error.disposition == Disposition::Unauthorised);
        select! {
            _ = self.reached.changed(), if unreachable => {}
            _ = self.keys.changed(), if unauthorised => {}
            () = std::future::pending() => {}
        }
    }
}

impl Messages {
    /// Returns the next message, or none at the end of the stream. May be dropped and called again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        if self.failure.is_none() {
            match self.streaming.message().await {
                Ok(message) => return Ok(message),
                Err(status) => self.failure = Some(status),
            }
        }
        let Some(status) = &self.failure else { return Ok(None) };
        let error = self.lease.failed(status).await.under_way();
        self.failure = None;
        Err(self.keys.hide(error))
    }
}

/// How long a connection may take to stand, TLS included.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a daemon that is asked whether it is there may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(8);

fn path(method: &Method) -> Result<PathAndQuery, CallError> {
    method.path.parse().map_err(|_| CallError::internal(format!("`{}` is no path", method.path)))
}
