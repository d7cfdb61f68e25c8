//! What the YAML parser's complaints mean, in plain words.
//!
//! The parser's own words name its internals; those that authors meet are said anew, others are passed on.

use std::sync::Arc;

use super::span;
use crate::diagnostic::{Diagnostic, Place, Source};

/// The parser's words, what they mean, and what to do.
const MEANINGS: &[(&str, &str, &str)] = &[
    (
        "mapping values are not allowed in this context",
        "a second `:` where the value of a key stands",
        "put a text that contains `: ` in quotes, or indent this line as its neighbours are",
    ),
    (
        "did not find expected key",
        "expected a key here",
        "a key of this table starts at the same column as the others; a quote or bracket above may be missing",
    ),
    (
        "could not find expected ':'",
        "expected `:` and a value behind this",
        "write `key: value`; the further lines of a text are indented deeper than its key",
    ),
    (
        "did not find expected '-' indicator",
        "this line belongs neither to the list entry above nor to a new one",
        "the keys of a rule start at one column, that of the first behind `- `; a new rule starts with `- `",
    ),
    (
        "block sequence entries are not allowed in this context",
        "a list cannot start here",
        "start the list on the line below its key",
    ),
    ("found unexpected end of stream", "the file ends inside a quoted text", "close the quote that is opened here"),
    (
        "did not find expected ',' or ']'",
        "expected `,` or `]`",
        "close it, or put a text that contains brackets, `: ` or quotes in quotes",
    ),
    (
        "did not find expected ',' or '}'",
        "expected `,` or `}`",
        "close it, or put a text that contains brackets, `: ` or quotes in quotes",
    ),
    (
        "found unknown escape character",
        "a backslash in double quotes starts an escape, and this is none",
        "write it in single quotes: '\\d+', or double the backslash",
    ),
    ("unknown anchor", "an anchor of this name is not given above", "a text that starts with `*` needs quotes"),
    (
        "did not find expected alphabetic or numeric character",
        "expected the name of an anchor behind `*` or `&`",
        "a text that starts with `*` or `&` needs quotes",
    ),
    ("repetition limit exceeded", "anchors are used too often", "write some of the values out"),
    ("recursion limit exceeded", "an anchor is used inside itself", "write the value out"),
    (
        "mapping keys are not allowed in this context",
        "`? ` cannot start a key here",
        "a text that starts with `? ` needs quotes",
    ),
    (
        "did not find expected <document start>",
        "the document has ended above, and this is neither a key nor a list entry of it",
        "indent this line as its neighbours are",
    ),
];

/// Says what the parser said.
pub(super) fn told(source: &Arc<Source>, text: &str, at: usize) -> Diagnostic {
    let at = source.text.floor_char_boundary(at);
    let place = |at: usize| Place { source: Arc::clone(source), span: span::collection(&source.text, at) };
    if let Some(tab) = tab_at(&source.text, at) {
        let place = Place { source: Arc::clone(source), span: tab..tab + 1 };
        return Diagnostic::error("yaml-syntax", "a tab in the indentation")
            .at(place)
            .help("YAML is indented with spaces; set your editor to write spaces for a tab");
    }
    if text.contains("found character that cannot start any token") {
        let found = source.text[at..].chars().next().unwrap_or(' ');
        let message = format!("a text without quotes cannot start with `{}`", found.escape_debug());
        return Diagnostic::error("yaml-syntax", message).at(place(at)).help("put it in quotes");
    }
    let Some((words, message, help)) = MEANINGS.iter().find(|(words, ..)| text.contains(words)) else {
        let words = text.split(" at line ").next().unwrap_or(text);
        return Diagnostic::error("yaml-syntax", format!("this is not YAML: {words}")).at(place(at));
    };
    let diagnostic = Diagnostic::error("yaml-syntax", *message).help(*help);
    // What has no end is to be looked at where it began.
    let endless = ["found unexpected end of stream", "could not find expected ':'"].contains(words);
    match opened(source, text) {
        Some(began) if endless => diagnostic.at(place(began)),
        Some(began) if words.starts_with("did not find expected ','") => {
            let bracket = Place { span: began..began + 1, ..place(began) };
            diagnostic.at(place(at)).related(bracket, "opened here")
        }
        _ => diagnostic.at(place(at)),
    }
}

/// The tab that the parser stumbled over, at the place it tells or in the blanks that start that line.
fn tab_at(text: &str, at: usize) -> Option<usize> {
    let start = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let line = &text[start..];
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    let tab = start + line[..indent].find('\t')?;
    (at <= start + indent).then_some(tab)
}

/// The place that the parser adds as the beginning of what it was reading: `..., while scanning ... at line 3 column 5`.
fn opened(source: &Source, text: &str) -> Option<usize> {
    let (_, context) = text.split_once(", while ")?;
    let (_, place) = context.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(" column ")?;
    let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
    let start: usize = source.text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let found = source.text[start..].char_indices().nth(column.checked_sub(1)?)?;
    Some(start + found.0)
}
