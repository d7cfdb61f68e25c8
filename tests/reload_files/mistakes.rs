//! Every invalid rule file there is (`tests/check`): saved over rules that run, and as what a host is to start with.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::Value as Json;

use crate::{
    process::events,
    site::{Site, Told, versioned},
};

const RULES: &str =
    "rules:\n  - { name: base, subscription: message_received, filter: { body_search: . }, handler: base.lua }\n";

/// Hosts that work through the cases side by side.
const HOSTS: usize = 4;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    cases.sort();
    assert!(cases.len() >= 80, "{}", cases.len());
    cases
}

/// A site with the scripts that the cases name.
fn site() -> Site {
    let site = Site::new(&[("rules.yaml", RULES), ("base.lua", &versioned("base"))]);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/scripts");
    for entry in fs::read_dir(scripts).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_file() {
            site.write(&format!("scripts/{}", entry.file_name().display()), fs::read(entry.path()).unwrap());
        }
    }
    site
}

/// Does something with each case, several side by side, each with a site of its own.
fn each(work: impl Fn(&Site, &mut dyn Iterator<Item = PathBuf>) + Sync) {
    let (cases, next) = (cases(), AtomicUsize::new(0));
    let mut sites = Vec::new();
    for _ in 0..HOSTS {
        sites.push(site());
    }
    thread::scope(|scope| {
        for site in &sites {
            let mut mine = std::iter::from_fn(|| cases.get(next.fetch_add(1, Ordering::Relaxed)).cloned());
            let work = &work;
            scope.spawn(move || work(site, &mut mine));
        }
    });
}

/// What a reload tells where `check` tells this: no rules at all are accepted by `check` alone.
fn assert_same(case: &Path, found: &[Told], (checked, refused): &(Vec<Told>, bool), rejected: bool) {
    let mut wanted = checked.clone();
    if rejected && !refused {
        wanted.push(("error".to_owned(), "no-rules".to_owned(), None));
    }
    assert_eq!((found, rejected), (&wanted[..], rejected || *refused), "{}", case.display());
}

/// Whether a line tells that the stream of the rule `base` was opened after a moment.
fn is_opened_since(line: &str, moment: &str) -> bool {
    let event: Json = serde_json::from_str(line).unwrap();
    let since = event["timestamp"].as_str().unwrap() >= moment;
    since
        && event["event"] == "feed_opened"
        && (event["rule"] == "base" || event["rules"].to_string().contains("\"base\""))
}

#[test]
fn a_mistake_in_a_save_is_told_as_check_does_and_what_runs_goes_on() {
    each(|site, cases| {
        let host = site.run(&[]);
        let (mut reloads, mut said) = (0, 0);
        let mut last = "start".to_owned();
        for case in cases {
            let bytes = fs::read(&case).unwrap();
            site.write("rules.yaml", bytes);
            reloads += 1;
            let (result, _) = host.reload(reloads);
            let rejected = result == "rejected";
            assert_same(&case, &host.mistakes(reloads), &site.checked("rules.yaml"), rejected);
            if !rejected {
                site.write("rules.yaml", RULES);
                reloads += 1;
                let (result, told) = host.reload(reloads);
                assert_eq!(result, "applied", "{}", case.display());
                let until = told["timestamp"].as_str().unwrap().to_owned();
                host.process.until("the base's stream", |line| is_opened_since(line, &until).then_some(()));
                said = host.process.printed().iter().filter(|line| line.contains("\"event\":\"said\"")).count();
            }
            last = case.file_stem().unwrap().display().to_string();
            assert!(site.emit(1, &last) >= 1, "{last}: its stream is open");
            said += 1;
            assert!(host.said(said)[said - 1].starts_with(&format!("base {last} ")), "{last}");
        }
        site.write("rules.yaml", RULES.replace("base.lua", "next.lua"));
        site.write("next.lua", versioned("next"));
        assert_eq!(host.reload(reloads + 1).0, "applied", "after {last}");
        site.emit(1, "good");
        assert_eq!(host.said(said + 1)[said], "next good 1");
        host.stop();
    });
}

#[test]
fn a_mistake_at_the_start_ends_it_and_is_told_as_check_does() {
    each(|site, cases| {
        for case in cases {
            site.write("rules.yaml", fs::read(&case).unwrap());
            let checked = site.checked("rules.yaml");
            let host = site.begin(&[]);
            let log = if checked.1 {
                let (status, log) = host.process.ended();
                assert_eq!(status.code(), Some(1), "{}: {}", case.display(), log.join("\n"));
                assert_eq!(events(&log, "started").len(), 0, "{}", case.display());
                log
            } else {
                host.process.events("started", 1);
                host.stop()
            };
            assert_same(&case, &crate::site::mistakes(&log), &checked, checked.1);
        }
    });
}
