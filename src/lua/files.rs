//! The files a script touches: its modules, which are below its own directory, and what it is permitted to read and save.
//!
//! The directory is where every path starts. A module whose path leaves it through a link is refused; any other path must
//! lead, links followed, into a directory that is permitted. A received file name is reduced to one harmless component,
//! and nothing that exists is overwritten. Links are followed at each use: what a mounted directory's lead to changes while
//! a script runs. Modules that are looked for are recorded.

use std::{
    cell::{Cell, RefCell},
    fs::{self, Metadata, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use libc::{O_NOFOLLOW, O_NONBLOCK};
use mlua::{Function, Lua, chunk::ChunkMode};

use super::{
    load,
    permits::{self, Act, Permit, Refused},
};
use crate::{
    diagnostic::Source,
    rules::{
        MAX_SCRIPT_BYTES,
        inputs::{Fingerprint, Inputs},
    },
};

/// The longest file name that every common file system takes, in bytes.
const LONGEST_NAME: usize = 255;

/// How many names are tried for a file whose own is taken.
const MOST_NAMES: usize = 10_000;

/// Modules that a script may look for in vain: each is recorded, and its appearing watched for.
const MOST_MISSING: usize = 1000;

/// A script's directory.
pub(super) struct Files {
    /// With links in it.
    root: PathBuf,
    /// The root as the user wrote it, for display.
    shown: String,
    inputs: Inputs,
    /// In whose tree what is saved goes, instead of where it is meant to.
    aside: Option<PathBuf>,
    /// Modules that were looked for and are not there.
    missing: Cell<usize>,
    /// The modules that were read, while somebody wants to look at them.
    texts: RefCell<Option<Vec<Arc<Source>>>>,
}

impl Files {
    pub(super) fn new(root: PathBuf, shown: String, inputs: Inputs) -> Self {
        Self { root, shown, inputs, aside: None, missing: Cell::new(0), texts: RefCell::new(Some(Vec::new())) }
    }

    /// Keeps what is saved in the tree of another directory, where it is found again: nothing changes that was there.
    pub(super) fn aside(self, aside: Option<PathBuf>) -> Self {
        Self { aside, ..self }
    }

    /// Compiles a module: `lib.util` is `lib/util.lua` or `lib/util/init.lua` below the script's directory.
    pub(super) fn module(&self, lua: &Lua, name: &str) -> Result<Function, String> {
        let part =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if name.len() > LONGEST_NAME {
            return Err(format!("the name of a module is longer than {LONGEST_NAME} bytes"));
        }
        if !name.split('.').all(part) {
            return Err(format!("`{}` is no module name: write names joined by dots, `lib.util`", name.escape_debug()));
        }
        if self.missing.get() >= MOST_MISSING {
            return Err(format!("more than {MOST_MISSING} modules were looked for that are not there"));
        }
        let below = name.replace('.', "/");
        let candidates = [format!("{below}.lua"), format!("{below}/init.lua")];
        let there = |candidate: &&String| {
            let path = self.known_as(candidate);
            let there = path.exists();
            if !there {
                self.inputs.add(path, Fingerprint::Missing);
            }
            there
        };
        let Some(found) = candidates.iter().find(there) else {
            self.missing.set(self.missing.get() + 1);
            return Err(format!(
                "there is no module `{name}`: neither {} nor {} exists",
                self.display(&candidates[0]),
                self.display(&candidates[1])
            ));
        };
        let known_as = self.known_as(found);
        let path = self.inside(found).inspect_err(|_| {
            self.inputs.add(&known_as, Fingerprint::at(&known_as, MAX_SCRIPT_BYTES));
        })?;
        let text = load::read_text(&path, &known_as, &self.inputs)
            .map_err(|cause| format!("cannot read `{}`: {cause}", self.display(found)))?;
        let chunk = lua.load(&text).set_name(format!("@{}", self.display(found))).set_mode(ChunkMode::Text);
        let chunk = chunk.into_function().map_err(|error| load::syntax_message(&error))?;
        if let Some(texts) = &mut *self.texts.borrow_mut() {
            texts.push(Source::new(self.display(found), text));
        }
        Ok(chunk)
    }

    /// The modules that were read so far. Of those that are read from now on, no text is kept.
    pub(super) fn take_texts(&self) -> Vec<Arc<Source>> {
        self.texts.take().unwrap_or_default()
    }

    /// Reads a file of at most so many bytes where that is permitted.
    pub(super) fn read(&self, permits: &[Permit], path: &str, most: usize) -> Result<Vec<u8>, Refused> {
        let real = self.permitted(permits, Act::Read, path)?;
        let real = self.beside(&real).filter(|saved| saved.exists()).unwrap_or(real);
        let failed = |error: io::Error| self.failed("read", path, &error);
        // A pipe is opened too, instead of waited for, and then refused.
        let file = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(&real).map_err(failed)?;
        let opened = file.metadata().map_err(failed)?;
        if !opened.is_file() {
            return Err(format!("`{}` is not a file", path.escape_debug()).into());
        }
        self.is_still_there(&real, &opened, path)?;
        let mut content = Vec::new();
        // It may grow meanwhile: its size says nothing.
        file.take((most as u64).saturating_add(1)).read_to_end(&mut content).map_err(failed)?;
        if content.len() > most {
            let room = "bytes that the host may still hold for the script";
            return Err(format!("`{}` is larger than the {most} {room}", path.escape_debug()).into());
        }
        Ok(content)
    }

    /// Whether a file may be saved in this folder.
    pub(super) fn may_save(&self, permits: &[Permit], folder: &str) -> Result<(), Refused> {
        self.permitted(permits, Act::Write, folder).map(drop)
    }

    /// Saves content under a name that some stranger chose, where that is permitted; returns the path.
    pub(super) fn save(&self, permits: &[Permit], folder: &str, name: &str, content: &[u8]) -> Result<String, Refused> {
        let real = self.permitted(permits, Act::Write, folder)?;
        let real = self.beside(&real).unwrap_or(real);
        let failed = |error: io::Error| self.failed("save to", folder, &error);
        fs::create_dir_all(&real).map_err(failed)?;
        let name = harmless(name);
        for attempt in 0..MOST_NAMES {
            let candidate = numbered(&name, attempt);
            let path = real.join(&candidate);
            // Nor is a link followed that has the name.
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    let made = file.metadata().map_err(failed)?;
                    let written = self.is_still_there(&path, &made, folder).and_then(|()| {
                        file.write_all(content).map_err(|error| self.failed("save to", folder, &error).into())
                    });
                    // Half a file under a good name would pass for the whole.
                    written.inspect_err(|_| drop(fs::remove_file(&path)))?;
                    return Ok(Path::new(folder).join(candidate).display().to_string());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error).into()),
            }
        }
        Err(format!("`{folder}` holds {MOST_NAMES} files named like `{name}`").into())
    }

    /// Where a path leads, from the script's directory, if that is permitted.
    fn permitted(&self, permits: &[Permit], act: Act, path: &str) -> Result<PathBuf, Refused> {
        if path.contains('\0') {
            return Err(format!("`{}` is no path", path.escape_debug()).into());
        }
        permits::path(permits, act, &self.real_root()?.join(path), path)
    }

    /// What stands for a path in the tree of the directory aside.
    fn beside(&self, real: &Path) -> Option<PathBuf> {
        self.aside.as_ref().map(|aside| aside.join(real.strip_prefix("/").unwrap_or(real)))
    }

    /// Whether what was opened is what the path, which was found to be permitted, still leads to: no link was put in its
    /// way meanwhile.
    fn is_still_there(&self, real: &Path, opened: &Metadata, path: &str) -> Result<(), Refused> {
        let same = |found: Metadata| (found.dev(), found.ino()) == (opened.dev(), opened.ino());
        let straight = real.canonicalize().is_ok_and(|leads| leads == real);
        if straight && fs::symlink_metadata(real).is_ok_and(same) {
            return Ok(());
        }
        Err(format!("`{}` changed while it was opened", self.display(path)).into())
    }

    /// Resolves a path that must exist and stay below the root, links followed.
    fn inside(&self, path: &str) -> Result<PathBuf, String> {
        let root = self.real_root()?;
        let real = root.join(path).canonicalize().map_err(|error| self.failed("read", path, &error))?;
        if real.starts_with(&root) {
            return Ok(real);
        }
        Err(format!("`{path}` is outside of the script's directory, `{}`", self.shown))
    }

    fn real_root(&self) -> Result<PathBuf, String> {
        self.root.canonicalize().map_err(|error| format!("cannot use `{}`: {error}", self.shown))
    }

    /// The path by which a file is recorded: as rules write theirs.
    fn known_as(&self, below: &str) -> PathBuf {
        let path = self.root.join(below);
        path.strip_prefix(".").map_or_else(|_| path.clone(), Path::to_path_buf)
    }

    fn failed(&self, what: &str, path: &str, error: &io::Error) -> String {
        format!("cannot {what} `{}`: {error}", self.display(path))
    }

    fn display(&self, below: &str) -> String {
        let shown = if self.shown == "." { Path::new("") } else { Path::new(&self.shown) };
        shown.join(below).display().to_string()
    }
}

/// One component of a path made of whatever a stranger called a file: no separators, no control or invisible characters,
/// nothing hidden, nothing too long.
fn harmless(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe = |letter: char| {
        letter.is_control() || crate::report::log::escaped(&letter.to_string()).len() != letter.len_utf8()
    };
    let mut clean: String = last.chars().map(|letter| if safe(letter) { '_' } else { letter }).collect();
    while clean.len() > LONGEST_NAME - 8 {
        // The extension says what the file is: the stem gives way.
        let dot = clean.rfind('.').filter(|dot| *dot > 1 && clean.len() - dot < 20).unwrap_or(clean.len());
        let cut = clean[..dot].char_indices().next_back().map_or(0, |(at, _)| at);
        clean.replace_range(cut..dot, "");
    }
    match clean.trim().trim_start_matches('.') {
        "" => "file".to_owned(),
        name => name.to_owned(),
    }
}

/// `photo.jpg`, `photo-1.jpg`, `photo-2.jpg`, …
fn numbered(name: &str, attempt: usize) -> String {
    match (attempt, name.rsplit_once('.')) {
        (0, _) => name.to_owned(),
        (_, Some((stem, kind))) => format!("{stem}-{attempt}.{kind}"),
        (_, None) => format!("{name}-{attempt}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, sync::Arc};

    use super::*;
    use crate::rules::Permissions;

    #[test]
    fn a_received_name_becomes_one_harmless_component() {
        assert_eq!(harmless("photo.jpg"), "photo.jpg");
        assert_eq!(harmless("../../etc/passwd"), "passwd");
        assert_eq!(harmless("..\\..\\boot.ini"), "boot.ini");
        assert_eq!(harmless(".."), "file");
        assert_eq!(harmless(".bashrc"), "bashrc");
        assert_eq!(harmless("a\nb\u{202e}gpj.exe"), "a_b_gpj.exe");
        assert_eq!(harmless(""), "file");
        let long = harmless(&format!("{}.jpeg", "é".repeat(300)));
        assert!(long.len() <= LONGEST_NAME && long.ends_with("é.jpeg"), "{long}");
    }

    /// A script's directory `scripts` beside a rule file that permits these directories for both.
    fn site(permitted: &[&str]) -> (tempfile::TempDir, Files, [Permit; 1]) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("scripts")).unwrap();
        let files = Files::new(folder.path().join("scripts"), "scripts".to_owned(), Inputs::default());
        let directories: Vec<_> = permitted.iter().map(|name| folder.path().join(name)).collect();
        let held = Permissions { read: directories.clone(), write: directories, ..Permissions::default() };
        let file = folder.path().join("rules.yaml").display().to_string();
        (folder, files, [Permit { file, held: Arc::new(held) }])
    }

    fn refused<T>(result: Result<T, Refused>) -> (bool, String) {
        result.map(drop).map_err(|refused| (refused.denied, refused.message)).unwrap_err()
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_leaves_what_is_permitted() {
        let (folder, files, permits) = site(&["scripts/in"]);
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("scripts/in")).unwrap();
        symlink(outside.path(), folder.path().join("scripts/in/out")).unwrap();
        let save = |folder: &str, name: &str, content: &[u8]| files.save(&permits, folder, name, content);
        assert_eq!(save("in/deep", "../a.txt", b"1").ok().unwrap(), "in/deep/a.txt");
        assert_eq!(save("in/deep", "a.txt", b"2").ok().unwrap(), "in/deep/a-1.txt");
        assert_eq!(files.read(&permits, "in/deep/a.txt", 1).ok().unwrap(), b"1");
        assert!(refused(files.read(&permits, "in/deep/a.txt", 0)).1.contains("larger than the 0 bytes"));
        for folder in ["..", ".", "/tmp", "in/../..", "in/out", "in/out/new", "in/../in/../other"] {
            let (denied, message) = refused(save(folder, "a.txt", b"3"));
            assert!(
                denied && message.starts_with(&format!("saving to `{folder}` is not permitted; add ")),
                "{message}"
            );
            assert!(files.may_save(&permits, folder).is_err());
        }
        assert!(refused(files.read(&permits, "../rules.yaml", 99)).0);
        assert_eq!(refused(save("in\0", "a", b"")), (false, "`in\\0` is no path".to_owned()));
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_file_is_neither_waited_for_nor_read() {
        let (folder, files, permits) = site(&["scripts"]);
        let at = |name: &str| folder.path().join("scripts").join(name);
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        symlink("nowhere", at("dangling")).unwrap();
        symlink("/dev/zero", at("device")).unwrap();
        let read = |path: &str| refused(files.read(&permits, path, 99));
        assert_eq!(read("pipe"), (false, "`pipe` is not a file".to_owned()));
        assert_eq!(read("."), (false, "`.` is not a file".to_owned()));
        assert!(read("dangling").1.starts_with("cannot read `scripts/dangling`: "));
        assert!(read("none").1.starts_with("cannot read `scripts/none`: "));
        assert!(read("device").0);
        assert!(refused(files.save(&permits, "dangling", "a", b"")).1.starts_with("cannot save to `scripts/dangling`"));
        assert!(!at("nowhere").exists());
    }
}
