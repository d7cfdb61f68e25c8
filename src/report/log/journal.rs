//! The form for systemd's journal: an entry is a datagram of fields, as its native protocol has them.
//!
//! `MESSAGE` is the line for people, without time and level, with what follows it. What belongs to an event is a field by
//! its name in capitals, and of a list each element is one: `journalctl RULE=ping` finds all that a rule had a part in.
//! What a script gave along is below `F_`, so that it is no field of the host's, whatever its name.

use serde_json::Value as Json;

use super::{Level, Record};
use crate::report::text::cut;

/// Who speaks, for the journal.
const IDENTIFIER: &str = "olvid-rules";

/// Bytes of a field's name that the journal takes.
const LONGEST_NAME: usize = 64;

/// Fields of a script in one entry. The journal takes a thousand in all.
const MOST_FIELDS: usize = 100;

impl Record {
    /// Writes the entry, of which the message is this text.
    pub(in crate::report) fn journal(&self, message: &str, out: &mut Vec<u8>) {
        let priority = match self.level {
            Level::Debug => "7",
            Level::Info => "6",
            Level::Warn => "4",
            Level::Error => "3",
        };
        field("MESSAGE", message, out);
        field("PRIORITY", priority, out);
        field("SYSLOG_IDENTIFIER", IDENTIFIER, out);
        field("EVENT", self.event, out);
        for (name, value) in &self.fields {
            match (*name, value) {
                ("fields", Json::Object(fields)) => {
                    for (name, value) in fields.iter().take(MOST_FIELDS) {
                        field(&foreign(name), &text(value), out);
                    }
                }
                // One or several: they are found by the same name.
                ("rules", Json::Array(rules)) => rules.iter().for_each(|rule| field("RULE", &text(rule), out)),
                (name, Json::Array(all)) => all.iter().for_each(|one| field(&own(name), &text(one), out)),
                (name, value) => field(&own(name), &text(value), out),
            }
        }
    }
}

/// Writes a field. A text of several lines stands behind its length, so that no line of it is taken for a field.
fn field(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend((value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend(value.as_bytes());
    out.push(b'\n');
}

fn text(value: &Json) -> String {
    match value {
        Json::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

fn own(name: &str) -> String {
    name.to_ascii_uppercase()
}

/// The name of a script's field, with what the journal does not take replaced.
fn foreign(name: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    "F_".chars().chain(name.chars().map(letter)).take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Map, json};

    use super::*;
    use crate::report::{
        Event, Failure, FailureKind, FeedName, Origin,
        log::{Buffers, Form, tests::mistakes},
    };

    /// Reads entries as the journal does: fields, of which a name may come several times.
    fn read(mut bytes: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| [b'=', b'\n'].contains(byte)).unwrap();
            let name = str::from_utf8(&bytes[..end]).unwrap().to_owned();
            let (length, rest) = if bytes[end] == b'=' {
                let rest = &bytes[end + 1..];
                (rest.iter().position(|byte| *byte == b'\n').unwrap(), rest)
            } else {
                let (length, rest) = bytes[end + 1..].split_at(8);
                (usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap(), rest)
            };
            let is_name = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
            assert!(name.chars().all(is_name) && name.starts_with(|first: char| first.is_ascii_uppercase()), "{name}");
            assert!(name.len() <= LONGEST_NAME && rest[length] == b'\n', "{name}");
            fields.push((name, str::from_utf8(&rest[..length]).unwrap().to_owned()));
            bytes = &rest[length + 1..];
        }
        fields
    }

    fn told(event: &Event) -> Vec<Vec<(String, String)>> {
        let form = Form { format: super::super::Format::Journal, least: Level::Debug, colour: false };
        let mut entries = Vec::new();
        form.entries(event, &mut Buffers::default(), |entry, _| entries.push(read(entry)));
        entries
    }

    fn of<'f>(fields: &'f [(String, String)], name: &str) -> Vec<&'f str> {
        fields.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    fn origin() -> Origin {
        Origin {
            rule: Some("echo".into()),
            subscription: Some("message_received".into()),
            script: "echo.lua".into(),
            place: Some("echo.lua:3".into()),
        }
    }

    #[test]
    fn what_a_stranger_wrote_is_neither_a_field_nor_an_emergency() {
        let text = "<0>hi\nPRIORITY=0\nRULE=other\n\u{1b}[31m";
        let fields = json!({ "n": 3, "PRIORITY": "0\n_UID=0", "rule": "forged", "é b": [1, 2], "_": null, "": "x" });
        let Json::Object(fields) = fields else { panic!("no object") };
        let event = Event::Said { origin: origin(), level: Level::Info, text: text.to_owned(), fields };
        let [entry] = &told(&event)[..] else { panic!("one entry") };
        let found: BTreeMap<_, _> = entry.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found.len(), entry.len(), "{entry:?}");
        assert_eq!((found["PRIORITY"], found["RULE"], found["EVENT"]), ("6", "echo", "said"));
        assert_eq!(
            (found["SUBSCRIPTION"], found["SCRIPT"], found["PLACE"]),
            ("message_received", "echo.lua", "echo.lua:3")
        );
        assert_eq!((found["F_N"], found["F_PRIORITY"], found["F_RULE"]), ("3", "0\n_UID=0", "forged"));
        assert_eq!((found["F___B"], found["F_"], found["SYSLOG_IDENTIFIER"]), ("[1,2]", "x", IDENTIFIER));
        // It stands in quotation marks, as it looks like fields.
        assert!(
            found["MESSAGE"].starts_with(r#"echo: "<0>hi\nPRIORITY=0\nRULE=other\n\u001b[31m""#),
            "{}",
            found["MESSAGE"]
        );
        assert!(!found["MESSAGE"].contains('\n'));
    }

    #[test]
    fn a_failure_brings_its_frames_and_every_rule_of_lost_streams_is_found() {
        let failure = Failure {
            origin: origin(),
            kind: FailureKind::Cpu,
            message: "too long".to_owned(),
            notification: Some("message 17".to_owned()),
            traceback: vec!["echo.lua:3: in function `f`".to_owned(), "echo.lua:9".to_owned()],
            repeats: 0,
        };
        let [entry] = &told(&Event::RunFailed(failure))[..] else { panic!("one entry") };
        let message = of(entry, "MESSAGE")[0];
        assert!(message.starts_with("echo: too long "), "{message}");
        assert!(message.ends_with("\n    at echo.lua:3: in function `f`\n    at echo.lua:9"), "{message}");
        assert_eq!(of(entry, "TRACEBACK"), ["echo.lua:3: in function `f`", "echo.lua:9"]);
        assert_eq!(
            (of(entry, "PRIORITY"), of(entry, "KIND"), of(entry, "NOTIFICATION")),
            (vec!["3"], vec!["cpu"], vec!["message 17"])
        );
        let feed = |name: &str| FeedName {
            subscription: "message_received".into(),
            rules: [name.into()].into(),
            place: "rules.yaml:2".into(),
        };
        let feeds = [feed("a"), feed("b")].into();
        let [entry] = &told(&Event::FeedLost { feeds, cause: "UNAVAILABLE: x".to_owned(), retry_in: 1.0 })[..] else {
            panic!("one entry")
        };
        assert_eq!(
            (of(entry, "RULE"), of(entry, "STREAMS"), of(entry, "PRIORITY")),
            (vec!["a", "b"], vec!["2"], vec!["4"])
        );
    }

    #[test]
    fn each_mistake_is_an_entry_with_its_line_shown() {
        let entries = told(&Event::Checked { diagnostics: mistakes(), rejected: true });
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (of(&entries[0], "EVENT"), of(&entries[0], "KIND"), of(&entries[0], "PLACE")),
            (vec!["load_rejected"], vec!["load"], vec!["rules.yaml:2:5"])
        );
        let message = of(&entries[0], "MESSAGE")[0];
        assert!(
            message.contains("unknown key `nmae`") && message.contains("  - nmae: a") && message.contains('\n'),
            "{message}"
        );
    }

    #[test]
    fn a_script_gives_along_no_more_than_the_journal_takes() {
        let fields: Map<_, _> =
            (0..5000).map(|at| (format!("{}{at}", "x".repeat(100)), "y".repeat(9000).into())).collect();
        let event = Event::Said { origin: origin(), level: Level::Debug, text: "x".repeat(100_000), fields };
        let [entry] = &told(&event)[..] else { panic!("one entry") };
        assert!(entry.len() < 120 && entry[1..].iter().all(|(_, value)| value.len() < 5000), "{}", entry.len());
        assert_eq!(of(entry, "PRIORITY"), ["7"]);
    }
}
