//! Any bytes as JSON, as scripts read it: never a panic, and what was read is written and read as the same again.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run json --sanitizer none`
#![no_main]

use libfuzzer_sys::fuzz_target;
use olvid_rules::lua::bare::Bare;

thread_local!(static VM: Bare = Bare::new().unwrap());

fuzz_target!(|text: &[u8]| {
    VM.with(|vm| {
        if let Some(once) = vm.json(text) {
            let twice = vm.json(once.to_string().as_bytes());
            assert_eq!(twice.as_ref(), Some(&once), "{}", String::from_utf8_lossy(text));
        }
    });
});
