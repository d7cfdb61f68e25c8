//! What of a running set can be measured: plain numbers of one moment, by the names of rules, subscriptions and scripts.
//!
//! Taken in a moment and written by others, so that whoever writes holds up nobody.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;

use super::{Board, Contents, FeedLine, RuleLine, ScriptLine, name};
use crate::{
    engine::{
        cell::{Awaited, Cell},
        tally::StreamFigures,
    },
    lua::{Account, Bell, CallFigures, Measured},
    report::{FailureKind, FeedName, Reload, ReloadResult},
    rules::inputs::Fingerprint,
};

/// Files that are named with their content. A set has as many as there are rule files, scripts and modules.
const NAMED: usize = 500;

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The rules that run.
    pub rules: Vec<RuleFigures>,
    /// How many are written and not to run.
    pub disabled: usize,
    /// What became of streams, by subscription.
    pub streams: Vec<StreamFigures>,
    /// How many streams are in which state now, by subscription.
    pub states: Vec<(Arc<str>, &'static str, u64)>,
    /// The scripts that run.
    pub scripts: Vec<ScriptFigures>,
    /// The commands that scripts sent.
    pub calls: Vec<CallFigures>,
    /// Threads that were given up and have not come back.
    pub lost: usize,
    /// What was loaded and is there, up to a number of files.
    pub files: Vec<FileFigures>,
    /// How many files that is without the bound.
    pub all_files: usize,
    /// The last attempt to load.
    pub reload: Option<ReloadFigures>,
    /// How many attempts came to what.
    pub reloads: Vec<(ReloadResult, u64)>,
}

/// One rule's.
#[derive(Debug, Clone)]
pub struct RuleFigures {
    /// Its name.
    pub rule: String,
    /// Its subscription.
    pub subscription: String,
    /// Notifications that came in for it.
    pub received: u64,
    /// Of these, the ones that are dealt with, however.
    pub handled: u64,
    /// Of the handled ones, those that no handler was called for.
    pub left_out: u64,
    /// Of the handled ones, those whose run failed, by what ended it.
    pub failures: Vec<(FailureKind, u64)>,
    /// The same, those that were given up with their thread.
    pub given_up: u64,
    /// Those that wait.
    pub waiting: u64,
    /// Runs under way.
    pub running: u64,
    /// From when each came in until its handler was called.
    pub waited: Measured,
    /// How long handlers took.
    pub ran: Measured,
    /// Whether the stream that feeds it is open, or has delivered its `count`.
    pub is_open: bool,
    /// When that stream brought something last.
    pub last: Option<Timestamp>,
    /// Loops that were stopped so far.
    pub loops: u64,
    /// Loops that are stopped now.
    pub silences: usize,
    /// Commands that had to wait for their turn.
    pub held_back: u64,
    /// Lines that were left out of the log.
    pub lines_left_out: u64,
}

/// One script's.
#[derive(Debug, Clone)]
pub struct ScriptFigures {
    /// As the rules name it; one in a rule file by that file and its rule.
    pub script: String,
    /// Its rules.
    pub rules: Vec<String>,
    /// Since which generation its present VM runs.
    pub generation: u64,
    /// Bytes that the VM holds.
    pub memory: usize,
    /// Bytes that it may hold.
    pub most: usize,
    /// What its threads used up, over all VMs.
    pub account: Arc<Account>,
}

/// A file that was loaded.
#[derive(Debug, Clone)]
pub struct FileFigures {
    /// Where it is.
    pub path: String,
    /// The SHA-256 of what was in it.
    pub sha256: String,
}

/// The last attempt to load.
#[derive(Debug, Clone, Copy)]
pub struct ReloadFigures {
    /// The generation that runs since.
    pub generation: u64,
    /// What it came to.
    pub result: ReloadResult,
    /// When it was done.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
}

/// A stream that should be open and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The subscription.
    pub subscription: Arc<str>,
    /// The rules it feeds.
    pub rules: Arc<[Arc<str>]>,
    /// `opening`, or `refused`.
    pub state: &'static str,
    /// What the last attempt failed with.
    pub cause: Option<String>,
    /// When the next one is made, where none is under way.
    pub next_try: Option<Timestamp>,
}

impl RuleFigures {
    fn of(line: &RuleLine) -> Self {
        let (counters, feed) = (line.queue.counters(), line.serving());
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let failures = FailureKind::ALL.map(|kind| (kind, load(&counters.kinds[kind as usize])));
        let (given_up, left_out) = (load(&counters.given_up), load(&counters.left_out));
        // What is dealt with is read before what came in: a part is never more than the whole.
        let (handled, running) = (load(&counters.settled), load(&counters.running));
        let received = load(&counters.queued);
        let (loops, held_back) = line.queue.restrained();
        Self {
            rule: line.rule.name.clone(),
            subscription: line.rule.subscription.name.clone(),
            received,
            handled,
            left_out,
            failures: failures.into(),
            given_up,
            waiting: received.saturating_sub(handled).saturating_sub(running),
            running,
            waited: counters.waited.read(),
            ran: counters.ran.read(),
            is_open: feed.is_open() || feed.is_completed(),
            last: line.feed.last().max(feed.last()),
            loops,
            silences: line.queue.silences().len(),
            held_back,
            lines_left_out: line.queue.lines_left_out(),
        }
    }
}

impl ScriptFigures {
    fn of(line: &ScriptLine) -> Self {
        let (script, account) = (line.label.clone(), Arc::clone(&line.account));
        let ScriptLine { generation, most, .. } = *line;
        Self { script, rules: line.rules.clone(), generation, memory: line.used.bytes(), most, account }
    }
}

impl ReloadFigures {
    fn of(reload: &Reload) -> Self {
        let Reload { generation, result, at, took, .. } = *reload;
        Self { generation, result, at, took }
    }
}

impl Board {
    /// What can be measured, now.
    pub fn figures(&self) -> Figures {
        let contents = self.contents();
        let Contents { shown, reload, reloads } = &*contents;
        let mut files = shown.files.clone();
        shown.scripts.iter().for_each(|script| files.extend(script.files.all()));
        files.retain(|_, held| matches!(held, Fingerprint::File(_)));
        // As they are shown, which may be the same for two: a name stands for one.
        let files: BTreeMap<_, _> = files.into_iter().map(|(path, held)| (path.display().to_string(), held)).collect();
        let (all_files, named) = (files.len(), files.into_iter().take(NAMED));
        let scripts = shown.scripts.iter().map(|line| (line.label.as_str(), line));
        let scripts: BTreeMap<_, _> = scripts.collect();
        let mut states: Vec<(Arc<str>, &'static str, u64)> = Vec::new();
        for cell in shown.feeds.iter().filter_map(FeedLine::cell) {
            let (subscription, state) = (cell.name().subscription, name(&cell.state()));
            match states.iter_mut().find(|(of, in_state, _)| *of == subscription && *in_state == state) {
                Some((.., count)) => *count += 1,
                None => states.push((subscription, state, 1)),
            }
        }
        Figures {
            rules: shown.rules.iter().map(RuleFigures::of).collect(),
            disabled: shown.disabled.len(),
            streams: shown.tallies.read(),
            states,
            scripts: scripts.into_values().map(|line| ScriptFigures::of(line)).collect(),
            calls: shown.counters.calls.read(),
            lost: shown.bell.as_ref().map_or(0, Bell::lost),
            files: named.map(|(path, held)| FileFigures { path, sha256: held.to_string() }).collect(),
            all_files,
            reload: reload.as_ref().map(|reload| ReloadFigures::of(reload)),
            reloads: ReloadResult::ALL.map(|result| (result, reloads[result as usize])).into(),
        }
    }

    /// The streams that should be open and are not.
    pub fn closed(&self) -> Vec<Closed> {
        self.look(|shown, _| shown.cells().filter_map(Closed::of).collect())
    }
}

impl Closed {
    fn of(cell: &Cell) -> Option<Self> {
        let state = cell.state();
        let Awaited { cause, next_try } = state.awaited()?;
        let FeedName { subscription, rules, .. } = cell.name();
        Some(Self { subscription, rules, state: name(&state), cause, next_try })
    }
}
