//! Examples made by reflection: the smallest plausible rule of a subscription, the smallest plausible call of a command.
//!
//! They are to be pasted and changed, so they are correct: every name exists and every value fits its field.

use crate::schema::{Answer, Cardinality, Command, Field, Kind, Message, Shape, Subscription, names};

use super::upload::Files;

/// A call that is longer is broken into a line for each field.
const LINE: usize = 90;

/// A YAML rule with its handler.
pub(super) fn rule(subscription: &Subscription) -> String {
    let name = &subscription.name;
    let mut lines = vec!["rules:".to_owned(), format!("  - name: {}", name.replace('_', "-"))];
    lines.push(format!("    subscription: {name}"));
    if let Some(field) = condition(&subscription.method.input) {
        let inner = match &field.kind {
            Kind::Message(plan) => condition(plan),
            _ => None,
        };
        match inner {
            Some(inner) => lines.extend([
                format!("    {}:", field.name),
                format!("      {}: {}", inner.name, value(inner, Syntax::Yaml)),
            ]),
            None => lines.push(format!("    {}: {}", field.name, value(field, Syntax::Yaml))),
        }
    }
    lines.push("    lua: |".to_owned());
    lines.push("      local notification, rule = ...".to_owned());
    lines.push("      log.info(rule.name, {".to_owned());
    for field in &subscription.method.output.fields {
        let path = telling_path(field).map(|path| format!("        {} = notification.{path},", field.name));
        lines.extend(path);
    }
    lines.push("      })".to_owned());
    lines.join("\n")
}

/// A Lua call, with what becomes of its answer.
pub(super) fn call(command: &Command) -> String {
    let output = &command.method.output;
    let arguments = arguments(command);
    let call = table(&format!("olvid.{}", command.name), &arguments);
    match &command.shape {
        Shape::Unary(Answer::Nothing) | Shape::Upload(_, Answer::Nothing) => call,
        Shape::Unary(Answer::Field(index)) | Shape::Upload(_, Answer::Field(index)) => {
            format!("local {} = {call}", output.fields[*index].name)
        }
        Shape::Unary(Answer::Whole) | Shape::Upload(_, Answer::Whole) => format!("local answer = {call}"),
        Shape::Download(_) => format!("local content = {call}"),
        Shape::List(index) => {
            let variable = element(&output.fields[*index]);
            format!("for {variable} in {call} do\n  -- one {variable} at a time\nend")
        }
        Shape::Pages => format!("for page in {call} do\n  -- one page at a time\nend"),
    }
}

/// What one element of a list is called: by its type, as plurals are not regular.
fn element(list: &Field) -> String {
    match &list.kind {
        Kind::Message(plan) => names::snake_case(plan.name.rsplit('.').next().unwrap_or(&plan.name)),
        _ => "item".to_owned(),
    }
}

fn arguments(command: &Command) -> Vec<(String, String)> {
    let input = &command.method.input;
    if let Shape::Upload(upload, _) = &command.shape {
        let Some(files) = Files::of(input, *upload) else { return Vec::new() };
        let own = needed(files.metadata).into_iter().filter(|field| !files.hides(field));
        let mut given: Vec<_> = own.map(|field| (field.name.clone(), value(field, Syntax::Lua))).collect();
        let file = [(files.filename.name.clone(), "\"a.png\"".to_owned()), ("content".to_owned(), "bytes".to_owned())];
        match files.list {
            Some(list) => given.push((list.name.clone(), format!("{{ {} }}", table("", &file)))),
            None => given.extend(file),
        }
        return given;
    }
    let mut fields = needed(input);
    match fields.as_slice() {
        [] => fields.extend(condition(input)),
        // A text that may be left out is still what such a call is about: a reaction, a new name.
        [_] => fields.extend(input.fields.iter().find(|field| field.optional && matches!(field.kind, Kind::String))),
        _ => {}
    }
    fields.into_iter().map(|field| (field.name.clone(), value(field, Syntax::Lua))).collect()
}

/// The fields that a table is pointless without: those that are not optional; lists and the first of a oneof only where
/// nothing is optional, as a table with something optional is a filter or has other fields to say what it is about.
fn needed(message: &Message) -> Vec<&Field> {
    let picky = message.fields.iter().any(|field| field.optional);
    let first = |index: usize, field: &Field| {
        field.oneof.is_none_or(|oneof| !picky && message.oneofs[oneof].members.first() == Some(&index))
    };
    let fields = message.fields.iter().enumerate();
    let wanted = fields.filter(|(index, field)| {
        !field.optional && first(*index, field) && !(picky && field.cardinality == Cardinality::Repeated)
    });
    wanted.map(|(_, field)| field).collect()
}

/// The most telling condition of a filter or of a subscription's parameters, where all are optional.
fn condition(message: &Message) -> Option<&Field> {
    let rank = |field: &&Field| match &field.kind {
        _ if field.cardinality == Cardinality::Repeated => 5,
        Kind::Message(_) => 1,
        Kind::String if is_pattern(field) => 0,
        Kind::Enum(_) => 2,
        _ => 4,
    };
    // `count` ends the stream: nothing to begin with.
    message.fields.iter().filter(|field| field.name != "count").min_by_key(rank)
}

fn is_pattern(field: &Field) -> bool {
    field.name.ends_with("_search")
}

#[derive(Clone, Copy, PartialEq)]
enum Syntax {
    Yaml,
    Lua,
}

fn value(field: &Field, syntax: Syntax) -> String {
    let one = match &field.kind {
        Kind::Bool => "true".to_owned(),
        Kind::Float | Kind::Double => "12.5".to_owned(),
        Kind::String if is_pattern(field) => "\"(?i)test\"".to_owned(),
        Kind::String => "\"text\"".to_owned(),
        // A variable, as nobody types bytes; YAML has none to type either.
        Kind::Bytes => if syntax == Syntax::Lua { "bytes" } else { "\"\"" }.to_owned(),
        Kind::Enum(plan) => {
            let name = plan.values.iter().find(|value| value.number != 0).map_or("", |value| &value.name);
            if syntax == Syntax::Lua { format!("\"{name}\"") } else { name.to_owned() }
        }
        Kind::Message(plan) => nested(field, plan),
        _ => "12".to_owned(),
    };
    match (field.cardinality, syntax, &field.kind) {
        (Cardinality::Repeated, _, Kind::Message(_)) if one == field.name => one,
        (Cardinality::Repeated, Syntax::Lua, _) => format!("{{ {one} }}"),
        (Cardinality::Repeated, Syntax::Yaml, _) => format!("[{one}]"),
        _ => one,
    }
}

/// A small table in place; a big one is a variable, which an author has from elsewhere.
fn nested(field: &Field, plan: &Message) -> String {
    let mut fields = needed(plan);
    if fields.is_empty() {
        fields.extend(condition(plan));
    }
    let small = fields.len() <= 3 && fields.iter().all(|field| !matches!(field.kind, Kind::Message(_)));
    if !small {
        return field.name.clone();
    }
    let entries: Vec<_> = fields.iter().map(|field| (field.name.clone(), value(field, Syntax::Lua))).collect();
    table("", &entries)
}

fn table(before: &str, entries: &[(String, String)]) -> String {
    let entries: Vec<_> = entries.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let line = format!("{before}{{ {} }}", entries.join(", "));
    match (entries.is_empty(), line.chars().count() > LINE) {
        (true, _) => format!("{before}{{}}"),
        (false, false) => line,
        (false, true) => format!("{before}{{\n  {},\n}}", entries.join(",\n  ")),
    }
}

/// The way to what tells most of a notification's field: its text rather than its ids.
fn telling_path(field: &Field) -> Option<String> {
    let Kind::Message(plan) = &field.kind else { return Some(field.name.clone()) };
    let rank = |inner: &&Field| match &inner.kind {
        _ if inner.oneof.is_some() => 4,
        Kind::String if inner.optional => 1,
        Kind::String => 0,
        _ if inner.name == "id" || inner.name.ends_with("_id") => 3,
        _ => 2,
    };
    let scalar = |inner: &&Field| !matches!(inner.kind, Kind::Message(_)) && inner.cardinality != Cardinality::Repeated;
    let best = plan.fields.iter().filter(scalar).min_by_key(rank)?;
    Some(format!("{}.{}", field.name, best.name))
}
