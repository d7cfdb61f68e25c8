//! A simulated daemon: a gRPC server made from the catalog, a small world of identities behind it, and the means of a
//! test to look into both, to script answers and to break connections.
//!
//! It serves every RPC on the real wire. Everything that an action causes is on the streams before its answer is sent.
//! Only `world` and `filters` know what messages mean; all else is generic.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use tonic::{Code, Status};

pub mod chat;
mod direct;
mod dispatch;
mod filters;
mod hub;
mod proto;
mod queue;
mod record;
mod script;
mod server;
mod state;
mod world;

use server::Server;
use state::Shared;
use world::World;

pub use crate::clock::Clock;
pub use direct::{Observation, Payload};
pub use hub::{LiveStream, Notification};
pub use queue::CAPACITY;
pub use record::Recorded;
pub use script::Reply;

/// How a simulated daemon is set up.
#[derive(Clone)]
pub struct Options {
    /// Where it listens; port 0 is any free port.
    pub listen: SocketAddr,
    /// Names and client keys. All are contacts of each other, with one-to-one discussions.
    pub identities: Vec<(String, String)>,
    /// Administrators' keys, as the daemon's environment would give them.
    pub admin_keys: Vec<String>,
    /// How many calls a connection may have open at one time; none for any number.
    pub max_concurrent_streams: Option<u32>,
    /// Whether a subscription to things by id is refused when there is no such thing in the world. Off for tests that
    /// emit notifications about things the world does not hold.
    pub check_ids: bool,
    /// The version it says it has.
    pub version: String,
    /// Where time stamps come from.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        let identity = |name: &str| (name.to_owned(), name.to_owned());
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            identities: ["bot", "alice", "bob"].map(identity).into(),
            admin_keys: vec!["admin".to_owned()],
            max_concurrent_streams: None,
            check_ids: true,
            version: "2.0.1".to_owned(),
            clock: Clock::system(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.identities.iter().map(|(name, _)| name).collect();
        f.debug_struct("Options").field("listen", &self.listen).field("identities", &names).finish_non_exhaustive()
    }
}

/// A running simulated daemon. Clones are handles to the same one, which stops when the last is dropped.
#[derive(Debug, Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
    serving: Arc<Serving>,
}

#[derive(Debug)]
struct Serving(Server);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Simulator {
    /// Binds a listener and serves on the current tokio runtime.
    pub async fn start(options: Options) -> io::Result<Self> {
        let (listen, streams) = (options.listen, options.max_concurrent_streams);
        let shared = Shared::new(World::new(options));
        let server = Server::start(listen, streams, &shared).await?;
        Ok(Self { shared, serving: Arc::new(Serving(server)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.serving.0.address()
    }

    /// Where it listens, as clients are told.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Returns another handle to the same simulated daemon.
    #[must_use]
    pub fn handle(&self) -> Self {
        self.clone()
    }

    /// Ends all streams with UNAVAILABLE, behind what waits on them, and stops serving. The world stays.
    pub async fn stop(&self) {
        self.kill_streams(None, Code::Unavailable, "the daemon is stopping");
        self.serving.0.stop().await;
    }

    /// Serves again at the same address, with the same world.
    #[allow(clippy::unused_async, reason = "it takes a runtime to listen")]
    pub async fn restart(&self) -> io::Result<()> {
        self.serving.0.restart(&self.shared)
    }

    /// Stops, and has another daemon serve at the same address, with options of its own but for where and how it listens.
    /// The listener is both's from then on: it is stopped by either, and when the handles to both are dropped.
    pub async fn replace(&self, options: Options) -> io::Result<Self> {
        self.stop().await;
        let other = Self { shared: Shared::new(World::new(options)), serving: Arc::clone(&self.serving) };
        other.restart().await?;
        Ok(other)
    }

    /// Cuts all connections as a crash would, without a word. New ones are taken.
    pub fn drop_connections(&self) {
        self.serving.0.cut();
    }

    /// Sends GOAWAY on all connections: what is open goes on, new calls need a new connection.
    pub fn go_away(&self) {
        self.serving.0.go_away();
    }

    /// Ends the live streams of one identity, or of all, with a status, behind what waits on them. Returns their number.
    pub fn kill_streams(&self, identity: Option<&str>, code: Code, message: &str) -> usize {
        let mut state = self.shared.state();
        let named = identity.map(|name| state.world.identity_named(name));
        let concerned = |identity| named.is_none_or(|named| named == Some(identity));
        let ended = state.hub.end_where(concerned, &Status::new(code, message));
        drop(state);
        self.shared.touch();
        ended
    }

    /// Refuses every new subscription with a status, until called with none.
    pub fn refuse_subscriptions(&self, status: Option<(Code, &str)>) {
        let status = status.map(|(code, message)| Status::new(code, message));
        self.shared.state().scripts.refuse(status);
    }

    /// Has the next calls of a command, or the next subscriptions of a name, answered otherwise. Scripts of one name
    /// are played in the order they were given.
    pub fn script(&self, name: &str, reply: Reply, times: usize) {
        self.shared.state().scripts.add(name, reply, times);
    }

    /// The names of what was scripted and not yet played.
    pub fn unplayed(&self) -> Vec<String> {
        self.shared.state().scripts.waiting().map(str::to_owned).collect()
    }

    /// Forgets what was scripted and not yet played.
    pub fn clear_scripts(&self) {
        self.shared.state().scripts.clear();
    }

    /// The newest commands that arrived over the wire, oldest first; at most 10 000.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.shared.state().record.all()
    }

    /// Forgets the recorded commands.
    pub fn clear_recorded(&self) {
        self.shared.state().record.clear();
    }

    /// Waits until a command was recorded at least so often, and returns those records.
    pub async fn wait_recorded(&self, command: &str, times: usize) -> Vec<Recorded> {
        let of = |records: Vec<Recorded>| -> Vec<Recorded> {
            records.into_iter().filter(|recorded| recorded.command.name == command).collect()
        };
        self.shared.until(|state| of(state.record.all()).len() >= times).await;
        of(self.recorded())
    }

    /// The streams that are open now, in the order they were opened.
    pub fn streams(&self) -> Vec<LiveStream> {
        let state = self.shared.state();
        state.hub.streams(|identity| state.world.name_of(identity))
    }

    /// Waits until an identity has at least so many streams open.
    pub async fn subscribers(&self, identity: &str, streams: usize) {
        self.wait_streams(identity, |open| open >= streams).await;
    }

    /// Waits until the number of an identity's open streams is as asked.
    pub async fn wait_streams(&self, identity: &str, wanted: impl Fn(usize) -> bool) {
        let holds = |state: &state::State| {
            state.world.identity_named(identity).is_some_and(|identity| wanted(state.hub.open(identity)))
        };
        self.shared.until(holds).await;
    }

    /// How many notifications were put on an identity's streams since the start.
    pub fn sent(&self, identity: &str) -> u64 {
        let state = self.shared.state();
        state.world.identity_named(identity).map_or(0, |identity| state.hub.sent(identity))
    }

    /// How many streams an identity opened since the start.
    pub fn opened(&self, identity: &str) -> u64 {
        let state = self.shared.state();
        state.world.identity_named(identity).map_or(0, |identity| state.hub.opened(identity))
    }

    /// Waits until at most so many notifications are on streams and not yet taken by the connection: the way to emit
    /// more than [`CAPACITY`] without outrunning a reader.
    pub async fn drained(&self, waiting: usize) {
        self.shared.until(|state| state.hub.waiting() <= waiting).await;
    }

    /// Puts a notification on the matching live streams of an identity, and returns how many those are. The world does
    /// not change: the notification may be about anything.
    pub fn emit(&self, identity: &str, subscription: &str, notification: impl Into<Payload>) -> Result<usize, Status> {
        direct::emit(&self.shared, identity, subscription, notification.into())
    }

    /// Does a command as an identity, without a socket, and returns the answer as JSON: one message as it is, a list
    /// as its elements. An upload takes a list of its messages, or see [`upload`](Self::upload).
    pub fn call(
        &self,
        identity: &str,
        command: &str,
        request: &serde_json::Value,
    ) -> Result<serde_json::Value, Status> {
        direct::call(&self.shared, identity, command, request)
    }

    /// Does a command as an identity with messages as bytes, and returns those of the answer.
    pub fn call_bytes(&self, identity: &str, command: &str, request: &[Bytes]) -> Result<Vec<Bytes>, Status> {
        direct::call_bytes(&self.shared, identity, command, request)
    }

    /// Does an upload as an identity: the metadata without its list of files where there may be several, and the
    /// content of each file with its name.
    pub fn upload(
        &self,
        identity: &str,
        command: &str,
        metadata: &serde_json::Value,
        files: &[(&str, Bytes)],
    ) -> Result<serde_json::Value, Status> {
        direct::upload(&self.shared, identity, command, metadata, files)
    }

    /// Watches everything that an identity is notified of, whatever its clients listen to. Does not count as reading.
    pub fn observe(&self, identity: &str) -> Result<Observation, Status> {
        direct::observe(&self.shared, identity)
    }

    /// The id of an identity, as an administrator uses it.
    pub fn identity_id(&self, name: &str) -> Option<u64> {
        self.shared.state().world.identity_named(name)
    }
}
