//! What editors are told of scripts: complete, true, and enough for a language server to find mistakes.
//!
//! `tests/types/*.lua` are scripts with mistakes. A mistaken line ends with `--! CODE`, which `EmmyLua` must say of it, or
//! with `--luals! CODE` for lua-language-server; of no other line may either say anything.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/prepared.rs"]
mod prepared;
#[path = "support/servers.rs"]
mod servers;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::{Command, Output},
};

use olvid_rules::{cli::types, schema::Catalog};
use servers::Complaints;

fn typed(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_olvid-rules")).args(arguments).current_dir(folder).env_clear().output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// All annotations, as lines.
fn annotations() -> String {
    types::files(Catalog::embedded()).map(|(_, text)| text).concat()
}

/// The names that the annotations declare: `log.info`, `math.pi`, `Message:reply`.
fn declared(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut fields: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(function) = line.strip_prefix("function ") {
            names.insert(function.split('(').next().unwrap().to_owned());
        } else if let Some(field) = line.strip_prefix("---@field ") {
            fields.push(field.split([' ', '?']).next().unwrap());
        } else if let Some((name, _)) = line.split_once(" = ").filter(|(name, _)| !name.contains([' ', '-'])) {
            names.insert(name.to_owned());
            names.extend(fields.iter().map(|field| format!("{name}.{field}")));
        }
        if !line.starts_with("---") {
            fields.clear();
        }
    }
    names
}

/// The fields of a class.
fn fields_of(text: &str, class: &str) -> BTreeSet<String> {
    let head = format!("---@class {class}");
    let lines = text.lines().skip_while(|line| !line.starts_with(&head) || line[head.len()..].starts_with('.')).skip(1);
    let fields = lines.map_while(|line| line.strip_prefix("---@field "));
    fields.map(|field| field.split([' ', '?']).next().unwrap().to_owned()).collect()
}

const SURFACE: &str = include_str!("contained/surface.txt");

/// What scripts were found to reach below a name, metatables left out.
fn reached<'s>(below: &str) -> impl Iterator<Item = &'s str> {
    let below = below.to_owned();
    let paths = SURFACE.lines().filter_map(|line| line.split_once("  ")).map(|(path, _)| path);
    paths.filter_map(move |path| path.strip_prefix(&below)).filter(|path| !path.contains(['!', '[']))
}

#[test]
fn every_name_that_a_script_reaches_is_documented_and_no_other_one() {
    let text = annotations();
    let declared = declared(&text);
    let globals: BTreeSet<String> = reached("_G.").map(str::to_owned).collect();
    let admin = |name: &String| name.starts_with("olvid.admin_");
    let documented: BTreeSet<String> =
        declared.iter().filter(|name| !name.contains(':') && !admin(name)).cloned().collect();
    assert!(globals.len() > 200, "{}", globals.len());
    assert_eq!(globals, documented);
    for command in Catalog::embedded().commands() {
        assert!(declared.contains(&format!("olvid.{}", command.name)), "{}", command.name);
    }
    for kind in ["Message", "Contact", "Discussion", "Identity"] {
        let methods: BTreeSet<String> = reached(&format!("{}:", kind.to_lowercase())).map(str::to_owned).collect();
        let documented = declared.iter().filter_map(|name| name.strip_prefix(kind)?.strip_prefix(':'));
        assert_eq!(methods, documented.map(str::to_owned).collect(), "{kind}");
    }
    for (value, class) in
        [("rule.", "olvid.Rule"), ("notification.message.", "olvid.Message"), ("refusal.", "olvid.Error")]
    {
        let known = fields_of(&text, class);
        let unknown: Vec<_> = reached(value).filter(|path| !path.contains('.') && !known.contains(*path)).collect();
        assert!(!known.is_empty() && unknown.is_empty(), "{class}: {unknown:?}");
    }
}

#[test]
fn every_notification_datatype_and_handler_is_there_with_its_fields() {
    let (catalog, text) = (Catalog::embedded(), annotations());
    let mut classes = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("---@class ") || line.starts_with("---@alias ")) {
        let name = line[10..].split([':', ' ']).next().unwrap();
        assert!(classes.insert(name.to_owned(), line).is_none(), "{name} is there twice");
    }
    for subscription in catalog.subscriptions() {
        let (name, output) = (&subscription.name, &subscription.method.output);
        assert!(classes[&format!("olvid.handler.{name}")].contains(&format!("olvid.{}, ", output.name)), "{name}");
        let fields = output.fields.iter().map(|field| field.name.clone()).collect();
        assert_eq!(fields_of(&text, &format!("olvid.{}", output.name)), fields, "{name}");
    }
    // What is named is declared: neither a class nor an enum is forgotten.
    let words = text.split(|letter: char| !letter.is_alphanumeric() && !"._".contains(letter));
    let named: BTreeSet<&str> =
        words.filter(|word| word.starts_with("olvid.")).map(|word| word.trim_end_matches('.')).collect();
    let calls = |name: &str| name.strip_prefix("olvid.").is_some_and(|name| catalog.command(name).is_some());
    let unknown: Vec<_> = named.into_iter().filter(|name| !classes.contains_key(*name) && !calls(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_lua_reference_is_what_the_program_prints() {
    let folder = tempfile::tempdir().unwrap();
    let printed = out(&typed(folder.path(), &["types", "--format", "markdown"]));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lua.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &printed).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == printed, "docs/lua.md is not current: UPDATE_DOCS=1 writes it anew");
    let declared = declared(&annotations());
    let is_library = |name: &str| declared.iter().any(|other| other.starts_with(&format!("{name}.")));
    for name in declared.iter().filter(|name| !name.starts_with("olvid.") && !is_library(name)) {
        let told = match name.split_once(':') {
            Some((kind, method)) => {
                let (_, section) = printed.split_once(&format!("\n### {kind}\n")).unwrap();
                let section = section.split("\n### ").next().unwrap();
                section.contains(&format!(":{method}(")) || section.contains(&format!("`{method}`"))
            }
            None => printed.contains(&format!("- `{name}")),
        };
        assert!(told, "{name}");
    }
}

#[test]
fn annotations_are_printed_or_written_over_themselves_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(out(&typed(folder.path(), &["types"])), annotations());
    let written = typed(folder.path(), &["types", "--output", "a/types"]);
    assert_eq!(out(&written), "wrote a/types/olvid.lua\nwrote a/types/lua.lua\n", "{}", told(&written));
    let path = folder.path().join("a/types/olvid.lua");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.lines().take(9).collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(typed(folder.path(), &["types", "--output", "a/types"]).status.code(), Some(0));
    assert!(fs::read_to_string(&path).unwrap() == whole, "an old version gives way");
    fs::write(&path, "return {}").unwrap();
    let refused = typed(folder.path(), &["types", "--output", "a/types"]);
    assert_eq!(refused.status.code(), Some(74));
    assert!(told(&refused).contains("olvid.lua is not a file of `olvid-rules types`"), "{}", told(&refused));
    assert_eq!(fs::read_to_string(&path).unwrap(), "return {}");
    assert_eq!(typed(folder.path(), &["types", "--output", "a", "--format", "lua"]).status.code(), Some(2));
}

/// A project as `init` makes it, with more scripts.
fn project(scripts: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(typed(folder.path(), &["init", "."]).status.code(), Some(0));
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(scripts);
    let mut count = 0;
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "lua") {
            fs::copy(&path, folder.path().join("scripts").join(path.file_name().unwrap())).unwrap();
            count += 1;
        }
    }
    assert!(count > 0);
    folder
}

/// The marked lines: the code that is to be said of each.
fn marked(folder: &Path, mark: &str) -> BTreeMap<(String, u64), String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder.join("scripts")).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("scripts/{}", path.file_name().unwrap().display());
        for (line, text) in (1..).zip(fs::read_to_string(&path).unwrap().lines()) {
            if let Some((_, code)) = text.split_once(mark) {
                found.insert((name.clone(), line), code.trim().to_owned());
            }
        }
    }
    found
}

/// Every marked line is complained of, by its code; no line without any mark is.
fn assert_found(folder: &Path, mark: &str, complaints: &Complaints) {
    let expected = marked(folder, mark);
    let missed: Vec<_> = expected
        .iter()
        .filter(|(place, code)| !complaints.get(place).is_some_and(|codes| codes.contains(code)))
        .map(|((file, line), code)| {
            format!("{file}:{line}: {code}, found {:?}", complaints.get(&(file.clone(), *line)))
        })
        .collect();
    let mistaken: BTreeSet<_> = marked(folder, "! ").into_keys().collect();
    let wrong: Vec<_> = complaints.iter().filter(|(place, _)| !mistaken.contains(*place)).collect();
    assert!(missed.is_empty() && wrong.is_empty(), "not found:\n{}\nwrong: {wrong:#?}", missed.join("\n"));
}

#[test]
fn language_servers_have_no_complaint_of_the_examples() {
    let project = project("scripts");
    let reference = types::reference();
    let snippets: Vec<_> =
        reference.split("\n```lua\n").skip(1).map(|text| text.split("\n```").next().unwrap()).collect();
    assert!(!snippets.is_empty());
    for (at, snippet) in snippets.iter().enumerate() {
        fs::write(project.path().join(format!("scripts/snippet_{at}.lua")), format!("{snippet}\n")).unwrap();
    }
    for complaints in [servers::emmylua(project.path()), servers::luals(project.path())].into_iter().flatten() {
        assert_eq!(complaints, Complaints::new());
    }
}

#[test]
fn language_servers_find_every_seeded_mistake_and_nothing_else() {
    let project = project("tests/types");
    let count = marked(project.path(), "! ").len();
    assert!(count >= 80, "{count}");
    if let Some(complaints) = servers::emmylua(project.path()) {
        assert_found(project.path(), "--! ", &complaints);
    }
    if let Some(complaints) = servers::luals(project.path()) {
        assert_found(project.path(), "--luals! ", &complaints);
    }
}
