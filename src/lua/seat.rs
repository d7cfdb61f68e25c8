//! A lane's place in a worker: the function that handles it there, and the runs that were started from it.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use mlua::{Function, Table};
use tokio::time::Instant;

use super::{
    Counters,
    convert::Plan,
    load::Loaded,
    queue::{self, CREDITS, Ended, Lane, Work},
};
use crate::{
    report::Origin,
    rules::Rule,
    schema::{order::OrderKey, subject::Subject},
};

/// Credits that are given back at once. One by one, each would wake a feed that waits for credits to hand over a single
/// notification: two switches of threads for each.
const GIVEN_BACK: usize = CREDITS / 4;

/// What the second argument of a handler has.
pub(super) const ABOUT: [&str; 4] = ["name", "subscription", "file", "caught_up"];

/// A lane as it is served here, on present terms. Runs keep the seat that they were started from.
pub(super) struct Seat {
    pub(super) lane: Arc<Lane>,
    pub(super) generation: u64,
    pub(super) rule: Arc<Rule>,
    pub(super) name: Arc<str>,
    pub(super) subscription: Arc<str>,
    /// Which discussion a notification is about.
    pub(super) discussion: OrderKey,
    /// What is called. Else why not.
    pub(super) call: Result<Call, String>,
    counters: Arc<Counters>,
    /// Credits of runs that ended and are not given back yet.
    earned: Arc<AtomicUsize>,
    is_listed: Cell<bool>,
}

/// What a handler is called with.
pub(super) struct Call {
    pub(super) handler: Function,
    /// How its first argument is made.
    pub(super) plan: Rc<Plan>,
    /// Its second one: for what comes as it happens, and for what was caught up. Made when first needed: of many rules most
    /// are at rest.
    about: [OnceCell<Table>; 2],
}

impl Call {
    /// The second argument.
    pub(super) fn about(&self, script: &Loaded, rule: &Rule, caught_up: bool) -> mlua::Result<&Table> {
        let made = &self.about[usize::from(caught_up)];
        if let Some(made) = made.get() {
            return Ok(made);
        }
        let about = script.lua.create_table()?;
        let [name, subscription, file, caught] = ABOUT;
        about.raw_set(name, rule.name.as_str())?;
        about.raw_set(subscription, rule.subscription.name.as_str())?;
        about.raw_set(file, rule.file.as_str())?;
        about.raw_set(caught, caught_up)?;
        let about = script.freeze.call(("rule", about))?;
        Ok(made.get_or_init(|| about))
    }
}

impl Seat {
    pub(super) fn new(
        script: &Loaded,
        lane: Arc<Lane>,
        generation: u64,
        rule: Arc<Rule>,
        counters: Arc<Counters>,
    ) -> Rc<Self> {
        let plan = || script.host.converter.plan(&rule.subscription.method.output);
        let made = |handler| -> mlua::Result<Call> { Ok(Call { handler, plan: plan()?, about: Default::default() }) };
        let call = script.handler(&rule).and_then(|handler| made(handler).map_err(|error| error.to_string()));
        let (name, subscription) = (rule.name.as_str().into(), rule.subscription.name.as_str().into());
        let (discussion, earned, is_listed) = (queue::discussion(&rule), lane.kept(generation), Cell::new(false));
        Rc::new(Self { lane, generation, rule, name, subscription, discussion, call, counters, earned, is_listed })
    }

    /// Keeps the credit of a run that ended; whether it has to be put on the list of seats that keep some.
    pub(super) fn earn(&self) -> bool {
        let earned = self.earned.fetch_add(1, Ordering::Relaxed) + 1;
        if earned >= GIVEN_BACK {
            self.give_back();
        }
        !self.is_listed.replace(true)
    }

    /// Gives back what it has earned, unless that would come to nothing before another run has ended; whether it did.
    pub(super) fn give_back_in_time(&self) -> bool {
        let is_due = self.earned.load(Ordering::Relaxed) == 0 || !self.lane.has_enough(self.generation, GIVEN_BACK);
        if is_due {
            self.give_back();
            self.is_listed.set(false);
        }
        is_due
    }

    fn give_back(&self) {
        self.lane.give_back(self.earned.swap(0, Ordering::Relaxed));
    }

    pub(super) fn origin(&self, script: &Arc<str>, place: Option<String>) -> Origin {
        let (rule, subscription) = (Some(Arc::clone(&self.name)), Some(Arc::clone(&self.subscription)));
        Origin { rule, subscription, script: Arc::clone(script), place }
    }
}

impl Drop for Seat {
    /// However its worker ends: a lane that goes on needs all its credits.
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The right to run one notification. Dropped, it is given up: its run counts as failed and holds up nothing any more.
pub(super) struct Claim {
    pub(super) seat: Rc<Seat>,
    id: Option<u64>,
    /// The notification.
    pub(super) bytes: Bytes,
    /// When it came in.
    pub(super) arrived: Instant,
    /// When its handler was called.
    begun: Option<Instant>,
    /// Whether its run sent something that others notice.
    pub(super) is_answered: bool,
}

impl Claim {
    pub(super) fn new(seat: &Rc<Seat>, work: Work) -> Self {
        let Work { claim, bytes, arrived, .. } = work;
        Self { seat: Rc::clone(seat), id: Some(claim), bytes, arrived, begun: None, is_answered: false }
    }

    /// Which notification it is: `message 17`.
    pub(super) fn notification(&self) -> Option<String> {
        let output = &self.seat.rule.subscription.method.output;
        Subject::of(output)?.read(output, &self.bytes)
    }

    /// Its handler is called at that moment.
    pub(super) fn begins(&mut self, at: Instant) {
        self.begun = Some(at);
        self.seat.lane.counters.waited.add(at.saturating_duration_since(self.arrived));
    }

    /// Ends the run; false when it was given up meanwhile.
    pub(super) fn release(mut self, ended: Ended) -> bool {
        self.end(ended)
    }

    fn end(&mut self, ended: Ended) -> bool {
        let Some(id) = self.id.take() else { return false };
        let lane = &self.seat.lane;
        let took = self.begun.map(|begun| lane.now().saturating_duration_since(begun));
        if !lane.release(self.seat.generation, id, ended, took) {
            return false;
        }
        let failed = !matches!(ended, Ended::Well);
        self.seat.counters.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
        self.seat.counters.settled.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Leaves the run as it is, unsettled, in a lane that ends with its worker.
    pub(super) fn leave(mut self) {
        self.id = None;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.end(Ended::GivenUp) {
            self.seat.lane.give_back(1);
        }
    }
}
