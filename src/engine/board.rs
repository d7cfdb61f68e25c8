//! The board: what can be seen of a running set from outside, at any moment, a reload under way included.
//!
//! Holds handles on the running parts and reads them when asked: as a status, or as figures ([`figures`]). Who asks, and
//! over what, is the callers'.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value as Json, json};

mod figures;

pub use figures::{Closed, Figures, FileFigures, ReloadFigures, RuleFigures, ScriptFigures};

use super::{
    cell::{Cell, State},
    handover::Handover,
    tally::Tallies,
};
use crate::{
    diagnostic::{machine, render},
    lua::{Account, Bell, Counters, Measured, Memory, Pulse, RuleQueue, Silence},
    report::{Reload, ReloadResult},
    rules::{
        Rule,
        inputs::{Fingerprint, Inputs},
    },
};

/// What runs, and what became of the last reload.
#[derive(Default)]
pub struct Board(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    shown: Shown,
    reload: Option<Arc<Reload>>,
    /// Attempts to load so far, by what each came to, in the order of `ReloadResult::ALL`.
    reloads: [u64; ReloadResult::ALL.len()],
}

/// The running parts.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) rules: Arc<[RuleLine]>,
    pub(super) disabled: Arc<[Arc<Rule>]>,
    pub(super) feeds: Vec<FeedLine>,
    pub(super) scripts: Vec<Arc<ScriptLine>>,
    pub(super) files: BTreeMap<PathBuf, Fingerprint>,
    pub(super) counters: Arc<Counters>,
    pub(super) tallies: Arc<Tallies>,
    pub(super) bell: Option<Bell>,
}

pub(super) struct RuleLine {
    pub(super) rule: Arc<Rule>,
    pub(super) script: String,
    pub(super) queue: RuleQueue,
    pub(super) feed: Arc<Cell>,
    /// The feed that still serves it, while the rule is on its way.
    pub(super) former: Option<Former>,
}

pub(super) enum FeedLine {
    Own(Arc<Cell>),
    /// One that only serves rules that are on their way to others.
    Former(Vec<Former>),
}

/// A feed that a rule is leaving.
#[derive(Clone)]
pub(super) struct Former {
    pub(super) cell: Arc<Cell>,
    pub(super) handover: Arc<Handover>,
}

pub(super) struct ScriptLine {
    pub(super) name: String,
    /// A name that no other has: with the rule of a handler in a rule file.
    pub(super) label: String,
    pub(super) generation: u64,
    pub(super) rules: Vec<String>,
    pub(super) files: Inputs,
    pub(super) pulse: Arc<Pulse>,
    /// How long it may be silent when it is asked for its pulse.
    pub(super) patience: Duration,
    pub(super) account: Arc<Account>,
    pub(super) used: Arc<Memory>,
    /// Bytes that its VM may hold.
    pub(super) most: usize,
}

impl Board {
    pub(super) fn show(&self, shown: Shown) {
        self.contents().shown = shown;
    }

    pub(super) fn reloaded(&self, reload: &Arc<Reload>) {
        let mut contents = self.contents();
        contents.reloads[reload.result as usize] += 1;
        contents.reload = Some(Arc::clone(reload));
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what runs, and at what became of the last reload.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Shown, Option<&Arc<Reload>>) -> T) -> T {
        let contents = self.contents();
        look(&contents.shown, contents.reload.as_ref())
    }

    /// What runs, as one object.
    pub fn status(&self) -> Json {
        let contents = self.contents();
        let Contents { shown, reload, .. } = &*contents;
        json!({
            "generation": reload.as_ref().map_or(0, |reload| reload.generation),
            "reload": reload.as_ref().map(|reload| outcome(reload)),
            "rules": shown.rules.iter().map(RuleLine::status).chain(shown.disabled.iter().map(disabled)).collect::<Json>(),
            "feeds": shown.feeds.iter().filter_map(FeedLine::status).collect::<Json>(),
            "scripts": shown.scripts.iter().map(|script| script.status()).collect::<Json>(),
            "files": files(&shown.files),
            "counters": {
                "received": shown.counters.received.load(Ordering::Relaxed),
                "queued": shown.counters.queued.load(Ordering::Relaxed),
                "handled": shown.counters.settled.load(Ordering::Relaxed),
                "failed": shown.counters.failed.load(Ordering::Relaxed),
            },
        })
    }
}

/// A reload as one object.
pub fn outcome(reload: &Reload) -> Json {
    let diagnostics: Json = serde_json::from_str(&machine::array(&reload.diagnostics)).unwrap_or_default();
    json!({
        "generation": reload.generation,
        "result": reload.result.name(),
        "trigger": reload.trigger.name(),
        "at": time(reload.at),
        "took": reload.took.as_secs_f64(),
        "added": reload.added,
        "removed": reload.removed,
        "changed": reload.changed,
        "kept": reload.kept,
        "scripts": reload.scripts,
        "diagnostics": diagnostics,
        "text": render::human(&reload.diagnostics, false, render::WIDTH),
    })
}

/// A rule that does not run.
fn disabled(rule: &Arc<Rule>) -> Json {
    json!({
        "name": rule.name,
        "subscription": rule.subscription.name,
        "file": rule.file,
        "line": line(rule),
        "enabled": false,
        "state": "disabled",
    })
}

fn line(rule: &Rule) -> usize {
    rule.place.source.position(rule.place.span.start).0
}

impl Former {
    /// Whether it still serves the rule.
    fn serves(&self) -> bool {
        !self.handover.has_left()
    }
}

impl RuleLine {
    /// The feed that serves it.
    fn serving(&self) -> &Cell {
        let former = self.former.as_ref().filter(|former| former.serves() && former.cell.is_open());
        former.filter(|_| !self.feed.is_open()).map_or(&self.feed, |former| &former.cell)
    }

    fn status(&self) -> Json {
        let (rule, counters) = (&self.rule, self.queue.counters());
        let (queued, settled) = (counters.queued.load(Ordering::Relaxed), counters.settled.load(Ordering::Relaxed));
        let running = counters.running.load(Ordering::Relaxed);
        json!({
            "name": rule.name,
            "subscription": rule.subscription.name,
            "file": rule.file,
            "line": line(rule),
            "enabled": rule.enabled,
            "script": self.script,
            "state": name(&self.serving().state()),
            "received": queued,
            "queued": queued.saturating_sub(settled).saturating_sub(running),
            "running": running,
            "handled": settled,
            "failed": counters.failed.load(Ordering::Relaxed),
            "left_out": counters.left_out.load(Ordering::Relaxed),
            "waited": times(&counters.waited.read()),
            "ran": times(&counters.ran.read()),
            "loops": self.queue.silences().iter().map(silence).collect::<Json>(),
        })
    }
}

/// How long something took: seconds on the average, and the bound that 99 of 100 stayed within.
fn times(measured: &Measured) -> Json {
    #[expect(clippy::cast_precision_loss, reason = "an average of so many is none")]
    let mean = (measured.count() > 0).then(|| measured.seconds / measured.count() as f64);
    json!({ "count": measured.count(), "mean": mean, "p99": measured.within(0.99).map(|bound| bound.as_secs_f64()) })
}

/// A loop that was stopped.
fn silence(silence: &Silence) -> Json {
    let Silence { discussion, author, remaining, left_out } = silence;
    json!({ "about": discussion, "author": author, "remaining": remaining.as_secs_f64(), "left_out": left_out })
}

impl Shown {
    /// The feeds that are to be there. One on its way out is left out: what it is replaced by counts.
    pub(super) fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.feeds.iter().filter_map(|line| match line {
            FeedLine::Own(cell) => Some(&**cell),
            FeedLine::Former(_) => None,
        })
    }
}

impl FeedLine {
    /// None once it is over.
    fn cell(&self) -> Option<&Cell> {
        match self {
            Self::Own(cell) => Some(cell),
            Self::Former(rules) => rules.iter().find(|of| of.serves()).map(|of| &*of.cell),
        }
    }

    fn status(&self) -> Option<Json> {
        self.cell().map(Self::of)
    }

    fn of(cell: &Cell) -> Json {
        let (state, now) = (cell.state(), Timestamp::now());
        let name_of = cell.name();
        let (cause, next_try) = state.awaited().map(|awaited| (awaited.cause, awaited.next_try)).unwrap_or_default();
        json!({
            "subscription": &*name_of.subscription,
            "rules": name_of.rules.iter().map(|rule| &**rule).collect::<Vec<_>>(),
            "state": name(&state),
            "since": time(state.since()),
            "received": cell.received(),
            "last_notification": cell.last().map(time),
            "cause": cause,
            "next_try": next_try.filter(|next| *next > now).map(time),
            "remaining": cell.remaining(),
        })
    }
}

impl ScriptLine {
    fn status(&self) -> Json {
        json!({
            "name": self.name,
            "generation": self.generation,
            "memory": self.used.bytes(),
            "rules": self.rules,
            "files": files(&self.files.all()),
        })
    }
}

fn files(held: &BTreeMap<PathBuf, Fingerprint>) -> Json {
    held.iter().map(|(path, held)| (path.display().to_string(), held.to_string())).collect()
}

fn name(state: &State) -> &'static str {
    match state {
        State::Opening { .. } => "opening",
        State::Open { .. } => "open",
        State::Completed { .. } => "completed",
        State::Refused { .. } => "refused",
    }
}

fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}
