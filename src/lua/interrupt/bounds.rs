//! What a run may still use up, over all its resumptions.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    TICK,
    timer::{self, nanoseconds},
};

/// One run's.
#[derive(Debug, Clone)]
pub(in super::super) struct Bounds {
    /// When it must have ended, in nanoseconds of the monotonic clock.
    pub(super) deadline: u64,
    /// Nanoseconds of CPU that are left.
    pub(super) cpu: u64,
    /// Bytes of the VM.
    pub(super) memory: usize,
}

impl Bounds {
    /// The end of its time, CPU from now on, and bytes of the VM.
    pub(in super::super) fn new(deadline: Instant, cpu: Duration, memory: usize) -> Self {
        // A tick more, as the first one that a run sees is charged to it as a whole.
        Self { deadline: timer::at(deadline), cpu: nanoseconds(cpu.saturating_add(TICK)), memory }
    }

    /// Gives it time until another moment.
    pub(in super::super) fn extend(&mut self, deadline: Instant) {
        self.deadline = timer::at(deadline);
    }
}
