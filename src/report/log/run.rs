//! The wording of what scripts say and of what becomes of their runs.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::{Level, Record};
use crate::{
    diagnostic::counted,
    report::{Failure, Fate, Omitted, Origin},
};

pub(super) fn said(origin: &Origin, level: Level, text: &str, fields: &Map<String, Json>) -> Record {
    let mut record = Record::new(level, "said", text.to_owned(), of(origin));
    record.is_foreign = true;
    if !fields.is_empty() {
        record.fields.push(("fields", Json::Object(fields.clone())));
    }
    record
}

pub(super) fn left_out(origin: &Origin, what: Omitted, count: u64, rate: u32) -> Record {
    // What nobody sees is not missed by more than those who see it.
    let level = if what == Omitted::Lines(Level::Debug) { Level::Debug } else { Level::Warn };
    let (event, one) = match what {
        Omitted::Lines(_) => ("lines_left_out", "line"),
        Omitted::Failures => ("failures_left_out", "failure"),
    };
    let (some, were) = (many(count, one), if count == 1 { "was" } else { "were" });
    let message = format!(
        "{some} of the script {were} left out: the rule's `log_rate` is {rate} a second; raise it there, or under \
         `defaults:`"
    );
    let mut record = Record::new(level, event, message, of(origin));
    record.fields.push(("count", count.into()));
    record
}

/// A failure in full, or how often it has come again since.
pub(super) fn failed(failure: &Failure) -> Record {
    let message = match failure.repeats {
        0 => failure.message.clone(),
        1 => format!("{} (once more)", failure.message),
        times => format!("{} ({times} more times)", failure.message),
    };
    let mut record = Record::new(Level::Error, "run_failed", message, of(&failure.origin));
    record.is_foreign = true;
    record.fields.push(("kind", failure.kind.name().into()));
    record.fields.extend(failure.kind.limit().map(|limit| ("limit", limit.into())));
    record.fields.extend(failure.notification.as_deref().map(|about| ("notification", about.into())));
    if failure.repeats > 0 {
        record.fields.push(("repeats", failure.repeats.into()));
    }
    if !failure.traceback.is_empty() {
        record.fields.push(("traceback", failure.traceback.clone().into()));
    }
    record.details = failure.traceback.iter().map(|frame| format!("at {frame}")).collect();
    record
}

pub(super) fn abandoned(origin: &Origin) -> Record {
    let message = format!("still running at the end of the grace period, in {}", origin.script);
    Record::new(Level::Error, "run_abandoned", message, of(origin))
}

pub(super) fn unhandled(origin: &Origin, count: usize) -> Record {
    let message = format!("{count} notifications were waiting at the end of the grace period");
    Record::new(Level::Error, "unhandled", message, of(origin))
}

pub(super) fn script_failed(script: &str, fate: Fate) -> Record {
    let event = match fate {
        Fate::Died => "script_died",
        Fate::Lost | Fate::Abandoned => "script_lost",
        Fate::Spent => "script_spent",
    };
    let message = format!("`{script}`{}", fate.words());
    Record::new(Level::Error, event, message, vec![("script", script.into())])
}

pub(super) fn script_replaced(script: &str) -> Record {
    let message = format!("`{script}` was loaded anew; its rules, and all else, are as before the files were changed");
    Record::new(Level::Info, "script_replaced", message, vec![("script", script.into())])
}

pub(super) fn script_stalled(script: &str, rules: &[String], silent: Duration, restarts: bool) -> Record {
    let what = if restarts {
        "the service manager, which is not told any more that all is well, will start the host anew"
    } else {
        "the host is not started anew for it, as its rule files have mistakes now"
    };
    let message = format!("`{script}` has made no progress for {} s; {what}", silent.as_secs());
    let rules = Json::from(rules.to_vec());
    Record::new(Level::Error, "script_stalled", message, vec![("script", script.into()), ("rules", rules)])
}

fn many(count: u64, what: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), what)
}

pub(super) fn of(origin: &Origin) -> Vec<(&'static str, Json)> {
    let optional = [("rule", &origin.rule), ("subscription", &origin.subscription)];
    let mut fields: Vec<(_, Json)> =
        optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?.into()))).collect();
    fields.push(("script", (*origin.script).into()));
    fields.extend(origin.place.as_ref().map(|place| ("place", place.as_str().into())));
    fields
}
