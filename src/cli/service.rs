//! A service manager that started us is told how we are, as systemd expects it: when the rules run, what becomes of each
//! reload, that the end has come, and in one sentence what there is to say meanwhile.
//!
//! Where nobody wants to hear it, nothing of this is there. The rest of the program says in which phase it is; one task
//! keeps the sentence true, and tells the watchdog that all is well only where it is: as the task runs on the thread of
//! all sockets, that goes on, and each script is asked for its progress.

mod manager;
mod sentence;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{select, sync::Notify, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    clock::until,
    diagnostic::Diagnostic,
    engine::{Board, Glance, Stalled},
    report::{Event, ReloadResult, Reporter, Sink, log::Record},
};

use manager::Manager;

/// The least time between two sentences, unless the phase changes.
const BETWEEN: Duration = Duration::from_secs(1);

/// How often it is said that the end takes longer, and for how long that is to count.
const EXTENDING: Duration = Duration::from_secs(5);
const EXTENSION: Duration = Duration::from_secs(15);

/// Who started us, if somebody did that wants to hear of us. A clone is the same one.
#[derive(Clone, Default)]
pub(super) struct Service(Option<Arc<Told>>);

struct Told {
    manager: Manager,
    /// How often the watchdog is to hear of us: twice as often as it expects to.
    pings: Option<Duration>,
    board: OnceLock<Arc<Board>>,
    state: Mutex<State>,
    /// Something has happened that the sentence may be about.
    changed: Notify,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// What the manager shows, and since when.
    sentence: String,
    said: Option<Instant>,
    stalled: Vec<Stalled>,
}

#[derive(Default)]
enum Phase {
    /// The rules are loaded for the first time.
    #[default]
    Starting,
    Running,
    Reloading,
    /// The end has come; with how much there is to do, once that is known.
    Stopping(Option<String>),
}

impl Service {
    /// Finds out who started this process.
    pub(super) fn of_process() -> Self {
        let told = |manager| Told {
            manager,
            pings: manager::watchdog().map(|every| every / 2),
            board: OnceLock::new(),
            state: Mutex::default(),
            changed: Notify::new(),
        };
        Self(Manager::of_process().map(|manager| Arc::new(told(manager))))
    }

    /// What has to hear of everything that happens.
    pub(super) fn reader(&self) -> Option<Sink> {
        let told = Arc::clone(self.0.as_ref()?);
        Some(Box::new(move |event| told.hear(event)))
    }

    /// Watches over what runs, and tells of it, until the handle is dropped. Within a runtime.
    pub(super) fn attend(&self, board: &Arc<Board>, reporter: &Reporter) -> Option<AbortOnDropHandle<()>> {
        let told = Arc::clone(self.0.as_ref()?);
        told.board.get_or_init(|| Arc::clone(board));
        Some(AbortOnDropHandle::new(tokio::spawn(told.attend(reporter.clone()))))
    }

    /// The rules run; or they do so again, whatever came of a reload.
    pub(super) fn ready(&self) {
        let Some(told) = &self.0 else { return };
        let mut state = told.state();
        state.phase = Phase::Running;
        told.say(&mut state, vec!["READY=1".to_owned()]);
    }

    /// Rules are loaded again from now on. To be said after the signal came that asks for it.
    pub(super) fn reloading(&self) {
        let Some(told) = &self.0 else { return };
        told.state().phase = Phase::Reloading;
        told.manager.tell(&["RELOADING=1".to_owned(), format!("MONOTONIC_USEC={}", manager::now())]);
    }

    /// The end has come.
    pub(super) fn stopping(&self) {
        let Some(told) = &self.0 else { return };
        let mut state = told.state();
        state.phase = Phase::Stopping(None);
        told.say(&mut state, vec!["STOPPING=1".to_owned(), extension()]);
        told.changed.notify_one();
    }

    /// The rules are not started, for these mistakes.
    pub(super) fn rejected(&self, diagnostics: &[Diagnostic]) {
        self.last_words(|| sentence::rejected(diagnostics));
    }

    /// Nothing is started, for another cause.
    pub(super) fn failed(&self, cause: &str) {
        self.last_words(|| sentence::failed(cause));
    }

    fn last_words(&self, words: impl FnOnce() -> String) {
        if let Some(told) = &self.0 {
            told.manager.tell(&[format!("STATUS={}", words())]);
        }
    }
}

impl Told {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On whatever thread it happens: notes that something is to be said.
    fn hear(&self, event: &Event) {
        match event {
            Event::FeedOpened { .. }
            | Event::FeedLost { .. }
            | Event::FeedWaiting { .. }
            | Event::FeedRefused { .. }
            | Event::FeedCompleted { .. }
            | Event::ScriptReplaced { .. } => {}
            Event::Stopping { .. } => {
                let mut state = self.state();
                if let Phase::Stopping(what) = &mut state.phase {
                    *what = Some(Record::of(event).message);
                }
            }
            _ => return,
        }
        self.changed.notify_one();
    }

    fn glance(&self) -> Glance {
        self.board.get().map(|board| board.glance()).unwrap_or_default()
    }

    /// Tells the manager these lines, with the sentence that is true now.
    fn say(&self, state: &mut State, mut lines: Vec<String>) {
        let sentence = match &state.phase {
            Phase::Stopping(what) => what.clone().unwrap_or_else(|| "stopping".to_owned()),
            _ => sentence::running(&self.glance(), &state.stalled),
        };
        if lines.is_empty() && sentence == state.sentence {
            return;
        }
        lines.push(format!("STATUS={sentence}"));
        self.manager.tell(&lines);
        (state.sentence, state.said) = (sentence, Some(Instant::now()));
    }

    async fn attend(self: Arc<Self>, reporter: Reporter) {
        let (mut ping, mut extend, mut look) = (self.pings.map(|_| Instant::now()), None, None);
        let mut known = BTreeSet::new();
        loop {
            let is_stopping = matches!(self.state().phase, Phase::Stopping(_));
            if is_stopping && extend.is_none() {
                extend = Some(Instant::now() + EXTENDING);
            }
            select! {
                () = self.changed.notified() => look = Some(self.next_look()),
                () = until(look) => look = self.look(),
                () = until(ping) => {
                    self.ping(is_stopping, &mut known, &reporter);
                    ping = self.pings.map(|every| Instant::now() + every);
                }
                () = until(extend) => {
                    self.manager.tell(&[extension()]);
                    extend = Some(Instant::now() + EXTENDING);
                }
            }
        }
    }

    /// When the sentence may be looked at again.
    fn next_look(&self) -> Instant {
        let said = self.state().said;
        said.map_or_else(Instant::now, |said| said + BETWEEN)
    }

    /// Says the sentence that is true now; returns when to look again though nothing is told to have happened. A stream
    /// that is tried again and again, for the same cause, is told once.
    fn look(&self) -> Option<Instant> {
        let mut state = self.state();
        // What became of a reload is said with its end.
        if !matches!(state.phase, Phase::Reloading | Phase::Starting) {
            self.say(&mut state, Vec::new());
        }
        let is_stopping = matches!(state.phase, Phase::Stopping(_));
        let glance = self.glance();
        (glance.open < glance.streams && !is_stopping).then(|| Instant::now() + BETWEEN)
    }

    /// Tells the watchdog that all is well, where it is.
    fn ping(&self, is_stopping: bool, known: &mut BTreeSet<String>, reporter: &Reporter) {
        let stalled = self.board.get().map(|board| board.stalled(Instant::now())).unwrap_or_default();
        // Rule files with mistakes in them would end a host that is started anew, and all rules with it.
        let restarts = self.glance().reload.is_none_or(|reload| reload.result != ReloadResult::Rejected);
        if stalled.is_empty() || is_stopping || !restarts {
            self.manager.tell(&["WATCHDOG=1".to_owned()]);
        }
        known.retain(|name| stalled.iter().any(|stalled| stalled.script == *name));
        for stalled in &stalled {
            if known.insert(stalled.script.clone()) {
                let (script, rules, silent) = (stalled.script.as_str().into(), stalled.rules.clone(), stalled.silent);
                reporter.emit(&Event::ScriptStalled { script, rules, silent, restarts });
            }
        }
        let mut state = self.state();
        let is_news = !stalled.is_empty() || !state.stalled.is_empty();
        state.stalled = stalled;
        drop(state);
        if is_news {
            self.changed.notify_one();
        }
    }
}

/// Asks for time to end.
fn extension() -> String {
    format!("EXTEND_TIMEOUT_USEC={}", EXTENSION.as_micros())
}
