//! In whose name Lua speaks: the seat that its run was started from, and how much the run has said.

use std::{cell::Cell, rc::Rc, sync::Arc};

use super::seat::Seat;
use crate::{report::Origin, rules::Limits};

/// What speaks now: a run, or what runs on no rule's behalf.
#[derive(Default)]
pub(super) struct Voice {
    /// None while the script loads, saves or restores.
    pub(super) seat: Option<Rc<Seat>>,
    /// Bytes that it has said.
    said: Cell<usize>,
}

impl Voice {
    /// A run that was started from a seat and has said so much already.
    pub(super) fn of(seat: &Rc<Seat>, said: usize) -> Self {
        Self { seat: Some(Rc::clone(seat)), said: Cell::new(said) }
    }

    pub(super) fn origin(&self, script: &Arc<str>, place: Option<String>) -> Origin {
        match &self.seat {
            Some(seat) => seat.origin(script, place),
            None => Origin { rule: None, subscription: None, script: Arc::clone(script), place },
        }
    }

    /// What it has said.
    pub(super) fn said(&self) -> usize {
        self.said.get()
    }

    /// Whether it may say so much more. Once it may not, it says nothing any more.
    pub(super) fn spend(&self, bytes: usize) -> bool {
        let most = self.seat.as_ref().map_or_else(|| Limits::default().output, |seat| seat.rule.limits.output);
        let said = self.said.get().saturating_add(bytes);
        let fits = said <= most;
        self.said.set(if fits { said } else { usize::MAX });
        fits
    }
}
