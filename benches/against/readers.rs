//! Clients that do the least there is to do, made of the libraries that the host is made of: the limit of what it can reach.

use std::sync::Arc;

use bytes::Bytes;
use clap::ValueEnum;
use futures_util::stream;
use olvid_rules::{
    daemon::codec::RawCodec,
    schema::{Catalog, encode},
};
use prost::Message as _;
use serde_json::json;
use tokio::{runtime, sync::Semaphore};
use tonic::{Request, Streaming, client::Grpc, transport::Channel};

use crate::load::{self, ASK, DONE, LAST};

#[allow(
    dead_code,
    clippy::pedantic,
    clippy::enum_variant_names,
    unreachable_pub,
    reason = "generated; one message of it is read"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/olvid.rs"));
}

use generated::olvid::daemon::notification::v1::MessageReceivedNotification;

/// What is done with each notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reader {
    /// Nothing: it is a frame, taken off the stream.
    Frames,
    /// It is decoded into its type; its text is answered where it asks for it.
    Typed,
    /// It is decoded and answered, 64 at a time.
    Answering,
}

/// Calls at one time.
const AT_ONCE: usize = 64;

/// Stream and connection windows, as the host has them; measured with the library's own they are slower.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// Reads until the judge kills it.
pub(crate) fn read(reader: Reader, url: &str) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = Channel::from_shared(url.to_owned()).unwrap();
        let endpoint = endpoint.tcp_nodelay(true).initial_stream_window_size(STREAM_WINDOW);
        let channel = endpoint.initial_connection_window_size(CONNECTION_WINDOW).connect().await.unwrap();
        let mut notifications = subscribe(&channel).await;
        match reader {
            Reader::Frames => {
                let last = load::notification(1, LAST);
                while let Some(frame) = notifications.message().await.unwrap() {
                    if frame == last {
                        send(channel.clone(), DONE.to_owned()).await;
                    }
                }
            }
            Reader::Typed => {
                while let Some(frame) = notifications.message().await.unwrap() {
                    let body = decode(frame);
                    if body == LAST {
                        send(channel.clone(), DONE.to_owned()).await;
                    } else if body.starts_with(ASK) {
                        tokio::spawn(send(channel.clone(), body));
                    }
                }
            }
            Reader::Answering => {
                let free = Arc::new(Semaphore::new(AT_ONCE));
                while let Some(frame) = notifications.message().await.unwrap() {
                    let body = decode(frame);
                    let place = Arc::clone(&free).acquire_owned().await.unwrap();
                    let channel = channel.clone();
                    tokio::spawn(async move {
                        send(channel, body).await;
                        drop(place);
                    });
                }
            }
        }
    });
}

fn decode(frame: Bytes) -> String {
    MessageReceivedNotification::decode(frame).unwrap().message.map(|message| message.body).unwrap_or_default()
}

async fn subscribe(channel: &Channel) -> Streaming<Bytes> {
    let path = &Catalog::embedded().subscription("message_received").unwrap().method.path;
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let request = Request::new(stream::iter([Bytes::new()]));
    grpc.streaming(request, path.parse().unwrap(), RawCodec).await.unwrap().into_inner()
}

async fn send(channel: Channel, body: String) {
    let method = &Catalog::embedded().command("message_send").unwrap().method;
    let request = json!({ "discussion_id": 1, "body": body });
    let request = Bytes::from(encode::encode(&method.input, &&request, None).unwrap());
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    grpc.unary(Request::new(request), method.path.parse().unwrap(), RawCodec).await.unwrap();
}
