//! The tree of a rule file, and how the schema reads it as values.
//!
//! Where a node stands in the text is [`yaml`](super::yaml)'s to say.

use crate::schema::encode::{Datum, View};

/// A value.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) mark: Mark,
}

/// What a value is.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Signed(i64),
    /// An integer that is too big for `Signed`.
    Unsigned(u64),
    /// An integer that is too big for 64 bits.
    Huge,
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file, without the repetitions of a key.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Of a key that is no text, its display form.
    pub(crate) key: String,
    pub(crate) value: Node,
    /// The key's byte.
    pub(crate) at: usize,
}

/// What leads to a value's place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    /// A scalar, at this byte.
    At(usize),
    /// The how-manieth list or table that the parser opens.
    Collection(usize),
}

impl Node {
    /// The text of a text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// Names what was found, with a glimpse of it.
    pub(crate) fn what(&self) -> String {
        self.view().what()
    }

    /// The first scalar's byte.
    pub(crate) fn inner_mark(&self) -> Option<usize> {
        match (self.mark, &self.value) {
            (Mark::At(at), _) => Some(at),
            (_, Value::Map(entries)) => entries.first().map(|entry| entry.at),
            (_, Value::List(items)) => items.first().and_then(Self::inner_mark),
            _ => None,
        }
    }

    /// As it is written.
    pub(crate) fn view(&self) -> View<'_, &Self> {
        match &self.value {
            Value::Null => View::Other("nothing"),
            Value::Bool(truth) => View::Bool(*truth),
            Value::Signed(number) => View::Signed(*number),
            Value::Unsigned(number) => View::Unsigned(*number),
            Value::Huge => View::Other("an integer of more than 64 bits"),
            Value::Float(number) => View::Float(*number),
            Value::Text(text) => View::Text(text.as_bytes()),
            Value::List(items) => View::List(items.iter().collect()),
            Value::Map(entries) => View::Map(entries.iter().map(|entry| (entry.key.clone(), &entry.value)).collect()),
        }
    }
}

impl Value {
    /// The display form of a scalar as a key.
    pub(crate) fn key(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Bool(truth) => truth.to_string(),
            Self::Signed(number) => number.to_string(),
            Self::Unsigned(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Null | Self::Huge | Self::List(_) | Self::Map(_) => "null".to_owned(),
        }
    }
}

/// A request as an author writes it: some entries of a rule, or any value below them.
#[derive(Debug)]
pub(crate) enum Parameter<'n> {
    /// The rule's entries that are parameters, under the names that the request has for them.
    Request(&'n [(String, &'n Entry)]),
    /// A value below.
    Node(&'n Node),
}

impl Datum for Parameter<'_> {
    const ECHOES: bool = false;

    fn view(&self) -> View<'_, Self> {
        match self {
            Self::Request(entries) => {
                View::Map(entries.iter().map(|(name, entry)| (name.clone(), Parameter::Node(&entry.value))).collect())
            }
            Self::Node(node) => node.view().map(Parameter::Node),
        }
    }
}
