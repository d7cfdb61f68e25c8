//! What the daemon is to send, as it is passed to its process, and the notifications themselves.

use std::str::FromStr;

use bytes::Bytes;
use olvid_rules::schema::Catalog;
use serde_json::{Value as Json, json};

use crate::written::written;

/// Discussions that notifications are spread over.
pub(crate) const DISCUSSIONS: u64 = 64;

/// What the last notification says; its handler answers with [`DONE`].
pub(crate) const LAST: &str = "last";

/// What an answer says that ends a measurement.
pub(crate) const DONE: &str = "done";

/// How the text begins that is to be answered with itself.
pub(crate) const ASK: &str = "ask ";

/// The daemon's part. As text: `flood:COUNT`, `answered:COUNT:AT_ONCE`, `rate:PER_SECOND:COUNT:EACH`, `nothing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// So many as fast as they are taken; done when the last one's handler says so.
    Flood { count: u64 },
    /// So many, each to be answered. `at_once`: all are sent; otherwise each after the answer to the one before.
    Answered { count: u64, at_once: bool },
    /// At a rate; one in `each` is to be answered, by which the way there and back is measured.
    Rate { per_second: u64, count: u64, each: u64 },
    /// Streams stay open, nothing comes.
    Nothing,
}

impl FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let kind = parts.next().unwrap_or_default();
        let mut number =
            || parts.next().and_then(|part| part.parse().ok()).ok_or(format!("a number is missing: {text}"));
        match kind {
            "flood" => Ok(Self::Flood { count: number()? }),
            "answered" => Ok(Self::Answered { count: number()?, at_once: number()? == 1 }),
            "rate" => Ok(Self::Rate { per_second: number()?, count: number()?, each: number()? }),
            "nothing" => Ok(Self::Nothing),
            _ => Err(format!("no load {text}")),
        }
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flood { count } => write!(f, "flood:{count}"),
            Self::Answered { count, at_once } => write!(f, "answered:{count}:{}", u8::from(*at_once)),
            Self::Rate { per_second, count, each } => write!(f, "rate:{per_second}:{count}:{each}"),
            Self::Nothing => write!(f, "nothing"),
        }
    }
}

/// A notification of a message that has all that most messages have: 15 fields with those of its parts, 100 bytes of text.
pub(crate) fn notification(discussion: u64, body: &str) -> Bytes {
    let plan = &Catalog::embedded().subscription("message_received").unwrap().method.output;
    written(plan, &json!({ "message": message(discussion, body) }))
}

/// What the daemon says to a command: the message that was sent.
pub(crate) fn sent() -> Bytes {
    let plan = &Catalog::embedded().command("message_send").unwrap().method.output;
    written(plan, &json!({ "message": message(1, "pong") }))
}

/// The usual text.
pub(crate) fn text() -> String {
    "!ping and then some more words, so that this is about as long as what people write to each other: hello".to_owned()
}

fn message(discussion: u64, body: &str) -> Json {
    json!({
        "id": { "type": "TYPE_INBOUND", "id": 1_234_567 },
        "discussion_id": discussion,
        "sender_id": 42,
        "body": body,
        "sort_index": 1234.5,
        "timestamp": 1_764_375_000_000_u64,
        "attachments_count": 2,
        "replied_message_id": { "type": "TYPE_OUTBOUND", "id": 1_234_560 },
        "reactions": [{ "contact_id": 7, "reaction": "👍", "timestamp": 1_764_375_000_123_u64 }],
        "forwarded": true,
    })
}
