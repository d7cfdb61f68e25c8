//! The keys of a rule file: its rules, and what holds for all of them.

use std::sync::Arc;

use super::{
    Rule, keys,
    node::{Entry, Value},
    permissions,
    resolve::{self, Context},
    terms,
};
use crate::{diagnostic::Diagnostic, schema::names};

pub(super) const RULES: &str = "rules";
pub(super) const DEFAULTS: &str = "defaults";
pub(super) const PERMISSIONS: &str = "permissions";

const KEYS: [&str; 3] = [RULES, DEFAULTS, PERMISSIONS];

/// What each says, for the reference and for editors.
pub(super) const DOCS: [(&str, &str); 3] = [
    (RULES, "The rules of this file: each binds one subscription to one handler."),
    (DEFAULTS, "What holds for all rules of this file that do not say otherwise."),
    (
        PERMISSIONS,
        "What the scripts of this file's rules may touch. Left out: every command that the client key may use, no file \
         and no variable of the environment.",
    ),
];

/// What other programs call these keys.
const SYNONYMS: [(&str, &str); 3] = [("limits", DEFAULTS), ("settings", DEFAULTS), ("allow", PERMISSIONS)];

/// Reads the rules of a file.
pub(super) fn read(context: &mut Context<'_>) -> Vec<Rule> {
    let document = context.document;
    let Value::Map(entries) = &document.root.value else {
        no_table(context);
        return Vec::new();
    };
    for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        unknown(context, entry);
    }
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    if let Some(entry) = find(DEFAULTS) {
        terms::defaults(context, entry);
    }
    if let Some(entry) = find(PERMISSIONS) {
        context.permissions = Arc::new(permissions::read(context, entry));
    }
    let Some(entry) = find(RULES) else {
        if !entries.iter().any(|entry| names::nearest(&entry.key, [RULES]).is_some()) {
            no_rules(context, entries.first());
        }
        return Vec::new();
    };
    match &entry.value.value {
        Value::List(items) if !items.is_empty() => {
            items.iter().filter_map(|item| resolve::rule(context, item)).collect()
        }
        Value::List(_) | Value::Null => {
            no_rules(context, Some(entry));
            Vec::new()
        }
        _ => {
            let help = "write each rule as an entry of a list: `- name: ...`";
            context.wrong(entry, "a list of rules", Some(help));
            Vec::new()
        }
    }
}

/// Tells a file that is no table.
fn no_table(context: &mut Context<'_>) {
    let root = &context.document.root;
    let help = match root.value {
        Value::Null => return no_rules(context, None),
        Value::List(_) => "put `rules:` above the list, and indent the list",
        _ => "write `rules:` and a list below",
    };
    let message = format!("a rule file is a table with the key `{RULES}`, found {}", root.what());
    let place = context.document.place(root);
    context.tell(Diagnostic::error("wrong-type", message).at(place).help(help));
}

fn unknown(context: &mut Context<'_>, entry: &Entry) {
    let synonym = SYNONYMS.iter().find(|(other, _)| other.eq_ignore_ascii_case(&entry.key)).map(|(_, key)| *key);
    let help = match names::nearest(&entry.key, KEYS).or(synonym) {
        Some(near) => format!("did you mean `{near}`?"),
        None if permissions::is_key(&entry.key) => format!("this belongs below `{PERMISSIONS}:`"),
        None if keys::terms().any(|term| term == entry.key) => {
            format!("this belongs to a rule, or below `{DEFAULTS}:` where it holds for all rules of this file")
        }
        None if keys::is_key(&entry.key) => {
            format!("this belongs to a rule: write `{RULES}:` and the rule as `- ...` below")
        }
        None => format!("a rule file has the keys `{RULES}`, `{DEFAULTS}` and `{PERMISSIONS}`"),
    };
    let message = format!("unknown key `{}` of a rule file", entry.key.escape_debug());
    let place = context.document.key_place(entry);
    context.tell(Diagnostic::error("unknown-key", message).at(place).help(help));
}

/// Where a key belongs that is written in a rule but is the file's.
pub(super) fn elsewhere(name: &str) -> Option<String> {
    if matches!(name, DEFAULTS | PERMISSIONS) {
        return Some(format!("write it beside `{RULES}:`, not in a rule: it holds for the whole file"));
    }
    permissions::is_key(name).then(|| format!("write it below `{PERMISSIONS}:`, which stands beside `{RULES}:`"))
}

fn no_rules(context: &mut Context<'_>, entry: Option<&Entry>) {
    let source = &context.document.source;
    let place = entry.map_or_else(|| source.line(1), |entry| context.document.key_place(entry));
    context.tell(Diagnostic::warning("no-rules", "this file has no rules").at(place));
}
