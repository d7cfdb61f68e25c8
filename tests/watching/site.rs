//! What is watched in a test, and who sees that it is looked at.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use olvid_rules::{
    engine::watch::Watch,
    report::{Event, Reporter},
    rules::{
        MAX_SCRIPT_BYTES,
        inputs::{self, Fingerprint},
    },
};
use tempfile::TempDir;
use tokio::{select, sync::mpsc, time::timeout};

pub(crate) const OLD: &str = "rules: [] # old\n";
pub(crate) const NEW: &str = "rules: [] # new, and longer\n";

/// Only a failure takes so long. Less than the time after which the watch looks without a reason, which would hide it.
pub(crate) const NEVER: Duration = Duration::from_secs(25);

/// A directory of rule files and what else is read, watched.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) watch: Watch,
    pub(crate) paths: Vec<PathBuf>,
    /// Told for each look: it reads a file that nobody else does.
    looks: mpsc::Receiver<()>,
    _witness: RecommendedWatcher,
    pub(crate) notices: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// Lays out the files; the watches of a way of saving are as `make` leaves them.
    pub(crate) async fn new(make: impl FnOnce(&Path)) -> Self {
        let mut site = Self::unwatched(make);
        site.hold();
        site.looked().await;
        site
    }

    pub(crate) fn unwatched(make: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("site");
        for directory in ["rules", "scripts/lib", "witness", "elsewhere"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for file in ["rules/a.yaml", "scripts/main.lua", "scripts/lib/util.lua"] {
            fs::write(root.join(file), OLD).unwrap();
        }
        // Too large to be held, so that each look opens it, for how long ever nobody has touched it.
        File::create(root.join("witness/w.lua")).unwrap().set_len(MAX_SCRIPT_BYTES + 1).unwrap();
        make(&root);
        let read = ["rules", "rules/a.yaml", "scripts/main.lua", "scripts/lib/util.lua", "scripts/late.lua"];
        let (looks, witness) = witness(&root.join("witness"));
        let (reporter, notices) = reporter();
        let paths = read.iter().map(|path| root.join(path)).collect();
        Self { folder, watch: Watch::new(reporter), paths, looks, _witness: witness, notices }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// Holds what is there, as after a load: the rule files of the directory too.
    pub(crate) fn hold(&mut self) {
        let held = self.read();
        while self.looks.try_recv().is_ok() {}
        self.watch.set(held);
    }

    /// What is there; the witness is not read, so that looks alone do.
    pub(crate) fn read(&self) -> BTreeMap<PathBuf, Fingerprint> {
        let mut held = inputs::now(&self.paths);
        held.insert(self.root().join("witness/w.lua"), Fingerprint::Unreadable);
        held
    }

    /// Waits for a look to begin reading.
    pub(crate) async fn looked(&mut self) {
        select! {
            biased;
            () = self.watch.changed() => panic!("a change was told where there is none"),
            () = async { self.looks.recv().await.unwrap() } => {}
            () = tokio::time::sleep(NEVER) => panic!("nothing was looked at"),
        }
    }

    pub(crate) async fn changed(&mut self) {
        timeout(NEVER, self.watch.changed()).await.expect("the change is told");
    }

    /// Nothing is told, and nothing will be for what happened so far: a change needs two looks, and four pass.
    pub(crate) async fn unchanged(&mut self) {
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

pub(crate) fn reporter() -> (Reporter, Arc<Mutex<Vec<String>>>) {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&notices);
    let sink = move |event: &Event| match event {
        Event::Notice(text) => told.lock().unwrap().push(text.clone()),
        event => panic!("{event:?}"),
    };
    (Reporter::new(vec![Box::new(sink)]), notices)
}
