//! Whatever a rule file holds, loading it ends soon, in little memory, and without a panic.

use std::{
    fmt::Write,
    fs,
    time::{Duration, Instant},
};

use olvid_rules::diagnostic::{machine, render};
use proptest::prelude::*;

use crate::load;

/// Far beyond what any file takes, also in a debug build on a busy machine, and far below what a hang takes.
const SOON: Duration = Duration::from_secs(20);

/// Loads and renders a text; tells its codes.
fn codes(text: &[u8]) -> Vec<&'static str> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.yaml");
    fs::write(&path, text).unwrap();
    let start = Instant::now();
    let (_, diagnostics) = load(&path);
    for told in &diagnostics {
        let Some(place) = &told.place else { continue };
        assert!(place.source.text.get(place.span.clone()).is_some(), "{told:?}");
    }
    let shown = render::human(&diagnostics, true, 100);
    let parsed: Vec<serde_json::Value> = serde_json::from_str(&machine::array(&diagnostics)).unwrap();
    assert_eq!(parsed.len(), diagnostics.len());
    assert!(shown.len() < 1 << 20 && start.elapsed() < SOON, "{:?}, {} bytes", start.elapsed(), shown.len());
    diagnostics.iter().map(|told| told.code).collect()
}

#[test]
fn what_defeats_a_naive_loader_is_refused_soon() {
    let times = |part: &str, number: usize| part.repeat(number);
    let laughs = (1..10).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        let uses = vec![format!("*a{}", level - 1); 10].join(", ");
        text + &format!("a{level}: &a{level} [{uses}]\n")
    });
    let big = format!("a: &a \"{}\"\nb: [{}]\n", times("x", 100_000), times("*a, ", 900));
    let keys = format!("a: &a {{ ? {} : 1 }}\n", times("k", 100_000));
    let flat = format!("rules: [{}]\n", times("a,", 400_000));
    let nested = [
        (times("[", 100_000), "yaml-depth"),
        (format!("a: {}", times("{b: ", 100_000)), "yaml-depth"),
        (format!("a: |\n  x\nb: {}", times("[\"]\",", 100_000)), "yaml-depth"),
        (format!("a: b\n  [ '\nc: {}", times("[", 100_000)), "yaml-depth"),
        (format!("a: \"\\\n  {}\n", times("[", 1000)), "yaml-syntax"),
        (times("- ", 100_000), "yaml-depth"),
        (times("? ", 100_000), "yaml-key"),
        (laughs, "yaml-syntax"),
        (big, "yaml-size"),
        (keys, "yaml-key"),
        (flat, "yaml-size"),
        (format!("a: [{}]", times("*a,", 2000)), "yaml-size"),
        (times("%TAG !a! b\n", 50_000) + "--- a\n", "yaml-tag"),
        (times("--- a\n", 50_000), "yaml-documents"),
        (times("&", 100_000), "yaml-syntax"),
        ("rules: [*r]".to_owned(), "yaml-syntax"),
        (times("\u{feff}", 1000), "wrong-type"),
    ];
    for (text, code) in nested {
        let found = codes(text.as_bytes());
        assert!(found.contains(&code), "{code}: {found:?} for {}", &text.chars().take(60).collect::<String>());
    }
}

#[test]
fn five_thousand_rules_are_loaded() {
    let mut text = "rules:\n".to_owned();
    for number in 0..5000 {
        _ = writeln!(
            text,
            "  - name: rule {number}\n    subscription: message_received\n    filter: {{ discussion_id: {number}, \
             body_search: \"^!r{number}\" }}\n    lua: return {number}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.yaml");
    fs::write(&path, text).unwrap();
    let (set, diagnostics) = load(&path);
    assert!(diagnostics.is_empty(), "{:?}", diagnostics.first());
    assert_eq!(set.rules.len(), 5000);
    assert_eq!(set.rules[4999].place.source.position(set.rules[4999].place.span.start), (19_998, 11));
}

/// Whether the scan refuses: its help on nesting is its own.
fn refused_before_parsing(text: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.yaml");
    fs::write(&path, text).unwrap();
    let (_, diagnostics) = load(&path);
    diagnostics.iter().all(|told| !told.help.as_ref().is_some_and(|help| help.contains("anchor may be used")))
}

/// Pieces that YAML files are made of, and what disturbs them.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "rules:",
        "- ",
        "name: a",
        "subscription: message_received",
        "filter: ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "\n\t",
        "|",
        ">",
        "|2-",
        "\"",
        "'",
        "\\",
        "#",
        " # ",
        "&a ",
        "*a",
        "!t ",
        "!!str ",
        "<<: ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "? ",
        "~",
        "12",
        "0x",
        "1e9",
        "é",
        "😀",
        "\u{2028}",
        "\r\n",
        "\r",
        "\0",
        "body_search: '('",
        "count: 1",
        "lua: |\n      x",
        "  ",
        "handler: scripts/ping.lua",
        "@",
        "`",
        "%",
        "-",
        ":",
        "?",
        "{{ x }}",
    ]);
    prop_oneof![8 => fixed.prop_map(str::to_owned), 1 => "\\PC{0,4}"]
}

/// A valid file with a part replaced by pieces.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let valid = include_bytes!("valid_documented.yaml");
    (0..valid.len(), 0..20usize, prop::collection::vec(piece(), 0..3), prop::collection::vec(any::<u8>(), 0..2))
        .prop_map(move |(at, length, pieces, bytes)| {
            let end = (at + length).min(valid.len());
            [&valid[..at], pieces.concat().as_bytes(), &bytes, &valid[end..]].concat()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_loaded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        codes(&bytes);
    }

    #[test]
    fn any_pieces_are_loaded_or_refused(pieces in prop::collection::vec(piece(), 0..40)) {
        codes(pieces.concat().as_bytes());
    }

    /// What the scan before the parser takes for text must be text to the parser.
    #[test]
    fn deep_nesting_never_reaches_the_parser(before in prop::collection::vec(piece(), 0..12), after in prop::collection::vec(piece(), 0..4)) {
        let text = [before.concat(), "[".repeat(200), after.concat()].concat();
        let nested = serde_yaml::from_str::<serde_yaml::Value>(&text)
            .is_err_and(|error| error.to_string().contains("recursion limit"));
        if nested && !text.contains("*a") {
            let found = codes(text.as_bytes());
            prop_assert!(found.iter().all(|code| *code != "yaml-syntax"), "{found:?} for {text:?}");
            prop_assert!(refused_before_parsing(&text), "{text:?}");
        }
    }

    #[test]
    fn a_disturbed_file_is_loaded_or_refused(text in mutated()) {
        codes(&text);
    }

    #[test]
    fn any_pattern_is_taken_or_refused(pattern in "[-()\\[\\]{}|*+?\\\\^$.,:=!<>&a-dpPQEk0-9 #ixU]{0,16}") {
        drop(olvid_rules::rules::pattern::compile(&pattern));
    }
}
