//! A handler cannot hurt the host: several hundred scripts that try, in the real program, against the simulated daemon.
//!
//! `tests/contained` holds them, in nine families. Each says in its first line what must come of it; `script.rs` tells how.
//! `OLVID_RULES_CONTAINED=cpu_close,mem_` runs those whose names contain one of the parts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "contained/harness.rs"]
mod harness;
#[path = "contained/long.rs"]
mod long;
#[path = "support/process.rs"]
mod process;
#[path = "contained/refusal.rs"]
mod refusal;
#[path = "contained/script.rs"]
mod script;
#[path = "reload_files/site.rs"]
mod site;
#[path = "contained/surface.rs"]
mod surface;
#[path = "contained/told.rs"]
mod told;

use harness::attack;
use script::{FAMILIES, all};

#[test]
fn calls_and_coroutines_that_are_abused_end_with_their_run() {
    attack(&all(), "asy");
}

#[test]
fn whatever_computes_for_ever_is_ended() {
    attack(&all(), "cpu");
}

#[test]
fn an_error_of_any_kind_is_told() {
    attack(&all(), "err");
}

#[test]
fn nothing_but_the_documented_names_is_within_reach() {
    attack(&all(), "esc");
}

#[test]
fn what_a_script_says_stays_a_line_of_its_own() {
    attack(&all(), "log");
}

#[test]
fn memory_that_is_full_ends_the_run() {
    attack(&all(), "mem");
}

#[test]
fn what_one_handler_changes_no_other_one_sees() {
    attack(&all(), "poi");
}

#[test]
fn the_key_is_out_of_reach() {
    attack(&all(), "sec");
}

#[test]
fn what_nests_too_deep_is_an_error() {
    attack(&all(), "stk");
}

#[test]
fn a_script_that_does_not_load_is_refused_in_time() {
    refusal::refuse(&all());
}

#[test]
fn the_corpus_is_whole() {
    if std::env::var_os("OLVID_RULES_CONTAINED").is_none() {
        let scripts = all();
        assert!(scripts.len() >= 160, "{}", scripts.len());
        for family in FAMILIES {
            assert!(scripts.iter().any(|script| script.name.starts_with(family)), "{family}");
        }
    }
}
