//! Changes of rule files and scripts, by every way of saving: real files, real events.
//!
//! That nothing is told cannot be awaited. But a look reads every file, and a second watcher of the test sees the
//! reading: where looks have come and gone and nothing was told, nothing will be.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    fs::{File, OpenOptions},
    future::Future,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use olvid_rules::{
    engine::watch::Watch,
    report::{Event, Reporter},
    rules::inputs::{self, Fingerprint},
};
use tempfile::TempDir;
use tokio::{
    select,
    sync::mpsc,
    task::{JoinSet, spawn_blocking, yield_now},
    time::timeout,
};

const OLD: &str = "rules: [] # old\n";
const NEW: &str = "rules: [] # new, and longer\n";

/// Only a failure takes so long. Less than the time after which the watch looks without a reason, which would hide it.
const NEVER: Duration = Duration::from_secs(25);

/// More than the time after which a file is at rest.
const LONGER_THAN_QUIET: Duration = Duration::from_millis(300);

/// A directory of rule files and what else is read, watched.
struct Site {
    folder: TempDir,
    watch: Watch,
    paths: Vec<PathBuf>,
    /// Told for each look: it reads a file that nobody else does.
    looks: mpsc::Receiver<()>,
    _witness: RecommendedWatcher,
    notices: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// Lays out the files; the watches of a way of saving are as `make` leaves them.
    async fn new(make: impl FnOnce(&Path)) -> Self {
        let mut site = Self::unwatched(make);
        site.hold();
        site.looked().await;
        site
    }

    fn unwatched(make: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("site");
        for directory in ["rules", "scripts/lib", "witness", "elsewhere"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for file in ["rules/a.yaml", "scripts/main.lua", "scripts/lib/util.lua", "witness/w.lua"] {
            fs::write(root.join(file), OLD).unwrap();
        }
        make(&root);
        let read = ["rules", "rules/a.yaml", "scripts/main.lua", "scripts/lib/util.lua", "scripts/late.lua"];
        let (looks, _witness) = witness(&root.join("witness"));
        let (reporter, notices) = reporter();
        let paths = read.iter().map(|path| root.join(path)).collect();
        Self { folder, watch: Watch::new(reporter), paths, looks, _witness, notices }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// Holds what is there, as after a load: the rule files of the directory too.
    fn hold(&mut self) {
        let held = self.read();
        self.watch.set(held);
    }

    /// What is there; the witness is not read, so that looks alone do.
    fn read(&self) -> BTreeMap<PathBuf, Fingerprint> {
        let mut held = inputs::now(&self.paths);
        held.insert(self.root().join("witness/w.lua"), Fingerprint::of(OLD.as_bytes()));
        held
    }

    /// Waits for a look to begin reading.
    async fn looked(&mut self) {
        select! {
            biased;
            () = self.watch.changed() => panic!("a change was told where there is none"),
            () = async { self.looks.recv().await.unwrap() } => {}
            () = tokio::time::sleep(NEVER) => panic!("nothing was looked at"),
        }
    }

    async fn changed(&mut self) {
        timeout(NEVER, self.watch.changed()).await.expect("the change is told");
    }

    /// Nothing is told, and nothing will be for what happened so far: a change needs two looks, and four pass.
    async fn unchanged(&mut self) {
        for look in 0..4 {
            while self.looks.try_recv().is_ok() {}
            fs::write(self.root().join("witness/noise"), [look]).unwrap();
            self.looked().await;
        }
    }
}

/// Tells each reading of the file in this directory.
fn witness(directory: &Path) -> (mpsc::Receiver<()>, RecommendedWatcher) {
    let (sender, looks) = mpsc::channel(1024);
    let open = EventKind::Access(AccessKind::Open(AccessMode::Any));
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let event = event.unwrap();
        if event.kind == open && event.paths.iter().any(|path| path.ends_with("w.lua")) {
            let _full = sender.try_send(());
        }
    })
    .unwrap();
    watcher.watch(directory, RecursiveMode::NonRecursive).unwrap();
    (looks, watcher)
}

fn reporter() -> (Reporter, Arc<Mutex<Vec<String>>>) {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&notices);
    let sink = move |event: &Event| match event {
        Event::Notice(text) => told.lock().unwrap().push(text.clone()),
        event => panic!("{event:?}"),
    };
    (Reporter::new(vec![Box::new(sink)]), notices)
}

fn shell(root: &Path, script: &str) {
    let status = Command::new("sh").args(["-euc", script]).current_dir(root).env("NEW", NEW).status().unwrap();
    assert!(status.success(), "{script}");
}

/// Writes with pauses in which a file that is not seen to be open would pass for finished.
fn in_chunks(mut file: File) {
    for chunk in NEW.as_bytes().chunks(6) {
        thread::sleep(LONGER_THAN_QUIET);
        file.write_all(chunk).unwrap();
    }
    thread::sleep(LONGER_THAN_QUIET);
}

/// A mounted config map: the names are links through `..data`, which is swapped.
fn config_map(root: &Path) {
    fs::remove_file(root.join("rules/a.yaml")).unwrap();
    fs::create_dir(root.join("rules/..v1")).unwrap();
    fs::write(root.join("rules/..v1/a.yaml"), OLD).unwrap();
    symlink("..v1", root.join("rules/..data")).unwrap();
    symlink("..data/a.yaml", root.join("rules/a.yaml")).unwrap();
}

fn link_elsewhere(root: &Path) {
    fs::rename(root.join("rules/a.yaml"), root.join("elsewhere/real.yaml")).unwrap();
    symlink("../elsewhere/real.yaml", root.join("rules/a.yaml")).unwrap();
}

fn linked_directory(root: &Path) {
    fs::rename(root.join("rules"), root.join("elsewhere/rules")).unwrap();
    symlink("elsewhere/rules", root.join("rules")).unwrap();
}

fn nothing(_: &Path) {}

/// A way of saving: its name, what is there before, what is done, and the file that is new then, if any is.
type Way = (&'static str, fn(&Path), fn(&Path), Option<&'static str>);

const A: Option<&str> = Some("rules/a.yaml");

const WAYS: &[Way] = &[
    ("in place", nothing, |root| fs::write(root.join("rules/a.yaml"), NEW).unwrap(), A),
    ("in chunks", nothing, |root| in_chunks(File::create(root.join("rules/a.yaml")).unwrap()), A),
    (
        "appended in chunks",
        |root| fs::write(root.join("rules/a.yaml"), "").unwrap(),
        |root| in_chunks(OpenOptions::new().append(true).open(root.join("rules/a.yaml")).unwrap()),
        A,
    ),
    (
        "new, in chunks",
        nothing,
        |root| in_chunks(File::create(root.join("rules/b.yaml")).unwrap()),
        Some("rules/b.yaml"),
    ),
    ("link's target, in chunks", link_elsewhere, |root| in_chunks(File::create(root.join("rules/a.yaml")).unwrap()), A),
    (
        "late, in chunks",
        nothing,
        |root| in_chunks(File::create(root.join("scripts/late.lua")).unwrap()),
        Some("scripts/late.lua"),
    ),
    (
        "redirected from a slow command",
        nothing,
        |root| shell(root, "(sleep 0.4; printf %s \"$NEW\") > rules/a.yaml"),
        A,
    ),
    ("renamed over", nothing, |root| shell(root, "printf %s \"$NEW\" > rules/.a.tmp; mv rules/.a.tmp rules/a.yaml"), A),
    (
        "renamed from elsewhere",
        nothing,
        |root| shell(root, "printf %s \"$NEW\" > elsewhere/x; mv elsewhere/x rules/a.yaml"),
        A,
    ),
    (
        "removed and created",
        nothing,
        |root| shell(root, "rm rules/a.yaml; sleep 0.1; printf %s \"$NEW\" > rules/a.yaml"),
        A,
    ),
    (
        "as vim does",
        nothing,
        |root| {
            shell(
                root,
                "cd rules; : > .a.yaml.swp; : > 4913; rm 4913; mv a.yaml a.yaml~; printf %s \"$NEW\" > a.yaml;
                 chmod 644 a.yaml; rm a.yaml~; rm .a.yaml.swp",
            );
        },
        A,
    ),
    (
        "as emacs does",
        nothing,
        |root| {
            shell(root, "cd rules; ln -s me@host .#a.yaml; cp a.yaml a.yaml~; printf %s \"$NEW\" > a.yaml; rm .#a.yaml")
        },
        A,
    ),
    ("sed -i", nothing, |root| shell(root, "sed -i 's/old/new, and longer/' rules/a.yaml"), A),
    ("cp", nothing, |root| shell(root, "printf %s \"$NEW\" > elsewhere/x; cp elsewhere/x rules/a.yaml"), A),
    ("ln -f", nothing, |root| shell(root, "printf %s \"$NEW\" > elsewhere/x; ln -f elsewhere/x rules/a.yaml"), A),
    ("ln -sf", nothing, |root| shell(root, "printf %s \"$NEW\" > elsewhere/x; ln -sf ../elsewhere/x rules/a.yaml"), A),
    (
        "dd into the middle",
        |root| fs::write(root.join("rules/a.yaml"), NEW.replace("new", "old")).unwrap(),
        |root| shell(root, "printf new | dd of=rules/a.yaml bs=1 seek=12 conv=notrunc status=none"),
        A,
    ),
    (
        "config map",
        config_map,
        |root| {
            shell(
                root,
                "cd rules; mkdir ..v2; printf %s \"$NEW\" > ..v2/a.yaml; ln -s ..v2 ..tmp; mv -T ..tmp ..data; rm -r ..v1",
            );
        },
        A,
    ),
    ("link's target elsewhere", link_elsewhere, |root| fs::write(root.join("elsewhere/real.yaml"), NEW).unwrap(), A),
    (
        "link's target elsewhere, renamed over",
        link_elsewhere,
        |root| shell(root, "printf %s \"$NEW\" > elsewhere/x; mv elsewhere/x elsewhere/real.yaml"),
        A,
    ),
    (
        "directory removed and created",
        nothing,
        |root| shell(root, "rm -r rules; mkdir rules; printf %s \"$NEW\" > rules/a.yaml"),
        A,
    ),
    (
        "directory of modules removed and created",
        nothing,
        |root| shell(root, "rm -r scripts/lib; mkdir scripts/lib; printf %s \"$NEW\" > scripts/lib/util.lua"),
        Some("scripts/lib/util.lua"),
    ),
    (
        "directory renamed away and another renamed in",
        nothing,
        |root| shell(root, "mkdir next; printf %s \"$NEW\" > next/a.yaml; mv rules last; mv next rules"),
        A,
    ),
    (
        "directory replaced by a link",
        nothing,
        |root| shell(root, "mkdir next; printf %s \"$NEW\" > next/a.yaml; mv rules last; ln -s next rules"),
        A,
    ),
    (
        "link to a directory swapped",
        linked_directory,
        |root| shell(root, "mkdir next; printf %s \"$NEW\" > next/a.yaml; ln -sfn next rules"),
        A,
    ),
    (
        "file in a linked directory",
        linked_directory,
        |root| fs::write(root.join("elsewhere/rules/a.yaml"), NEW).unwrap(),
        A,
    ),
    ("appears later", nothing, |root| fs::write(root.join("scripts/late.lua"), NEW).unwrap(), Some("scripts/late.lua")),
    (
        "appears with its directory",
        |root| fs::remove_dir_all(root.join("scripts")).unwrap(),
        |root| shell(root, "mkdir -p scripts/lib; printf %s \"$NEW\" > scripts/lib/util.lua"),
        Some("scripts/lib/util.lua"),
    ),
    ("removed", nothing, |root| fs::remove_file(root.join("rules/a.yaml")).unwrap(), None),
    ("emptied directory", nothing, |root| shell(root, "rm -r rules scripts"), None),
    ("new in the directory", nothing, |root| fs::write(root.join("rules/b.yaml"), NEW).unwrap(), Some("rules/b.yaml")),
    (
        "module below",
        nothing,
        |root| fs::write(root.join("scripts/lib/util.lua"), NEW).unwrap(),
        Some("scripts/lib/util.lua"),
    ),
    (
        "nine files, one after another",
        nothing,
        |root| shell(root, "for i in 1 2 3 4 5 6 7 8 9; do printf %s \"$NEW\" > rules/$i.yaml; sleep 0.05; done"),
        Some("rules/9.yaml"),
    ),
    (
        "from unreadable",
        |root| symlink("a.yaml", root.join("scripts/late.lua")).unwrap(),
        |root| {
            shell(root, "rm scripts/late.lua; printf %s \"$NEW\" > scripts/late.lua");
        },
        Some("scripts/late.lua"),
    ),
];

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

/// What changes no content: its name, and what is done.
const QUIETLY: &[(&str, fn(&Path))] = &[
    ("touch", |root| shell(root, "touch rules/a.yaml scripts/main.lua rules scripts")),
    ("chmod", |root| shell(root, "chmod 600 rules/a.yaml; chmod 700 rules")),
    ("backup files", |root| {
        shell(root, "cd rules; : > .a.yaml.swp; cp a.yaml a.yaml~; cp a.yaml '#a.yaml#'; : > 4913")
    }),
    ("reading", |root| shell(root, "cat rules/a.yaml scripts/main.lua > /dev/null; ls -la rules > /dev/null")),
    ("same content in place", |root| shell(root, "cat rules/a.yaml > x; cat x > rules/a.yaml")),
    ("same content, renamed over", |root| shell(root, "cp rules/a.yaml rules/.x; mv rules/.x rules/a.yaml")),
    ("changed and back", |root| shell(root, "cp rules/a.yaml x; echo no > rules/a.yaml; cp x rules/a.yaml")),
    ("away and back", |root| shell(root, "mv rules x; mv x rules")),
    ("same directory again", |root| shell(root, "cp -r rules x; rm -r rules; mv x rules")),
    ("other files", |root| shell(root, "echo x > rules/notes.txt; echo x > scripts/other.lua; mkdir rules/below")),
];

#[tokio::test]
async fn what_changes_no_content_is_not_told() {
    let case = |disturb: fn(&Path)| async move {
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
    // It no longer counts, whatever else is written to it.
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
        assert_eq!(watched(folder.path()), Vec::<BTreeSet<u64>>::new());
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
