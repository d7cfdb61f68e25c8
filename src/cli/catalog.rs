//! The catalog as text: what `olvid-rules catalog [NAME]` prints.
//!
//! Pure: a catalog in, text out, all of it by reflection. What a page says is what the proto files' comments say; this
//! file chooses the parts and their order, the files below it set types, examples and columns.

mod example;
mod layout;
mod markdown;
pub mod reference;
mod types;
mod upload;

use std::sync::Arc;

use crate::{
    rules::json_schema,
    scenario,
    schema::{Answer, Catalog, Command, Enum, Field, Message, Method, Shape, Subscription, names},
};

use super::{Done, Written, exit, output};

pub(super) use self::upload::Files;
use self::{
    layout::{Page, Row},
    types::Type,
};

/// How many names are offered for a word that many names contain.
const OFFERED: usize = 12;

/// Prints the overview, or the page of a name.
pub(super) fn run(name: Option<&str>) -> Done {
    let catalog = Catalog::embedded();
    match name.map_or_else(|| Ok(overview(catalog)), |name| page(catalog, name)) {
        Ok(text) => {
            output::answer(&text);
            Ok(())
        }
        Err(mistake) => output::failure(exit::USAGE, &mistake),
    }
}

/// Prints the JSON Schema of files that people write.
pub(super) fn schema(of: Written) {
    let schema = match of {
        Written::Rules => json_schema::document(Catalog::embedded()),
        Written::Scenarios => scenario::json_schema::document(Catalog::embedded()),
    };
    output::answer(&schema);
}

/// Lists every subscription and command by service, one line each.
pub fn overview(catalog: &Catalog) -> String {
    let admin = catalog.commands().iter().filter(|command| command.admin).count();
    let mut page =
        Page::titled("`olvid-rules catalog NAME` tells everything about one of these, and about every type.");
    page.heading(&format!("SUBSCRIPTIONS ({}): what a rule can listen to", catalog.subscriptions().len()));
    services(&mut page, catalog, |service| {
        let own = catalog.subscriptions().iter().filter(|entry| entry.method.service == service);
        own.map(|entry| (entry.name.clone(), first_sentence(&entry.method.doc))).collect()
    });
    let others = catalog.commands().len() - admin;
    page.heading(&format!(
        "COMMANDS ({others}, and {admin} marked [admin] that need an admin client key): what a handler can call as olvid.NAME{{...}}"
    ));
    services(&mut page, catalog, |service| {
        let own = catalog.commands().iter().filter(|entry| entry.method.service == service);
        let mark = |entry: &Command| if entry.admin { "[admin] " } else { "" };
        own.map(|entry| (entry.name.clone(), format!("{}{}", mark(entry), first_sentence(&entry.method.doc)))).collect()
    });
    page.finish()
}

/// Tells everything about a subscription, a command, a datatype or an enum, or which name was most likely meant.
pub fn page(catalog: &Catalog, name: &str) -> Result<String, String> {
    if let Some(found) = catalog.subscription(name) {
        return Ok(subscription(found));
    }
    let command_by = |wanted: fn(&Command) -> &str| catalog.commands().iter().find(|entry| wanted(entry) == name);
    if let Some(found) = command_by(|entry| &entry.name).or_else(|| command_by(|entry| &entry.method.name)) {
        return Ok(command(found));
    }
    let types = all_types(catalog);
    match types.iter().find(|kind| kind.name() == name || kind.full_name() == name) {
        Some(Type::Message(plan)) => Ok(datatype(catalog, plan)),
        Some(Type::Enum(plan)) => Ok(enumeration(catalog, plan)),
        None => Err(unknown(catalog, &types, name)),
    }
}

fn services(page: &mut Page, catalog: &Catalog, entries: impl Fn(&str) -> Vec<(String, String)>) {
    let admin = |name: &str| catalog.commands().iter().any(|entry| entry.admin && entry.method.service == name);
    let mut services: Vec<_> = catalog.services().iter().collect();
    services.sort_by_key(|service| admin(&service.name));
    for service in services {
        let rows = entries(&service.name);
        if !rows.is_empty() {
            page.blank();
            page.paragraph(0, &format!("{} ({})", first_sentence(&service.doc).trim_end_matches('.'), service.name));
            page.list(2, &rows);
        }
    }
}

fn subscription(entry: &Subscription) -> String {
    let Subscription { name, documented, method, .. } = entry;
    let mut page = Page::titled(&format!("{name}: a subscription, documented as {documented}"));
    description(&mut page, &method.doc);
    page.heading("EXAMPLE");
    page.verbatim(2, &example::rule(entry));
    page.heading("PARAMETERS, keys of the rule beside `subscription`");
    page.table(2, &types::rows(&method.input));
    page.blank();
    page.paragraph(
        2,
        &format!("Every rule also takes, in brackets what holds without: {}.", reference::every_rule(entry)),
    );
    page.heading("NOTIFICATION, the handler's first argument");
    page.paragraph(2, &method.output.doc);
    page.table(4, &types::rows(&method.output));
    errors(&mut page, method, "The daemon may refuse the subscription:");
    let fields = || method.input.fields.iter().chain(&method.output.fields);
    let reached = types::reached(fields());
    types::explain(&mut page, &reached);
    types::notation(&mut page, fields(), &reached);
    page.finish()
}

fn command(entry: &Command) -> String {
    let Command { name, admin, shape, method, .. } = entry;
    let kind = if *admin { "an admin command" } else { "a command" };
    let mut page = Page::titled(&format!("{name}: {kind}, documented as {}", method.name));
    description(&mut page, &method.doc);
    if *admin {
        page.blank();
        page.paragraph(0, "It needs an admin client key: OLVID_ADMIN_CLIENT_KEY.");
    }
    page.heading("CALL");
    page.verbatim(2, &example::call(entry));
    let rows = argument_rows(entry);
    if !rows.is_empty() {
        page.heading("ARGUMENTS, fields of the table");
        page.table(2, &rows);
    }
    let answer = returned(shape, &method.output);
    page.heading("RETURNS");
    page.paragraph(2, &answer.told(&answer.what));
    if answer.is_table {
        page.table(4, &types::rows(&method.output));
    }
    errors(&mut page, method, "Raised with `.code`, `.message` and `.command`; `pcall` catches it:");
    let fields = met(entry);
    let reached = types::reached(fields.iter().copied());
    types::explain(&mut page, &reached);
    types::notation(&mut page, fields.iter().copied(), &reached);
    page.finish()
}

/// How the files of an upload are given.
fn files_of(entry: &Command) -> Option<Files<'_>> {
    match &entry.shape {
        Shape::Upload(upload, _) => Files::of(&entry.method.input, *upload),
        _ => None,
    }
}

fn argument_rows(entry: &Command) -> Vec<Row> {
    files_of(entry).as_ref().map_or_else(|| types::rows(&entry.method.input), Files::rows)
}

/// What a call returns.
struct Returned<'c> {
    /// In words.
    what: String,
    /// What the proto file says of it.
    docs: String,
    /// The fields that it is made of.
    fields: &'c [Field],
    /// Whether it is a table of them.
    is_table: bool,
}

fn returned<'c>(shape: &Shape, output: &'c Message) -> Returned<'c> {
    let part = |what: &str, docs: &[&str], fields| Returned {
        what: what.to_owned(),
        docs: docs.iter().filter(|doc| !doc.is_empty()).copied().collect::<Vec<_>>().join(" "),
        fields,
        is_table: false,
    };
    let table = |what| Returned { is_table: true, ..part(what, &[&output.doc], &output.fields) };
    match shape {
        Shape::Unary(Answer::Nothing) | Shape::Upload(_, Answer::Nothing) => part("Nothing", &[], &[]),
        Shape::Unary(Answer::Field(index)) | Shape::Upload(_, Answer::Field(index)) => {
            let field = &output.fields[*index];
            part(&types::phrase(field), &[&output.doc, &field.doc], std::slice::from_ref(field))
        }
        Shape::List(index) => {
            let list = &output.fields[*index];
            let what = format!("An iterator, each step one {}", list.kind.name());
            part(&what, &[&list.doc], std::slice::from_ref(list))
        }
        Shape::Download(_) => part("The whole content, a string of bytes", &[], &[]),
        Shape::Unary(Answer::Whole) | Shape::Upload(_, Answer::Whole) => table("A table"),
        Shape::Pages => table("An iterator, each step a table"),
    }
}

impl Returned<'_> {
    /// Says it, with the words set as one likes.
    fn told(&self, what: &str) -> String {
        if self.docs.is_empty() { format!("{what}.") } else { format!("{what}: {}", self.docs) }
    }
}

/// The fields that a command is called with, and those that it answers with.
fn met(entry: &Command) -> Vec<&Field> {
    let given = match files_of(entry) {
        Some(files) => files.own().collect(),
        None => entry.method.input.fields.iter().collect::<Vec<_>>(),
    };
    given.into_iter().chain(returned(&entry.shape, &entry.method.output).fields).collect()
}

fn datatype(catalog: &Catalog, plan: &Arc<Message>) -> String {
    let mut page = Page::titled(&format!("{}: a table, {} of the daemon's API", plan.name, plan.full_name));
    description(&mut page, &plan.doc);
    if !plan.fields.is_empty() {
        page.heading("FIELDS");
        page.table(2, &types::rows(plan));
    }
    appearances(&mut page, catalog, &plan.full_name);
    let reached = types::reached(&plan.fields);
    types::explain(&mut page, &reached);
    types::notation(&mut page, &plan.fields, &reached);
    page.finish()
}

fn enumeration(catalog: &Catalog, plan: &Arc<Enum>) -> String {
    let mut page = Page::titled(&format!("{}: an enum, {} of the daemon's API", plan.name, plan.full_name));
    description(&mut page, &plan.doc);
    page.heading("VALUES");
    page.table(2, &types::values(plan));
    appearances(&mut page, catalog, &plan.full_name);
    types::notation(&mut page, [], &[Type::Enum(plan)]);
    page.finish()
}

/// Adds where a type is met, directly or within another.
fn appearances(page: &mut Page, catalog: &Catalog, full_name: &str) {
    let leads = |message: &Message| {
        message.full_name == full_name
            || types::reached(&message.fields).iter().any(|kind| kind.full_name() == full_name)
    };
    let subscribed = |of: fn(&Method) -> &Message| {
        let met = catalog.subscriptions().iter().filter(|entry| leads(of(&entry.method)));
        met.map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let commanded = |of: fn(&Method) -> &Message| {
        let met = catalog.commands().iter().filter(|entry| leads(of(&entry.method)));
        met.map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let places = [
        ("parameters of", subscribed(|method| &method.input)),
        ("notifications of", subscribed(|method| &method.output)),
        ("arguments of", commanded(|method| &method.input)),
        ("answers of", commanded(|method| &method.output)),
    ];
    let met = places.into_iter().filter(|(_, names)| !names.is_empty());
    let rows: Vec<_> = met.map(|(what, doc)| Row { name: what.to_owned(), doc, ..Row::default() }).collect();
    if !rows.is_empty() {
        page.heading("MET IN");
        page.table(2, &rows);
    }
}

fn errors(page: &mut Page, method: &Method, introduction: &str) {
    if method.errors.is_empty() {
        return;
    }
    page.heading("ERRORS");
    page.paragraph(2, introduction);
    let row = |code: &String, doc: &String| Row { name: code.clone(), doc: doc.clone(), ..Row::default() };
    let rows: Vec<_> = method.errors.iter().map(|(code, reason)| row(code, reason)).collect();
    page.table(4, &rows);
}

/// Adds what the proto file says to authors.
fn description(page: &mut Page, doc: &str) {
    page.blank();
    page.paragraph(0, &told(doc));
}

/// What the proto file says, without its sentences about the elements of a stream, which authors never see.
pub(super) fn told(doc: &str) -> String {
    sentences(doc).into_iter().filter(|sentence| !of_the_wire(sentence)).collect::<Vec<_>>().join(" ")
}

fn of_the_wire(sentence: &str) -> bool {
    ["One element is ", "Client stream: "].iter().any(|start| sentence.starts_with(start))
}

fn first_sentence(doc: &str) -> String {
    sentences(doc).into_iter().next().unwrap_or_default()
}

fn sentences(doc: &str) -> Vec<String> {
    let flat = doc.split_whitespace().collect::<Vec<_>>().join(" ");
    flat.split_inclusive(". ").map(|sentence| sentence.trim_end().to_owned()).collect()
}

/// Every message and enum, in the order of their names.
fn all_types(catalog: &Catalog) -> Vec<Type<'_>> {
    let mut all: Vec<_> = catalog.messages().map(Type::Message).collect();
    all.extend(
        types::reached(catalog.messages().flat_map(|plan| &plan.fields))
            .into_iter()
            .filter(|kind| matches!(kind, Type::Enum(_))),
    );
    all.sort_by_key(|kind| kind.full_name());
    all
}

fn unknown(catalog: &Catalog, types: &[Type<'_>], name: &str) -> String {
    let entries = catalog.subscriptions().iter().map(|entry| entry.name.as_str());
    let known: Vec<_> = entries
        .chain(catalog.commands().iter().map(|entry| entry.name.as_str()))
        .chain(types.iter().map(|kind| kind.name()))
        .collect();
    let shown: String = name.chars().take(60).flat_map(char::escape_debug).collect();
    let wrong = format!("no subscription, command or datatype is named `{shown}`");
    if let Some(near) = names::nearest(name, known.iter().copied()) {
        return format!("{wrong}; did you mean `{near}`?");
    }
    let word = name.to_lowercase();
    let containing: Vec<_> =
        known.into_iter().filter(|known| !word.is_empty() && known.to_lowercase().contains(&word)).collect();
    match containing.len() {
        0 => format!("{wrong}; `olvid-rules catalog` lists them"),
        1..=OFFERED => format!("{wrong}; these contain it: {}", containing.join(", ")),
        more => format!("{wrong}; {more} names contain it, among them: {}", containing[..OFFERED].join(", ")),
    }
}
