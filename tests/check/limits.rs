//! Limits and permissions mean what is written, a rule's own before its file's, and never more than the host allows.

use std::{path::Path, time::Duration};

use olvid_rules::rules::{LIMITS, Limits, Order, keys};

use crate::load;

#[test]
fn a_rule_has_its_own_terms_or_those_of_its_file() {
    let (set, told) = load(Path::new("tests/check/valid_limits.yaml"));
    assert!(told.is_empty(), "{told:?}");
    let [file, own] = set.rules.as_slice() else { panic!("{}", set.rules.len()) };
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
    let [file, own] = set.rules.as_slice() else { panic!("{}", set.rules.len()) };
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

#[test]
fn the_keys_are_listed() {
    assert!(LIMITS.iter().all(|limit| keys().any(|key| key == limit.key)));
}
