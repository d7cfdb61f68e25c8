//! A single slip anywhere in a valid rule is told, with its exact place: each key misspelled, each value of another kind,
//! each key written twice. The rules are those with every parameter of every subscription.

use std::fs;

use olvid_rules::diagnostic::{Diagnostic, Severity};

use crate::load;

const RULES: &str = include_str!("valid_every_parameter.yaml");

/// The rules, each as a file of its own.
fn files() -> Vec<String> {
    let rules = RULES.split("  - name: ").skip(1);
    rules.map(|rule| format!("rules:\n  - name: {rule}").replace("scripts/ping.lua", "ping.lua")).collect()
}

fn told(text: &str) -> Vec<Diagnostic> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ping.lua"), "return print").unwrap();
    let path = folder.path().join("r.yaml");
    fs::write(&path, text).unwrap();
    load(&path).1
}

/// Asserts that something is told exactly there.
fn assert_told_at(text: &str, start: usize, what: &str) {
    let told = told(text);
    let places: Vec<_> = told.iter().filter_map(|told| Some((told.code, told.place.as_ref()?.span.start))).collect();
    let found = told.iter().any(|told| {
        told.severity == Severity::Error && told.place.as_ref().is_some_and(|place| place.span.start == start)
    });
    let around = &text[start.saturating_sub(20)..(start + 40).min(text.len())];
    assert!(found, "{what} at {start} (`{around}`): told {places:?} of\n{text}");
}

/// The keys of a file with where they start, none within a value.
fn keys(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut quoted = false;
    let mut start = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            ':' if !quoted && text[at + 1..].starts_with([' ', '\n']) => found.push((start, &text[start..at])),
            _ => {}
        }
        if !letter.is_alphanumeric() && letter != '_' {
            start = at + letter.len_utf8();
        }
    }
    found
}

#[test]
fn a_misspelled_key_is_told_where_it_stands() {
    let mut seen = 0;
    for text in files() {
        // The first is `rules`, which is not in the rule.
        for (start, key) in keys(&text).into_iter().skip(1) {
            // Another slip for each, and each slip for many.
            let slips = [format!("{key}x"), key.to_uppercase(), format!("z{}", &key[1..])];
            let slip = &slips[seen % slips.len()];
            seen += 1;
            let mutated = [&text[..start], slip, &text[start + key.len()..]].concat();
            assert_told_at(&mutated, start, slip);
        }
    }
    assert!(seen > 300, "{seen}");
}

#[test]
fn a_value_of_another_kind_is_told_where_it_stands() {
    let mut seen = 0;
    for text in files() {
        for (start, key) in keys(&text).into_iter().skip(1) {
            let value = start + key.len() + 2;
            let Some(end) = end_of(&text, value) else { continue };
            for other in ["[[]]", "{ zz: 1 }"] {
                seen += 1;
                let mutated = [&text[..value], other, &text[end..]].concat();
                let told = told(&mutated);
                let within = value..value + other.len();
                let is_there =
                    |told: &Diagnostic| told.place.as_ref().is_some_and(|place| within.contains(&place.span.start));
                assert!(told.iter().any(is_there), "`{key}: {other}` in\n{mutated}\n{told:#?}");
            }
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn a_key_that_is_there_twice_is_told_where_it_stands_again() {
    let mut seen = 0;
    for text in files() {
        for (start, key) in keys(&text).into_iter().skip(1) {
            let value = start + key.len() + 2;
            let Some(end) = end_of(&text, value) else { continue };
            let (line, entry) = (text[..start].rfind('\n').unwrap() + 1, &text[start..end]);
            let is_flow = text[line..start].contains('{');
            let again = if is_flow { format!(", {entry}") } else { format!("\n    {entry}") };
            let mutated = [&text[..end], &again, &text[end..]].concat();
            seen += 1;
            assert_told_at(&mutated, end + again.len() - entry.len(), key);
        }
    }
    assert!(seen > 300, "{seen}");
}

/// Where the value that begins here ends: at the end of its line, or within braces where the next entry begins.
fn end_of(text: &str, start: usize) -> Option<usize> {
    let (mut depth, mut quoted) = (0, false);
    for (at, letter) in text.get(start..)?.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' | ',' if depth == 0 => return Some(start + text[start..start + at].trim_end().len()),
            '}' | ']' => depth -= 1,
            '\n' if depth == 0 => return Some(start + at),
            _ => {}
        }
    }
    None
}
