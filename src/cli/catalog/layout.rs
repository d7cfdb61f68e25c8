//! Plain text of a fixed width: headings, wrapped paragraphs, rows of columns. Knows nothing of what it sets.

/// No line is wider, verbatim ones excepted.
const WIDTH: usize = 110;
/// A column is as wide as its widest cell up to this; a wider cell pushes what follows.
const NAME_CAP: usize = 36;
const KIND_CAP: usize = 28;

/// A line of a table: a name, what kind of value it has, and what it means.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Steps of two blanks, for rows that belong to the one above.
    pub(super) depth: usize,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) doc: String,
}

/// A text that grows downwards.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// Starts with a paragraph at the margin.
    pub(super) fn titled(title: &str) -> Self {
        let mut page = Self::default();
        page.paragraph(0, title);
        page
    }

    /// Starts a part.
    pub(super) fn heading(&mut self, title: &str) {
        self.blank();
        self.verbatim(0, title);
    }

    /// Adds an empty line, unless there is one already.
    pub(super) fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Adds running text; its own line breaks mean nothing.
    pub(super) fn paragraph(&mut self, indent: usize, text: &str) {
        for line in wrap(text, WIDTH - indent) {
            self.verbatim(indent, &line);
        }
    }

    /// Adds lines as they are.
    pub(super) fn verbatim(&mut self, indent: usize, lines: &str) {
        for line in lines.lines() {
            self.text.push_str(&" ".repeat(if line.is_empty() { 0 } else { indent }));
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    /// Adds rows whose columns are aligned with each other.
    pub(super) fn table(&mut self, indent: usize, rows: &[Row]) {
        let widest = |width: fn(&Row) -> usize, cap| rows.iter().map(width).filter(|w| *w <= cap).max().unwrap_or(0);
        let names = widest(|row| 2 * row.depth + width(&row.name), NAME_CAP);
        let kinds = widest(|row| width(&row.kind), KIND_CAP);
        let kind_at = indent + names + 2;
        let doc_at = if kinds == 0 { kind_at } else { kind_at + kinds + 2 };
        for row in rows {
            let mut line = format!("{}{}", " ".repeat(indent + 2 * row.depth), row.name);
            if !row.kind.is_empty() {
                advance(&mut line, kind_at);
                line.push_str(&row.kind);
            }
            let mut docs = wrap(&row.doc, WIDTH - doc_at).into_iter();
            if width(&line) + 2 <= doc_at {
                advance(&mut line, doc_at);
                line.push_str(&docs.next().unwrap_or_default());
            }
            self.verbatim(0, &line);
            docs.for_each(|rest| self.verbatim(doc_at, &rest));
        }
    }

    /// Adds rows of one line each: what is too long ends with `…`.
    pub(super) fn list(&mut self, indent: usize, rows: &[(String, String)]) {
        let names = rows.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
        for (name, doc) in rows {
            let mut line = format!("{}{name}", " ".repeat(indent));
            advance(&mut line, indent + names + 2);
            let room = WIDTH - width(&line);
            let mut fitting = wrap(doc, room).into_iter();
            let mut first = fitting.next().unwrap_or_default();
            if fitting.next().is_some() {
                first = wrap(doc, room - 2).into_iter().next().unwrap_or_default() + " …";
            }
            self.verbatim(0, &(line + &first));
        }
    }

    /// Returns the text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Fills up with blanks, two at least.
fn advance(line: &mut String, column: usize) {
    let missing = column.saturating_sub(width(line)).max(2);
    line.push_str(&" ".repeat(missing));
}

/// Breaks between words; a word that is too long keeps a line of its own. What stands in backticks may break as well.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
