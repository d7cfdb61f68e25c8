//! The keys of a rule that say how it runs. Whatever is no key of a rule is a parameter of its subscription.
//!
//! One table of them all: what reads each, and what else it is called. The terms of a rule's runs, which a file may give
//! for all its rules, are read by [`terms`](super::terms).

use super::{
    node::{Entry, Value},
    resolve::Context,
    terms::{self, Terms},
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
const IGNORE_SELF: &str = "ignore_self";

/// Names longer than this fill a log line.
const MAX_NAME: usize = 100;

struct Key {
    name: &'static str,
    /// What other programs call it.
    synonyms: &'static [&'static str],
    reads: Reads,
}

/// Who reads a key.
enum Reads {
    /// Others: it says what the rule is about.
    Apart,
    /// The rule alone has it.
    Own(fn(&mut Context<'_>, &Entry, &mut Keys)),
    /// It may stand in `defaults` too.
    Term(fn(&mut Context<'_>, &Entry, &mut Terms)),
}

static KEYS: [Key; 17] = [
    Key { name: NAME, synonyms: &[], reads: Reads::Own(|context, entry, keys| keys.name = name(context, entry)) },
    Key { name: SUBSCRIPTION, synonyms: &["on", "event", "trigger", "when", "notification"], reads: Reads::Apart },
    Key { name: HANDLER, synonyms: &["script", "run", "action", "do"], reads: Reads::Apart },
    Key { name: LUA, synonyms: &["code"], reads: Reads::Apart },
    Key { name: "enabled", synonyms: &[], reads: Reads::Own(enabled) },
    Key { name: "description", synonyms: &["comment"], reads: Reads::Own(description) },
    Key { name: "timeout", synonyms: &["max_runtime", "max_timeout", "time_limit"], reads: Reads::Term(terms::limit) },
    Key { name: "cpu", synonyms: &["cpu_time", "cpu_limit", "max_cpu"], reads: Reads::Term(terms::limit) },
    Key { name: "memory", synonyms: &["mem", "ram", "memory_limit", "max_memory"], reads: Reads::Term(terms::limit) },
    Key { name: "output", synonyms: &["output_limit", "max_output"], reads: Reads::Term(terms::limit) },
    Key { name: "log_rate", synonyms: &["log_limit", "max_log_rate"], reads: Reads::Term(terms::limit) },
    Key {
        name: "command_rate",
        synonyms: &["rate", "rate_limit", "max_command_rate"],
        reads: Reads::Term(terms::limit),
    },
    Key { name: "loop_limit", synonyms: &["loops", "max_loops", "breaker"], reads: Reads::Term(terms::limit) },
    Key {
        name: IGNORE_SELF,
        synonyms: &["ignore_own", "skip_self", "ignore_bot", "ignore_me"],
        reads: Reads::Term(terms::ignore_self),
    },
    Key { name: "concurrency", synonyms: &["parallel"], reads: Reads::Term(terms::concurrency) },
    Key { name: "order", synonyms: &[], reads: Reads::Term(terms::order) },
    Key {
        name: CATCH_UP,
        synonyms: &["recover", "replay", "missed"],
        reads: Reads::Own(|context, entry, keys| keys.catch_up = truth(context, entry)),
    },
];

/// The keys as meant, defaults filled in.
pub(super) struct Keys {
    /// None where it is missing or mistaken.
    pub(super) name: Option<String>,
    pub(super) enabled: bool,
    pub(super) description: Option<String>,
    pub(super) terms: Terms,
    pub(super) catch_up: Option<bool>,
}

/// The names of all keys, in the order in which they are documented.
pub fn all() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The names of those that may stand in `defaults`.
pub(super) fn terms() -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(|key| matches!(key.reads, Reads::Term(_))).map(|key| key.name)
}

/// Whether this is a key of a rule.
pub(super) fn is_key(name: &str) -> bool {
    find(name).is_some()
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key of a rule that a mistaken key most likely means.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let called = |key: &&Key| key.synonyms.iter().any(|synonym| synonym.eq_ignore_ascii_case(name));
    KEYS.iter().find(called).map(|key| key.name).or_else(|| names::nearest(name, all()))
}

/// Reads the keys of a rule, `subscription` and its handler left to others.
pub(super) fn read(context: &mut Context<'_>, entries: &[Entry]) -> Keys {
    let terms = context.terms.clone();
    let mut keys = Keys { name: None, enabled: true, description: None, terms, catch_up: None };
    for entry in entries {
        match find(&entry.key).map(|key| &key.reads) {
            Some(Reads::Own(read)) => read(context, entry, &mut keys),
            Some(Reads::Term(read)) => read(context, entry, &mut keys.terms),
            Some(Reads::Apart) | None => {}
        }
    }
    keys
}

/// Reads a key that may stand in `defaults`; false where this is none.
pub(super) fn read_term(context: &mut Context<'_>, entry: &Entry, terms: &mut Terms) -> bool {
    let Some(Key { reads: Reads::Term(read), .. }) = find(&entry.key) else { return false };
    read(context, entry, terms);
    true
}

/// Tells a rule that asks for what its subscription cannot give.
pub(super) fn check_subscription(context: &mut Context<'_>, entries: &[Entry], subscription: &Subscription) {
    let name = &subscription.name;
    let lost = || {
        let message = format!("{name} cannot be caught up: the daemon does not keep what was missed");
        Diagnostic::error("no-catch-up", message)
    };
    check(context, entries, CATCH_UP, |known| known.recovery.is_some(), subscription, lost);
    let unsaid = || {
        let message = format!("{name} does not say who did it: there is nothing to ignore one's own by");
        Diagnostic::error("no-author", message)
    };
    check(context, entries, IGNORE_SELF, |known| known.author.is_some(), subscription, unsaid);
}

fn check(
    context: &mut Context<'_>,
    entries: &[Entry],
    key: &str,
    can: impl Fn(&Subscription) -> bool,
    subscription: &Subscription,
    mistake: impl Fn() -> Diagnostic,
) {
    let asks = |entry: &&Entry| entry.key == key && matches!(entry.value.value, Value::Bool(true));
    let Some(entry) = entries.iter().find(asks).filter(|_| !can(subscription)) else { return };
    let fit = context.catalog.subscriptions().iter().filter(|known| can(known));
    let fit: Vec<_> = fit.map(|known| format!("`{}`", known.name)).collect();
    let help = format!("remove `{key}`; it is for {}", fit.join(", "));
    let place = context.document.value_place(entry);
    context.tell(mistake().at(place).help(help));
}

pub(super) fn truth(context: &mut Context<'_>, entry: &Entry) -> Option<bool> {
    if let Value::Bool(truth) = entry.value.value {
        return Some(truth);
    }
    context.wrong(entry, "true or false", None);
    None
}

fn enabled(context: &mut Context<'_>, entry: &Entry, keys: &mut Keys) {
    keys.enabled = truth(context, entry).unwrap_or(keys.enabled);
}

fn description(context: &mut Context<'_>, entry: &Entry, keys: &mut Keys) {
    match entry.value.text() {
        Some(text) => keys.description = Some(text.to_owned()),
        None => context.wrong(entry, "a text", Some("put it in quotes")),
    }
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

#[cfg(test)]
mod tests {
    use super::{super::LIMITS, *};

    #[test]
    fn every_limit_is_a_key_that_may_have_a_default() {
        let terms: Vec<_> = terms().collect();
        assert!(LIMITS.iter().all(|limit| terms.contains(&limit.key)), "{terms:?}");
    }

    #[test]
    fn no_synonym_is_a_key_or_stands_for_two() {
        let synonyms: Vec<_> = KEYS.iter().flat_map(|key| key.synonyms).collect();
        for (at, synonym) in synonyms.iter().enumerate() {
            assert!(!is_key(synonym) && !synonyms[..at].contains(synonym), "{synonym}");
        }
    }
}
