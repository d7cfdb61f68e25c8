//! What is done: by people, by time, by the daemon.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    Doing, Given, When,
    given::one_of,
    keys::{self, BY, CODE, COMMAND, DOINGS, IN, LAST, SAID, TEXT, TIMES, WITH},
    pattern::json,
    reader::{Reader, listed},
};
use crate::{
    diagnostic::Place,
    rules::{
        Measure,
        node::{Entry, Node, Value},
    },
    schema::{Catalog, Command, names},
    simulator::{Reply, chat::Act},
};

/// Time that may pass at once: longer than any handler sleeps.
pub(super) const LONGEST: u64 = 366 * 24 * 3_600_000;

/// What reading `when` needs to know of the scenario.
pub(super) struct Stand<'s> {
    pub(super) given: &'s Given,
    /// Those that are given, and those made so far.
    pub(super) groups: Vec<String>,
    /// Where files are looked for.
    pub(super) folder: &'s Path,
}

/// Reads what is done at a stretch.
pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry, stand: &mut Stand<'_>) -> Vec<When> {
    match &entry.value.value {
        Value::List(items) if !items.is_empty() => {
            items.iter().filter_map(|item| one(reader, item, reader.place(item), stand)).collect()
        }
        Value::List(_) | Value::Null => {
            reader.wrong(entry, "what is done", "write `when: \"!ping\"`, or `{ say: ..., by: ..., in: ... }`");
            Vec::new()
        }
        _ => {
            let place = reader.document.value_place(entry);
            one(reader, &entry.value, place, stand).into_iter().collect()
        }
    }
}

fn one(reader: &mut Reader<'_>, node: &Node, place: Place, stand: &mut Stand<'_>) -> Option<When> {
    let first = || stand.given.contacts[0].clone();
    let entries = match &node.value {
        Value::Text(text) => {
            let doing = Doing::Act { by: first(), group: None, act: Act::Say(text.clone()) };
            return Some(When { place, doing });
        }
        Value::Map(entries) => entries,
        _ => {
            let message = format!("what is done is a text or a table, found {}", node.what());
            let help = "a text is said to the bot; put it in quotes".to_owned();
            reader.mistake("wrong-type", message, place, Some(help));
            return None;
        }
    };
    let known = |entry: &'_ Entry| DOINGS.iter().find(|doing| doing.key.name == entry.key);
    let mut doings = entries.iter().filter_map(|entry| Some((entry, known(entry)?)));
    let all: Vec<&str> = DOINGS.iter().map(|doing| doing.key.name).collect();
    let Some((entry, doing)) = doings.next() else {
        let known: Vec<&str> = all.iter().copied().chain(keys::names(&keys::BESIDE)).collect();
        let unknown: Vec<_> = entries.iter().filter(|entry| !known.contains(&entry.key.as_str())).collect();
        if unknown.is_empty() {
            let help = Some(format!("write one of {}", listed(&all)));
            reader.mistake("missing-key", "nothing is done here".to_owned(), place, help);
        }
        for entry in unknown {
            reader.unknown(entry, "`when`", &known);
        }
        return None;
    };
    if let Some((second, _)) = doings.next() {
        let message = format!("`{}` and `{}` are two things", entry.key, second.key);
        let help = Some("write a list of tables, one for each".to_owned());
        reader.mistake("two-things", message, reader.document.key_place(second), help);
        return None;
    }
    let people: Vec<&str> = stand.given.contacts.iter().map(String::as_str).collect();
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let allowed = doing.beside;
    let known: Vec<&str> = [entry.key.as_str()].into_iter().chain(allowed.iter().copied()).collect();
    reader.only(entries, &format!("a table with `{}`", entry.key), &known);
    let by = find(BY).filter(|_| allowed.contains(&BY));
    let by = by.map_or(Some(people[0]), |entry| one_of(reader, entry, &people, "nobody"));
    let groups: Vec<&str> = stand.groups.iter().map(String::as_str).collect();
    let group = find(IN).filter(|_| allowed.contains(&IN));
    let group = group.map_or(Some(None), |entry| one_of(reader, entry, &groups, "no group").map(Some));
    let text = find(TEXT).filter(|_| allowed.contains(&TEXT)).map(|entry| reader.text(entry, "put it in quotes"));
    let doing = match entry.key.as_str() {
        "wait" => Doing::Wait(time(reader, entry)?),
        "refuse" => refuse(reader, entry)?,
        "answer" => answer(reader, entry)?,
        _ => {
            let act = act(reader, entry, text.map_or(Some(""), |text| text)?, stand.folder)?;
            let group = group?.map(str::to_owned);
            if let Act::Group(name) = &act {
                stand.groups.push(name.clone());
            }
            Doing::Act { by: by?.to_owned(), group, act }
        }
    };
    Some(When { place, doing })
}

fn act(reader: &mut Reader<'_>, entry: &Entry, text: &str, folder: &Path) -> Option<Act> {
    let quotes = "put it in quotes";
    Some(match entry.key.as_str() {
        "say" => Act::Say(reader.text(entry, quotes)?.to_owned()),
        "reply" => Act::Reply(reader.text(entry, quotes)?.to_owned()),
        "react" => Act::React(reader.text(entry, "write an emoji, or \"\" to take it back")?.to_owned()),
        "edit" => Act::Edit(reader.text(entry, quotes)?.to_owned()),
        "group" => Act::Group(reader.text(entry, "write the name of the group")?.to_owned()),
        "file" => file(reader, entry, text, folder)?,
        "delete" => {
            if entry.value.text() != Some(LAST) {
                reader.wrong(entry, "`last`", "it is always one's own newest message that is deleted");
                return None;
            }
            Act::Delete
        }
        "emit" => {
            let (inner, name) = single(reader, entry, "write `emit: { message_received: { ... } }`")?;
            let Some(found) = Catalog::embedded().subscription(name) else {
                let known = Catalog::embedded().subscriptions().iter().map(|known| known.name.as_str());
                let place = reader.document.key_place(inner);
                return unknown(reader, name, place, "subscription", names::nearest(name, known));
            };
            reader.fits(&found.method.output, inner, false).then_some(())?;
            Act::Emit(found.name.clone(), json(&inner.value))
        }
        _ => {
            let (inner, name) = single(reader, entry, "write `do: { group_leave: { group_id: 1201 } }`")?;
            let Some(found) = Catalog::embedded().command(name) else {
                let place = reader.document.key_place(inner);
                return no_command(reader, name, place);
            };
            reader.fits(&found.method.input, inner, false).then_some(())?;
            Act::Do(found.name.clone(), json(&inner.value))
        }
    })
}

fn file(reader: &mut Reader<'_>, entry: &Entry, text: &str, folder: &Path) -> Option<Act> {
    let path = folder.join(reader.text(entry, "write a path")?);
    if !path.is_file() {
        let message = format!("there is no file `{}`", path.display());
        let help = Some("paths start at the scenario file's directory".to_owned());
        reader.mistake("file-missing", message, reader.document.value_place(entry), help);
        return None;
    }
    Some(Act::File { path, text: text.to_owned() })
}

/// The only entry of a table.
pub(super) fn single<'n>(reader: &mut Reader<'_>, entry: &'n Entry, help: &str) -> Option<(&'n Entry, &'n str)> {
    let entries = reader.table(entry, help)?;
    let [only] = entries else {
        let message = format!("`{}` takes one thing, found {}", entry.key, entries.len());
        let place = reader.document.key_place(entries.get(1).unwrap_or(entry));
        reader.mistake("two-things", message, place, Some(help.to_owned()));
        return None;
    };
    Some((only, &only.key))
}

pub(super) fn no_command<T>(reader: &mut Reader<'_>, name: &str, place: Place) -> Option<T> {
    let known = Catalog::embedded().commands().iter().map(|known| known.name.as_str());
    unknown(reader, name, place, "command", names::nearest(name, known))
}

fn unknown<T>(reader: &mut Reader<'_>, name: &str, place: Place, what: &str, near: Option<&str>) -> Option<T> {
    let message = format!("there is no {what} `{}`", name.escape_debug());
    let help = near.map_or_else(
        || "`olvid-rules catalog` lists all there are".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    reader.mistake("unknown-name", message, place, Some(help));
    None
}

fn time(reader: &mut Reader<'_>, entry: &Entry) -> Option<Duration> {
    let measure = Measure::Time;
    let read = match &entry.value.value {
        Value::Signed(number) => u64::try_from(*number).ok().map(|number| measure.number(number)),
        Value::Text(text) => measure.read(text),
        _ => None,
    };
    let time = read.filter(|time| (1..=LONGEST).contains(time));
    if time.is_none() {
        reader.wrong(entry, "a time of a millisecond to a year", &measure.forms());
    }
    time.map(Duration::from_millis)
}

fn refuse(reader: &mut Reader<'_>, entry: &Entry) -> Option<Doing> {
    let entries = reader.table(entry, "write `refuse: { command: message_send, code: UNAVAILABLE }`")?;
    reader.only(entries, "`refuse`", &keys::names(&keys::REFUSE));
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let (command, code) = (needed(reader, entry, entries, COMMAND), needed(reader, entry, entries, CODE));
    let (command, code) = (self::command(reader, command?), code?);
    let statuses = Reply::statuses();
    let statuses: Vec<&str> = statuses.iter().map(String::as_str).collect();
    let code = one_of(reader, code, &statuses, "no status")?;
    let message = match find(SAID) {
        Some(entry) => reader.text(entry, "put it in quotes")?,
        None => "refused by the scenario",
    };
    let times = times(reader, find(TIMES), 1)?;
    let reply = Reply::refusal(code, message)?;
    Some(Doing::Refuse { command: command?, reply, times })
}

fn answer(reader: &mut Reader<'_>, entry: &Entry) -> Option<Doing> {
    let entries = reader.table(entry, "write `answer: { command: contact_get, with: { ... } }`")?;
    reader.only(entries, "`answer`", &keys::names(&keys::ANSWER));
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let (command, with) = (needed(reader, entry, entries, COMMAND), needed(reader, entry, entries, WITH));
    let (command, with) = (self::command(reader, command?)?, with?);
    reader.fits(&command.method.output, with, false).then_some(())?;
    let times = times(reader, find(TIMES), usize::MAX)?;
    Some(Doing::Answer { command, reply: Reply::Json(json(&with.value)), times })
}

fn needed<'n>(reader: &mut Reader<'_>, entry: &Entry, entries: &'n [Entry], key: &str) -> Option<&'n Entry> {
    let found = entries.iter().find(|entry| entry.key == key);
    if found.is_none() {
        let (place, help) = (reader.document.key_place(entry), Some(format!("add `{key}: ...`")));
        reader.mistake("missing-key", format!("`{}` has no `{key}`", entry.key), place, help);
    }
    found
}

fn command(reader: &mut Reader<'_>, entry: &Entry) -> Option<Arc<Command>> {
    let name = reader.text(entry, "write the name of a command")?;
    if let Some(found) = Catalog::embedded().command(name) {
        return Some(Arc::clone(found));
    }
    let place = reader.document.value_place(entry);
    no_command(reader, name, place)
}

fn times(reader: &mut Reader<'_>, entry: Option<&Entry>, default: usize) -> Option<usize> {
    match entry.map(|entry| (entry, &entry.value.value)) {
        None => Some(default),
        Some((_, Value::Signed(times @ 1..=1_000_000))) => usize::try_from(*times).ok(),
        Some((entry, _)) => {
            let help = if default == 1 { "leave it out for once" } else { "leave it out for every time" };
            reader.wrong(entry, "a whole number from 1 on", help);
            None
        }
    }
}
