//! The worker: a script's thread, from its mailbox to its handlers and back.
//!
//! Owns the VM. Each rule has a lane that decides, by `order` and `concurrency`, which notification may run; a run is a
//! coroutine, taken from a few that are kept. A handler that waits leaves the thread to the others: what it waits for is
//! a future here, and its deadline is put around that future. Handlers are called only from this file.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use mlua::{Function, IntoLuaMulti, MultiValue, Table, Thread, Value};
use tokio::{
    select,
    sync::Semaphore,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Counters,
    call::{Outcome, Pending, RunStreams},
    load::Loaded,
    mailbox::{CREDITS, Mail, Mailbox},
};
use crate::{
    daemon::{CallError, Daemon},
    report::{Event, Failure, FailureKind, Origin},
    rules::{Order, Rule},
    schema::order::OrderKey,
};

/// Credits that are given back at once while there is more to do. One by one, each would wake a feed that waits for
/// credits to hand over a single notification: two switches of threads for each.
const GIVEN_BACK: usize = CREDITS / 4;

/// Idle coroutines that are kept for the next runs.
const KEPT: usize = 64;

/// One rule's notifications on their way into handlers.
pub(super) struct Lane {
    rule: Arc<Rule>,
    name: Arc<str>,
    subscription: Arc<str>,
    handler: Function,
    /// What the handler gets as its second argument.
    about: Table,
    credits: Arc<Semaphore>,
    key: OrderKey,
    waiting: VecDeque<(u64, Bytes)>,
    running: usize,
    busy: HashSet<u64>,
    /// Credits of runs that ended and are not given back yet.
    earned: usize,
}

struct Run {
    lane: usize,
    key: u64,
    thread: Thread,
    deadline: Instant,
    /// The last command it waited for, to name what a timeout interrupted.
    waits_for: Option<Arc<str>>,
    streams: RunStreams,
}

/// A run's future: which run, and what came of it, or nothing when its time was over.
type Waiting = Pin<Box<dyn Future<Output = (u64, Option<Result<Outcome, CallError>>)>>>;

pub(super) struct Worker {
    script: Loaded,
    daemon: Option<Daemon>,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    lanes: Vec<Lane>,
    runs: HashMap<u64, Run>,
    idle: Vec<Thread>,
    waiting: FuturesUnordered<Waiting>,
    next_run: u64,
    stop_at: Option<Instant>,
}

impl Worker {
    pub(super) fn new(
        script: Loaded,
        rules: &[(Arc<Rule>, Arc<Semaphore>)],
        daemon: Option<Daemon>,
        mailbox: Arc<Mailbox>,
        counters: Arc<Counters>,
    ) -> mlua::Result<Self> {
        let lane = |((rule, credits), handler): (&(Arc<Rule>, Arc<Semaphore>), &Function)| {
            let about = script.lua.create_table()?;
            about.raw_set("name", rule.name.as_str())?;
            about.raw_set("subscription", rule.subscription.name.as_str())?;
            about.raw_set("file", rule.file.as_str())?;
            Ok(Lane {
                rule: Arc::clone(rule),
                name: rule.name.as_str().into(),
                subscription: rule.subscription.name.as_str().into(),
                handler: handler.clone(),
                about,
                credits: Arc::clone(credits),
                key: OrderKey::of(&rule.subscription.method.output, "discussion"),
                waiting: VecDeque::new(),
                running: 0,
                busy: HashSet::new(),
                earned: 0,
            })
        };
        let lanes = rules.iter().zip(&script.handlers).map(lane).collect::<mlua::Result<_>>()?;
        let (runs, idle, waiting) = (HashMap::new(), Vec::new(), FuturesUnordered::new());
        Ok(Self { script, daemon, mailbox, counters, lanes, runs, idle, waiting, next_run: 0, stop_at: None })
    }

    /// Works until it is told to stop and all is handled, or until the deadline that it is given then.
    pub(super) async fn work(mut self) {
        enum Wake {
            Mail(VecDeque<Mail>),
            Answer(u64, Option<Result<Outcome, CallError>>),
            Deadline,
        }
        let mailbox = Arc::clone(&self.mailbox);
        while !self.is_finished() {
            let stop_at = self.stop_at;
            let deadline =
                async { if let Some(at) = stop_at { sleep_until(at).await } else { std::future::pending().await } };
            let wake = select! {
                Some((run, answer)) = self.waiting.next(), if !self.waiting.is_empty() => Wake::Answer(run, answer),
                mails = mailbox.take() => Wake::Mail(mails),
                () = deadline => Wake::Deadline,
            };
            match wake {
                Wake::Mail(mails) => mails.into_iter().for_each(|mail| self.receive(mail)),
                Wake::Answer(run, answer) => self.go_on(run, answer),
                Wake::Deadline => return self.give_up(),
            }
            self.lanes.iter_mut().filter(|lane| lane.earned > 0).for_each(Lane::give_back);
        }
    }

    fn is_finished(&self) -> bool {
        self.stop_at.is_some() && self.runs.is_empty() && self.lanes.iter().all(|lane| lane.waiting.is_empty())
    }

    fn receive(&mut self, mail: Mail) {
        match mail {
            Mail::Notification { rule, bytes } => {
                let lane = &mut self.lanes[rule];
                let output = &lane.rule.subscription.method.output;
                let key = if lane.rule.order == Order::Discussion { lane.key.read(output, &bytes) } else { Ok(0) };
                // What cannot be read is told when it would run.
                lane.waiting.push_back((key.unwrap_or_default(), bytes));
                self.start_ready(rule);
            }
            Mail::Stop { deadline } => self.stop_at = Some(deadline),
        }
    }

    /// Takes what arrived too late to run.
    fn receive_late(&mut self, mail: &Mail) {
        if let Mail::Notification { rule, bytes } = mail {
            self.lanes[*rule].waiting.push_back((0, bytes.clone()));
        }
    }

    /// Starts what the lane's order and concurrency allow.
    fn start_ready(&mut self, lane: usize) {
        while let Some((key, bytes)) = self.lanes[lane].next_ready() {
            self.start(lane, key, &bytes);
        }
    }

    fn start(&mut self, index: usize, key: u64, bytes: &Bytes) {
        let lane = &mut self.lanes[index];
        lane.running += 1;
        lane.busy.insert(key);
        let output = &lane.rule.subscription.method.output;
        let table = match self.script.host.converter.table(&self.script.lua, output, bytes) {
            Ok(table) => table,
            Err(error) => {
                let message = format!("the notification cannot be read: {error}");
                self.fail(index, FailureKind::Error, message, None, Vec::new());
                return self.settle(index, key);
            }
        };
        let arguments = (lane.handler.clone(), table, lane.about.clone());
        let deadline = Instant::now() + lane.rule.timeout;
        let thread = match self.idle.pop() {
            Some(thread) => Ok(thread),
            None => self.script.lua.create_thread(self.script.drive.clone()),
        };
        match thread {
            Ok(thread) => {
                let id = self.next_run;
                self.next_run += 1;
                self.resume(
                    id,
                    Run { lane: index, key, thread, deadline, waits_for: None, streams: RunStreams::default() },
                    arguments,
                );
            }
            Err(error) => {
                self.fail(index, FailureKind::Memory, error.to_string(), None, Vec::new());
                self.settle(index, key);
            }
        }
    }

    /// Resumes a run until it waits or ends.
    fn resume(&mut self, id: u64, run: Run, arguments: impl IntoLuaMulti) {
        let lane = &self.lanes[run.lane];
        *self.script.host.current.borrow_mut() = Some((Arc::clone(&lane.name), Arc::clone(&lane.subscription)));
        let yielded = run.thread.resume::<MultiValue>(arguments);
        *self.script.host.current.borrow_mut() = None;
        let yielded = match yielded {
            Ok(yielded) => yielded,
            Err(error) => {
                // Only what is beyond the prelude's own protection comes this way: memory, or the C stack.
                let kind =
                    if matches!(error, mlua::Error::MemoryError(_)) { FailureKind::Memory } else { FailureKind::Error };
                self.fail(run.lane, kind, error.to_string(), None, Vec::new());
                return self.settle(run.lane, run.key);
            }
        };
        let mut yielded = yielded.into_iter();
        match (yielded.next(), yielded.next()) {
            (Some(Value::Table(mark)), Some(Value::Integer(ticket))) if mark == self.script.pending => {
                self.wait(id, run, ticket.cast_unsigned());
            }
            (Some(Value::Boolean(true)), _) => self.end(run),
            (Some(Value::Boolean(false)), Some(Value::Table(failure))) => {
                self.fail_with(run.lane, &failure);
                self.end(run);
            }
            _ => {
                self.fail(
                    run.lane,
                    FailureKind::Error,
                    "the error could not be described".to_owned(),
                    None,
                    Vec::new(),
                );
                self.settle(run.lane, run.key);
            }
        }
    }

    fn wait(&mut self, id: u64, mut run: Run, ticket: u64) {
        let Some(pending) = self.script.host.take_pending(ticket) else {
            self.fail(run.lane, FailureKind::Error, "waited for the same call twice".to_owned(), None, Vec::new());
            return self.settle(run.lane, run.key);
        };
        run.waits_for = Some(name_of(&pending));
        run.streams.watch(&pending);
        let (deadline, daemon) = (run.deadline, self.daemon.clone());
        self.runs.insert(id, run);
        self.waiting.push(Box::pin(async move { (id, timeout_at(deadline, pending.carry_out(daemon)).await.ok()) }));
    }

    fn go_on(&mut self, id: u64, answer: Option<Result<Outcome, CallError>>) {
        let Some(run) = self.runs.remove(&id) else { return };
        let Some(outcome) = answer else { return self.time_out(&run) };
        match self.script.host.answer(&self.script.lua, outcome) {
            Ok(values) => self.resume(id, run, values),
            Err(error) => {
                self.fail(
                    run.lane,
                    FailureKind::Error,
                    format!("the answer cannot be read: {error}"),
                    None,
                    Vec::new(),
                );
                self.settle(run.lane, run.key);
            }
        }
    }

    /// Ends a run whose time is over. Its coroutine is never resumed.
    fn time_out(&mut self, run: &Run) {
        let limit = self.lanes[run.lane].rule.timeout;
        let waiting = run.waits_for.as_deref().map_or_else(String::new, |name| format!(", waiting for {name}"));
        let message = format!("not done after {limit:?}{waiting}; the rule's `timeout` sets the limit");
        self.fail(run.lane, FailureKind::Timeout, message, None, Vec::new());
        self.settle(run.lane, run.key);
    }

    fn end(&mut self, run: Run) {
        if self.idle.len() < KEPT {
            self.idle.push(run.thread);
        }
        self.settle(run.lane, run.key);
    }

    fn settle(&mut self, index: usize, key: u64) {
        let lane = &mut self.lanes[index];
        lane.running -= 1;
        lane.busy.remove(&key);
        lane.earned += 1;
        if lane.earned >= GIVEN_BACK {
            lane.give_back();
        }
        self.counters.settled.fetch_add(1, Ordering::AcqRel);
        if !lane.waiting.is_empty() {
            self.start_ready(index);
        }
    }

    /// Names what is late: the runs under way, and for each rule what still waits.
    fn give_up(&mut self) {
        for mail in self.mailbox.take_now() {
            self.receive_late(&mail);
        }
        for lane in self.lanes.iter().filter(|lane| !lane.waiting.is_empty()) {
            let (origin, count) = (lane.origin(&self.script.host.script, None), lane.waiting.len());
            self.script.host.reporter.emit(&Event::Unhandled { origin, count });
        }
        for run in self.runs.values() {
            let lane = &self.lanes[run.lane];
            let origin = lane.origin(&self.script.host.script, None);
            self.script.host.reporter.emit(&Event::RunAbandoned(origin));
        }
    }

    fn fail_with(&self, lane: usize, failure: &Table) {
        let text = |key: &str| failure.raw_get::<String>(key).ok();
        let memory = failure.raw_get::<bool>("memory").unwrap_or_default();
        let kind = if memory { FailureKind::Memory } else { FailureKind::Error };
        let traceback = failure.raw_get::<Vec<String>>("traceback").unwrap_or_default();
        self.fail(lane, kind, text("message").unwrap_or_default(), text("place"), traceback);
    }

    fn fail(&self, lane: usize, kind: FailureKind, message: String, place: Option<String>, traceback: Vec<String>) {
        self.counters.failed.fetch_add(1, Ordering::Relaxed);
        let origin = self.lanes[lane].origin(&self.script.host.script, place);
        self.script.host.reporter.emit(&Event::RunFailed(Failure { origin, kind, message, traceback }));
    }
}

impl Lane {
    fn give_back(&mut self) {
        self.credits.add_permits(mem::take(&mut self.earned));
    }

    /// Takes the first notification that may run now.
    fn next_ready(&mut self) -> Option<(u64, Bytes)> {
        let limit = if self.rule.order == Order::Rule { 1 } else { self.rule.concurrency };
        if self.running >= limit {
            return None;
        }
        if self.rule.order != Order::Discussion {
            return self.waiting.pop_front();
        }
        let at = self.waiting.iter().position(|(key, _)| !self.busy.contains(key))?;
        self.waiting.remove(at)
    }

    fn origin(&self, script: &Arc<str>, place: Option<String>) -> Origin {
        let (rule, subscription) = (Some(Arc::clone(&self.name)), Some(Arc::clone(&self.subscription)));
        Origin { rule, subscription, script: Arc::clone(script), place }
    }
}

fn name_of(pending: &Pending) -> Arc<str> {
    pending.command().map_or_else(|| "sleep".into(), |command| format!("olvid.{}", command.name).into())
}
