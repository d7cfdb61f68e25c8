//! A route: one rule as a feed sees it, at home there or on its way from or to another feed.

use std::{borrow::Cow, collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    catch_up::CatchUp,
    handover::{Behind, Handover},
};
use crate::lua::RuleQueue;

/// What becomes of a batch for one rule.
pub(super) struct Part<'b> {
    /// It is for the rule's queue now, with what waited for the rule to arrive.
    pub(super) now: Cow<'b, [Bytes]>,
    /// Whether the feed is done with the rule then, and is to let it go; if so, what of the batch goes on with it.
    pub(super) done: Option<Vec<Bytes>>,
}

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
    /// What of a batch is for the rule's queue now, and whether the feed is done with the rule then. The ids of what was
    /// listed are told by `listed`.
    pub(super) fn part<'b>(&self, batch: &'b [Bytes], listed: Option<&CatchUp>) -> Part<'b> {
        if self.has_left() {
            return Part { now: Cow::default(), done: None };
        }
        let mut now = Cow::Borrowed(batch);
        if let Some(handover) = &self.arriving {
            let has_passed = |catch_up: &CatchUp, notification: &Bytes| {
                catch_up.id(notification).is_some_and(|id| handover.has_passed(id))
            };
            if let Some(catch_up) = listed {
                now.to_mut().retain(|notification| !has_passed(catch_up, notification));
            }
            now = Cow::Owned(handover.arriving(&now).unwrap_or_default());
        }
        let Some(handover) = &self.leaving else { return Part { now, done: None } };
        let (count, done) = handover.leaving(&now);
        let mut now = now.into_owned();
        let kept = now.split_off(count);
        Part { now: Cow::Owned(now), done: done.then_some(kept) }
    }

    /// Whether it is on its way from or to another feed.
    pub(super) fn is_moving(&self) -> bool {
        self.arriving.is_some() || self.leaving.is_some()
    }

    /// Drops of what waits for it to arrive what is listed in its place, or was handed over; returns how much.
    pub(super) fn drop_waiting(&self, is_dropped: impl Fn(&Bytes) -> bool) -> usize {
        self.arriving.as_ref().map_or(0, |handover| handover.drop_waiting(&is_dropped))
    }

    /// Remembers what it has got of the stream that it comes from, or gets of what waits.
    pub(super) fn remember(&self, passed: HashSet<u64>) {
        if let Some(handover) = &self.arriving {
            handover.remember(passed);
        }
    }

    /// What waits for it to arrive.
    pub(super) fn waiting(&self) -> Vec<Bytes> {
        self.arriving.as_ref().map_or_else(Vec::new, |handover| handover.waiting())
    }

    /// The feed's stream stands.
    pub(super) fn opened(&self) {
        self.arriving.iter().for_each(|handover| handover.opened());
    }

    /// The feed's stream is gone; `refused` where it is not to be expected back soon.
    pub(super) fn lost(&self, refused: bool) {
        match &self.arriving {
            Some(handover) if refused => handover.refused(),
            Some(handover) => handover.lost(),
            None => {}
        }
    }

    /// The feed is at its end.
    pub(super) fn closed(&self) {
        self.arriving.iter().for_each(|handover| handover.close());
    }

    /// Takes what the stream that the rule comes from left behind; what waits may have to wait for that.
    pub(super) fn take_behind(&self, waits: bool) -> Option<Behind> {
        self.arriving.as_ref().and_then(|handover| handover.take_behind(waits))
    }

    /// What that stream still had was handed over, or cannot be had.
    pub(super) fn rested(&self) {
        self.arriving.iter().for_each(|handover| handover.rested());
    }

    /// The feed lets a rule go that leaves, and with it what its stream may still have had.
    pub(super) fn leave_behind(&self, behind: Behind) {
        if let Some(handover) = &self.leaving {
            handover.leave_behind(behind);
        }
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
