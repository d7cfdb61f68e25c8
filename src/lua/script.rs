//! A script from outside: its thread is started, its lanes come and go, it is told to stop.
//!
//! Nothing here waits for a handler. What the control plane says goes through the mailbox, in order.

use std::{
    io, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value as Json;
use tokio::{
    runtime::{self, Runtime},
    sync::{oneshot, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Counters,
    alarm::{Alarm, Bell},
    crashed,
    interrupt::{Breach, heap},
    load::{self, located},
    mailbox::{Mail, Mailbox, Reply},
    pulse::Pulse,
    queue::{Lane, RuleQueue},
    spec::{ScriptKey, ScriptSpec},
    state::SAVE_FAILED,
    usage::{Account, Memory},
    worker::{WORTH_RELEASING_AT_END, Worker},
};
use crate::{
    daemon::Daemon,
    diagnostic::{Diagnostic, Place},
    report::{Failure, FailureKind, Fate, Origin, Reporter},
    rules::{Rule, inputs::Inputs},
};

/// How long a script may take to be loaded, or to restore its state.
pub const LOADING: Duration = Duration::from_secs(10);

/// How long a script may take to say what it wants to keep, from when it is asked.
pub const SAVING: Duration = Duration::from_secs(5);

/// What a thread is told of its sockets at one time; room for more would be taken from the start, for hundreds of scripts.
const SOCKET_EVENTS: usize = 16;

/// A script that is loaded on its own thread and waits to be started or let go: dropping it ends its thread.
pub struct Prepared {
    script: Script,
    /// What is certainly not as its author meant it.
    pub warnings: Vec<Diagnostic>,
}

/// A running script. Dropping one that was not told to stop ends it at once.
pub struct Script {
    /// As the rules name it.
    pub name: Arc<str>,
    /// What it is the same script by when rules are loaded again.
    pub key: ScriptKey,
    /// What it has read or looked for so far; grows when it requires a module late.
    pub inputs: Inputs,
    /// What its threads have used up, over all VMs that it has had.
    pub account: Arc<Account>,
    /// What its VM holds.
    pub used: Arc<Memory>,
    mailbox: Arc<Mailbox>,
    /// Lanes that it serves or has runs of, with the generation it serves them in.
    lanes: Mutex<Vec<(Weak<Lane>, u64)>>,
    counters: Arc<Counters>,
    stopped: AtomicBool,
    given_up: AtomicBool,
    /// Whether it has a `save`.
    keeps_state: bool,
    /// True when the thread has come to its end; closed before that when it panicked.
    ended: watch::Receiver<bool>,
    alarm: Arc<Alarm>,
    pulse: Arc<Pulse>,
    told: AtomicBool,
}

impl Prepared {
    /// Starts the script's thread and loads the script on it, within [`LOADING`].
    ///
    /// `daemon` carries out its commands; `counters` and the bell that rings when it needs another VM are shared by all
    /// scripts. The record of a spec's `inputs` holds what
    /// was read where this fails, too.
    pub async fn load(
        spec: ScriptSpec,
        daemon: Option<Daemon>,
        reporter: Reporter,
        counters: Arc<Counters>,
        bell: Option<Bell>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (name, place) = (Arc::clone(&spec.name), spec.place().cloned());
        let mailbox = Arc::<Mailbox>::default();
        let (ready, loaded) = oneshot::channel();
        let (end, ended) = watch::channel(false);
        let alarm = Alarm::new(bell);
        let pulse = Pulse::new(Arc::clone(&mailbox), Arc::clone(&alarm), ended.clone());
        let mut script = Script {
            name: Arc::clone(&name),
            key: spec.key.clone(),
            inputs: spec.inputs.clone(),
            account: Arc::clone(&spec.account),
            used: Arc::default(),
            mailbox: Arc::clone(&mailbox),
            lanes: Mutex::default(),
            counters: Arc::clone(&counters),
            stopped: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            keeps_state: false,
            ended,
            alarm: Arc::clone(&alarm),
            pulse: Arc::new(pulse),
            told: AtomicBool::new(false),
        };
        let used = Arc::clone(&script.used);
        let body = move || {
            let _entry = Arc::clone(&spec.account).enter();
            let admin = daemon.as_ref().is_some_and(Daemon::is_admin);
            let loaded = load::load(&spec, &reporter, admin, alarm);
            drop(spec);
            run(loaded, ready, daemon, |script, daemon| Worker::new(script, daemon, mailbox, counters, used));
            end.send_replace(true);
        };
        let thread_name: String = name.chars().rev().take(15).collect::<Vec<_>>().into_iter().rev().collect();
        if let Err(error) = thread::Builder::new().name(thread_name).spawn(body) {
            return Err(vec![Diagnostic::error("script-failed", format!("no thread for `{name}`: {error}"))]);
        }
        match timeout(LOADING, loaded).await {
            Ok(Ok(Ok(Ready { keeps_state, warnings }))) => {
                script.keeps_state = keeps_state;
                Ok(Self { script, warnings })
            }
            Ok(Ok(Err(mistakes))) => Err(mistakes),
            Ok(Err(_)) => Err(vec![crashed(&name)]),
            Err(_) => Err(vec![unfinished(&name, place.as_ref())]),
        }
    }

    /// Hands over what the former version of the script kept, to its `restore`; without one, nothing happens.
    ///
    /// An error that it raises is told as one while loading is; so is taking longer than [`LOADING`].
    pub async fn restore(&self, state: Json) -> Result<(), Vec<Diagnostic>> {
        let mail = |reply| Mail::Restore { state, reply };
        self.script.ask(mail, LOADING, "script-failed", "restore its state").await
    }

    /// From here on it works; it has no lanes yet.
    pub fn start(self) -> Script {
        self.script
    }
}

/// What is to be known of a script that was loaded.
struct Ready {
    keeps_state: bool,
    warnings: Vec<Diagnostic>,
}

/// What is told of a script whose loading takes too long.
pub(super) fn unfinished(name: &str, place: Option<&Place>) -> Diagnostic {
    let message = format!("`{name}` does not finish loading: it was given up after {LOADING:?}");
    located(Diagnostic::error("script-failed", message), place)
}

/// The thread's life from a loaded script on.
fn run(
    loaded: Result<load::Loaded, Vec<Diagnostic>>,
    ready: oneshot::Sender<Result<Ready, Vec<Diagnostic>>>,
    daemon: Option<Daemon>,
    worker: impl FnOnce(load::Loaded, Option<Daemon>) -> Worker,
) {
    let failed = |error: io::Error| vec![Diagnostic::error("script-failed", error.to_string())];
    match loaded.and_then(|script| Ok((script, runtime_for(daemon).map_err(failed)?))) {
        Ok((mut script, (runtime, daemon))) => {
            let told = Ready { keeps_state: script.keeps_state(), warnings: mem::take(&mut script.warnings) };
            if ready.send(Ok(told)).is_ok() {
                // The VM is gone then, and nobody else may want what it held.
                if runtime.block_on(worker(script, daemon).work()) > WORTH_RELEASING_AT_END {
                    heap::release();
                }
            }
        }
        Err(mistakes) => drop(ready.send(Err(mistakes))),
    }
}

/// What a script's thread runs by, and how its calls go: by a connection on it, where it gets a place and sockets, else as
/// everybody's.
fn runtime_for(daemon: Option<Daemon>) -> io::Result<(Runtime, Option<Daemon>)> {
    let builder = || {
        let mut builder = runtime::Builder::new_current_thread();
        builder.enable_time();
        builder
    };
    if let Some(dedicated) = daemon.as_ref().and_then(Daemon::dedicated)
        && let Ok(runtime) = builder().enable_io().max_io_events_per_tick(SOCKET_EVENTS).build()
    {
        return Ok((runtime, Some(dedicated)));
    }
    Ok((builder().build()?, daemon))
}

impl Script {
    /// Gives it these lanes. One that another script has moves from there: what waits comes along, in order; runs that are
    /// under way finish there, on the old code, and what `order` or `concurrency` make wait for them waits.
    pub fn attach(&self, rules: &[(Arc<Rule>, RuleQueue)]) {
        let mut lanes = self.lanes();
        // What the first of them may use depends on all.
        let _together = self.mailbox.gather();
        for (rule, queue) in rules {
            lanes.push((Arc::downgrade(&queue.0), queue.0.serve(rule, &self.mailbox)));
        }
    }

    /// New settings for lanes it has, by rule name: runs that start from now on have them.
    pub fn update(&self, rules: &[Arc<Rule>]) {
        let mut lanes = self.lanes();
        let _together = self.mailbox.gather();
        let renewed = |(lane, generation): &(Weak<Lane>, u64)| {
            let next = lane.upgrade()?.renew(*generation, rules, &self.mailbox)?;
            Some((Weak::clone(lane), next))
        };
        let renewed: Vec<_> = lanes.iter().filter_map(renewed).collect();
        lanes.extend(renewed);
    }

    /// The lanes that still matter here.
    fn lanes(&self) -> MutexGuard<'_, Vec<(Weak<Lane>, u64)>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|(lane, generation)| lane.upgrade().is_some_and(|lane| lane.concerns(*generation)));
        lanes
    }

    /// Pauses it, and asks for what it wants to keep over its replacement; none where it has no `save`.
    ///
    /// It starts no run until [`resume`](Self::resume) or [`stop`](Self::stop); runs under way go on. With an error raised
    /// by `save`, a value without a JSON form, or no answer within [`SAVING`], it is not paused. A script without `save`
    /// is neither paused nor asked: it is replaced even while a handler keeps its thread busy.
    pub async fn save(&self) -> Result<Option<Json>, Vec<Diagnostic>> {
        if !self.keeps_state {
            return Ok(None);
        }
        let pause = Pause(&self.mailbox);
        let saved = self.ask(Mail::Save, SAVING, SAVE_FAILED, "save its state").await?;
        mem::forget(pause);
        Ok(saved)
    }

    /// Ends the pause that saving began.
    pub fn resume(&self) {
        self.mailbox.put(Mail::Resume);
    }

    /// Lets it finish what it has, its lanes' and its runs, until the deadline; feeds of lanes it has must have stopped
    /// pushing. Of several deadlines, the earliest counts.
    pub fn stop(&self, deadline: Instant) {
        self.stopped.store(true, Ordering::Release);
        self.mailbox.put(Mail::Stop { deadline });
    }

    /// Waits for the thread to have ended; false when it does not by `deadline`. Then its runs are given up: they hold up
    /// nothing any more in lanes that moved to another script. Of several who wait, one learns of it.
    pub async fn ended(&self, deadline: Instant) -> bool {
        let mut ended = self.ended.clone();
        let waited = timeout_at(deadline, ended.wait_for(|ended| *ended)).await;
        if waited.is_ok() || self.given_up.swap(true, Ordering::AcqRel) {
            return true;
        }
        self.abandon();
        false
    }

    /// Whether the thread has come to its end.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Whether its runs were given up: nobody waits for it any more.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// Whether the thread ended unexpectedly.
    pub fn is_dead(&self) -> bool {
        self.pulse.is_dead()
    }

    /// Whether the thread does not come back from a run that was stopped.
    pub fn is_lost(&self) -> bool {
        self.alarm.is_lost()
    }

    /// What is told of a run that it was lost in; once.
    pub fn lost_run(&self, origin: impl FnOnce() -> Origin) -> Option<Failure> {
        if !self.is_lost() || !self.alarm.may_tell() {
            return None;
        }
        let kind = match self.alarm.lost_by() {
            Some(Breach::Cpu) => FailureKind::Cpu,
            Some(Breach::Memory) => FailureKind::Memory,
            Some(Breach::Output) => FailureKind::Output,
            Some(Breach::Timeout) | None => FailureKind::Timeout,
        };
        let limit = kind.name();
        let message = format!("it goes on after its `{limit}` in a function of Lua's library; it was given up");
        let origin = origin();
        Some(Failure { origin, kind, message, notification: None, traceback: Vec::new(), repeats: 0 })
    }

    /// Whether what befell it has not been told; true once.
    pub fn is_news(&self) -> bool {
        !self.told.swap(true, Ordering::AcqRel)
    }

    /// What befell it, where it is of no use any more: only another VM helps.
    pub fn fate(&self) -> Option<Fate> {
        self.pulse.fate()
    }

    /// What tells whether it makes progress.
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Whether only another VM helps.
    pub fn needs_replacing(&self) -> bool {
        self.fate().is_some()
    }

    /// Waits for the thread to die: to end unexpectedly, by a panic. It never does otherwise.
    ///
    /// Its lanes keep what waits in them, and go on when they are attached to another script.
    pub async fn died(&self) {
        let mut ended = self.ended.clone();
        if ended.wait_for(|ended| *ended).await.is_ok() {
            std::future::pending::<()>().await;
        }
    }

    fn abandon(&self) {
        for (lane, generation) in &*self.lanes() {
            let moved = lane.upgrade().filter(|lane| lane.goes_on_without(&self.mailbox));
            let given_up = moved.map_or(0, |lane| lane.abandon(*generation)) as u64;
            self.counters.failed.fetch_add(given_up, Ordering::Relaxed);
            self.counters.settled.fetch_add(given_up, Ordering::AcqRel);
        }
    }

    /// Sends a mail that is answered, and waits so long.
    async fn ask<T>(
        &self,
        mail: impl FnOnce(Reply<T>) -> Mail,
        limit: Duration,
        code: &'static str,
        what: &str,
    ) -> Result<T, Vec<Diagnostic>> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.put(mail(reply));
        let name = &self.name;
        let told = |message| Err(vec![Diagnostic::error(code, message)]);
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => told(format!("`{name}` cannot {what}: its thread has ended")),
            Err(_) => told(format!("`{name}` does not {what} within {limit:?}")),
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if !*self.stopped.get_mut() {
            self.stop(Instant::now());
        }
    }
}

/// Ends a script's pause, unless it is forgotten.
struct Pause<'s>(&'s Mailbox);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.put(Mail::Resume);
    }
}
