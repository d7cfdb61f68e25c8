//! Why a run failed, and what is told of it: whose run it was, for which notification, where, and which limit it met.

use std::sync::Arc;

use mlua::{Table, Value};

use super::{
    failure::{Scene, innermost},
    interrupt::{Breach, Stopped},
    load::size,
    seat::Claim,
};
use crate::{
    report::{
        Failure, FailureKind,
        text::{LONGEST_TEXT, clipped, cut},
    },
    rules::Limits,
};

/// Why a run failed.
pub(super) struct Fault {
    kind: FailureKind,
    message: String,
    scene: Scene,
}

impl Fault {
    pub(super) fn new(kind: FailureKind, message: &str) -> Self {
        Self { kind, message: cut(message), scene: Scene::default() }
    }

    /// A limit was met: which, and how to change it.
    ///
    /// Nothing that was measured stands in it: breaches of one limit at one place are the same, and are counted.
    fn breach(kind: FailureKind, what: &str, present: &str) -> Self {
        let key = kind.name();
        let hint = format!("the rule's `{key}` is {present}; raise it there, or under `defaults:`");
        Self::new(kind, &format!("{what}: {hint}"))
    }

    /// Not done in time, whatever it waits for.
    pub(super) fn timeout(limits: &Limits, waits_for: Option<&str>) -> Self {
        let waiting = waits_for.map_or_else(String::new, |name| format!(", waiting for {name}"));
        let present = format!("{:?}", limits.timeout);
        Self::breach(FailureKind::Timeout, &format!("not done after {present}{waiting}"), &present)
    }

    /// More memory than the VM has.
    pub(super) fn memory(most: usize) -> Self {
        let present = size(most);
        Self::breach(FailureKind::Memory, &format!("the script uses more than {present}"), &present)
    }

    /// The run was stopped at a bound. Its VM has so much memory.
    pub(super) fn stopped(stopped: Stopped, limits: &Limits, memory: usize) -> Self {
        let fault = match stopped.breach {
            Breach::Timeout => Self::timeout(limits, None),
            Breach::Cpu => {
                let present = format!("{:?}", limits.cpu);
                Self::breach(FailureKind::Cpu, &format!("not done after {present} of CPU"), &present)
            }
            Breach::Memory => Self::memory(memory),
            Breach::Output => {
                let present = size(limits.output);
                Self::breach(FailureKind::Output, &format!("more than {present} written to the log"), &present)
            }
        };
        fault.at(Scene::of(stopped.frames))
    }

    /// What ended the run.
    pub(super) fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Says where it happened.
    pub(super) fn at(self, scene: Scene) -> Self {
        Self { scene, ..self }
    }

    /// Reads what the prelude's handler of errors made.
    pub(super) fn described(failure: &Table, memory: usize) -> Self {
        let text = |key: &str| failure.raw_get::<String>(key).ok();
        let traceback = failure.raw_get::<Vec<String>>("traceback").unwrap_or_default();
        let scene = Scene { place: text("place"), traceback };
        let is = |key: &str| failure.raw_get::<bool>(key).unwrap_or_default();
        let kind = if is("denied") { FailureKind::Denied } else { FailureKind::Error };
        let fault =
            if is("memory") { Self::memory(memory) } else { Self::new(kind, &text("message").unwrap_or_default()) };
        fault.at(scene)
    }

    /// What is beyond the prelude's own protection: memory, or the C stack.
    pub(super) fn unprotected(error: &mlua::Error, memory: usize) -> Self {
        match error {
            mlua::Error::MemoryError(_) => Self::memory(memory),
            other => Self::new(FailureKind::Error, &innermost(other)),
        }
    }

    /// What a run ended with that its handler of errors did not describe: the stack was full.
    pub(super) fn undescribed(error: &Value) -> Self {
        match error {
            Value::String(text) => Self::new(FailureKind::Error, &clipped(&text.as_bytes(), LONGEST_TEXT)),
            _ => Self::new(FailureKind::Error, "the error could not be described"),
        }
    }

    /// What is told of it.
    pub(super) fn of(self, claim: &Claim, script: &Arc<str>) -> Failure {
        let Self { kind, message, scene } = self;
        let origin = claim.seat.origin(script, scene.place);
        let notification = claim.notification();
        Failure { origin, kind, message, notification, traceback: scene.traceback, repeats: 0 }
    }
}
