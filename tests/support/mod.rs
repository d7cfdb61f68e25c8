//! What tests of the daemon's wire share: a raw client, by command name and JSON, over a real socket.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use olvid_rules::{
    daemon::codec::RawCodec,
    schema::{Catalog, Command, Method, Shape, encode, json},
    simulator::Simulator,
};
use serde_json::Value as Json;
use tonic::{Request, Status, Streaming, client::Grpc, metadata::MetadataMap, transport::Channel};

/// A client with a key.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
    metadata: Vec<(&'static str, String)>,
}

impl Client {
    /// Connects with a client key.
    pub(crate) async fn connect(simulator: &Simulator, key: &str) -> Self {
        let endpoint = Channel::from_shared(simulator.url()).unwrap();
        Self { channel: endpoint.connect().await.unwrap(), metadata: vec![("daemon-client-key", key.to_owned())] }
    }

    /// Connects without a key.
    pub(crate) async fn anonymous(simulator: &Simulator) -> Self {
        Self { metadata: Vec::new(), ..Self::connect(simulator, "").await }
    }

    /// Acts for an identity, as an administrator may.
    pub(crate) fn acting_for(mut self, identity: u64) -> Self {
        self.metadata.push(("daemon-identity-id", identity.to_string()));
        self
    }

    /// Sends messages to an RPC and returns the stream of what comes back.
    pub(crate) async fn raw(&self, method: &Method, frames: Vec<Bytes>) -> Result<Streaming<Bytes>, Status> {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(stream::iter(frames));
        let metadata: &mut MetadataMap = request.metadata_mut();
        for (name, value) in &self.metadata {
            metadata.insert(*name, value.parse().unwrap());
        }
        let path = method.path.parse().unwrap();
        Ok(grpc.streaming(request, path, RawCodec).await?.into_inner())
    }

    /// Calls a command with JSON, and returns its messages as JSON.
    pub(crate) async fn messages(&self, name: &str, request: Json) -> Result<Vec<Json>, Status> {
        let command = command(name);
        let requests = match (&command.shape, request) {
            (Shape::Upload(..), Json::Array(frames)) => frames,
            (_, request) => vec![request],
        };
        let frames = requests.iter().map(|request| written(&command.method, request)).collect();
        let mut answers = self.raw(&command.method, frames).await?;
        let mut messages = Vec::new();
        while let Some(answer) = answers.message().await? {
            messages.push(json::from_wire(&command.method.output, &answer).unwrap());
        }
        Ok(messages)
    }

    /// Calls a command that answers once.
    pub(crate) async fn call(&self, name: &str, request: Json) -> Result<Json, Status> {
        let mut messages = self.messages(name, request).await?;
        assert_eq!(messages.len(), 1, "{name} answers once");
        Ok(messages.remove(0))
    }

    /// Calls a command that lists, and returns the elements.
    pub(crate) async fn list(&self, name: &str, request: Json) -> Result<Vec<Json>, Status> {
        let Shape::List(index) = command(name).shape else { panic!("{name} lists nothing") };
        let field = command(name).method.output.fields[index].name.clone();
        let pages = self.messages(name, request).await?;
        Ok(pages.into_iter().flat_map(|mut page| page[&field].take().as_array().unwrap().clone()).collect())
    }

    /// Opens a subscription.
    pub(crate) async fn subscribe(&self, name: &str, request: Json) -> Result<Listening, Status> {
        let subscription = Catalog::embedded().subscription(name).unwrap();
        let frames = vec![written(&subscription.method, &request)];
        Ok(Listening { method: &subscription.method, stream: self.raw(&subscription.method, frames).await? })
    }
}

/// An open subscription.
pub(crate) struct Listening {
    method: &'static Method,
    stream: Streaming<Bytes>,
}

impl Listening {
    /// Waits for the next notification; none where the stream ended as asked.
    pub(crate) async fn next(&mut self) -> Result<Option<Json>, Status> {
        let bytes = self.stream.next().await.transpose()?;
        Ok(bytes.map(|bytes| json::from_wire(&self.method.output, &bytes).unwrap()))
    }

    /// Waits for the next notification, which must come.
    pub(crate) async fn expect(&mut self) -> Json {
        self.next().await.unwrap().unwrap_or_else(|| panic!("{} ended", self.method.name))
    }
}

/// A command of the catalog.
pub(crate) fn command(name: &str) -> &'static Arc<Command> {
    Catalog::embedded().command(name).unwrap_or_else(|| panic!("no command {name}"))
}

fn written(method: &Method, request: &Json) -> Bytes {
    match encode::encode(&method.input, &request, None) {
        Ok(bytes) => bytes.into(),
        Err(mismatches) => panic!("{}: {}", method.name, mismatches[0]),
    }
}
