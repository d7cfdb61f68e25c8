//! What runs, at a glance: for one sentence, or for whoever wants to know whether all is well.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    board::{Board, ScriptLine},
    cell::{Awaited, State},
};
use crate::report::Reload;

/// What runs, counted.
#[derive(Debug, Clone, Default)]
pub struct Glance {
    /// Rules that run.
    pub rules: usize,
    /// Streams that are to be open: all but those that have delivered their `count`.
    pub streams: usize,
    /// Of these, the ones that are.
    pub open: usize,
    /// Why others are not. A refusal comes before a failure; none where nothing was tried to an end yet.
    pub cause: Option<String>,
    /// Whether that is the daemon's refusal.
    pub is_refused: bool,
    /// When the first of the streams that are not open is tried again; none while that is under way.
    pub next_try: Option<Timestamp>,
    /// The last attempt to load rules.
    pub reload: Option<Arc<Reload>>,
}

/// A script that makes no progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stalled {
    /// As the rules name it.
    pub script: String,
    /// The rules that stand still.
    pub rules: Vec<String>,
    /// Since it was asked first.
    pub silent: Duration,
}

impl Board {
    /// What runs, in short; cheap.
    pub fn glance(&self) -> Glance {
        self.look(|shown, reload| {
            let mut glance = Glance { rules: shown.rules.len(), reload: reload.cloned(), ..Glance::default() };
            shown.cells().for_each(|cell| glance.add(&cell.state()));
            let now = Timestamp::now();
            glance.next_try = glance.next_try.filter(|next| *next > now);
            glance
        })
    }

    /// The scripts that make no progress: whose thread does not come back from a run within the longest time that one of
    /// its rules gives it, or whose thread or VM is lost and was not replaced in that time.
    ///
    /// To be asked now and then, at least once a minute: what is told is what came of asking before. Asking costs each
    /// script a moment; not being asked costs nothing.
    pub fn stalled(&self, now: Instant) -> Vec<Stalled> {
        let stalled = |script: &Arc<ScriptLine>| {
            let silent = script.pulse.stalled(script.patience, now)?;
            Some(Stalled { script: script.name.clone(), rules: script.rules.clone(), silent })
        };
        self.look(|shown, _| shown.scripts.iter().filter_map(stalled).collect())
    }
}

impl Glance {
    fn add(&mut self, state: &State) {
        let is_refused = matches!(state, State::Refused { .. });
        self.streams += usize::from(!matches!(state, State::Completed { .. }));
        let Some(Awaited { cause, next_try }) = state.awaited() else {
            self.open += usize::from(matches!(state, State::Open { .. }));
            return;
        };
        self.next_try = [self.next_try, next_try].into_iter().flatten().min();
        if self.cause.is_none() || is_refused && !self.is_refused {
            self.cause = cause.or(self.cause.take());
            self.is_refused |= is_refused;
        }
    }
}
