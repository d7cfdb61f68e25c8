//! The voice of one run: in whose name it speaks, and how much it has said.

use std::{cell::Cell, rc::Rc, sync::Arc};

use super::{seat::Seat, told::Told};
use crate::{report::Origin, rules::Limits};

/// One run's.
pub(super) struct Voice {
    /// Rule and subscription; none while the script loads, saves or restores.
    names: Option<(Arc<str>, Arc<str>)>,
    /// What is told of the rule, and how many lines a second may be.
    pub(super) told: Option<(Arc<Told>, u32)>,
    /// Bytes that it may say.
    most: usize,
    said: Cell<usize>,
}

impl Voice {
    /// A run that was started from a seat.
    pub(super) fn of(seat: &Seat) -> Rc<Self> {
        let limits = &seat.rule.limits;
        Rc::new(Self {
            names: Some((Arc::clone(&seat.name), Arc::clone(&seat.subscription))),
            told: Some((Arc::clone(&seat.lane.told), limits.log_rate)),
            ..Self::saying(limits.output)
        })
    }

    /// Lua that runs on no rule's behalf, with what a run may say where nothing else is said.
    pub(super) fn aside() -> Rc<Self> {
        Rc::new(Self::saying(Limits::default().output))
    }

    fn saying(most: usize) -> Self {
        Self { names: None, told: None, most, said: Cell::new(0) }
    }

    pub(super) fn origin(&self, script: &Arc<str>, place: Option<String>) -> Origin {
        let (rule, subscription) = self.names.clone().unzip();
        Origin { rule, subscription, script: Arc::clone(script), place }
    }

    /// Whether it may say so much more. Once it may not, it says nothing any more.
    pub(super) fn spend(&self, bytes: usize) -> bool {
        let said = self.said.get().saturating_add(bytes);
        let fits = said <= self.most;
        self.said.set(if fits { said } else { usize::MAX });
        fits
    }
}
