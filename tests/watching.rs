//! Changes of rule files and scripts, by every way of saving: real files, real events.
//!
//! That nothing is told cannot be awaited. But each look opens a file that is there for it, and a second watcher of the test
//! sees that: where looks have come and gone and nothing was told, nothing will be.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "watching/site.rs"]
mod site;
#[path = "watching/ways.rs"]
mod ways;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    fs::File,
    future::Future,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use olvid_rules::{
    engine::watch::Watch,
    rules::inputs::{self, Fingerprint},
};
use tokio::{
    select,
    sync::mpsc,
    task::{JoinSet, spawn_blocking, yield_now},
    time::timeout,
};

use site::{NEVER, NEW, OLD, Site, reporter};
use ways::{Act, QUIETLY, WAYS, Way, nothing};

async fn is_told((name, make, save, file): Way) {
    let mut site = Site::new(make).await;
    let root = site.root();
    let saving = spawn_blocking(move || save(&root));
    site.changed().await;
    let found = file.map(|file| fs::read_to_string(site.root().join(file)).unwrap_or_default());
    assert_eq!(found.as_deref(), file.map(|_| NEW), "{name}: what is told is not finished");
    site.hold();
    saving.await.unwrap();
    site.looked().await;
    site.unchanged().await;
    // It is still watched, whatever was done to it.
    fs::create_dir_all(site.root().join("rules")).unwrap();
    fs::write(site.root().join("rules/a.yaml"), "rules: [] # later\n").unwrap();
    site.changed().await;
    assert_eq!(*site.notices.lock().unwrap(), Vec::<String>::new(), "{name}");
}

/// Runs all cases, some at a time, and names those that fail.
async fn all<F: Future<Output = ()> + 'static>(cases: impl IntoIterator<Item = (&'static str, F)>) {
    let local = tokio::task::LocalSet::new();
    let permits = Arc::new(tokio::sync::Semaphore::new(8));
    let mut tasks = JoinSet::new();
    let mut names = BTreeMap::new();
    for (name, case) in cases {
        let permits = Arc::clone(&permits);
        let task = async move {
            let _permit = permits.acquire_owned().await.unwrap();
            case.await;
        };
        names.insert(tasks.spawn_local_on(task, &local).id(), name);
    }
    local
        .run_until(async {
            while let Some(done) = tasks.join_next_with_id().await {
                if let Err(error) = done {
                    panic!("{}: {error}", names[&error.id()]);
                }
            }
        })
        .await;
}

#[tokio::test]
async fn every_way_of_saving_is_told_once_and_finished() {
    all(WAYS.iter().map(|way| (way.0, is_told(*way)))).await;
}

#[tokio::test]
async fn what_changes_no_content_is_not_told() {
    let case = |disturb: Act| async move {
        let mut site = Site::new(nothing).await;
        let root = site.root();
        let at_work = spawn_blocking(move || disturb(&root));
        // The looks that this gives a reason for.
        while !at_work.is_finished() {
            select! {
                biased;
                () = site.watch.changed() => panic!("a change was told where there is none"),
                () = yield_now() => {}
            }
        }
        at_work.await.unwrap();
        site.unchanged().await;
        fs::write(site.root().join("rules/a.yaml"), NEW).unwrap();
        site.changed().await;
        assert_eq!(fs::read_to_string(site.root().join("rules/a.yaml")).unwrap(), NEW);
        site.hold();
        site.looked().await;
        site.unchanged().await;
    };
    all(QUIETLY.iter().map(|(name, disturb)| (*name, case(*disturb)))).await;
}

/// Looks do not read again what nobody has touched; all ways here keep its size, and one its times too.
#[tokio::test]
async fn what_was_left_alone_for_long_is_told_when_it_changes() {
    const OTHER: &str = "rules: [] # odd\n";
    assert_eq!(OTHER.len(), OLD.len());
    let mut site = Site::new(nothing).await;
    let path = site.root().join("rules/a.yaml");
    let ways: [&dyn Fn(&str); 3] = [
        &|text| fs::write(&path, text).unwrap(),
        &|text| {
            fs::write(path.with_extension("new"), text).unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
        },
        &|text| {
            let written = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, text).unwrap();
            fs::File::options().append(true).open(&path).unwrap().set_modified(written).unwrap();
        },
    ];
    for (way, text) in ways.into_iter().zip([OTHER, OLD, OTHER]) {
        // The file system's own clock, which nothing can pause, says how long.
        tokio::time::sleep(Duration::from_secs(4)).await;
        site.unchanged().await;
        way(text);
        site.changed().await;
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        site.hold();
        site.looked().await;
    }
    site.unchanged().await;
}

/// More than the kernel's queue holds, should it not be emptied in time.
#[tokio::test]
async fn a_storm_of_events_hides_no_change() {
    let mut site = Site::new(nothing).await;
    let root = site.root();
    let storm = spawn_blocking(move || {
        for round in 0..20_000 {
            fs::write(root.join("rules").join(format!("noise-{}", round % 500)), "").unwrap();
        }
        fs::write(root.join("rules/a.yaml"), NEW).unwrap();
    });
    site.changed().await;
    assert_eq!(fs::read_to_string(site.root().join("rules/a.yaml")).unwrap(), NEW);
    storm.await.unwrap();
    site.hold();
    site.looked().await;
    site.unchanged().await;
}

#[tokio::test]
async fn a_file_that_stays_open_holds_up_nothing_for_ever() {
    let mut site = Site::new(nothing).await;
    let mut open = File::create(site.root().join("scripts/main.lua")).unwrap();
    open.write_all(NEW.as_bytes()).unwrap();
    site.changed().await;
    site.hold();
    site.looked().await;
    // Until somebody writes to it again, and then lets it be.
    open.write_all(NEW.as_bytes()).unwrap();
    site.changed().await;
    site.hold();
    drop(open);
    site.looked().await;
    site.unchanged().await;
}

#[tokio::test]
async fn a_directory_that_is_never_quiet_holds_up_nothing_for_ever() {
    let mut site = Site::new(nothing).await;
    let noise = site.root().join("rules/host.log");
    let (stop, mut stopped) = mpsc::channel::<()>(1);
    let log = thread::spawn(move || {
        let mut file = File::create(noise).unwrap();
        while matches!(stopped.try_recv(), Err(mpsc::error::TryRecvError::Empty)) {
            file.write_all(b"a line\n").unwrap();
            thread::sleep(Duration::from_millis(10));
        }
    });
    fs::write(site.root().join("rules/a.yaml"), NEW).unwrap();
    site.changed().await;
    assert_eq!(fs::read_to_string(site.root().join("rules/a.yaml")).unwrap(), NEW);
    drop(stop);
    log.join().unwrap();
}

#[tokio::test]
async fn a_change_between_reading_and_watching_is_told() {
    let mut site = Site::unwatched(nothing);
    let held = site.read();
    fs::write(site.root().join("rules/a.yaml"), NEW).unwrap();
    site.watch.set(held);
    site.changed().await;
    // Until something else is held, it stays one.
    site.changed().await;
    site.hold();
    site.looked().await;
    site.unchanged().await;
}

/// A hard link from a directory that is not watched: nothing announces what is written through it.
#[tokio::test]
async fn what_changes_between_two_looks_is_not_at_rest() {
    let mut site = Site::unwatched(|root| {
        fs::create_dir_all(root.join("far/off")).unwrap();
        fs::hard_link(root.join("rules/a.yaml"), root.join("far/off/a.yaml")).unwrap();
    });
    let (held, behind) = (site.read(), site.root().join("far/off/a.yaml"));
    fs::write(&behind, "half").unwrap();
    site.watch.set(held);
    for content in ["half of it", NEW] {
        site.looked().await;
        fs::write(&behind, content).unwrap();
    }
    site.changed().await;
    assert_eq!(fs::read_to_string(site.root().join("rules/a.yaml")).unwrap(), NEW);
}

#[tokio::test]
async fn a_call_that_is_dropped_again_and_again_loses_nothing() {
    let mut site = Site::new(nothing).await;
    fs::write(site.root().join("rules/a.yaml"), NEW).unwrap();
    let often = async {
        loop {
            select! {
                biased;
                () = site.watch.changed() => return,
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
    };
    timeout(NEVER, often).await.unwrap();
}

/// The inotify instances of this process with the directories of a tree that each watches.
fn watched(root: &Path) -> Vec<BTreeSet<u64>> {
    fn inodes(directory: &Path, found: &mut BTreeSet<u64>) {
        found.insert(fs::metadata(directory).unwrap().ino());
        for entry in fs::read_dir(directory).unwrap().flatten().filter(|entry| entry.file_type().unwrap().is_dir()) {
            inodes(&entry.path(), found);
        }
    }
    let mut own = BTreeSet::new();
    inodes(root, &mut own);
    let inode = |line: &str| u64::from_str_radix(line.split("ino:").nth(1)?.split(' ').next()?, 16).ok();
    let instances = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let texts = instances.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let instance = |text: String| {
        let lines = text.lines().filter(|line| line.starts_with("inotify "));
        lines.filter_map(inode).filter(|inode| own.contains(inode)).collect::<BTreeSet<_>>()
    };
    texts.map(instance).filter(|own| !own.is_empty()).collect()
}

#[tokio::test]
async fn watches_are_given_back() {
    let mut site = Site::new(nothing).await;
    let witness = BTreeSet::from([fs::metadata(site.root().join("witness")).unwrap().ino()]);
    let own = |root: &Path| watched(root).into_iter().filter(|inodes| *inodes != witness).collect::<Vec<_>>();
    let root = site.root();
    let base = own(&root);
    assert_eq!(base.len(), 1, "one instance");
    let usual = site.paths.clone();
    for cycle in 0..200 {
        let extra = root.join(format!("extra/{cycle}"));
        fs::create_dir_all(&extra).unwrap();
        fs::write(extra.join("x.lua"), OLD).unwrap();
        site.paths = usual.iter().cloned().chain([extra.join("x.lua")]).collect();
        site.hold();
        site.looked().await;
        if cycle % 2 == 0 {
            fs::remove_dir_all(extra).unwrap();
        }
    }
    site.paths = usual;
    site.hold();
    site.looked().await;
    site.unchanged().await;
    assert_eq!(own(&root), base);
    let Site { watch, folder: _folder, .. } = site;
    drop(watch);
    let gone = async {
        while !own(&root).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(NEVER, gone).await.expect("the instance is closed");
}

/// Runs one of the tests below in a namespace of its own, where it is root and limits are what the script makes them.
fn in_namespace(limits: &str, inner: &str) {
    let script = format!("{limits}; exec \"$0\" --ignored --exact {inner} --nocapture");
    let mut unshare = Command::new("unshare");
    unshare.args(["-Ur", "sh", "-euc", &script]).arg(env::current_exe().unwrap()).env("WATCH_NAMESPACE", "1");
    let output = unshare.output().expect("`unshare`, of util-linux, is needed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "user namespaces are needed (`unshare -Ur`):\n{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn without_enough_watches_changes_are_found_by_reading() {
    in_namespace("echo 5 > /proc/sys/user/max_inotify_watches", "inner_limits");
}

#[test]
fn without_an_instance_changes_are_found_by_reading() {
    in_namespace("echo 0 > /proc/sys/user/max_inotify_instances", "inner_limits");
}

#[tokio::test]
#[ignore = "lowers limits: run in a namespace by the two tests above"]
async fn inner_limits() {
    assert!(env::var_os("WATCH_NAMESPACE").is_some(), "this test is run by others");
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..10).map(|number| folder.path().join(format!("{number}/x.lua"))).collect();
    for path in &paths {
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(path, OLD).unwrap();
    }
    let (reporter, notices) = reporter();
    let mut watch = Watch::new(reporter);
    for content in ["1", "2"] {
        watch.set(inputs::now(&paths));
        fs::write(&paths[9], content).unwrap();
        timeout(NEVER, watch.changed()).await.unwrap();
        let none = async {
            // A thread of its own lets go of them.
            while !watched(folder.path()).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(NEVER, none).await.expect("nothing is watched");
        let notices = notices.lock().unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].contains("sysctl fs.inotify.max_user_watches="), "{notices:?}");
    }
    // The limits may be raised while it runs.
    for limit in ["watches", "instances"] {
        fs::write(format!("/proc/sys/user/max_inotify_{limit}"), "100").unwrap();
    }
    watch.set(inputs::now(&paths));
    fs::write(&paths[9], "3").unwrap();
    timeout(NEVER, watch.changed()).await.unwrap();
    assert_eq!(watched(folder.path()).iter().map(BTreeSet::len).collect::<Vec<_>>(), [11]);
    assert_eq!(notices.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn relative_paths_and_unreadable_files_are_held_as_they_are() {
    let mut site = Site::unwatched(|root| {
        fs::set_permissions(root.join("scripts/main.lua"), fs::Permissions::from_mode(0o000)).unwrap();
        symlink("round.lua", root.join("scripts/round.lua")).unwrap();
    });
    let here = env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(site.root().strip_prefix("/").unwrap());
    site.paths = ["rules", "rules/a.yaml", "scripts/main.lua", "scripts/round.lua"]
        .iter()
        .map(|path| relative.join(path))
        .collect();
    site.hold();
    site.looked().await;
    site.unchanged().await;
    let held = inputs::now(&site.paths);
    assert_eq!(held[&relative.join("scripts/round.lua")], Fingerprint::Unreadable);
    fs::write(site.root().join("rules/a.yaml"), NEW).unwrap();
    site.changed().await;
}
