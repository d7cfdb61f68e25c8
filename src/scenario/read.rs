//! From a file to its scenarios, or every mistake in it.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use super::{
    Given, Scenario, Suite, Turn, expect,
    find::stem,
    given,
    keys::{self, EXPECT, GIVEN, NAME, RULES, SCENARIOS, STEPS, WHEN},
    reader::Reader,
    when::{self, Stand},
};
use crate::{
    diagnostic::{Diagnostic, Place, is_refused},
    rules::{
        inputs::Inputs,
        load,
        node::{Entry, Node, Value},
        yaml,
    },
};

/// Reads a file. What was read or looked for is added to `inputs`.
pub fn read(file: &Path, inputs: &Inputs) -> Result<Suite, Vec<Diagnostic>> {
    let mut told = Vec::new();
    let texts = load::texts(&[file.to_path_buf()], inputs, &mut told);
    let Some(text) = texts.into_iter().next() else { return Err(told) };
    let document = match yaml::parse(&text.source, &mut told) {
        Ok(document) => document,
        Err(mistake) => return Err(told.into_iter().chain([*mistake]).collect()),
    };
    let mut reader = Reader { document: &document, told };
    let suite = suite(&mut reader, file);
    let mut told = reader.told;
    told.sort_by_key(|diagnostic| diagnostic.place.as_ref().map(|place| place.span.start));
    told.dedup();
    match suite {
        Some(suite) if !is_refused(&told) => Ok(suite),
        _ => Err(told),
    }
}

fn suite(reader: &mut Reader<'_>, file: &Path) -> Option<Suite> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let Value::Map(entries) = &reader.document.root.value else {
        let message = format!("a scenario file is a table, found {}", reader.document.root.what());
        let place = reader.document.place(&reader.document.root);
        reader.mistake("wrong-type", message, place, Some("write `scenarios:` and each below it".to_owned()));
        return None;
    };
    reader.only(entries, "a scenario file", &keys::names(&keys::FILE));
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let named = find(RULES);
    let rules = named.map_or_else(|| beside(file), |entry| rules(reader, entry, folder));
    let base = find(GIVEN).map_or_else(Given::default, |entry| given::read(reader, entry, &Given::default()));
    let scenarios = match find(SCENARIOS).map(|entry| (entry, &entry.value.value)) {
        Some((_, Value::List(items))) if !items.is_empty() => {
            let mut seen = HashSet::new();
            items.iter().filter_map(|item| scenario(reader, item, &base, folder, &mut seen)).collect()
        }
        Some((entry, _)) => {
            reader.wrong(entry, "a list of scenarios", "write each as an entry: `- name: ...`");
            Vec::new()
        }
        None => {
            let place = reader.place(&reader.document.root);
            let help = Some("write `scenarios:` and each below it: `- name: ...`".to_owned());
            reader.mistake("missing-key", "this file has no `scenarios`".to_owned(), place, help);
            Vec::new()
        }
    };
    let named = named.map(|entry| reader.document.value_place(entry));
    Some(Suite { file: file.to_path_buf(), rules, named, scenarios })
}

fn rules(reader: &mut Reader<'_>, entry: &Entry, folder: &Path) -> Vec<PathBuf> {
    let items: Vec<&Node> = match &entry.value.value {
        Value::List(items) if !items.is_empty() => items.iter().collect(),
        _ => vec![&entry.value],
    };
    let paths = items.iter().filter_map(|item| item.text().map(|text| folder.join(text)));
    let paths: Vec<PathBuf> = paths.collect();
    if paths.len() < items.len() {
        reader.wrong(entry, "a path or a list of paths", "write `rules: rules.yaml`");
    }
    paths
}

/// The rule file that a scenario file is about where it does not say.
fn beside(file: &Path) -> Vec<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let own = stem(file).into_iter().flat_map(|stem| [format!("{stem}.yaml"), format!("{stem}.yml")]);
    let mut known = own.map(|name| folder.join(name)).chain([folder.join("rules.yaml"), folder.join("../rules.yaml")]);
    vec![known.find(|path| path.is_file()).unwrap_or_else(|| folder.join("rules.yaml"))]
}

fn scenario(
    reader: &mut Reader<'_>,
    item: &Node,
    base: &Given,
    folder: &Path,
    seen: &mut HashSet<String>,
) -> Option<Scenario> {
    let Value::Map(entries) = &item.value else {
        let message = format!("a scenario is a table, found {}", item.what());
        let place = reader.place(item);
        reader.mistake("wrong-type", message, place, Some("write `name`, `when` and `expect`".to_owned()));
        return None;
    };
    reader.only(entries, "a scenario", &keys::names(&keys::SCENARIO));
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let name = name(reader, item, find(NAME), seen);
    let given = find(GIVEN).map_or_else(|| base.clone(), |entry| given::read(reader, entry, base));
    let mut stand = Stand { given: &given, groups: given.groups.clone(), folder };
    let mut turns = Vec::new();
    match (find(STEPS), find(WHEN).or(find(EXPECT))) {
        (Some(_), Some(beside)) => {
            let message = format!("`{}` stands beside `steps`", beside.key);
            let help = Some("write it as an entry of `steps`".to_owned());
            reader.mistake("two-things", message, reader.document.key_place(beside), help);
        }
        (Some(entry), None) => steps(reader, entry, &mut stand, &mut turns),
        (None, Some(_)) => step(reader, entries, &mut stand, &mut turns),
        (None, None) => {
            let help = Some("add `when: \"!ping\"` and `expect: { message_send: { body: pong } }`".to_owned());
            let place = reader.place(item);
            reader.mistake("missing-key", "nothing is done in this scenario".to_owned(), place, help);
        }
    }
    let (name, place) = name?;
    Some(Scenario { name, place, given, turns })
}

fn name(
    reader: &mut Reader<'_>,
    item: &Node,
    entry: Option<&Entry>,
    seen: &mut HashSet<String>,
) -> Option<(String, Place)> {
    let Some(entry) = entry else {
        let place = reader.place(item);
        let help = Some("add `name: ...`, which says what is to hold".to_owned());
        reader.mistake("missing-key", "this scenario has no `name`".to_owned(), place, help);
        return None;
    };
    let text = reader.text(entry, "put it in quotes")?;
    let place = reader.document.value_place(entry);
    let mistake = if text.trim().is_empty() || text.chars().any(char::is_control) {
        "the name is empty, or more than one line".to_owned()
    } else if !seen.insert(text.to_owned()) {
        format!("there are two scenarios called `{}`", text.escape_debug())
    } else {
        return Some((text.to_owned(), place));
    };
    reader.mistake("invalid-value", mistake, place, None);
    None
}

fn steps(reader: &mut Reader<'_>, entry: &Entry, stand: &mut Stand<'_>, turns: &mut Vec<Turn>) {
    let Value::List(items) = &entry.value.value else {
        return reader.wrong(entry, "a list", "write each step as an entry: `- when: ...`, and `expect: ...` below it");
    };
    for item in items {
        let Value::Map(entries) = &item.value else {
            let message = format!("a step is a table, found {}", item.what());
            let place = reader.place(item);
            reader.mistake("wrong-type", message, place, Some("write `- when: ...` and `expect: ...`".to_owned()));
            continue;
        };
        reader.only(entries, "a step", &keys::STEP);
        step(reader, entries, stand, turns);
    }
    if turns.is_empty() {
        let help = Some("write `- when: ...` and `expect: ...`".to_owned());
        reader.mistake("missing-key", "there are no steps".to_owned(), reader.document.key_place(entry), help);
    }
}

fn step(reader: &mut Reader<'_>, entries: &[Entry], stand: &mut Stand<'_>, turns: &mut Vec<Turn>) {
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let (when, expect) = (find(WHEN), find(EXPECT));
    let Some(first) = when.or(expect) else { return };
    // Before anything is done, what comes of the start alone is expected.
    if when.is_some() || turns.is_empty() {
        let place = reader.document.key_place(first);
        let whens = when.map(|entry| when::read(reader, entry, stand)).unwrap_or_default();
        turns.push(Turn { place, whens, commands: Vec::new(), logs: Vec::new(), failures: Vec::new() });
    }
    if let (Some(entry), Some(turn)) = (expect, turns.last_mut()) {
        expect::read(reader, entry, stand, turn);
    }
}
