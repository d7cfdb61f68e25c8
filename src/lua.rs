//! Scripts: one file, one VM, one thread; replaced while notifications flow.
//!
//! Owns value conversion, the `olvid` API and the running of handlers. A [`ScriptSpec`] says what a script is made of; a
//! [`Prepared`] one is loaded and can still be let go; a [`Script`] works. A [`RuleQueue`] takes one rule's notifications
//! as wire bytes and outlives scripts: attached to another one, it goes on there, in order. What happens is told to the
//! reporter. Which scripts exist, when they are replaced and what feeds them is the engine's.

use std::sync::atomic::AtomicU64;

use crate::diagnostic::Diagnostic;

mod alarm;
#[doc(hidden)]
pub mod bare;
mod bucket;
mod buffers;
mod call;
mod calls;
mod convert;
mod durations;
mod failure;
mod fault;
mod files;
mod host;
mod interrupt;
mod json;
mod library;
mod line;
mod lint;
mod load;
mod mailbox;
mod permits;
mod pulse;
mod queue;
mod remarks;
mod repeats;
mod restraint;
mod run;
mod sandbox;
mod script;
mod seat;
mod spec;
mod state;
#[cfg(test)]
mod tests;
mod told;
mod usage;
mod voice;
mod worker;

pub use alarm::Bell;
pub use calls::{CallFigures, Calls};
pub use durations::{BOUNDS, Durations, Measured};
pub use pulse::{Pulse, patience};
pub use queue::{CREDITS, LaneCounters, RuleQueue};
pub use restraint::Silence;
pub use script::{LOADING, Prepared, SAVING, Script};
pub use spec::{ScriptKey, ScriptSpec};
pub use usage::{Account, Memory, heap, release_start};

/// The methods of received objects, each below its documentation.
pub const METHODS: &str = include_str!("lua/methods.lua");

/// The documentation of all globals, as annotations and prose. Nothing runs it; a test holds it to what scripts reach.
pub const GLOBALS: &str = include_str!("lua/globals.lua");

/// What has come in and been dealt with, over all scripts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Notifications that came in over streams.
    pub received: AtomicU64,
    /// The same, counted once they were handed over or left out as known; without what was caught up.
    pub brought: AtomicU64,
    /// Handed to rules' queues: once for each rule that a stream feeds.
    pub queued: AtomicU64,
    /// Of these, the ones whose handler ended, however it ended.
    pub settled: AtomicU64,
    /// Of these, the ones whose handler failed.
    pub failed: AtomicU64,
    /// The commands that handlers sent.
    pub calls: Calls,
}

fn crashed(name: &str) -> Diagnostic {
    Diagnostic::error("script-failed", format!("`{name}` made its thread end unexpectedly"))
}
