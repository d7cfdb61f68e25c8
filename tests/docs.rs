//! The documentation in `docs/`: the reference is current, and every snippet does what it says.
//!
//! `UPDATE_DOCS=1 cargo test --test docs` writes the reference anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

use olvid_rules::{
    cli::{catalog::reference, listen::metrics},
    diagnostic::render,
    lua::ScriptSpec,
    rules::RuleSet,
    schema::{Catalog, Shape, encode::encode},
};

mod docs {
    //! What documentation is made of, and how it is tried.
    pub(crate) mod call;
    pub(crate) mod fence;
    pub(crate) mod session;
}
use docs::{call, fence, session};

#[test]
fn the_committed_reference_is_current() {
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut stale = Vec::new();
    let metrics = ("metrics.md", metrics::reference());
    for (name, text) in reference::all(Catalog::embedded()).into_iter().chain([metrics]) {
        let path = Path::new("docs").join(name);
        if update {
            fs::write(&path, &text).unwrap();
        }
        stale.extend((fs::read_to_string(&path).unwrap_or_default() != text).then_some(name));
    }
    assert!(stale.is_empty(), "not current: {stale:?}; UPDATE_DOCS=1 cargo test --test docs");
}

#[test]
fn there_is_a_section_for_everything() {
    let catalog = Catalog::embedded();
    let [subscriptions, commands, types, rules] = reference::all(catalog).map(|(_, text)| headings(&text));
    assert!(catalog.subscriptions().iter().all(|entry| subscriptions.contains(&entry.name)));
    assert!(catalog.commands().iter().all(|entry| commands.contains(&entry.name)));
    assert!(olvid_rules::rules::keys().all(|key| rules.contains(key)));
    assert_eq!((subscriptions.len(), commands.len()), (1 + 46, 1 + 106));
    assert!(types.len() > 60, "{}", types.len());
}

fn headings(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim().to_owned())).collect()
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The Markdown files of the project, by their paths.
fn pages() -> Vec<(String, String)> {
    let mut paths = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned(), "ARCHITECTURE.md".to_owned()];
    let docs = fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path().display().to_string());
    paths.extend(docs.filter(|path| Path::new(path).extension().is_some_and(|kind| kind == "md")));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut dead = Vec::new();
    for (path, text) in pages() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if target.contains("://") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let to = match file {
                "" => Path::new(&path).to_owned(),
                file => Path::new(&path).parent().unwrap().join(file),
            };
            let there = if place.is_empty() {
                to.exists()
            } else {
                let text = fs::read_to_string(&to).unwrap_or_default();
                headings(&text).iter().any(|heading| anchor(heading) == place)
            };
            dead.extend((!there).then(|| format!("{path}: {target}")));
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn no_two_sections_of_a_page_have_one_anchor() {
    for (name, text) in reference::all(Catalog::embedded()) {
        let anchors: BTreeSet<_> = headings(&text).iter().map(|heading| anchor(heading)).collect();
        let all = text.lines().filter(|line| line.starts_with('#')).count();
        assert_eq!(anchors.len(), all, "{name}");
    }
}

#[test]
fn every_rule_of_the_reference_loads_with_its_script() {
    let folder = tempfile::tempdir().unwrap();
    for directory in ["scripts", "pictures"] {
        fs::create_dir(folder.path().join(directory)).unwrap();
    }
    for entry in fs::read_dir("scripts").unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), folder.path().join("scripts").join(entry.file_name())).unwrap();
    }
    let path = folder.path().join("rules.yaml");
    let mut seen = 0;
    for (name, text) in reference::all(Catalog::embedded()) {
        for block in fence::all(&text).iter().filter(|block| block.language == "yaml") {
            fs::write(&path, &block.text).unwrap();
            let (rules, mut told) = RuleSet::load(std::slice::from_ref(&path), Catalog::embedded());
            told.extend(ScriptSpec::check_all(&rules));
            assert!(told.is_empty(), "{name}\n{}\n{}", block.text, render::human(&told, false, 120));
            assert_eq!(rules.rules.len(), 1, "{name}\n{}", block.text);
            seen += 1;
        }
    }
    assert!(seen >= 46 + 17 + 2, "{seen}");
}

#[test]
fn every_call_of_the_reference_is_one_that_can_be_sent() {
    let mut seen = 0;
    for (name, text) in reference::all(Catalog::embedded()) {
        for block in fence::all(&text).iter().filter(|block| block.language == "lua") {
            let (command, arguments) = call::of(&block.text);
            let command = Catalog::embedded().command(&command).unwrap();
            if !matches!(command.shape, Shape::Upload(..)) {
                let encoded = encode(&command.method.input, &&arguments, None);
                encoded.unwrap_or_else(|mistakes| panic!("{name}: {mistakes:?}\n{}", block.text));
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 106);
}

/// Pages that people write: all that is in them is done as a reader would do it.
const WRITTEN: [&str; 1] = ["docs/first-bot.md"];

#[test]
fn what_a_page_tells_to_do_does_what_it_says() {
    for page in WRITTEN {
        session::follow(Path::new(page), &fs::read_to_string(page).unwrap());
    }
}
