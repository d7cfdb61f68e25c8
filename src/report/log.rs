//! The log: the wording of every event, and its two forms, lines for people and JSON objects for machines.
//!
//! A line is one line: whatever a message body or a script puts into a text, control and bidirectional characters are
//! escaped, and what belongs to an event is a field, never part of a text that could be forged. Writing goes to standard
//! error; a reader that went away is not our failure.

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, Write as _, stderr},
    sync::{Mutex, PoisonError},
};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value as Json};

use super::{Event, Failure, Fate, Level, Origin, ReloadResult, Sink};
use crate::diagnostic::{Diagnostic, Severity, counted, render};

mod feed;
mod reload;
mod restrained;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Characters of one text; what is longer is cut, and says so.
const LONGEST_TEXT: usize = 4000;

/// Fields that the form for people has in front or in its sentence.
const IN_WORDS: [&str; 24] = [
    "about",
    "author",
    "count",
    "left_out",
    "pause",
    "rate",
    "rule",
    "rules",
    "streams",
    "kind",
    "traceback",
    "fields",
    "script",
    "from",
    "to",
    "generation",
    "trigger",
    "result",
    "took",
    "added",
    "removed",
    "changed",
    "scripts",
    "kept",
];

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
    let human = |diagnostics: &[Diagnostic], out: &mut String| {
        out.push_str(&render::human(diagnostics, colour, render::WIDTH));
    };
    match (event, format) {
        (Event::Checked { diagnostics, .. }, Format::Human) => {
            human(diagnostics, out);
            out.extend(render::summary(diagnostics).map(|summary| format!("\n{summary}\n")));
        }
        (Event::Checked { diagnostics, rejected }, Format::Json) => mistakes(diagnostics, *rejected, out),
        (Event::Reloaded(reload) | Event::ReloadRejected(reload), _) => {
            let rejected = reload.result == ReloadResult::Rejected;
            match format {
                Format::Human => human(&reload.diagnostics, out),
                Format::Json => mistakes(&reload.diagnostics, rejected, out),
            }
            Record::of(event).write(format, least, colour, out);
        }
        _ => Record::of(event).write(format, least, colour, out),
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
            Event::ScriptFailed { script, fate } => {
                let (event, message) = fate_of(*fate);
                Self::new(Level::Error, event, message.to_owned(), vec![("script", Json::from(&**script))])
            }
            Event::RunFailed(failure) => Self::of_failure(failure),
            Event::RunAbandoned(origin) => Self::new(
                Level::Error,
                "run_abandoned",
                format!("still running at the end of the grace period, in {}", origin.script),
                of(origin),
            ),
            Event::Said { origin, level, text, fields } => {
                let mut record = Self::new(*level, "said", text.clone(), of(origin));
                if !fields.is_empty() {
                    record.fields.push(("fields", Json::Object(fields.clone())));
                }
                record
            }
            Event::Restrained(origin, what) => restrained::told(origin, what),
            Event::Notice(text) => Self::new(Level::Warn, "notice", text.clone(), vec![]),
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
            Event::Unhandled { origin, count } => {
                let message = format!("{count} notifications were waiting at the end of the grace period");
                Self::new(Level::Error, "unhandled", message, of(origin))
            }
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

    fn of_failure(failure: &Failure) -> Self {
        let mut record = Self::new(Level::Error, "run_failed", failure.message.clone(), of(&failure.origin));
        record.fields.push(("kind", failure.kind.name().into()));
        if !failure.traceback.is_empty() {
            record.fields.push(("traceback", failure.traceback.clone().into()));
        }
        record.details = failure.traceback.iter().map(|frame| format!("at {frame}")).collect();
        record
    }

    fn new(level: Level, event: &'static str, message: String, fields: Vec<(&'static str, Json)>) -> Self {
        Self { level, event, message, fields, details: Vec::new() }
    }

    /// Writes the line of a form, unless it is below what is wanted.
    fn write(&self, format: Format, least: Level, colour: bool, out: &mut String) {
        match format {
            _ if (self.level as u8) < (least as u8) => {}
            Format::Human => self.human(Timestamp::now(), colour, out),
            Format::Json => self.json(Timestamp::now(), out),
        }
    }

    /// Writes the line that a machine reads.
    pub fn json(&self, now: Timestamp, out: &mut String) {
        let mut object = Map::new();
        object.insert("timestamp".into(), format!("{now:.3}").into());
        object.insert("level".into(), name(self.level).into());
        object.insert("event".into(), self.event.into());
        object.insert("message".into(), cut(&self.message).into());
        object.extend(self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        out.push_str(&Json::Object(object).to_string());
        out.push('\n');
    }

    /// Writes the line that a person reads, and the details below it.
    pub fn human(&self, now: Timestamp, colour: bool, out: &mut String) {
        let time = now.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
        let paint = |code: &'static str| if colour { code } else { "" };
        let (level, reset) = (paint(shade(self.level)), paint("\x1b[0m"));
        // Writing to a String does not fail.
        let _ = write!(out, "{time} {level}{:<5}{reset} ", name(self.level));
        if let Some(Json::String(rule)) = self.field("rule") {
            let _ = write!(out, "{}{}{reset}: ", paint("\x1b[1m"), escaped(rule));
        }
        out.push_str(&escaped(&cut(&self.message)));
        for (key, value) in self.fields.iter().filter(|(key, _)| !IN_WORDS.contains(key)) {
            let _ = write!(out, " {}{key}={reset}{}", paint("\x1b[2m"), plain(value));
        }
        if let Some(Json::Object(fields)) = self.field("fields") {
            for (key, value) in fields {
                let _ = write!(out, " {}{}={reset}{}", paint("\x1b[2m"), escaped(key), plain(value));
            }
        }
        for detail in &self.details {
            let _ = write!(out, "\n    {}", escaped(detail));
        }
        out.push('\n');
    }

    fn field(&self, name: &str) -> Option<&Json> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Each mistake as a line for machines.
fn mistakes(diagnostics: &[Diagnostic], rejected: bool, out: &mut String) {
    let now = Timestamp::now();
    for mistake in diagnostics {
        Record::of_mistake(mistake, rejected).json(now, out);
    }
}

fn fate_of(fate: Fate) -> (&'static str, &'static str) {
    match fate {
        Fate::Died => {
            ("script_died", "the script's thread ended unexpectedly; its rules stand still until it is loaded anew")
        }
        Fate::Lost => (
            "script_lost",
            "the script does not come back from a run that was stopped; it is given up with its variables and loaded anew",
        ),
        Fate::Abandoned => (
            "script_lost",
            "the script does not come back from a run that was stopped, as others before; its rules stand still until the \
             script is changed or the host is started again",
        ),
        Fate::Spent => (
            "script_spent",
            "the script's variables hold nearly all the memory that it may use; it is loaded anew, without them",
        ),
    }
}

fn of(origin: &Origin) -> Vec<(&'static str, Json)> {
    let optional = [("rule", &origin.rule), ("subscription", &origin.subscription)];
    let mut fields: Vec<(_, Json)> =
        optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?.into()))).collect();
    fields.push(("script", (*origin.script).into()));
    fields.extend(origin.place.as_ref().map(|place| ("place", place.as_str().into())));
    fields
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

fn shade(level: Level) -> &'static str {
    match level {
        Level::Debug => "\x1b[2m",
        Level::Info => "\x1b[32m",
        Level::Warn => "\x1b[33m",
        Level::Error => "\x1b[31m",
    }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => escaped(&cut(text)),
        other => escaped(&cut(&other.to_string())),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes left out)", &text[..end], text.len() - end),
    }
}

/// Escapes what could end a line, colour a terminal or turn the direction of writing.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let harmful = letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if harmful { out.extend(letter.escape_default()) } else { out.push(letter) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_text_stays_on_its_line_and_in_its_field() {
        let text = "hi\n00:00:00 error forged \u{1b}[31m\u{202e}".to_owned();
        let origin = Origin { rule: Some("echo".into()), subscription: None, script: "echo.lua".into(), place: None };
        let record = Record::of(&Event::Said { origin, level: Level::Info, text, fields: Map::new() });
        let (mut human, mut json) = (String::new(), String::new());
        record.human(Timestamp::UNIX_EPOCH, false, &mut human);
        record.json(Timestamp::UNIX_EPOCH, &mut json);
        assert!(human.ends_with("info  echo: hi\\n00:00:00 error forged \\u{1b}[31m\\u{202e}\n"), "{human}");
        assert_eq!(json.lines().count(), 1);
        let parsed: Json = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&parsed["level"], &parsed["event"], &parsed["rule"]),
            (&"info".into(), &"said".into(), &"echo".into())
        );
        assert_eq!(parsed["timestamp"], "1970-01-01T00:00:00.000Z");
    }
}
