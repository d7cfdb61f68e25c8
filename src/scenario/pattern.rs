//! What is expected of a value, and how a value differs from it.

use std::fmt::Write as _;

use fancy_regex::Regex;
use serde_json::{Map, Value as Json};

use super::reader::{Reader, expression};
use crate::{
    rules::node::{Node, Value},
    schema::{Kind, Message},
};

/// The longest value that is shown in full.
const SHOWN: usize = 400;

/// What a value is to be.
#[derive(Debug)]
pub(super) enum Pattern {
    /// Nothing, or what stands for nothing: an empty text, 0, false.
    Absent,
    Value(Json),
    /// A text in which this is found.
    Matches(Regex),
    /// At least these entries.
    Entries(Vec<(String, Pattern)>),
    /// Exactly so many elements.
    List(Vec<Pattern>),
}

impl Pattern {
    /// No entries: anything is as expected.
    pub(super) fn anything() -> Self {
        Self::Entries(Vec::new())
    }

    /// Reads what is expected of a message, or of anything where there is no plan. A mistaken expression is told.
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node, plan: Option<&Message>) -> Self {
        if let Some(entry) = expression(node) {
            let text = entry.value.text().unwrap_or_default();
            return Regex::new(text).map_or_else(
                |error| {
                    let place = reader.document.value_place(entry);
                    reader.mistake("invalid-pattern", format!("the expression cannot be read: {error}"), place, None);
                    Self::Absent
                },
                Self::Matches,
            );
        }
        match &node.value {
            Value::Null => Self::Absent,
            Value::Map(entries) => Self::Entries(
                entries
                    .iter()
                    .map(|entry| {
                        let kind = plan.and_then(|plan| plan.field(&entry.key)).map(|field| &field.kind);
                        (entry.key.clone(), Self::of_kind(reader, &entry.value, kind))
                    })
                    .collect(),
            ),
            Value::List(items) => Self::List(items.iter().map(|item| Self::read(reader, item, plan)).collect()),
            _ => Self::Value(json(node)),
        }
    }

    fn of_kind(reader: &mut Reader<'_>, node: &Node, kind: Option<&Kind>) -> Self {
        match (kind, &node.value) {
            (Some(kind), Value::List(items)) => {
                Self::List(items.iter().map(|item| Self::of_kind(reader, item, Some(kind))).collect())
            }
            (Some(Kind::Message(plan)), _) => Self::read(reader, node, Some(plan)),
            (Some(Kind::Enum(plan)), Value::Text(text)) => {
                let name = plan.parse(text).and_then(|number| plan.name_of(number));
                Self::Value(name.unwrap_or(text).into())
            }
            _ => Self::read(reader, node, None),
        }
    }

    /// How a value differs, one line for each difference.
    pub(super) fn differences(&self, found: &Json) -> Vec<String> {
        let mut lines = Vec::new();
        self.compare(Some(found), &mut String::new(), &mut lines);
        lines
    }

    pub(super) fn fits(&self, found: &Json) -> bool {
        self.differences(found).is_empty()
    }

    fn compare(&self, found: Option<&Json>, way: &mut String, lines: &mut Vec<String>) {
        let length = way.len();
        let here = found.unwrap_or(&Json::Null);
        match (self, here) {
            (Self::Entries(entries), Json::Object(object)) => {
                for (name, pattern) in entries {
                    way.push_str(if length == 0 { "" } else { "." });
                    way.push_str(name);
                    pattern.compare(object.get(name), way, lines);
                    way.truncate(length);
                }
                return;
            }
            (Self::List(patterns), Json::Array(items)) if patterns.len() == items.len() => {
                for (at, (pattern, item)) in patterns.iter().zip(items).enumerate() {
                    _ = write!(way, "[{}]", at + 1);
                    pattern.compare(Some(item), way, lines);
                    way.truncate(length);
                }
                return;
            }
            (Self::Entries(entries), Json::Null) if entries.is_empty() && length == 0 => return,
            (Self::Absent, found) if is_nothing(found) => return,
            (Self::Value(value), found) if is_same(value, found) => return,
            (Self::Matches(expression), Json::String(text)) if expression.is_match(text).unwrap_or_default() => return,
            _ => {}
        }
        let found = found.map_or_else(|| "nothing".to_owned(), shown);
        lines.push(format!("{way}: expected {}, found {found}", self.shown()));
    }

    /// As it is written.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Absent => "nothing".to_owned(),
            Self::Value(value) => shown(value),
            Self::Matches(expression) => format!("{{ matches: {} }}", shown(&expression.as_str().into())),
            Self::Entries(entries) => {
                table(entries.iter().map(|(name, pattern)| format!("{name}: {}", pattern.shown())))
            }
            Self::List(items) => format!("[{}]", items.iter().map(Self::shown).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// A value as people write it, without what stands for nothing.
pub(super) fn shown(value: &Json) -> String {
    match value {
        Json::Object(entries) => {
            let there = entries.iter().filter(|(_, value)| !is_nothing(value));
            table(there.map(|(name, value)| format!("{name}: {}", shown(value))))
        }
        Json::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Json::String(text) if text.chars().count() > SHOWN => {
            let cut: String = text.chars().take(SHOWN).collect();
            Json::from(cut + "…").to_string()
        }
        other => other.to_string(),
    }
}

fn table(entries: impl Iterator<Item = String>) -> String {
    let entries = entries.collect::<Vec<_>>().join(", ");
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {entries} }}") }
}

/// Whether a value stands for nothing: a field that is not set has it.
pub(super) fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        Json::Bool(true) => false,
    }
}

fn is_same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) if one.is_f64() || other.is_f64() => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// A value as JSON.
pub(super) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null | Value::Huge => Json::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Signed(number) => (*number).into(),
        Value::Unsigned(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| (entry.key.clone(), json(&entry.value)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}
