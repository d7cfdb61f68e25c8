//! What an expression is, where that is certain: an object of the daemon's, a list of them, a value of an enum.
//!
//! Follows variables that keep their value, fields, elements of lists, answers of commands and loops over either. All else
//! is unknown, and nothing is said of what is unknown.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use tree_sitter::Node;

use super::{
    literal::string,
    names::{Names, Origin, Step, child, is_method, parts, text_of, walk},
    results::{self, Results},
};
use crate::schema::{Answer, Cardinality, Catalog, Command, Enum, Field, Kind, Message, Shape};

/// How far a value is followed back: further than anyone writes.
const FAR: usize = 40;

/// What is known of a value.
#[derive(Debug, Clone)]
pub(super) enum Type {
    Unknown,
    /// An object, of one of these kinds.
    Object(Vec<Arc<Message>>),
    /// A list of such.
    List(Box<Type>),
    /// What yields such, one after the other.
    Iterator(Box<Type>),
    /// A value of an enum, as its name.
    Enum(Arc<Enum>),
    /// The second argument of a handler.
    Rule,
}

/// The types of one script.
pub(super) struct Types<'t> {
    pub(super) names: Names<'t>,
    pub(super) text: &'t str,
    /// What handlers are called with, by their functions.
    handlers: HashMap<usize, Vec<Arc<Message>>>,
    /// What `...` is outside of any function: a handler in a rule file.
    inline: Vec<Arc<Message>>,
    /// Handlers that are declared with a colon, and do nothing with their first argument then.
    pub(super) shifted: Vec<Node<'t>>,
    /// What methods give.
    results: Results,
    /// Names under which modules put anything into any table.
    foreign: &'t BTreeSet<String>,
    variables: RefCell<HashMap<usize, Type>>,
    /// By expression: each is looked at once, those inside of it first.
    expressions: RefCell<HashMap<usize, Type>>,
}

impl<'t> Types<'t> {
    pub(super) fn new(root: Node<'t>, text: &'t str, foreign: &'t BTreeSet<String>) -> Self {
        Self {
            names: Names::of(root, text),
            text,
            handlers: HashMap::new(),
            inline: Vec::new(),
            shifted: Vec::new(),
            results: results::all(),
            foreign,
            variables: RefCell::default(),
            expressions: RefCell::default(),
        }
    }

    /// Says that the whole script handles such a notification.
    pub(super) fn handles(&mut self, notification: Arc<Message>) {
        self.inline.push(notification);
    }

    /// Says that a function, by its name in what the script returns, handles such a notification.
    pub(super) fn handles_in(&mut self, root: Node<'t>, function: Option<&str>, notification: Arc<Message>) {
        let returned = parts(root).into_iter().rfind(|part| part.kind() == "return_statement");
        let returned = returned.and_then(|returned| parts(child(returned, "expression_list")?).first().copied());
        let value = returned.and_then(|returned| match function {
            None => Some(returned),
            Some(name) => self.member(returned, name),
        });
        // What the script calls itself may be called with anything.
        let is_called = |name: &str| self.names.called.contains(name);
        let own = value.map(|value| text_of(value, self.text)).unwrap_or_default();
        if function.is_some_and(is_called) || is_called(own) {
            return;
        }
        let Some(function) = value.and_then(|value| self.function(value)) else { return };
        if self.is_shifted(function) {
            self.shifted.push(function);
        } else {
            self.handlers.entry(function.id()).or_default().push(notification);
        }
    }

    /// Whether a function takes arguments behind a `self` that it has no use for.
    fn is_shifted(&self, function: Node<'t>) -> bool {
        let takes = function.child_by_field_name("parameters").is_some_and(|taken| !parts(taken).is_empty());
        let mut uses = false;
        walk(function, |node, _, step| {
            uses |= matches!(step, Step::Enter) && node.kind() == "identifier" && text_of(node, self.text) == "self";
        });
        is_method(function) && takes && !uses
    }

    /// The function that an expression stands for.
    fn function(&self, node: Node<'t>) -> Option<Node<'t>> {
        match node.kind() {
            "function_definition" | "function_declaration" => Some(node),
            "identifier" => {
                let variable = &self.names.variables[self.names.variable(node)?];
                match variable.origin {
                    _ if !variable.is_constant => None,
                    Origin::Function(function) => Some(function),
                    Origin::Value(values, at) => {
                        parts(values).get(at).copied().filter(|value| value.kind() == "function_definition")
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What a table holds under a name.
    fn member(&self, table: Node<'t>, name: &str) -> Option<Node<'t>> {
        if table.kind() == "table_constructor" {
            let is_named = |field: &Node<'t>| {
                field.child_by_field_name("name").is_some_and(|found| text_of(found, self.text) == name)
            };
            return parts(table).into_iter().find(is_named)?.child_by_field_name("value");
        }
        let variable = self.names.variable(table)?;
        if let Some(value) = self.names.members.get(&(variable, name)) {
            return Some(*value);
        }
        match self.names.variables[variable].origin {
            Origin::Value(values, at) => {
                let made = parts(values).get(at).copied().filter(|value| value.kind() == "table_constructor")?;
                self.member(made, name)
            }
            _ => None,
        }
    }

    /// What is known of an expression.
    pub(super) fn of(&self, node: Node<'t>) -> Type {
        self.within(node, FAR)
    }

    fn within(&self, node: Node<'t>, far: usize) -> Type {
        let Some(far) = far.checked_sub(1) else { return Type::Unknown };
        match node.kind() {
            "identifier" => self.names.variable(node).map_or(Type::Unknown, |variable| self.variable(variable, far)),
            "parenthesized_expression" => parts(node).first().map_or(Type::Unknown, |inner| self.within(*inner, far)),
            "dot_index_expression" | "bracket_index_expression" | "function_call" => {
                if let Some(known) = self.expressions.borrow().get(&node.id()) {
                    return known.clone();
                }
                let found = if node.kind() == "function_call" { self.answer(node, far) } else { self.index(node, far) };
                self.expressions.borrow_mut().insert(node.id(), found.clone());
                found
            }
            _ => Type::Unknown,
        }
    }

    fn variable(&self, at: usize, far: usize) -> Type {
        let variable = &self.names.variables[at];
        if !variable.is_constant {
            return Type::Unknown;
        }
        if let Some(known) = self.variables.borrow().get(&at) {
            return known.clone();
        }
        let found = match variable.origin {
            Origin::Value(values, at) => {
                let values = parts(values);
                match (values.get(at), values.split_last()) {
                    (Some(value), _) if value.kind() != "vararg_expression" => self.within(*value, far),
                    (_, Some((last, before))) if self.names.outermost.contains(&last.id()) && at >= before.len() => {
                        argument(&self.inline, at - before.len())
                    }
                    _ => Type::Unknown,
                }
            }
            Origin::Parameter(function, at) => {
                self.handlers.get(&function.id()).map_or(Type::Unknown, |kinds| argument(kinds, at))
            }
            Origin::Element(values, at) => self.element(values, at, far),
            Origin::Function(_) | Origin::Unknown => Type::Unknown,
        };
        self.variables.borrow_mut().insert(at, found.clone());
        found
    }

    /// What a loop over a value yields.
    fn element(&self, values: Node<'t>, at: usize, far: usize) -> Type {
        let Some(value) = parts(values).first().copied() else { return Type::Unknown };
        if at == 0
            && let Type::Iterator(element) = self.within(value, far)
        {
            return *element;
        }
        let called = value.child_by_field_name("name").filter(|_| value.kind() == "function_call");
        let is_pairs = called.is_some_and(|called| {
            self.names.variable(called).is_none() && matches!(text_of(called, self.text), "ipairs" | "pairs")
        });
        let list = child(value, "arguments").and_then(|arguments| parts(arguments).first().copied());
        match list.map(|list| self.within(list, far)) {
            Some(Type::List(element)) if is_pairs && at == 1 => *element,
            _ => Type::Unknown,
        }
    }

    fn index(&self, node: Node<'t>, far: usize) -> Type {
        let (Some(table), Some(field)) = (node.child_by_field_name("table"), node.child_by_field_name("field")) else {
            return Type::Unknown;
        };
        match (self.within(table, far), self.key(node)) {
            (Type::Object(kinds), Some(name)) if !self.is_put(name) => {
                let mut found = kinds.iter().filter_map(|kind| kind.field(name)).map(of_field);
                let first = found.next().unwrap_or(Type::Unknown);
                found.fold(first, Type::or)
            }
            (Type::List(element), None) if field.kind() != "string" => *element,
            _ => Type::Unknown,
        }
    }

    /// Whether something else may stand under a name in an object than was there: scripts may put into them what they like.
    fn is_put(&self, name: &str) -> bool {
        self.names.put.contains(name) || self.foreign.contains(name)
    }

    /// The name that an index expression asks for, where it is written out.
    pub(super) fn key(&self, node: Node<'t>) -> Option<&'t str> {
        let field = node.child_by_field_name("field").or(node.child_by_field_name("method"))?;
        if node.kind() == "bracket_index_expression" {
            string(field, self.text)
        } else {
            Some(text_of(field, self.text))
        }
    }

    /// What a call of a command or of a method gives.
    fn answer(&self, call: Node<'t>, far: usize) -> Type {
        let Some(called) = call.child_by_field_name("name") else { return Type::Unknown };
        if let Some(command) = self.command(called) {
            return Catalog::embedded().command(command).map_or(Type::Unknown, |command| of_answer(command));
        }
        let (Some(table), Some(name)) = (called.child_by_field_name("table"), self.key(called)) else {
            return Type::Unknown;
        };
        let is_method = called.kind() == "method_index_expression" && !self.is_put(name);
        match self.within(table, far) {
            Type::Object(kinds) if is_method => {
                let Some(results) = self.results.get(name) else { return Type::Unknown };
                let result = |kind: &Arc<Message>| results.get(kind.name.as_str()).cloned().unwrap_or(Type::Unknown);
                let mut found = kinds.iter().map(result);
                let first = found.next().unwrap_or(Type::Unknown);
                found.fold(first, Type::or)
            }
            _ => Type::Unknown,
        }
    }

    /// The command's name, where an expression is `olvid.name`.
    pub(super) fn command(&self, node: Node<'t>) -> Option<&'t str> {
        let table = node.child_by_field_name("table")?;
        self.key(node).filter(|_| self.is_api(table))
    }

    /// Whether an expression is the table of commands.
    pub(super) fn is_api(&self, node: Node<'t>) -> bool {
        node.kind() == "identifier"
            && self.names.variable(node).is_none()
            && text_of(node, self.text) == "olvid"
            && !self.names.set.contains("olvid")
    }
}

impl Type {
    /// What is certain of a value that is the one or the other.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Object(mut one), Self::Object(other)) => {
                one.extend(other);
                Self::Object(one)
            }
            (Self::List(one), Self::List(other)) => Self::List(Box::new(one.or(*other))),
            (Self::Enum(one), Self::Enum(other)) if one.full_name == other.full_name => Self::Enum(one),
            _ => Self::Unknown,
        }
    }
}

/// What a handler is called with.
fn argument(kinds: &[Arc<Message>], at: usize) -> Type {
    match at {
        _ if kinds.is_empty() => Type::Unknown,
        0 => Type::Object(kinds.to_vec()),
        1 => Type::Rule,
        _ => Type::Unknown,
    }
}

fn of_field(field: &Field) -> Type {
    let one = match &field.kind {
        Kind::Message(message) => Type::Object(vec![Arc::clone(message)]),
        Kind::Enum(values) => Type::Enum(Arc::clone(values)),
        _ => Type::Unknown,
    };
    if field.cardinality == Cardinality::Repeated { Type::List(Box::new(one)) } else { one }
}

fn of_answer(command: &Command) -> Type {
    let output = &command.method.output;
    match &command.shape {
        Shape::Unary(answer) | Shape::Upload(_, answer) => match answer {
            Answer::Nothing => Type::Unknown,
            Answer::Field(at) => of_field(&output.fields[*at]),
            Answer::Whole => Type::Object(vec![Arc::clone(output)]),
        },
        Shape::List(at) => match of_field(&output.fields[*at]) {
            Type::List(element) => Type::Iterator(element),
            _ => Type::Unknown,
        },
        Shape::Pages => Type::Iterator(Box::new(Type::Object(vec![Arc::clone(output)]))),
        Shape::Download(_) => Type::Unknown,
    }
}
