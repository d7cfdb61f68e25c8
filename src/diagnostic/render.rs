//! Diagnostics as people read them. Prints nothing.
//!
//! What comes from a file may hold anything, so it is made safe for a terminal here: control characters and those that
//! turn the writing direction or hide are shown as escapes, and long lines are cut around the marked stretch.

use std::{collections::BTreeSet, fmt::Write, ops::Range};

use super::{Diagnostic, Place, Severity, counted};
use annotate_snippets::{AnnotationKind, Element, Group, Level, Renderer, Snippet};

/// Narrower, nothing can be read.
const MIN_WIDTH: usize = 40;

/// Columns that diagnostics are laid out for.
pub const WIDTH: usize = 120;

/// Stands for the name of a place until the text is laid out: a line that was cut has other columns than the file's.
/// Nothing that is shown can hold it.
const MARK: &str = "\0";

/// Renders for people, in the manner of rustc; a blank line between two, a line end at the end.
///
/// `width` is the terminal's, in columns.
pub fn human(diagnostics: &[Diagnostic], colour: bool, width: usize) -> String {
    let width = width.max(MIN_WIDTH);
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    // Lines are cut here, by characters; the renderer would cut labels, too.
    let renderer = renderer.term_width(width.saturating_mul(4));
    let mut out = String::new();
    for diagnostic in diagnostics {
        if !out.is_empty() {
            out.push('\n');
        }
        place_names(diagnostic, &renderer.render(&[group(diagnostic, width)]), &mut out);
        out.push('\n');
    }
    out
}

/// Counts what was told: `2 mistakes and 1 warning in 1 file`; nothing for nothing.
pub fn summary(diagnostics: &[Diagnostic]) -> Option<String> {
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let some = |number: usize, what: &str| (number > 0).then(|| counted(number, what));
    let counts = [some(count(Severity::Error), "mistake"), some(count(Severity::Warning), "warning")];
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    let places = diagnostics.iter().filter_map(|diagnostic| diagnostic.place.as_ref());
    let files = places.map(|place| &place.source.name).collect::<BTreeSet<_>>().len();
    let files = some(files, "file").map_or(String::new(), |files| format!(" in {files}"));
    (!counts.is_empty()).then(|| format!("{}{files}", counts.join(" and ")))
}

fn group(diagnostic: &Diagnostic, width: usize) -> Group<'static> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(safe(&diagnostic.message)).id(diagnostic.code);
    let mut elements: Vec<Element<'static>> = Vec::new();
    if let Some(place) = &diagnostic.place {
        excerpt(place, AnnotationKind::Primary, diagnostic.label.as_deref(), width, &mut elements);
    }
    for (place, caption) in &diagnostic.related {
        excerpt(place, AnnotationKind::Context, Some(caption), width, &mut elements);
    }
    elements.extend(diagnostic.help.as_deref().map(|help| Level::HELP.message(safe(help)).into()));
    elements.extend(diagnostic.remark().map(|remark| Level::NOTE.message(safe(&remark)).into()));
    Group::with_title(title).elements(elements)
}

/// Puts each place's name where its mark is, whatever column the shown line has there.
fn place_names(diagnostic: &Diagnostic, rendered: &str, out: &mut String) {
    let mut places = diagnostic.place.iter().chain(diagnostic.related.iter().map(|(place, _)| place));
    for (number, part) in rendered.split(MARK).enumerate() {
        if number == 0 {
            out.push_str(part);
            continue;
        }
        out.push_str(&places.next().map(|place| safe(&place.display())).unwrap_or_default());
        out.push_str(part.trim_start_matches(|found: char| found == ':' || found.is_ascii_digit()));
    }
}

/// Shows a place: where it is, and its first line with the stretch underlined.
fn excerpt(place: &Place, kind: AnnotationKind, label: Option<&str>, width: usize, out: &mut Vec<Element<'static>>) {
    let (line, _) = place.source.position(place.span.start);
    let (text, span) = shown_line(place, width.saturating_sub(10));
    let annotation = kind.span(span).label(label.map(safe));
    out.push(Snippet::source(text).path(MARK).line_start(line).annotation(annotation).into());
}

/// The first line of a place as it is shown, and the stretch in it.
fn shown_line(place: &Place, width: usize) -> (String, Range<usize>) {
    let text = &place.source.text;
    let at = text.floor_char_boundary(place.span.start);
    let start = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let (from, to) = (at - start, place.span.end.saturating_sub(start).min(line.len()));
    // Characters before the stretch, so that its context shows, but the stretch comes first where both are long.
    let before = line[..from.min(line.len())].chars().count();
    let whole = line.chars().count() <= width;
    let skip = if whole || before < width / 2 { 0 } else { before - width / 4 };
    let mut shown = String::from(if skip > 0 { "…" } else { "" });
    let mut span = shown.len()..shown.len();
    for (number, (offset, found)) in line.char_indices().enumerate().skip(skip) {
        if number - skip >= width {
            shown.push('…');
            break;
        }
        let length = shown.len();
        escape(found, &mut shown);
        if offset < from {
            span = shown.len()..shown.len();
        } else if offset < to {
            span = span.start.min(length)..shown.len();
        }
    }
    (shown, span)
}

/// A text without what a terminal would obey or hide.
pub(super) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|found| escape(found, &mut out));
    out
}

/// Writes a character, one that a terminal would obey or hide as `\u{202e}`.
fn escape(found: char, out: &mut String) {
    let hidden = matches!(found,
        '\u{61c}' | '\u{200b}'..='\u{200c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    match found {
        '\t' => out.push_str("    "),
        _ if found.is_control() || hidden => _ = write!(out, "\\u{{{:x}}}", u32::from(found)),
        _ => out.push(found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    fn at(text: &str, stretch: &str) -> Diagnostic {
        let source = Source::new("r.yaml", text);
        let start = text.find(stretch).unwrap();
        let span = start..start + stretch.len();
        Diagnostic::error("some-code", "wrong").at(Place { source, span })
    }

    #[test]
    fn a_place_shows_its_line_with_the_stretch_underlined() {
        let first = at("a: 1\nbé: two\n", "two").help("write 2");
        let place = at("a: 1\nbé: two\n", "a").place.unwrap();
        let shown = human(&[first.related(place, "see here")], false, 80);
        let expected = "\
error[some-code]: wrong
 --> r.yaml:2:5
  |
2 | bé: two
  |     ^^^
  |
 ::: r.yaml:1:1
  |
1 | a: 1
  | - see here
  |
  = help: write 2
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn nothing_of_a_file_reaches_the_terminal_that_it_would_obey() {
        let text = "a: \u{1b}[31mred\u{202e}\u{7}\u{feff} here\u{2066}\n";
        let mut told = at(text, "here");
        told.message = "\u{1b}]0;title\u{7}\nnext".to_owned();
        told.help = Some("\u{9b}2J".to_owned());
        let shown = human(&[told], false, 80);
        let obeyed = |found: char| (found.is_control() && found != '\n') || ('\u{202a}'..='\u{2069}').contains(&found);
        assert!(!shown.chars().any(obeyed), "{shown:?}");
        assert!(shown.contains("\\u{1b}[31mred\\u{202e}") && shown.lines().count() == 7, "{shown}");
    }

    #[test]
    fn a_long_line_is_cut_around_the_stretch() {
        let text = format!("{}HERE{}", "x".repeat(50_000), "y".repeat(50_000));
        let shown = human(&[at(&text, "HERE")], false, 80);
        assert!(shown.lines().all(|line| line.chars().count() <= 90), "{shown}");
        assert!(shown.contains("xHEREy") && shown.contains("r.yaml:1:50001") && shown.contains("^^^^"), "{shown}");
        let long = human(&[at(&text, &text)], false, 80);
        assert!(long.lines().all(|line| line.chars().count() <= 90), "{long}");
    }

    #[test]
    fn the_summary_counts() {
        let two = [at("a", "a"), at("a", "a"), Diagnostic::warning("w", "x")];
        assert_eq!(summary(&two).unwrap(), "2 mistakes and 1 warning in 1 file");
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn a_place_at_the_end_of_the_text_is_shown() {
        let source = Source::new("r.yaml", "a:\n");
        let told = Diagnostic::error("c", "m").at(Place { source, span: 3..3 });
        assert!(human(&[told], true, 80).contains("r.yaml"));
    }
}
