//! What was read to make a set: every file and directory that was looked at, with what was in it.
//!
//! Two records of the same paths are equal exactly where the contents are: time stamps do not count. What is missing is
//! recorded too, as its appearing is a change. Watching for changes is the engine's.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
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

/// What these paths hold now, and what every rule file in a directory among them holds, recorded before or not.
pub fn now<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> BTreeMap<PathBuf, Fingerprint> {
    look(paths, |path| Fingerprint::at(path, MAX_SCRIPT_BYTES))
}

/// The same, each path once, by whoever knows better than to read all of them.
pub(crate) fn look<'a>(
    paths: impl IntoIterator<Item = &'a PathBuf>,
    mut at: impl FnMut(&Path) -> Fingerprint,
) -> BTreeMap<PathBuf, Fingerprint> {
    let mut found = BTreeMap::new();
    for path in paths {
        let held = *found.entry(path.clone()).or_insert_with(|| at(path));
        if matches!(held, Fingerprint::Directory(_)) {
            for name in load::names(path).unwrap_or_default() {
                found.entry(name).or_insert_with_key(|name| at(name));
            }
        }
    }
    found
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
        let found = now(recorded.keys());
        assert_eq!(recorded, found);
        let names = load::names(&rules).unwrap();
        let expected = names.iter().chain(&given).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(recorded.keys().collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
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
