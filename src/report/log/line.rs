//! The two forms of a line.
//!
//! A line is one line: whatever a message body or a script puts into a text is escaped. In the form for machines a
//! script's fields are in an object of their own. In the form for people they follow the host's and have other names, and
//! a script's text that holds what looks like a field stands in quotation marks: what a stranger wrote passes for a line,
//! a level or a field in neither.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value as Json};

use super::{Level, Record, escaped};
use crate::report::text::{cut, write_json};

/// Fields that the form for people has in front or in its sentence.
const IN_WORDS: [&str; 27] = [
    "about",
    "address",
    "author",
    "left_out",
    "pause",
    "rate",
    "rule",
    "rules",
    "streams",
    "kind",
    "limit",
    "count",
    "repeats",
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

/// Names of the host's fields, which a script's field does not get even where they are not shown.
const OWN: [&str; 8] = ["timestamp", "level", "event", "message", "rule", "subscription", "script", "place"];

impl Record {
    /// Writes the line that a machine reads.
    pub fn json(&self, now: Timestamp, out: &mut String) {
        let mut object = Map::new();
        object.insert("timestamp".into(), format!("{now:.3}").into());
        object.insert("level".into(), name(self.level).into());
        object.insert("event".into(), self.event.into());
        object.insert("message".into(), cut(&self.message).into());
        object.extend(self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        write_json(&Json::Object(object), out);
        out.push('\n');
    }

    /// Writes the line that a person reads, and the details below it.
    pub fn human(&self, now: Timestamp, colour: bool, out: &mut String) {
        let time = now.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
        let paint = |code: &'static str| if colour { code } else { "" };
        let (level, reset) = (paint(shade(self.level)), paint("\x1b[0m"));
        // Writing to a String does not fail.
        let _ = write!(out, "{time} {level}{:<5}{reset} ", name(self.level));
        if let Some(speaker) = self.speaker() {
            let _ = write!(out, "{}{}{reset}: ", paint("\x1b[1m"), escaped(speaker));
        }
        let message = cut(&self.message);
        out.push_str(&if self.is_foreign && has_fields(&message) { quoted(&message) } else { escaped(&message) });
        for (key, value) in self.fields.iter().filter(|(key, _)| !IN_WORDS.contains(key)) {
            let _ = write!(out, " {}{key}={reset}{}", paint("\x1b[2m"), plain(value));
        }
        if let Some(Json::Object(fields)) = self.field("fields") {
            for (key, value) in fields {
                let _ = write!(out, " {}{}={reset}{}", paint("\x1b[2m"), own_name(key), plain(value));
            }
        }
        for detail in &self.details {
            let _ = write!(out, "\n    {}", escaped(detail));
        }
        out.push('\n');
    }

    /// Who a line is of: a rule, or a script that no rule has called.
    fn speaker(&self) -> Option<&str> {
        let script = || self.field("script").filter(|_| self.is_foreign);
        self.field("rule").or_else(script)?.as_str()
    }

    fn field(&self, name: &str) -> Option<&Json> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// The name of a script's field, which is no name of the host's.
fn own_name(key: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
    match key {
        _ if OWN.contains(&key) => format!("fields.{key}"),
        _ if !key.is_empty() && key.chars().all(is_plain) => escaped(key),
        _ => quoted(key),
    }
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
        Json::String(text) if text.is_empty() || text.contains([' ', '"', '=']) => quoted(&cut(text)),
        Json::String(text) => escaped(&cut(text)),
        other => escaped(&cut(&other.to_string())),
    }
}

/// Whether something in a text looks like a field, or like a text in quotation marks.
fn has_fields(text: &str) -> bool {
    let ends_a_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '"');
    let before_each = text.match_indices('=').map(|(at, _)| text[..at].chars().next_back());
    text.starts_with('"') || before_each.flatten().any(ends_a_name)
}

fn quoted(text: &str) -> String {
    escaped(&Json::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Event, Failure, FailureKind, Origin};

    fn origin(rule: Option<&str>) -> Origin {
        let subscription = rule.map(|_| "message_received".into());
        Origin { rule: rule.map(Into::into), subscription, script: "echo.lua".into(), place: Some("echo.lua:3".into()) }
    }

    fn said(rule: Option<&str>, text: &str, fields: Json) -> Event {
        let Json::Object(fields) = fields else { panic!("no object") };
        Event::Said { origin: origin(rule), level: Level::Info, text: text.to_owned(), fields }
    }

    /// The two forms of what is told, without the time.
    fn told(event: &Event) -> (String, Json) {
        let record = Record::of(event);
        let (mut human, mut json) = (String::new(), String::new());
        record.human(Timestamp::UNIX_EPOCH, false, &mut human);
        record.json(Timestamp::UNIX_EPOCH, &mut json);
        assert!(json.ends_with('\n') && json.lines().count() == 1 && json.len() < 16 * 1024, "{json}");
        let human = human.split_once(' ').unwrap().1.trim_end_matches('\n').to_owned();
        assert!(human.len() < 16 * 1024 && !human.lines().any(|line| escaped(line) != line), "{human}");
        (human, serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn a_hostile_text_stays_on_its_line_and_in_its_field() {
        let text = "hi\n00:00:00 error forged \u{1b}[31m\u{202e}";
        let (human, json) = told(&said(Some("echo"), text, Json::Object(Map::new())));
        let wanted = "info  echo: hi\\n00:00:00 error forged \\u{1b}[31m\\u{202e} subscription=message_received \
                      place=echo.lua:3";
        assert_eq!(human, wanted);
        assert_eq!((&json["level"], &json["event"], &json["rule"]), (&"info".into(), &"said".into(), &"echo".into()));
        assert_eq!((&json["timestamp"], &json["message"]), (&"1970-01-01T00:00:00.000Z".into(), &text.into()));
    }

    #[test]
    fn a_text_that_looks_like_fields_is_in_quotation_marks() {
        let quoted = |text: &str| {
            let (human, json) = told(&said(Some("echo"), text, Json::Object(Map::new())));
            assert_eq!(json["message"], text);
            let text = human.strip_prefix("info  echo: ").unwrap();
            text.strip_suffix(" subscription=message_received place=echo.lua:3").unwrap().to_owned()
        };
        assert_eq!(quoted("hi place=evil.lua:1"), r#""hi place=evil.lua:1""#);
        assert_eq!(quoted(r#"hi" place="evil.lua:1"#), r#""hi\" place=\"evil.lua:1""#);
        assert_eq!(quoted(r#""hi""#), r#""\"hi\"""#);
        assert_eq!(quoted("1 + 1 = 2, \"yes\""), "1 + 1 = 2, \"yes\"");
    }

    #[test]
    fn a_script_says_nothing_in_the_name_of_a_rule_that_did_not_call_it() {
        let (human, json) = told(&said(None, "echo: hi", Json::Object(Map::new())));
        assert_eq!(human, "info  echo.lua: echo: hi place=echo.lua:3");
        assert_eq!(json["rule"], Json::Null);
    }

    #[test]
    fn a_field_of_a_script_is_none_of_the_hosts() {
        let names = ["timestamp", "level", "event", "message", "rule", "subscription", "script", "place", "kind"];
        let fields: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), "forged".into())).collect();
        let (human, json) = told(&said(Some("echo"), "hi", fields.clone().into()));
        assert_eq!(json["fields"], Json::Object(fields));
        assert!(names[..8].iter().all(|name| json[name] != "forged"), "{json}");
        assert!(
            human.starts_with("info  echo: hi subscription=message_received place=echo.lua:3 fields.event=forged ")
        );
        assert_eq!(human.matches("fields.").count(), 8, "{human}");
        let odd = serde_json::json!({ "a b=c\n": "x y=z", "": "", "size": 3, "of": { "a": "\u{202e}" } });
        let (human, _) = told(&said(Some("echo"), "hi", odd));
        let wanted = r#" ""="" "a b=c\n"="x y=z" of={"a":"\u{202e}"} size=3"#;
        assert!(human.ends_with(wanted), "{human}");
    }

    fn failure(repeats: u64) -> Event {
        Event::RunFailed(Failure {
            origin: origin(Some("echo")),
            kind: FailureKind::Cpu,
            message: "used more than 1s of CPU: the rule's `cpu` is 1s".to_owned(),
            notification: Some("message 17".to_owned()),
            traceback: if repeats == 0 { vec!["echo.lua:3: in function `f`".to_owned()] } else { Vec::new() },
            repeats,
        })
    }

    #[test]
    fn a_failure_names_everything_and_its_repeats_a_number() {
        let (human, json) = told(&failure(0));
        insta::assert_snapshot!(human, @r##"
        error echo: used more than 1s of CPU: the rule's `cpu` is 1s subscription=message_received place=echo.lua:3 notification="message 17"
            at echo.lua:3: in function `f`
        "##);
        let wanted = serde_json::json!({
            "timestamp": "1970-01-01T00:00:00.000Z", "level": "error", "event": "run_failed",
            "message": "used more than 1s of CPU: the rule's `cpu` is 1s", "kind": "cpu", "limit": "cpu",
            "rule": "echo", "subscription": "message_received", "script": "echo.lua", "place": "echo.lua:3",
            "notification": "message 17", "traceback": ["echo.lua:3: in function `f`"],
        });
        assert_eq!(json, wanted);
        let (human, json) = told(&failure(12));
        assert!(human.starts_with("error echo: used more than 1s of CPU: the rule's `cpu` is 1s (12 more times) sub"));
        assert_eq!((&json["repeats"], &json["traceback"]), (&12.into(), &Json::Null));
    }

    #[test]
    fn lines_that_were_left_out_are_a_line() {
        let origin = Origin { place: None, ..origin(Some("echo")) };
        let (human, json) = told(&Event::LinesLeftOut {
            origin,
            what: crate::report::Omitted::Lines(Level::Error),
            count: 1,
            rate: 100,
        });
        insta::assert_snapshot!(human, @"warn  echo: 1 line of the script was left out: the rule's `log_rate` is 100 a second; raise it there, or under `defaults:` subscription=message_received");
        assert_eq!((&json["event"], &json["count"]), (&"lines_left_out".into(), &1.into()));
    }
}
