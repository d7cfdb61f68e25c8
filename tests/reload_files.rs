//! Reloads of the real program, from the operator's side: files are saved in every way that there is, and what the host
//! does about it is read from its log and from the daemon's streams.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reload_files/load.rs"]
mod load;
#[path = "reload_files/mistakes.rs"]
mod mistakes;
#[path = "support/process.rs"]
mod process;
#[path = "reload_files/saves.rs"]
mod saves;
#[path = "reload_files/site.rs"]
mod site;

use serde_json::json;
use site::{Site, versioned};

const RULES: &str = "rules:
  - name: first
    subscription: message_received
    filter: { body_search: . }
    handler: first.lua
  - { name: second, subscription: contact_new, handler: second.lua }
  - { name: third, subscription: group_new, handler: second.lua }
";

/// What an edit of one rule does: what is replaced by what, the rules that were added, removed and changed, and the
/// streams opened and open then.
type Edit = (&'static str, &'static str, [&'static [&'static str]; 3], u64, usize);

const EDITS: &[Edit] = &[
    ("body_search: .", "body_search: ..", [&[], &[], &["first"]], 1, 3),
    ("message_received\n", "message_received\n    timeout: 9s\n", [&[], &[], &["first"]], 0, 3),
    ("handler: first.lua", "handler: third.lua", [&[], &[], &["first"]], 0, 3),
    ("rules:", "# a remark\nrules:", [&[], &[], &[]], 0, 3),
    ("name: first", "name: first\n    enabled: false", [&[], &["first"], &[]], 0, 2),
    ("name: first\n    enabled: false", "name: first\n    enabled: true", [&["first"], &[], &[]], 1, 3),
    ("name: first", "name: another", [&["another"], &["first"], &[]], 0, 3),
    ("contact_new, ", "contact_new, count: 9, ", [&[], &[], &["second"]], 1, 3),
    (
        "  - { name: third",
        "  - { name: fourth, subscription: group_new, lua: return }\n  - { name: third",
        [&["fourth"], &[], &[]],
        0,
        3,
    ),
];

#[test]
fn an_edit_of_one_rule_is_about_that_rule_and_its_stream() {
    let script = versioned("one");
    let scripts = ["first.lua", "second.lua", "third.lua"].map(|name| (name, script.as_str()));
    let site = Site::new(&[&[("rules.yaml", RULES)], &scripts[..]].concat());
    let host = site.run(&[]);
    site.simulator.emit("bot", "group_new", json!({ "group": { "id": 1 } })).unwrap();
    host.said(1);
    let (mut rules, mut opened) = (RULES.to_owned(), 3);
    for (number, (from, to, lists, more, open)) in (1..).zip(EDITS) {
        rules = rules.replacen(from, to, 1);
        site.write("rules.yaml", &rules);
        let (result, told) = host.reload(number);
        let quiet = lists.iter().all(|list| list.is_empty());
        assert_eq!(result, if quiet { "unchanged" } else { "applied" }, "{to}");
        assert_eq!(
            (&told["trigger"], json!([told["added"], told["removed"], told["changed"]])),
            (&json!("files"), json!(lists)),
            "{to}"
        );
        opened += more;
        site.streams(opened, *open);
    }
    let groups = site.simulator.streams().into_iter().find(|stream| stream.subscription.name == "group_new").unwrap();
    assert_eq!(groups.sent, 1, "it is the stream that was there from the start");
    host.stop();
}

/// A script that stays, and a rule that wants of it what it does not have; and one that is loaded anew, and broken.
#[test]
fn the_mistakes_of_all_scripts_are_told_at_once() {
    let script = versioned("one");
    let scripts = ["first.lua", "second.lua"].map(|name| (name, script.as_str()));
    let site = Site::new(&[&[("rules.yaml", RULES)], &scripts[..]].concat());
    let host = site.run(&[]);
    site.write("second.lua", "return function(");
    assert_eq!(host.reload(1).0, "rejected");
    site.write("rules.yaml", RULES.replace("handler: first.lua", "handler: 'first.lua:missing'"));
    assert_eq!(host.reload(2).0, "rejected");
    let told = host.mistakes(2);
    assert_eq!((told.len(), told), (2, site.checked("rules.yaml").0));
    host.stop();
}

const UTIL: &str = "return { text = 'one' }";

/// Edits of scripts and modules: the file, its content, what becomes of it, and what is said then.
const MODULES: &[(&str, &str, &str, &str)] = &[
    ("lib/util.lua", "return { text = 'two' }", "applied", "two-deep-late"),
    ("lib/deep/er.lua", "return 'deeper'", "applied", "two-deeper-late"),
    ("lib/late.lua", "return 'later'", "applied", "two-deeper-later"),
    ("lib/unused.lua", "return 'never read'", "", "two-deeper-later"),
    ("lib/util.lua", "return {", "rejected", "two-deeper-later"),
    ("lib/util.lua", "error('at load')", "rejected", "two-deeper-later"),
    ("lib/util.lua", "return { text = 'three' }", "applied", "three-deeper-later"),
    ("main.lua", "return function() print('short') end", "applied", "short"),
    ("lib/util.lua", "return { text = 'no longer read' }", "", "short"),
];

#[test]
fn scripts_and_every_module_that_they_required_are_watched() {
    let main = "local util, deep = require('lib.util'), require('lib.deep.er')
return function() print(util.text .. '-' .. deep .. '-' .. require('lib.late')) end";
    let rules = "rules:\n  - { name: main, subscription: message_received, handler: main.lua }\n";
    let files = [
        ("rules.yaml", rules),
        ("main.lua", main),
        ("lib/util.lua", UTIL),
        ("lib/deep/er.lua", "return 'deep'"),
        ("lib/late.lua", "return 'late'"),
    ];
    let site = Site::new(&files);
    let host = site.run(&[]);
    site.emit(1, "x");
    assert_eq!(host.said(1), ["one-deep-late"]);
    let (mut number, mut said) = (0, 1);
    for (file, content, result, text) in MODULES {
        site.write(file, content);
        if !result.is_empty() {
            number += 1;
            let (found, told) = host.reload(number);
            assert_eq!(
                (found.as_str(), &told["changed"], &told["kept"]),
                (*result, &json!([]), &json!(1)),
                "{file}: {content}"
            );
        }
        if *result == "rejected" {
            assert_eq!(host.mistakes(number), site.checked("rules.yaml").0);
        }
        site.emit(1, "x");
        said += 1;
        assert_eq!(host.said(said)[said - 1], *text, "{file}: {content}");
    }
    assert_eq!(site.simulator.opened("bot"), 1, "no stream was opened anew");
    host.stop();
}

/// Says by whom and from which file it is called.
const SAY: &str = "return function(n, rule) print(rule.name .. ' ' .. rule.file) end";

fn rule(name: &str) -> String {
    format!("rules:\n  - {{ name: {name}, subscription: message_received, handler: ../scripts/say.lua }}\n")
}

#[test]
fn files_come_and_go_in_directories() {
    let [first, second, third, fourth, fifth] = ["a", "b", "c", "d", "e"].map(rule);
    let site = Site::new(&[
        ("rules/a.yaml", &first),
        ("more/b.yml", &second),
        ("etc/c.yaml", &third),
        ("scripts/say.lua", SAY),
    ]);
    let host = site.run(&["rules", "etc/c.yaml", "more"]);
    // What is done, the text, what becomes of it, and what is said then.
    let steps: &[(&str, &str, &str, &[&str])] = &[
        (
            "printf %s \"$NEW\" > rules/d.yaml",
            &fourth,
            "applied",
            &["a rules/a.yaml", "b more/b.yml", "c etc/c.yaml", "d rules/d.yaml"],
        ),
        (
            "mv rules/d.yaml more/d.yml",
            "",
            "unchanged",
            &["a rules/a.yaml", "b more/b.yml", "c etc/c.yaml", "d more/d.yml"],
        ),
        ("rm rules/a.yaml", "", "applied", &["b more/b.yml", "c etc/c.yaml", "d more/d.yml"]),
        (
            "printf %s \"$NEW\" > rules/e.yaml; : > more/e.test.yaml; mkdir more/e.yaml; printf %s \"$NEW\" > more/.e.yaml",
            &fifth,
            "applied",
            &["b more/b.yml", "c etc/c.yaml", "d more/d.yml", "e rules/e.yaml"],
        ),
        (
            "cp rules/e.yaml rules/f.yaml",
            "",
            "rejected",
            &["b more/b.yml", "c etc/c.yaml", "d more/d.yml", "e rules/e.yaml"],
        ),
        ("rm rules/f.yaml", "", "unchanged", &["b more/b.yml", "c etc/c.yaml", "d more/d.yml", "e rules/e.yaml"]),
        ("rm etc/c.yaml", "", "rejected", &["b more/b.yml", "c etc/c.yaml", "d more/d.yml", "e rules/e.yaml"]),
        (
            "printf %s \"$NEW\" > etc/c.yaml",
            &third.replace("name: c", "name: g"),
            "applied",
            &["b more/b.yml", "d more/d.yml", "e rules/e.yaml", "g etc/c.yaml"],
        ),
        ("rm more/b.yml more/d.yml", "", "applied", &["e rules/e.yaml", "g etc/c.yaml"]),
    ];
    let mut said = 0;
    for (number, (script, new, result, texts)) in (1..).zip(steps) {
        site.shell(script, new);
        assert_eq!(host.reload(number).0, *result, "{script}");
        site.emit(1, "x");
        let mut found = host.said(said + texts.len()).split_off(said);
        found.sort();
        assert_eq!(found, *texts, "{script}");
        said += texts.len();
    }
    host.stop();
}

#[test]
fn a_script_keeps_its_state_as_the_readme_shows() {
    let readme = include_str!("../README.md");
    let section = readme.split("## Reloading").nth(1).unwrap();
    let script = section.split("```lua\n").nth(1).unwrap().split("```").next().unwrap();
    let script = script.replace("notification.message:reply(", "print(who .. ");
    let rules = "rules:\n  - { name: hello, subscription: message_received, handler: 'hello.lua:hello' }\n";
    let site = Site::new(&[("rules.yaml", rules), ("hello.lua", &script)]);
    let host = site.run(&[]);
    let emit = |sender: u64| {
        let message = json!({ "message": { "discussion_id": 1, "sender_id": sender } });
        site.simulator.emit("bot", "message_received", message).unwrap();
    };
    emit(4);
    assert_eq!(host.said(1), ["4hello yourself"]);
    let script = script.replace("hello yourself", ", again");
    site.write("hello.lua", &script);
    assert_eq!(host.reload(1).0, "applied");
    emit(4);
    emit(5);
    assert_eq!(host.said(2)[1], "5, again", "who was greeted is known to the new version");
    // What cannot be kept keeps the old version.
    site.write("hello.lua", script.replace("return greeted", "return print"));
    assert_eq!(host.reload(2).0, "applied");
    site.write("hello.lua", script.replace(", again", ", once more"));
    assert_eq!(host.reload(3).0, "rejected");
    assert_eq!(host.mistakes(3)[0].1, "script-save");
    emit(6);
    assert_eq!(host.said(3)[2], "6, again");
    host.stop();
}
