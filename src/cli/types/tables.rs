//! Datatypes as classes and enums as aliases, by reflection.
//!
//! What a script gets and what it gives are two things: a table that was received has all its fields, one that is given
//! may leave out whatever has a default, and names of enums may be short. So there are two classes, `olvid.X` and
//! `olvid.given.X`, where a message goes both ways; the first is one of the second, and can be given back as it came.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use crate::{
    cli::catalog::Files,
    schema::{Answer, Cardinality, Catalog, Command, Enum, Field, Kind, Message, Shape},
};

use super::{comment, flat, manual::Method};

/// Which way a value goes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    Received,
    Given,
}

/// The types with a name that values of one way lead to, by their names.
#[derive(Default)]
struct Reached<'c> {
    messages: BTreeMap<&'c str, &'c Message>,
    enums: BTreeMap<&'c str, &'c Enum>,
}

impl<'c> Reached<'c> {
    fn add_all(&mut self, fields: impl IntoIterator<Item = &'c Field>) {
        for field in fields {
            match &field.kind {
                Kind::Message(plan) => self.add(plan),
                Kind::Enum(plan) => drop(self.enums.insert(&plan.name, plan)),
                _ => {}
            }
        }
    }

    fn add(&mut self, plan: &'c Arc<Message>) {
        if self.messages.insert(&plan.name, plan).is_none() {
            self.add_all(&plan.fields);
        }
    }

    fn received(catalog: &'c Catalog) -> Self {
        let mut reached = Self::default();
        for subscription in catalog.subscriptions() {
            reached.add(&subscription.method.output);
        }
        for command in catalog.commands() {
            match &command.shape {
                Shape::Unary(Answer::Whole) | Shape::Upload(_, Answer::Whole) | Shape::Pages => {
                    reached.add(&command.method.output);
                }
                _ => reached.add_all(&command.method.output.fields),
            }
        }
        reached
    }

    fn given(catalog: &'c Catalog) -> Self {
        let mut reached = Self::default();
        for command in catalog.commands() {
            match uploaded(command) {
                Some(files) => reached.add_all(files.own()),
                None => reached.add_all(&command.method.input.fields),
            }
        }
        reached
    }
}

/// What a command uploads, if it does.
pub(super) fn uploaded(command: &Command) -> Option<Files<'_>> {
    match &command.shape {
        Shape::Upload(upload, _) => Files::of(&command.method.input, *upload),
        _ => None,
    }
}

/// The type of a field's value.
pub(super) fn type_of(field: &Field, way: Way) -> String {
    let one = match &field.kind {
        Kind::Bool => "boolean".to_owned(),
        Kind::Float | Kind::Double => "number".to_owned(),
        Kind::String | Kind::Bytes => "string".to_owned(),
        Kind::Enum(plan) => class(&plan.name, way),
        Kind::Message(plan) => class(&plan.name, way),
        _ => "integer".to_owned(),
    };
    if field.cardinality == Cardinality::Repeated { one + "[]" } else { one }
}

fn class(name: &str, way: Way) -> String {
    format!("olvid.{}{name}", if way == Way::Given { "given." } else { "" })
}

/// Adds a field of a class.
pub(super) fn field(out: &mut String, message: &Message, field: &Field, way: Way, needed: bool) {
    let others: Vec<_> = field.oneof.map_or(Vec::new(), |oneof| {
        let members = message.oneofs[oneof].members.iter().map(|member| &message.fields[*member]);
        members.filter(|other| !std::ptr::eq(*other, field)).map(|other| format!("`{}`", other.name)).collect()
    });
    let instead = if others.is_empty() { String::new() } else { format!("Instead of it: {}.", others.join(", ")) };
    let mark = if needed { "" } else { "?" };
    let line = format!("@field {}{mark} {} {} {instead}", field.name, type_of(field, way), flat(&field.doc));
    comment(out, line.trim_end());
}

/// The type of a table with these keys and no others, for a checker that compares keys; any table for one that does not.
pub(super) fn only<'n>(keys: impl IntoIterator<Item = &'n str>) -> String {
    let keys: Vec<_> = keys.into_iter().map(|key| format!("\"{key}\"")).collect();
    format!("table<{}, any>", if keys.is_empty() { "\"\"".to_owned() } else { keys.join("|") })
}

/// Adds every enum and datatype; those with methods get them.
pub(super) fn write(out: &mut String, catalog: &Catalog, methods: &[Method]) {
    let (received, given) = (Reached::received(catalog), Reached::given(catalog));
    for plan in received.enums.values() {
        alias(out, plan, Way::Received);
    }
    for plan in given.enums.values() {
        alias(out, plan, Way::Given);
    }
    for plan in given.messages.values() {
        comment(out, &plan.doc);
        let keys = only(plan.fields.iter().map(|field| field.name.as_str()));
        let _ = writeln!(out, "---@class {}: {keys}", class(&plan.name, Way::Given));
        for each in &plan.fields {
            field(out, plan, each, Way::Given, is_identifier(plan));
        }
        out.push('\n');
    }
    for plan in received.messages.values() {
        let parent = given.messages.get(plan.name.as_str()).map(|_| format!(": {}", class(&plan.name, Way::Given)));
        comment(out, &plan.doc);
        let _ = writeln!(out, "---@class {}{}", class(&plan.name, Way::Received), parent.unwrap_or_default());
        for each in &plan.fields {
            field(out, plan, each, Way::Received, !each.optional && each.oneof.is_none());
        }
        let own: Vec<_> = methods.iter().filter(|method| method.kind == plan.name).collect();
        if !own.is_empty() {
            let _ = writeln!(out, "local {} = {{}}\n", plan.name);
        }
        for method in own {
            out.push_str(&method.annotations(&plan.name));
        }
        out.push('\n');
    }
}

/// Whether a table names something and is pointless with a part left out: nothing but numbers and enums.
fn is_identifier(plan: &Message) -> bool {
    plan.fields.iter().all(|field| {
        let scalar = !matches!(field.kind, Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_));
        scalar && field.cardinality == Cardinality::Implicit
    }) && plan.fields.iter().any(|field| matches!(field.kind, Kind::Enum(_)))
}

fn alias(out: &mut String, plan: &Enum, way: Way) {
    comment(out, &plan.doc);
    let _ = writeln!(out, "---@alias {}", class(&plan.name, way));
    for value in &plan.values {
        let doc = if value.doc.is_empty() { String::new() } else { format!(" # {}", flat(&value.doc)) };
        let _ = writeln!(out, "---| \"{}\"{doc}", value.name);
        if way == Way::Given && value.short != value.name {
            let _ = writeln!(out, "---| \"{}\"", value.short);
        }
    }
    out.push('\n');
}
