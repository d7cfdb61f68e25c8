//! The files a script may touch: its modules, and what it reads and saves below its own directory.
//!
//! The directory is the root of every path. A path that leaves it, by name or through a link, is refused; a received file
//! name is reduced to one harmless component, and nothing that exists is overwritten. Links are followed at each use: what
//! a mounted directory's lead to changes while a script runs. Modules that are looked for are recorded.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Component, Path, PathBuf},
};

use mlua::{Function, Lua, chunk::ChunkMode};

use super::load;
use crate::rules::{
    MAX_SCRIPT_BYTES,
    inputs::{Fingerprint, Inputs},
};

/// The longest file name that every common file system takes, in bytes.
const LONGEST_NAME: usize = 255;

/// How many names are tried for a file whose own is taken.
const MOST_NAMES: usize = 10_000;

/// A script's directory.
pub(super) struct Files {
    /// With links in it.
    root: PathBuf,
    /// The root as the user wrote it, for display.
    shown: String,
    inputs: Inputs,
}

impl Files {
    pub(super) fn new(root: PathBuf, shown: String, inputs: Inputs) -> Self {
        Self { root, shown, inputs }
    }

    /// Compiles a module: `lib.util` is `lib/util.lua` or `lib/util/init.lua` below the script's directory.
    pub(super) fn module(&self, lua: &Lua, name: &str) -> Result<Function, String> {
        let part =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !name.split('.').all(part) {
            return Err(format!("`{}` is no module name: write names joined by dots, `lib.util`", name.escape_debug()));
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
        let chunk = lua.load(text).set_name(format!("@{}", self.display(found))).set_mode(ChunkMode::Text);
        chunk.into_function().map_err(|error| load::syntax_message(&error))
    }

    /// Reads a file below the script's directory.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let inside = self.inside(path)?;
        let metadata = fs::metadata(&inside).map_err(|error| self.failed("read", path, &error))?;
        if !metadata.is_file() {
            return Err(format!("`{path}` is not a file"));
        }
        fs::read(&inside).map_err(|error| self.failed("read", path, &error))
    }

    /// Saves content under a name that some stranger chose, in a directory below the script's; returns the path.
    pub(super) fn save(&self, folder: &str, name: &str, content: &[u8]) -> Result<String, String> {
        let root = self.real_root()?;
        let wanted = root.join(relative(folder)?);
        // What exists of the way is checked before anything is made: a link out of the directory makes nothing outside.
        let existing = wanted.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(&root);
        let existing = existing.canonicalize().map_err(|error| self.failed("save to", folder, &error))?;
        if !existing.starts_with(&root) {
            return Err(self.outside(folder));
        }
        fs::create_dir_all(&wanted).map_err(|error| self.failed("save to", folder, &error))?;
        let name = harmless(name);
        for attempt in 0..MOST_NAMES {
            let candidate = numbered(&name, attempt);
            let path = wanted.join(&candidate);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    file.write_all(content).map_err(|error| {
                        // Half a file under a good name would pass for the whole.
                        drop(fs::remove_file(&path));
                        self.failed("save to", folder, &error)
                    })?;
                    return Ok(Path::new(folder).join(candidate).display().to_string());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(self.failed("save to", folder, &error)),
            }
        }
        Err(format!("`{folder}` holds {MOST_NAMES} files named like `{name}`"))
    }

    /// Resolves a path that must exist and stay below the root, links followed.
    fn inside(&self, path: &str) -> Result<PathBuf, String> {
        let root = self.real_root()?;
        let real = root.join(relative(path)?).canonicalize().map_err(|error| self.failed("read", path, &error))?;
        if real.starts_with(&root) { Ok(real) } else { Err(self.outside(path)) }
    }

    fn real_root(&self) -> Result<PathBuf, String> {
        self.root.canonicalize().map_err(|error| format!("cannot use `{}`: {error}", self.shown))
    }

    /// The path by which a file is recorded: as rules write theirs.
    fn known_as(&self, below: &str) -> PathBuf {
        let path = self.root.join(below);
        path.strip_prefix(".").map_or_else(|_| path.clone(), Path::to_path_buf)
    }

    fn outside(&self, path: &str) -> String {
        format!("`{path}` is outside of the script's directory, `{}`", self.shown)
    }

    fn failed(&self, what: &str, path: &str, error: &io::Error) -> String {
        format!("cannot {what} `{}`: {error}", self.display(path))
    }

    fn display(&self, below: &str) -> String {
        Path::new(&self.shown).join(below).display().to_string()
    }
}

fn relative(path: &str) -> Result<&Path, String> {
    let plain = Path::new(path);
    let stays = plain.components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
    if stays && !path.contains('\0') {
        return Ok(plain);
    }
    Err(format!("`{}` is refused: a path is relative to the script's directory and has no `..`", path.escape_debug()))
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
    use super::*;

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

    #[test]
    fn nothing_is_overwritten_and_nothing_leaves_the_directory() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
        let files = Files::new(folder.path().to_path_buf(), "scripts".to_owned(), Inputs::default());
        assert_eq!(files.save("in/deep", "../a.txt", b"1").unwrap(), "in/deep/a.txt");
        assert_eq!(files.save("in/deep", "a.txt", b"2").unwrap(), "in/deep/a-1.txt");
        assert_eq!(files.read("in/deep/a.txt").unwrap(), b"1");
        for refused in ["..", "/tmp", "in/../..", "out", "out/new"] {
            assert!(files.save(refused, "a.txt", b"3").is_err(), "{refused}");
        }
        assert!(files.read("../x").unwrap_err().contains("relative to the script's directory"));
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
