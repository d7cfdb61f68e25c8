//! Any JSON, written as any message: a list of mistakes, or bytes that both readers take and that write the same again.
//!
//! The first two bytes choose the message. `RUSTC_BOOTSTRAP=1 cargo fuzz run encode --sanitizer none`
#![no_main]

#[path = "../../tests/codec/oracle.rs"]
mod oracle;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use olvid_rules::schema::encode::encode;
use serde_json::Value;

static MESSAGES: LazyLock<Vec<oracle::Both>> = LazyLock::new(oracle::messages);

fuzz_target!(|input: &[u8]| {
    let Some((choice, text)) = input.split_first_chunk() else { return };
    let both = &MESSAGES[usize::from(u16::from_le_bytes(*choice)) % MESSAGES.len()];
    let Ok(value) = serde_json::from_slice::<Value>(text) else { return };
    match encode(both.plan, &&value, None) {
        Ok(bytes) => {
            let Some(read) = oracle::agreed(both, &bytes) else { panic!("{value}: {bytes:x?} cannot be read") };
            let again = encode(both.plan, &&read, None);
            assert_eq!(again.as_ref(), Ok(&bytes), "{value}: {read}");
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            for mistake in mistakes {
                assert!(!mistake.to_string().is_empty());
            }
        }
    }
});
