//! The schemas of the keys that are no parameters: names, handlers, limits, permissions.

use serde_json::{Map, Value, json};

use super::{
    super::{
        Limits,
        handler::RESERVED,
        keys::{Form, Key, MAX_NAME},
        limits::Limit,
        measure::{Measure, UNLIMITED},
        permissions::{self, Holds, SECRETS},
        terms::{CONCURRENCY, MAX_CONCURRENCY, ORDERS},
    },
    messages::flat,
    patterns::{any_camel, any_case, between},
};
use crate::schema::Catalog;

/// Blanks beyond those that are control characters.
const BLANK: &str = r"[ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]";

/// A text that is more than blanks.
const SOMETHING: &str = r"\S";

/// What may be written for a key of a rule.
pub(super) fn key(key: &Key, catalog: &Catalog) -> Value {
    let mut held = match key.form {
        Form::Name => name(),
        Form::Subscription => subscription(catalog),
        Form::Script => {
            let help =
                "the path of a script, or with the name of a function behind a colon: scripts/groups.lua:on_rename";
            json!({ "type": "string", "pattern": script(), "patternErrorMessage": help })
        }
        Form::Code => {
            let help = "write `lua: |` and the code below, indented";
            json!({ "type": "string", "pattern": SOMETHING, "patternErrorMessage": help })
        }
        Form::Text => json!({ "type": "string" }),
        Form::Truth(None) => json!({ "type": "boolean" }),
        Form::Truth(Some(default)) => json!({ "type": "boolean", "default": default }),
        Form::Limit => Limit::of(key.name).map_or(Value::Bool(true), limit),
        Form::Concurrency => {
            json!({ "type": "integer", "minimum": 1, "maximum": MAX_CONCURRENCY, "default": CONCURRENCY })
        }
        Form::Order => {
            let names = ORDERS.map(|(name, _)| name);
            json!({ "enum": names, "default": names[0] })
        }
    };
    if matches!(key.form, Form::Name | Form::Script | Form::Code | Form::Text) {
        held["examples"] = json!([key.example]);
    }
    let doc = match Limit::of(key.name) {
        Some(limit) => format!("{} {}.", key.doc, limit.range()),
        None => key.doc.to_owned(),
    };
    held["description"] = json!(doc);
    held
}

fn name() -> Value {
    json!({
        "type": "string",
        "maxLength": MAX_NAME,
        "pattern": format!(r"^(?!{BLANK})(?![\s\S]*{BLANK}$)[^\u0000-\u001f\u007f-\u009f]+$"),
        "patternErrorMessage": "a short name in one line, without a blank at its start or end",
    })
}

/// The names are completed as this program writes them, and taken as the documentation does, too.
fn subscription(catalog: &Catalog) -> Value {
    let all = || catalog.subscriptions().iter();
    let names: Vec<_> = all().map(|known| known.name.as_str()).collect();
    let docs: Vec<_> = all().map(|known| flat(&known.method.doc)).collect();
    let documented: Vec<_> = all().map(|known| known.documented.as_str()).collect();
    json!({ "anyOf": [{ "enum": names, "enumDescriptions": docs }, one_of(&documented)] })
}

/// One of these texts, none of which an editor offers.
pub(super) fn one_of(texts: &[&str]) -> Value {
    json!({ "type": "string", "pattern": format!("^(?:{})$", texts.join("|")) })
}

/// A path; or a path, a colon and the name of a function; or a path with a colon in it.
fn script() -> String {
    let function = format!("(?!(?:{})$)[A-Za-z_][A-Za-z0-9_]*", RESERVED.join("|"));
    format!(r"^(?:[^:]*[^/:]\.lua|[\s\S]*[^/]\.lua:{function}|[\s\S]+:[\s\S]*[^/]\.lua)$")
}

fn limit(limit: &Limit) -> Value {
    let plain = within(limit, limit.measure.number(1));
    let mut texts = vec![between(plain.0, plain.1)];
    for (unit, of) in limit.measure.units() {
        let (low, high) = within(limit, *of);
        if low <= high {
            let unit = if limit.measure == Measure::Size { any_case(unit) } else { (*unit).to_owned() };
            texts.push(format!(r"{}\s*{unit}", between(low, high)));
        }
    }
    let mut pattern = format!(r"(?:{})\s*", texts.join("|"));
    if matches!(limit.measure, Measure::Rate(_)) {
        pattern = format!("{pattern}|{UNLIMITED}");
    }
    let default = limit.measure.show((limit.get)(&Limits::default()));
    let default = match limit.measure {
        Measure::Rate(_) => default.parse::<u64>().map_or_else(|_| json!(default), |number| json!(number)),
        _ => json!(default),
    };
    // What is said of numbers does not hold for texts, and the other way round.
    json!({
        "type": ["integer", "string"],
        "minimum": plain.0,
        "maximum": plain.1,
        "pattern": format!("^(?:{pattern})$"),
        "patternErrorMessage": limit.range(),
        "default": default,
    })
}

/// How many of a unit are within a limit.
fn within(limit: &Limit, unit: u64) -> (u64, u64) {
    (limit.least.div_ceil(unit), limit.most / unit)
}

/// What a file may permit its scripts.
pub(super) fn permissions(catalog: &Catalog) -> Value {
    let list = |key: &permissions::Key| {
        let items = match key.holds {
            Holds::Command => command(catalog),
            Holds::Directory => json!({ "type": "string", "pattern": SOMETHING }),
            Holds::Variable => variable(),
        };
        json!({ "type": "array", "items": items, "description": key.doc })
    };
    let properties: Map<_, _> = permissions::KEYS.iter().map(|key| (key.name.to_owned(), list(key))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// A command as scripts write it, and as the documentation does.
fn command(catalog: &Catalog) -> Value {
    let names: Vec<_> = catalog.commands().iter().map(|known| known.name.as_str()).collect();
    let docs: Vec<_> = catalog.commands().iter().map(|known| flat(&known.method.doc)).collect();
    let camels: Vec<_> = names.iter().map(|name| any_camel(name)).collect();
    json!({
        "anyOf": [
            { "enum": names, "enumDescriptions": docs },
            { "type": "string", "pattern": format!(r"^(?:olvid\.)?(?:{})$", camels.join("|")) },
        ],
    })
}

/// The name of a variable that holds no key.
fn variable() -> Value {
    let secrets = SECRETS.map(any_case).join("|");
    json!({
        "type": "string",
        "pattern": format!("^(?![A-Za-z0-9_]*(?:{secrets})$)[A-Za-z_][A-Za-z0-9_]*$"),
        "patternErrorMessage": "letters, digits and `_`, not a digit first; and none that holds a key",
    })
}
