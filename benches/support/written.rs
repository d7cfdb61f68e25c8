//! Messages on the wire, from JSON.

use bytes::Bytes;
use olvid_rules::schema::{Message, encode};
use serde_json::Value as Json;

/// Writes a message; the bench fails where there is no such one.
pub(crate) fn written(plan: &Message, value: &Json) -> Bytes {
    match encode::encode(plan, &value, None) {
        Ok(bytes) => bytes.into(),
        Err(mismatches) => panic!("{}: {}", plan.name, mismatches[0]),
    }
}
