//! A rule's queue: its notifications between the feeds and whichever script handles them.
//!
//! Lives as long as the rule, over all scripts that serve it. It owns what waits and knows every run that is under way, on
//! whichever thread, so that `order` and `concurrency` hold across a change of script. That change is one store under the
//! queue's lock: what was not started then is started by the new script, what was is the former one's until it ends. A
//! worker that is gone or stuck therefore holds no notification back.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Semaphore, time::Instant};

mod claims;
mod waiting;

use super::{
    Counters,
    durations::Durations,
    mailbox::{Mail, Mailbox},
    restraint::{Restraint, Silence},
    told::Told,
};
use crate::{
    clock::Clock,
    report::FailureKind,
    rules::{Order, Rule},
    schema::order::OrderKey,
};
use claims::{Claims, Line};
use waiting::{Notification, Waiting};

/// Notifications of one rule that are queued or running: about one second of a busy group; when all are out, the feed
/// waits.
pub const CREDITS: usize = 256;

/// What became of one rule's notifications, over all scripts that served it.
#[derive(Debug, Default)]
pub struct LaneCounters {
    /// Accepted.
    pub queued: AtomicU64,
    /// Of these, the ones whose run ended, however it ended.
    pub settled: AtomicU64,
    /// Of these, the ones whose run failed.
    pub failed: AtomicU64,
    /// Of the settled ones, those that no handler was called for: the rule ignores them, or they were part of a loop.
    pub left_out: AtomicU64,
    /// Runs under way.
    pub running: AtomicU64,
    /// The failed ones by [`FailureKind`], in the order of its `ALL`.
    pub kinds: [AtomicU64; FailureKind::ALL.len()],
    /// The failed ones that were given up with their thread, whatever they would have come to.
    pub given_up: AtomicU64,
    /// From when each was accepted until its handler was called.
    pub waited: Durations,
    /// How long each handler that was called took, to its end.
    pub ran: Durations,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ended {
    Well,
    Failed(FailureKind),
    /// Its thread does not come back, or died.
    GivenUp,
}

/// One rule's end, where notifications are put in. A clone is the same queue.
///
/// It is for one subscription: what waits in it is read as what the rule that it was last attached with listens to.
#[derive(Clone)]
pub struct RuleQueue(pub(super) Arc<Lane>);

/// The queue as its workers see it.
pub(super) struct Lane {
    credits: Semaphore,
    pub(super) counters: LaneCounters,
    pub(super) restraint: Restraint,
    /// What its scripts said and what is owed of it.
    pub(super) told: Arc<Told>,
    all: Arc<Counters>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Waiting,
    claims: Claims,
    serving: Option<Serving>,
    /// How often it was given to a worker.
    generation: u64,
    /// Whether the worker has a mail about it that it has not looked into yet.
    told: bool,
    retired: bool,
}

/// Who serves the lane, and on which terms.
struct Serving {
    mailbox: Arc<Mailbox>,
    rule: Arc<Rule>,
    key: OrderKey,
    /// Credits that it keeps for now.
    kept: Arc<AtomicUsize>,
}

/// What a worker may do next with a lane.
pub(super) enum Next {
    /// Run this.
    Start(Work),
    /// Nothing may run now; a mail comes when that changes by what others do.
    Nothing,
    /// The lane is not this worker's any more, or is retired and empty.
    Gone,
}

/// A notification that is to be handled now.
pub(super) struct Work {
    pub(super) claim: u64,
    pub(super) bytes: Bytes,
    pub(super) caught_up: bool,
    /// When it was put in.
    pub(super) arrived: Instant,
}

impl RuleQueue {
    /// Makes an empty queue that no script serves: what is put in waits until it is attached to one.
    pub fn new() -> Self {
        Self::counted(&Arc::default(), &Clock::system())
    }

    /// Makes one that counts what it accepts among all that is accepted, too, at the time of a clock.
    pub fn counted(all: &Arc<Counters>, clock: &Clock) -> Self {
        Self(Arc::new(Lane {
            credits: Semaphore::new(CREDITS),
            counters: LaneCounters::default(),
            restraint: Restraint::default(),
            told: Arc::default(),
            all: Arc::clone(all),
            clock: clock.clone(),
            state: Mutex::default(),
        }))
    }

    /// Waits for a credit, hands over as many of a batch as there are credits for, and returns how many; none when the
    /// rule was retired. Dropped before it is done, it has handed over nothing.
    pub async fn push_some(&self, batch: &[Bytes], caught_up: bool) -> Option<usize> {
        if batch.is_empty() {
            return Some(0);
        }
        let credits = &self.0.credits;
        credits.acquire().await.ok()?.forget();
        let mut taken = 1;
        while let Some(more) = (taken < batch.len()).then(|| credits.try_acquire().ok()).flatten() {
            more.forget();
            taken += 1;
        }
        self.0.accept(&batch[..taken], caught_up).then_some(taken)
    }

    /// The rule is gone: a push that waits returns, and what was accepted is still handled by its present worker, which
    /// then forgets the lane.
    pub fn retire(&self) {
        self.0.credits.close();
        let mut state = self.0.state();
        state.retired = true;
        state.tell(&self.0);
    }

    /// What became of its notifications so far.
    pub fn counters(&self) -> &LaneCounters {
        &self.0.counters
    }

    /// Whether something waits that may run now.
    pub fn may_start(&self) -> bool {
        self.0.state().next().is_some()
    }

    /// Lines that its scripts wrote, and failures, that were left out of the log.
    pub fn lines_left_out(&self) -> u64 {
        self.0.told.left_out()
    }

    /// Loops that were stopped, and commands that were held back, so far.
    pub fn restrained(&self) -> (u64, u64) {
        self.0.restraint.counts()
    }

    /// Where the rule is silent for now, because exchanges went round in circles.
    pub fn silences(&self) -> Vec<Silence> {
        self.0.restraint.silences(self.0.clock.instant())
    }
}

impl Default for RuleQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl Lane {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present moment.
    pub(super) fn now(&self) -> Instant {
        self.clock.instant()
    }

    fn accept(self: &Arc<Self>, batch: &[Bytes], caught_up: bool) -> bool {
        let mut state = self.state();
        if state.retired {
            return false;
        }
        self.counters.queued.fetch_add(batch.len() as u64, Ordering::AcqRel);
        self.all.queued.fetch_add(batch.len() as u64, Ordering::AcqRel);
        state.waiting.extend(batch, caught_up, self.clock.instant());
        state.tell(self);
        true
    }

    /// Gives the lane to a worker, and tells the one that had it. Returns the generation that the worker serves it in.
    pub(super) fn serve(self: &Arc<Self>, rule: &Arc<Rule>, mailbox: &Arc<Mailbox>) -> u64 {
        let mut state = self.state();
        let former = state.give(self, rule, mailbox);
        let generation = state.generation;
        drop(state);
        if let Some(former) = former.filter(|former| !Arc::ptr_eq(&former.mailbox, mailbox)) {
            former.mailbox.put(Mail::Ready(Arc::clone(self)));
        }
        generation
    }

    /// Gives the lane to the same worker with the new settings that are among these, where it is still served in this
    /// generation and not retired. Returns the next one.
    pub(super) fn renew(self: &Arc<Self>, generation: u64, rules: &[Arc<Rule>], mailbox: &Arc<Mailbox>) -> Option<u64> {
        let mut state = self.state();
        let serving = state.serving.as_ref().filter(|_| state.generation == generation && !state.retired)?;
        let rule = rules.iter().find(|rule| rule.name == serving.rule.name)?;
        state.give(self, rule, mailbox);
        Some(state.generation)
    }

    /// Takes the first notification that may run now.
    pub(super) fn next(&self, generation: u64) -> Next {
        let mut state = self.state();
        if state.generation != generation {
            return Next::Gone;
        }
        if let Some(work) = state.take() {
            self.counters.running.fetch_add(1, Ordering::Relaxed);
            return Next::Start(work);
        }
        state.told = false;
        if state.retired && state.waiting.is_empty() { Next::Gone } else { Next::Nothing }
    }

    /// Ends a run that took so long, if its handler was called. False when it was given up before; otherwise its credit
    /// is the worker's to give back.
    pub(super) fn release(self: &Arc<Self>, generation: u64, claim: u64, ended: Ended, took: Option<Duration>) -> bool {
        let mut state = self.state();
        let State { claims, waiting, .. } = &mut *state;
        if !claims.end(claim, |key| waiting.ended(key)) {
            return false;
        }
        self.counters.running.fetch_sub(1, Ordering::Relaxed);
        if let Some(took) = took {
            self.counters.ran.add(took);
        }
        self.counters.failed(ended);
        self.counters.settled.fetch_add(1, Ordering::AcqRel);
        if generation != state.generation && !state.waiting.is_empty() {
            state.tell(self);
        }
        true
    }

    /// Gives up all runs of a generation, whose worker does not answer: they hold up nothing any more. Returns how many.
    pub(super) fn abandon(self: &Arc<Self>, generation: u64) -> usize {
        let runs: Vec<u64> = self.state().claims.of(generation).collect();
        let given_up = runs.into_iter().filter(|claim| self.release(generation, *claim, Ended::GivenUp, None)).count();
        self.give_back(given_up);
        given_up
    }

    /// Whether, in this generation, as many runs are under way as may be, and so many notifications wait: more would only
    /// wait, too. Whoever serves it is told when that changes by what others do.
    pub(super) fn has_enough(&self, generation: u64, waiting: usize) -> bool {
        let state = self.state();
        if state.generation != generation {
            return false;
        }
        let is_full = state.serving.as_ref().is_some_and(|serving| state.claims.len() >= serving.limit());
        is_full && state.waiting.len() >= waiting
    }

    /// Where whoever serves it in a generation counts the credits that it keeps.
    pub(super) fn kept(&self, generation: u64) -> Arc<AtomicUsize> {
        let state = self.state();
        let serving = state.serving.as_ref().filter(|_| state.generation == generation);
        serving.map_or_else(Arc::default, |serving| Arc::clone(&serving.kept))
    }

    /// Gives credits back.
    pub(super) fn give_back(&self, credits: usize) {
        self.credits.add_permits(credits);
    }

    /// Whether something waits for the worker with this mailbox.
    pub(super) fn has_waiting(&self, mailbox: &Arc<Mailbox>) -> bool {
        let state = self.state();
        state.is_served_by(mailbox) && !state.waiting.is_empty()
    }

    /// Whether the lane goes on without the worker with this mailbox, as another one's or because it is retired.
    pub(super) fn goes_on_without(&self, mailbox: &Arc<Mailbox>) -> bool {
        let state = self.state();
        state.retired || !state.is_served_by(mailbox)
    }

    /// Whether nothing more is started in this generation.
    pub(super) fn is_over(&self, generation: u64) -> bool {
        let state = self.state();
        state.generation != generation || (state.retired && state.waiting.is_empty())
    }

    /// Whether the rule is gone.
    pub(super) fn is_retired(&self) -> bool {
        self.state().retired
    }

    /// Whether a generation matters: it is the present one, or has runs under way.
    pub(super) fn concerns(&self, generation: u64) -> bool {
        let state = self.state();
        state.generation == generation || state.claims.of(generation).next().is_some()
    }

    /// Drops what waits for the worker with this mailbox, which gives up. Returns how much.
    pub(super) fn drop_waiting(&self, mailbox: &Arc<Mailbox>) -> usize {
        let mut state = self.state();
        if !state.is_served_by(mailbox) {
            return 0;
        }
        let count = state.waiting.len();
        state.waiting.clear();
        self.give_back(count);
        count
    }
}

impl LaneCounters {
    /// Counts a failure, if it is one.
    fn failed(&self, ended: Ended) {
        let kind = match ended {
            Ended::Well => return,
            Ended::Failed(kind) => &self.kinds[kind as usize],
            Ended::GivenUp => &self.given_up,
        };
        kind.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Serving {
    /// How many runs may be under way.
    fn limit(&self) -> usize {
        if self.rule.order == Order::Rule { 1 } else { self.rule.concurrency }
    }
}

impl State {
    fn is_served_by(&self, mailbox: &Arc<Mailbox>) -> bool {
        self.serving.as_ref().is_some_and(|serving| Arc::ptr_eq(&serving.mailbox, mailbox))
    }

    /// Begins a generation; returns who served the former one.
    fn give(&mut self, lane: &Arc<Lane>, rule: &Arc<Rule>, mailbox: &Arc<Mailbox>) -> Option<Serving> {
        self.generation += 1;
        self.waiting.forget();
        // The mail says that there is something to look at, too.
        self.told = true;
        mailbox.put(Mail::Seat { lane: Arc::clone(lane), rule: Arc::clone(rule), generation: self.generation });
        let (key, kept) = (discussion(rule), Arc::default());
        let former = self.serving.replace(Serving { mailbox: Arc::clone(mailbox), rule: Arc::clone(rule), key, kept });
        if let Some(former) = &former {
            // Its thread may never come back.
            lane.give_back(former.kept.swap(0, Ordering::Relaxed));
        }
        former
    }

    fn tell(&mut self, lane: &Arc<Lane>) {
        if let Some(serving) = self.serving.as_ref().filter(|_| !self.told) {
            serving.mailbox.put(Mail::Ready(Arc::clone(lane)));
            self.told = true;
        }
    }

    /// Where the first notification stands that may run now, and which line it is of.
    fn next(&mut self) -> Option<(usize, Line)> {
        let serving @ Serving { rule, key, .. } = self.serving.as_ref()?;
        if self.claims.len() >= serving.limit() {
            return None;
        }
        match rule.order {
            Order::Discussion => {
                let output = &rule.subscription.method.output;
                // What cannot be read is told when it would run.
                let read = |bytes: &Bytes| key.read(output, bytes).unwrap_or_default();
                self.waiting.first_free(&mut self.claims, read)
            }
            Order::Rule | Order::None => (!self.waiting.is_empty()).then_some((0, Line::Any)),
        }
    }

    fn take(&mut self) -> Option<Work> {
        let (at, line) = self.next()?;
        let Notification { bytes, caught_up, arrived, .. } = self.waiting.remove(at)?;
        Some(Work { claim: self.claims.begin(self.generation, line), bytes, caught_up, arrived })
    }
}

/// Where a rule's notifications say which discussion they are about.
pub(super) fn discussion(rule: &Rule) -> OrderKey {
    OrderKey::of(&rule.subscription.method.output, "discussion")
}
