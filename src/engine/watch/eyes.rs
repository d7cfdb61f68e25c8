//! The watches: which directories the kernel tells of, and what to do when it takes no more.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, thread};

use notify::{Error, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _, recommended_watcher};

use super::{
    Held, POLL,
    ears::Ears,
    ground::{Ground, Identity},
};
use crate::report::{Event, Reporter};

/// How often directories may change while they are taken under watch, before the rest is left to the next look.
const ROUNDS: usize = 3;

pub(super) struct Eyes {
    watcher: Option<RecommendedWatcher>,
    /// What is watched. By real path and identity: notify has one entry for each path, the kernel for each identity.
    open: BTreeMap<Identity, PathBuf>,
    reporter: Reporter,
    /// Whether it was told that something cannot be watched.
    is_told: bool,
}

impl Eyes {
    pub(super) fn new(reporter: Reporter) -> Self {
        Self { watcher: None, open: BTreeMap::new(), reporter, is_told: false }
    }

    /// Watches what these paths need now, and nothing else. Returns whether all of it could be had.
    pub(super) fn open(&mut self, held: &Held, ears: &Arc<Ears>) -> bool {
        match self.arm(held, ears) {
            Ok(whole) => whole,
            Err(error) => {
                // Half of the watches would be as blind, and others may need them.
                self.watcher = None;
                self.open.clear();
                self.tell(&error);
                false
            }
        }
    }

    fn arm(&mut self, held: &Held, ears: &Arc<Ears>) -> Result<bool, Error> {
        let mut whole = true;
        let mut ground = Ground::of(held.keys());
        for _ in 0..ROUNDS {
            let wanted = ground.directories.clone();
            ears.listen(ground);
            whole = self.turn_to(&wanted, ears)?;
            ground = Ground::of(held.keys());
            // What was made while its parent was not yet watched told nobody.
            if ground.directories == wanted {
                break;
            }
        }
        Ok(whole)
    }

    fn turn_to(&mut self, wanted: &BTreeMap<Identity, PathBuf>, ears: &Arc<Ears>) -> Result<bool, Error> {
        // notify drops the watches of a directory that moves, by path, whatever is there since: all are made again.
        let keep_none = ears.was_shaken();
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            none => none.insert(watcher(ears)?),
        };
        self.open.retain(|identity, path| {
            let kept = !keep_none && wanted.get(identity) == Some(path);
            if !kept {
                // Refused where it went with its directory.
                drop(watcher.unwatch(path));
            }
            kept
        });
        let mut whole = true;
        for (identity, path) in wanted {
            if self.open.contains_key(identity) {
                continue;
            }
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.open.insert(*identity, path.clone())),
                Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => return Err(error),
                Err(error) => whole &= matches!(error.kind, ErrorKind::PathNotFound),
            }
        }
        Ok(whole)
    }

    fn tell(&mut self, error: &Error) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let (seconds, cause) = (POLL.as_secs(), error.to_string());
        let cause = cause.trim_end_matches('.');
        self.reporter.emit(&Event::Notice(format!(
            "rule files and scripts are read every {seconds} s to find changes, as they cannot be watched: {cause}; raise \
             the limit: `sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`, or how many files \
             and threads this service may have (no restart is needed)"
        )));
    }
}

fn watcher(ears: &Arc<Ears>) -> Result<RecommendedWatcher, Error> {
    // notify panics when it gets no thread, and once more when it is dropped then.
    let spare = thread::Builder::new().spawn(|| ()).map_err(Error::io)?;
    drop(spare.join());
    let ears = Arc::clone(ears);
    recommended_watcher(move |event| ears.hear(event))
}
