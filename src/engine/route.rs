//! A route: one rule as a feed sees it, at home there or on its way from or to another feed.

use std::{sync::Arc, time::Duration};

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
    /// Hands notifications to the rule as far as they are for it, and what waited for it to arrive.
    pub(super) async fn hand_over(&self, batch: &[Bytes], caught_up: bool) {
        let arrived = match &self.arriving {
            Some(handover) => match handover.arriving(batch) {
                Some(all) => all,
                None => return,
            },
            None => Vec::new(),
        };
        let batch = if self.arriving.is_some() { &arrived } else { batch };
        let Some(handover) = &self.leaving else {
            self.queue.push(batch, caught_up).await;
            return;
        };
        let (now, done) = handover.leaving(batch);
        self.queue.push(&batch[..now], caught_up).await;
        if done {
            handover.leave();
        }
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

    /// Whether as much waits for it to arrive as may.
    pub(super) fn is_full(&self) -> bool {
        self.arriving.as_ref().is_some_and(|handover| handover.is_full())
    }

    /// Whether it has gone.
    pub(super) fn has_left(&self) -> bool {
        self.leaving.as_ref().is_some_and(|handover| handover.has_left())
    }
}
