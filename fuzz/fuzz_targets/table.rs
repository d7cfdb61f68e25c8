//! Any bytes, read as any message into a table of Lua's: the verdict of the reader that makes JSON, and written back, its
//! value.
//!
//! The first two bytes choose the message. `RUSTC_BOOTSTRAP=1 cargo fuzz run table --sanitizer none`
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use mlua::Value;
use olvid_rules::{
    lua::bare::Bare,
    schema::{Catalog, Message, json},
};

static MESSAGES: LazyLock<Vec<&'static Arc<Message>>> = LazyLock::new(|| {
    let mut all: Vec<_> = Catalog::embedded().messages().collect();
    all.sort_by_key(|message| &message.full_name);
    all
});

thread_local!(static VM: Bare = Bare::new().unwrap());

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first_chunk() else { return };
    let message = MESSAGES[usize::from(u16::from_le_bytes(*choice)) % MESSAGES.len()];
    VM.with(|vm| match (vm.table(message, bytes), json::from_wire(message, bytes)) {
        (Ok(table), Ok(expected)) => {
            let written = vm.bytes(message, Value::Table(table)).unwrap();
            assert_eq!(json::from_wire(message, &written).as_ref(), Ok(&expected));
        }
        (Err(_), Err(_)) => {}
        (table, expected) => panic!("{}: {table:?}, but {expected:?}", message.name),
    });
});
