//! What files held when they were read last: one that nobody has touched since is not read again at each look.
//!
//! That nobody has touched it is told by its entry, and believed only where the file holds what is held: what differs is
//! read at every look. Two writes may have the same times, so an entry counts once the file was read when that entry had
//! been known for [`SURE`], by a clock of ours: the file system's may be another machine's. What changes a file and not
//! its entry, as writing through a mapping may, is found by looks that read everything.

use std::{
    collections::{BTreeMap, HashMap},
    fs, mem,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::Held;
use crate::rules::{
    MAX_SCRIPT_BYTES,
    inputs::{self, Fingerprint},
};

/// No file system's times are coarser: two seconds at most.
const SURE: Duration = Duration::from_secs(3);

#[derive(Default)]
pub(super) struct Memory(HashMap<PathBuf, Known>);

/// A file that was read.
#[derive(Clone, Copy)]
struct Known {
    entry: Entry,
    held: Fingerprint,
    /// When the entry was first seen.
    since: Instant,
    /// Whether nothing was written within the same tick after the file was read.
    is_sure: bool,
}

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    written: (i64, i64),
    /// Of the entry itself: nobody can set this one.
    changed: (i64, i64),
}

impl Memory {
    /// What is at these paths now, and in the directories among them; where asked for, by reading everything.
    pub(super) fn look(&mut self, held: &Held, everything: bool) -> BTreeMap<PathBuf, Fingerprint> {
        self.look_at(Instant::now(), held, everything)
    }

    fn look_at(&mut self, now: Instant, held: &Held, everything: bool) -> BTreeMap<PathBuf, Fingerprint> {
        let before = mem::take(&mut self.0);
        inputs::look(held.keys(), |path| {
            // What happens to the file while it is read makes another entry of it.
            let entry = Entry::of(path);
            let known = before.get(path).filter(|known| Some(known.entry) == entry);
            let believed = known.filter(|known| known.is_sure && !everything && held.get(path) == Some(&known.held));
            let found = believed.map_or_else(|| Fingerprint::at(path, MAX_SCRIPT_BYTES), |known| known.held);
            if let (Some(entry), Fingerprint::File(_)) = (entry, found) {
                let since = known.map_or(now, |known| known.since);
                let known = Known { entry, held: found, since, is_sure: now.duration_since(since) >= SURE };
                self.0.insert(path.to_owned(), known);
            }
            found
        })
    }
}

impl Entry {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.len(),
            written: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "rules: []\n";

    /// A file that is held, and what it is taken for when it is not read.
    struct Bench {
        _folder: tempfile::TempDir,
        path: PathBuf,
        memory: Memory,
        begun: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.yaml");
            fs::write(&path, TEXT).unwrap();
            Self { path, memory: Memory::default(), begun: Instant::now(), _folder: folder }
        }

        /// Whether a look reads the file, so long after the beginning.
        fn reads(&mut self, seconds: u64, everything: bool) -> bool {
            let other = Fingerprint::of(b"other");
            self.memory.0.values_mut().for_each(|known| known.held = other);
            let held = [(self.path.clone(), other)].into();
            let found = self.memory.look_at(self.begun + Duration::from_secs(seconds), &held, everything);
            found[&self.path] != other
        }
    }

    #[test]
    fn a_file_is_read_until_it_was_left_alone_for_long_enough() {
        let mut bench = Bench::new();
        assert!(bench.reads(0, false));
        assert!(bench.reads(2, false), "it may be written to once more within the same tick");
        assert!(bench.reads(10, false), "it was not read since that is over");
        assert!(!bench.reads(11, false));
        assert!(bench.reads(12, true), "everything is read");
        assert!(!bench.reads(13, false));
    }

    #[test]
    fn what_was_touched_is_read() {
        let mut bench = Bench::new();
        let path = bench.path.clone();
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        let touches: [&dyn Fn(); 3] = [
            &|| fs::write(&path, TEXT).unwrap(),
            &|| {
                fs::write(path.with_extension("new"), TEXT).unwrap();
                fs::rename(path.with_extension("new"), &path).unwrap();
            },
            &|| fs::File::options().append(true).open(&path).unwrap().set_modified(written).unwrap(),
        ];
        for (round, touch) in (1..).zip(touches) {
            let at = round * 100;
            assert!(bench.reads(at, true) && bench.reads(at + 10, true) && !bench.reads(at + 20, false));
            touch();
            assert!(bench.reads(at + 30, false));
        }
    }

    #[test]
    fn what_differs_from_what_is_held_is_read_at_every_look() {
        let mut bench = Bench::new();
        assert!(bench.reads(0, false) && bench.reads(10, false) && !bench.reads(20, false));
        let held = [(bench.path.clone(), Fingerprint::of(b"another"))].into();
        let found = bench.memory.look_at(bench.begun + Duration::from_secs(30), &held, false);
        assert_eq!(found[&bench.path], Fingerprint::of(TEXT.as_bytes()));
        fs::remove_file(&bench.path).unwrap();
        let found = bench.memory.look_at(bench.begun + Duration::from_secs(40), &held, false);
        assert_eq!(found[&bench.path], Fingerprint::Missing);
    }
}
