//! Acting in the simulated world without a socket: for `dev`, for scenarios, and for the other side of a test.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value as Json, json};
use tonic::Status;

use super::{
    hub::Notification,
    script::written,
    state::{Reading, Shared},
    world::Caller,
};
use crate::schema::{
    Cardinality, Catalog, Command, Kind, Message, Shape, Subscription, Upload, encode, json::from_wire, wire::WireError,
};

/// The largest piece of a file in one message.
const CHUNK: usize = 1_000_000;

/// A message, as bytes or to be written from JSON.
#[derive(Debug, Clone)]
pub enum Payload {
    /// As it goes over the wire; not looked at, so that tests may send what no daemon would.
    Bytes(Bytes),
    /// Checked against the schema.
    Json(Json),
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Json> for Payload {
    fn from(json: Json) -> Self {
        Self::Json(json)
    }
}

/// What an identity is notified of, from now on.
pub struct Observation(Reading<Notification>);

impl Observation {
    /// Waits for the next notification; none when the observer was too far behind.
    pub async fn next(&mut self) -> Option<Notification> {
        Pin::new(&mut self.0).next().await?.ok()
    }

    /// Returns the next notification if there is one.
    pub fn try_next(&mut self) -> Option<Notification> {
        self.0.queue.try_next()
    }

    /// Returns all that happened so far, each with its name and its content as JSON.
    pub fn all(&mut self) -> Vec<(String, Json)> {
        let mut all = Vec::new();
        while let Some((subscription, bytes)) = self.try_next() {
            let content = from_wire(&subscription.method.output, &bytes).unwrap_or(Json::Null);
            all.push((subscription.name.clone(), content));
        }
        all
    }
}

impl std::fmt::Debug for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observation").field("waiting", &self.0.queue.len()).finish()
    }
}

pub(super) fn emit(shared: &Shared, identity: &str, name: &str, payload: Payload) -> Result<usize, Status> {
    let subscription = subscription(name)?;
    let bytes = match payload {
        Payload::Bytes(bytes) => bytes,
        Payload::Json(json) => written(&subscription.method.output, &json)?,
    };
    let mut state = shared.state();
    let identity = state.world.identity_named(identity).ok_or_else(|| no_identity(identity))?;
    let reached = state.hub.publish(identity, subscription, &bytes);
    drop(state);
    shared.touch();
    Ok(reached)
}

pub(super) fn observe(shared: &Arc<Shared>, identity: &str) -> Result<Observation, Status> {
    let mut state = shared.state();
    let identity = state.world.identity_named(identity).ok_or_else(|| no_identity(identity))?;
    let (seat, queue) = state.hub.observe(identity);
    drop(state);
    Ok(Observation(Reading { queue, seat, shared: Arc::clone(shared) }))
}

pub(super) fn call(shared: &Shared, identity: &str, name: &str, request: &Json) -> Result<Json, Status> {
    let command = command(name)?;
    let frames = match (&command.shape, request) {
        (Shape::Upload(..), Json::Array(messages)) => {
            messages.iter().map(|message| written(&command.method.input, message)).collect::<Result<_, _>>()?
        }
        _ => vec![written(&command.method.input, request)?],
    };
    read(command, &perform(shared, identity, command, &frames)?)
}

pub(super) fn call_bytes(shared: &Shared, identity: &str, name: &str, request: &[Bytes]) -> Result<Vec<Bytes>, Status> {
    perform(shared, identity, command(name)?, request)
}

pub(super) fn upload(
    shared: &Shared,
    identity: &str,
    name: &str,
    metadata: &Json,
    files: &[(&str, Bytes)],
) -> Result<Json, Status> {
    let command = command(name)?;
    let Shape::Upload(shape, _) = command.shape else {
        return Err(Status::invalid_argument(format!("{name} is no upload")));
    };
    let frames = upload_frames(&command.method.input, shape, metadata, files)?;
    read(command, &perform(shared, identity, command, &frames)?)
}

/// Cuts files into the messages of an upload. The files' names and sizes are put where the metadata asks for them.
fn upload_frames(
    input: &Message,
    shape: Upload,
    metadata: &Json,
    files: &[(&str, Bytes)],
) -> Result<Vec<Bytes>, Status> {
    let field = &input.fields[shape.metadata];
    let Kind::Message(plan) = &field.kind else { return Err(Status::internal("an upload starts with a message")) };
    let mut metadata = metadata.clone();
    let described: Vec<_> = files.iter().map(|(name, content)| described(plan, name, content.len())).collect();
    if let (Json::Object(entries), Some(list)) = (&mut metadata, list_of_files(plan)) {
        entries.insert(list.to_owned(), Json::Array(described));
    } else if let (Json::Object(entries), Some(Json::Object(only))) = (&mut metadata, described.into_iter().next()) {
        entries.extend(only);
    }
    let mut frames = vec![wrapped(field.number, &written(plan, &metadata)?)];
    for (_, content) in files {
        let payload = input.fields[shape.payload].number;
        frames.extend(content.chunks(CHUNK).map(|chunk| wrapped(payload, chunk)));
        if let Some(delimiter) = shape.delimiter {
            let mut frame = Vec::new();
            encode::put_number(input.fields[delimiter].number, 1, &mut frame);
            frames.push(frame.into());
        }
    }
    Ok(frames)
}

/// The name of the list that describes several files, where there is one.
fn list_of_files(metadata: &Message) -> Option<&str> {
    let list = metadata.fields.iter().find(|field| field.cardinality == Cardinality::Repeated)?;
    matches!(list.kind, Kind::Message(_)).then_some(list.name.as_str())
}

/// A file's name and size under the names that the metadata, or an element of its list, has for them: in the API, the
/// text called `*name` and the number called `*size`.
fn described(metadata: &Message, name: &str, size: usize) -> Json {
    let element = metadata.fields.iter().find_map(|field| match &field.kind {
        Kind::Message(plan) if field.cardinality == Cardinality::Repeated => Some(plan),
        _ => None,
    });
    let fields = element.map_or(&metadata.fields, |plan| &plan.fields);
    let named = |end: &str| fields.iter().find(|field| field.name.ends_with(end)).map(|field| field.name.clone());
    let mut entries = serde_json::Map::new();
    if let Some(field) = named("name") {
        entries.insert(field, json!(name));
    }
    if let Some(field) = named("size") {
        entries.insert(field, json!(size));
    }
    Json::Object(entries)
}

fn wrapped(number: u32, content: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(content.len() + 8);
    encode::put_bytes(number, content, &mut frame);
    frame.into()
}

fn perform(shared: &Shared, identity: &str, command: &Command, frames: &[Bytes]) -> Result<Vec<Bytes>, Status> {
    let caller: Caller = shared.state().world.caller_named(identity).ok_or_else(|| no_identity(identity))?;
    Ok(shared.perform(&caller, command, frames)?.collect())
}

/// Reads an answer: one message as it is, lists as their elements, downloads as a list of chunks.
fn read(command: &Command, answer: &[Bytes]) -> Result<Json, Status> {
    let plan = &command.method.output;
    let broken = |error: WireError| Status::internal(error.to_string());
    match command.shape {
        Shape::Unary(_) | Shape::Upload(..) => {
            from_wire(plan, answer.first().map_or(&[][..], |bytes| bytes)).map_err(broken)
        }
        Shape::List(_) | Shape::Pages | Shape::Download(_) => {
            let mut all = Vec::new();
            for page in answer {
                match (&command.shape, from_wire(plan, page).map_err(broken)?) {
                    (Shape::List(index), Json::Object(mut page)) => match page.remove(&plan.fields[*index].name) {
                        Some(Json::Array(elements)) => all.extend(elements),
                        other => all.extend(other),
                    },
                    (_, page) => all.push(page),
                }
            }
            Ok(Json::Array(all))
        }
    }
}

fn subscription(name: &str) -> Result<&'static Arc<Subscription>, Status> {
    Catalog::embedded()
        .subscription(name)
        .ok_or_else(|| Status::invalid_argument(format!("there is no subscription `{name}`")))
}

fn command(name: &str) -> Result<&'static Arc<Command>, Status> {
    Catalog::embedded().command(name).ok_or_else(|| Status::invalid_argument(format!("there is no command `{name}`")))
}

fn no_identity(name: &str) -> Status {
    Status::not_found(format!("there is no identity `{name}`"))
}
