//! Commands that were sent to the daemon: how many, what came of each, and how long that took.
//!
//! Over all scripts, by command and by code. There are as many of either as the catalog and gRPC have, so this does not
//! grow with what scripts do.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::durations::{Durations, Measured};
use crate::schema::Command;

/// Whose run ended before the answer came: the call was broken off.
const BROKEN_OFF: &str = "CANCELLED";

/// What came of all commands.
#[derive(Debug, Default)]
pub struct Calls(Mutex<BTreeMap<String, Of>>);

#[derive(Debug, Default)]
struct Of {
    codes: BTreeMap<&'static str, u64>,
    took: Durations,
}

/// What came of one command.
#[derive(Debug, Clone, PartialEq)]
pub struct CallFigures {
    /// The command.
    pub command: String,
    /// How often each of gRPC's codes was the answer.
    pub codes: Vec<(&'static str, u64)>,
    /// How long the answers took.
    pub took: Measured,
}

/// A call under way; dropped before it has ended, it counts as broken off.
pub(super) struct Call<'c> {
    calls: &'c Calls,
    command: Arc<Command>,
    begun: Instant,
    code: &'static str,
}

impl Calls {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Of>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, command: &Arc<Command>) -> Call<'_> {
        Call { calls: self, command: Arc::clone(command), begun: Instant::now(), code: BROKEN_OFF }
    }

    /// What came of each command that was sent so far.
    pub fn read(&self) -> Vec<CallFigures> {
        let figures = |(command, of): (&String, &Of)| CallFigures {
            command: command.clone(),
            codes: of.codes.iter().map(|(code, count)| (*code, *count)).collect(),
            took: of.took.read(),
        };
        self.all().iter().map(figures).collect()
    }
}

impl Call<'_> {
    /// It was answered, with this code.
    pub(super) fn end(mut self, code: &'static str) {
        self.code = code;
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let time = self.begun.elapsed();
        let mut all = self.calls.all();
        if !all.contains_key(&self.command.name) {
            all.insert(self.command.name.clone(), Of::default());
        }
        let Some(of) = all.get_mut(&self.command.name) else { return };
        *of.codes.entry(self.code).or_default() += 1;
        of.took.add(time);
    }
}
