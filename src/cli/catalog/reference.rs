//! The reference documentation, `docs/*.md`: the pages of the catalog and the keys of rule files as Markdown.
//!
//! Pure, as the pages are; `tests/docs.rs` writes the files and holds them to this.

use crate::{
    rules::reference::{self, Key},
    schema::{Answer, Catalog, Command, Method, Shape, Subscription},
};

use super::{
    all_types, argument_rows, example, first_sentence, markdown, markdown::Markdown, met, returned, told, types,
    types::Type,
};

/// Every file of the reference with its text.
pub fn all(catalog: &Catalog) -> [(&'static str, String); 4] {
    [
        ("subscriptions.md", subscriptions(catalog)),
        ("commands.md", commands(catalog)),
        ("datatypes.md", datatypes(catalog)),
        ("rules.md", rules(catalog)),
    ]
}

fn subscriptions(catalog: &Catalog) -> String {
    let mut page = Markdown::titled("Subscriptions");
    page.paragraph(&format!(
        "What a rule can listen to: {} subscriptions. Each takes [the keys of every rule](rules.md) beside its own \
         parameters, and calls the handler with the notification as its first argument. `olvid-rules catalog NAME` \
         prints the same.",
        catalog.subscriptions().len()
    ));
    notation(&mut page);
    let all = || catalog.subscriptions().iter().map(|entry| (&entry.name, &entry.method));
    contents(&mut page, catalog, &all);
    for entry in catalog.subscriptions() {
        subscription(&mut page, entry);
    }
    page.finish()
}

fn subscription(page: &mut Markdown, entry: &Subscription) {
    let Subscription { name, documented, method, recovery, author } = entry;
    page.heading(2, name);
    page.paragraph(&told(&method.doc));
    let mut also = format!("Documented by the daemon as `{documented}`.");
    if recovery.is_some() {
        also += " What is missed while the stream is closed is caught up, see [`catch_up`](rules.md#catch_up).";
    }
    if author.is_some() {
        also += " It tells who did it, see [`ignore_self`](rules.md#ignore_self).";
    }
    page.paragraph(&also);
    page.code("yaml", &example::rule(entry));
    page.fields("parameter", &types::rows(&method.input));
    page.paragraph(&format!("**Notification.** {}", method.output.doc));
    page.fields("field", &types::rows(&method.output));
    errors(page, method);
}

fn commands(catalog: &Catalog) -> String {
    let admin = catalog.commands().iter().filter(|entry| entry.admin).count();
    let mut page = Markdown::titled("Commands");
    page.paragraph(&format!(
        "What a handler can call: {} commands, and {admin} that start with `admin_` and need an administrator's key. Each \
         takes one table. A refusal is an error value with `.code`, `.message` and `.command`, which `pcall` catches. \
         `olvid-rules catalog NAME` prints the same.",
        catalog.commands().len() - admin
    ));
    notation(&mut page);
    let all = || catalog.commands().iter().map(|entry| (&entry.name, &entry.method));
    contents(&mut page, catalog, &all);
    for entry in catalog.commands() {
        command(&mut page, entry);
    }
    page.finish()
}

fn command(page: &mut Markdown, entry: &Command) {
    let Command { name, admin, shape, method, .. } = entry;
    page.heading(2, name);
    page.paragraph(&told(&method.doc));
    let key = if *admin { " It needs an administrator's key." } else { "" };
    page.paragraph(&format!("Documented by the daemon as `{}`.{key}", method.name));
    page.code("lua", &example::call(entry));
    page.fields("argument", &argument_rows(entry));
    let answer = returned(shape, &method.output);
    let what = match shape {
        Shape::Unary(Answer::Field(_)) | Shape::Upload(_, Answer::Field(_)) => answer.what.clone(),
        // Not the name of a type, but the beginning of a sentence.
        _ => lowered(&answer.what),
    };
    page.paragraph(&format!("**Returns** {}", answer.told(&markdown::linked(&what))));
    if answer.is_table {
        page.fields("field", &types::rows(&method.output));
    }
    errors(page, method);
}

/// A sentence that goes on where another has begun.
fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

fn errors(page: &mut Markdown, method: &Method) {
    let row = |(code, reason): &(String, String)| vec![format!("`{code}`"), reason.clone()];
    page.table(&["error", "reason"], method.errors.iter().map(row));
}

fn notation(page: &mut Markdown) {
    page.paragraph(
        "A type with `?` may be left out, and is nil in Lua when it is absent; so is every table that the daemon did not \
         send. A list is always a list in Lua, empty when there is nothing. *One of* several fields is given at most. \
         Values of enums are read as their names, and written as the name or the part behind what all names share, in \
         any case. [Types](datatypes.md) have sections of their own.",
    );
}

/// The keys that every rule takes beside its parameters, with their defaults; without those that this subscription cannot
/// give.
pub(super) fn every_rule(entry: &Subscription) -> String {
    let keys = reference::of_rules(Catalog::embedded()).into_iter().filter(|key| key.only.contains(&entry.name));
    let said = |key: Key| format!("{} ({})", key.name, key.default.replace('`', ""));
    keys.map(said).collect::<Vec<_>>().join(", ")
}

/// Lists what follows, by service.
fn contents<'c, I: Iterator<Item = (&'c String, &'c Method)>>(
    page: &mut Markdown,
    catalog: &Catalog,
    all: &impl Fn() -> I,
) {
    for service in catalog.services() {
        let own: Vec<_> = all().filter(|(_, method)| method.service == service.name).collect();
        if own.is_empty() {
            continue;
        }
        page.paragraph(&first_sentence(&service.doc));
        page.list(
            own.into_iter().map(|(name, method)| {
                format!("[{name}](#{}): {}", markdown::anchor(name), first_sentence(&method.doc))
            }),
        );
    }
}

fn datatypes(catalog: &Catalog) -> String {
    let mut page = Markdown::titled("Types");
    page.paragraph(
        "The tables and enums that [subscriptions](subscriptions.md) and [commands](commands.md) are made of. \
         `olvid-rules catalog NAME` prints the same, and where each is met.",
    );
    notation(&mut page);
    // What a request or an answer is made of stands with it.
    let methods = catalog.subscriptions().iter().map(|entry| &entry.method);
    let subscribed = methods.flat_map(|method| method.input.fields.iter().chain(&method.output.fields));
    let commanded = catalog.commands().iter().flat_map(|entry| met(entry));
    let reached = types::reached(subscribed.chain(commanded));
    let all =
        all_types(catalog).into_iter().filter(|kind| reached.iter().any(|own| own.full_name() == kind.full_name()));
    for kind in all {
        page.heading(2, kind.name());
        match kind {
            Type::Message(plan) => {
                page.paragraph(&plan.doc);
                page.fields("field", &types::rows(plan));
            }
            Type::Enum(plan) => {
                page.paragraph(&plan.doc);
                page.names("value", &types::values(plan));
            }
        }
    }
    page.finish()
}

fn rules(catalog: &Catalog) -> String {
    let mut page = Markdown::titled("Rule files");
    page.paragraph(
        "A rule file is YAML: a list of rules, each of which binds a [subscription](subscriptions.md) to a handler in \
         Lua. `olvid-rules check` tells every mistake in it with its place, and `olvid-rules schema` prints a JSON \
         Schema by which editors complete and check it as you type.",
    );
    page.code("yaml", &rule(catalog, &[("timeout", "10s"), ("order", "rule")]));
    page.table(
        &["key of a file", "meaning"],
        reference::of_files().into_iter().map(|(name, doc)| vec![format!("`{name}`"), doc.to_owned()]),
    );
    page.heading(2, "Keys of a rule");
    page.paragraph(
        "Every other key of a rule is a parameter of its subscription, by its documented name; `filter` is short for the \
         filter of what the subscription is about.",
    );
    let keys = reference::of_rules(catalog);
    overview(&mut page, &keys);
    for key in &keys {
        section(&mut page, key, catalog);
    }
    page.heading(2, "Defaults");
    let terms: Vec<_> = keys.iter().filter(|key| key.is_term).map(|key| format!("`{}`", key.name)).collect();
    page.paragraph(&format!(
        "What stands below `defaults` holds for all rules of the file that do not say otherwise: {}.",
        terms.join(", ")
    ));
    page.code("yaml", &format!("defaults:\n  timeout: 10s\n  order: rule\n{}", rule(catalog, &[])));
    page.heading(2, "Permissions");
    let permissions = reference::of_permissions(catalog);
    page.table(
        &["key of `permissions`", "a list of", "meaning"],
        permissions.iter().map(|key| vec![format!("`{}`", key.name), key.takes.clone(), key.doc.to_owned()]),
    );
    let written: Vec<_> = permissions.iter().map(|key| format!("  {}: {}\n", key.name, key.example)).collect();
    page.code("yaml", &format!("permissions:\n{}{}", written.concat(), rule(catalog, &[])));
    page.heading(2, "Values");
    page.list(reference::VALUES.iter().map(|text| (*text).to_owned()).chain(spellings(catalog)));
    page.finish()
}

fn overview(page: &mut Markdown, keys: &[Key]) {
    let row = |key: &Key| {
        let link = format!("[`{0}`](#{0})", key.name);
        vec![link, key.takes.clone(), key.default.clone()]
    };
    page.table(&["key", "value", "default"], keys.iter().map(row));
}

fn section(page: &mut Markdown, key: &Key, catalog: &Catalog) {
    page.heading(3, key.name);
    page.paragraph(key.doc);
    page.list(facts(key).into_iter());
    if key.only.len() < catalog.subscriptions().len() {
        let links = key.only.iter().map(|name| format!("[{name}](subscriptions.md#{})", markdown::anchor(name)));
        page.paragraph(&format!("`true` is for {}.", links.collect::<Vec<_>>().join(", ")));
    }
    page.code("yaml", &rule(catalog, &[(key.name, &key.example)]));
}

fn facts(key: &Key) -> Vec<String> {
    let mut facts = vec![format!("Value: {}", key.takes), format!("Default: {}", key.default)];
    facts.extend(key.is_term.then(|| "May stand in [`defaults`](#defaults)".to_owned()));
    facts
}

/// How a value of an enum may be written, by the first that there is.
fn spellings(catalog: &Catalog) -> Option<String> {
    let fields = catalog.subscriptions().iter().flat_map(|entry| &entry.method.input.fields);
    let value = types::reached(fields).into_iter().find_map(|kind| match kind {
        Type::Enum(plan) => plan.values.iter().find(|value| value.number != 0),
        Type::Message(_) => None,
    })?;
    Some(format!(
        "Of an enum, the documented name or the part behind what all names share, in any case: `{}` or `{}`.",
        value.name, value.short
    ))
}

/// A file of one rule in which these keys are as given.
fn rule(catalog: &Catalog, given: &[(&'static str, &str)]) -> String {
    let mut lines = reference::smallest(catalog);
    for (key, value) in given {
        let line = (*key, (*value).to_owned());
        match lines.iter().position(|(known, _)| reference::excludes(known, key)) {
            Some(place) => lines[place] = line,
            None => lines.push(line),
        }
    }
    let lines: Vec<_> = lines.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("rules:\n  - {}\n", lines.join("\n    "))
}
