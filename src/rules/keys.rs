//! The keys of a rule that say how it runs. Whatever is no key of a rule is a parameter of its subscription.

use std::time::Duration;

use super::{
    Limits, Order,
    node::{Entry, Value},
    resolve::Context,
};
use crate::{
    diagnostic::Diagnostic,
    schema::{Subscription, names},
};

pub(super) const NAME: &str = "name";
pub(super) const SUBSCRIPTION: &str = "subscription";
pub(super) const HANDLER: &str = "handler";
pub(super) const LUA: &str = "lua";
const CATCH_UP: &str = "catch_up";

/// Every key of a rule.
pub(super) const KEYS: [&str; 10] =
    [NAME, SUBSCRIPTION, HANDLER, LUA, "enabled", "description", "timeout", "concurrency", "order", CATCH_UP];

/// What other programs call these keys.
const SYNONYMS: [(&str, &str); 16] = [
    ("on", SUBSCRIPTION),
    ("event", SUBSCRIPTION),
    ("trigger", SUBSCRIPTION),
    ("when", SUBSCRIPTION),
    ("notification", SUBSCRIPTION),
    ("script", HANDLER),
    ("run", HANDLER),
    ("action", HANDLER),
    ("do", HANDLER),
    ("code", LUA),
    ("comment", "description"),
    ("max_runtime", "timeout"),
    ("parallel", "concurrency"),
    ("recover", CATCH_UP),
    ("replay", CATCH_UP),
    ("missed", CATCH_UP),
];

/// Names longer than this fill a log line.
const MAX_NAME: usize = 100;

/// A handler that is given longer is no handler but a program of its own.
const MAX_TIMEOUT: Duration = Duration::from_hours(24);

const MAX_CONCURRENCY: usize = 10_000;

/// The keys as meant, defaults filled in.
pub(super) struct Keys {
    /// None where it is missing or mistaken.
    pub(super) name: Option<String>,
    pub(super) enabled: bool,
    pub(super) description: Option<String>,
    pub(super) limits: Limits,
    pub(super) ignore_self: bool,
    pub(super) concurrency: usize,
    pub(super) order: Order,
    pub(super) catch_up: Option<bool>,
}

/// Whether this is a key of a rule.
pub(super) fn is_key(name: &str) -> bool {
    KEYS.contains(&name)
}

/// The key of a rule that a mistaken key most likely means.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let synonym = SYNONYMS.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, key)| *key);
    synonym.or_else(|| names::nearest(name, KEYS).and_then(|near| KEYS.into_iter().find(|key| *key == near)))
}

/// Reads the keys of a rule, `subscription` and its handler left to others.
pub(super) fn read(context: &mut Context<'_>, entries: &[Entry]) -> Keys {
    let mut keys = Keys {
        name: None,
        enabled: true,
        description: None,
        limits: Limits::default(),
        ignore_self: false,
        concurrency: 16,
        order: Order::default(),
        catch_up: None,
    };
    for entry in entries {
        match entry.key.as_str() {
            NAME => keys.name = name(context, entry),
            "enabled" => keys.enabled = truth(context, entry).unwrap_or(keys.enabled),
            "description" => match entry.value.text() {
                Some(text) => keys.description = Some(text.to_owned()),
                None => context.wrong(entry, "a text", Some("put it in quotes")),
            },
            "timeout" => keys.limits.timeout = timeout(context, entry).unwrap_or(keys.limits.timeout),
            "concurrency" => keys.concurrency = concurrency(context, entry).unwrap_or(keys.concurrency),
            "order" => keys.order = order(context, entry).unwrap_or_default(),
            CATCH_UP => keys.catch_up = truth(context, entry),
            _ => {}
        }
    }
    keys
}

/// Tells a rule that asks for what its subscription cannot give.
pub(super) fn check_catch_up(context: &mut Context<'_>, entries: &[Entry], subscription: &Subscription) {
    let asks = |entry: &&Entry| entry.key == CATCH_UP && matches!(entry.value.value, Value::Bool(true));
    let Some(entry) = entries.iter().find(asks).filter(|_| subscription.recovery.is_none()) else { return };
    let can = context.catalog.subscriptions().iter().filter(|known| known.recovery.is_some());
    let can: Vec<_> = can.map(|known| format!("`{}`", known.name)).collect();
    let message = format!("{} cannot be caught up: the daemon does not keep what was missed", subscription.name);
    let help = format!("remove `{CATCH_UP}`; it is for {}", can.join(", "));
    let place = context.document.value_place(entry);
    context.tell(Diagnostic::error("no-catch-up", message).at(place).help(help));
}

fn truth(context: &mut Context<'_>, entry: &Entry) -> Option<bool> {
    if let Value::Bool(truth) = entry.value.value {
        return Some(truth);
    }
    context.wrong(entry, "true or false", None);
    None
}

fn name(context: &mut Context<'_>, entry: &Entry) -> Option<String> {
    let Some(name) = entry.value.text() else {
        context.wrong(entry, "a text", Some("put it in quotes"));
        return None;
    };
    let mistake = if name.trim().is_empty() {
        "the name is empty"
    } else if name.chars().any(char::is_control) {
        "the name is more than one line, or has control characters"
    } else if name.chars().count() > MAX_NAME {
        "the name is longer than 100 characters"
    } else if name.trim() != name {
        "the name starts or ends with a blank"
    } else {
        return Some(name.to_owned());
    };
    let place = context.document.place(&entry.value);
    let help = "a short name that tells this rule from others in a log line; more belongs into `description`";
    context.tell(Diagnostic::error("invalid-value", mistake).at(place).help(help));
    None
}

fn timeout(context: &mut Context<'_>, entry: &Entry) -> Option<Duration> {
    const FORMS: &str = "write `30s`, `500ms`, `2m` or `1h`; a number alone counts seconds";
    let read = match &entry.value.value {
        Value::Signed(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        Value::Unsigned(_) | Value::Huge => Some(Duration::MAX),
        Value::Text(text) => duration(text),
        _ => None,
    };
    let Some(read) = read else {
        context.wrong(entry, "a time", Some(FORMS));
        return None;
    };
    let message = if read.is_zero() {
        "the timeout is zero: no handler could run"
    } else if read > MAX_TIMEOUT {
        "the timeout is longer than 24 hours"
    } else {
        return Some(read);
    };
    let place = context.document.place(&entry.value);
    context.tell(Diagnostic::error("out-of-range", message).at(place).help(FORMS));
    None
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|found: char| !found.is_ascii_digit())?;
    let milliseconds = match text[unit..].trim() {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let number: u64 = text[..unit].parse().ok()?;
    Some(Duration::from_millis(number.saturating_mul(milliseconds)))
}

fn concurrency(context: &mut Context<'_>, entry: &Entry) -> Option<usize> {
    let number = match entry.value.value {
        Value::Signed(number) => usize::try_from(number).unwrap_or(0),
        Value::Unsigned(_) | Value::Huge => usize::MAX,
        _ => {
            context.wrong(entry, "a whole number", None);
            return None;
        }
    };
    if (1..=MAX_CONCURRENCY).contains(&number) {
        return Some(number);
    }
    let message = format!("`{}` is out of range", entry.key);
    let place = context.document.place(&entry.value);
    let help = format!("1 to {MAX_CONCURRENCY}; for one run after another there is `order: rule`");
    context.tell(Diagnostic::error("out-of-range", message).at(place).help(help));
    None
}

fn order(context: &mut Context<'_>, entry: &Entry) -> Option<Order> {
    match entry.value.text() {
        Some("discussion") => return Some(Order::Discussion),
        Some("rule") => return Some(Order::Rule),
        Some("none") => return Some(Order::None),
        _ => {}
    }
    let near = entry.value.text().and_then(|text| names::nearest(text, ["discussion", "rule", "none"]));
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            "`discussion`: in order within one discussion; `rule`: strictly one after another; `none`: as they come"
                .to_owned()
        }
    };
    context.wrong(entry, "discussion, rule or none", Some(&help));
    None
}
