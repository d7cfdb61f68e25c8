//! What loading and running a script records as read or looked for.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{
    super::RuleQueue,
    bench::{Bench, PING, finish, push},
};
use crate::rules::inputs::Fingerprint;

/// The record by path below the bench's folder.
fn recorded(bench: &Bench, all: BTreeMap<PathBuf, Fingerprint>) -> BTreeMap<String, Fingerprint> {
    let below = |path: &Path| path.strip_prefix(bench.folder.path()).unwrap().display().to_string();
    all.into_iter().map(|(path, held)| (below(&path), held)).collect()
}

fn entry(path: &str, content: &str) -> (String, Fingerprint) {
    (path.to_owned(), Fingerprint::of(content.as_bytes()))
}

fn missing(path: &str) -> (String, Fingerprint) {
    (path.to_owned(), Fingerprint::Missing)
}

#[tokio::test]
async fn modules_are_recorded_when_they_are_required_with_the_candidates_that_were_not_there() {
    let main = "require('lib.a') pcall(require, 'gone') return function() require('late') print('done') end";
    let bench = Bench::new(&[
        ("rules.yaml", &PING.replace("ping.lua", "scripts/ping.lua")),
        ("scripts/ping.lua", main),
        ("scripts/lib/a/init.lua", "return 1"),
        ("scripts/late.lua", "return 2"),
    ]);
    let queue = RuleQueue::new();
    let (script, _) = bench.serve("ping", &queue).await;
    let mut expected = BTreeMap::from([
        missing("scripts/gone.lua"),
        missing("scripts/gone/init.lua"),
        missing("scripts/lib/a.lua"),
        entry("scripts/lib/a/init.lua", "return 1"),
        entry("scripts/ping.lua", main),
    ]);
    assert_eq!(recorded(&bench, script.inputs.all()), expected);
    push(&queue, 1, "x").await;
    bench.said(1).await;
    expected.extend([entry("scripts/late.lua", "return 2")]);
    assert_eq!(recorded(&bench, script.inputs.all()), expected);
    finish(script).await;
}

#[tokio::test]
async fn what_a_script_that_is_refused_has_read_is_recorded_too() {
    for (main, module, expected) in [
        ("require 'm' return print", "x ==", vec![("m.lua", true), ("ping.lua", true)]),
        ("require 'n' return print", "", vec![("n.lua", false), ("n/init.lua", false), ("ping.lua", true)]),
        ("error('x')", "", vec![("ping.lua", true)]),
        ("x ==", "", vec![("ping.lua", true)]),
    ] {
        let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", main), ("m.lua", module)]);
        let spec = bench.spec("ping");
        let inputs = spec.inputs.clone();
        assert!(!spec.check(false).is_empty());
        let content = |name: &str| if name == "m.lua" { module } else { main };
        let expected: BTreeMap<_, _> = expected
            .into_iter()
            .map(|(name, there)| if there { entry(name, content(name)) } else { missing(name) })
            .collect();
        assert_eq!(recorded(&bench, inputs.all()), expected);
    }
}

#[tokio::test]
async fn a_swapped_mount_is_followed_and_recorded_by_the_names_that_rules_use() {
    let main = "require 'a' return function() print(require('b')) end";
    let bench = Bench::new(&[
        ("v1/ping.lua", main),
        ("v1/a.lua", "return 1"),
        ("v1/b.lua", "return 'old'"),
        ("v2/ping.lua", main),
        ("v2/a.lua", "return 2"),
        ("v2/b.lua", "return 'new'"),
        ("rules.yaml", &PING.replace("ping.lua", "data/ping.lua")),
    ]);
    let link = bench.folder.path().join("data");
    symlink("v1", &link).unwrap();
    let queue = RuleQueue::new();
    let (script, _) = bench.serve("ping", &queue).await;
    symlink("v2", bench.folder.path().join("next")).unwrap();
    fs::rename(bench.folder.path().join("next"), &link).unwrap();
    fs::remove_dir_all(bench.folder.path().join("v1")).unwrap();
    push(&queue, 1, "x").await;
    assert_eq!(bench.said(1).await, ["new"]);
    let expected = [entry("data/a.lua", "return 1"), entry("data/b.lua", "return 'new'"), entry("data/ping.lua", main)];
    assert_eq!(recorded(&bench, script.inputs.all()), expected.into());
    finish(script).await;
}

#[tokio::test]
async fn a_module_out_of_the_directory_is_refused_and_watched() {
    let bench = Bench::new(&[
        ("rules.yaml", &PING.replace("ping.lua", "scripts/ping.lua")),
        ("scripts/ping.lua", "require 'out' return print"),
        ("out.lua", "return 1"),
    ]);
    symlink("../out.lua", bench.folder.path().join("scripts/out.lua")).unwrap();
    let spec = bench.spec("ping");
    let told = spec.check(false);
    assert!(told[0].message.contains("is outside of the script's directory"), "{}", told[0].message);
    let expected = [entry("scripts/out.lua", "return 1"), entry("scripts/ping.lua", "require 'out' return print")];
    assert_eq!(recorded(&bench, spec.inputs.all()), expected.into());
}
