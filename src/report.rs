//! What happened, as plain data, and who is told.
//!
//! The floors above emit an [`Event`]; they know neither its wording nor its readers. The log is one reader
//! ([`log`]); `dev`'s chat is another.

use std::{fmt, sync::Arc};

use serde_json::{Map, Value as Json};

use crate::diagnostic::Diagnostic;

pub mod log;

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
    /// A stream is open.
    FeedOpened {
        /// The subscription.
        subscription: Arc<str>,
        /// The rules it feeds.
        rules: Arc<[Arc<str>]>,
    },
    /// A stream ended or could not be opened; it will be tried again.
    FeedLost {
        /// The subscription.
        subscription: Arc<str>,
        /// The rules it feeds.
        rules: Arc<[Arc<str>]>,
        /// Why.
        cause: String,
        /// Seconds until the next attempt.
        retry_in: f64,
    },
    /// The daemon refuses the stream; it is tried again slowly.
    FeedRefused {
        /// The subscription.
        subscription: Arc<str>,
        /// The rules it feeds.
        rules: Arc<[Arc<str>]>,
        /// The daemon's words.
        cause: String,
        /// Seconds until the next attempt.
        retry_in: f64,
    },
    /// A stream delivered its `count`.
    FeedCompleted {
        /// The subscription.
        subscription: Arc<str>,
        /// The rules it feeds.
        rules: Arc<[Arc<str>]>,
        /// How many notifications.
        count: u64,
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
    /// A setting that is accepted but likely meant otherwise.
    Notice(String),
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
    /// The script's frames, the innermost first.
    pub traceback: Vec<String>,
}

/// What ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The script raised an error.
    Error,
    /// It took longer than its `timeout`.
    Timeout,
    /// It used more memory than its VM has.
    Memory,
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

impl FailureKind {
    /// As it stands in the log's `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
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
