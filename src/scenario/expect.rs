//! What is expected: commands, lines of the log, failures.

use std::sync::Arc;

use super::{
    Sending, Telling, Turn,
    given::one_of,
    keys::{self, FAILURE, IN, KIND, LEVEL, LOG, NOTHING, UNORDERED},
    pattern::Pattern,
    reader::Reader,
    when::{Stand, no_command},
};
use crate::{
    report::{FailureKind, Level},
    rules::node::{Entry, Node, Value},
    schema::{Catalog, Command, Kind, Message, Shape, order::OrderKey},
};

const HELP: &str = "write commands, such as `message_send: { body: pong }`, or `nothing`";

/// The noun by which it is found where a command is carried out.
pub(super) const PLACE: &str = "discussion";

/// Reads what is expected, and adds it to what is expected already.
pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry, stand: &Stand<'_>, turn: &mut Turn) {
    match &entry.value.value {
        Value::Text(text) if text == NOTHING => {}
        Value::List(items) if !items.is_empty() => {
            for item in items {
                one(reader, item, stand, turn);
            }
        }
        Value::Map(_) => one(reader, &entry.value, stand, turn),
        _ => reader.wrong(entry, "what is expected", HELP),
    }
}

fn one(reader: &mut Reader<'_>, node: &Node, stand: &Stand<'_>, turn: &mut Turn) {
    let Value::Map(entries) = &node.value else {
        let message = format!("what is expected is a table, found {}", node.what());
        let place = reader.place(node);
        return reader.mistake("wrong-type", message, place, Some(HELP.to_owned()));
    };
    let within = entries.iter().find(|entry| entry.key == IN);
    let mut things = entries.iter().filter(|entry| entry.key != IN);
    let Some(entry) = things.next() else {
        let place = reader.place(node);
        return reader.mistake("missing-key", "nothing is expected here".to_owned(), place, Some(HELP.to_owned()));
    };
    if let Some(second) = things.next() {
        let message = format!("`{}` and `{}` are two things", entry.key.escape_debug(), second.key.escape_debug());
        let help = Some("write a list, in the order in which they come: `- message_send: ...`".to_owned());
        let place = reader.document.key_place(second);
        return reader.mistake("two-things", message, place, help);
    }
    let no_place = |reader: &mut Reader<'_>| {
        if let Some(within) = within {
            reader.unknown(within, &format!("a table with `{}`", entry.key), &[&entry.key]);
        }
    };
    match entry.key.as_str() {
        UNORDERED => {
            no_place(reader);
            unordered(reader, entry, stand, turn);
        }
        LOG => {
            no_place(reader);
            turn.logs.extend(telling(reader, entry, &keys::names(&keys::LOG_KEYS)));
        }
        FAILURE => {
            no_place(reader);
            turn.failures.extend(telling(reader, entry, &keys::names(&keys::FAILURE_KEYS)));
        }
        _ => turn.commands.extend(command(reader, entry, within, stand).map(|command| vec![command])),
    }
}

fn unordered(reader: &mut Reader<'_>, entry: &Entry, stand: &Stand<'_>, turn: &mut Turn) {
    let Value::List(items) = &entry.value.value else {
        return reader.wrong(entry, "a list of commands", "write each as an entry: `- message_send: ...`");
    };
    let before = turn.commands.len();
    for item in items {
        one(reader, item, stand, turn);
    }
    let batch: Vec<Sending> = turn.commands.drain(before..).flatten().collect();
    turn.commands.extend((!batch.is_empty()).then_some(batch));
}

fn telling(reader: &mut Reader<'_>, entry: &Entry, keys: &[&str]) -> Option<Telling> {
    let entries = reader.table(entry, &format!("write what is to be seen of it: `{}`", keys.join("`, `")))?;
    reader.only(entries, &format!("`{}`", entry.key), keys);
    let kinds = FailureKind::ALL.map(FailureKind::name);
    let levels = Level::ALL.map(Level::name);
    for entry in entries {
        match entry.key.as_str() {
            LEVEL => drop(one_of(reader, entry, &levels, "no level")),
            KIND => drop(one_of(reader, entry, &kinds, "no kind of failure")),
            _ => {}
        }
    }
    let fields = Pattern::read(reader, &entry.value, None);
    Some(Telling { place: reader.document.key_place(entry), fields })
}

fn command(reader: &mut Reader<'_>, entry: &Entry, within: Option<&Entry>, stand: &Stand<'_>) -> Option<Sending> {
    let Some(command) = Catalog::embedded().command(&entry.key) else {
        if Catalog::embedded().subscription(&entry.key).is_some() {
            let message = format!("`{}` is a subscription: the bot is told it, and sends commands", entry.key);
            let help = Some("what the bot is told stands in `when`, as `emit`".to_owned());
            reader.mistake("unknown-name", message, reader.document.key_place(entry), help);
            return None;
        }
        let place = reader.document.key_place(entry);
        return no_command(reader, &entry.key, place);
    };
    let plan = request(command);
    let fields = if matches!(entry.value.value, Value::Null) {
        Pattern::anything()
    } else {
        reader.fits(plan, entry, true).then_some(())?;
        Pattern::read(reader, &entry.value, Some(plan))
    };
    let within = match within {
        None => None,
        Some(within) if OrderKey::of(plan, PLACE).thing(plan) != PLACE => {
            let message = format!("{} does not say in which discussion", command.name);
            let help = Some("leave `in` out".to_owned());
            reader.mistake("no-discussion", message, reader.document.key_place(within), help);
            None
        }
        Some(within) => {
            let places = stand.given.contacts.iter().chain(&stand.groups);
            let places: Vec<&str> = places.map(String::as_str).collect();
            Some(one_of(reader, within, &places, "no discussion")?.to_owned())
        }
    };
    Some(Sending { place: reader.document.key_place(entry), command: Arc::clone(command), fields, within })
}

/// The type of what a command asks for: of an upload, without the files' content.
pub(super) fn request(command: &Command) -> &Message {
    let input = &command.method.input;
    match &command.shape {
        Shape::Upload(upload, _) => match &input.fields[upload.metadata].kind {
            Kind::Message(plan) => plan,
            _ => input,
        },
        _ => input,
    }
}
