//! Commands as functions with a class of arguments each, and subscriptions as types of handlers.

use std::fmt::Write as _;

use crate::{
    cli::catalog::{Files, told},
    schema::{Answer, Cardinality, Catalog, Command, Field, Method, Shape},
};

use super::{
    comment, flat,
    tables::{Way, field, only, type_of, uploaded},
};

/// By what the content of a file is given, beside its name.
const CONTENT: [&str; 2] = ["content", "path"];

/// Adds every command and every type of handler.
pub(super) fn write(out: &mut String, catalog: &Catalog) {
    for command in catalog.commands() {
        arguments(out, command);
        function(out, command);
    }
    for subscription in catalog.subscriptions() {
        comment(out, &told(&subscription.method.doc));
        let (name, output) = (&subscription.name, &subscription.method.output.name);
        let _ = writeln!(out, "---@alias olvid.handler.{name} fun(notification: olvid.{output}, rule: olvid.Rule)\n");
    }
}

/// The class of a command's table. A file is given with its content: what describes it is not given by itself.
fn arguments(out: &mut String, command: &Command) {
    let files = uploaded(command);
    let plan = files.as_ref().map_or(&*command.method.input, |files| files.metadata);
    if plan.fields.is_empty() {
        return;
    }
    let own: Vec<_> =
        plan.fields.iter().filter(|field| files.as_ref().is_none_or(|files| !files.hides(field))).collect();
    let mut keys: Vec<&str> = own.iter().map(|field| field.name.as_str()).collect();
    let mut parent = "";
    match &files {
        Some(Files { list: Some(list), .. }) => keys.push(&list.name),
        Some(Files { filename, .. }) => {
            keys.push(&filename.name);
            keys.extend(CONTENT);
            parent = ", olvid.File";
        }
        None => {}
    }
    let _ = writeln!(out, "---@class olvid.arguments.{}: {}{parent}", command.name, only(keys));
    for each in own {
        field(out, plan, each, Way::Given, is_needed(each));
    }
    if let Some(Files { list: Some(list), .. }) = &files {
        let _ = writeln!(out, "---@field {} olvid.File[] {}", list.name, flat(&list.doc));
    }
    out.push('\n');
}

/// Whether a call without arguments can be meant.
fn may_be_empty(command: &Command) -> bool {
    uploaded(command).is_none() && !command.method.input.fields.iter().any(is_needed)
}

/// Whether a request without the field asks for nothing that a daemon would do.
fn is_needed(field: &Field) -> bool {
    !field.optional && field.oneof.is_none() && field.cardinality != Cardinality::Repeated
}

fn function(out: &mut String, command: &Command) {
    let name = &command.name;
    comment(out, &described(command));
    let mark = if may_be_empty(command) { "?" } else { "" };
    let class = format!("olvid.arguments.{name}");
    let class = if command.method.input.fields.is_empty() { only([]) } else { class };
    let _ = writeln!(out, "---@param arguments{mark} {class}");
    if let Some(returned) = returned(&command.shape, &command.method) {
        let _ = writeln!(out, "---@return {returned}");
    }
    let _ = writeln!(out, "function olvid.{name}(arguments) end\n");
}

fn described(command: &Command) -> String {
    let mut text = told(&command.method.doc);
    if command.admin {
        text.push_str("\n\nIt needs an administrator's key.");
    }
    if !command.method.errors.is_empty() {
        text.push_str("\n\nErrors:");
        for (code, reason) in &command.method.errors {
            let _ = write!(text, "\n- `{code}`: {reason}");
        }
    }
    text
}

fn returned(shape: &Shape, method: &Method) -> Option<String> {
    let field = |index: &usize| &method.output.fields[*index];
    let named = |index: &usize| format!("{} {}", type_of(field(index), Way::Received), field(index).name);
    match shape {
        Shape::Unary(Answer::Nothing) | Shape::Upload(_, Answer::Nothing) => None,
        Shape::Unary(Answer::Field(index)) | Shape::Upload(_, Answer::Field(index)) => Some(named(index)),
        Shape::Unary(Answer::Whole) | Shape::Upload(_, Answer::Whole) => Some(format!("olvid.{}", method.output.name)),
        Shape::List(index) => Some(format!("fun(): {}", type_of(field(index), Way::Received).trim_end_matches("[]"))),
        Shape::Pages => Some(format!("fun(): olvid.{}", method.output.name)),
        Shape::Download(_) => Some("string content".to_owned()),
    }
}
