//! The file of cursors: what is written is read, and nothing that lies there instead stops a host.

use std::{fs, path::Path, sync::Mutex};

use tempfile::TempDir;

use super::*;
use crate::{
    report::{Event, Reporter},
    rules::{Rule, RuleSet},
};

/// Rules of these names, which listen to the same.
fn rules(names: &[&str], body: &str) -> Vec<Arc<Rule>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    let one = |name: &&str| {
        let filter = format!("filter: {{ body_search: {body} }}");
        format!("- {{ name: {name}, subscription: message_received, {filter}, lua: return }}\n")
    };
    fs::write(&path, format!("rules:\n{}", names.iter().map(one).collect::<String>())).unwrap();
    let (set, told) = RuleSet::load(&[path], Catalog::embedded());
    assert!(told.is_empty(), "{told:#?}");
    set.rules.to_vec()
}

/// A state directory and what was told of it.
struct Desk {
    folder: TempDir,
    told: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), told: Arc::default() }
    }

    fn open(&self) -> Cursors {
        let told = Arc::clone(&self.told);
        let reporter = Reporter::new(vec![Box::new(move |event| match event {
            Event::Notice(text) => told.lock().unwrap().push(text.clone()),
            other => panic!("{other:?}"),
        })]);
        Cursors::open(&self.path(), &reporter)
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("below/state")
    }

    fn file(&self) -> std::path::PathBuf {
        self.path().join("cursors.json")
    }

    fn told(&self) -> usize {
        self.told.lock().unwrap().len()
    }
}

/// A feed that handed over one message of these rules.
fn feed(rules: &[Arc<Rule>], id: u64) -> CatchUp {
    let mut catch_up = CatchUp::new(&rules[0].subscription, &rules[0].request).unwrap();
    catch_up.opened(EPOCH);
    note(&mut catch_up, id);
    catch_up
}

fn note(catch_up: &mut CatchUp, id: u64) {
    let message = json!({ "message": { "id": { "id": id }, "timestamp": EPOCH + id } });
    let notification = encode::encode(&subscription().method.output, &&message, None).unwrap().into();
    assert!(catch_up.is_new(&notification, EPOCH + SLACK));
    catch_up.took(1);
}

fn ids(cursors: &Cursors, rule: &Rule) -> Option<Vec<u64>> {
    cursors.of(rule).map(|cursor| cursor.seen.into_iter().map(|(_, id)| id).collect())
}

#[tokio::test]
async fn where_a_feed_stands_is_found_again_unless_the_rule_listens_to_something_else() {
    let (desk, rules) = (Desk::new(), rules(&["one", "two"], "a"));
    let cursors = desk.open();
    assert_eq!(cursors.of(&rules[0]), None);
    let mut catch_up = feed(&rules, 1);
    cursors.keep(rules.iter().map(|rule| &**rule), &catch_up);
    cursors.flush().await;
    note(&mut catch_up, 2);
    cursors.flush().await;
    let expected = catch_up.seen().cursor().unwrap();
    drop((cursors, catch_up));
    let again = desk.open();
    assert_eq!((again.of(&rules[0]), again.of(&rules[1])), (Some(expected.clone()), Some(expected)));
    assert_eq!(again.of(&super::kept::rules(&["one"], "b")[0]), None);
    assert_eq!(desk.told(), 0);
}

#[tokio::test]
async fn a_feed_that_ended_is_written_once_more_and_nothing_without_a_change() {
    let (desk, rules) = (Desk::new(), rules(&["one"], "a"));
    let cursors = desk.open();
    let catch_up = feed(&rules, 1);
    cursors.keep([&*rules[0]], &catch_up);
    drop(catch_up);
    cursors.flush().await;
    assert_eq!(ids(&cursors, &rules[0]), Some(vec![1]));
    fs::remove_file(desk.file()).unwrap();
    cursors.flush().await;
    assert!(!desk.file().exists());
}

#[tokio::test]
async fn what_is_not_ours_counts_as_none_and_is_told() {
    let contents = [
        "".as_bytes(),
        b"{",
        b"[1]",
        b"\xff\xfe",
        br#"{"version":2,"rules":{}}"#,
        br#"{"version":1,"rules":{"one":{"listens":"x","since":-1,"seen":[]}}}"#,
    ];
    let rules = rules(&["one"], "a");
    for (at, content) in contents.into_iter().enumerate() {
        let desk = Desk::new();
        fs::create_dir_all(desk.path()).unwrap();
        fs::write(desk.file(), content).unwrap();
        let cursors = desk.open();
        assert_eq!((cursors.of(&rules[0]), desk.told()), (None, 1), "{at}");
        cursors.keep([&*rules[0]], &feed(&rules, 1));
        cursors.flush().await;
        drop(cursors);
        assert_eq!((ids(&desk.open(), &rules[0]), desk.told()), (Some(vec![1]), 1), "{at}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_told_once_and_stops_nothing() {
    let (desk, rules) = (Desk::new(), rules(&["one"], "a"));
    fs::create_dir_all(desk.file()).unwrap();
    let cursors = desk.open();
    cursors.keep([&*rules[0]], &feed(&rules, 1));
    for _ in 0..3 {
        cursors.flush().await;
    }
    assert_eq!(desk.told(), 2, "{:?}", desk.told);
    // It is kept as soon as that is possible.
    fs::remove_dir(desk.file()).unwrap();
    cursors.flush().await;
    drop(cursors);
    assert_eq!(ids(&desk.open(), &rules[0]), Some(vec![1]));
    let nowhere = Reporter::new(Vec::new());
    Cursors::open(Path::new("/proc/none"), &nowhere).flush().await;
}

#[tokio::test]
async fn of_two_hosts_on_one_directory_one_writes_and_the_other_takes_over() {
    let (desk, rules) = (Desk::new(), rules(&["one", "two"], "a"));
    let (first, second) = (desk.open(), desk.open());
    assert_eq!(desk.told(), 1);
    first.keep([&*rules[0]], &feed(&rules, 1));
    second.keep([&*rules[1]], &feed(&rules, 2));
    first.flush().await;
    second.flush().await;
    assert_eq!((ids(&desk.open(), &rules[0]), ids(&desk.open(), &rules[1])), (Some(vec![1]), None));
    drop(first);
    second.flush().await;
    let third = desk.open();
    assert_eq!((ids(&third, &rules[0]), ids(&third, &rules[1])), (Some(vec![1]), Some(vec![2])));
}
