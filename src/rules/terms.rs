//! The terms of a rule's runs: what they may use up, and which wait for which. A rule says them, or its file's `defaults`.

use super::{
    Caps, Limits, Order, keys,
    limits::Limit,
    node::{Entry, Value},
    resolve::Context,
};
use crate::{diagnostic::Diagnostic, schema::names};

pub(super) const MAX_CONCURRENCY: usize = 10_000;

/// Enough that a handler that waits holds up nobody, and few enough to be looked at.
pub(super) const CONCURRENCY: usize = 16;

/// The orders as they are written, the default first.
pub(super) const ORDERS: [(&str, Order); 3] =
    [("discussion", Order::Discussion), ("rule", Order::Rule), ("none", Order::None)];

/// What a rule gets where it says nothing.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) limits: Limits,
    pub(super) ignore_self: bool,
    pub(super) concurrency: usize,
    pub(super) order: Order,
}

impl Terms {
    /// What holds where a file says nothing either.
    pub(super) fn within(caps: &Caps) -> Self {
        let mut limits = Limits::default();
        caps.reduce(&mut limits);
        Self { limits, ignore_self: false, concurrency: CONCURRENCY, order: Order::default() }
    }
}

/// Reads `defaults`: they hold for every rule of the file that does not say otherwise.
pub(super) fn defaults(context: &mut Context<'_>, entry: &Entry) {
    let Value::Map(entries) = &entry.value.value else {
        let help = "write what holds for all rules of this file, such as `defaults: { timeout: 10s }`";
        context.wrong(entry, "a table", Some(help));
        return;
    };
    let mut terms = context.terms.clone();
    for entry in entries {
        if !keys::read_term(context, entry, &mut terms) {
            unknown(context, entry);
        }
    }
    context.terms = terms;
}

fn unknown(context: &mut Context<'_>, entry: &Entry) {
    let shown = entry.key.escape_debug();
    let meant = keys::meant(&entry.key).filter(|meant| keys::terms().any(|term| term == *meant));
    let help = if let Some(meant) = meant {
        format!("did you mean `{meant}`?")
    } else {
        let terms: Vec<_> = keys::terms().map(|term| format!("`{term}`")).collect();
        format!("there are {}", terms.join(", "))
    };
    let message = if keys::is_key(&entry.key) {
        format!("`{shown}` is each rule's own: it has no default")
    } else {
        format!("unknown key `{shown}` of `defaults`")
    };
    let place = context.document.key_place(entry);
    context.tell(Diagnostic::error("unknown-key", message).at(place).help(help));
}

/// Reads the limit that the entry's key names. More than the host allows becomes what it allows.
pub(super) fn limit(context: &mut Context<'_>, entry: &Entry, terms: &mut Terms) {
    let Some(limit) = Limit::of(&entry.key) else { return };
    let Some(asked) = quantity(context, entry, limit) else { return };
    let cap = context.caps.below(limit, asked);
    if let Some(cap) = cap {
        let (asked, cap) = (limit.measure.show(asked), limit.measure.show(cap));
        let message = format!("`{}` of {asked} is more than this host allows; {cap} holds instead", limit.key);
        let flag = limit.key.replace('_', "-");
        let help = format!("ask for {cap} at most, or give the host another `--max-{flag}`");
        let place = context.document.value_place(entry);
        context.tell(Diagnostic::warning("capped", message).at(place).help(help));
    }
    (limit.set)(&mut terms.limits, cap.unwrap_or(asked));
}

fn quantity(context: &mut Context<'_>, entry: &Entry, limit: &Limit) -> Option<u64> {
    let measure = limit.measure;
    let read = match &entry.value.value {
        Value::Signed(number) => u64::try_from(*number).ok().map(|number| measure.number(number)),
        Value::Unsigned(_) | Value::Huge => Some(u64::MAX),
        Value::Text(text) => measure.read(text),
        _ => None,
    };
    let Some(read) = read else {
        context.wrong(entry, measure.what(), Some(&measure.forms()));
        return None;
    };
    if limit.allows(read) {
        return Some(read);
    }
    let message = match read {
        0 => format!("`{}` is zero: no handler could run", entry.key),
        _ => format!("`{}` is out of range", entry.key),
    };
    let place = context.document.place(&entry.value);
    context.tell(Diagnostic::error("out-of-range", message).at(place).help(limit.range()));
    None
}

pub(super) fn ignore_self(context: &mut Context<'_>, entry: &Entry, terms: &mut Terms) {
    terms.ignore_self = keys::truth(context, entry).unwrap_or(terms.ignore_self);
}

pub(super) fn concurrency(context: &mut Context<'_>, entry: &Entry, terms: &mut Terms) {
    let number = match entry.value.value {
        Value::Signed(number) => usize::try_from(number).unwrap_or(0),
        Value::Unsigned(_) | Value::Huge => usize::MAX,
        _ => return context.wrong(entry, "a whole number", None),
    };
    if (1..=MAX_CONCURRENCY).contains(&number) {
        terms.concurrency = number;
        return;
    }
    let message = format!("`{}` is out of range", entry.key);
    let place = context.document.place(&entry.value);
    let help = format!("1 to {MAX_CONCURRENCY}; for one run after another there is `order: rule`");
    context.tell(Diagnostic::error("out-of-range", message).at(place).help(help));
}

pub(super) fn order(context: &mut Context<'_>, entry: &Entry, terms: &mut Terms) {
    let named = entry.value.text().and_then(|text| ORDERS.iter().find(|(name, _)| *name == text));
    let Some((_, order)) = named else { return no_order(context, entry) };
    terms.order = *order;
}

fn no_order(context: &mut Context<'_>, entry: &Entry) {
    let near = entry.value.text().and_then(|text| names::nearest(text, ORDERS.map(|(name, _)| name)));
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            "`discussion`: in order within one discussion; `rule`: strictly one after another; `none`: as they come"
                .to_owned()
        }
    };
    context.wrong(entry, "discussion, rule or none", Some(&help));
}
