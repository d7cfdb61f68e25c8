//! The JSON Schema of rule files, `docs/rules.schema.json`: current, and of one mind with the loader.
//!
//! Judged by a validator that is not ours. `UPDATE_SCHEMA=1 cargo test --test json_schema` writes the file anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use jsonschema::Validator;
use olvid_rules::{diagnostic::Severity, rules::RuleSet, schema::Catalog};
use serde_json::{Value as Json, json};

mod json_schema {
    //! The tests by their subject, and how a file is read for a validator.
    pub(crate) mod document;
    pub(crate) mod mutations;
    pub(crate) mod values;
}
use self::json_schema::document;

const FILE: &str = "docs/rules.schema.json";

/// Codes of what no schema can know, and why.
const UNKNOWABLE: &[(&str, &str)] = &[
    ("duplicate-name", "names are compared over all files"),
    ("handler-missing", "the script is another file"),
    ("no-directory", "directories are outside of the file"),
    ("invalid-pattern", "the expressions are Java's, and a schema knows ECMA's"),
    ("file-missing", "there is no document"),
    ("file-unreadable", "there is no document"),
    ("file-size", "there is no document"),
    ("not-utf8", "there is no document"),
];

/// Codes of mistakes of which a schema can know some. `yaml-` is the beginning of many: a text that is no document, or
/// one that this program does not take, such as one with a hundred levels.
const PARTLY: &[(&str, &str)] = &[
    ("duplicate-key", "a document has each key once; of the two names of a filter it knows"),
    ("handler", "a directory is outside of the file; what is written it knows"),
    ("merge-key", "an editor may merge before it validates"),
    ("yaml-", "what is no document cannot be judged"),
    ("control-character", "what is no document cannot be judged"),
    ("more", "it says nothing of its own"),
];

fn schema() -> Json {
    serde_json::from_str(&olvid_rules::rules::json_schema::document(Catalog::embedded())).unwrap()
}

pub(crate) fn validator() -> &'static Validator {
    static MADE: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft7::new(&schema()).unwrap());
    &MADE
}

/// What the loader says of a file, by the codes of its errors.
pub(crate) fn loaded(path: &Path) -> Vec<&'static str> {
    let (_, told) = RuleSet::load(&[path.to_owned()], Catalog::embedded());
    told.iter().filter(|told| told.severity == Severity::Error).map(|told| told.code).collect()
}

/// Whether a schema must accept what the loader has these complaints about; none where it cannot be said.
fn expected(codes: &[&str]) -> Option<bool> {
    let unknowable = |code: &&&str| UNKNOWABLE.iter().any(|(known, _)| known == *code);
    let partly = |code: &&&str| PARTLY.iter().any(|(start, _)| code.starts_with(start));
    if codes.iter().any(|code| !unknowable(&code) && !partly(&code)) {
        return Some(false);
    }
    codes.iter().all(|code| unknowable(&code)).then_some(true)
}

/// Compares the two verdicts on a document; tells a difference.
pub(crate) fn difference(validator: &Validator, document: &Json, codes: &[&str]) -> Option<String> {
    let found = validator.is_valid(document);
    if expected(codes).is_none_or(|wanted| wanted == found) {
        return None;
    }
    let errors: Vec<_> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    Some(format!("the loader says {codes:?}, the schema {errors:#?}"))
}

/// Every rule file of the project: those of tests, and the examples.
fn rule_files() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml") {
                found.push(path);
            }
        }
    }
    let mut found = vec![PathBuf::from("rules.yaml")];
    below(Path::new("tests"), &mut found);
    // The scenarios of tests have a form of their own.
    found.retain(|path| !path.to_string_lossy().ends_with(".test.yaml"));
    found.sort();
    found
}

#[test]
fn the_committed_schema_is_current() {
    let current = olvid_rules::rules::json_schema::document(Catalog::embedded());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(FILE, &current).unwrap();
    }
    let committed = fs::read_to_string(FILE).unwrap_or_default();
    assert!(committed == current, "{FILE} is not current: UPDATE_SCHEMA=1 cargo test --test json_schema");
    assert!(current.len() < 200_000, "{} bytes", current.len());
}

#[test]
fn it_is_what_the_command_prints() {
    let current = olvid_rules::rules::json_schema::document(Catalog::embedded());
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_olvid-rules")).arg("schema").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), current);
}

#[test]
fn it_is_a_schema_of_its_draft() {
    assert!(jsonschema::draft7::meta::is_valid(&schema()));
    assert!(!jsonschema::draft7::meta::is_valid(&json!({ "type": "nothing" })));
}

#[test]
fn every_rule_file_gets_the_verdict_of_the_loader() {
    let validator = validator();
    let (mut wrong, mut accepted, mut refused) = (Vec::new(), 0, 0);
    for path in rule_files() {
        let codes = loaded(&path);
        let Some(document) = document::read(&fs::read(&path).unwrap()) else {
            assert_eq!(expected(&codes).filter(|_| codes != ["not-utf8"]), None, "{}", path.display());
            continue;
        };
        wrong.extend(difference(validator, &document, &codes).map(|told| format!("{}: {told}", path.display())));
        match expected(&codes) {
            Some(true) => accepted += 1,
            Some(false) => refused += 1,
            None => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(accepted >= 15 && refused >= 45, "{accepted} accepted, {refused} refused");
}

#[test]
fn what_is_documented_gets_the_verdict_of_the_loader() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut seen) = (folder.path().join("r.yaml"), 0);
    for page in ["README.md", "docs/first-bot.md", "docs/rules.md", "docs/subscriptions.md"] {
        let text = fs::read_to_string(page).unwrap();
        for block in text.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0) {
            fs::write(&path, block).unwrap();
            let document = document::read(block.as_bytes()).unwrap();
            let told = difference(validator(), &document, &loaded(&path));
            assert!(told.is_none(), "{page}\n{block}\n{}", told.unwrap_or_default());
            seen += 1;
        }
    }
    assert!(seen >= 70, "{seen}");
}

#[test]
fn what_a_schema_cannot_know_are_codes_of_the_loader() {
    let sources = fs::read_dir("src/rules").unwrap().map(|entry| entry.unwrap().path());
    let others = ["src/rules.rs", "src/schema/encode.rs"].map(PathBuf::from);
    let text: String = sources.chain(others).filter_map(|path| fs::read_to_string(path).ok()).collect();
    for (code, _) in UNKNOWABLE.iter().chain(PARTLY) {
        assert!(text.contains(&format!("\"{code}")), "{code}");
    }
}

#[test]
fn an_editor_is_told_what_everything_means() {
    fn walk(way: &str, value: &Json, bare: &mut Vec<String>) {
        let Some(held) = value.as_object() else { return };
        for (name, inner) in held {
            let way = format!("{way}/{name}");
            let named = held.contains_key("type") && name == "properties";
            for (name, property) in inner.as_object().filter(|_| named).into_iter().flatten() {
                let described = property.get("description").is_some();
                let elsewhere = property.get("$ref").is_some_and(|to| to.as_str().unwrap().contains("/key."));
                bare.extend((!described && !elsewhere).then(|| format!("{way}/{name}")));
            }
            walk(&way, inner, bare);
        }
    }
    let schema = schema();
    let mut bare = Vec::new();
    walk("", &schema, &mut bare);
    for condition in schema["definitions"]["rule"]["allOf"].as_array().unwrap() {
        for (name, property) in condition["then"]["properties"].as_object().unwrap() {
            let own = property.is_boolean() || property.get("enum").is_some();
            bare.extend((!own && property.get("description").is_none()).then(|| name.clone()));
        }
    }
    bare.sort();
    bare.dedup();
    // The proto files say nothing of a field whose name says all.
    let silent = |way: &String| {
        let (message, field) = way.rsplit_once("/properties/").unwrap_or(("", way));
        let message = message.strip_prefix("/definitions/").unwrap_or(message);
        let known = Catalog::embedded().messages().find(|known| known.name == message);
        known.and_then(|known| known.field(field)).is_some_and(|field| field.doc.is_empty())
    };
    bare.retain(|way| !silent(way));
    assert!(bare.is_empty(), "{bare:#?}");
    assert_eq!(schema["definitions"]["rule"]["allOf"].as_array().unwrap().len(), 46);
}
