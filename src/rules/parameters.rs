//! The parameters of a rule: every entry that is no key of a rule, encoded as its subscription's request.
//!
//! By reflection only: what there is, where else it is, and what it may have been meant for comes from the catalog.

use std::{cell::RefCell, sync::Arc};

use bytes::Bytes;

use super::{
    keys, letters,
    node::{Entry, Parameter, Value},
    pattern,
    resolve::Context,
    top,
};
use crate::{
    diagnostic::{Diagnostic, Place},
    schema::{
        Kind, Message, Subscription,
        encode::{self, Mismatch, Step},
        names,
    },
};

/// The name that the primary filter of every subscription is accepted under.
pub(super) const FILTER: &str = "filter";

/// Entries under the names that the request has for them.
type Named<'n> = Vec<(String, &'n Entry)>;

/// Encodes the parameters; returns the request and the `count` in it, where it limits.
pub(super) fn read(
    context: &mut Context<'_>,
    subscription: &Arc<Subscription>,
    entries: &[&Entry],
) -> Option<(Bytes, Option<u64>)> {
    let named = named(context, subscription, entries)?;
    let warnings = RefCell::new(Vec::new());
    let check = |path: &[Step], text: &str| match pattern::compile(text) {
        Ok(read) => {
            warnings.borrow_mut().extend(read.warning.map(|warning| (path.to_vec(), warning)));
            Ok(())
        }
        Err(refusal) => Err(format!("character {} of the pattern: {}", refusal.at + 1, refusal.message)),
    };
    let encoded = encode::encode(&subscription.method.input, &Parameter::Request(&named), Some(&check));
    for (path, warning) in warnings.take() {
        let place = place(context, &named, &path, false);
        context.tell(Diagnostic::warning("unchecked-pattern", warning).at(place));
    }
    match encoded {
        Ok(request) => {
            for (_, entry) in &named {
                letters::of_parameter(context, &entry.value, &entry.key);
            }
            Some((Bytes::from(request), count(&named)))
        }
        Err(mismatches) => {
            for mismatch in mismatches {
                tell(context, subscription, &named, mismatch);
            }
            None
        }
    }
}

fn count(named: &Named<'_>) -> Option<u64> {
    let (_, entry) = named.iter().find(|(name, _)| name == "count")?;
    match entry.value.value {
        Value::Signed(number) => u64::try_from(number).ok(),
        Value::Unsigned(number) => Some(number),
        _ => None,
    }
    .filter(|count| *count > 0)
}

/// Gives `filter` its name in the request, or tells that both names are given.
fn named<'n>(context: &mut Context<'_>, subscription: &Subscription, entries: &[&'n Entry]) -> Option<Named<'n>> {
    let primary = primary_filter(subscription);
    let mut named: Named<'n> = Vec::with_capacity(entries.len());
    let mut clash = false;
    for entry in entries {
        let name = match primary {
            Some(primary) if entry.key == FILTER => primary,
            _ => entry.key.as_str(),
        };
        if let Some((_, other)) = named.iter().find(|(other, _)| other == name) {
            let message =
                format!("`{}` and `{}` are the same parameter of {}", entry.key, other.key, subscription.name);
            let diagnostic = Diagnostic::error("duplicate-key", message)
                .at(context.document.key_place(entry))
                .related(context.document.key_place(other), "the other one")
                .help(format!("keep one of them; `{FILTER}` is short for `{name}`"));
            context.tell(diagnostic);
            clash = true;
            continue;
        }
        named.push((name.to_owned(), entry));
    }
    (!clash).then_some(named)
}

/// The filter of what the notification is about, where the request has no field of the common name: the first whose
/// name starts as the subscription's does.
pub(super) fn primary_filter(subscription: &Subscription) -> Option<&str> {
    let input = &subscription.method.input;
    if input.field(FILTER).is_some() {
        return None;
    }
    let about = |name: &str| {
        let entity = name.strip_suffix(FILTER).filter(|entity| entity.ends_with('_'));
        entity.is_some_and(|entity| subscription.name.starts_with(entity))
    };
    let found = input.fields.iter().find(|field| matches!(field.kind, Kind::Message(_)) && about(&field.name));
    found.map(|field| field.name.as_str())
}

fn tell(context: &mut Context<'_>, subscription: &Subscription, named: &Named<'_>, mismatch: Mismatch) {
    let place = place(context, named, &mismatch.path, mismatch.at_key);
    let mut diagnostic = match (mismatch.code, mismatch.path.as_slice()) {
        ("unknown-field", [Step::Key(name)]) => unknown_parameter(context, subscription, name),
        ("unknown-field", [way @ .., Step::Key(name)]) => {
            let help = elsewhere(subscription, way, name).or(mismatch.help);
            Diagnostic { help, ..Diagnostic::error("unknown-field", mismatch.message) }
        }
        _ => Diagnostic { help: mismatch.help, ..Diagnostic::error(mismatch.code, mismatch.message) },
    };
    if let Some((path, caption)) = mismatch.related {
        diagnostic = diagnostic.related(self::place(context, named, &path, mismatch.at_key), caption);
    }
    context.tell(diagnostic.at(place));
}

/// The place of what a path leads to, or of the nearest thing on the way to it.
fn place(context: &Context<'_>, named: &Named<'_>, path: &[Step], at_key: bool) -> Place {
    let document = context.document;
    let first = path.first().and_then(|step| match step {
        Step::Key(name) => named.iter().find(|(known, _)| known == name).map(|(_, entry)| *entry),
        Step::Index(_) => None,
    });
    first.map_or_else(|| document.source.line(1), |entry| document.place_behind(entry, &path[1..], at_key))
}

fn unknown_parameter(context: &Context<'_>, subscription: &Subscription, name: &str) -> Diagnostic {
    let input = &subscription.method.input;
    let (own, shown) = (&subscription.name, name.escape_debug());
    let unknown = |help: String| {
        Diagnostic::error("unknown-parameter", format!("unknown parameter `{shown}` of {own}")).help(help)
    };
    if let Some(field) = holder(input, name) {
        return unknown(format!("write it inside of `{field}`: `{field}: {{ {name}: ... }}`"));
    }
    let others = holders(context, name);
    if let Some(listed) = &others {
        let message = format!("`{shown}` is a parameter of {listed}, not of {own}");
        return Diagnostic::error("unknown-parameter", message).help(takes(input, own));
    }
    if let Some(place) = top::elsewhere(name) {
        return unknown(place);
    }
    let fields = input.fields.iter().map(|field| field.name.as_str());
    let near = names::nearest(name, fields).or_else(|| keys::meant(name));
    match near {
        Some(near) => unknown(format!("did you mean `{near}`?")),
        None => match nested_near(input, name) {
            Some((field, near)) => unknown(format!("did you mean `{near}` inside of `{field}`?")),
            None => unknown(takes(input, own)),
        },
    }
}

/// Tells the entries that no subscription takes, where the rule's own is not known.
pub(super) fn unknown_everywhere(context: &mut Context<'_>, entries: &[&Entry]) {
    let catalog = context.catalog;
    let fields =
        || catalog.subscriptions().iter().flat_map(|known| &known.method.input.fields).map(|field| &field.name);
    for entry in entries {
        if entry.key == FILTER || fields().any(|field| *field == entry.key) {
            continue;
        }
        let near = keys::meant(&entry.key).or_else(|| names::nearest(&entry.key, fields().map(String::as_str)));
        let help = top::elsewhere(&entry.key).or_else(|| near.map(|near| format!("did you mean `{near}`?")));
        let message = format!("unknown key `{}` of a rule", entry.key.escape_debug());
        let diagnostic = Diagnostic { help, ..Diagnostic::error("unknown-key", message) };
        let place = context.document.key_place(entry);
        context.tell(diagnostic.at(place));
    }
}

fn takes(input: &Message, own: &str) -> String {
    let fields: Vec<_> = input.fields.iter().map(|field| format!("`{}`", field.name)).collect();
    if fields.is_empty() { format!("{own} takes no parameters") } else { format!("{own} takes {}", fields.join(", ")) }
}

/// The messages that a request's fields hold, with the way to each: `filter`, `filter.sender`.
fn nested(input: &Message) -> Vec<(String, &Message)> {
    let mut found: Vec<(String, &Message)> = Vec::new();
    let mut todo = vec![(String::new(), input)];
    while let Some((way, plan)) = todo.pop() {
        for field in plan.fields.iter().rev() {
            if let Kind::Message(inner) = &field.kind {
                let way = if way.is_empty() { field.name.clone() } else { format!("{way}.{}", field.name) };
                todo.push((way.clone(), inner));
                found.push((way, inner));
            }
        }
    }
    found.sort_by_key(|(way, _)| way.matches('.').count());
    found.reverse();
    found.sort_by_key(|(way, _)| way.matches('.').count());
    found
}

/// The parameter that has a field of this name.
fn holder(input: &Message, name: &str) -> Option<String> {
    nested(input).into_iter().find(|(_, plan)| plan.field(name).is_some()).map(|(way, _)| way)
}

fn nested_near<'m>(input: &'m Message, name: &str) -> Option<(String, &'m str)> {
    nested(input).into_iter().find_map(|(way, plan)| {
        let near = names::nearest(name, plan.fields.iter().map(|field| field.name.as_str()))?;
        Some((way, near))
    })
}

/// The subscriptions that take a parameter of this name, the first three by name.
fn holders(context: &Context<'_>, name: &str) -> Option<String> {
    let all = context.catalog.subscriptions().iter().filter(|known| known.method.input.field(name).is_some());
    let all: Vec<_> = all.map(|known| known.name.as_str()).collect();
    match all.as_slice() {
        [] => None,
        [only] => Some((*only).to_owned()),
        [first, second] => Some(format!("{first} and {second}")),
        [first, second, rest @ ..] => Some(format!("{first}, {second} and {} more", rest.len())),
    }
}

/// Where a field belongs that is written inside of a parameter but is not one of its fields.
fn elsewhere(subscription: &Subscription, way: &[Step], name: &str) -> Option<String> {
    let Some(Step::Key(outer)) = way.first() else { return None };
    let input = &subscription.method.input;
    if keys::is_key(name) {
        return Some(format!("`{name}` is a key of the rule: write it beside `{outer}`, not inside of it"));
    }
    if input.field(name).is_some() {
        return Some(format!("`{name}` is a parameter of {}: write it beside `{outer}`", subscription.name));
    }
    let here = way.iter().filter_map(|step| if let Step::Key(name) = step { Some(name.as_str()) } else { None });
    let here = here.collect::<Vec<_>>().join(".");
    holder(input, name).filter(|other| *other != here).map(|other| format!("`{name}` is a field of `{other}`"))
}
