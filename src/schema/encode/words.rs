//! What mistakes are told with: texts cut to what can be read, lists of names, and what a kind of value is called.

use super::super::message::{Enum, Kind};

/// The start of a text, with what would harm a terminal or a line escaped.
pub(super) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        short.push('…');
    }
    short
}

pub(super) fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn choices(plan: &Enum) -> String {
    quoted(plan.values.iter().map(|value| value.name.as_str()))
}

pub(super) fn kind_phrase(kind: &Kind) -> &'static str {
    match kind {
        Kind::String => "text",
        Kind::Bytes => "bytes",
        Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => "a whole number",
        _ => "an integer",
    }
}
