//! What was read to make a set: every file and directory that was looked at, with what was in it.
//!
//! Two records of the same paths are equal exactly where the contents are: time stamps do not count. What is missing is
//! recorded too, as its appearing is a change. Watching for changes is the engine's.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, fs,
    io::{self, ErrorKind},
    mem,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::{MAX_SCRIPT_BYTES, load};

/// What a path held when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fingerprint {
    /// Nothing.
    Missing,
    /// Something that could not be read.
    Unreadable,
    /// A directory that is looked at for rule files: the SHA-256 of their names.
    Directory([u8; 32]),
    /// A file: the SHA-256 of its content.
    File([u8; 32]),
}

impl Fingerprint {
    /// Of a file's content.
    pub fn of(content: &[u8]) -> Self {
        Self::File(Sha256::digest(content).into())
    }

    /// Of what is at a path now. A file beyond `limit` bytes counts as unreadable, as do pipes and devices.
    pub fn at(path: &Path, limit: u64) -> Self {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                load::names(path).map_or_else(|error| Self::failed(&error), |names| Self::of_names(&names))
            }
            Ok(_) => Self::of_file(path, limit).unwrap_or_else(|error| Self::failed(&error)),
            Err(error) => Self::failed(&error),
        }
    }

    /// Of what could not be read.
    pub fn failed(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::Missing,
            _ => Self::Unreadable,
        }
    }

    fn of_file(path: &Path, limit: u64) -> io::Result<Self> {
        let content = load::limited(load::regular(path)?, limit)?;
        Ok(if content.len() as u64 > limit { Self::Unreadable } else { Self::of(&content) })
    }

    /// Of a directory, by the rule files in it.
    pub(super) fn of_names(names: &[PathBuf]) -> Self {
        let mut digest = Sha256::new();
        for name in names {
            digest.update(name.as_os_str().as_encoded_bytes());
            digest.update([0]);
        }
        Self::Directory(digest.finalize().into())
    }
}

/// As `sha256sum` prints it; a word for what has no content.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Unreadable => f.write_str("unreadable"),
            Self::Directory(digest) | Self::File(digest) => digest.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// Looks at paths again and again: a file that nobody has touched since it was read is not read again.
///
/// That is told by its identity, size and times, which whoever sets times by hand cannot set all. Two writes may have the
/// same times, so one that was just written is read at each look until its times are [`SURE`].
#[derive(Debug, Default)]
pub struct Looks(HashMap<PathBuf, (Stamp, Fingerprint)>);

/// What a file's entry says while its content is the same: device, inode, size, times of content and of the entry.
type Stamp = (u64, u64, u64, [i64; 4]);

/// Older times are not those of a write that is still to come: file systems count in steps of two seconds at most.
const SURE: Duration = Duration::from_secs(3);

impl Looks {
    /// What these paths hold now, and what every rule file in a directory among them holds, recorded before or not.
    pub fn now<'a>(&mut self, paths: impl IntoIterator<Item = &'a PathBuf>) -> BTreeMap<PathBuf, Fingerprint> {
        self.at(SystemTime::now(), paths)
    }

    fn at<'a>(
        &mut self,
        now: SystemTime,
        paths: impl IntoIterator<Item = &'a PathBuf>,
    ) -> BTreeMap<PathBuf, Fingerprint> {
        let before = mem::take(&mut self.0);
        let mut found = BTreeMap::new();
        let mut look = |path: &PathBuf, found: &mut BTreeMap<PathBuf, Fingerprint>| {
            *found.entry(path.clone()).or_insert_with(|| self.one(path, now, before.get(path)))
        };
        for path in paths {
            if matches!(look(path, &mut found), Fingerprint::Directory(_)) {
                let names = load::names(path).unwrap_or_default();
                for name in names {
                    look(&name, &mut found);
                }
            }
        }
        found
    }

    /// Forgets all: the next look reads every file.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    fn one(&mut self, path: &Path, now: SystemTime, before: Option<&(Stamp, Fingerprint)>) -> Fingerprint {
        // What happens to the file while it is read makes its times newer than these.
        let stamp = stamp(path, now);
        let known = before.filter(|(was, _)| Some(*was) == stamp).map(|(_, held)| *held);
        let held = known.unwrap_or_else(|| Fingerprint::at(path, MAX_SCRIPT_BYTES));
        if let (Some(stamp), Fingerprint::File(_)) = (stamp, held) {
            self.0.insert(path.to_owned(), (stamp, held));
        }
        held
    }
}

/// Of a file whose times are old enough to be its own.
fn stamp(path: &Path, now: SystemTime) -> Option<Stamp> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
    let sure = now.duration_since(UNIX_EPOCH).ok()?.checked_sub(SURE)?;
    let sure = i64::try_from(sure.as_secs()).ok()?;
    let is_sure = times[0] < sure && times[2] < sure;
    is_sure.then_some((found.dev(), found.ino(), found.len(), times))
}

/// Whether a file of a directory of rule files is one, by its name.
pub fn is_rule_file(path: &Path) -> bool {
    load::is_rule_file(path)
}

/// A record that grows while it is shared: scripts add modules to theirs as they require them.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    held: Arc<Mutex<BTreeMap<PathBuf, Fingerprint>>>,
    grown: Arc<Notify>,
}

impl Inputs {
    /// Makes a record that tells when it grows.
    pub fn telling(grown: Arc<Notify>) -> Self {
        Self { held: Arc::default(), grown }
    }

    /// Adds a path with what it held. The first record of a path stays: it is what was loaded.
    pub fn add(&self, path: impl Into<PathBuf>, held: Fingerprint) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).entry(path.into()).or_insert(held);
        self.grown.notify_one();
    }

    /// All that was recorded so far.
    pub fn all(&self) -> BTreeMap<PathBuf, Fingerprint> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;
    use crate::{rules::RuleSet, schema::Catalog};

    const TEXT: &str = "rules: []\n";

    #[test]
    fn a_file_is_told_as_sha256sum_does() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Fingerprint::of(b"").to_string(), digest);
        assert_eq!(Fingerprint::Missing.to_string(), "missing");
    }

    #[test]
    fn a_directory_is_its_rule_files_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let at = || Fingerprint::at(path, 10);
        let empty = at();
        for other in [".a.yaml.swp", "a.yaml~", "#a.yaml#", ".hidden.yaml", "a.test.yaml", "notes.txt", "4913"] {
            fs::write(path.join(other), TEXT).unwrap();
        }
        fs::create_dir(path.join("below.yaml")).unwrap();
        assert_eq!(at(), empty);
        fs::write(path.join("a.yaml"), TEXT).unwrap();
        let one = at();
        assert_ne!(one, empty);
        fs::write(path.join("a.yaml"), "other").unwrap();
        assert_eq!(at(), one);
        fs::rename(path.join("a.yaml"), path.join("b.yaml")).unwrap();
        assert_ne!(at(), one);
    }

    /// Where they differed, every look would find a change that no load can take away.
    #[test]
    fn what_a_load_records_is_what_is_found_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules");
        fs::create_dir(&rules).unwrap();
        for (name, content) in
            [("good.yaml", TEXT.as_bytes()), ("bom.yaml", b"\xef\xbb\xbfrules: []"), ("bad.yaml", b"\xff")]
        {
            fs::write(rules.join(name), content).unwrap();
        }
        let limit = usize::try_from(MAX_SCRIPT_BYTES).unwrap();
        fs::write(rules.join("large.yaml"), vec![b'#'; limit]).unwrap();
        fs::write(rules.join("too_large.yaml"), vec![b'#'; limit + 1]).unwrap();
        symlink("nowhere", rules.join("dangling.yaml")).unwrap();
        symlink("round.yaml", rules.join("round.yaml")).unwrap();
        symlink("good.yaml", rules.join("twin.yaml")).unwrap();
        symlink("/dev/zero", rules.join("device.yaml")).unwrap();
        let _socket = UnixListener::bind(rules.join("socket.yaml")).unwrap();
        let good = rules.join("good.yaml");
        let given = [rules.clone(), folder.path().join("none"), good.join("below"), rules.join("round.yaml"), good];
        let recorded = RuleSet::load(&given, Catalog::embedded()).0.inputs.all();
        let found = Looks::default().now(recorded.keys());
        assert_eq!(recorded, found);
        let names = load::names(&rules).unwrap();
        let expected = names.iter().chain(&given).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(recorded.keys().collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_file_is_read_again_while_it_is_new_and_once_it_was_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, TEXT).unwrap();
        let (read, other) = (Fingerprint::of(TEXT.as_bytes()), Fingerprint::of(b"other"));
        let (now, later) = (SystemTime::now(), SystemTime::now() + 2 * SURE);
        let mut looks = Looks::default();
        // What it was taken for when it was read last, to see whether it is read again.
        let take_for = |looks: &mut Looks, at, taken| {
            looks.0.values_mut().for_each(|(_, held)| *held = taken);
            looks.at(at, [&path])[&path]
        };
        assert_eq!(take_for(&mut looks, now, other), read);
        assert_eq!(take_for(&mut looks, now, other), read, "it may be written to once more within the same tick");
        assert_eq!(take_for(&mut looks, later, other), read);
        assert_eq!(take_for(&mut looks, later, other), other, "not read again");
        fs::rename(&path, folder.path().join("b.yaml")).unwrap();
        fs::write(&path, TEXT).unwrap();
        assert_eq!(take_for(&mut looks, later, other), read, "another file of the same size");
        fs::File::options().append(true).open(&path).unwrap().set_modified(now - SURE).unwrap();
        assert_eq!(take_for(&mut looks, later, other), read, "its times");
        looks.forget();
        assert_eq!(take_for(&mut looks, later, other), read);
        fs::remove_file(&path).unwrap();
        assert_eq!(take_for(&mut looks, later, other), Fingerprint::Missing);
    }

    #[test]
    fn the_first_record_stays() {
        let inputs = Inputs::default();
        let clone = inputs.clone();
        clone.add("a", Fingerprint::Missing);
        inputs.add("a", Fingerprint::Unreadable);
        assert_eq!(inputs.all(), BTreeMap::from([(PathBuf::from("a"), Fingerprint::Missing)]));
    }
}
