//! How the engine learns that a script needs another VM: its thread does not come back, or its memory is full.

use std::{
    io::{self, Write as _},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
};

use super::interrupt::Breach;

const SPENT: u8 = 1;
const LOST: u8 = 2;

/// Rings when one of many scripts needs another VM. A clone is the same bell.
#[derive(Debug, Clone)]
pub struct Bell {
    wire: Arc<UnixStream>,
    /// Threads that were given up and have not come back.
    lost: Arc<AtomicUsize>,
}

/// One script's; held by its thread for as long as that lives.
#[derive(Debug)]
pub(super) struct Alarm {
    cause: AtomicU8,
    /// Which bound the run breached that it was lost in.
    breach: AtomicU8,
    /// Whether somebody tells of that run.
    told: AtomicBool,
    bell: Option<Bell>,
}

impl Bell {
    /// Makes one; a byte comes out of the other end each time that it rings.
    pub fn new() -> io::Result<(Self, UnixStream)> {
        let (wire, ear) = UnixStream::pair()?;
        // A bell that nobody hears must not hold up who rings it.
        wire.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        Ok((Self { wire: Arc::new(wire), lost: Arc::default() }, ear))
    }

    /// How many threads were given up and have not come back.
    pub fn lost(&self) -> usize {
        self.lost.load(Ordering::Acquire)
    }

    fn ring(&self) {
        // A full wire rings already.
        let _rung = (&*self.wire).write(&[0]);
    }
}

impl Alarm {
    pub(super) fn new(bell: Option<Bell>) -> Arc<Self> {
        Arc::new(Self { cause: AtomicU8::new(0), breach: AtomicU8::new(0), told: AtomicBool::new(false), bell })
    }

    /// The thread does not come back. Safe in a signal's handler: it sets a flag and writes a byte.
    pub(super) fn raise_lost(&self, breach: u8) {
        let Some(bell) = &self.bell else { return };
        self.breach.store(breach, Ordering::Release);
        if self.cause.swap(LOST, Ordering::AcqRel) != LOST {
            bell.lost.fetch_add(1, Ordering::AcqRel);
            bell.ring();
        }
    }

    /// The VM is full and stays so.
    pub(super) fn raise_spent(&self) {
        let first = self.cause.compare_exchange(0, SPENT, Ordering::AcqRel, Ordering::Acquire).is_ok();
        self.bell.iter().filter(|_| first).for_each(Bell::ring);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.cause.load(Ordering::Acquire) == LOST
    }

    /// Whether nobody has told of the run that it was lost in. Who asks first does: the thread itself may come back just then.
    pub(super) fn may_tell(&self) -> bool {
        !self.told.swap(true, Ordering::AcqRel)
    }

    pub(super) fn lost_by(&self) -> Option<Breach> {
        Breach::of(self.breach.load(Ordering::Acquire))
    }

    pub(super) fn is_spent(&self) -> bool {
        self.cause.load(Ordering::Acquire) == SPENT
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // Its thread has come back.
        if let Some(bell) = self.bell.as_ref().filter(|_| self.is_lost()) {
            bell.lost.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
