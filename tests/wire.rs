//! The wire: our descriptors against those of the published client, in both directions, nothing missing, nothing extra.
//!
//! The comparison itself is `python/wire.py`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/prepared.rs"]
mod prepared;
#[path = "support/python.rs"]
mod python;

use std::{fs, process::Command};

use olvid_rules::schema::catalog::DESCRIPTORS;

/// Runs the comparison; returns whether it was content, and what it printed.
fn compare(arguments: &[&str]) -> Option<(bool, String)> {
    let python = python::interpreter()?;
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("descriptors.bin");
    fs::write(&ours, DESCRIPTORS).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/wire.py");
    let output = Command::new(python).arg(script).arg(&ours).args(arguments).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&printed).into_owned()))
}

#[test]
fn our_descriptors_are_those_of_the_published_client() {
    let Some((content, printed)) = compare(&[]) else { return };
    assert!(content, "{printed}");
    // A comparison of nothing with nothing would be content as well.
    let facts: usize = printed.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or(0);
    assert!(facts > 1300, "{printed}");
}

#[test]
fn the_comparison_finds_every_kind_of_seeded_difference() {
    let Some((content, printed)) = compare(&["--self-check"]) else { return };
    assert!(content, "{printed}");
}
