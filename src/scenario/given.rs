//! What there is before the rules listen.

use jiff::Timestamp;

use super::{
    BOT, Earlier, Given,
    keys::{self, BY, CLOCK, CONTACTS, GROUPS, IN, MESSAGES, SAY},
    reader::{Reader, listed},
};
use crate::{
    diagnostic::Place,
    rules::node::{Entry, Value},
    schema::names,
};

/// A day like any other: 2026-01-01T12:00:00Z.
const NOON: u64 = 1_767_268_800_000;

/// More people or groups than any story has.
pub(super) const MOST: usize = 100;

impl Default for Given {
    fn default() -> Self {
        let contacts = ["alice", "bob"].map(str::to_owned).into();
        Self { clock: NOON, contacts, groups: Vec::new(), messages: Vec::new() }
    }
}

/// Reads `given`; what it does not say is as in `base`.
pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry, base: &Given) -> Given {
    let mut given = base.clone();
    let Some(entries) = reader.table(entry, "write what there is, such as `given: { contacts: [alice] }`") else {
        return given;
    };
    reader.only(entries, "`given`", &keys::names(&keys::GIVEN_KEYS));
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    if let Some(entry) = find(CLOCK) {
        given.clock = clock(reader, entry).unwrap_or(given.clock);
    }
    if let Some(entry) = find(CONTACTS) {
        given.contacts = names_of(reader, entry).unwrap_or(given.contacts);
        if given.contacts.is_empty() {
            let place = reader.document.value_place(entry);
            reader.mistake("invalid-value", "nobody is there to talk to the bot".to_owned(), place, None);
            given.contacts.clone_from(&base.contacts);
        }
    }
    if let Some(entry) = find(GROUPS) {
        given.groups = names_of(reader, entry).unwrap_or(given.groups);
    }
    if let Some(entry) = find(MESSAGES) {
        given.messages = messages(reader, entry, &given);
    }
    given
}

fn clock(reader: &mut Reader<'_>, entry: &Entry) -> Option<u64> {
    let help = "write a time with its offset, such as `2026-11-28T12:00:00Z`";
    let text = reader.text(entry, help)?;
    let time = text.parse::<Timestamp>().ok().and_then(|time| u64::try_from(time.as_millisecond()).ok());
    if time.is_none() {
        let message = format!("`{}` is no time after 1970", text.escape_debug());
        reader.mistake("invalid-value", message, reader.document.value_place(entry), Some(help.to_owned()));
    }
    time
}

/// Reads names that differ from each other and from the bot's.
fn names_of(reader: &mut Reader<'_>, entry: &Entry) -> Option<Vec<String>> {
    let Value::List(items) = &entry.value.value else {
        reader.wrong(entry, "a list of names", &format!("write `{}: [...]`", entry.key));
        return None;
    };
    let mut found: Vec<String> = Vec::new();
    for item in items {
        let place = reader.document.place(item);
        let mistake = match item.text() {
            None => format!("a name is a text, found {}", item.what()),
            Some(name) if name.trim().is_empty() || name.chars().any(char::is_control) => "this is no name".to_owned(),
            Some(name) if name.eq_ignore_ascii_case(BOT) => format!("`{BOT}` is the bot itself"),
            Some(name) if found.iter().any(|other| other.eq_ignore_ascii_case(name)) => {
                format!("`{name}` is there twice")
            }
            Some(_) if found.len() == MOST => format!("there are more than {MOST}"),
            Some(name) => {
                found.push(name.to_owned());
                continue;
            }
        };
        reader.mistake("invalid-value", mistake, place, None);
    }
    Some(found)
}

fn messages(reader: &mut Reader<'_>, entry: &Entry, given: &Given) -> Vec<Earlier> {
    let Value::List(items) = &entry.value.value else {
        reader.wrong(entry, "a list of messages", "write each as an entry: `- { say: hello, by: alice }`");
        return Vec::new();
    };
    let mut all = Vec::new();
    for item in items {
        let place = reader.place(item);
        match &item.value {
            Value::Text(text) => {
                let by = given.contacts[0].clone();
                all.push(Earlier { by, within: BOT.to_owned(), text: text.clone(), place });
            }
            Value::Map(entries) => all.extend(message(reader, entries, place, given)),
            _ => {
                let help = "write a text, or `{ say: hello, by: alice, in: Team }`".to_owned();
                let message = format!("a message is a text or a table, found {}", item.what());
                reader.mistake("wrong-type", message, place, Some(help));
            }
        }
    }
    all
}

fn message(reader: &mut Reader<'_>, entries: &[Entry], place: Place, given: &Given) -> Option<Earlier> {
    reader.only(entries, "an earlier message", &keys::names(&keys::EARLIER));
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let Some(say) = find(SAY) else {
        let help = Some("add `say: ...`".to_owned());
        reader.mistake("missing-key", "this message has no text".to_owned(), place, help);
        return None;
    };
    let text = reader.text(say, "put it in quotes")?.to_owned();
    let (by, place) = (find(BY), reader.document.key_place(say));
    let people: Vec<&str> = given.contacts.iter().map(String::as_str).chain([BOT]).collect();
    let by = by.map_or(Some(given.contacts[0].as_str()), |entry| one_of(reader, entry, &people, "nobody"))?;
    let default = if by == BOT { given.contacts[0].as_str() } else { BOT };
    let places: Vec<&str> =
        people.iter().copied().filter(|name| *name != by).chain(given.groups.iter().map(String::as_str)).collect();
    let within = find(IN).map_or(Some(default), |entry| one_of(reader, entry, &places, "no discussion"))?;
    Some(Earlier { by: by.to_owned(), within: within.to_owned(), text, place })
}

/// Reads a name that is one of those that there are.
pub(super) fn one_of<'n>(reader: &mut Reader<'_>, entry: &'n Entry, known: &[&str], nothing: &str) -> Option<&'n str> {
    let name = reader.text(entry, "write a name")?;
    if known.contains(&name) {
        return Some(name);
    }
    let help = match names::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "say in `given` which there are".to_owned(),
        None => format!("there are {}", listed(known)),
    };
    let message = format!("there is {nothing} called `{}`", name.escape_debug());
    reader.mistake("unknown-name", message, reader.document.value_place(entry), Some(help));
    None
}
