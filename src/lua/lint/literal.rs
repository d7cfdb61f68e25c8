//! A table constructor as a value to be encoded: what is written out is itself, all else could be anything.

use tree_sitter::Node;

use super::names::{child, parts, text_of};
use crate::schema::encode::{Datum, Step, View};

/// An expression.
#[derive(Clone, Copy)]
pub(super) struct Literal<'t> {
    pub(super) node: Node<'t>,
    pub(super) text: &'t str,
}

/// An entry of a table constructor.
struct Entry<'t> {
    /// How it is reached; none for a key that is computed.
    key: Option<Step>,
    /// Where the key is written.
    name: Option<Node<'t>>,
    value: Node<'t>,
}

/// The text of a string that is written without escapes.
pub(super) fn string<'t>(node: Node<'_>, text: &'t str) -> Option<&'t str> {
    if node.kind() != "string" {
        return None;
    }
    let Some(content) = node.child_by_field_name("content") else { return Some("") };
    let content = text_of(content, text);
    // A newline behind `[[` is not part of it.
    (!content.contains('\\') && !content.starts_with('\n')).then_some(content)
}

/// Whether a value is written out, so that what it is not can be said.
pub(super) fn is_known(node: Node<'_>, text: &str) -> bool {
    match node.kind() {
        "string" => string(node, text).is_some(),
        "number" => number(text_of(node, text)).is_some(),
        "true" | "false" | "table_constructor" | "function_definition" => true,
        "unary_expression" => negative(node, text).is_some(),
        _ => false,
    }
}

fn number<'t>(text: &str) -> Option<View<'t, Literal<'t>>> {
    let whole = text.parse().ok().map(View::Signed);
    whole.or_else(|| {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite())?;
        // What has no fraction is taken for an integer, as it is when it is sent.
        (number.fract() != 0.0).then_some(View::Float(number))
    })
}

fn negative<'t>(node: Node<'t>, text: &str) -> Option<View<'t, Literal<'t>>> {
    let operator = node.child_by_field_name("operator")?;
    let operand = node.child_by_field_name("operand").filter(|operand| operand.kind() == "number")?;
    if text_of(operator, text) != "-" {
        return None;
    }
    number(&format!("-{}", text_of(operand, text)))
}

impl<'t> Literal<'t> {
    fn entries(&self) -> Vec<Entry<'t>> {
        let mut next = 0;
        let fields = parts(self.node).into_iter().filter(|part| part.kind() == "field");
        let entries = fields.filter_map(|field| {
            let value = field.child_by_field_name("value")?;
            let Some(name) = field.child_by_field_name("name") else {
                next += 1;
                return Some(Entry { key: Some(Step::Index(next - 1)), name: None, value });
            };
            let key = match child(field, "[") {
                None => Some(text_of(name, self.text)),
                Some(_) => string(name, self.text),
            };
            Some(Entry { key: key.map(|key| Step::Key(key.to_owned())), name: Some(name), value })
        });
        entries.collect()
    }

    /// What stands at the end of a way: an entry's name or its value.
    pub(super) fn find(self, path: &[Step], at_key: bool) -> Option<Node<'t>> {
        let Some((first, rest)) = path.split_first() else { return Some(self.node) };
        // A table that is a list and a map at once shows its list by numbers.
        let is = |entry: &Entry<'_>| match (&entry.key, first) {
            (Some(Step::Index(at)), Step::Key(key)) => (at + 1).to_string() == *key,
            (key, first) => key.as_ref() == Some(first),
        };
        let entry = self.entries().into_iter().rfind(is)?;
        match (rest, entry.name) {
            ([], Some(name)) if at_key => Some(name),
            _ => Self { node: entry.value, ..self }.find(rest, at_key),
        }
    }
}

impl<'t> Datum for Literal<'t> {
    const ECHOES: bool = true;

    fn view(&self) -> View<'_, Self> {
        let Self { node, text } = *self;
        match node.kind() {
            "true" => View::Bool(true),
            "false" => View::Bool(false),
            "number" => number(text_of(node, text)).unwrap_or(View::Absent),
            "unary_expression" => negative(node, text).unwrap_or(View::Absent),
            "string" => string(node, text).map_or(View::Absent, |text| View::Text(text.as_bytes())),
            "function_definition" => View::Other("a function"),
            "table_constructor" => {
                let entries = self.entries();
                let of = |entry: &Entry<'t>| Self { node: entry.value, text };
                if entries.is_empty() {
                    return View::Empty;
                }
                if entries.iter().all(|entry| entry.name.is_none()) {
                    return View::List(entries.iter().map(of).collect());
                }
                let named = entries.iter().filter_map(|entry| match &entry.key {
                    Some(Step::Key(key)) => Some((key.clone(), of(entry))),
                    Some(Step::Index(at)) => Some(((at + 1).to_string(), of(entry))),
                    None => None,
                });
                View::Map(named.collect())
            }
            _ => View::Absent,
        }
    }
}
