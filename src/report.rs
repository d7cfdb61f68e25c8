//! What happened, as plain data, and who is told.
//!
//! The floors above emit an [`Event`]; they know neither its wording nor its readers. The log is one reader
//! ([`log`], over [`sink`]); `dev`'s chat is another.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use crate::diagnostic::Diagnostic;

pub mod log;
mod restrained;
pub mod sink;
pub mod text;

pub use restrained::{Loop, Restrained};

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The rules are running.
    Started {
        /// Enabled rules.
        rules: usize,
        /// Scripts, each a VM.
        scripts: usize,
        /// Streams to be opened.
        feeds: usize,
    },
    /// Mistakes were found in rules or scripts.
    Checked {
        /// All of them, warnings too.
        diagnostics: Arc<[Diagnostic]>,
        /// Whether the rules are refused for them.
        rejected: bool,
    },
    /// Streams are open.
    FeedOpened {
        /// Which.
        feeds: Arc<[FeedName]>,
    },
    /// Streams ended or could not be opened; they will be tried again.
    FeedLost {
        /// Which: all that were lost together, for the same cause.
        feeds: Arc<[FeedName]>,
        /// Why.
        cause: String,
        /// Seconds until the next attempt.
        retry_in: f64,
    },
    /// Streams that were told as lost cannot be opened for another cause than that of the loss.
    FeedWaiting {
        /// Which.
        feeds: Arc<[FeedName]>,
        /// Why.
        cause: String,
        /// Seconds until the next attempt.
        retry_in: f64,
    },
    /// The daemon refuses streams; they are tried again slowly.
    FeedRefused {
        /// Which.
        feeds: Arc<[FeedName]>,
        /// The daemon's words.
        cause: String,
        /// Seconds until the next attempt.
        retry_in: f64,
    },
    /// A stream delivered its `count`.
    FeedCompleted {
        /// Which.
        feeds: Arc<[FeedName]>,
        /// How many notifications.
        count: u64,
    },
    /// Nothing was heard on streams for a time, and what was missed cannot be had any more.
    Gap {
        /// Which.
        feeds: Arc<[FeedName]>,
        /// The last moment at which they were known to be open.
        from: Timestamp,
        /// When they were open again.
        to: Timestamp,
        /// Why nothing was caught up, where it can be in principle.
        cause: Option<String>,
    },
    /// What a stream missed was caught up.
    CaughtUp {
        /// Which.
        feeds: Arc<[FeedName]>,
        /// How many notifications.
        notifications: u64,
    },
    /// Changed rules or scripts are running.
    Reloaded(Arc<Reload>),
    /// Changed rules or scripts are not running; the former ones still are.
    ReloadRejected(Arc<Reload>),
    /// A script can only go on in another VM.
    ScriptFailed {
        /// The script as the rules name it.
        script: Arc<str>,
        /// What befell it.
        fate: Fate,
    },
    /// Such a script goes on in another VM, though the rule files as they are now were refused.
    ScriptReplaced {
        /// The script as the rules name it.
        script: Arc<str>,
    },
    /// A script makes no progress, as who watches over all scripts has found.
    ScriptStalled {
        /// The script as the rules name it.
        script: Arc<str>,
        /// The rules that stand still.
        rules: Vec<String>,
        /// For how long.
        silent: Duration,
        /// Whether the service manager is left to start the host anew for it.
        restarts: bool,
    },
    /// A handler did not succeed.
    RunFailed(Failure),
    /// A handler was still running when the host stopped.
    RunAbandoned(Origin),
    /// Notifications of a rule that came in and no handler was called for before the host stopped.
    Unhandled {
        /// Whose.
        origin: Origin,
        /// How many.
        count: usize,
    },
    /// A rule was kept from running away, or goes on as before.
    Restrained(Origin, Restrained),
    /// A script said something.
    Said {
        /// Who.
        origin: Origin,
        /// How loud.
        level: Level,
        /// The text.
        text: String,
        /// What it gave along.
        fields: Map<String, Json>,
    },
    /// Lines of a rule's script that were not told, as there were too many of them.
    LinesLeftOut {
        /// Whose.
        origin: Origin,
        /// What they were.
        what: Omitted,
        /// How many.
        count: u64,
        /// Lines a second that the rule may write.
        rate: u32,
    },
    /// A setting that is accepted but likely meant otherwise.
    Notice(String),
    /// Metrics and health can be had at an address.
    Listening(String),
    /// The host was asked to stop.
    Stopping {
        /// Runs that are under way or waiting.
        pending: u64,
    },
    /// Everything has ended.
    Stopped {
        /// Notifications handled since the start.
        handled: u64,
        /// Notifications that came in and were not handled within the grace period, the ones under way included.
        unhandled: u64,
    },
}

/// A stream, by what tells it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedName {
    /// The subscription.
    pub subscription: Arc<str>,
    /// The rules it feeds.
    pub rules: Arc<[Arc<str>]>,
    /// `file:line` of the first of them.
    pub place: Arc<str>,
}

/// What became of an attempt to load rules and scripts.
#[derive(Debug, Clone)]
pub struct Reload {
    /// The generation that runs now.
    pub generation: u64,
    /// What it came to.
    pub result: ReloadResult,
    /// What asked for it.
    pub trigger: Trigger,
    /// When it was done.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Rules that are new, or enabled now.
    pub added: Vec<String>,
    /// Rules that are gone, or disabled now.
    pub removed: Vec<String>,
    /// Rules that are meant otherwise than before.
    pub changed: Vec<String>,
    /// How many rules are as before.
    pub kept: usize,
    /// Scripts that were replaced by what is now in their files.
    pub scripts: Vec<String>,
    /// Mistakes and warnings.
    pub diagnostics: Arc<[Diagnostic]>,
}

/// What an attempt to load came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadResult {
    /// The first set runs.
    Started,
    /// The changes run.
    Applied,
    /// What was read means the same as what runs.
    Unchanged,
    /// There are mistakes; what ran before still runs.
    Rejected,
}

/// What asks for rules and scripts to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The program started.
    Start,
    /// Files changed.
    Files,
    /// SIGHUP.
    Signal,
    /// The control socket.
    Command,
}

impl ReloadResult {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Started, Self::Applied, Self::Unchanged, Self::Rejected];

    /// As it stands in the log and in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}

impl Trigger {
    /// As it stands in the log and in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Files => "files",
            Self::Signal => "signal",
            Self::Command => "command",
        }
    }
}

/// Where in the rules something comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The rule; none while a script loads.
    pub rule: Option<Arc<str>>,
    /// The rule's subscription.
    pub subscription: Option<Arc<str>>,
    /// The script as the rule names it.
    pub script: Arc<str>,
    /// `script:line`, where known.
    pub place: Option<String>,
}

/// A run that did not succeed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Whose run.
    pub origin: Origin,
    /// What ended it.
    pub kind: FailureKind,
    /// What the author reads.
    pub message: String,
    /// What it was called for: `message 17`.
    pub notification: Option<String>,
    /// The script's frames, the innermost first.
    pub traceback: Vec<String>,
    /// How many such failures this stands for, all after one that was told in full; 0: it is that one.
    pub repeats: u64,
}

/// What ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The script raised an error.
    Error,
    /// It took longer than its `timeout`.
    Timeout,
    /// It used more CPU than its `cpu`.
    Cpu,
    /// It used more memory than its VM has.
    Memory,
    /// It asked for what its permissions do not have.
    Denied,
    /// It wrote more to the log than its `output`.
    Output,
}

/// What makes a script need another VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its thread ended unexpectedly.
    Died,
    /// Its thread does not come back from a run that was stopped; it is given up with its VM.
    Lost,
    /// The same, and so many are lost that it is not loaded again.
    Abandoned,
    /// Its variables leave no memory to work with.
    Spent,
}

/// What was left out of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omitted {
    /// Lines of the script, so loud: what they were left out of is not shown to everybody.
    Lines(Level),
    /// Runs that failed, each in another way.
    Failures,
}

/// How loud a script speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Fate {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Died, Self::Lost, Self::Abandoned, Self::Spent];

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Died => "died",
            Self::Lost => "lost",
            Self::Abandoned => "abandoned",
            Self::Spent => "spent",
        }
    }

    /// What it is and what comes of it, behind the script's name.
    pub fn words(self) -> &'static str {
        match self {
            Self::Died => "'s thread ended unexpectedly; its rules stand still until it is loaded anew",
            Self::Lost => {
                " does not come back from a run that was stopped; it is given up with its variables and loaded anew"
            }
            Self::Abandoned => {
                " does not come back from a run that was stopped, as others before; its rules stand still until the \
                 script is changed or the host is started again"
            }
            Self::Spent => "'s variables hold nearly all the memory that it may use; it is loaded anew, without them",
        }
    }
}

impl Level {
    /// From the least on.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// As it stands in the log's `level`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl FailureKind {
    /// All there are.
    pub const ALL: [Self; 6] = [Self::Error, Self::Timeout, Self::Cpu, Self::Memory, Self::Denied, Self::Output];

    /// As it stands in the log's `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Denied => "denied",
            Self::Output => "output",
        }
    }

    /// The rule key that sets the limit which was reached.
    pub fn limit(self) -> Option<&'static str> {
        match self {
            Self::Error | Self::Denied => None,
            Self::Timeout | Self::Cpu | Self::Memory | Self::Output => Some(self.name()),
        }
    }
}

/// Tells every reader, in the order of emission on each thread.
#[derive(Clone, Default)]
pub struct Reporter(Arc<[Sink]>);

/// A reader of events. It is called on whatever thread emits: one that takes its time holds up that thread.
pub type Sink = Box<dyn Fn(&Event) + Send + Sync>;

impl Reporter {
    /// Fans out to these readers.
    pub fn new(sinks: Vec<Sink>) -> Self {
        Self(sinks.into())
    }

    /// Tells all readers.
    pub fn emit(&self, event: &Event) {
        for sink in &*self.0 {
            sink(event);
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reporter({} readers)", self.0.len())
    }
}
