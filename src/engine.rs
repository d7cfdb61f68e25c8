//! The engine: which scripts and feeds there are, and how one set of rules gives way to another while it runs.
//!
//! The control plane. It makes feeds and scripts from a [`RuleSet`], connects them, and is not on the way of a
//! notification: that goes from a feed's task straight into its rules' queues. Starting is the reload from the empty set,
//! stopping the reload to it. A reload is all or nothing: everything is read, resolved, compiled and, where scripts keep
//! state, handed on first; applying it is a step without waiting that cannot fail.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

mod apply;
mod board;
mod catch_up;
mod cell;
mod feed;
mod glance;
mod handover;
mod herald;
mod idle;
pub mod plan;
mod prepare;
mod rescue;
mod route;
mod specs;
mod tally;
#[cfg(test)]
mod tests;
pub mod watch;

pub use board::{Board, Closed, Figures, FileFigures, ReloadFigures, RuleFigures, ScriptFigures, outcome};
pub use catch_up::Cursors;
pub(crate) use feed::ASSUMED_OPEN;
pub use glance::{Glance, Stalled};
use herald::Herald;
use plan::View;
use rescue::Rescue;
use specs::Specs;
pub use tally::StreamFigures;
use tally::Tallies;

use crate::{
    clock::Clock,
    daemon::Daemon,
    diagnostic::Diagnostic,
    lua::{Counters, LaneCounters, RuleQueue, Script, ScriptKey},
    report::{Event, FeedName, Origin, Reload, ReloadResult, Reporter, Trigger},
    rules::{Caps, Read, Rule, RuleSet, inputs::Fingerprint},
};

/// Notifications handed over at once, when so many are ready.
const BATCH: usize = 64;

/// How long a script's thread may take to end when its grace is over, before it is given up.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// A running set of rules.
pub struct Engine {
    daemon: Daemon,
    reporter: Reporter,
    counters: Arc<Counters>,
    tallies: Arc<Tallies>,
    herald: Herald,
    telling: JoinHandle<()>,
    board: Arc<Board>,
    running: Running,
    rescue: Rescue,
    /// Scripts that finish what they had when they were replaced.
    retired: Vec<Arc<Script>>,
    /// What was read at the last attempt to load, whatever became of it.
    held: BTreeMap<PathBuf, Fingerprint>,
    /// A running script read something that it had not read when it was loaded.
    grown: Arc<Notify>,
    /// The most that any rule gets.
    caps: Caps,
    /// What was last read of rule files.
    read: Read,
    clock: Clock,
    /// In whose tree what scripts save goes, instead of where it is meant to.
    aside: Option<PathBuf>,
    /// Whether rules that do not say so themselves catch up with what came before the start.
    catch_up: bool,
    cursors: Option<Cursors>,
    keeping: Option<JoinHandle<()>>,
    next_feed: u64,
}

/// What runs now.
#[derive(Default)]
struct Running {
    generation: u64,
    view: View,
    /// What was read of its rule files.
    read: Read,
    specs: Arc<Specs>,
    rules: Arc<BTreeMap<String, Arc<Rule>>>,
    /// Rules that are written and not to run.
    disabled: Arc<[Arc<Rule>]>,
    queues: HashMap<String, RuleQueue>,
    scripts: BTreeMap<ScriptKey, (Script, u64)>,
    feeds: apply::Feeds,
}

impl Engine {
    /// Makes an engine that runs nothing yet.
    pub fn new(daemon: &Daemon, reporter: &Reporter) -> Self {
        let (herald, telling) = Herald::start(reporter.clone());
        Self {
            daemon: daemon.clone(),
            reporter: reporter.clone(),
            counters: Arc::default(),
            tallies: Arc::default(),
            herald,
            telling,
            board: Arc::default(),
            running: Running::default(),
            rescue: Rescue::new(),
            retired: Vec::new(),
            held: BTreeMap::new(),
            grown: Arc::default(),
            caps: Caps::default(),
            read: Read::default(),
            clock: Clock::system(),
            aside: None,
            catch_up: false,
            cursors: None,
            keeping: None,
            next_feed: 0,
        }
    }

    /// Gives no rule more than the caps, from the next load on.
    #[must_use]
    pub fn within(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// Takes the time of scripts from a clock, and keeps what they save in the tree of a directory, where one is given:
    /// for trying rules out. Before the first load.
    #[must_use]
    pub fn aside(mut self, clock: Clock, directory: Option<PathBuf>) -> Self {
        (self.clock, self.aside) = (clock, directory);
        self
    }

    /// Lets all rules that can, and do not say otherwise, catch up at the start with what came before it; and keeps in a
    /// state directory how far each has come. Before the first load.
    #[must_use]
    pub fn catching_up(mut self, all: bool, cursors: Option<Cursors>) -> Self {
        self.catch_up = all;
        self.keeping = cursors.clone().map(|cursors| tokio::spawn(cursors.run()));
        self.cursors = cursors;
        self
    }

    /// Starts with a set that is there already; with any mistake in its scripts, nothing runs.
    pub async fn start(rules: &RuleSet, daemon: &Daemon, reporter: &Reporter) -> Result<Self, Vec<Diagnostic>> {
        Self::new(daemon, reporter).begin(rules).await
    }

    /// The same with what was set up before.
    pub async fn begin(mut self, rules: &RuleSet) -> Result<Self, Vec<Diagnostic>> {
        let reload = self.replace(prepare::Loaded::of(rules.clone()), Trigger::Start).await;
        match reload.result {
            ReloadResult::Rejected => Err(reload.diagnostics.to_vec()),
            _ => Ok(self),
        }
    }

    /// Loads rule files and scripts and, where there is no mistake in any, lets them run instead of what runs now.
    ///
    /// Tells what became of it, unless it is the first load, which the caller tells.
    pub async fn reload(&mut self, paths: &[PathBuf], trigger: Trigger) -> Arc<Reload> {
        let loaded = self.load(paths).await;
        self.replace(loaded, trigger).await
    }

    async fn replace(&mut self, loaded: prepare::Loaded, trigger: Trigger) -> Arc<Reload> {
        let begun = loaded.begun;
        let first = self.running.generation == 0;
        let reload = match self.prepare(loaded).await {
            Ok(next) => {
                if first && !next.warnings.is_empty() {
                    let diagnostics = next.warnings.clone().into();
                    self.reporter.emit(&Event::Checked { diagnostics, rejected: false });
                }
                self.apply(next, trigger)
            }
            Err(diagnostics) => {
                Reload { result: ReloadResult::Rejected, diagnostics: diagnostics.into(), ..self.nothing_new(trigger) }
            }
        };
        let reload = Arc::new(Reload { took: begun.elapsed(), at: Timestamp::now(), ..reload });
        self.board.reloaded(&reload);
        match reload.result {
            _ if first => {}
            ReloadResult::Rejected => self.reporter.emit(&Event::ReloadRejected(Arc::clone(&reload))),
            _ => self.reporter.emit(&Event::Reloaded(Arc::clone(&reload))),
        }
        reload
    }

    /// A reload that came to nothing.
    fn nothing_new(&self, trigger: Trigger) -> Reload {
        Reload {
            generation: self.running.generation,
            result: ReloadResult::Unchanged,
            trigger,
            at: Timestamp::now(),
            took: Duration::ZERO,
            added: Vec::new(),
            removed: Vec::new(),
            changed: Vec::new(),
            kept: self.running.rules.len(),
            scripts: Vec::new(),
            diagnostics: Arc::default(),
        }
    }

    /// What came in and was dealt with.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// How many streams there are.
    pub fn feeds(&self) -> usize {
        self.running.feeds.len()
    }

    /// What can be seen of it from outside, while it runs.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Everything that was read for what runs, or for the last attempt, with what was in it.
    pub fn held(&self) -> BTreeMap<PathBuf, Fingerprint> {
        let mut held = self.held.clone();
        for (script, _) in self.running.scripts.values() {
            for (path, was) in script.inputs.all() {
                held.entry(path).or_insert(was);
            }
        }
        held
    }

    /// Is notified when running scripts read something new, which [`held`](Self::held) then has.
    pub fn grown(&self) -> Arc<Notify> {
        Arc::clone(&self.grown)
    }

    /// Waits until a script can only go on in another VM, and tells why. The next load replaces it.
    pub async fn script_failed(&self) {
        let scripts: Vec<_> = self.running.scripts.values().map(|(script, _)| script).collect();
        self.rescue.needed(&scripts, &self.reporter).await;
    }

    /// Loads the scripts that can only go on in another VM from the running set, as the files as they are now were refused
    /// for a mistake. One that is itself refused is left as it is.
    pub async fn revive(&mut self) {
        let mut view = self.running.view.clone();
        let is_broken = |key| self.running.scripts.get(key).is_some_and(|(script, _)| script.needs_replacing());
        let broken = self.running.specs.iter().filter(|spec| is_broken(&spec.key)).cloned().collect();
        let prepared = self.load_changed(broken, true, &mut view, &mut Vec::new()).await;
        if !prepared.is_empty() {
            self.renew(prepared, view);
        }
    }

    /// Closes the streams, lets the scripts finish what was accepted, and names what is late.
    pub async fn stop(mut self, grace: Duration) {
        let deadline = Instant::now() + grace;
        let settled = self.counters.settled.load(Ordering::Acquire);
        let pending = self.counters.queued.load(Ordering::Acquire) - settled;
        self.reporter.emit(&Event::Stopping { pending });
        // A feed that is handing over finishes that: what was accepted is handled.
        let lost = self.running.feeds.stop(deadline).await;
        if let (Some(cursors), Some(keeping)) = (self.cursors, self.keeping) {
            keeping.abort();
            cursors.flush().await;
        }
        // What feeds told is told before the end is.
        drop(self.herald);
        drop(timeout_at(deadline + LAST_MOMENT, self.telling).await);
        let Running { view, specs, queues, scripts, .. } = self.running;
        for (feed, count) in &lost {
            self.reporter.emit(&not_queued(feed, *count, &view, &scripts));
        }
        // One that was given up was told then.
        let retired = self.retired.into_iter().filter(|script| !script.is_given_up()).map(|script| (None, script));
        let scripts = scripts.into_iter().map(|(key, (script, _))| (Some(key), Arc::new(script)));
        let late = join_all(scripts.chain(retired).map(async |(key, script)| {
            script.stop(deadline);
            let name = Arc::clone(&script.name);
            (!script.ended(deadline + LAST_MOMENT).await).then_some((key, name))
        }));
        for (key, script) in late.await.into_iter().flatten() {
            let own = key.iter().flat_map(|key| specs.rules_of(key));
            let own = own.filter_map(|rule| Some((&**rule, queues.get(&rule.name)?.counters())));
            for event in late_of(&script, own) {
                self.reporter.emit(&event);
            }
        }
        let handled = self.counters.settled.load(Ordering::Acquire);
        let lost = lost.iter().map(|(_, count)| count).sum::<u64>();
        let unhandled = self.counters.queued.load(Ordering::Acquire) - handled + lost;
        self.reporter.emit(&Event::Stopped { handled, unhandled });
    }
}

/// Names what a stream brought that no queue took.
fn not_queued(feed: &FeedName, count: u64, view: &View, scripts: &BTreeMap<ScriptKey, (Script, u64)>) -> Event {
    let first = feed.rules.first().and_then(|rule| view.rules.get(&**rule));
    let script = first.and_then(|rule| scripts.get(&rule.script));
    let origin = Origin {
        rule: Some(feed.rules.join(", ").into()),
        subscription: Some(Arc::clone(&feed.subscription)),
        script: script.map_or_else(|| "".into(), |(script, _)| Arc::clone(&script.name)),
        place: None,
    };
    Event::Unhandled { origin, count: usize::try_from(count).unwrap_or(usize::MAX) }
}

/// Names what a script has left that does not end: its rules with runs under way, and with notifications that wait.
fn late_of<'r>(script: &Arc<str>, rules: impl Iterator<Item = (&'r Rule, &'r LaneCounters)>) -> Vec<Event> {
    let origin = |rule: Option<&Rule>| Origin {
        rule: rule.map(|rule| rule.name.as_str().into()),
        subscription: rule.map(|rule| rule.subscription.name.as_str().into()),
        script: Arc::clone(script),
        place: None,
    };
    let (mut runs, mut waiting) = (Vec::new(), Vec::new());
    for (rule, counters) in rules {
        let running = counters.running.load(Ordering::Relaxed);
        let settled = counters.settled.load(Ordering::Relaxed);
        let count = counters.queued.load(Ordering::Relaxed).saturating_sub(settled).saturating_sub(running);
        if running > 0 {
            runs.push(Event::RunAbandoned(origin(Some(rule))));
        }
        if let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) {
            waiting.push(Event::Unhandled { origin: origin(Some(rule)), count });
        }
    }
    if runs.is_empty() {
        // It runs what belongs to no rule any more.
        runs.push(Event::RunAbandoned(origin(None)));
    }
    waiting.into_iter().chain(runs).collect()
}
