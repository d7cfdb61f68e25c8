//! What scripts use up: the memory of each VM, and the CPU of each script's threads over all its VMs.
//!
//! A thread says when it begins and when it ends. What one that is at work has used is asked of the system by whoever
//! wants to know, so that it costs the thread nothing.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::interrupt::{self, heap, pages};
use crate::report::Fate;

/// One script's, over all VMs that it has had.
#[derive(Debug, Default)]
pub struct Account {
    threads: Mutex<Threads>,
    /// How often each thing befell it that made it need another VM.
    fates: [AtomicU64; Fate::ALL.len()],
}

#[derive(Debug, Default)]
struct Threads {
    /// The system's numbers of those that are at work.
    alive: Vec<u32>,
    /// CPU of those that have ended.
    ended: Duration,
}

/// What one VM holds.
#[derive(Debug, Default)]
pub struct Memory(AtomicUsize);

/// The calling thread's place in its script's account, until it is dropped there.
pub(super) struct Entry(Arc<Account>, u32);

impl Account {
    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the calling thread down.
    pub(super) fn enter(self: Arc<Self>) -> Entry {
        let thread = interrupt::thread();
        self.threads().alive.push(thread);
        Entry(self, thread)
    }

    /// CPU of the threads that have ended, and the system's numbers of the others.
    pub fn cpu(&self) -> (Duration, Vec<u32>) {
        let threads = self.threads();
        (threads.ended, threads.alive.clone())
    }

    /// Something befell it.
    pub fn befell(&self, fate: Fate) {
        self.fates[fate as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often each thing befell it.
    pub fn fates(&self) -> [(Fate, u64); Fate::ALL.len()] {
        Fate::ALL.map(|fate| (fate, self.fates[fate as usize].load(Ordering::Relaxed)))
    }
}

/// Bytes that the whole program holds of its allocator, those of all VMs among them; none where that does not say. It
/// looks through the allocator's books, so it is for those who ask now and then.
pub fn heap() -> Option<u64> {
    heap::in_use()
}

/// Gives back to the system what starting took: what the allocator keeps free, which it goes through all memory for, and
/// the program's code, of which waiting needs little.
pub fn release_start() {
    heap::release();
    pages::release();
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut threads = self.0.threads();
        threads.alive.retain(|thread| *thread != self.1);
        threads.ended += interrupt::cpu();
    }
}

impl Memory {
    pub(super) fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that it held when it last waited for something.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
