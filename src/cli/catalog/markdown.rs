//! The same rows as Markdown: tables with links to the types, headings, code. Knows nothing of what it sets.

use super::layout::Row;

/// Where the types of all pages are explained.
const TYPES: &str = "datatypes.md";

/// A Markdown text that grows downwards.
#[derive(Debug, Default)]
pub(super) struct Markdown {
    text: String,
}

impl Markdown {
    /// Starts with a title and says where the text comes from.
    pub(super) fn titled(title: &str) -> Self {
        let mut page = Self::default();
        page.block(&format!("# {title}"));
        page.block("<!-- Written by `UPDATE_DOCS=1 cargo test --test docs`: change its sources, not this file. -->");
        page
    }

    /// Starts a part, of a level from 2.
    pub(super) fn heading(&mut self, level: usize, title: &str) {
        self.block(&format!("{} {title}", "#".repeat(level)));
    }

    /// Adds running text; its own line breaks mean nothing.
    pub(super) fn paragraph(&mut self, text: &str) {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if !flat.is_empty() {
            self.block(&flat);
        }
    }

    /// Adds code.
    pub(super) fn code(&mut self, language: &str, code: &str) {
        self.block(&format!("```{language}\n{}\n```", code.trim_end()));
    }

    /// Adds a list.
    pub(super) fn list(&mut self, items: impl Iterator<Item = String>) {
        let items: Vec<_> = items.map(|item| format!("- {item}")).collect();
        self.block(&items.join("\n"));
    }

    /// Adds a table of fields with their types.
    pub(super) fn fields(&mut self, what: &str, rows: &[Row]) {
        let cells = |row: &Row| vec![indented(row), linked(&row.kind), row.doc.clone()];
        self.table(&[what, "type", "meaning"], rows.iter().map(cells));
    }

    /// Adds a table of names with what they mean.
    pub(super) fn names(&mut self, what: &str, rows: &[Row]) {
        self.table(&[what, "meaning"], rows.iter().map(|row| vec![indented(row), row.doc.clone()]));
    }

    /// Adds a table; nothing where it has no rows.
    pub(super) fn table(&mut self, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
        let cell = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let rows: Vec<_> = rows.map(|cells| line(cells.iter().map(cell).collect())).collect();
        if rows.is_empty() {
            return;
        }
        let head =
            [line(head.iter().map(|cell| (*cell).to_owned()).collect()), format!("|{}", "---|".repeat(head.len()))];
        self.block(&[head.join("\n"), rows.join("\n")].join("\n"));
    }

    /// Returns the text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn block(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// The name of a row, set below the one that it belongs to.
fn indented(row: &Row) -> String {
    let name = if row.name.ends_with(':') { format!("*{}*", row.name) } else { format!("`{}`", row.name) };
    "&emsp;".repeat(row.depth) + &name
}

/// The words of a type with a link, where it has a name of its own: those start with a capital.
pub(super) fn linked(kind: &str) -> String {
    let Some(start) = kind.find(|letter: char| letter.is_ascii_uppercase()) else { return kind.to_owned() };
    let end = kind[start..].find('?').map_or(kind.len(), |end| start + end);
    format!("{}{}{}", &kind[..start], link(&kind[start..end]), &kind[end..])
}

/// A link to a type's section.
fn link(name: &str) -> String {
    format!("[{name}]({TYPES}#{})", anchor(name))
}

/// What a heading can be linked by, as forges make it of the heading's text.
pub(super) fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' '));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
