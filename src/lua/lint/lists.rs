//! Lists and what gives one thing after the other: each is gone through in its own way, and the other one fails.

use tree_sitter::Node;

use super::{
    Look,
    names::{child, parts},
    types::Type,
};
use crate::schema::Catalog;

impl<'t> Look<'_, 't> {
    /// Where elements are expected of what has none to give that way.
    pub(super) fn at_loop(&mut self, clause: Node<'t>) {
        let values = child(clause, "expression_list").map(parts).unwrap_or_default();
        let [value] = values.as_slice() else { return };
        if let Some(name) = self.types.command(*value).filter(|name| Catalog::embedded().command(name).is_some()) {
            let message = format!("olvid.{name} is not called, so nothing is listed");
            self.tell(*value, "not-called", message, Some(format!("write `in olvid.{name} {{}} do`")));
        } else if let Type::List(_) = self.types.of(*value) {
            let help = format!("write `for _, element in ipairs({}) do`", self.short(*value));
            self.tell(*value, "wrong-arguments", "a loop over a list needs `ipairs`".to_owned(), Some(help));
        }
    }

    /// An expression as it may be repeated.
    fn short(&self, node: Node<'t>) -> &'t str {
        /// As long as a line bears beside what is said of it.
        const LONG: usize = 60;
        Some(self.text(node)).filter(|text| text.len() <= LONG && !text.contains('\n')).unwrap_or("...")
    }

    /// What is a function of Lua's that goes through lists, and is given an iterator.
    pub(super) fn at_elements(&mut self, called: Node<'t>, given: &[Node<'t>]) {
        let name = self.text(called);
        let is_global = called.kind() == "identifier"
            && self.types.names.variable(called).is_none()
            && !self.types.names.set.contains(name)
            && !self.types.names.has_environment;
        let Some(first) = given.first().filter(|_| is_global && matches!(name, "ipairs" | "pairs")) else { return };
        if let Type::Iterator(_) = self.types.of(*first) {
            let help = format!("write `for element in {} do`", self.short(*first));
            self.tell(*first, "wrong-arguments", format!("`{name}` takes a list, and this is an iterator"), Some(help));
        }
    }

    /// A length.
    pub(super) fn at_count(&mut self, node: Node<'t>) {
        let is_length = node.child_by_field_name("operator").is_some_and(|operator| self.text(operator) == "#");
        let Some(operand) = node.child_by_field_name("operand").filter(|_| is_length) else { return };
        if let Type::Iterator(_) = self.types.of(operand) {
            let message = "`#` counts what is in a list, and this is an iterator".to_owned();
            let help = format!("count them: `for element in {} do`", self.short(operand));
            self.tell(operand, "wrong-arguments", message, Some(help));
        }
    }
}
