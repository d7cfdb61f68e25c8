//! A mistake with its place, as plain data.
//!
//! Knows neither YAML nor Lua. Rendering is in [`render`] and [`machine`]; printing is the caller's.

use std::{collections::HashSet, ops::Range, sync::Arc};

pub(crate) mod letters;
pub mod machine;
pub mod render;

/// A text that mistakes point into.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user gave it, for display.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A stretch of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The text it is in.
    pub source: Arc<Source>,
    /// In bytes, on character boundaries; may be empty.
    pub span: Range<usize>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is refused for it.
    Warning,
    /// The set it is in is refused.
    Error,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A short stable name: `unknown-field`.
    pub code: &'static str,
    /// What is wrong, as a lowercase fragment.
    pub message: String,
    /// Where; none for what has no text, such as a missing file named on the command line.
    pub place: Option<Place>,
    /// What to say under the marked stretch, where that adds something.
    pub label: Option<String>,
    /// Other places that belong to it, with a caption each.
    pub related: Vec<(Place, String)>,
    /// What to write instead.
    pub help: Option<String>,
}

/// So many of something: `1 rule`, `2 rules`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Leaves out what was told already: scripts share modules.
pub fn distinct(diagnostics: impl IntoIterator<Item = Diagnostic>) -> impl Iterator<Item = Diagnostic> {
    let mut told = HashSet::new();
    diagnostics.into_iter().filter(move |diagnostic| {
        let place = diagnostic.place.as_ref().map(|place| (place.source.name.clone(), place.span.clone()));
        told.insert((diagnostic.code, diagnostic.message.clone(), place))
    })
}

/// What is wrong, on one line: for who has no room for places.
pub(crate) fn messages(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// Whether a set with these diagnostics is refused: any error does that.
pub fn is_refused(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

impl Source {
    /// Wraps a text under the name that diagnostics show.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }

    /// Line and column of a byte offset, both from 1; a column counts characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The place of a whole line, from 1, without the blanks around its text.
    pub fn line(self: &Arc<Self>, line: usize) -> Place {
        let start = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
        let text = self.text[start..].lines().next().unwrap_or_default();
        let indent = text.len() - text.trim_start().len();
        Place { source: Arc::clone(self), span: start + indent..start + indent.max(text.trim_end().len()) }
    }
}

impl Place {
    /// `file:line:column`.
    pub fn display(&self) -> String {
        let (line, column) = self.source.position(self.span.start);
        format!("{}:{line}:{column}", self.source.name)
    }
}

impl Diagnostic {
    /// Starts an error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity: Severity::Error, code, message, place: None, label: None, related: Vec::new(), help: None }
    }

    /// Starts a warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Says what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// `file:line:column: message`, for where there is room for no more.
    pub fn brief(&self) -> String {
        let place = self.place.as_ref().map(|place| format!("{}: ", place.display())).unwrap_or_default();
        format!("{place}{}", self.message)
    }

    /// What cannot be seen of the stretch that it marks: letters that are not what they look like.
    pub fn remark(&self) -> Option<String> {
        let place = self.place.as_ref().filter(|_| !letters::CODES.contains(&self.code))?;
        letters::remark(place.source.text.get(place.span.clone())?.lines().next()?)
    }

    /// Adds another place that belongs to it.
    #[must_use]
    pub fn related(mut self, place: Place, caption: impl Into<String>) -> Self {
        self.related.push((place, caption.into()));
        self
    }
}
