//! The JSON Schema of scenario files, `docs/scenarios.schema.json`: current, and of one mind with the reader.
//!
//! Judged by a validator that is not ours. `UPDATE_SCHEMA=1 cargo test --test scenario_schema` writes the file anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "json_schema/document.rs"]
mod document;

use std::{fs, path::Path, process::Command, sync::LazyLock};

use jsonschema::Validator;
use olvid_rules::{rules::inputs::Inputs, scenario, schema::Catalog};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

const FILE: &str = "docs/scenarios.schema.json";

/// The scenario files of the project that have no mistake.
const VALID: [&str; 5] = [
    "rules.test.yaml",
    "src/scenario/example.test.yaml",
    "src/cli/init/tests/hello.test.yaml",
    "tests/scenarios/passes.test.yaml",
    "tests/scenarios/fails.test.yaml",
];

/// Codes of mistakes of which a schema cannot know all: names of people and groups, other files, times, names that are
/// there twice, expressions.
const PARTLY: [&str; 4] = ["unknown-name", "file-missing", "invalid-value", "invalid-pattern"];

fn validator() -> &'static Validator {
    static MADE: LazyLock<Validator> = LazyLock::new(|| {
        let schema = serde_json::from_str(&scenario::json_schema::document(Catalog::embedded())).unwrap();
        jsonschema::draft7::new(&schema).unwrap()
    });
    &MADE
}

/// The codes of what the reader has to say of a file.
fn codes(file: &Path) -> Vec<&'static str> {
    let read = scenario::read(file, &Inputs::default());
    read.err().unwrap_or_default().iter().map(|told| told.code).collect()
}

/// A difference of the two verdicts on a document that is in a file.
fn difference(file: &Path, document: &Json) -> Option<String> {
    let codes = codes(file);
    let knows = codes.iter().any(|code| !PARTLY.contains(code));
    let taken = validator().is_valid(document);
    let differ = if codes.is_empty() { !taken } else { knows && taken };
    let errors = || -> Vec<String> {
        validator().iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
    };
    differ.then(|| format!("the reader says {codes:?}, the schema {:.1000}", format!("{:#?}", errors())))
}

#[test]
fn the_committed_schema_is_current_and_what_the_command_prints() {
    let current = scenario::json_schema::document(Catalog::embedded());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(FILE, &current).unwrap();
    }
    assert!(
        fs::read_to_string(FILE).unwrap() == current,
        "`UPDATE_SCHEMA=1 cargo test --test scenario_schema` renews it"
    );
    let schema = |of: &[&str]| {
        let printed = Command::new(env!("CARGO_BIN_EXE_olvid-rules")).arg("schema").args(of).output().unwrap();
        assert!(printed.status.success());
        String::from_utf8(printed.stdout).unwrap()
    };
    assert!(schema(&["scenarios"]) == current);
    assert!(schema(&["rules"]) == schema(&[]) && schema(&[]) != current);
}

#[test]
fn it_is_a_schema_of_its_draft() {
    let schema: Json = serde_json::from_str(&fs::read_to_string(FILE).unwrap()).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
}

#[test]
fn every_scenario_file_of_the_project_gets_the_verdict_of_the_reader() {
    for file in VALID {
        let file = Path::new(file);
        let document = document::read(&fs::read(file).unwrap()).unwrap();
        assert_eq!(codes(file), [""; 0], "{}", file.display());
        assert_eq!(difference(file, &document), None, "{}", file.display());
    }
    let mistakes = Path::new("tests/scenarios/mistakes.test.yaml");
    let document = document::read(&fs::read(mistakes).unwrap()).unwrap();
    assert!(codes(mistakes).len() > 5 && !validator().is_valid(&document));
}

/// Both verdicts on one scenario, which must be one.
fn both(scenario: &str) -> bool {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("there.txt"), "").unwrap();
    let file = folder.path().join("a.test.yaml");
    let text = format!("given: {{ groups: [Team] }}\nscenarios:\n- name: a\n  {scenario}\n");
    fs::write(&file, &text).unwrap();
    let document = document::read(text.as_bytes()).unwrap();
    assert_eq!(difference(&file, &document), None, "{scenario}");
    validator().is_valid(&document)
}

#[test]
fn what_is_written_is_taken_as_the_reader_takes_it() {
    for right in [
        "when: hello",
        "when: [hello, { say: hello, by: bob, in: Team }]",
        "when: { file: there.txt, text: look }",
        "when: { react: '' }",
        "when: { delete: last, by: bob }",
        "when: [{ group: Two }, { wait: 30s }, { wait: 1 }, { wait: '500 ms' }]",
        "when: { emit: { message_received: { message: { body: x } } } }",
        "when: { emit: { MessageReceived: {} } }",
        "when: { do: { group_leave: { group_id: 1201 } }, by: bob }",
        "when: { refuse: { command: message_send, code: UNAVAILABLE, times: 3 } }",
        "when: { answer: { command: contact_get, with: { contact: { display_name: x } } } }",
        "expect: nothing",
        "expect: { message_send: }",
        "expect: { message_send: { body: { matches: '^x' }, reply_id: ~ }, in: alice }",
        "expect: [{ log: { level: info, text: { matches: x } } }, { failure: { kind: timeout } }]",
        "expect: { unordered: [{ message_send: { body: x } }, { message_react: { reaction: x } }] }",
        "steps: [{ when: hello, expect: nothing }, { expect: nothing }]",
        "when: hello\n  given: { clock: '2026-11-28T12:00:00Z', contacts: [zoe], messages: [hi, { say: x, by: zoe }] }",
    ] {
        assert!(both(right), "{right}");
    }
    for wrong in [
        "",
        "when: []",
        "when:",
        "when: { say: hello, reply: hello }",
        "when: { by: bob }",
        "when: { shout: hello }",
        "when: { group: Two, in: Team }",
        "when: { wait: 1s, by: bob }",
        "when: { wait: 0 }",
        "when: { wait: soon }",
        "when: { wait: -1 }",
        "when: { delete: first }",
        "when: { emit: { message_received: { mesage: {} } } }",
        "when: { emit: { message_received: {}, contact_new: {} } }",
        "when: { do: { message_sned: {} } }",
        "when: { refuse: { command: message_send } }",
        "when: { refuse: { command: message_send, code: unavailable } }",
        "when: { refuse: { command: message_send, code: UNAVAILABLE, times: 0 } }",
        "when: { answer: { command: contact_get, with: { contact: { name: x } } } }",
        "expect: everything",
        "expect: []",
        "expect: {}",
        "expect: { message_send: {}, message_react: {} }",
        "expect: { message_sned: {} }",
        "expect: { message_send: { bodi: x } }",
        "expect: { message_send: { body: 7 } }",
        "expect: { contact_get: {}, in: alice }",
        "expect: { log: { level: loud } }",
        "expect: { log: { lines: 7 } }",
        "expect: { log: {}, in: alice }",
        "expect: { failure: { kind: bad } }",
        "expect: { unordered: {} }",
        "steps: []",
        "steps: [{ when: hello }]\n  when: hello",
        "steps: [{ when: hello, say: x }]",
        "when: hello\n  given: { contacts: [] }",
        "when: hello\n  given: { contacts: [Bot] }",
        "when: hello\n  given: { people: [zoe] }",
        "when: hello\n  given: { messages: [{ by: alice }] }",
        "when: hello\n  given: { messages: [{}] }",
        "whn: hello",
    ] {
        assert!(!both(wrong), "{wrong}");
    }
}

/// Every change of one value, or one more key, by the way to it.
fn changed(document: &Json) -> Vec<Json> {
    fn ways(value: &Json, way: &str, all: &mut Vec<String>) {
        all.push(way.to_owned());
        match value {
            Json::Object(entries) => {
                entries.iter().for_each(|(key, value)| ways(value, &format!("{way}/{}", key.replace('/', "~1")), all));
            }
            Json::Array(items) => {
                items.iter().enumerate().for_each(|(at, value)| ways(value, &format!("{way}/{at}"), all));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    ways(document, "", &mut all);
    let mut changed = Vec::new();
    for way in all {
        for other in [json!(true), json!(-7), json!("no such"), json!([]), json!({}), Json::Null] {
            let mut copy = document.clone();
            *copy.pointer_mut(&way).unwrap() = other;
            changed.push(copy);
        }
        if document.pointer(&way).unwrap().is_object() {
            let mut copy = document.clone();
            copy.pointer_mut(&way).unwrap()["no_such"] = json!({});
            changed.push(copy);
        }
    }
    changed
}

#[test]
fn a_single_change_gets_the_same_verdict_from_both() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.test.yaml");
    let (mut seen, mut wrong) = (0, Vec::new());
    for valid in VALID {
        let whole = document::read(&fs::read(valid).unwrap()).unwrap();
        // One scenario at a time: each is judged by itself, and much sooner.
        for scenario in whole["scenarios"].as_array().unwrap() {
            let mut one = whole.clone();
            one["scenarios"] = json!([scenario]);
            for document in changed(&one) {
                fs::write(&file, document.to_string()).unwrap();
                seen += 1;
                wrong.extend(difference(&file, &document).map(|told| format!("{valid}: {document}\n{told}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {seen}\n{:.6000}", wrong.len(), wrong.join("\n"));
    assert!(seen > 1000, "{seen}");
}
