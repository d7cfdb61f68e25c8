//! A route: one rule as a feed sees it, at home there or on its way from or to another feed.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;

use super::handover::{Behind, Handover};
use crate::lua::RuleQueue;

/// A rule that a feed hands notifications to.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) queue: RuleQueue,
    /// How it comes from another feed.
    pub(super) arriving: Option<Arc<Handover>>,
    /// How it goes on to another feed. One that arrives as well has been let go by the feed that it came from.
    pub(super) leaving: Option<Arc<Handover>>,
}

impl Route {
    /// What of a batch is for the rule's queue now, with what waited for it to arrive; and whether the feed is done with
    /// the rule then.
    pub(super) fn part<'b>(&self, batch: &'b [Bytes]) -> (Cow<'b, [Bytes]>, bool) {
        let mut part = Cow::Borrowed(batch);
        if let Some(handover) = &self.arriving {
            let Some(all) = handover.arriving(batch) else { return (Cow::default(), false) };
            part = Cow::Owned(all);
        }
        let Some(handover) = &self.leaving else { return (part, false) };
        let (now, done) = handover.leaving(&part);
        (Cow::Owned(part[..now].to_vec()), done)
    }

    /// The feed is done with the rule: its stream has nothing more for it.
    pub(super) fn leave(&self) {
        self.leaving.iter().for_each(|handover| handover.leave());
    }

    /// Whether it is on its way from or to another feed.
    pub(super) fn is_moving(&self) -> bool {
        self.arriving.is_some() || self.leaving.is_some()
    }

    /// Drops of what waits for it to arrive what is listed in its place.
    pub(super) fn drop_waiting(&self, is_listed: impl Fn(&Bytes) -> bool) {
        self.arriving.iter().for_each(|handover| handover.drop_waiting(&is_listed));
    }

    /// What waits for it to arrive.
    pub(super) fn waiting(&self) -> Vec<Bytes> {
        self.arriving.as_ref().map_or_else(Vec::new, |handover| handover.waiting())
    }

    /// The feed's stream stands.
    pub(super) fn opened(&self) {
        self.arriving.iter().for_each(|handover| handover.opened());
    }

    /// The feed's stream is gone; `for_good` where it is not to be expected back.
    pub(super) fn lost(&self, for_good: bool) {
        match &self.arriving {
            Some(handover) if for_good => handover.leave(),
            Some(handover) => handover.lost(),
            None => {}
        }
    }

    /// Takes what the stream that the rule comes from may still have had.
    pub(super) fn take_behind(&self) -> Option<Behind> {
        self.arriving.as_ref().and_then(|handover| handover.take_behind())
    }

    /// What that stream still had was handed over, or cannot be had.
    pub(super) fn rested(&self) {
        self.arriving.iter().for_each(|handover| handover.rested());
    }

    /// The feed lets a rule go that leaves, and with it what its stream may still have had.
    pub(super) fn leave_behind(&self, behind: &Behind) {
        self.leaving.iter().for_each(|handover| handover.leave_behind(behind.clone()));
    }

    /// How long nothing must come until it may leave, where another feed waits for it.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.leaving.as_ref().and_then(|handover| handover.patience())
    }

    /// Whether the stream is not to be read on: as much as may waits for it to arrive, or was handed over as it leaves.
    pub(super) fn is_full(&self) -> bool {
        self.arriving.as_ref().is_some_and(|handover| handover.is_full())
            || self.leaving.as_ref().is_some_and(|handover| handover.has_handed_enough())
    }

    /// The stream has nothing to read at this moment.
    pub(super) fn emptied(&self) {
        self.arriving.iter().for_each(|handover| handover.emptied());
    }

    /// Whether it goes on to another feed.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Whether it has gone.
    pub(super) fn has_left(&self) -> bool {
        self.leaving.as_ref().is_some_and(|handover| handover.has_left())
    }
}
