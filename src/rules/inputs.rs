//! What was read to make a set: every file and directory that was looked at, with what was in it.
//!
//! Two records of the same paths are equal exactly where the contents are: time stamps do not count. What is missing is
//! recorded too, as its appearing is a change. Watching for changes is the engine's.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};

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
        let Ok(found) = fs::metadata(path) else { return Self::Missing };
        if found.is_dir() {
            return super::load::names(path).map_or(Self::Unreadable, |names| Self::of_names(&names));
        }
        if !found.is_file() || found.len() > limit {
            return Self::Unreadable;
        }
        match fs::read(path) {
            Ok(content) => Self::of(&content),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::Missing,
            Err(_) => Self::Unreadable,
        }
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

/// A record that grows while it is shared: scripts add modules to theirs as they require them.
#[derive(Debug, Clone, Default)]
pub struct Inputs(Arc<Mutex<BTreeMap<PathBuf, Fingerprint>>>);

impl Inputs {
    /// Adds a path with what it held. The first record of a path stays: it is what was loaded.
    pub fn add(&self, path: impl Into<PathBuf>, held: Fingerprint) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(path.into()).or_insert(held);
    }

    /// All that was recorded so far.
    pub fn all(&self) -> BTreeMap<PathBuf, Fingerprint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
