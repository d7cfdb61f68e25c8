//! The cursors of rules, kept over the end of the host in one small file of the state directory.
//!
//! Feeds share what they have seen; every few seconds, and at the stop, what changed is written: aside, synced, renamed,
//! so that the file is whole at any moment. That happens on threads for blocking work, never on the one of the sockets.
//! One host at a time writes; another on the same directory says so and waits for its turn. A file that cannot be read
//! or written is told and no reason to stop: it counts as none.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{task::spawn_blocking, time::sleep};

use super::{CatchUp, Cursor, seen::Seen};
use crate::{
    report::{Event, Reporter},
    rules::{Rule, inputs::Fingerprint},
};

/// How often what changed is written: what a host that dies hands over again came in so short a time.
const INTERVAL: Duration = Duration::from_secs(5);

/// A hundred rules with all the ids that are remembered are less.
const LARGEST: u64 = 64 * 1024 * 1024;

const FILE: &str = "cursors.json";
const ASIDE: &str = "cursors.json.new";
const LOCK: &str = "cursors.lock";

const VERSION: u32 = 1;

/// The cursors of a state directory. Clones are handles on the same.
#[derive(Clone)]
pub struct Cursors(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    reporter: Reporter,
    kept: Mutex<Kept>,
    /// Held while the file is written.
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Kept {
    entries: BTreeMap<String, Entry>,
    tracked: HashMap<String, Tracked>,
    /// Whether the entries are not those of the file.
    dirty: bool,
}

/// A rule that runs.
struct Tracked {
    listens: String,
    seen: Arc<Mutex<Seen>>,
    /// The changes of it that the entry has.
    changes: u64,
}

#[derive(Default)]
struct Writer {
    /// Open and locked while this host is the one that writes.
    lock: Option<File>,
    /// What was told of the last failure: each is told once.
    told: Option<String>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    rules: BTreeMap<String, Entry>,
}

/// The cursor of one rule, which is worth nothing once the rule listens to something else.
#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    listens: String,
    #[serde(flatten)]
    cursor: Cursor,
}

impl Cursors {
    /// Opens a state directory, which is made where there is none. Reads files: to be called before streams are served.
    pub fn open(folder: &Path, reporter: &Reporter) -> Self {
        let (kept, writer) = Default::default();
        let inner = Inner { folder: folder.to_owned(), reporter: reporter.clone(), kept, writer };
        match fs::DirBuilder::new().recursive(true).mode(0o700).create(folder) {
            Ok(()) => {
                inner.read();
                inner.own(&mut lock(&inner.writer));
            }
            Err(error) => inner.tell(&format!("cannot be made: {error}")),
        }
        Self(Arc::new(inner))
    }

    /// Where a rule stood when it last ran, if it listened to the same.
    pub(in crate::engine) fn of(&self, rule: &Rule) -> Option<Cursor> {
        let kept = lock(&self.0.kept);
        let entry = kept.entries.get(&rule.name).filter(|entry| entry.listens == listens(rule));
        entry.map(|entry| entry.cursor.clone())
    }

    /// From now on keeps, for these rules, where their feed stands.
    pub(in crate::engine) fn keep<'r>(&self, rules: impl IntoIterator<Item = &'r Rule>, catch_up: &CatchUp) {
        let mut kept = lock(&self.0.kept);
        for rule in rules {
            let tracked = Tracked { listens: listens(rule), seen: Arc::clone(&catch_up.seen), changes: 0 };
            kept.tracked.insert(rule.name.clone(), tracked);
        }
    }

    /// Writes what changed, every few seconds. Never ends; to be given up at any moment.
    pub(in crate::engine) async fn run(self) {
        loop {
            sleep(INTERVAL).await;
            self.flush().await;
        }
    }

    /// Writes what changed.
    pub(in crate::engine) async fn flush(&self) {
        let inner = Arc::clone(&self.0);
        // It fails where the runtime is ending, and nothing waits for it then.
        drop(spawn_blocking(move || inner.write()).await);
    }
}

/// What a rule listens to, as one word.
fn listens(rule: &Rule) -> String {
    let what = [rule.subscription.name.as_bytes(), &[0], &rule.request].concat();
    Fingerprint::of(&what).to_string()
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn tell(&self, what: &str) {
        let folder = self.folder.display();
        self.reporter.emit(&Event::Notice(format!("the state directory `{folder}`: {what}")));
    }

    /// Takes the file's entries for rules that are not running here.
    fn read(&self) {
        let found = match read(&self.folder.join(FILE)) {
            Ok(found) => found,
            Err(what) => return self.tell(&format!("`{FILE}` {what}; it counts as none")),
        };
        let mut kept = lock(&self.kept);
        for (name, entry) in found {
            if !kept.tracked.contains_key(&name) {
                kept.entries.insert(name, entry);
            }
        }
    }

    /// Becomes the one that writes, if no other host is.
    fn own(&self, writer: &mut Writer) -> bool {
        if writer.lock.is_some() {
            return true;
        }
        let opened =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.folder.join(LOCK));
        let failure = match opened.map(|file| (file.try_lock(), file)) {
            // A file system without locks: what is written is whole all the same.
            Ok((Ok(()) | Err(TryLockError::Error(_)), file)) => {
                writer.lock = Some(file);
                return true;
            }
            Ok((Err(TryLockError::WouldBlock), _)) => {
                "another host uses it; nothing is kept until that ends".to_owned()
            }
            Err(error) => format!("`{LOCK}` cannot be opened: {error}"),
        };
        self.failed(writer, failure);
        false
    }

    fn failed(&self, writer: &mut Writer, what: String) {
        if writer.told.as_ref() != Some(&what) {
            self.tell(&what);
            writer.told = Some(what);
        }
    }

    fn write(&self) {
        let mut writer = lock(&self.writer);
        let late = writer.lock.is_none();
        if !self.own(&mut writer) {
            return;
        }
        if late {
            // What the host before us wrote last.
            self.read();
        }
        let Some(document) = self.changed() else { return };
        match save(&self.folder, &document) {
            Ok(()) => writer.told = None,
            Err(error) => {
                lock(&self.kept).dirty = true;
                self.failed(&mut writer, format!("`{FILE}` cannot be written: {error}"));
            }
        }
    }

    /// Collects where the feeds stand; none where the file says so already.
    fn changed(&self) -> Option<Document> {
        let mut kept = lock(&self.kept);
        let Kept { entries, tracked, dirty } = &mut *kept;
        let mut ended = Vec::new();
        for (name, Tracked { listens, seen, changes }) in tracked.iter_mut() {
            // A feed that has ended changes no more.
            ended.extend((Arc::strong_count(seen) == 1).then(|| name.clone()));
            let seen = lock(seen);
            if seen.changes() != *changes
                && let Some(cursor) = seen.cursor()
            {
                *changes = seen.changes();
                entries.insert(name.clone(), Entry { listens: listens.clone(), cursor });
                *dirty = true;
            }
        }
        tracked.retain(|name, _| !ended.contains(name));
        std::mem::take(dirty).then(|| Document { version: VERSION, rules: entries.clone() })
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, Entry>, String> {
    // Opening a pipe would wait for its other end.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Err("is no file".to_owned());
    }
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text));
    match read {
        Ok(_) if text.len() as u64 > LARGEST => return Err("is too large".to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(format!("cannot be read: {error}")),
    }
    let document: Document = serde_json::from_slice(&text).map_err(|error| format!("is not ours: {error}"))?;
    if document.version == VERSION { Ok(document.rules) } else { Err(format!("is of version {}", document.version)) }
}

/// Replaces the file as a whole.
fn save(folder: &Path, document: &Document) -> io::Result<()> {
    let aside = folder.join(ASIDE);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(&serde_json::to_vec(document)?)?;
    file.sync_all()?;
    fs::rename(&aside, folder.join(FILE))?;
    File::open(folder)?.sync_all()
}
