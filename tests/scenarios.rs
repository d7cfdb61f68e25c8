//! Scenarios as `olvid-rules test` plays them: those of the shipped rules, those beside this file with every word that is
//! said of them (`scenarios/*.out`), and the ways to ask for them.
//!
//! `UPDATE_SCENARIOS=1 cargo test --test scenarios` writes the golden files anew; read what changed.

#![allow(clippy::unwrap_used, reason = "a helper of a test panics as the test itself would")]

#[path = "support/process.rs"]
mod process;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Instant,
};

use olvid_rules::{rules::inputs::Inputs, scenario};
use process::{Process, program};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    ended(&program(folder, arguments, &[]).output().unwrap())
}

fn ended(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// A folder with the rules of `scenarios` and a scenario file.
fn site(name: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["rules.yaml", "handlers.lua", "other.lua", "full.lua"] {
        fs::copy(root().join("tests/scenarios").join(file), folder.path().join(file)).unwrap();
    }
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    folder
}

const PING: &str = "scenarios: [{ name: ping, when: '!ping', expect: { message_send: { body: pong } } }]\n";
const WRONG: &str = "scenarios: [{ name: ping, when: '!ping', expect: { message_send: { body: pang } } }]\n";

/// Without how long it took.
fn timeless(text: &str) -> String {
    let lines = text.lines().map(|line| match line.rsplit_once(" in ") {
        Some((before, time)) if time.ends_with(" s") => format!("{before} in TIME"),
        _ => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}

#[test]
fn the_shipped_scenarios_pass_and_leave_nothing_behind() {
    let before = scripts();
    let (code, out, err) = run(&root(), &["test"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let rules = fs::read_to_string(root().join("rules.yaml")).unwrap();
    assert!(out.lines().filter(|line| line.starts_with("ok ")).count() >= 15, "{out}");
    assert!(rules.matches("  - name:").count() >= 12);
    assert_eq!(scripts(), before);
}

/// What is in the folder below which the examples save.
fn scripts() -> Vec<PathBuf> {
    let folder = fs::read_dir(root().join("scripts")).unwrap();
    let mut names: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

#[test]
fn every_word_is_that_of_the_golden_files() {
    let (folder, update) = (root().join("tests/scenarios"), std::env::var_os("UPDATE_SCENARIOS").is_some());
    let mut wrong = Vec::new();
    for (name, expected_code) in [("passes", 0), ("fails", 1), ("mistakes", 1)] {
        let begun = Instant::now();
        let (code, out, err) = run(&folder, &["test", &format!("{name}.test.yaml")]);
        assert!(begun.elapsed().as_secs() < 60, "{name} took {:?}", begun.elapsed());
        let (found, golden) = (err + &timeless(&out), folder.join(format!("{name}.out")));
        if update {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if found != expected || code != expected_code {
            wrong.push(format!("== {name} ended with {code}\n-- expected\n{expected}\n-- found\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_help_says_is_true() {
    let help = run(&root(), &["test", "--help"]).1;
    let example = fs::read_to_string(root().join("src/scenario/example.test.yaml")).unwrap();
    assert!(help.contains(&example), "{help}");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("example.test.yaml"), &example).unwrap();
    fs::copy(root().join("tests/scenarios/example/rules.yaml"), folder.path().join("rules.yaml")).unwrap();
    let (code, out, err) = run(folder.path(), &["test"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

#[test]
fn whatever_stands_in_a_file_is_a_mistake_with_a_place_or_a_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any.test.yaml");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        let told = scenario::read(&path, &Inputs::default()).err().unwrap_or_default();
        assert!(told.iter().all(|told| told.place.is_some()), "{text}\n{told:?}");
        told.len()
    };
    let example = fs::read_to_string(root().join("src/scenario/example.test.yaml")).unwrap();
    assert_eq!(read(&example), 0);
    let lines: Vec<&str> = example.lines().collect();
    let mut mistakes = 0;
    for at in 0..lines.len() {
        mistakes += usize::from(read(&[&lines[..at], &lines[at + 1..]].concat().join("\n")) > 0);
    }
    for (at, _) in example.char_indices().step_by(17) {
        for piece in ["{", "- ", "~", "x", "7", ": "] {
            mistakes += usize::from(read(&format!("{}{piece}{}", &example[..at], &example[at..])) > 0);
        }
    }
    assert!(mistakes > 200, "{mistakes}");
    for entry in fs::read_dir(root().join("tests/check")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|kind| kind == "yaml") {
            assert!(scenario::read(&file, &Inputs::default()).is_err(), "{}", file.display());
        }
    }
}

#[test]
fn scenarios_are_found_beside_rules_and_in_tests_or_it_is_said_where_they_were_looked_for() {
    for name in ["rules.test.yaml", "any.test.yml", "tests/ping.test.yaml"] {
        let folder = site(name, PING);
        let (code, out, err) = run(folder.path(), &["test"]);
        assert_eq!((code, err.as_str()), (0, ""), "{name}: {out}");
        assert!(out.starts_with(&format!("ok    {name}: ping\n")), "{out}");
    }
    let nothing = tempfile::tempdir().unwrap();
    let (code, _, err) = run(nothing.path(), &["test"]);
    assert_eq!(code, 1);
    assert!(err.contains("no `*.test.yaml` in `.` or `./tests`"), "{err}");
    let (code, _, err) = run(nothing.path(), &["test", "none.test.yaml"]);
    assert_eq!(code, 1);
    assert!(err.contains("there is no file or directory `none.test.yaml`"), "{err}");
    assert_eq!(run(nothing.path(), &["test", "--format", "xml"]).0, 2);
}

#[test]
fn a_filter_plays_what_it_names_and_nothing_is_a_mistake() {
    let two = "scenarios: [{ name: good, when: '!ping', expect: { message_send: {} } }, { name: bad, when: '!ping' }]";
    let folder = site("rules.test.yaml", two);
    assert_eq!(run(folder.path(), &["test"]).0, 1);
    let (code, out, _) = run(folder.path(), &["test", "--filter", "good"]);
    assert!(code == 0 && out.contains("1 passed in"), "{out}");
    let (code, _, err) = run(folder.path(), &["test", "--filter", "other"]);
    assert_eq!((code, err.as_str()), (1, "olvid-rules: no scenario has `other` in its name\n"));
}

#[test]
fn mistakes_in_rules_and_scripts_are_told_as_check_tells_them() {
    let folder = site("rules.test.yaml", PING);
    fs::write(folder.path().join("other.lua"), "return function( end").unwrap();
    let (code, out, err) = run(folder.path(), &["test"]);
    assert_eq!((code, timeless(&out).as_str()), (1, "\n0 passed, 1 file not played in TIME\n"));
    assert!(err.contains("error[lua-syntax]") && err.contains("other.lua:1:1"), "{err}");
    fs::write(folder.path().join("second.test.yaml"), PING).unwrap();
    let (_, out, err) = run(folder.path(), &["test"]);
    assert_eq!(timeless(&out), "\n0 passed, 2 files not played in TIME\n");
    assert!(
        err.matches("error[lua-syntax]").count() == 1 && err.contains("error[not-played]: `second.test.yaml`"),
        "{err}"
    );
    let elsewhere = site("rules.test.yaml", &format!("rules: ruels.yaml\n{PING}"));
    let (code, _, err) = run(elsewhere.path(), &["test"]);
    assert!(code == 1 && err.contains("rules.test.yaml:1:8") && err.contains("did you mean `rules.yaml`?"), "{err}");
}

#[test]
fn junit_tells_a_case_for_each_scenario_and_what_is_wrong_with_it() {
    let folder = site("rules.test.yaml", WRONG);
    fs::write(folder.path().join("good.test.yaml"), PING).unwrap();
    fs::write(folder.path().join("mistaken.test.yaml"), "scenario: []\n").unwrap();
    let (code, out, err) = run(folder.path(), &["test", "--format", "junit"]);
    assert_eq!(code, 1);
    assert!(err.contains("unknown key `scenario`"), "{err}");
    assert!(out.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "), "{out}");
    for part in [
        "tests=\"3\" skipped=\"0\" failures=\"1\" errors=\"1\"",
        "<testsuite name=\"good.test.yaml\" tests=\"1\" skipped=\"0\" errors=\"0\" failures=\"0\">",
        "<testcase name=\"ping\" classname=\"good.test.yaml\" time=\"",
        "<failure message=\"`message_send` was sent with other fields\">error[wrong-fields]",
        "body: expected &quot;pang&quot;, found &quot;pong&quot;",
        "<error message=\"unknown key `scenario` of a scenario file\">",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    assert_eq!(out.matches("</testsuite>").count(), 3, "{out}");
}

#[test]
fn watching_plays_again_what_is_changed() {
    let folder = site("rules.test.yaml", WRONG);
    let host = Process::start(&mut program(folder.path(), &["test", "--watch"], &[]));
    let summaries = |lines: &[String], text: &str| lines.iter().filter(|line| line.starts_with(text)).count();
    let waits = |lines: &[String]| lines.iter().filter(|line| line.starts_with("waiting")).count();
    host.when("a failure", |lines| (summaries(lines, "0 passed, 1 failed") == 1 && waits(lines) == 1).then_some(()));
    fs::write(folder.path().join("rules.test.yaml"), PING).unwrap();
    host.when("the scenario again", |lines| (summaries(lines, "1 passed in") == 1 && waits(lines) == 2).then_some(()));
    let handlers = fs::read_to_string(folder.path().join("handlers.lua")).unwrap();
    fs::write(folder.path().join("handlers.lua"), handlers.replace("\"pong\"", "\"peng\"")).unwrap();
    host.when("the script again", |lines| (summaries(lines, "0 passed, 1 failed") == 2).then_some(()));
    host.when("the wait", |lines| (waits(lines) == 3).then_some(()));
    fs::write(folder.path().join("other.test.yaml"), PING.replace("pong", "peng")).unwrap();
    host.when("another file", |lines| (summaries(lines, "1 passed, 1 failed") == 1).then_some(()));
}

#[test]
fn a_chat_that_was_recorded_passes_when_it_is_played() {
    let folder = site("empty.test.yaml", PING);
    let path = folder.path().join("handlers.lua");
    // No test waits for an hour.
    let handlers = fs::read_to_string(&path).unwrap();
    fs::write(&path, handlers.replace("sleep(3600)", "sleep(0.2)")).unwrap();
    fs::write(folder.path().join("note.txt"), "a note").unwrap();
    let chat = "!ping\n/as bob\n!remind\n!twice\n/group Team\n!time \"now\"\n/file note.txt a: note\n/react 👍\n/edit !ping\n\
                /reply so\n/delete\n!broken\n/nonsense\n/emit contact_new {\"contact\":{\"display_name\":\"Eve\"}}\n";
    let mut child = program(folder.path(), &["dev", "--record", "chat.test.yaml"], &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(chat.as_bytes()).unwrap();
    let (code, out, err) = ended(&child.wait_with_output().unwrap());
    assert!(code == 0 && out.contains("bot: pong\n"), "{out}{err}");
    assert!(err.contains("recorded ") && err.contains("there is no /nonsense"), "{err}");
    let written = fs::read_to_string(folder.path().join("chat.test.yaml")).unwrap();
    for part in [
        "- when: { say: \"!ping\", by: \"alice\" }\n        expect:\n          - message_send: { body: \"pong\" }\n            in: \"alice\"\n",
        "- when: { wait: 200ms }\n        expect:\n          - message_send: { body: \"It is ",
        "- when: { file: \"note.txt\", text: \"a: note\", by: \"bob\", in: \"Team\" }",
        "- failure: { kind: \"error\", message: \"it is broken\", rule: \"broken\" }",
    ] {
        assert!(written.contains(part), "{part}\n{written}");
    }
    let (code, out, err) = run(folder.path(), &["test", "chat.test.yaml"]);
    assert_eq!((code, err.as_str()), (0, ""), "{written}\n{out}");
    // What is there is not written over.
    let (code, _, err) = run(folder.path(), &["dev", "--record", "chat.test.yaml"]);
    assert!(code == 74 && err.contains("cannot write `chat.test.yaml`"), "{code} {err}");
}
