//! The running feeds as the engine holds them, and the rules on their way between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{
        board::{FeedLine, Former},
        catch_up::{CatchUp, Rest, now},
        cell::Cell,
        handover::Handover,
        plan::FeedKey,
        route::Route,
    },
    report::FeedName,
};

/// The running feeds.
#[derive(Default)]
pub(in crate::engine) struct Feeds {
    pub(super) all: BTreeMap<FeedKey, Arc<Handle>>,
    pub(super) tasks: JoinSet<()>,
    /// Rules on their way from one feed to another, over as many reloads as that takes.
    pub(super) moving: Vec<Move>,
}

/// A rule on its way. The feed that it comes from may be none of the set any more.
pub(super) struct Move {
    pub(super) rule: String,
    pub(super) from: Arc<Handle>,
    pub(super) to: Arc<Handle>,
    pub(super) handover: Arc<Handover>,
}

/// The engine's end of a feed.
pub(super) struct Handle {
    pub(super) cell: Arc<Cell>,
    pub(super) routes: watch::Sender<Arc<[Route]>>,
    pub(super) stir: Arc<Notify>,
    pub(super) closing: CancellationToken,
    /// What its task knows of what it handed over, where what was missed can be listed.
    pub(super) catch_up: Option<CatchUp>,
    /// Whether that is kept over the end of the host, and made good at the next start.
    pub(super) kept: bool,
    pub(super) in_hand: Arc<AtomicU64>,
}

impl Feeds {
    pub(in crate::engine) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether any lists what it missed, or is going to once its stream is open.
    pub(in crate::engine) fn catches_up(&self) -> bool {
        self.all.values().any(|handle| handle.catch_up.as_ref().is_some_and(CatchUp::owes))
    }

    /// Closes all streams and waits for the tasks; one that does not end by the deadline is given up. Returns what came in
    /// by then, was taken by no queue, and is not caught up at the next start.
    pub(in crate::engine) async fn stop(&mut self, deadline: Instant) -> Vec<(FeedName, u64)> {
        let (past, under_way): (Vec<_>, Vec<_>) = self.moving.iter().partition(|of| of.handover.has_left());
        for of in &under_way {
            of.handover.leave();
        }
        for handle in self.all.values().chain(under_way.iter().map(|of| &of.from)) {
            handle.closing.cancel();
        }
        drop(timeout_at(deadline, async { while self.tasks.join_next().await.is_some() {} }).await);
        self.tasks.shutdown().await;
        // From here on it is certain what each of them has handed over.
        let left = past.iter().map(|of| (of, of.handover.take_behind(true).and_then(|behind| behind.rest)));
        let cut = under_way.iter().map(|of| (of, of.from.catch_up.as_ref().and_then(CatchUp::rest)));
        for (of, rest) in left.chain(cut) {
            of.to.is_owed(of.handover.waiting(), rest);
        }
        let mut lost = Vec::new();
        let old = under_way.iter().map(|of| &of.from).filter(|from| !self.all.values().any(|to| Arc::ptr_eq(from, to)));
        for handle in self.all.values().chain(old) {
            let in_hand = handle.in_hand.swap(0, Ordering::AcqRel);
            lost.extend((in_hand > 0 && !handle.kept).then(|| (handle.cell.name(), in_hand)));
        }
        lost
    }

    /// The feeds that rules are leaving, by rule.
    pub(super) fn formers(&self) -> impl Iterator<Item = (&str, Former)> {
        let leaving = self.moving.iter().filter(|of| !of.handover.has_left());
        leaving.map(|of| (&*of.rule, Former { cell: Arc::clone(&of.from.cell), handover: Arc::clone(&of.handover) }))
    }

    /// What is shown of all that are there.
    pub(super) fn lines(&self) -> Vec<FeedLine> {
        let mut outside = BTreeMap::<u64, Vec<Former>>::new();
        for (_, former) in self.formers() {
            if !self.all.values().any(|handle| handle.cell.id == former.cell.id) {
                outside.entry(former.cell.id).or_default().push(former);
            }
        }
        let own = self.all.values().map(|handle| FeedLine::Own(Arc::clone(&handle.cell)));
        own.chain(outside.into_values().map(FeedLine::Former)).collect()
    }

    /// What the daemon refused is tried again: the operator may have mended it.
    pub(super) fn try_again(&self) {
        self.all.values().filter(|handle| handle.cell.has_failed()).for_each(|handle| handle.stir.notify_one());
    }

    pub(super) fn completed(&self) -> BTreeSet<FeedKey> {
        let completed = self.all.iter().filter(|(_, handle)| handle.cell.is_completed());
        completed.map(|(key, _)| key.clone()).collect()
    }
}

impl Handle {
    /// Takes note of what its rules are still owed when all is over: what waits to be handed over, and what the stream may
    /// still have had that one came from.
    fn is_owed(&self, mut waiting: Vec<Bytes>, rest: Option<Rest>) {
        if let Some(catch_up) = &self.catch_up {
            if let Some(rest) = rest {
                let passed = rest.ids();
                waiting.retain(|notification| catch_up.id(notification).is_none_or(|id| !passed.contains(&id)));
                catch_up.take_over(rest, &waiting, true, now());
            }
            catch_up.hold_more(waiting.iter());
        }
        // It is told where that is not kept.
        self.in_hand.fetch_add(waiting.len() as u64, Ordering::AcqRel);
    }
}

impl Move {
    pub(super) fn new(rule: &str, from: &Arc<Handle>, to: &Arc<Handle>) -> Self {
        let handover = Handover::new(Arc::clone(&from.stir), Arc::clone(&to.stir));
        if from.cell.is_completed() {
            // There is nothing to come on it.
            handover.leave();
        }
        Self { rule: rule.to_owned(), from: Arc::clone(from), to: Arc::clone(to), handover }
    }

    /// Goes on to where the rule is to be now. What it goes to has not handed over anything yet.
    pub(super) fn led_to(self, to: Option<&Arc<Handle>>) -> Option<Self> {
        match to {
            Some(to) if Arc::ptr_eq(to, &self.to) => Some(self),
            // It stays where it was.
            Some(to) if Arc::ptr_eq(to, &self.from) => None,
            Some(to) => Some(Self::new(&self.rule, &self.from, to)),
            None => None,
        }
    }
}
