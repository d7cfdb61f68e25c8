//! What an editor does with the JSON Schema: parameters are completed by subscription, and mistakes told at their lines.
//!
//! The editor's part is played by the language server that editors run, in a project as `init` makes it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/prepared.rs"]
mod prepared;

mod editor {
    //! The language server.
    pub(crate) mod server;
}

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use editor::server::Server;
use olvid_rules::{
    rules,
    schema::{Catalog, Kind},
};
use tempfile::TempDir;

/// A project as `init` makes it, and a server that was started in it with the settings that lie there.
fn project() -> Option<(TempDir, Server)> {
    // To the server no file is meant that is in a hidden folder.
    let folder = tempfile::Builder::new().prefix("editor").tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_olvid-rules"))
        .args(["init", "bot"])
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let root = folder.path().join("bot");
    let settings = serde_json::from_str(&fs::read_to_string(root.join(".vscode/settings.json")).unwrap()).unwrap();
    let server = Server::start(&root, &settings)?;
    Some((folder, server))
}

/// Completes at the end of a text.
fn completed(server: &mut Server, file: &Path, text: &str) -> BTreeSet<String> {
    let last = text.lines().last().unwrap();
    let found = server.completions(file, text, text.lines().count() - 1, last.chars().count());
    found.into_iter().collect()
}

#[test]
fn an_editor_completes_the_parameters_of_each_subscription_and_no_others() {
    let Some((folder, mut server)) = project() else { return };
    let file = folder.path().join("bot/rules.yaml");
    for subscription in Catalog::embedded().subscriptions() {
        let name = &subscription.name;
        let text = format!("rules:\n  - name: a\n    subscription: {name}\n    lua: return\n    ");
        let offered = completed(&mut server, &file, &text);
        let input = &subscription.method.input;
        let fields: BTreeSet<_> = input.fields.iter().map(|field| field.name.clone()).collect();
        let missing: Vec<_> = fields.difference(&offered).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}, {offered:?}");
        // The main filter has a short name.
        let filters = fields.iter().any(|field| field.ends_with("filter"));
        let others = offered.iter().filter(|key| !fields.contains(*key) && !rules::keys().any(|own| own == *key));
        let others: Vec<_> = others.filter(|key| !(filters && *key == "filter")).collect();
        assert!(others.is_empty(), "{name}: {others:?}");
        for key in ["timeout", "concurrency", "enabled"] {
            assert!(offered.contains(key), "{name}: {offered:?}");
        }
    }
}

#[test]
fn an_editor_completes_subscriptions_fields_of_filters_and_values_of_enums() {
    let Some((folder, mut server)) = project() else { return };
    let file = folder.path().join("bot/rules.yaml");
    let catalog = Catalog::embedded();
    let offered = completed(&mut server, &file, "rules:\n  - name: a\n    subscription: ");
    let known = catalog.subscriptions().iter().map(|known| &known.name);
    let missing: Vec<_> = known.filter(|known| !offered.contains(*known)).collect();
    assert!(missing.is_empty(), "{missing:?}");

    let rule = "rules:\n  - name: a\n    subscription: message_received\n    lua: return\n    filter:\n      ";
    let offered = completed(&mut server, &file, rule);
    let input = &catalog.subscription("message_received").unwrap().method.input;
    let Kind::Message(filter) = &input.field("filter").unwrap().kind else { panic!("no filter") };
    let fields: BTreeSet<_> = filter.fields.iter().map(|field| field.name.clone()).collect();
    assert_eq!(offered, fields);

    let Kind::Enum(values) = &filter.field("type").unwrap().kind else { panic!("no enum") };
    let offered = completed(&mut server, &file, &format!("{rule}type: "));
    let known = values.values.iter().all(|value| offered.contains(&value.name));
    assert!(known, "{offered:?}");
}

#[test]
fn an_editor_completes_scenarios() {
    let Some((folder, mut server)) = project() else { return };
    let file = folder.path().join("bot/tests/hello.test.yaml");
    let own = fs::read_to_string(&file).unwrap();
    assert_eq!(server.mistakes(&file, &own), []);
    let begin = "scenarios:\n  - name: a\n    ";
    let offered = completed(&mut server, &file, begin);
    assert!(["when", "expect", "steps", "given"].iter().all(|key| offered.contains(*key)), "{offered:?}");
    let offered = completed(&mut server, &file, &format!("{begin}when:\n      "));
    assert!(["say", "emit", "wait", "refuse"].iter().all(|key| offered.contains(*key)), "{offered:?}");
    let offered = completed(&mut server, &file, &format!("{begin}expect:\n      "));
    let missing = Catalog::embedded().commands().iter().filter(|command| !offered.contains(&command.name)).count();
    assert!(missing == 0 && offered.contains("unordered"), "{missing}: {offered:?}");
    let told = server.mistakes(&file, "scenarios:\n  - name: a\n    when: hello\n    expect: { message_sned: {} }\n");
    assert!(told.iter().any(|(line, _)| *line == 4), "{told:?}");
}

#[test]
fn an_editor_tells_what_is_wrong_at_its_line_and_nothing_of_what_is_right() {
    let Some((folder, mut server)) = project() else { return };
    let at = |name: &str| folder.path().join("bot").join(name);
    let own = fs::read_to_string(at("rules.yaml")).unwrap();
    assert_eq!(server.mistakes(&at("rules.yaml"), &own), []);
    for (name, mistaken, line, words) in [
        (
            "parameter",
            "subscription: group_name_updated\n    lua: return\n    reaction: x",
            5,
            "reaction is not allowed",
        ),
        ("key", "subscription: message_received\n    lua: return\n    timeuot: 1s", 5, "timeuot is not allowed"),
        ("field", "subscription: message_received\n    lua: return\n    filter: { bodi: x }", 5, "bodi is not allowed"),
        ("type", "subscription: group_name_updated\n    lua: return\n    group_ids: 7", 5, "Incorrect type"),
        ("script", "subscription: message_received\n    handler: scripts/ping", 4, "the path of a script"),
        ("event", "subscription: message_recieved\n    lua: return", 3, ""),
    ] {
        let file = at(&format!("{name}.rules.yaml"));
        let told = server.mistakes(&file, &format!("rules:\n  - name: a\n    {mistaken}\n"));
        assert!(told.iter().any(|(at, said)| *at == line && said.contains(words)), "{name}: {told:?}");
        assert!(told.iter().all(|(at, _)| *at == line), "{name}: {told:?}");
    }
    let valid = fs::read_dir("tests/check").unwrap().map(|entry| entry.unwrap().path());
    let is_valid = |path: &Path| {
        let named = path.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("valid_"));
        named && path.extension().is_some_and(|kind| kind == "yaml")
    };
    let mut seen = 0;
    for path in valid.filter(|path| is_valid(path)) {
        let name = format!("{}.rules.yaml", path.file_stem().unwrap().display());
        let told = server.mistakes(&at(&name), &fs::read_to_string(&path).unwrap());
        // What the server thinks of YAML is not the schema's.
        let told: Vec<_> = told.iter().filter(|(_, said)| !said.starts_with("Unused anchor")).collect();
        assert!(told.is_empty(), "{}: {told:?}", path.display());
        seen += 1;
    }
    assert!(seen > 5);
}
