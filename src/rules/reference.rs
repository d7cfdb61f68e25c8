//! The keys of rule files as documentation: what each takes, what holds without it, an example. From the loader's tables.

use std::sync::Arc;

use super::{
    Limits,
    keys::{self, Form, MAX_NAME},
    limits::Limit,
    measure::Measure,
    permissions::{self, Holds},
    terms::{CONCURRENCY, MAX_CONCURRENCY, ORDERS},
    top,
};
use crate::schema::{Catalog, Subscription};

/// A key, in words. All are Markdown.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What may be written for it.
    pub takes: String,
    /// What holds where it is left out.
    pub default: String,
    /// What it says.
    pub doc: &'static str,
    /// A value as one writes it.
    pub example: String,
    /// Whether it may stand in `defaults` too.
    pub is_term: bool,
    /// The subscriptions that can give it.
    pub only: Vec<String>,
}

/// What else is to be known of values.
pub const VALUES: [&str; 4] = [
    "Integers are exact to 64 bits.",
    "Of several parameters that exclude each other, one at most.",
    "What ends with `_search` is a regular expression as Java has them, to be found anywhere in the text; `(?i)` at its \
     start takes any case.",
    "Texts that contain `: ` or ` #`, or start with a bracket, a quote or a character such as `!`, `*` or `@`, need \
     quotes.",
];

/// The smallest rule, by its keys, of a subscription that can give whatever a key asks for.
pub fn smallest(catalog: &Catalog) -> Vec<(&'static str, String)> {
    let keys = keys::KEYS.iter().filter(|key| [keys::NAME, keys::SUBSCRIPTION, keys::HANDLER].contains(&key.name));
    keys.map(|key| (key.name, example(key, catalog))).collect()
}

/// Whether only one of two keys may be given: the same one, or two that say what handles.
pub fn excludes(one: &str, other: &str) -> bool {
    let handles = |key| [keys::HANDLER, keys::LUA].contains(&key);
    one == other || handles(one) && handles(other)
}

/// The keys of a file, with what each says.
pub fn of_files() -> [(&'static str, &'static str); 3] {
    top::DOCS
}

/// The keys of a rule, in the order in which they are documented.
pub fn of_rules(catalog: &Catalog) -> Vec<Key> {
    let only = |key: &keys::Key| {
        let fit = catalog.subscriptions().iter().filter(|known| key.fits(known));
        fit.map(|known| known.name.clone()).collect()
    };
    let documented = |key: &keys::Key| Key {
        name: key.name,
        takes: takes(key),
        default: default(key),
        doc: key.doc,
        example: example(key, catalog),
        is_term: key.is_term(),
        only: only(key),
    };
    keys::KEYS.iter().map(documented).collect()
}

/// The keys of `permissions`.
pub fn of_permissions(catalog: &Catalog) -> Vec<Key> {
    let documented = |key: &permissions::Key| Key {
        name: key.name,
        takes: key.holds.plural().to_owned(),
        default: String::new(),
        doc: key.doc,
        example: match key.holds {
            Holds::Command => format!("[{}]", commands(catalog).join(", ")),
            _ => key.example.to_owned(),
        },
        is_term: false,
        only: Vec::new(),
    };
    permissions::KEYS.iter().map(documented).collect()
}

fn takes(key: &keys::Key) -> String {
    match key.form {
        Form::Name => format!("a text of one line, up to {MAX_NAME} characters"),
        Form::Subscription => "the name of a [subscription](subscriptions.md)".to_owned(),
        Form::Script => "a path, and behind a colon the name of a function".to_owned(),
        Form::Code => "Lua code".to_owned(),
        Form::Text => "a text".to_owned(),
        Form::Truth(_) => "`true` or `false`".to_owned(),
        Form::Limit => Limit::of(key.name).map_or_else(String::new, limit),
        Form::Concurrency => format!("`1` to `{MAX_CONCURRENCY}`"),
        Form::Order => ORDERS.map(|(name, _)| format!("`{name}`")).join(", "),
    }
}

fn limit(limit: &Limit) -> String {
    let (least, most) = limit.ends();
    let kind = match limit.measure {
        Measure::Time => "a time such as `30s`, `500ms`, `2m` or `1h`, or seconds:".to_owned(),
        Measure::Size => "a size such as `512KiB`, `64MiB` or `64MB`, or bytes:".to_owned(),
        Measure::Rate(what) => format!("{what}, or `0` or `unlimited`:"),
    };
    format!("{kind} `{least}` to `{most}`")
}

fn default(key: &keys::Key) -> String {
    let written = match key.form {
        Form::Name | Form::Subscription => return "required".to_owned(),
        Form::Script | Form::Code => {
            return format!("this or `{}`", if key.name == keys::LUA { keys::HANDLER } else { keys::LUA });
        }
        Form::Truth(None) => return "neither".to_owned(),
        Form::Text => return "none".to_owned(),
        Form::Truth(Some(truth)) => truth.to_string(),
        Form::Limit => shown(key.name),
        Form::Concurrency => CONCURRENCY.to_string(),
        Form::Order => ORDERS[0].0.to_owned(),
    };
    format!("`{written}`")
}

fn shown(key: &str) -> String {
    Limit::of(key).map_or_else(String::new, |limit| limit.measure.show((limit.get)(&Limits::default())))
}

fn example(key: &keys::Key, catalog: &Catalog) -> String {
    match key.form {
        Form::Limit => shown(key.name),
        Form::Subscription => subscription(catalog).to_owned(),
        _ => key.example.to_owned(),
    }
}

/// A subscription that can give whatever a key asks for.
fn subscription(catalog: &Catalog) -> &str {
    let whole = |known: &&Arc<Subscription>| keys::KEYS.iter().all(|key| key.fits(known));
    catalog.subscriptions().iter().find(whole).map_or("", |known| known.name.as_str())
}

/// Two commands about the same as that subscription, of those that others notice.
fn commands(catalog: &Catalog) -> Vec<&str> {
    let word = |name: &str| name.split('_').next().map(str::to_owned);
    let about = word(subscription(catalog));
    let noticed = catalog.commands().iter().filter(|known| known.speaks && word(&known.name) == about);
    noticed.map(|known| known.name.as_str()).take(2).collect()
}
