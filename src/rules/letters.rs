//! Letters that nobody sees, or takes for others, in texts of a rule that are right otherwise: a name that nobody can type,
//! a pattern that nothing matches.

use super::{
    node::{Entry, Node, Value},
    resolve::Context,
};
use crate::diagnostic::{
    Diagnostic, Place,
    letters::{Slip, slip},
};

/// Looks at what something is called by.
pub(super) fn of_name(context: &mut Context<'_>, entry: &Entry) {
    let Some(found) = entry.value.text().and_then(slip) else { return };
    let help = format!("write `{}`", found.meant.escape_debug());
    tell(context, &entry.value, &entry.key, &found, help);
}

/// Looks at all that is searched for in a parameter, however deep.
pub(super) fn of_parameter(context: &mut Context<'_>, node: &Node, title: &str) {
    match &node.value {
        Value::Text(text) => {
            // Letters that look alike are listed on purpose.
            let found = slip(text).filter(|found| !(found.is_alike() && text.contains('[')));
            let Some(found) = found else { return };
            let (meant, code) = (found.meant.escape_debug(), u32::from(found.letter));
            let help = format!("write `{meant}`; where the letter is meant, write `\\x{{{code:X}}}`");
            tell(context, node, title, &found, help);
        }
        Value::List(items) => items.iter().for_each(|item| of_parameter(context, item, title)),
        Value::Map(entries) => entries.iter().for_each(|entry| of_parameter(context, &entry.value, &entry.key)),
        _ => {}
    }
}

fn tell(context: &mut Context<'_>, node: &Node, title: &str, found: &Slip, help: String) {
    let place = context.document.place(node);
    let written = &place.source.text[place.span.clone()];
    let before = node.text().map_or(0, |text| text[..found.span.start].matches(found.letter).count());
    let place = match written.match_indices(found.letter).nth(before) {
        Some((at, letter)) => {
            let start = place.span.start + at;
            Place { span: start..start + letter.len(), ..place }
        }
        // What is written as an escape can be seen.
        None if written.starts_with('"') => return,
        None => place,
    };
    let message = format!("in `{title}` is {}", found.what);
    context.tell(Diagnostic::warning(found.code, message).at(place).help(help));
}
