//! The keys of a rule that say how it runs. Whatever is no key of a rule is a parameter of its subscription.
//!
//! One table of them all: what each says, what may be written for it, what reads it, and what else it is called. The terms of a rule's runs, which a file may give
//! for all its rules, are read by [`terms`](super::terms).

use super::{
    letters,
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
pub(super) const MAX_NAME: usize = 100;

/// A key of a rule.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What it says, for the reference and for editors.
    pub(super) doc: &'static str,
    /// A value as one writes it; of a limit its default is one, of a subscription the catalog has them.
    pub(super) example: &'static str,
    /// What may be written.
    pub(super) form: Form,
    /// What other programs call it.
    synonyms: &'static [&'static str],
    reads: Reads,
}

/// What may be written for a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The name of a rule.
    Name,
    /// The name of a subscription, in either spelling.
    Subscription,
    /// The path of a script, with the name of a function or without.
    Script,
    /// Lua code.
    Code,
    /// Any text.
    Text,
    /// True or false; where nothing is said, this or what the documentation says.
    Truth(Option<bool>),
    /// What the table of limits has for this key.
    Limit,
    /// How many runs.
    Concurrency,
    /// Which runs wait.
    Order,
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

pub(super) static KEYS: [Key; 17] = [
    Key {
        name: NAME,
        doc: "Tells this rule from all others, over all files that are loaded; it is in every line of the log. One line \
              of up to 100 characters.",
        example: "answer-pings",
        form: Form::Name,
        synonyms: &[],
        reads: Reads::Own(|context, entry, keys| keys.name = name(context, entry)),
    },
    Key {
        name: SUBSCRIPTION,
        doc: "What the rule listens to. Every parameter of it is a key of the rule.",
        example: "",
        form: Form::Subscription,
        synonyms: &["on", "event", "trigger", "when", "notification"],
        reads: Reads::Apart,
    },
    Key {
        name: HANDLER,
        doc: "The script that returns the handler, `scripts/ping.lua`, or the function of the table that it returns, \
              `scripts/groups.lua:on_rename`. The path starts at the rule file's directory and ends in `.lua`. Either this \
              or `lua`.",
        example: "scripts/ping.lua",
        form: Form::Script,
        synonyms: &["script", "run", "action", "do"],
        reads: Reads::Apart,
    },
    Key {
        name: LUA,
        doc: "The body of the handler, in place: `local notification, rule = ...` names what it gets. Either this or \
              `handler`.",
        example: "log.info(\"hello\")",
        form: Form::Code,
        synonyms: &["code"],
        reads: Reads::Apart,
    },
    Key {
        name: "enabled",
        doc: "Whether the rule runs at all. One that does not is checked all the same.",
        example: "false",
        form: Form::Truth(Some(true)),
        synonyms: &[],
        reads: Reads::Own(enabled),
    },
    Key {
        name: "description",
        doc: "Free text.",
        example: "answers pings",
        form: Form::Text,
        synonyms: &["comment"],
        reads: Reads::Own(description),
    },
    limit(
        "timeout",
        "The time of one run, waiting included. A run that takes longer is ended.",
        &["max_runtime", "max_timeout", "time_limit"],
    ),
    limit("cpu", "The CPU time of one run. A run that takes more is ended.", &["cpu_time", "cpu_limit", "max_cpu"]),
    limit(
        "memory",
        "The memory of the script. Of the rules that share a script, the largest holds. A run that takes more is ended.",
        &["mem", "ram", "memory_limit", "max_memory"],
    ),
    limit(
        "output",
        "What one run writes to the log. A run that writes more is ended.",
        &["output_limit", "max_output"],
    ),
    limit(
        "log_rate",
        "Lines that the rule writes to the log, a second; ten times as many at once. What is beyond is left out, and \
         counted.",
        &["log_limit", "max_log_rate"],
    ),
    limit(
        "command_rate",
        "Commands that the rule sends, a second; ten times as many at once. What is beyond waits.",
        &["rate", "rate_limit", "max_command_rate"],
    ),
    limit(
        "loop_limit",
        "Near-identical exchanges with one sender in one discussion, a minute. With one more the rule is silent there \
         for a while.",
        &["loops", "max_loops", "breaker"],
    ),
    Key {
        name: IGNORE_SELF,
        doc: "Whether what the bot itself did is left out: its own messages and reactions are notified too. Only where \
              the subscription tells who did it.",
        example: "true",
        form: Form::Truth(Some(false)),
        synonyms: &["ignore_own", "skip_self", "ignore_bot", "ignore_me"],
        reads: Reads::Term(terms::ignore_self),
    },
    Key {
        name: "concurrency",
        doc: "Runs of this rule at one time.",
        example: "4",
        form: Form::Concurrency,
        synonyms: &["parallel"],
        reads: Reads::Term(terms::concurrency),
    },
    Key {
        name: "order",
        doc: "Which runs wait for each other. `discussion`: in order within one discussion, side by side across \
              discussions; `rule`: strictly one after another; `none`: as they come.",
        example: "rule",
        form: Form::Order,
        synonyms: &[],
        reads: Reads::Term(terms::order),
    },
    Key {
        name: CATCH_UP,
        doc: "`true`: also handle what came while the host was stopped; `false`: nothing that came while the stream was \
              closed; left out: what came while the stream was closed, once the host runs. Only where the daemon keeps \
              what was missed.",
        example: "true",
        form: Form::Truth(None),
        synonyms: &["recover", "replay", "missed"],
        reads: Reads::Own(|context, entry, keys| keys.catch_up = truth(context, entry)),
    },
];

const fn limit(name: &'static str, doc: &'static str, synonyms: &'static [&'static str]) -> Key {
    Key { name, doc, example: "", form: Form::Limit, synonyms, reads: Reads::Term(terms::limit) }
}

impl Key {
    /// Whether it may stand in `defaults` too.
    pub(super) fn is_term(&self) -> bool {
        matches!(self.reads, Reads::Term(_))
    }

    /// Whether only some subscriptions can give it, and whether this one can.
    pub(super) fn fits(&self, subscription: &Subscription) -> bool {
        match self.name {
            CATCH_UP => subscription.recovery.is_some(),
            IGNORE_SELF => subscription.author.is_some(),
            _ => true,
        }
    }
}

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
    KEYS.iter().filter(|key| key.is_term()).map(|key| key.name)
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
    check(context, entries, CATCH_UP, subscription, lost);
    let unsaid = || {
        let message = format!("{name} does not say who did it: there is nothing to ignore one's own by");
        Diagnostic::error("no-author", message)
    };
    check(context, entries, IGNORE_SELF, subscription, unsaid);
}

fn check(
    context: &mut Context<'_>,
    entries: &[Entry],
    name: &str,
    subscription: &Subscription,
    mistake: impl Fn() -> Diagnostic,
) {
    let asks = |entry: &&Entry| entry.key == name && matches!(entry.value.value, Value::Bool(true));
    let (Some(key), Some(entry)) = (find(name), entries.iter().find(asks)) else { return };
    if key.fits(subscription) {
        return;
    }
    let fit = context.catalog.subscriptions().iter().filter(|known| key.fits(known));
    let fit: Vec<_> = fit.map(|known| format!("`{}`", known.name)).collect();
    let help = format!("remove `{name}`; it is for {}", fit.join(", "));
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
        letters::of_name(context, entry);
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
