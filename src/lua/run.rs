//! A run under way: a coroutine with what bounds it, and what it waits for.

use std::sync::Arc;

use mlua::Thread;
use tokio::time::Instant;

use super::{
    call::{Pending, RunStreams},
    interrupt::Bounds,
    restraint::Leave,
    seat::Claim,
};
use crate::clock::Clock;

pub(super) struct Run {
    pub(super) claim: Claim,
    pub(super) thread: Thread,
    /// Bytes that it has said.
    pub(super) said: usize,
    /// By when it has to end, on the clock.
    pub(super) deadline: Instant,
    pub(super) bounds: Bounds,
    /// The last command it waited for, to name what a timeout interrupted.
    pub(super) waits_for: Option<Arc<str>>,
    pub(super) streams: RunStreams,
    /// By when it has to end on the machine's clock, where time is set by hand.
    limit: Instant,
    /// Whether it waits for the time, and not for the daemon.
    waits_for_time: bool,
}

impl Run {
    /// Begins now.
    pub(super) fn new(mut claim: Claim, thread: Thread, clock: &Clock, memory: usize) -> Self {
        let limits = &claim.seat.rule.limits;
        let timeout = limits.timeout;
        let (deadline, limit) = clock.limits(timeout);
        let bounds = Bounds::new(limit, limits.cpu, memory);
        claim.begins(deadline - timeout);
        let (waits_for, streams) = (None, RunStreams::default());
        Self { claim, thread, said: 0, deadline, bounds, waits_for, streams, limit, waits_for_time: false }
    }

    /// It waits for this from here on; by when that has to come on the machine's clock, where time is set by hand.
    pub(super) fn waits(&mut self, pending: &Pending, leave: &Leave) -> Option<Instant> {
        self.waits_for = Some(name_of(pending, leave));
        self.waits_for_time = pending.command().is_none() || leave.is_held_back();
        (!self.waits_for_time).then_some(self.limit)
    }

    /// It goes on. Where time is set by hand and it waited for that, it has as much of the machine's as before.
    pub(super) fn goes_on(&mut self, clock: &Clock) {
        if self.waits_for_time && clock.is_manual() {
            (_, self.limit) = clock.limits(self.claim.seat.rule.limits.timeout);
            self.bounds.extend(self.limit);
        }
    }
}

fn name_of(pending: &Pending, leave: &Leave) -> Arc<str> {
    let Some(command) = pending.command() else { return "sleep".into() };
    let held_back = if leave.is_held_back() { ", held back by the rule's `command_rate`" } else { "" };
    format!("olvid.{}{held_back}", command.name).into()
}
