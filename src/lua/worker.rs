//! The worker: a script's thread, from its mailbox to its handlers and back.
//!
//! Owns the VM. What may run now is decided by the lanes, which are shared with feeds and other workers; a run is a
//! coroutine, taken from a few that are kept. A handler that waits leaves the thread to the others: what it waits for is
//! a future here, and its deadline is put around that future. Handlers are called only from this file.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    mem,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use mlua::{IntoLuaMulti, Thread, Value};
use tokio::{select, task::yield_now, time::Instant};

use super::{
    Counters,
    call::Outcome,
    failure::Scene,
    fault::Fault,
    interrupt::{self, Breach, Stopped, heap},
    load::Loaded,
    mailbox::{Mail, Mailbox},
    queue::{Ended, Lane, Next, Work},
    restraint,
    run::Run,
    seat::{Claim, Seat},
    told::Owing,
    usage::Memory,
    voice::Voice,
};
use crate::{
    clock::{Clock, until},
    daemon::{CallError, Daemon},
    report::{Event, FailureKind, Reporter},
};

mod mail;

/// Runs of one lane that are started at a stretch: then others have their turn, and the clock is looked at.
const TURN: usize = 64;

/// What Lua raises where it gets no memory.
const NO_MEMORY: &str = "not enough memory";

/// The number of no run: that of a future that tells something later.
const NO_RUN: u64 = u64::MAX;

/// Bytes of garbage that a VM is left with while nothing runs.
const WORTH_COLLECTING: usize = 256 * 1024;

/// Bytes that are worth giving back to the system, which takes a look at all that is free.
const WORTH_RELEASING: usize = 128 * 1024;

/// The same at the end of a VM that once held so much: what a small one held is for others.
pub(super) const WORTH_RELEASING_AT_END: usize = 1024 * 1024;

/// Bytes of garbage that a VM is left with while nothing happens, and for how long it may have more.
const LITTLE: usize = 32 * 1024;
const IDLE: Duration = Duration::from_secs(5);

/// Idle coroutines that are kept for the next runs.
const KEPT: usize = 64;

/// A run's future: which run, and what came of it, or nothing when its time was over.
type Waiting = Pin<Box<dyn Future<Output = (u64, Option<Result<Outcome, CallError>>)>>>;

pub(super) struct Worker {
    script: Loaded,
    daemon: Option<Daemon>,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    seats: HashMap<*const Lane, Rc<Seat>>,
    /// Seats with credits to give back.
    earned: Vec<Rc<Seat>>,
    runs: HashMap<u64, Run>,
    idle: Vec<Thread>,
    waiting: FuturesUnordered<Waiting>,
    next_run: u64,
    /// Bytes of the VM: the most that any of its rules has.
    memory: usize,
    /// Bytes that were left of the VM when it was last collected.
    kept: usize,
    /// Where it says what the VM holds.
    used: Arc<Memory>,
    /// Runs that were started or went on since the clock was looked at.
    started: usize,
    /// Whether a seat was left: what all rules together allow may be less.
    is_left: bool,
    paused: bool,
    stop_at: Option<Instant>,
    /// The thread was given up while it did not come back: another one does the work.
    is_lost: bool,
}

impl Worker {
    pub(super) fn new(
        script: Loaded,
        daemon: Option<Daemon>,
        mailbox: Arc<Mailbox>,
        counters: Arc<Counters>,
        used: Arc<Memory>,
    ) -> Self {
        Self {
            script,
            daemon,
            mailbox,
            counters,
            seats: HashMap::new(),
            earned: Vec::new(),
            runs: HashMap::new(),
            idle: Vec::new(),
            waiting: FuturesUnordered::new(),
            next_run: 0,
            memory: 0,
            kept: 0,
            used,
            started: 0,
            is_left: false,
            paused: false,
            stop_at: None,
            is_lost: false,
        }
    }

    /// Works until it is told to stop and all is handled, or until the deadline that it is given then. Returns the bytes that
    /// the VM held at most, where it was looked at: what was collected before that was given back then.
    pub(super) async fn work(mut self) -> usize {
        enum Wake {
            Mail(VecDeque<Mail>),
            Answer(u64, Option<Result<Outcome, CallError>>),
            Owing,
            Idle,
            Deadline,
        }
        let (mailbox, clock) = (Arc::clone(&self.mailbox), self.script.host.clock.clone());
        let mut most = 0;
        while !self.is_finished() {
            if mem::take(&mut self.is_left) {
                self.take_terms();
            }
            if self.runs.is_empty() {
                self.tidy();
            }
            let used = self.script.lua.used_memory();
            self.used.set(used);
            most = most.max(used);
            let deadline = until(self.stop_at);
            let is_littered = self.runs.is_empty() && used > self.kept + LITTLE;
            let idle = until(is_littered.then(|| Instant::now() + IDLE));
            let owing = alarm(&clock, self.script.host.owing.borrow().next());
            let wake = select! {
                Some((run, answer)) = self.waiting.next(), if !self.waiting.is_empty() => Wake::Answer(run, answer),
                mails = mailbox.take() => Wake::Mail(mails),
                () = owing => Wake::Owing,
                () = idle => Wake::Idle,
                () = deadline => Wake::Deadline,
            };
            match wake {
                Wake::Mail(mails) => self.receive_all(mails),
                Wake::Answer(run, answer) => {
                    self.go_on(run, answer);
                    // What else has come goes on now, too: what it asks for then leaves together.
                    while self.started < TURN && !self.is_lost {
                        let Some(Some((run, answer))) = self.waiting.next().now_or_never() else { break };
                        self.go_on(run, answer);
                    }
                }
                Wake::Owing => self.tell(Owing::tell),
                Wake::Idle => self.collect(),
                Wake::Deadline => {
                    self.give_up();
                    break;
                }
            }
            self.earned.retain(|seat| !seat.give_back_in_time());
            if self.started >= TURN {
                // A mailbox that is never empty would keep timers from being looked at.
                self.started = 0;
                yield_now().await;
            }
        }
        most
    }

    fn is_finished(&self) -> bool {
        if self.is_lost {
            return true;
        }
        let has_waiting = |seat: &Rc<Seat>| seat.lane.has_waiting(&self.mailbox);
        self.stop_at.is_some() && self.runs.is_empty() && !self.seats.values().any(has_waiting)
    }

    /// Starts what the lane's order and concurrency allow.
    fn start_ready(&mut self, lane: &Arc<Lane>) {
        let Some(seat) = self.seats.get(&Arc::as_ptr(lane)).map(Rc::clone) else { return };
        for _ in 0..TURN {
            // Asked each time, as a run may have been the last for this VM.
            if self.paused || self.is_lost {
                return;
            }
            match lane.next(seat.generation) {
                Next::Start(work) => self.start(&seat, work),
                Next::Nothing => return,
                Next::Gone => {
                    self.seats.remove(&Arc::as_ptr(lane));
                    self.is_left = true;
                    return;
                }
            }
        }
        self.mailbox.put(Mail::Ready(Arc::clone(lane)));
    }

    fn start(&mut self, seat: &Rc<Seat>, work: Work) {
        self.started += 1;
        if mem::take(&mut self.is_left) {
            self.take_terms();
        }
        let caught_up = work.caught_up;
        let claim = Claim::new(seat, work);
        if restraint::leaves_out(&claim) {
            return self.settle(claim, None);
        }
        let call = match &seat.call {
            Ok(call) => call,
            Err(cause) => return self.settle(claim, Some(Fault::new(FailureKind::Error, cause))),
        };
        let about = match call.about(&self.script, &seat.rule, caught_up) {
            Ok(about) => about,
            Err(error) => return self.settle(claim, Some(Fault::unprotected(&error, self.memory))),
        };
        let new = || self.script.lua.create_thread(self.script.drive.clone());
        let thread = match self.idle.pop().map_or_else(new, Ok) {
            Ok(thread) => thread,
            Err(error) => return self.settle(claim, Some(Fault::unprotected(&error, self.memory))),
        };
        if let Err(error) = self.script.host.converter.hand_over(&thread, &call.plan, &claim.bytes) {
            self.idle.push(thread);
            let message = format!("the notification cannot be read: {error}");
            return self.settle(claim, Some(Fault::new(FailureKind::Error, &message)));
        }
        let id = self.next_run;
        self.next_run += 1;
        let run = Run::new(claim, thread, &self.script.host.clock, self.memory);
        self.resume(id, run, (&call.handler, about));
    }

    /// Resumes a run until it waits or ends.
    fn resume(&mut self, id: u64, mut run: Run, arguments: impl IntoLuaMulti) {
        self.mailbox.answer();
        self.script.host.voice.replace(Voice::of(&run.claim.seat, run.said));
        let ended = self.script.guard.resume(&self.script.lua, &run.thread, arguments, &mut run.bounds);
        run.said = self.script.host.fall_silent();
        let yielded = match ended {
            Err(stopped) => return self.stopped(run, stopped),
            Ok(Ok(yielded)) => yielded,
            Ok(Err(error)) => {
                return self.settle(run.claim, Some(Fault::unprotected(&error, self.memory)));
            }
        };
        match yielded {
            (Value::Table(mark), Value::Integer(ticket)) if mark == self.script.pending => {
                self.wait(id, run, ticket.cast_unsigned());
            }
            (Value::Boolean(true), _) => self.end(run, None),
            (Value::Boolean(false), Value::Table(failure)) => {
                self.end(run, Some(Fault::described(&failure, self.memory)));
            }
            // Memory that ran out where Lua cannot collect any, as in deep recursion: no handler of errors is called.
            (Value::Boolean(false), Value::String(text)) if text == NO_MEMORY => {
                self.script.host.tell_failure(&run.claim, Fault::memory(self.memory));
                self.recover();
                self.release(run.claim, Ended::Failed(FailureKind::Memory));
            }
            (_, error) => self.settle(run.claim, Some(Fault::undescribed(&error))),
        }
    }

    /// Ends a run that breached a bound. Its coroutine is never resumed.
    fn stopped(&mut self, run: Run, stopped: Stopped) {
        let Stopped { breach, is_lost, is_told, .. } = stopped;
        self.script.host.forget_pending();
        let fault = Fault::stopped(stopped, &run.claim.seat.rule.limits, self.memory);
        let ended = Ended::Failed(fault.kind());
        if !is_told {
            self.script.host.tell_failure(&run.claim, fault);
        }
        drop(run.thread);
        self.is_lost |= is_lost;
        // Who sees the run as ended sees what else ended with it.
        if breach == Breach::Memory {
            self.recover();
        }
        self.release(run.claim, ended);
    }

    /// Collects what a run left that took all memory. What the script's variables hold stays: where that leaves too little
    /// to work with, another VM is asked for, and what waits is left to it.
    fn recover(&mut self) {
        self.collect();
        if self.script.lua.used_memory() > self.memory - self.memory / 4 {
            self.paused = true;
            self.script.guard.raise_spent();
        }
    }

    /// Collects what runs left, where it is much: nothing would while nothing runs.
    fn tidy(&mut self) {
        if self.script.lua.used_memory() > 2 * self.kept + WORTH_COLLECTING {
            self.collect();
        }
    }

    fn collect(&mut self) {
        let before = self.script.lua.used_memory();
        self.script.lua.gc_collect().unwrap_or_default();
        self.kept = self.script.lua.used_memory();
        if before.saturating_sub(self.kept) > WORTH_RELEASING {
            heap::release();
        }
    }

    fn wait(&mut self, id: u64, mut run: Run, ticket: u64) {
        let Some((pending, held)) = self.script.host.take_pending(ticket) else {
            let fault = Fault::new(FailureKind::Error, "waited for the same call twice");
            return self.settle(run.claim, Some(fault));
        };
        let pending = run.streams.watch(pending);
        let (deadline, daemon) = (run.deadline, self.daemon.clone());
        let (leave, later) = restraint::asks(&mut run.claim, &self.script.host, &pending, deadline);
        let limit = run.waits(&pending, &leave);
        self.runs.insert(id, run);
        self.tell_later(later);
        let (clock, counters) = (self.script.host.clock.clone(), Arc::clone(&self.counters));
        self.waiting.push(Box::pin(async move {
            let answer = leave.carry_out(pending, daemon, &held, &clock, &counters.calls);
            (id, clock.within(deadline, limit, answer).await)
        }));
    }

    fn tell_later(&mut self, all: impl IntoIterator<Item = impl Future<Output = ()> + 'static>) {
        let run_of_none = |told| -> Waiting {
            Box::pin(async move {
                told.await;
                (NO_RUN, None)
            })
        };
        self.waiting.extend(all.into_iter().map(run_of_none));
    }

    fn go_on(&mut self, id: u64, answer: Option<Result<Outcome, CallError>>) {
        let Some(mut run) = self.runs.remove(&id) else { return };
        self.started += 1;
        run.goes_on(&self.script.host.clock);
        let lane = Arc::clone(&run.claim.seat.lane);
        match answer.map(|outcome| self.script.host.answer(&self.script.lua, outcome)) {
            Some(Ok(values)) => self.resume(id, run, values),
            Some(Err(error)) => {
                let message = format!("the answer cannot be read: {error}");
                self.settle(run.claim, Some(Fault::new(FailureKind::Error, &message)));
            }
            None => self.time_out(run),
        }
        self.start_ready(&lane);
    }

    /// Ends a run whose time is over. Its coroutine is never resumed.
    fn time_out(&mut self, run: Run) {
        let fault = Fault::timeout(&run.claim.seat.rule.limits, run.waits_for.as_deref());
        self.settle(run.claim, Some(fault.at(Scene::of(interrupt::frames(&run.thread)))));
    }

    fn end(&mut self, run: Run, fault: Option<Fault>) {
        if self.idle.len() < KEPT {
            self.idle.push(run.thread);
        }
        self.settle(run.claim, fault);
    }

    /// Ends a run, told first: the next of its line, on whichever thread, comes after.
    fn settle(&mut self, claim: Claim, fault: Option<Fault>) {
        let ended = fault.as_ref().map_or(Ended::Well, |fault| Ended::Failed(fault.kind()));
        if let Some(fault) = fault {
            self.script.host.tell_failure(&claim, fault);
        }
        self.release(claim, ended);
    }

    fn release(&mut self, claim: Claim, ended: Ended) {
        let seat = Rc::clone(&claim.seat);
        if claim.release(ended) && seat.earn() {
            self.earned.push(seat);
        }
    }

    /// Tells of what is owed to the log.
    fn tell(&self, what: fn(&mut Owing, Instant, &Reporter)) {
        let host = &self.script.host;
        what(&mut host.owing.borrow_mut(), host.clock.instant(), &host.reporter);
    }

    /// Names what is late: the runs under way, and for each rule what still waits.
    fn give_up(&mut self) {
        let (script, reporter) = (&self.script.host.script, &self.script.host.reporter);
        for seat in self.seats.values() {
            let count = seat.lane.drop_waiting(&self.mailbox);
            if count > 0 {
                reporter.emit(&Event::Unhandled { origin: seat.origin(script, None), count });
            }
        }
        for run in mem::take(&mut self.runs).into_values() {
            let claim = run.claim;
            reporter.emit(&Event::RunAbandoned(claim.seat.origin(script, None)));
            if !claim.seat.lane.goes_on_without(&self.mailbox) {
                claim.leave();
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.tell(Owing::tell_all);
        self.mailbox.close();
    }
}

/// Waits for that time of a clock, or for ever.
async fn alarm(clock: &Clock, at: Option<Instant>) {
    match at {
        Some(at) => clock.alarm(at).await,
        None => std::future::pending().await,
    }
}
