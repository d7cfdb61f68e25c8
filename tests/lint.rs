//! What is said of scripts that were not run: each `lint/*.lua` (or rule file) beside a `.stderr` with every word.
//!
//! The first line of a script names the subscriptions that it handles, each with the function that does where it returns a
//! table. `UPDATE_LINT=1 cargo test --test lint` writes the texts anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use olvid_rules::{
    diagnostic::{Diagnostic, Severity, render},
    lua::ScriptSpec,
    rules::RuleSet,
    schema::Catalog,
};
use tempfile::TempDir;

/// How long anything that a file contains may take.
const SOON: Duration = Duration::from_secs(1);

/// What checking a rule file and its scripts tells; paths are as from its folder.
fn check(rules: &Path) -> Vec<Diagnostic> {
    let (set, mut told) = RuleSet::load(&[rules.to_owned()], Catalog::embedded());
    told.extend(ScriptSpec::check_all(&set));
    told
}

/// A rule file for a script, as its first line says.
fn rules(script: &str, text: &str) -> String {
    let first = text.lines().next().unwrap().strip_prefix("-- ").unwrap();
    let rule = |(at, named): (usize, &str)| {
        let (subscription, function) = named
            .split_once(':')
            .map_or((named, String::new()), |(subscription, function)| (subscription, format!(":{function}")));
        format!("  - {{ name: r{at}, subscription: {subscription}, handler: {script}{function} }}\n")
    };
    format!("rules:\n{}", first.split(' ').enumerate().map(rule).collect::<String>())
}

/// Lays a script out in a folder of its own and checks it.
fn checked(name: &str, text: &str) -> Vec<Diagnostic> {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    fs::write(folder.path().join("rules.yaml"), rules(name, text)).unwrap();
    check(&folder.path().join("rules.yaml"))
}

fn shown(diagnostics: &[Diagnostic]) -> String {
    let human = render::human(diagnostics, false, 120);
    // The folder is another one each time.
    let from_folder = |line: &str| match line.split_once("--> ") {
        Some((arrow, path)) => format!("{arrow}--> {}", path.rsplit('/').next().unwrap()),
        None => line.to_owned(),
    };
    human.lines().map(|line| from_folder(line) + "\n").collect()
}

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/lint").unwrap().map(|entry| entry.unwrap().path());
    let is_case = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "lua" || kind == "yaml");
    let mut cases: Vec<_> = entries.filter(is_case).collect();
    cases.sort();
    cases
}

#[test]
fn what_is_certainly_wrong_is_told_in_the_words_of_its_golden_file() {
    let update = env::var_os("UPDATE_LINT").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let name = case.file_name().unwrap().to_str().unwrap();
        let is_script = case.extension().is_some_and(|kind| kind == "lua");
        let told = if is_script { checked(name, &fs::read_to_string(&case).unwrap()) } else { check(&case) };
        assert!(told.iter().all(|told| told.severity == Severity::Warning), "{}", shown(&told));
        let (found, golden) = (shown(&told), case.with_extension("stderr"));
        if update {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            wrong.push(format!("== {}\n-- expected\n{expected}\n-- found\n{found}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(fs::read_to_string("tests/lint/nothing_to_say.stderr").unwrap(), "");
}

#[test]
fn a_module_is_looked_at_once_whoever_requires_it() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("lib")).unwrap();
    write(
        "lib/util.lua",
        "return { greet = function(m) olvid.mesage_send {} m.tagged = true counter = 1 return lgo end }\n",
    );
    let script = "local util = require 'lib.util'\nreturn function(n) util.greet(n.contact) print(n.contact.tagged, counter) end\n";
    for name in ["a.lua", "b.lua"] {
        write(name, script);
    }
    let rule = |name: &str| format!("  - {{ name: {name}, subscription: contact_new, handler: {name}.lua }}\n");
    write("rules.yaml", &format!("rules:\n{}{}", rule("a"), rule("b")));
    let told = check(&folder.path().join("rules.yaml"));
    let codes: Vec<_> = told.iter().map(|told| told.code).collect();
    assert_eq!(codes, ["unknown-command", "unknown-global"], "{}", shown(&told));
    assert!(told[0].place.as_ref().unwrap().display().ends_with("lib/util.lua:1:36"), "{}", shown(&told));
}

#[test]
fn a_script_in_another_encoding_is_told_so_and_a_byte_order_mark_is_no_matter() {
    let text = "-- message_received\nreturn function() end\n";
    let wide = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let told = |name: &str, bytes: &[u8]| {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
        fs::write(folder.path().join("rules.yaml"), rules(name, text)).unwrap();
        let rules = folder.path().join("rules.yaml");
        check(&rules).into_iter().map(|told| told.message).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(told("mark.lua", format!("\u{feff}{text}").as_bytes()), "");
    for bytes in [wide(u16::to_le_bytes), wide(u16::to_be_bytes), [vec![0xff, 0xfe], wide(u16::to_le_bytes)].concat()] {
        let told = told("wide.lua", &bytes);
        assert!(told.ends_with("it seems to be UTF-16; save it as UTF-8"), "{told}");
    }
    assert!(told("latin.lua", b"-- caf\xe9\nreturn print").ends_with("it is not UTF-8 (line 1)"));
}

#[test]
fn a_module_is_called_as_one_would_open_it() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("lib")).unwrap();
    fs::write(folder.path().join("lib/util.lua"), "return { greet = function() lgo() end }\n").unwrap();
    fs::write(folder.path().join("a.lua"), "require 'lib.util'\nreturn print\n").unwrap();
    fs::write(folder.path().join("rules.yaml"), rules("a.lua", "-- contact_new")).unwrap();
    let check =
        Command::new(env!("CARGO_BIN_EXE_olvid-rules")).arg("check").current_dir(folder.path()).output().unwrap();
    let told = String::from_utf8(check.stderr).unwrap();
    assert!(told.contains("--> lib/util.lua:1:29"), "{told}");
}

#[test]
fn the_shipped_scripts_give_nothing_to_say() {
    let told = check(Path::new("rules.yaml"));
    assert!(told.is_empty(), "{}", shown(&told));
}

#[test]
fn a_script_of_any_size_and_shape_is_read_in_no_time() {
    let lines = |line: &str| line.repeat(130_000 / line.len());
    let shapes = [
        ("a sum", format!("local x = 1{}", "+1".repeat(65_000))),
        ("a chain", format!("local x = n{}", ".a".repeat(65_000))),
        ("calls", format!("local function f() return f end f{}", "{}".repeat(65_000))),
        ("statements", lines("n.message.bdy = n.message.body\n")),
        ("globals", lines("undefined = other\n")),
        ("one constructor", format!("local t = {{{}}}", lines("a=1,"))),
        ("one request", format!("olvid.message_send {{{}}}", lines("bodi=1,"))),
        ("a string", format!("local t = [[{}]]", lines("text "))),
        ("comments", lines("-- text\n")),
        ("blocks", format!("{}{}", "do ".repeat(150), "end ".repeat(150))),
        ("variables", lines("do local v = n.message end ")),
        ("varargs", format!("local x = ...{}", "+...".repeat(30_000))),
        ("calls of varargs", format!("f{}", "(...)".repeat(24_000))),
        ("commands", lines("olvid.mesage_send()\n")),
        ("fields", lines("n.message:bodyyyy() ")),
        ("values", lines("print(n.message.id.type == 'inbuond') ")),
        ("a request in a request", format!("olvid.message_list {{ filter = {{ {} }} }}", lines("a=1,"))),
        ("a script of a megabyte", "f = n.message.bdy ".repeat(55_000)),
    ];
    for (name, body) in shapes {
        let text = if name.contains("varargs") {
            format!("-- message_received\nif false then\n{body}\nend return function() end\n")
        } else {
            format!("-- message_received\nreturn function(n)\nif false then\n{body}\nend end\n")
        };
        let since = Instant::now();
        let told = checked("shape.lua", &text);
        let took = since.elapsed();
        // One that takes too long to load is told.
        assert!(told.iter().all(|told| told.severity == Severity::Warning), "{name}: {}", shown(&told));
        assert!(told.len() <= 51, "{name}: {} mistakes", told.len());
        // A debug build on a busy machine is many times slower than what is shipped.
        assert!(took < SOON * 20, "{name} takes {took:?}");
    }
}
