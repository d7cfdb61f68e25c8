//! Bytes and what they mean: the schema's reader and writer against `prost-reflect`, for every message of the catalog.
//!
//! The same inputs on every run: seeds are fixed. What no seed finds is left to `fuzz/`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "values are made from bytes of any meaning"
)]

#[path = "codec/generate.rs"]
mod generate;
#[path = "codec/oracle.rs"]
mod oracle;

use std::time::{Duration, Instant};

use generate::Entropy;
use olvid_rules::schema::{
    encode::{encode, put_bytes},
    json::from_wire,
};
use oracle::{Both, agreed, messages};
use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestRng, TestRunner},
};
use prost_reflect::{DynamicMessage, Value, prost::Message};
use serde_json::{Value as Json, json};

/// Runs a property over every message, each with its own strings of bytes.
fn for_every_message(cases: u32, longest: usize, property: impl Fn(&Both, &[u8])) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    for both in messages() {
        let rng = TestRng::deterministic_rng(config.rng_algorithm);
        let mut runner = TestRunner::new_with_rng(config.clone(), rng);
        let outcome = runner.run(&vec(any::<u8>(), 0..longest), |bytes| {
            property(&both, &bytes);
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", both.plan.name));
    }
}

fn message(full_name: &str) -> Both {
    messages().into_iter().find(|both| both.plan.full_name.ends_with(full_name)).unwrap()
}

/// Whether JSON has a word for every number: it has none for infinity and not-a-number.
fn is_finite(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Array(items) => items.iter().all(is_finite),
        Json::Object(entries) => entries.values().all(is_finite),
        _ => true,
    }
}

/// Whether there are bytes that are no text, which JSON shows and does not take back.
fn has_raw_bytes(message: &DynamicMessage) -> bool {
    message.fields().any(|(_, value)| match value {
        Value::Bytes(bytes) => str::from_utf8(bytes).is_err(),
        Value::Message(inner) => has_raw_bytes(inner),
        Value::List(items) => items.iter().any(|item| item.as_message().is_some_and(has_raw_bytes)),
        _ => false,
    })
}

#[test]
fn what_is_in_a_message_is_read() {
    for_every_message(48, 400, |both, bytes| {
        let made = generate::message(&mut Entropy(bytes), &both.descriptor);
        let read = from_wire(both.plan, &made.encode_to_vec()).unwrap();
        assert_eq!(read.to_string(), oracle::json(&made).to_string());
    });
}

#[test]
fn what_is_read_can_be_written_and_read_again() {
    for_every_message(48, 400, |both, bytes| {
        let made = generate::message(&mut Entropy(bytes), &both.descriptor);
        let first = from_wire(both.plan, &made.encode_to_vec()).unwrap();
        if has_raw_bytes(&made) || !is_finite(&first) {
            return;
        }
        let written = encode(both.plan, &&first, None).unwrap();
        assert_eq!(agreed(both, &written).unwrap().to_string(), first.to_string());
        let again = DynamicMessage::decode(both.descriptor.clone(), &*written).unwrap();
        assert_eq!(again.encode_to_vec().len(), written.len(), "as short as the reference writes it");
    });
}

#[test]
fn every_form_that_protobuf_allows_is_read() {
    for_every_message(96, 600, |both, bytes| {
        let wire = generate::wire(&mut Entropy(bytes), &both.descriptor);
        assert!(agreed(both, &wire).is_some(), "{wire:x?} is a message");
    });
}

#[test]
fn bytes_that_end_early_are_judged_as_the_reference_judges_them() {
    for_every_message(8, 200, |both, bytes| {
        let wire = generate::wire(&mut Entropy(bytes), &both.descriptor);
        for end in 0..wire.len() {
            agreed(both, &wire[..end]);
        }
    });
}

#[test]
fn damaged_bytes_are_judged_as_the_reference_judges_them() {
    for_every_message(24, 300, |both, bytes| {
        let (damage, seed) = bytes.split_at(bytes.len().min(24));
        let mut wire = generate::wire(&mut Entropy(seed), &both.descriptor);
        for at in damage.chunks_exact(3) {
            if wire.is_empty() {
                break;
            }
            let place = usize::from(u16::from_le_bytes([at[0], at[1]])) % wire.len();
            match at[2] % 4 {
                0 => wire[place] ^= 1 << (at[2] >> 5),
                1 => wire[place] = at[2],
                2 => wire.insert(place, at[0]),
                _ => drop(wire.remove(place)),
            }
            agreed(both, &wire);
        }
    });
}

#[test]
fn random_bytes_are_judged_as_the_reference_judges_them() {
    for_every_message(96, 40, |both, bytes| drop(agreed(both, bytes)));
}

#[test]
fn impossible_bytes_are_refused_for_every_message() {
    let impossible: [&[u8]; 14] = [
        &[0x00, 0x00],
        &[0x02, 0x00],
        &[0x80, 0x00, 0x00],
        &[0x0e, 0x00],
        &[0x0f, 0x00],
        &[0xf8, 0xff, 0xff, 0xff, 0x1f, 0x00],
        &[0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00],
        &[0xff; 12],
        &[0xfb, 0x7f, 0x00],
        &[0xfb, 0x7f, 0xf4, 0x7f],
        &[0xfb, 0x7f],
        &[0xfc, 0x7f],
        &[0xfa, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0xf8, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
    ];
    for both in messages() {
        for bytes in impossible {
            assert_eq!(agreed(&both, bytes), None, "{} {bytes:x?}", both.plan.name);
        }
        for field in &both.plan.fields {
            // Every field in every wire type: all but its own, and the packed one of a list, are refused.
            for wire in 0..=7u32 {
                let mut bytes = Vec::new();
                put_bytes(field.number, &[], &mut bytes);
                bytes[0] = (bytes[0] & 0xf8) | wire as u8;
                bytes.extend([0; 8]);
                bytes.truncate(bytes.len() - 8 + [0, 7, 0, 0, 0, 3, 0, 0][wire as usize]);
                agreed(&both, &bytes);
            }
        }
    }
}

#[test]
fn groups_are_skipped_to_the_depth_that_the_reference_allows() {
    let both = message("v1.Message");
    let nested =
        |depth: usize| [vec![0xf3, 0x07]; 1].concat().repeat(depth).into_iter().chain([0xf4, 0x07].repeat(depth));
    assert!(agreed(&both, &nested(99).collect::<Vec<_>>()).is_some());
    for depth in 98..110 {
        agreed(&both, &nested(depth).collect::<Vec<_>>());
    }
    assert_eq!(agreed(&both, &nested(100_000).collect::<Vec<_>>()), None);
}

#[test]
fn occurrences_of_one_message_merge_in_linear_time() {
    let both = message("v1.Message");
    let id = both.plan.field("id").unwrap().number;
    let mut wire = Vec::new();
    for number in 0..200_000u32 {
        put_bytes(id, &[0x10, (number % 100) as u8], &mut wire);
    }
    let start = Instant::now();
    let read = from_wire(both.plan, &wire).unwrap();
    assert_eq!(read["id"], json!({ "type": "TYPE_UNSPECIFIED", "id": 99 }));
    // Squared it would be hours.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn a_member_of_a_oneof_that_comes_again_starts_anew() {
    let both = message("v1.MessageFilter");
    let number = |name: &str| both.plan.field(name).unwrap().number;
    let (reply, only) = (number("replied_message_id"), number("reply_to_a_message"));
    let mut wire = Vec::new();
    put_bytes(reply, &[0x08, 0x01], &mut wire);
    wire.extend([(only << 3) as u8, 1]);
    put_bytes(reply, &[0x10, 0x07], &mut wire);
    let read = agreed(&both, &wire).unwrap();
    assert_eq!(read["replied_message_id"], json!({ "type": "TYPE_UNSPECIFIED", "id": 7 }));
    put_bytes(reply, &[0x08, 0x02], &mut wire);
    let read = agreed(&both, &wire).unwrap();
    assert_eq!(read["replied_message_id"], json!({ "type": "TYPE_OUTBOUND", "id": 7 }));
    wire.extend([(only << 3) as u8, 0]);
    assert_eq!(agreed(&both, &wire).unwrap().get("replied_message_id"), None);
}

#[test]
fn what_a_field_cannot_hold_is_refused_when_written() {
    let refused = |name: &str, value: Json| {
        let both = message(name);
        let mistakes = encode(both.plan, &&value, None).unwrap_err();
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        refused("v1.MessageLocation", json!({ "precision": 1e300 })),
        "precision: 1e300 is out of range for float (a float is at most 3.4028235e38)"
    );
    assert_eq!(
        refused("v1.MessageFilter", json!({ "reaction_filters": [{}, null] })),
        "reaction_filters[2]: expected ReactionFilter, found nothing"
    );
    assert_eq!(
        refused("v1.MessageFilter", json!({ "discussion_id": 1.5 })),
        "discussion_id: expected a whole number, found the number 1.5"
    );
}
