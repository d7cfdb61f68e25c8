//! Limits and permissions mean what is written, a rule's own before its file's, and never more than the host allows.

use std::{fs, path::Path, process::Command, time::Duration};

use olvid_rules::rules::{LIMITS, Limits, Order, keys};

use crate::load;

#[test]
fn a_rule_has_its_own_terms_or_those_of_its_file() {
    let (set, told) = load(Path::new("tests/check/valid_limits.yaml"));
    assert!(told.is_empty(), "{told:?}");
    let [file, own] = &*set.rules else { panic!("{}", set.rules.len()) };
    let expected = Limits {
        timeout: Duration::from_secs(10),
        cpu: Duration::from_millis(500),
        memory: 128 << 20,
        output: 1024,
        log_rate: 10,
        command_rate: 0,
        loop_limit: 0,
    };
    assert_eq!(file.limits, expected);
    assert_eq!((file.ignore_self, file.concurrency, file.order), (true, 4, Order::Rule));
    let expected = Limits {
        timeout: Duration::from_millis(1500),
        cpu: Duration::from_mins(1),
        memory: 2_000_000_000,
        output: 0,
        log_rate: 0,
        command_rate: 7,
        loop_limit: 3,
    };
    assert_eq!(own.limits, expected);
    assert_eq!((own.ignore_self, own.concurrency, own.order), (false, 1, Order::None));
}

#[test]
fn no_rule_has_more_than_the_caps_and_what_is_not_asked_for_is_not_told() {
    let (set, told) = load(Path::new("tests/check/capped.yaml"));
    assert!(told.iter().all(|told| told.code == "capped"), "{told:?}");
    let [file, own] = &*set.rules else { panic!("{}", set.rules.len()) };
    let capped = Limits {
        timeout: Duration::from_secs(10),
        cpu: Duration::from_millis(500),
        memory: 64 << 20,
        output: 1000,
        log_rate: 10,
        command_rate: 20,
        loop_limit: 60,
    };
    assert_eq!(file.limits, capped);
    assert_eq!(own.limits, Limits { timeout: Duration::from_secs(5), log_rate: 5, loop_limit: 100, ..capped });
}

#[test]
fn the_permissions_of_a_file_are_those_of_all_its_rules() {
    let (set, told) = load(Path::new("tests/check/valid_permissions.yaml"));
    assert!(told.is_empty(), "{told:?}");
    let held = &set.rules[0].permissions;
    let commands = ["admin_identity_list", "discussion_list", "message_react", "message_send"];
    assert_eq!(held.commands.as_deref(), Some(commands.map(str::to_owned).as_slice()));
    let at = |path: &str| Path::new("tests/check").join(path);
    assert_eq!(held.read, [at(".."), at("scripts")]);
    assert_eq!(held.write, [Path::new("/tmp").to_owned(), at("made/on/demand"), at("scripts")]);
    assert_eq!(held.env, ["LANG", "_my_1"]);
}

#[test]
fn where_nothing_is_said_every_command_is_permitted_and_nothing_else() {
    let (set, _) = load(Path::new("tests/check/valid_minimal.yaml"));
    let held = &set.rules[0].permissions;
    assert!(held.commands.is_none() && held.read.is_empty() && held.write.is_empty() && held.env.is_empty());
    assert_eq!(set.rules[0].limits, Limits::default());
}

/// The rows of a table of the README below a heading or line, by their cells without quotes.
fn rows(below: &str) -> Vec<Vec<String>> {
    let readme = include_str!("../../README.md");
    let lines = readme.split_once(below).unwrap().1.lines();
    let table = lines.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    table.map(cells).collect()
}

fn limits_of(key: &str, value: &str) -> Limits {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.yaml");
    let rule = "rules: [{ name: a, subscription: contact_new, lua: return }]";
    fs::write(&path, format!("defaults: {{ {key}: {value} }}\n{rule}\n")).unwrap();
    let (set, told) = load(&path);
    assert!(told.is_empty(), "{told:?}");
    set.rules[0].limits.clone()
}

#[test]
fn the_table_of_limits_in_the_readme_is_the_truth() {
    let rows = rows("\n## Limits\n");
    let documented: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(documented, LIMITS.iter().map(|limit| limit.key).collect::<Vec<_>>());
    let helps = ["run", "dev", "check"].map(|command| {
        let help = Command::new(env!("CARGO_BIN_EXE_olvid-rules")).args([command, "--help"]).output().unwrap();
        String::from_utf8(help.stdout).unwrap()
    });
    for (row, limit) in rows.iter().zip(&LIMITS) {
        let [key, _, default, range, flag] = row.as_slice() else { panic!("{row:?}") };
        assert_eq!(limits_of(key, default), Limits::default(), "{key}");
        let (least, most) = range.split_once(" … ").unwrap();
        assert_ne!(limits_of(key, most), Limits::default(), "{key}");
        assert!(limit.read(least).is_ok() && limit.read(most).is_ok(), "{key}");
        let more = limit.measure.show(limit.measure.read(most).unwrap() + 1);
        assert!(limit.read(&more).is_err(), "{key} {more}");
        let name = format!("--max-{}", key.replace('_', "-"));
        let capped = helps.iter().all(|help| help.contains(&format!("{name} <")));
        assert_eq!(flag.as_str(), if capped { &name } else { "" }, "{key}");
    }
}

#[test]
fn the_readme_has_every_key_of_a_rule_once() {
    let mut documented: Vec<_> =
        ["\n**Keys of a rule**", "\n## Limits\n"].into_iter().flat_map(rows).map(|row| row[0].clone()).collect();
    let mut known: Vec<_> = keys().map(str::to_owned).collect();
    documented.sort();
    known.sort();
    assert_eq!(documented, known);
}

/// What the README shows of `permissions` and `defaults` is a file that loads.
#[test]
fn the_permissions_and_defaults_of_the_readme_are_read() {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```yaml\n").skip(1).map(|block| block.split_once("```").unwrap().0);
    let blocks: Vec<_> =
        blocks.filter(|block| block.starts_with("permissions:") || block.starts_with("defaults:")).collect();
    assert_eq!(blocks.len(), 2);
    let folder = tempfile::tempdir().unwrap();
    for name in ["shared", "rules/pictures"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    let path = folder.path().join("rules/r.yaml");
    let rule = "rules: [{ name: a, subscription: contact_new, lua: return }]";
    fs::write(&path, format!("{}{rule}\n", blocks.concat())).unwrap();
    let (set, told) = load(&path);
    assert!(told.is_empty() && set.rules.len() == 1, "{told:?}");
}
