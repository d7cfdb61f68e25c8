//! Any bytes, read as any message: never a panic, and the verdict and value of `prost-reflect`.
//!
//! The first two bytes choose the message. `RUSTC_BOOTSTRAP=1 cargo fuzz run decode --sanitizer none`
#![no_main]

#[path = "../../tests/codec/oracle.rs"]
mod oracle;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static MESSAGES: LazyLock<Vec<oracle::Both>> = LazyLock::new(oracle::messages);

fuzz_target!(|input: &[u8]| {
    if let Some((choice, bytes)) = input.split_first_chunk() {
        let both = &MESSAGES[usize::from(u16::from_le_bytes(*choice)) % MESSAGES.len()];
        oracle::agreed(both, bytes);
    }
});
