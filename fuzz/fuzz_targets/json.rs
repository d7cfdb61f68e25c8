//! Any bytes as JSON, as scripts read it: never a panic, and what was read is written and read as the same again.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run json --sanitizer none`
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Some(once) = olvid_rules::lua::fuzzing::json(text) {
        let twice = olvid_rules::lua::fuzzing::json(once.to_string().as_bytes());
        assert_eq!(twice.as_ref(), Some(&once), "{}", String::from_utf8_lossy(text));
    }
});
