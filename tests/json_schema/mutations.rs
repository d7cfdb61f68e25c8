//! One change to a right file: the schema and the loader say the same of it.

use std::{fs, path::Path};

use serde_json::{Map, Value as Json, json};

use super::document;
use crate::{difference, loaded, rule_files, validator};

/// Documents of one rule each, from the files that load, with what stands beside the rules.
fn right() -> Vec<Json> {
    let mut found = Vec::new();
    for path in rule_files().into_iter().filter(|path| loaded(path).is_empty()) {
        let Some(Json::Object(mut file)) = document::read(&fs::read(&path).unwrap()) else { continue };
        let Some(Json::Array(rules)) = file.remove("rules") else { continue };
        // Of a file of many alike rules, one in three: they differ in their subscription.
        let step = if rules.len() > 50 { 3 } else { 1 };
        found.extend(rules.into_iter().step_by(step).map(|rule| json!({ "rules": [rule] })));
        if !file.is_empty() {
            let beside: Map<_, _> = file.into_iter().chain([("rules".to_owned(), json!([]))]).collect();
            found.push(beside.into());
        }
    }
    found
}

/// The ways to all values of a document.
fn ways(value: &Json, way: &str, found: &mut Vec<String>) {
    found.push(way.to_owned());
    match value {
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| ways(item, &format!("{way}/{at}"), found));
        }
        Json::Object(entries) => entries.iter().for_each(|(key, value)| ways(value, &format!("{way}/{key}"), found)),
        _ => {}
    }
}

/// What a value is replaced by.
fn others() -> Vec<Json> {
    let texts = ["", " ", "text", "unlimited", "30s", "TYPE_INBOUND", "message_received", "x\ny"].map(Json::from);
    let numbers = [json!(0), json!(1), json!(-1), json!(1.5), json!(u64::MAX), json!(1e30)];
    let rest =
        [json!(null), json!(true), json!(false), json!([]), json!({}), json!([1]), json!([{}]), json!({ "id": 1 })];
    texts.into_iter().chain(numbers).chain(rest).collect()
}

/// All documents that differ from this one at the end of a way.
fn changed(document: &Json, way: &str) -> Vec<Json> {
    let mut all = Vec::new();
    let mut change = |change: &dyn Fn(&mut Json)| {
        let mut copy = document.clone();
        change(copy.pointer_mut(way).unwrap());
        all.push(copy);
    };
    for other in others() {
        change(&|value| *value = other.clone());
    }
    if let Some(Json::Object(entries)) = document.pointer(way) {
        for key in entries.keys() {
            change(&|value| drop(value.as_object_mut().unwrap().remove(key)));
            change(&|value| {
                let entries = value.as_object_mut().unwrap();
                let held = entries.remove(key).unwrap();
                entries.insert(format!("{key}x"), held);
            });
        }
        for key in ["name", "count", "filter", "id", "catch_up", "timeout", "rules", "lua"] {
            change(&|value| _ = value.as_object_mut().unwrap().entry(key).or_insert(json!(true)));
        }
    }
    all
}

#[test]
fn a_single_change_gets_the_same_verdict_from_both() {
    let folder = tempfile::tempdir().unwrap();
    for script in ["tests/check/scripts/ping.lua", "tests/check/scripts/groups.lua"] {
        let to = folder.path().join("scripts").join(Path::new(script).file_name().unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(script, to).unwrap();
    }
    let (validator, path) = (validator(), folder.path().join("r.yaml"));
    let (mut tried, mut refused, mut wrong) = (0usize, 0, Vec::new());
    for (at, document) in right().iter().enumerate() {
        let mut all = Vec::new();
        ways(document, "", &mut all);
        let documents = all.iter().flat_map(|way| changed(document, way));
        // Each change of a kind comes up at some of the many places where it can be made.
        for changed in documents.skip(at % STEP).step_by(STEP) {
            // JSON is YAML.
            fs::write(&path, changed.to_string()).unwrap();
            let codes = loaded(&path);
            tried += 1;
            refused += usize::from(!codes.is_empty());
            let told = difference(validator, &document::read(changed.to_string().as_bytes()).unwrap(), &codes);
            wrong.extend(told.map(|told| format!("{changed}\n{told}")));
        }
    }
    wrong.truncate(5);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 3000 && refused > tried / 2, "{tried} tried, {refused} refused");
}

/// One in so many changes is tried: enough for each kind at each kind of place.
const STEP: usize = 8;
