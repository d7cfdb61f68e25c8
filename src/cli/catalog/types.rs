//! The types of a page: what a field's value is called, which types a message leads to, and how they are listed.

use std::{collections::HashSet, sync::Arc};

use crate::schema::{Cardinality, Enum, Field, Kind, Message};

use super::layout::{Page, Row};

/// A type with a name of its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type<'c> {
    Message(&'c Arc<Message>),
    Enum(&'c Arc<Enum>),
}

impl<'c> Type<'c> {
    /// The type of a field, unless it is one of protobuf's own.
    pub(super) fn of(field: &'c Field) -> Option<Self> {
        match &field.kind {
            Kind::Message(plan) => Some(Self::Message(plan)),
            Kind::Enum(plan) => Some(Self::Enum(plan)),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'c str {
        match self {
            Self::Message(plan) => &plan.name,
            Self::Enum(plan) => &plan.name,
        }
    }

    pub(super) fn full_name(self) -> &'c str {
        match self {
            Self::Message(plan) => &plan.full_name,
            Self::Enum(plan) => &plan.full_name,
        }
    }
}

/// Lists the types that fields lead to, each once, a type before those it uses.
pub(super) fn reached<'c>(fields: impl IntoIterator<Item = &'c Field>) -> Vec<Type<'c>> {
    fn walk<'c>(field: &'c Field, seen: &mut HashSet<&'c str>, found: &mut Vec<Type<'c>>) {
        let Some(kind) = Type::of(field) else { return };
        if !seen.insert(kind.full_name()) {
            return;
        }
        found.push(kind);
        if let Type::Message(plan) = kind {
            plan.fields.iter().for_each(|field| walk(field, seen, found));
        }
    }
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    fields.into_iter().for_each(|field| walk(field, &mut seen, &mut found));
    found
}

/// Names what a field holds, as YAML and Lua have it.
pub(super) fn phrase(field: &Field) -> String {
    let one = noun(&field.kind);
    match field.cardinality {
        Cardinality::Repeated => format!("list of {one}"),
        _ if field.optional => format!("{one}?"),
        _ => one.to_owned(),
    }
}

fn noun(kind: &Kind) -> &str {
    match kind {
        Kind::Bool => "boolean",
        Kind::Float | Kind::Double => "number",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Enum(_) | Kind::Message(_) => kind.name(),
        _ => "integer",
    }
}

/// Lists the fields of a message as rows, the members of a oneof together.
pub(super) fn rows(message: &Message) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, field) in message.fields.iter().enumerate() {
        let Some(oneof) = field.oneof.map(|oneof| &message.oneofs[oneof]) else {
            rows.push(row(0, field));
            continue;
        };
        if oneof.members.first() == Some(&index) {
            rows.push(Row { name: "one of:".to_owned(), doc: oneof.doc.clone(), ..Row::default() });
            rows.extend(oneof.members.iter().map(|member| row(1, &message.fields[*member])));
        }
    }
    rows
}

pub(super) fn row(depth: usize, field: &Field) -> Row {
    Row { depth, name: field.name.clone(), kind: phrase(field), doc: field.doc.clone() }
}

/// Lists an enum's values as rows.
pub(super) fn values(plan: &Enum) -> Vec<Row> {
    let row = |name: &String, doc: &String| Row { name: name.clone(), doc: doc.clone(), ..Row::default() };
    plan.values.iter().map(|value| row(&value.name, &value.doc)).collect()
}

/// Adds the part that explains every type that the page mentions.
pub(super) fn explain(page: &mut Page, types: &[Type<'_>]) {
    if types.is_empty() {
        return;
    }
    page.heading("TYPES");
    for (at, kind) in types.iter().enumerate() {
        if at > 0 {
            page.blank();
        }
        let (doc, rows) = match kind {
            Type::Message(plan) => (&plan.doc, rows(plan)),
            Type::Enum(plan) => (&plan.doc, values(plan)),
        };
        page.paragraph(2, &format!("{}: {doc}", kind.name()));
        page.table(4, &rows);
    }
}

/// Adds the part that explains the page's own words, as far as the listed fields and types use them.
pub(super) fn notation<'c>(page: &mut Page, direct: impl IntoIterator<Item = &'c Field>, types: &[Type<'c>]) {
    let nested = types.iter().flat_map(|kind| match kind {
        Type::Message(plan) => plan.fields.as_slice(),
        Type::Enum(_) => &[],
    });
    let fields: Vec<&Field> = direct.into_iter().chain(nested).collect();
    let mut rows = Vec::new();
    let mut say = |applies: bool, name: &str, doc: String| {
        if applies {
            rows.push(Row { name: name.to_owned(), doc, ..Row::default() });
        }
    };
    let optional = fields.iter().any(|field| field.optional);
    say(optional, "X?", "May be left out; in Lua it is nil when absent.".to_owned());
    let tables = fields.iter().any(|field| matches!(field.kind, Kind::Message(_)));
    say(tables, "table", "A table that the daemon did not send is nil as well, whether marked or not.".to_owned());
    let listed = fields.iter().any(|field| field.cardinality == Cardinality::Repeated);
    say(listed, "list of X", "In Lua always a list, empty when there is nothing.".to_owned());
    let choice = fields.iter().any(|field| field.oneof.is_some());
    say(choice, "one of", "Give one at most; in Lua only the one that is set is not nil.".to_owned());
    let bytes = fields.iter().any(|field| matches!(field.kind, Kind::Bytes));
    say(bytes, "bytes", "A Lua string of any content.".to_owned());
    let enumeration = types.iter().find_map(|kind| match kind {
        Type::Enum(plan) => plan.values.iter().find(|value| value.number != 0),
        Type::Message(_) => None,
    });
    if let Some(value) = enumeration {
        let doc = format!(
            "Read as its name, \"{}\" (a value newer than this program: as its number). Written as the name or the part \
             behind what the names share, in any case: {}.",
            value.name, value.short
        );
        say(true, "enum", doc);
    }
    if !rows.is_empty() {
        page.heading("NOTATION");
        page.table(2, &rows);
    }
}
