//! What the file system says: when something last happened, and which files are being written to.
//!
//! Nothing is queued: events are folded into a few values on notify's thread, so that a storm of them costs no memory and
//! never waits for anyone.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use notify::{
    Event, EventKind,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::{sync::Notify, time::Instant};

use super::{LONGEST_UNREST, ground::Ground, lock};

/// Files that are remembered as being written to: more than anyone saves at once. Of further ones nothing is known.
const MOST_WRITTEN: usize = 1024;

#[derive(Default)]
pub(super) struct Ears {
    heard: Mutex<Heard>,
    bell: Notify,
}

#[derive(Default)]
struct Heard {
    /// The first event since the last look began.
    first: Option<Instant>,
    last: Option<Instant>,
    /// Files that were written to and not closed, by the time of the last writing.
    written: BTreeMap<PathBuf, Instant>,
    /// What is listened to.
    ground: Ground,
    /// Whether watches may have been lost.
    is_shaken: bool,
}

/// What an event says of its files.
enum News {
    Written,
    Closed,
    Moved,
    Other,
}

impl Ears {
    /// Takes in what notify tells; on its thread.
    pub(super) fn hear(&self, event: notify::Result<Event>) {
        let (news, paths) = match event {
            Ok(event) if event.need_rescan() => return self.overflow(),
            Ok(Event { kind: EventKind::Access(kind), .. }) if kind != AccessKind::Close(AccessMode::Write) => return,
            Ok(event) => (news(&event), event.paths),
            Err(_) => return self.overflow(),
        };
        let mut heard = lock(&self.heard);
        let was_written = !heard.written.is_empty();
        for path in paths {
            heard.take_in(&news, path);
        }
        let is_over = was_written && heard.written.is_empty();
        if heard.touch() || is_over {
            self.bell.notify_one();
        }
    }

    /// Events were lost: closings and removals may be among them.
    fn overflow(&self) {
        let mut heard = lock(&self.heard);
        heard.written.clear();
        heard.is_shaken = true;
        heard.touch();
        self.bell.notify_one();
    }

    /// Resolves when something began to happen, or the last file that was written to is closed.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// A look begins: what was heard is answered by it. Returns whether anything was.
    pub(super) fn begin(&self) -> bool {
        lock(&self.heard).first.take().is_some()
    }

    /// The first event since the last look began.
    pub(super) fn first(&self) -> Option<Instant> {
        lock(&self.heard).first
    }

    /// The last event of all.
    pub(super) fn last(&self) -> Option<Instant> {
        lock(&self.heard).last
    }

    /// Until when a file that is read counts as being written to, where one is open with somebody who wrote to it.
    pub(super) fn written_until(&self) -> Option<Instant> {
        lock(&self.heard).written.values().max().map(|last| *last + LONGEST_UNREST)
    }

    /// Listens for this from now on.
    pub(super) fn listen(&self, ground: Ground) {
        let mut heard = lock(&self.heard);
        heard.written.retain(|path, _| ground.means(path));
        heard.ground = ground;
    }

    /// Whether watches may have been lost since the last call.
    pub(super) fn was_shaken(&self) -> bool {
        std::mem::take(&mut lock(&self.heard).is_shaken)
    }
}

impl Heard {
    fn take_in(&mut self, news: &News, path: PathBuf) {
        match news {
            News::Written => {
                let has_room = self.written.len() < MOST_WRITTEN || self.written.contains_key(&path);
                if has_room && self.ground.means(&path) {
                    self.written.insert(path, Instant::now());
                }
            }
            News::Closed => drop(self.written.remove(&path)),
            News::Moved => {
                self.written.remove(&path);
                self.is_shaken |= self.ground.directories.values().any(|directory| *directory == path);
            }
            News::Other => {}
        }
    }

    /// Something happened; returns whether it is the first since the last look began.
    fn touch(&mut self) -> bool {
        let now = Instant::now();
        self.last = Some(now);
        self.first.replace(self.first.unwrap_or(now)).is_none()
    }
}

fn news(event: &Event) -> News {
    match event.kind {
        EventKind::Modify(ModifyKind::Data(_)) => News::Written,
        // One that is made by being opened is empty and will be closed; a link is neither.
        EventKind::Create(_) if event.paths.iter().all(|path| is_empty(path)) => News::Written,
        EventKind::Access(_) => News::Closed,
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => News::Moved,
        _ => News::Other,
    }
}

fn is_empty(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use notify::event::{CreateKind, DataChange, Flag, MetadataKind, RemoveKind, RenameMode};

    use super::*;

    const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

    fn hear(ears: &Ears, kind: EventKind, path: &Path) {
        ears.hear(Ok(Event::new(kind).add_path(path.to_owned())));
    }

    /// Ears that listen for `a.yaml` in a directory, and both paths.
    fn ears() -> (Ears, tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().canonicalize().unwrap().join("a.yaml");
        fs::write(&file, "").unwrap();
        let ears = Ears::default();
        ears.listen(Ground::of([&file]));
        (ears, folder, file)
    }

    #[test]
    fn a_file_is_written_to_until_it_is_closed_or_gone() {
        let (ears, _folder, file) = ears();
        let ends = [
            CLOSE,
            EventKind::Remove(RemoveKind::File),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
        ];
        for begin in [WRITE, EventKind::Create(CreateKind::File)] {
            for end in ends {
                hear(&ears, begin, &file);
                assert!(ears.written_until().is_some(), "{begin:?}");
                hear(&ears, EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), &file);
                assert!(ears.written_until().is_some(), "{begin:?}");
                hear(&ears, end, &file);
                assert!(ears.written_until().is_none(), "{begin:?} {end:?}");
            }
        }
    }

    #[test]
    fn what_is_not_read_or_stays_open_holds_up_nothing_for_ever() {
        let (ears, folder, file) = ears();
        hear(&ears, WRITE, &folder.path().join("host.log"));
        assert!(ears.written_until().is_none());
        hear(&ears, WRITE, &file);
        assert!(ears.written_until().unwrap() <= Instant::now() + LONGEST_UNREST);
        ears.listen(Ground::default());
        assert!(ears.written_until().is_none());
    }

    #[test]
    fn the_last_writing_counts() {
        let (ears, _folder, file) = ears();
        hear(&ears, WRITE, &file);
        let first = ears.written_until().unwrap();
        lock(&ears.heard).written.values_mut().for_each(|last| *last -= LONGEST_UNREST);
        hear(&ears, WRITE, &file);
        assert!(ears.written_until().unwrap() >= first);
    }

    #[test]
    fn a_look_answers_what_was_heard_before_it() {
        let (ears, _folder, file) = ears();
        assert!(!ears.begin());
        hear(&ears, EventKind::Access(AccessKind::Open(AccessMode::Any)), &file);
        assert!(ears.first().is_none() && ears.last().is_none());
        hear(&ears, WRITE, &file);
        let first = ears.first().unwrap();
        hear(&ears, CLOSE, &file);
        assert_eq!(ears.first().unwrap(), first);
        assert!(ears.begin() && !ears.begin());
        assert!(ears.last().unwrap() >= first);
    }

    #[test]
    fn the_first_event_and_the_last_closing_ring_and_a_storm_does_not() {
        let (ears, _folder, file) = ears();
        let rings = |kind| {
            hear(&ears, kind, &file);
            ears.rung().now_or_never().is_some()
        };
        assert!(rings(WRITE) && !rings(WRITE) && rings(CLOSE) && !rings(CLOSE));
        ears.begin();
        assert!(rings(WRITE));
    }

    #[test]
    fn lost_events_and_moved_directories_shake_the_watches() {
        let (ears, folder, file) = ears();
        assert!(!ears.was_shaken());
        hear(&ears, EventKind::Remove(RemoveKind::File), &file);
        assert!(!ears.was_shaken());
        hear(&ears, EventKind::Remove(RemoveKind::Folder), &folder.path().canonicalize().unwrap());
        assert!(ears.was_shaken() && !ears.was_shaken());
        ears.begin();
        hear(&ears, WRITE, &file);
        ears.hear(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(ears.was_shaken() && ears.begin() && ears.written_until().is_none());
        ears.hear(Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
        assert!(ears.was_shaken() && ears.begin());
    }
}
