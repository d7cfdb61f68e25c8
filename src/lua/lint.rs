//! What can be known of a script without running it: fields that no object has, commands and globals that there are none
//! of, arguments that no command takes, values that no enum has.
//!
//! Only what is certain is said, as a warning with its place: a line that never runs harms nobody. Owns the reading of
//! Lua's syntax; what a script reaches ([`World`]) is asked of the VM it was loaded in, and the rest of the catalog.

mod lists;
mod literal;
mod names;
mod results;
mod types;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use tree_sitter::{Node, Parser, Tree};

use self::{
    literal::{Literal, is_known, string},
    names::{Names, Step, child, parts, text_of, walk},
    types::{Type, Types},
};
use super::{call, seat::ABOUT};
use crate::{
    diagnostic::{Diagnostic, Place, counted, letters},
    schema::{Catalog, Command, Kind, Message, Shape, encode, names as spelling},
};

/// More than anyone reads at once. What is beyond is counted.
const MOST: usize = 50;

/// More than is worth counting.
const UNCOUNTED: usize = 1000;

/// Bytes of a script that is looked at. A syntax tree takes up to three hundred times as many; no handler is that long.
const LARGEST: usize = 128 << 10;

/// What a handler in a rule file calls its arguments.
const ARGUMENTS: [&str; 2] = ["notification", "rule"];

/// Globals of Lua's that scripts do not have, and what there is instead.
const WITHHELD: [(&str, &str); 7] = [
    (
        "io",
        "files are sent with `files = { { path = ... } }` and saved with `attachment:save`, where `permissions` allow it",
    ),
    ("debug", "`error` and the log say where a script is"),
    ("package", "`require` finds modules below the script's directory"),
    ("dofile", "`require` runs a module below the script's directory"),
    ("loadfile", "`require` runs a module below the script's directory"),
    ("loadstring", "Lua 5.4 calls it `load`"),
    ("unpack", "Lua 5.4 calls it `table.unpack`"),
];

/// What a script reaches.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) globals: BTreeSet<String>,
    /// The functions of tables that cannot be changed, by the global's name.
    pub(super) libraries: BTreeMap<String, BTreeSet<String>>,
    /// The methods of objects, by the kind of object.
    pub(super) methods: BTreeMap<String, BTreeSet<String>>,
    /// Names under which modules put anything into any table.
    pub(super) fields: BTreeSet<String>,
}

impl World {
    /// Adds what a module may do to objects and globals when it is called.
    pub(super) fn extend(&mut self, module: &Syntax<'_>) {
        let names = Names::of(module.tree.root_node(), module.text);
        self.globals.extend(names.set.iter().map(ToString::to_string));
        self.fields.extend(names.fields.iter().map(ToString::to_string));
    }

    fn has_method(&self, kind: &Message, name: &str) -> bool {
        self.methods.get(&kind.name).is_some_and(|methods| methods.contains(name))
    }
}

/// A script that is understood.
pub(super) struct Syntax<'s> {
    text: &'s str,
    tree: Tree,
}

impl<'s> Syntax<'s> {
    /// Reads a script that is not too long.
    pub(super) fn of(text: &'s str) -> Option<Self> {
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_lua::LANGUAGE.into()).ok().filter(|()| text.len() <= LARGEST)?;
        let tree = parser.parse(text, None).filter(|tree| !tree.root_node().has_error())?;
        Some(Self { text, tree })
    }
}

/// A script to be looked at.
pub(super) struct Subject<'s> {
    pub(super) syntax: &'s Syntax<'s>,
    /// Whether all of it is the body of a handler, rather than what returns one.
    pub(super) is_body: bool,
    /// What handles which notifications, by its name in the table that the script returns; nothing where it may be called
    /// with others too.
    pub(super) handlers: Vec<(Option<&'s str>, Option<Arc<Message>>)>,
    /// Where a stretch of the text stands.
    pub(super) place: &'s dyn Fn(Range<usize>) -> Place,
}

/// Tells what is certainly not as its author meant it.
pub(super) fn lint(subject: &Subject<'_>, world: &World) -> Vec<Diagnostic> {
    let root = subject.syntax.tree.root_node();
    let mut types = Types::new(root, subject.syntax.text, &world.fields);
    let is_unsure = |function| subject.handlers.iter().any(|(other, kind)| *other == function && kind.is_none());
    for (function, notification) in &subject.handlers {
        let Some(notification) = notification.as_ref().filter(|_| !is_unsure(*function)) else { continue };
        if subject.is_body {
            types.handles(Arc::clone(notification));
        } else {
            types.handles_in(root, *function, Arc::clone(notification));
        }
    }
    let mut look = Look { subject, world, types: &types, told: Vec::new() };
    look.at_end(root);
    look.at_shifted();
    look.at_letters();
    if !types.names.has_environment {
        look.at_globals();
    }
    walk(root, |node, _, step| {
        if matches!(step, Step::Leave) && look.told.len() < UNCOUNTED {
            look.at(node);
        }
    });
    look.told.sort_by_key(|(at, _)| *at);
    limited(look.told.into_iter().map(|(_, told)| told).collect())
}

/// Cuts a long list, and says how long it is.
fn limited(mut told: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let (all, most) = (told.len(), if told.len() >= UNCOUNTED { "more than " } else { "" });
    let rest = told.split_off(MOST.min(all));
    if let Some(place) = rest.first().and_then(|first| first.place.clone()) {
        let message = format!("and {most}{} in this script, from here on", counted(rest.len(), "more warning"));
        told.push(Diagnostic::warning("more", message).at(place));
    }
    told
}

struct Look<'l, 't> {
    subject: &'l Subject<'t>,
    world: &'l World,
    types: &'l Types<'t>,
    /// What was found, with where it stands in the text.
    told: Vec<(usize, Diagnostic)>,
}

impl<'t> Look<'_, 't> {
    fn tell(&mut self, node: Node<'_>, code: &'static str, message: String, help: Option<String>) {
        let place = (self.subject.place)(node.byte_range());
        let told = Diagnostic { help, ..Diagnostic::warning(code, message).at(place) };
        self.told.push((node.start_byte(), told));
    }

    fn text(&self, node: Node<'_>) -> &'t str {
        text_of(node, self.subject.syntax.text)
    }

    fn at(&mut self, node: Node<'t>) {
        match node.kind() {
            "dot_index_expression" | "method_index_expression" | "bracket_index_expression" => self.at_index(node),
            "function_call" => self.at_call(node),
            "for_generic_clause" => self.at_loop(node),
            "unary_expression" => self.at_count(node),
            "binary_expression" => self.at_comparison(node),
            _ => {}
        }
    }

    /// Names that mean nothing here, once each.
    fn at_globals(&mut self) {
        let mut seen = BTreeSet::new();
        let names = &self.types.names;
        for node in &names.globals {
            let name = self.text(*node);
            let is_there = self.world.globals.contains(name) || names.set.contains(name);
            if is_there || names.tested.contains(name) || seen.len() >= UNCOUNTED || !seen.insert(name) {
                continue;
            }
            let instead = WITHHELD.iter().find(|(withheld, _)| *withheld == name);
            let near = || spelling::nearest(name, self.world.globals.iter().map(String::as_str));
            let argument = (self.subject.is_body && ARGUMENTS.contains(&name))
                .then(|| format!("begin with `local {} = ...`: what the handler is called with", ARGUMENTS.join(", ")));
            let (message, help) = match (instead, near()) {
                _ if argument.is_some() => (format!("nothing is called `{name}` here, so it is nil"), argument),
                (Some((_, instead)), _) => (format!("scripts have no `{name}`"), Some((*instead).to_owned())),
                (None, near) => {
                    let help = near.map(|near| format!("did you mean `{near}`?"));
                    (format!("nothing is called `{name}` here, so it is nil"), help)
                }
            };
            self.tell(*node, "unknown-global", message, help);
        }
    }

    /// What the script returns: a handler in a rule file is the body of the function, not a function.
    fn at_end(&mut self, root: Node<'t>) {
        if !self.subject.is_body {
            return;
        }
        let returned = parts(root).into_iter().rfind(|part| part.kind() == "return_statement");
        let returned = returned.and_then(|returned| child(returned, "expression_list"));
        let function = returned.and_then(|list| parts(list).first().copied());
        if let Some(function) = function.filter(|function| function.kind() == "function_definition") {
            let message = "`lua` is the body of the handler, and this one only returns a function".to_owned();
            let help = format!("write what the function does, behind `local {} = ...`", ARGUMENTS.join(", "));
            self.tell(function, "returns-function", message, Some(help));
        }
    }

    /// Lines that are not what they look like.
    fn at_letters(&mut self) {
        for (span, what) in letters::reversals(self.subject.syntax.text).take(UNCOUNTED) {
            let help = "leave it out; where a text needs it, write it as an escape, such as `\\u{202E}`";
            let told = Diagnostic::warning(letters::HIDDEN, format!("in this line is {what}"));
            let at = span.start;
            self.told.push((at, told.at((self.subject.place)(span)).help(help)));
        }
    }

    /// Handlers that are called with one argument less than they take.
    fn at_shifted(&mut self) {
        let mut shifted = self.types.shifted.clone();
        shifted.sort_by_key(Node::id);
        shifted.dedup();
        for function in shifted {
            let (Some(name), Some(taken)) =
                (function.child_by_field_name("name"), function.child_by_field_name("parameters"))
            else {
                continue;
            };
            let first = parts(taken).first().map(|first| self.text(*first)).unwrap_or_default();
            let message = format!("with a colon, a handler's first argument is `self`, and `{first}` is the second");
            let help = format!("write `function {}{}`", self.text(name).replace(':', "."), self.text(taken));
            self.tell(name, "wrong-parameters", message, Some(help));
        }
    }

    fn at_index(&mut self, node: Node<'t>) {
        let field = node.child_by_field_name("field").or(node.child_by_field_name("method"));
        let (Some(table), Some(field), Some(name)) = (node.child_by_field_name("table"), field, self.types.key(node))
        else {
            return;
        };
        // A script may put into objects what it likes.
        if self.types.names.fields.contains(name) || self.world.fields.contains(name) {
            return;
        }
        match self.types.of(table) {
            Type::Object(kinds) => self.at_field(field, name, &kinds, node.kind() == "method_index_expression"),
            Type::Rule if !ABOUT.contains(&name) => {
                let help = nearest(name, ABOUT, "it has");
                self.tell(field, "unknown-field", format!("`rule` has no `{name}`"), Some(help));
            }
            _ => self.at_member(table, field, name),
        }
    }

    /// A field or a method of an object.
    fn at_field(&mut self, field: Node<'t>, name: &str, kinds: &[Arc<Message>], is_method: bool) {
        let methods =
            |kind: &Arc<Message>| self.world.methods.get(&kind.name).into_iter().flatten().map(String::as_str);
        let has = |kind: &Arc<Message>| self.world.has_method(kind, name) || kind.field(name).is_some();
        if kinds.iter().any(has) {
            return;
        }
        let Some(kind) = kinds.first() else { return };
        let fields = kind.fields.iter().map(|field| field.name.as_str());
        let (what, code) = if is_method { ("method", "unknown-method") } else { ("field", "unknown-field") };
        let all: Vec<_> = if is_method { methods(kind).collect() } else { fields.chain(methods(kind)).collect() };
        let help = nearest(name, all, "it has");
        self.tell(field, code, format!("{} has no {what} `{name}`", kind.name), Some(help));
    }

    /// A function of a library.
    fn at_member(&mut self, table: Node<'t>, field: Node<'t>, name: &str) {
        let names = &self.types.names;
        let library = self.text(table);
        if names.has_environment
            || table.kind() != "identifier"
            || names.variable(table).is_some()
            || names.set.contains(library)
        {
            return;
        }
        if self.types.is_api(table) {
            return self.at_command(field, name);
        }
        let Some(members) = self.world.libraries.get(library).filter(|members| !members.contains(name)) else { return };
        let help = nearest(name, members.iter().map(String::as_str), "it has");
        self.tell(field, "unknown-function", format!("`{library}` has no `{name}`"), Some(help));
    }

    fn at_command(&mut self, field: Node<'t>, name: &str) {
        let catalog = Catalog::embedded();
        if catalog.command(name).is_some() {
            return;
        }
        let near = spelling::nearest(name, catalog.commands().iter().map(|command| command.name.as_str()));
        let help = match near {
            Some(near) => format!("did you mean `olvid.{near}`?"),
            None => "`olvid-rules catalog` lists the commands".to_owned(),
        };
        self.tell(field, "unknown-command", format!("there is no command `olvid.{name}`"), Some(help));
    }

    fn at_call(&mut self, call: Node<'t>) {
        let (Some(called), Some(arguments)) = (call.child_by_field_name("name"), call.child_by_field_name("arguments"))
        else {
            return;
        };
        self.at_method(called, arguments);
        self.at_elements(called, &parts(arguments));
        let Some(name) = self.types.command(called).filter(|_| !self.types.names.has_environment) else { return };
        let Some(command) = Catalog::embedded().command(name) else { return };
        if called.kind() == "method_index_expression" {
            let help = format!("write `olvid.{name}{{ ... }}`");
            return self.tell(called, "wrong-arguments", "commands are called with a dot".to_owned(), Some(help));
        }
        let given = parts(arguments);
        let help = || Some(format!("write `olvid.{name}{{ ... }}`, with the fields by name"));
        let message = format!("olvid.{name} takes one table of fields");
        match given.as_slice() {
            [one] if one.kind() == "table_constructor" => self.at_request(*one, command),
            [one] if is_known(*one, self.subject.syntax.text) => self.tell(*one, "wrong-arguments", message, help()),
            [] | [_] => {}
            [_, second, ..] => self.tell(*second, "wrong-arguments", message, help()),
        }
    }

    /// A method that is called with a dot, and not on an object.
    fn at_method(&mut self, called: Node<'t>, arguments: Node<'t>) {
        let Some(table) = called.child_by_field_name("table").filter(|_| called.kind() == "dot_index_expression")
        else {
            return;
        };
        let (Type::Object(kinds), Some(name)) = (self.types.of(table), self.types.key(called)) else { return };
        let is_method = kinds.iter().all(|kind| self.world.has_method(kind, name));
        let first = parts(arguments).first().copied();
        if is_method && first.is_none_or(|first| is_known(first, self.subject.syntax.text)) {
            let help = format!("write `{}:{name}(...)`", self.text(table));
            self.tell(called, "wrong-arguments", "methods are called with a colon".to_owned(), Some(help));
        }
    }

    /// The fields that a command is called with.
    fn at_request(&mut self, table: Node<'t>, command: &Command) {
        /// More than anyone writes.
        const MANY: usize = 5000;
        if table.descendant_count() > MANY {
            return;
        }
        let input = &command.method.input;
        let literal = Literal { node: table, text: self.subject.syntax.text };
        let (plan, is_upload) = match &command.shape {
            Shape::Upload(upload, _) => match &input.fields[upload.metadata].kind {
                Kind::Message(metadata) => (metadata, true),
                _ => return,
            },
            _ => (input, false),
        };
        for mismatch in encode::encode(plan, &literal, None).err().into_iter().flatten() {
            let Some(node) = literal.find(&mismatch.path, mismatch.at_key) else { continue };
            let is_content = is_upload && mismatch.at_key && call::CONTENT.contains(&self.text(node));
            // What is not written out may be anything, nothing too.
            let is_sure = |path: &[encode::Step]| {
                literal.find(path, false).is_some_and(|value| is_known(value, self.subject.syntax.text))
            };
            let both = mismatch.related.as_ref().is_none_or(|(other, _)| is_sure(other) && is_sure(&mismatch.path));
            if is_content || !both || (!mismatch.at_key && !is_known(node, self.subject.syntax.text)) {
                continue;
            }
            let message = format!("olvid.{}: {}", command.name, mismatch.message);
            // A file has a content rather than the size that is sent for it.
            let help = mismatch.help.filter(|help| !is_upload || !mismatch.at_key || help.starts_with("did you mean"));
            self.tell(node, mismatch.code, message, help);
        }
    }

    /// A value of an enum beside a text that it never is.
    fn at_comparison(&mut self, node: Node<'t>) {
        let operator = node.child_by_field_name("operator").map(|operator| self.text(operator));
        let (Some("==" | "~="), Some(left), Some(right)) =
            (operator, node.child_by_field_name("left"), node.child_by_field_name("right"))
        else {
            return;
        };
        for (value, text) in [(left, right), (right, left)] {
            let Some(written) = string(text, self.subject.syntax.text) else { continue };
            let Type::Enum(values) = self.types.of(value) else { continue };
            if values.values.iter().any(|value| value.name == written) {
                continue;
            }
            let meant =
                values.parse(written).and_then(|number| values.values.iter().find(|value| value.number == number));
            let near = meant.map(|value| value.name.as_str()).or_else(|| values.nearest(written));
            let help = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => nearest(written, values.values.iter().map(|value| value.name.as_str()), "one of"),
            };
            let message = format!("a {} is never \"{written}\"", values.name);
            self.tell(text, "unknown-value", message, Some(help));
        }
    }
}

/// What a name most likely meant, or what there is.
fn nearest<'n>(name: &str, all: impl IntoIterator<Item = &'n str>, otherwise: &str) -> String {
    /// As many as a line holds.
    const SHOWN: usize = 12;
    let all: Vec<_> = all.into_iter().collect();
    if let Some(near) = spelling::nearest(name, all.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    let more = if all.len() > SHOWN { ", ..." } else { "" };
    let shown: Vec<_> = all.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    format!("{otherwise} {}{more}", shown.join(", "))
}
