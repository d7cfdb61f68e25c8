//! The wording of what keeps rules from running away.

use serde_json::Value as Json;

use super::{Level, Record, counted, run::of};
use crate::report::{Loop, Origin, Restrained};

pub(super) fn told(origin: &Origin, what: &Restrained) -> Record {
    let (level, event, message, fields) = match what {
        Restrained::LoopStopped(stopped) => return loop_stopped(origin, stopped),
        Restrained::LoopResumed { thing, id, left_out } => {
            let about = about(thing, *id);
            let notifications = counted(usize::try_from(*left_out).unwrap_or(usize::MAX), "notification");
            let message = format!("the rule is heard again{}; left out meanwhile: {notifications}", within(&about));
            (Level::Info, "loop_resumed", message, vec![("about", about.into()), ("left_out", (*left_out).into())])
        }
        Restrained::Slowed { rate } => {
            let message =
                format!("commands wait for their turn, {rate} a second; the rule's `command_rate` sets the limit");
            (Level::Warn, "commands_throttled", message, vec![("rate", Json::from(*rate))])
        }
        Restrained::AtPace { calls } => {
            let message = format!("commands no longer wait for their turn; {calls} did");
            (Level::Info, "commands_resumed", message, vec![("count", Json::from(*calls))])
        }
    };
    Record::new(level, event, message, [of(origin), fields].concat())
}

fn loop_stopped(origin: &Origin, stopped: &Loop) -> Record {
    let Loop { thing, id, author, count, sample, pause } = stopped;
    let about = about(thing, *id);
    let (with, advice) = match author {
        Some(0) => (" with itself", "; `ignore_self: true` leaves out what this identity did"),
        Some(_) => (" with one contact", ""),
        None => ("", ""),
    };
    let message = format!(
        "stopped a loop: {count} near-identical exchanges{with}{} within a minute; nothing of them is handled for \
         {pause:?}; the rule's `loop_limit` sets the limit{advice}",
        within(&about)
    );
    let mut fields = of(origin);
    fields.extend([("about", Json::from(about)), ("count", (*count).into()), ("pause", pause.as_secs().into())]);
    fields.extend(author.map(|author| ("author", author.into())));
    fields.push(("sample", sample.as_str().into()));
    Record::new(Level::Error, "loop_stopped", message, fields)
}

/// `discussion 12`.
fn about(thing: &str, id: u64) -> String {
    if thing.is_empty() { String::new() } else { format!("{thing} {id}") }
}

fn within(about: &str) -> String {
    if about.is_empty() { String::new() } else { format!(" in {about}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn origin() -> Origin {
        Origin { rule: Some("ping".into()), subscription: None, script: "ping.lua".into(), place: None }
    }

    #[test]
    fn a_loop_names_where_with_whom_and_what_to_change() {
        let mut stopped = Loop {
            thing: "discussion".into(),
            id: 12,
            author: Some(5),
            count: 61,
            sample: "pong".to_owned(),
            pause: Duration::from_mins(2),
        };
        let record = told(&origin(), &Restrained::LoopStopped(stopped.clone()));
        assert_eq!(
            record.message,
            "stopped a loop: 61 near-identical exchanges with one contact in discussion 12 within a minute; nothing of them \
             is handled for 120s; the rule's `loop_limit` sets the limit"
        );
        assert!(record.fields.contains(&("author", 5.into())) && record.fields.contains(&("sample", "pong".into())));
        stopped.author = Some(0);
        let record = told(&origin(), &Restrained::LoopStopped(stopped));
        assert!(record.message.contains("exchanges with itself in") && record.message.contains("`ignore_self: true`"));
    }

    #[test]
    fn the_end_is_told_with_what_was_left_out() {
        let resumed = Restrained::LoopResumed { thing: "discussion".into(), id: 12, left_out: 1 };
        let message = told(&origin(), &resumed).message;
        assert_eq!(message, "the rule is heard again in discussion 12; left out meanwhile: 1 notification");
    }
}
