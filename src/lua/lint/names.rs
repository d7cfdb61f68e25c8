//! Which variable each name of a script means: scopes, declarations and what is assigned, read off the syntax once.
//!
//! Nothing is evaluated here. The tree may be as deep as a file is long, so it is walked with a cursor, never by recursion.

use std::collections::{HashMap, HashSet};

use tree_sitter::Node;

/// The table of globals, as a global and as a variable.
const GLOBALS: &str = "_G";
const ENVIRONMENT: &str = "_ENV";

/// The names of one script.
#[derive(Default)]
pub(super) struct Names<'t> {
    /// By the identifier that uses it: an index into the variables.
    uses: HashMap<usize, usize>,
    pub(super) variables: Vec<Variable<'t>>,
    /// Identifiers that are used and mean no variable.
    pub(super) globals: Vec<Node<'t>>,
    /// Globals that the script sets.
    pub(super) set: HashSet<&'t str>,
    /// Globals that it asks for, to do with or without.
    pub(super) tested: HashSet<&'t str>,
    /// Names under which it puts anything into any table, or makes tables with.
    pub(super) fields: HashSet<&'t str>,
    /// Those of them under which it puts something into a table that there is.
    pub(super) put: HashSet<&'t str>,
    /// Tables that it puts something into under a name that is computed.
    pub(super) computed: Vec<Node<'t>>,
    /// The names of all that it calls.
    pub(super) called: HashSet<&'t str>,
    /// Whether it exchanges or hands out the table of globals, so that any may be there.
    pub(super) has_environment: bool,
    /// Each `...` that stands outside of all functions.
    pub(super) outermost: HashSet<usize>,
    /// What it puts there, by table and name: `function M.greet()`, `function M:greet()` and `M.greet = ...`.
    pub(super) members: HashMap<(usize, &'t str), Node<'t>>,
}

/// A variable of the script's own.
pub(super) struct Variable<'t> {
    pub(super) origin: Origin<'t>,
    /// Whether it is what it was declared as wherever it is used.
    pub(super) is_constant: bool,
}

/// Where a variable's value comes from.
#[derive(Clone, Copy)]
pub(super) enum Origin<'t> {
    /// `local a, b = ...`: the value at this place of a list of expressions.
    Value(Node<'t>, usize),
    /// `local function f()`
    Function(Node<'t>),
    /// A parameter of this function, by its place; `self` is the first where there is one.
    Parameter(Node<'t>, usize),
    /// `for a, b in ...`: what the list of expressions yields at this place.
    Element(Node<'t>, usize),
    /// Nothing that can be known.
    Unknown,
}

/// A step of a walk.
pub(super) enum Step {
    Enter,
    Leave,
}

/// Walks a tree in the order of its text. Each node comes with those that it is in, as asking a node for its parent is a
/// search from the root.
pub(super) fn walk<'t>(root: Node<'t>, mut visit: impl FnMut(Node<'t>, &[Node<'t>], Step)) {
    let (mut cursor, mut above) = (root.walk(), Vec::new());
    loop {
        let node = cursor.node();
        visit(node, &above, Step::Enter);
        if cursor.goto_first_child() {
            above.push(node);
            continue;
        }
        loop {
            visit(cursor.node(), &above, Step::Leave);
            if cursor.goto_next_sibling() {
                break;
            }
            above.pop();
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}

/// The children that mean something: no comments.
pub(super) fn parts(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| child.kind() != "comment").collect()
}

/// The first child of a kind.
pub(super) fn child<'t>(node: Node<'t>, kind: &str) -> Option<Node<'t>> {
    let mut cursor = node.walk();
    node.children(&mut cursor).find(|child| child.kind() == kind)
}

/// The text of a node.
pub(super) fn text_of<'t>(node: Node<'_>, text: &'t str) -> &'t str {
    text.get(node.byte_range()).unwrap_or_default()
}

fn is_in(above: &[Node<'_>], kind: &str) -> bool {
    above.last().is_some_and(|parent| parent.kind() == kind)
}

/// Whether what a node declares is still visible behind it, in the condition of the loop.
fn is_repeated(above: &[Node<'_>]) -> bool {
    is_in(above, "repeat_statement")
}

fn is_function(node: Node<'_>) -> bool {
    matches!(node.kind(), "function_definition" | "function_declaration")
}

/// Whether a function is declared with a colon, so that it has a first parameter that is not written: `self`.
pub(super) fn is_method(function: Node<'_>) -> bool {
    function.child_by_field_name("name").is_some_and(|name| name.kind() == "method_index_expression")
}

/// Whether a node is in its parent under this name.
fn is_field(node: Node<'_>, parent: Node<'_>, name: &str) -> bool {
    parent.child_by_field_name(name) == Some(node)
}

impl<'t> Names<'t> {
    pub(super) fn of(root: Node<'t>, text: &'t str) -> Self {
        let (scopes, visible) = (Vec::new(), HashMap::new());
        let mut reading = Reading { text, names: Self::default(), scopes, visible, functions: 0 };
        walk(root, |node, above, step| match step {
            Step::Enter => reading.enter(node, above),
            Step::Leave => reading.leave(node, above),
        });
        reading.names
    }

    /// The variable that an identifier means.
    pub(super) fn variable(&self, identifier: Node<'_>) -> Option<usize> {
        self.uses.get(&identifier.id()).copied()
    }
}

struct Reading<'t> {
    text: &'t str,
    names: Names<'t>,
    /// The names that each open scope declares.
    scopes: Vec<Vec<&'t str>>,
    /// The variables of each name, the innermost last.
    visible: HashMap<&'t str, Vec<usize>>,
    /// How many functions the walk is in.
    functions: usize,
}

impl<'t> Reading<'t> {
    fn enter(&mut self, node: Node<'t>, above: &[Node<'t>]) {
        self.functions += usize::from(is_function(node));
        match node.kind() {
            "chunk" | "repeat_statement" | "for_statement" | "function_definition" => self.open(),
            "block" if !is_repeated(above) => self.open(),
            "function_declaration" => {
                self.declare_function(node);
                self.open();
            }
            "parameters" => self.declare_parameters(node, above),
            "assignment_statement" if !is_in(above, "variable_declaration") => self.assign(node),
            "identifier" => self.meet(node, above),
            "vararg_expression" if self.functions == 0 => drop(self.names.outermost.insert(node.id())),
            "function_call" => self.call(node),
            "field" => self.make(node, above),
            _ => {}
        }
    }

    fn leave(&mut self, node: Node<'t>, above: &[Node<'t>]) {
        self.functions -= usize::from(is_function(node));
        match node.kind() {
            "chunk" | "repeat_statement" | "for_statement" | "function_definition" | "function_declaration" => {
                self.close();
            }
            "block" if !is_repeated(above) => self.close(),
            // What is declared is not visible in what it is made of.
            "variable_declaration" => self.declare_locals(node),
            "for_generic_clause" => {
                let values = child(node, "expression_list");
                for (at, name) in child(node, "variable_list").map(parts).unwrap_or_default().into_iter().enumerate() {
                    self.declare(name, values.map_or(Origin::Unknown, |values| Origin::Element(values, at)));
                }
            }
            "for_numeric_clause" => {
                if let Some(name) = node.child_by_field_name("name") {
                    self.declare(name, Origin::Unknown);
                }
            }
            _ => {}
        }
    }

    fn open(&mut self) {
        self.scopes.push(Vec::new());
    }

    fn close(&mut self) {
        for name in self.scopes.pop().unwrap_or_default() {
            self.visible.get_mut(name).and_then(Vec::pop);
        }
    }

    fn declare(&mut self, name: Node<'t>, origin: Origin<'t>) {
        self.declare_as(text_of(name, self.text), origin);
    }

    fn declare_as(&mut self, name: &'t str, origin: Origin<'t>) {
        self.names.has_environment |= name == ENVIRONMENT;
        self.visible.entry(name).or_default().push(self.names.variables.len());
        self.names.variables.push(Variable { origin, is_constant: true });
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(name);
        }
    }

    fn declare_locals(&mut self, node: Node<'t>) {
        let assignment = child(node, "assignment_statement");
        let values = assignment.and_then(|assignment| child(assignment, "expression_list"));
        let names = child(assignment.unwrap_or(node), "variable_list").map(parts).unwrap_or_default();
        let names = names.into_iter().filter(|name| name.kind() == "identifier");
        for (at, name) in names.enumerate() {
            self.declare(name, values.map_or(Origin::Unknown, |values| Origin::Value(values, at)));
        }
    }

    fn declare_function(&mut self, node: Node<'t>) {
        let Some(name) = node.child_by_field_name("name") else { return };
        match name.kind() {
            "identifier" if child(node, "local").is_some() => self.declare(name, Origin::Function(node)),
            "identifier" => self.set(name),
            _ => self.put(name, Some(node)),
        }
    }

    fn declare_parameters(&mut self, node: Node<'t>, above: &[Node<'t>]) {
        let Some(function) = above.last().copied() else { return };
        let has_self = is_method(function);
        if has_self {
            self.declare_as("self", Origin::Parameter(function, 0));
        }
        for (at, name) in parts(node).into_iter().filter(|part| part.kind() == "identifier").enumerate() {
            self.declare(name, Origin::Parameter(function, at + usize::from(has_self)));
        }
    }

    /// An assignment that declares nothing.
    fn assign(&mut self, node: Node<'t>) {
        let targets = child(node, "variable_list").map(parts).unwrap_or_default();
        let values = child(node, "expression_list").map(parts).unwrap_or_default();
        for (at, target) in targets.into_iter().enumerate() {
            match target.kind() {
                "identifier" => self.set(target),
                _ => self.put(target, values.get(at).copied()),
            }
        }
    }

    /// A name gets another value.
    fn set(&mut self, name: Node<'t>) {
        let name = text_of(name, self.text);
        match self.visible.get(name).and_then(|all| all.last()) {
            Some(variable) => self.names.variables[*variable].is_constant = false,
            None => drop(self.names.set.insert(name)),
        }
    }

    /// A table gets a value under a name.
    fn put(&mut self, target: Node<'t>, value: Option<Node<'t>>) {
        let field = target.child_by_field_name("field").or(target.child_by_field_name("method"));
        let (Some(field), Some(table)) = (field, target.child_by_field_name("table")) else { return };
        if target.kind() == "bracket_index_expression" && field.kind() != "string" {
            self.names.computed.push(table);
            return;
        }
        let name = self.key(field);
        self.names.fields.insert(name);
        self.names.put.insert(name);
        if text_of(table, self.text) == GLOBALS {
            self.names.set.insert(name);
        }
        let table = Some(table).filter(|table| table.kind() == "identifier");
        let table = table.and_then(|table| self.visible.get(text_of(table, self.text))?.last().copied());
        if let (Some(table), Some(value)) = (table, value) {
            self.names.members.insert((table, name), value);
        }
    }

    /// Something is called: by which name, and what it puts into a table where that is Lua's own way to do so.
    fn call(&mut self, node: Node<'t>) {
        let Some(called) = node.child_by_field_name("name") else { return };
        let last = called.child_by_field_name("field").or(called.child_by_field_name("method")).unwrap_or(called);
        // What a call gives may be called in turn, over and over: that has no name.
        if last.kind() != "identifier" {
            return;
        }
        let name = text_of(last, self.text);
        self.names.called.insert(name);
        if name == "rawset"
            && let Some(field) = child(node, "arguments").and_then(|arguments| parts(arguments).get(1).copied())
        {
            self.names.fields.insert(self.key(field));
            self.names.put.insert(self.key(field));
        }
    }

    /// The name that a key of a table is, written as such or in quotes.
    fn key(&self, node: Node<'t>) -> &'t str {
        text_of(node, self.text).trim_matches(['"', '\''])
    }

    /// A table is made with a field, unless it is what a command is called with.
    fn make(&mut self, node: Node<'t>, above: &[Node<'t>]) {
        let request = above.iter().rev().nth(2).and_then(|call| call.child_by_field_name("name"));
        let is_request = request.is_some_and(|called| text_of(called, self.text).starts_with("olvid."));
        if let Some(name) = node.child_by_field_name("name").filter(|_| !is_request) {
            self.names.fields.insert(self.key(name));
        }
    }

    /// An identifier: a use, unless it is a name in its own right.
    fn meet(&mut self, node: Node<'t>, above: &[Node<'t>]) {
        let [before @ .., parent] = above else { return };
        let parent = *parent;
        let is_use = match parent.kind() {
            "dot_index_expression" | "method_index_expression" => is_field(node, parent, "table"),
            "field" => !is_field(node, parent, "name") || child(parent, "[").is_some(),
            "variable_list" => {
                let declares = |node: &Node<'_>| matches!(node.kind(), "variable_declaration" | "for_generic_clause");
                !before.iter().rev().take(2).any(declares)
            }
            "for_numeric_clause" => !is_field(node, parent, "name"),
            "function_declaration" => child(parent, "local").is_none(),
            "parameters" | "label_statement" | "goto_statement" | "attribute" => false,
            _ => true,
        };
        if !is_use {
            return;
        }
        match self.visible.get(text_of(node, self.text)).and_then(|all| all.last()) {
            Some(variable) => drop(self.names.uses.insert(node.id(), *variable)),
            None => self.meet_global(node, parent),
        }
    }

    fn meet_global(&mut self, node: Node<'t>, parent: Node<'t>) {
        let name = text_of(node, self.text);
        let is_tested = match parent.kind() {
            "binary_expression" => {
                let operator = parent.child_by_field_name("operator").map(|operator| text_of(operator, self.text));
                matches!(operator, Some("and" | "or" | "==" | "~="))
            }
            "unary_expression" => text_of(parent, self.text).starts_with("not"),
            "if_statement" | "elseif_statement" | "while_statement" => true,
            _ => false,
        };
        if is_tested {
            self.names.tested.insert(name);
        }
        self.names.has_environment |=
            name == ENVIRONMENT || (name == GLOBALS && !parent.kind().ends_with("index_expression"));
        self.names.globals.push(node);
    }
}
