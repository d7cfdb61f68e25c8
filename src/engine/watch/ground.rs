//! Which directories to watch for some paths, and what in them is meant.
//!
//! Only directories are watched, as a watched file is lost with the first save by renaming; and each under its real
//! path, as the kernel has one watch for each directory, whatever it is called.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf, absolute},
};

use crate::rules::inputs;

/// Links that are followed in one path, as the kernel does.
const MOST_LINKS: usize = 40;

/// Device and inode: the same path with another identity is another directory.
pub(super) type Identity = (u64, u64);

/// Where the paths lead now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ground {
    /// The directories to watch, by their real paths.
    pub(super) directories: BTreeMap<Identity, PathBuf>,
    /// The files, there or missing, by their real paths.
    files: BTreeSet<PathBuf>,
    /// The directories of rule files.
    folders: BTreeSet<PathBuf>,
}

impl Ground {
    pub(super) fn of<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let mut ground = Self::default();
        for path in paths {
            ground.follow(path);
        }
        ground
    }

    /// Whether a change of this file can change what is read.
    pub(super) fn means(&self, path: &Path) -> bool {
        let is_in_folder = || path.parent().is_some_and(|folder| self.folders.contains(folder));
        self.files.contains(path) || (is_in_folder() && inputs::is_rule_file(path))
    }

    /// Walks a path as the kernel does: a link on the way is an entry of its directory, which is watched for it.
    fn follow(&mut self, path: &Path) {
        let Ok(path) = absolute(path) else { return };
        let mut real = PathBuf::from("/");
        let mut ahead: VecDeque<OsString> = parts(&path).collect();
        let mut links = 0;
        while let Some(part) = ahead.pop_front() {
            if part == ".." {
                real.pop();
                continue;
            }
            let next = real.join(&part);
            match fs::symlink_metadata(&next) {
                Ok(found) if found.is_symlink() && links < MOST_LINKS => {
                    links += 1;
                    self.watch(&real);
                    let Ok(target) = fs::read_link(&next) else { return };
                    if target.is_absolute() {
                        real = PathBuf::from("/");
                    }
                    ahead = parts(&target).chain(ahead).collect();
                }
                Ok(found) if found.is_dir() => real = next,
                // A file, or nothing.
                _ => {
                    self.files.insert(ahead.iter().fold(next, |path, part| path.join(part)));
                    return self.watch_with_parent(&real);
                }
            }
        }
        self.watch_with_parent(&real);
        self.folders.insert(real);
    }

    /// The parent tells what becomes of the directory itself, even while somebody has it open.
    fn watch_with_parent(&mut self, directory: &Path) {
        self.watch(directory);
        if let Some(parent) = directory.parent() {
            self.watch(parent);
        }
    }

    fn watch(&mut self, directory: &Path) {
        if let Ok(found) = fs::metadata(directory) {
            self.directories.entry((found.dev(), found.ino())).or_insert_with(|| directory.to_owned());
        }
    }
}

/// The components that lead anywhere.
fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_directory_on_the_way_of_a_link_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for directory in ["site/rules/v1", "site/rules/v2", "far/away", "links"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join("far/away/real.yaml"), "").unwrap();
        symlink("v1", root.join("site/rules/..data")).unwrap();
        symlink("..data/a.yaml", root.join("site/rules/a.yaml")).unwrap();
        symlink("../../../links/hop.yaml", root.join("site/rules/v1/a.yaml")).unwrap();
        symlink(root.join("far/away/real.yaml"), root.join("links/hop.yaml")).unwrap();
        symlink("round", root.join("links/round")).unwrap();

        let cases: [(&str, &[&str], &str); 5] = [
            ("far/away/real.yaml", &["far", "far/away"], "far/away/real.yaml"),
            ("far/none/deep/x.lua", &[".", "far"], "far/none/deep/x.lua"),
            ("far/away/real.yaml/x", &["far", "far/away"], "far/away/real.yaml/x"),
            ("links/round", &[".", "links"], "links/round"),
            ("site/rules/a.yaml", &["far", "far/away", "links", "site/rules", "site/rules/v1"], "far/away/real.yaml"),
        ];
        for (path, expected, file) in cases {
            let ground = Ground::of([&root.join(path)]);
            let found: BTreeSet<_> = ground.directories.into_values().collect();
            let expected: BTreeSet<_> = expected.iter().map(|path| root.join(path).components().collect()).collect();
            assert_eq!(found, expected, "{path}");
            assert_eq!(ground.files, BTreeSet::from([root.join(file)]), "{path}");
        }
    }

    #[test]
    fn only_what_is_read_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("rules")).unwrap();
        symlink("rules", root.join("alias")).unwrap();
        let ground = Ground::of([&root.join("alias"), &root.join("main.lua")]);
        for (path, meant) in [
            ("rules/new.yaml", true),
            ("rules/host.log", false),
            ("rules/.new.yaml.swp", false),
            ("main.lua", true),
            ("other.lua", false),
            ("new.yaml", false),
        ] {
            assert_eq!(ground.means(&root.join(path)), meant, "{path}");
        }
    }
}
