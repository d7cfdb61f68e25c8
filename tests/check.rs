//! Rule files and what is said of them: each `check/*.yaml` (or directory of them) beside a `.stderr` with every word.
//!
//! A file without a `.stderr` is a file without a mistake. `UPDATE_CHECK=1 cargo test --test check` writes them anew; the
//! message is the contract, so read what changed.

#![expect(clippy::unwrap_used, reason = "a helper of a test panics as the test itself would")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use olvid_rules::{
    diagnostic::{Diagnostic, Severity, render},
    rules::{Caps, RuleSet},
    schema::Catalog,
};

mod check {
    //! The tests that are not about wording, each beside its subject's files.
    pub(crate) mod limits;
    pub(crate) mod meaning;
    pub(crate) mod mutations;
    pub(crate) mod places;
    pub(crate) mod robustness;
}

/// Loads as the program does from the crate's directory, which is where tests run. What is called `capped` is loaded as
/// with flags that cap.
pub(crate) fn load(path: &Path) -> (RuleSet, Vec<Diagnostic>) {
    let caps = [("timeout", 10_000), ("cpu", 500), ("memory", 64 << 20), ("output", 1000)];
    let caps = caps.into_iter().chain([("log_rate", 10), ("command_rate", 20)]).map(|(key, cap)| (key, Some(cap)));
    let capped = path.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("capped"));
    let caps = if capped { Caps::new(caps) } else { Caps::default() };
    RuleSet::load_within(&[path.to_owned()], Catalog::embedded(), &caps)
}

/// The files and directories that are cases.
fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/check").unwrap().map(|entry| entry.unwrap().path());
    let yaml = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "yaml");
    let mut cases: Vec<_> = entries.filter(|path| yaml(path) || path.join("one.yaml").exists()).collect();
    cases.sort();
    cases
}

fn shown(diagnostics: &[Diagnostic]) -> String {
    let mut shown = render::human(diagnostics, false, 120);
    shown.extend(render::summary(diagnostics).map(|summary| format!("\n{summary}\n")));
    shown
}

#[test]
fn every_mistake_is_told_in_the_words_of_its_golden_file() {
    let update = std::env::var_os("UPDATE_CHECK").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let (_, diagnostics) = load(&case);
        let (found, golden) = (shown(&diagnostics), case.with_extension("stderr"));
        if update && !found.is_empty() {
            fs::write(&golden, &found).unwrap();
        } else if update {
            drop(fs::remove_file(&golden));
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            wrong.push(format!("== {}\n-- expected\n{expected}\n-- found\n{found}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_golden_files_are_those_of_the_cases_and_cover_every_code() {
    let cases = cases();
    let golden: BTreeSet<_> = cases.iter().map(|case| case.with_extension("stderr")).collect();
    for entry in fs::read_dir("tests/check").unwrap() {
        let path = entry.unwrap().path();
        assert!(path.extension().is_none_or(|kind| kind != "stderr") || golden.contains(&path), "{}", path.display());
    }
    assert!(golden.iter().filter(|path| path.exists()).count() >= 75);
    let codes: BTreeSet<_> = cases.iter().flat_map(|case| load(case).1).map(|diagnostic| diagnostic.code).collect();
    for code in codes_in_source() {
        // Files of other kinds than text, which cannot lie here, have tests of their own.
        let elsewhere = ["file-missing", "file-unreadable", "file-size", "more", "yaml-size"].contains(&code.as_str());
        assert!(elsewhere || codes.contains(code.as_str()), "no golden file for `{code}`");
    }
}

/// Every code that the loader can give, found where diagnostics are made.
fn codes_in_source() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("src/rules").unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        for start in ["Diagnostic::error(\"", "Diagnostic::warning(\"", "Refusal::new(span, \"", "give_up(\""] {
            found.extend(text.split(start).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

#[test]
fn files_that_are_named_valid_have_rules_and_no_mistake() {
    let valid = cases().into_iter().filter(|case| case.file_stem().unwrap().to_string_lossy().starts_with("valid"));
    let mut seen = 0;
    for case in valid {
        let (set, diagnostics) = load(&case);
        assert!(diagnostics.iter().all(|told| told.severity != Severity::Error), "{}", shown(&diagnostics));
        assert!(!set.rules.is_empty(), "{}", case.display());
        seen += 1;
    }
    assert!(seen >= 4);
}
