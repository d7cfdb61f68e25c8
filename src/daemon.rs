//! The daemon as its client sees it: calls and streams of wire bytes, one attempt each.
//!
//! Owns connections, TLS, keys and message framing. Knows no message type beyond what the catalog says of an RPC, and
//! never retries: a [`CallError`] says what the caller can do. Subscriptions and commands have connections of their own,
//! so that neither a full set of streams nor a stalled one can hold up a command.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::Stream;
use tonic::{
    Request, Streaming,
    client::Grpc,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::schema::Method;

pub mod codec;
mod connection;
mod error;
mod preface;
pub mod tls;
mod transport;
mod trust;

use codec::RawCodec;
pub use connection::STREAMS_PER_CONNECTION;
pub(crate) use connection::pauses;
use connection::{Gate, Lease, Pool, Purpose};
pub use error::{CallError, Disposition};
pub use tls::TlsFiles;

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

/// A key. It has no way out but into the metadata of a call.
#[derive(Clone)]
pub struct Secret(MetadataValue<Ascii>);

/// Why a text cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nothing but blanks.
    #[error("the key is empty")]
    Empty,
    /// Something that a gRPC header cannot carry.
    #[error("the key holds a character that is not visible ASCII")]
    Unprintable,
}

impl Secret {
    /// Takes a key as read from a file or a variable; blanks around it, a trailing line end say, are not part of it.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        // The header's own check lets through what is beyond ASCII; gRPC's metadata cannot carry it.
        if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(SecretError::Unprintable);
        }
        let mut value: MetadataValue<Ascii> = text.parse().map_err(|_| SecretError::Unprintable)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A handle on the daemon; clones share its connections.
#[derive(Clone)]
pub struct Daemon(Arc<Inner>);

struct Inner {
    settings: Settings,
    gate: Arc<Gate>,
    subscriptions: Pool,
    commands: Pool,
}

/// A stream of messages that holds its place on a connection until it is dropped.
pub struct Messages {
    streaming: Streaming<Bytes>,
    lease: Lease,
}

/// A place on a connection for one stream.
pub struct Place {
    grpc: Grpc<Channel>,
    lease: Lease,
}

impl Daemon {
    /// Checks the settings. Nothing is connected before the first call.
    ///
    /// Called on the runtime that is to own the sockets; calls may then come from any thread with tokio's timers.
    pub fn new(settings: Settings) -> Result<Self, CallError> {
        let target = transport::Target::new(&settings.url, &settings.tls)?;
        let io = tokio::runtime::Handle::try_current().map_err(|error| CallError::internal(error.to_string()))?;
        let gate = Arc::<Gate>::default();
        let subscriptions = Pool::new(target.clone(), Purpose::Subscriptions, io.clone(), Arc::clone(&gate));
        let commands = Pool::new(target, Purpose::Commands, io, Arc::clone(&gate));
        Ok(Self(Arc::new(Inner { settings, gate, subscriptions, commands })))
    }

    /// Where it connects to, as the user wrote it.
    pub fn url(&self) -> &str {
        &self.0.settings.url
    }

    /// Whether administration is possible.
    pub fn is_admin(&self) -> bool {
        self.0.settings.admin.is_some()
    }

    /// Finds a place for a stream of notifications on a connection that stands.
    pub async fn place(&self) -> Result<Place, CallError> {
        let lease = self.0.subscriptions.lease().await?;
        let grpc = self.ready(&lease).await?;
        Ok(Place { grpc, lease })
    }

    /// Opens a stream of notifications. Resolves with the server's headers, which may come with the first notification
    /// only: waiting here does not mean that the stream is not open. Put no timeout around it.
    pub async fn subscribe(&self, place: Place, method: &Method, request: Bytes) -> Result<Messages, CallError> {
        self.stream_on(place, method, request, false).await
    }

    /// Waits until the daemon could be reached again, by whichever call.
    pub async fn reached(&self) {
        self.0.gate.reached().await;
    }

    /// Sends one request and waits for its one answer.
    pub async fn unary(&self, method: &Method, admin: bool, request: Bytes) -> Result<Bytes, CallError> {
        let lease = self.0.commands.lease().await?;
        let mut grpc = self.ready(&lease).await?;
        let request = self.request(request, admin);
        let answer = grpc.unary(request, path(method)?, RawCodec).await;
        answer.map(tonic::Response::into_inner).map_err(|status| lease.failed(&status))
    }

    /// Sends one request and reads a stream of answers.
    pub async fn pages(&self, method: &Method, admin: bool, request: Bytes) -> Result<Messages, CallError> {
        let lease = self.0.commands.lease().await?;
        let grpc = self.ready(&lease).await?;
        self.stream_on(Place { grpc, lease }, method, request, admin).await
    }

    /// Sends a stream of requests and waits for its one answer.
    pub async fn upload<S>(&self, method: &Method, admin: bool, requests: S) -> Result<Bytes, CallError>
    where
        S: Stream<Item = Bytes> + Send + 'static,
    {
        let lease = self.0.commands.lease().await?;
        let mut grpc = self.ready(&lease).await?;
        let request = self.request(requests, admin);
        let answer = grpc.client_streaming(request, path(method)?, RawCodec).await;
        answer.map(tonic::Response::into_inner).map_err(|status| lease.failed(&status))
    }

    async fn stream_on(
        &self,
        place: Place,
        method: &Method,
        request: Bytes,
        admin: bool,
    ) -> Result<Messages, CallError> {
        let Place { mut grpc, lease } = place;
        let request = self.request(request, admin);
        let answer = grpc.server_streaming(request, path(method)?, RawCodec).await;
        let streaming = answer.map_err(|status| lease.failed(&status))?.into_inner();
        Ok(Messages { streaming, lease })
    }

    async fn ready(&self, lease: &Lease) -> Result<Grpc<Channel>, CallError> {
        let limit = self.0.settings.max_message_size;
        let mut grpc = Grpc::new(lease.channel()).max_decoding_message_size(limit).max_encoding_message_size(limit);
        grpc.ready().await.map_err(|error| lease.broken(&error))?;
        Ok(grpc)
    }

    /// Wraps a body with the key that it goes under.
    fn request<T>(&self, body: T, admin: bool) -> Request<T> {
        let settings = &self.0.settings;
        let mut request = Request::new(body);
        let metadata = request.metadata_mut();
        match (&settings.client_key, &settings.admin) {
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
}

impl Messages {
    /// Returns the next message, or none at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        self.streaming.message().await.map_err(|status| self.lease.failed(&status))
    }
}

/// How long a connection may take to stand, TLS included.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

fn path(method: &Method) -> Result<http::uri::PathAndQuery, CallError> {
    method.path.parse().map_err(|_| CallError::internal(format!("`{}` is no path", method.path)))
}
