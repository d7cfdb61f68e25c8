//! Whether what was loaded has really changed.
//!
//! Events of the file system are only reasons to look: what a look finds is compared with what the caller holds, by
//! content. A change counts once it is at rest: nothing happened for a while, nobody has a file open who was seen to
//! write to it of late, and two looks found the same. Loading again is the caller's.

mod ears;
mod eyes;
mod ground;
mod memory;

use std::{
    collections::BTreeMap,
    mem,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    select,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until},
};

use ears::Ears;
use eyes::Eyes;
use memory::Memory;

use crate::{report::Reporter, rules::inputs::Fingerprint};

/// How long nothing happens before the first look: editors and version control write several files, one after another.
const QUIET: Duration = Duration::from_millis(100);

/// Between the first look and the one that confirms it. With [`QUIET`], a save is told after 150 ms.
const PAUSE: Duration = Duration::from_millis(50);

/// Between two looks at a change that no event announced: nothing says whether somebody is still writing.
const UNANNOUNCED_PAUSE: Duration = Duration::from_secs(1);

/// A busy directory puts off the first look no longer than this.
const LONGEST_UNQUIET: Duration = Duration::from_secs(2);

/// A file that stays open holds up the others for so long after it was last written to: some programs never close theirs.
const LONGEST_UNREST: Duration = Duration::from_secs(10);

/// Network and overlay file systems tell no events, and watches can be lost: a look that needs no reason.
const NET: Duration = Duration::from_secs(30);

/// The same while something cannot be watched. So often, at least, everything is read, which is quick for rules and scripts;
/// looks in between read what was touched.
const POLL: Duration = Duration::from_secs(5);

type Held = BTreeMap<PathBuf, Fingerprint>;

/// Watches what was loaded. It looks on the runtime's blocking threads, once at a time; dropping it ends everything.
pub struct Watch {
    shared: Arc<Shared>,
    /// The look that is under way.
    look: Option<JoinHandle<Look>>,
    /// Whether the look under way began before it was said what is held now.
    is_stale: bool,
    /// Since when there is a reason to look that no look has answered.
    due: Option<Instant>,
    /// The last look, where it found a change.
    before: Option<Look>,
    /// When to look without a reason.
    next: Instant,
    /// From when on a look reads everything.
    full: Instant,
}

/// What looks work on, off the runtime's thread.
struct Shared {
    held: Mutex<Arc<Held>>,
    sight: Mutex<Sight>,
    ears: Arc<Ears>,
}

/// What a look needs; one at a time has it.
struct Sight {
    eyes: Eyes,
    memory: Memory,
}

/// What was found, once.
struct Look {
    ended: Instant,
    /// What was found, where that is not what is held.
    other: Option<Held>,
    /// Whether events announced it.
    announced: bool,
    /// Whether something is not watched, so that events cannot be relied on.
    blind: bool,
    /// Whether everything was read.
    full: bool,
}

impl Watch {
    /// Watches nothing yet. The reporter is told, once, when the system's limits leave only looking now and then.
    pub fn new(reporter: Reporter) -> Self {
        let sight = Mutex::new(Sight { eyes: Eyes::new(reporter), memory: Memory::default() });
        let shared = Shared { held: Mutex::default(), sight, ears: Arc::default() };
        Self {
            shared: Arc::new(shared),
            look: None,
            is_stale: false,
            due: None,
            before: None,
            next: Instant::now() + NET,
            full: Instant::now(),
        }
    }

    /// Watches these paths from now on, which held this when they were read. A change since the reading is seen.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn set(&mut self, held: BTreeMap<PathBuf, Fingerprint>) {
        *lock(&self.shared.held) = Arc::new(held);
        self.before = None;
        self.due = Some(Instant::now());
        // One at a time: a look that others wait for would have each of them wait on a thread of its own.
        self.is_stale = self.look.is_some();
        self.look.get_or_insert_with(|| start(&self.shared, self.full));
    }

    /// Resolves once the content of the paths differs from what is held and has come to rest; again and again, until
    /// [`set`](Self::set) says what is held then. A call that is dropped loses nothing.
    pub async fn changed(&mut self) {
        loop {
            if self.look.is_none() {
                self.reason().await;
                self.rest().await;
            }
            let look = self.look().await;
            if self.is_settled(look) {
                return;
            }
        }
    }

    /// Waits until there is a reason to look.
    async fn reason(&mut self) {
        while self.due.is_none() {
            self.due = self.shared.ears.first();
            if self.due.is_some() {
                return;
            }
            select! {
                () = self.shared.ears.rung() => {}
                () = sleep_until(self.next) => self.due = Some(Instant::now()),
            }
        }
    }

    /// Waits until nothing moves any more.
    async fn rest(&self) {
        loop {
            let now = Instant::now();
            let rest = self.rest_at(now);
            if rest <= now {
                return;
            }
            select! {
                () = self.shared.ears.rung() => {}
                () = sleep_until(rest) => {}
            }
        }
    }

    /// When to look, should nothing else happen before.
    fn rest_at(&self, now: Instant) -> Instant {
        let (due, ears) = (self.due.unwrap_or(now), &self.shared.ears);
        let quiet = if self.before.is_some() { QUIET + PAUSE } else { QUIET };
        let quiet = ears.last().map_or(due, |last| (last + quiet).min(due + LONGEST_UNQUIET));
        let paused = self.before.as_ref().map_or(due, |before| {
            let announced = before.announced || ears.first().is_some();
            before.ended + if announced { PAUSE } else { UNANNOUNCED_PAUSE }
        });
        quiet.max(paused).max(ears.written_until().unwrap_or(due))
    }

    /// Looks, or waits for the look that is under way; none when it could not be done.
    async fn look(&mut self) -> Option<Look> {
        loop {
            let done = self.look.get_or_insert_with(|| start(&self.shared, self.full)).await;
            self.look = None;
            if !mem::take(&mut self.is_stale) {
                return done.ok();
            }
        }
    }

    /// Whether this look confirms a change that is at rest.
    fn is_settled(&mut self, look: Option<Look>) -> bool {
        let now = Instant::now();
        self.next = now + if look.as_ref().is_some_and(|look| !look.blind) { NET } else { POLL };
        if look.as_ref().is_some_and(|look| look.full) {
            self.full = self.next;
        }
        let before = self.before.take();
        let Some(mut look) = look.filter(|look| look.other.is_some()) else {
            self.due = None;
            return false;
        };
        self.due.get_or_insert(look.ended);
        let is_same = before.as_ref().is_some_and(|before| before.other == look.other);
        look.announced |= before.is_some_and(|before| before.announced);
        self.before = Some(look);
        is_same && self.shared.ears.written_until().is_none_or(|until| until <= now)
    }
}

fn start(shared: &Arc<Shared>, full: Instant) -> JoinHandle<Look> {
    let (shared, is_full) = (Arc::clone(shared), full <= Instant::now());
    spawn_blocking(move || shared.look(is_full))
}

impl Shared {
    /// Sees to it that later changes are heard of, and only then reads.
    fn look(&self, full: bool) -> Look {
        let Sight { eyes, memory } = &mut *lock(&self.sight);
        let held = Arc::clone(&lock(&self.held));
        let announced = self.ears.begin();
        let blind = !eyes.open(&held, &self.ears);
        let found = memory.look(&held, full);
        let differs = held.iter().any(|(path, was)| found.get(path) != Some(was));
        let other = differs.then_some(found);
        Look { ended: Instant::now(), other, announced, blind, full }
    }
}

/// Locks; what a panic left is whole, as every change under these locks is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn however_often_it_is_said_what_is_held_one_look_is_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lua");
        std::fs::write(&path, "return").unwrap();
        let mut watch = Watch::new(Reporter::default());
        let shared = Arc::clone(&watch.shared);
        {
            let _slow = shared.sight.lock().unwrap();
            for _ in 0..100 {
                watch.set(BTreeMap::new());
            }
            assert_eq!(Arc::strong_count(&shared), 3, "the watch, this test, and one look");
            watch.set([(path, Fingerprint::Missing)].into());
        }
        // What was said last counts: the file is there, and was not.
        watch.changed().await;
    }
}
