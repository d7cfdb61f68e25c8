//! The log: the wording of every event, and its two forms, lines for people and JSON objects for machines.
//!
//! What belongs to an event is a field, never part of a text that could be forged; how lines are kept apart from what
//! strangers put into them is [`line`]'s. Writing goes to standard error; a reader that went away is not our failure.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use serde_json::Value as Json;

pub use super::text::escaped;
use super::{Event, Level, Sink};
use crate::diagnostic::{Diagnostic, Severity, counted, render};

mod feed;
mod journal;
mod line;
mod reload;
mod restrained;
mod run;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
    /// Entries of systemd's journal. Where a text is all that there can be, lines for people.
    Journal,
}

/// How a reader wants to be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) format: Format,
    /// What is below is left out.
    pub(super) least: Level,
    pub(super) colour: bool,
}

/// What an event is put into words in.
#[derive(Default)]
pub(super) struct Buffers {
    entry: Vec<u8>,
    text: String,
}

impl Form {
    /// Puts all that is said of an event into words: each time the entry of a journal, where there is to be one, and the
    /// text. Both are written into the buffers, again and again.
    pub(super) fn entries(self, event: &Event, buffers: &mut Buffers, mut tell: impl FnMut(&[u8], &str)) {
        let Buffers { entry, text } = buffers;
        if self.format != Format::Journal {
            text.clear();
            write(event, self.format, self.least, self.colour, text);
            return tell(&[], text);
        }
        let mut tell = |record: Record, message: &str| {
            if self.least <= record.level {
                entry.clear();
                text.clear();
                record.journal(message, entry);
                record.human(Timestamp::now(), self.colour, text);
                tell(entry, text);
            }
        };
        let (diagnostics, rejected) = of_load(event);
        for mistake in diagnostics {
            let shown = render::human(std::slice::from_ref(mistake), false, render::WIDTH);
            tell(Record::of_mistake(mistake, rejected), shown.trim_end());
        }
        if !matches!(event, Event::Checked { .. }) {
            let record = Record::of(event);
            let message = record.body(false);
            tell(record, &message);
        }
    }
}

/// Whether standard error takes colours.
pub fn colour() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Makes a reader that writes to standard error, leaving out what is below `least`.
pub fn to_stderr(format: Format, least: Level) -> Sink {
    let colour = colour();
    // One lock around the whole line, so that lines of several threads do not mix.
    let line = Mutex::new(String::new());
    Box::new(move |event| {
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        line.clear();
        write(event, format, least, colour, &mut line);
        drop(stderr().lock().write_all(line.as_bytes()));
    })
}

/// Writes all that is said of an event: its line, below the mistakes that it is about. Nothing where that is below what
/// is wanted.
pub fn write(event: &Event, format: Format, least: Level, colour: bool, out: &mut String) {
    let (diagnostics, rejected) = of_load(event);
    let is_summed_up = matches!(event, Event::Checked { .. });
    match format {
        _ if diagnostics.is_empty() => {}
        Format::Human | Format::Journal => {
            out.push_str(&render::human(diagnostics, colour, render::WIDTH));
            let summary = is_summed_up.then(|| render::summary(diagnostics)).flatten();
            out.extend(summary.map(|summary| format!("\n{summary}\n")));
        }
        Format::Json => mistakes(diagnostics, rejected, out),
    }
    if !is_summed_up {
        Record::of(event).write(format, least, colour, out);
    }
}

/// The mistakes and warnings that an event is about, and whether the rules are refused for them.
fn of_load(event: &Event) -> (&[Diagnostic], bool) {
    match event {
        Event::Checked { diagnostics, rejected } => (diagnostics, *rejected),
        Event::Reloaded(reload) => (&reload.diagnostics, false),
        Event::ReloadRejected(reload) => (&reload.diagnostics, true),
        _ => (&[], false),
    }
}

/// An event put into words.
#[derive(Debug, Clone)]
pub struct Record {
    /// Who must act: error the author or operator now, warn soon, info nobody.
    pub level: Level,
    /// A stable name: `run_failed`.
    pub event: &'static str,
    /// One sentence.
    pub message: String,
    /// What belongs to it, by stable names.
    pub fields: Vec<(&'static str, Json)>,
    /// Lines that follow in the form for people.
    pub details: Vec<String>,
    /// Whether the message is a script's, and may be made to look like something else.
    pub is_foreign: bool,
}

impl Record {
    /// Puts an event into words.
    pub fn of(event: &Event) -> Self {
        match event {
            Event::Started { rules, scripts, feeds } => {
                let [rules, scripts, streams] = [(rules, "rule"), (scripts, "script"), (feeds, "stream")]
                    .map(|(number, what)| counted(*number, what));
                let message = format!("running {rules}, {scripts}, {streams}");
                Self::new(Level::Info, "started", message, vec![])
            }
            Event::Checked { diagnostics, rejected } => {
                let message = render::summary(diagnostics).unwrap_or_default();
                let level = if *rejected { Level::Error } else { Level::Warn };
                Self::new(level, "checked", message, vec![])
            }
            Event::FeedOpened { feeds } => feed::opened(feeds),
            Event::FeedLost { feeds, cause, retry_in } => feed::lost(feeds, cause, *retry_in),
            Event::FeedWaiting { feeds, cause, retry_in } => feed::waiting(feeds, cause, *retry_in),
            Event::FeedRefused { feeds, cause, retry_in } => feed::refused(feeds, cause, *retry_in),
            Event::FeedCompleted { feeds, count } => feed::completed(feeds, *count),
            Event::Gap { feeds, from, to, cause } => feed::gap(feeds, *from, *to, cause.as_deref()),
            Event::CaughtUp { feeds, notifications } => feed::caught_up(feeds, *notifications),
            Event::Reloaded(reload) => reload::applied(reload),
            Event::ReloadRejected(reload) => reload::rejected(reload),
            Event::ScriptFailed { script, fate } => run::script_failed(script, *fate),
            Event::ScriptReplaced { script } => run::script_replaced(script),
            Event::ScriptStalled { script, rules, silent, restarts } => {
                run::script_stalled(script, rules, *silent, *restarts)
            }
            Event::RunFailed(failure) => run::failed(failure),
            Event::RunAbandoned(origin) => run::abandoned(origin),
            Event::Said { origin, level, text, fields } => run::said(origin, *level, text, fields),
            Event::LinesLeftOut { origin, what, count, rate } => run::left_out(origin, *what, *count, *rate),
            Event::Restrained(origin, what) => restrained::told(origin, what),
            Event::Notice(text) => Self::new(Level::Warn, "notice", text.clone(), vec![]),
            Event::Listening(address) => {
                let message = format!("metrics and health at {address}");
                Self::new(Level::Info, "listening", message, vec![("address", address.as_str().into())])
            }
            Event::Asked(sentence) => Self::new(Level::Info, "status", sentence.clone(), vec![]),
            Event::Stopping { pending } => {
                Self::new(Level::Info, "stopping", format!("stopping; {pending} notifications to finish"), vec![])
            }
            Event::Stopped { handled, unhandled: 0 } => {
                Self::new(Level::Info, "stopped", format!("stopped after {handled} notifications"), vec![])
            }
            Event::Stopped { handled, unhandled } => {
                let message = format!("stopped after {handled} notifications; {unhandled} were not handled in time");
                Self::new(Level::Error, "stopped", message, vec![("unhandled", (*unhandled).into())])
            }
            Event::Unhandled { origin, count } => run::unhandled(origin, *count),
        }
    }

    /// One mistake of rules or scripts, as machines read it.
    fn of_mistake(mistake: &Diagnostic, rejected: bool) -> Self {
        let level = if mistake.severity == Severity::Error { Level::Error } else { Level::Warn };
        let event = if rejected { "load_rejected" } else { "load_warning" };
        let mut fields = vec![("kind", Json::from("load")), ("code", mistake.code.into())];
        fields.extend(mistake.place.as_ref().map(|place| ("place", place.display().into())));
        fields.extend(mistake.help.as_ref().map(|help| ("help", help.as_str().into())));
        Self::new(level, event, mistake.message.clone(), fields)
    }

    /// Why the program ends before it runs.
    pub(super) fn failed(cause: &str) -> Self {
        Self::new(Level::Error, "failed", cause.to_owned(), vec![])
    }

    fn new(level: Level, event: &'static str, message: String, fields: Vec<(&'static str, Json)>) -> Self {
        Self { level, event, message, fields, details: Vec::new(), is_foreign: false }
    }

    /// Writes the line of a form, unless it is below what is wanted.
    fn write(&self, format: Format, least: Level, colour: bool, out: &mut String) {
        match format {
            _ if self.level < least => {}
            Format::Human | Format::Journal => self.human(Timestamp::now(), colour, out),
            Format::Json => self.json(Timestamp::now(), out),
        }
    }
}

/// Each mistake as a line for machines.
fn mistakes(diagnostics: &[Diagnostic], rejected: bool, out: &mut String) {
    let now = Timestamp::now();
    for mistake in diagnostics {
        Record::of_mistake(mistake, rejected).json(now, out);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::diagnostic::Source;

    /// A mistake in a rule file, and one without a place.
    pub(crate) fn mistakes() -> Arc<[Diagnostic]> {
        let source = Source::new("rules.yaml", "rules:\n  - nmae: a\n");
        let mut place = source.line(2);
        place.span.start += 2;
        [Diagnostic::error("unknown-key", "unknown key `nmae`").at(place), Diagnostic::warning("no-rules", "nothing")]
            .into()
    }
}
