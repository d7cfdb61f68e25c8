//! The ways in which people and programs save files.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
    thread,
    time::Duration,
};

/// How a file gets its new content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Way {
    InPlace,
    /// In place, in two parts, far longer apart than a save is waited for; the file is open all the while.
    Slowly,
    /// Written aside and renamed over it.
    #[default]
    Renamed,
    Recreated,
    /// The name is a link, which is swapped.
    Linked,
}

pub(crate) const WAYS: [Way; 5] = [Way::InPlace, Way::Slowly, Way::Renamed, Way::Recreated, Way::Linked];

/// Longer than the time after which a closed file counts as saved.
const HALF_WRITTEN: Duration = Duration::from_millis(300);

/// Saves a file. Names that are written aside are no rule files.
pub(crate) fn save(way: Way, path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let aside = path.with_extension("aside");
    match way {
        Way::InPlace => fs::write(path, content).unwrap(),
        Way::Slowly => {
            let mut file = File::create(path).unwrap();
            let (first, second) = content.as_bytes().split_at(content.len() / 2);
            file.write_all(first).unwrap();
            thread::sleep(HALF_WRITTEN);
            file.write_all(second).unwrap();
        }
        Way::Renamed => {
            fs::write(&aside, content).unwrap();
            fs::rename(&aside, path).unwrap();
        }
        Way::Recreated => {
            drop(fs::remove_file(path));
            fs::write(path, content).unwrap();
        }
        Way::Linked => {
            let name = path.file_name().unwrap().to_str().unwrap();
            // Two targets in turn: the one that is linked to is not written.
            let [even, odd] = ["even", "odd"].map(|which| path.with_file_name(format!(".{name}.{which}")));
            let next = if fs::read_link(path).is_ok_and(|target| even.ends_with(target)) { odd } else { even };
            fs::write(&next, content).unwrap();
            drop(fs::remove_file(&aside));
            symlink(next.file_name().unwrap(), &aside).unwrap();
            fs::rename(&aside, path).unwrap();
        }
    }
}
