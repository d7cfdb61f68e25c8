//! What reading any part of a scenario file shares: keys that are known, values of the right type, and every mistake told.

use crate::{
    diagnostic::{Diagnostic, Place},
    rules::{
        node::{Entry, Node, Parameter, Value},
        yaml::Document,
    },
    schema::{
        Message,
        encode::{self, Datum, Mismatch, View},
        names,
    },
};

pub(super) struct Reader<'d> {
    pub(super) document: &'d Document,
    pub(super) told: Vec<Diagnostic>,
}

impl Reader<'_> {
    pub(super) fn mistake(&mut self, code: &'static str, message: String, place: Place, help: Option<String>) {
        self.told.push(Diagnostic { help, ..Diagnostic::error(code, message).at(place) });
    }

    /// Tells that a value is of the wrong type.
    pub(super) fn wrong(&mut self, entry: &Entry, expected: &str, help: &str) {
        let message = format!("`{}` must be {expected}, found {}", entry.key.escape_debug(), entry.value.what());
        let place = self.document.value_place(entry);
        self.mistake("wrong-type", message, place, Some(help.to_owned()));
    }

    pub(super) fn text<'n>(&mut self, entry: &'n Entry, help: &str) -> Option<&'n str> {
        let text = entry.value.text();
        if text.is_none() {
            self.wrong(entry, "a text", help);
        }
        text
    }

    pub(super) fn table<'n>(&mut self, entry: &'n Entry, help: &str) -> Option<&'n [Entry]> {
        if let Value::Map(entries) = &entry.value.value {
            return Some(entries);
        }
        self.wrong(entry, "a table", help);
        None
    }

    /// Tells that a key is none of these.
    pub(super) fn unknown(&mut self, entry: &Entry, of: &str, keys: &[&str]) {
        let help = match names::nearest(&entry.key, keys.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", listed(keys)),
        };
        let message = format!("unknown key `{}` of {of}", entry.key.escape_debug());
        self.mistake("unknown-key", message, self.document.key_place(entry), Some(help));
    }

    /// Tells every key that is none of these.
    pub(super) fn only(&mut self, entries: &[Entry], of: &str, keys: &[&str]) {
        for entry in entries.iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
            self.unknown(entry, of, keys);
        }
    }

    /// The place of a node that may be a list's element: of its first key, where it is a table.
    pub(super) fn place(&self, node: &Node) -> Place {
        match &node.value {
            Value::Map(entries) if !entries.is_empty() => self.document.key_place(&entries[0]),
            _ => self.document.place(node),
        }
    }

    /// Whether a value is a message of a type; every mistake is told.
    pub(super) fn fits(&mut self, plan: &Message, entry: &Entry, patterns: bool) -> bool {
        let encoded = if patterns {
            encode::encode(plan, &Expected(&entry.value), None)
        } else {
            encode::encode(plan, &Parameter::Node(&entry.value), None)
        };
        let mistakes = encoded.err().unwrap_or_default();
        for Mismatch { path, at_key, code, message, help, related } in &mistakes {
            let place = self.document.place_behind(entry, path, *at_key);
            let mut told = Diagnostic { help: help.clone(), ..Diagnostic::error(code, message.clone()).at(place) };
            if let Some((path, caption)) = related {
                told = told.related(self.document.place_behind(entry, path, *at_key), caption.clone());
            }
            self.told.push(told);
        }
        mistakes.is_empty()
    }
}

/// Names as they are listed for people.
pub(super) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The key of a table that stands for a text.
pub(super) const MATCHES: &str = "matches";

/// The expression of `{ matches: … }`.
pub(super) fn expression(node: &Node) -> Option<&Entry> {
    match &node.value {
        Value::Map(entries) if entries.len() == 1 && entries[0].key == MATCHES => Some(&entries[0]),
        _ => None,
    }
}

/// What is expected of a message: as one is written, but an expression may stand for a text.
struct Expected<'n>(&'n Node);

impl Datum for Expected<'_> {
    const ECHOES: bool = false;

    fn view(&self) -> View<'_, Self> {
        if let Some(entry) = expression(self.0) {
            return entry.value.text().map_or(View::Other("no expression"), |text| View::Text(text.as_bytes()));
        }
        match &self.0.value {
            // A field that is not set.
            Value::Null => View::Absent,
            _ => self.0.view().map(Expected),
        }
    }
}
