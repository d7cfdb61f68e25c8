//! How far a key or value reaches on its line, given where it starts: what a diagnostic underlines.
//!
//! Never beyond the line's end, and never empty where the line has text.

use std::ops::Range;

/// The span of a scalar whose content may be known.
pub(super) fn scalar(text: &str, at: usize, content: Option<&str>) -> Range<usize> {
    let start = behind_properties(text, at);
    let line = line_at(text, start);
    let length = match line.as_bytes().first() {
        Some(quote @ (b'"' | b'\'')) => quoted(line, *quote),
        Some(b'|' | b'>') => line.split(" #").next().unwrap_or(line).trim_end().len(),
        _ => match content.filter(|content| !content.is_empty() && line.starts_with(content)) {
            Some(content) => content.len(),
            None => plain(line),
        },
    };
    at_least_one(text, start, length)
}

/// The span of what starts a list or table: up to its bracket on the same line, or its first word.
pub(super) fn collection(text: &str, at: usize) -> Range<usize> {
    let start = behind_properties(text, at);
    let line = line_at(text, start);
    let length = match line.as_bytes().first() {
        Some(b'[' | b'{') => bracketed(line),
        Some(quote @ (b'"' | b'\'')) => quoted(line, *quote),
        _ => plain(line),
    };
    at_least_one(text, start, length)
}

/// Skips anchors and tags, which are counted to a value.
pub(super) fn behind_properties(text: &str, at: usize) -> usize {
    let mut start = at;
    while text[start..].starts_with(['&', '!']) {
        let word = text[start..].find(char::is_whitespace).unwrap_or(text.len() - start);
        let blanks = text[start + word..].len() - text[start + word..].trim_start().len();
        if start + word + blanks >= text.len() {
            return at;
        }
        start += word + blanks;
    }
    start
}

fn line_at(text: &str, start: usize) -> &str {
    text[start..].lines().next().unwrap_or_default()
}

fn quoted(line: &str, quote: u8) -> usize {
    let bytes = line.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 1,
            b'\'' if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') => at += 1,
            found if found == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    line.trim_end().len()
}

fn bracketed(line: &str) -> usize {
    let mut depth = 0usize;
    for (at, found) in line.char_indices() {
        match found {
            '[' | '{' => depth += 1,
            ']' | '}' if depth == 1 => return at + 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    line.split(" #").next().unwrap_or(line).trim_end().len()
}

/// Up to where a plain scalar must end, whether between brackets or not.
fn plain(line: &str) -> usize {
    let ends = [": ", " #", ", ", "]", "}"];
    let mut length = ends.iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
    length = line[..length].trim_end().len();
    if line[..length].ends_with(':') { length - 1 } else { length }
}

fn at_least_one(text: &str, start: usize, length: usize) -> Range<usize> {
    if length > 0 {
        return start..start + length;
    }
    let one = text[start..].chars().next().filter(|found| !matches!(found, '\n' | '\r')).map_or(0, char::len_utf8);
    start..start + one
}
