//! From a feed's hand into its rules' queues. What no queue has taken yet is known at every moment, so that a stop can
//! say, or catch up at the next start, what it cut off.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Behind, Feed, Route, is_alone};
use crate::engine::route::Part;

impl Feed {
    /// A rule is owed its count and no more, even of a daemon that goes on.
    pub(super) fn owed(&self) -> usize {
        self.remaining.and_then(|remaining| usize::try_from(remaining).ok()).unwrap_or(usize::MAX)
    }

    /// Hands over a batch and counts it, but for so many of it that were counted before: they waited for a rule to arrive.
    pub(super) async fn received(&mut self, batch: &[Bytes], caught_up: bool, known: u64) {
        let batch = &batch[..batch.len().min(self.owed())];
        let frames = (batch.len() as u64).saturating_sub(known);
        self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(frames));
        self.cell.note(frames, caught_up, self.remaining);
        self.hand_over(batch, caught_up).await;
        // Behind the queues' own counters: who sees all as received must not see too few as queued.
        self.counters.received.fetch_add(frames, Ordering::AcqRel);
    }

    /// Hands notifications to the rules, and to those that have just arrived what waited for them. Given up at any
    /// moment, it is known what was taken: by the cursor of a rule that has its own stream, by number for all. What a
    /// rule's new stream is to hand over waits there.
    pub(super) async fn hand_over(&self, batch: &[Bytes], caught_up: bool) {
        let routes = self.current();
        let listed = self.catch_up.as_ref().filter(|_| caught_up);
        let parts: Vec<_> = routes.iter().map(|route| (route, route.part(batch, listed))).collect();
        let (alone, moving) = (is_alone(&routes), routes.iter().any(Route::is_moving));
        if let Some(catch_up) = self.catch_up.as_ref().filter(|_| moving) {
            let waiting = routes.iter().flat_map(Route::waiting).collect::<Vec<_>>();
            let now = parts.iter().flat_map(|(_, part)| part.now.iter());
            let kept = parts.iter().flat_map(|(_, part)| part.done.iter().flatten());
            catch_up.hold(now.chain(kept).chain(&waiting));
        }
        let all = parts.iter().map(|(_, part)| part.now.len() as u64).sum();
        self.in_hand.fetch_add(all, Ordering::AcqRel);
        // Who has nothing to wait for goes before anybody is waited for.
        for (route, part) in parts.iter().filter(|(_, part)| part.now.is_empty()) {
            self.let_go_of(route, part);
        }
        for (route, part) in parts.iter().filter(|(_, part)| !part.now.is_empty()) {
            let mut rest = &*part.now;
            while !rest.is_empty() {
                // A rule that is gone needs none of it.
                let taken = route.queue.push_some(rest, caught_up).await.unwrap_or(rest.len());
                rest = &rest[taken..];
                self.in_hand.fetch_sub(taken as u64, Ordering::AcqRel);
                self.catch_up.iter().filter(|_| alone).for_each(|catch_up| catch_up.took(taken));
            }
            self.let_go_of(route, part);
        }
        self.hold_waiting(&routes);
    }

    /// Lets a rule go whose part was the last; its new stream carries all that follows.
    fn let_go_of(&self, route: &Route, part: &Part<'_>) {
        if let Some(kept) = &part.done {
            let except = [&kept[..], &route.waiting()].concat();
            let rest = self.catch_up.as_ref().and_then(|catch_up| catch_up.rest_of(false, &except));
            route.leave_behind(Behind { rest, gap: None });
        }
    }

    /// Says that nothing is in hand but what waits for rules to arrive.
    pub(super) fn hold_waiting(&self, routes: &[Route]) {
        if let Some(catch_up) = &self.catch_up {
            catch_up.hold(routes.iter().flat_map(Route::waiting).collect::<Vec<_>>().iter());
        }
    }
}
