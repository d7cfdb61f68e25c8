//! From a gRPC call to its answer: who asks, what a test scripted, what the world says. One path for all RPCs.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap};

use super::{
    state::Shared,
    world::{Access, Caller},
};
use crate::schema::{Command, Shape, Subscription, catalog::Entry};

/// The messages of an answer.
pub(super) type Frames = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// How much one upload may carry; it is kept in memory.
const LARGEST_UPLOAD: usize = 1 << 30;

/// Answers calls of one entry of the catalog.
#[derive(Clone)]
pub(super) struct Answering {
    pub(super) shared: Arc<Shared>,
    pub(super) entry: Entry,
}

impl tower_service::Service<Request<Streaming<Bytes>>> for Answering {
    type Response = Response<Frames>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let Self { shared, entry } = self.clone();
        Box::pin(async move {
            let (metadata, _, messages) = request.into_parts();
            let frames = match entry {
                Entry::Subscription(subscription) => subscribe(shared, &subscription, &metadata, messages).await?,
                Entry::Command(command) => answer(shared, &command, &metadata, messages).await?,
            };
            Ok(Response::new(frames))
        })
    }
}

async fn subscribe(
    shared: Arc<Shared>,
    subscription: &Arc<Subscription>,
    metadata: &MetadataMap,
    mut messages: Streaming<Bytes>,
) -> Result<Frames, Status> {
    let caller = admit(&shared, Access::User, metadata)?.ok_or_else(|| Status::unauthenticated("no client key"))?;
    let request = only(&mut messages).await?;
    let (refusal, scripted) = {
        let mut state = shared.state();
        (state.scripts.refusal(), state.scripts.next(&subscription.name))
    };
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    let first = match scripted {
        Some(reply) => reply.play(&subscription.method).await?.unwrap_or_default(),
        None => Vec::new(),
    };
    let reading = shared.subscribe(caller.identity, subscription, request)?;
    Ok(Box::pin(stream::iter(first.into_iter().map(Ok)).chain(reading)))
}

async fn answer(
    shared: Arc<Shared>,
    command: &Arc<Command>,
    metadata: &MetadataMap,
    mut messages: Streaming<Bytes>,
) -> Result<Frames, Status> {
    let caller = admit(&shared, Access::of(&command.name, command.admin), metadata)?;
    let frames = match command.shape {
        Shape::Upload(..) => all(&mut messages).await?,
        _ => vec![only(&mut messages).await?],
    };
    shared.record(caller.as_ref(), command, &frames);
    let scripted = shared.state().scripts.next(&command.name);
    if let Some(reply) = scripted
        && let Some(messages) = reply.play(&command.method).await?
    {
        return Ok(Box::pin(stream::iter(messages.into_iter().map(Ok))));
    }
    let reply = shared.perform(&caller.unwrap_or_default(), command, &frames)?;
    Ok(Box::pin(stream::iter(reply.map(Ok))))
}

fn admit(shared: &Shared, access: Access, metadata: &MetadataMap) -> Result<Option<Caller>, Status> {
    let text = |name| metadata.get(name).and_then(|value| value.to_str().ok());
    shared.state().world.admit(access, text("daemon-client-key"), text("daemon-identity-id"))
}

async fn only(messages: &mut Streaming<Bytes>) -> Result<Bytes, Status> {
    messages.message().await?.ok_or_else(|| Status::internal("the request is missing"))
}

async fn all(messages: &mut Streaming<Bytes>) -> Result<Vec<Bytes>, Status> {
    let (mut frames, mut size) = (Vec::new(), 0);
    while let Some(frame) = messages.message().await? {
        size += frame.len();
        if size > LARGEST_UPLOAD {
            return Err(Status::resource_exhausted("the upload is too large for a simulated daemon"));
        }
        frames.push(frame);
    }
    Ok(frames)
}
