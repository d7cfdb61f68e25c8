//! The budget of a rule file's text, asked before a YAML parser may see it.
//!
//! The parser behind [`yaml`](super::yaml) takes quadratic time for deep flow nesting, confuses anchors that are given
//! twice, and tells no place for what is not text at all. So this walks the tokens as libyaml's scanner does (which text
//! is quoted, a comment, a block scalar), and refuses what would be slow or misread. It builds nothing; where the text
//! is not YAML, it may stop anywhere, as the parser will tell.

use std::{collections::HashSet, ops::Range};

/// A rule file is at most this big: 5,000 rules are a quarter of it.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Lists and tables inside each other. Rules need seven; the parser's time grows with the square.
pub(super) const MAX_DEPTH: usize = 32;

/// Uses of anchors. Each copies what it names, so they multiply.
const MAX_ALIASES: usize = 1000;

/// Why a text is refused before it is parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// In bytes.
    pub(super) span: Range<usize>,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
}

impl Refusal {
    fn new(span: Range<usize>, code: &'static str, message: impl Into<String>) -> Self {
        Self { span, code, message: message.into(), help: None }
    }

    fn help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }
}

/// Refuses what the parser must not see.
pub(super) fn check(text: &str) -> Result<(), Refusal> {
    characters(text)?;
    documents(text)?;
    Scanner::new(text).run()
}

fn characters(text: &str) -> Result<(), Refusal> {
    for (at, found) in text.char_indices() {
        let span = at..at + found.len_utf8();
        match found {
            '\t' | '\n' => {}
            '\r' if text[at + 1..].starts_with('\n') => {}
            '\r' => {
                return Err(Refusal::new(span, "control-character", "a carriage return without a line feed")
                    .help("end lines with a line feed, with or without a carriage return before it"));
            }
            _ if found.is_control() => {
                let message = format!("the control character U+{:04X} is not allowed here", u32::from(found));
                return Err(Refusal::new(span, "control-character", message)
                    .help("write it as an escape in a double-quoted text, such as \"\\x1b\""));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a second document and `%TAG`, of which many are slow.
fn documents(text: &str) -> Result<(), Refusal> {
    let marks = |line: &str, mark: &str| {
        line.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
    };
    let (mut content, mut ended, mut at) = (false, false, 0);
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let span = at..at + line.trim_end().len();
        at += line.len();
        if line.starts_with("%TAG") {
            return Err(Refusal::new(span, "yaml-tag", "`%TAG` is not understood in a rule file"));
        }
        if marks(line, "---") {
            if content || ended {
                let refusal = Refusal::new(span, "yaml-documents", "a second YAML document starts here");
                return Err(refusal.help("a rule file is one document: put all rules under one `rules:`"));
            }
            content = true;
        } else if marks(line, "...") {
            ended = content;
        } else if !trimmed.is_empty() && !trimmed.starts_with('#') && !line.starts_with('%') {
            if ended {
                let refusal = Refusal::new(span, "yaml-documents", "there is text behind the end of the document");
                return Err(refusal.help("remove the line `...`"));
            }
            content = true;
        }
    }
    Ok(())
}

/// A token that turns into a key when a `:` follows it.
#[derive(Clone, Copy)]
struct SimpleKey {
    at: usize,
    line: usize,
    column: usize,
}

struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    line: usize,
    line_start: usize,
    indents: Vec<usize>,
    /// The indent plus one, so that the outside of all blocks is 0.
    indent: usize,
    flow: usize,
    key_allowed: bool,
    /// Of the block level only: flow collections do not indent.
    key: Option<SimpleKey>,
    anchors: HashSet<&'t str>,
    aliases: usize,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            line: 0,
            line_start: 0,
            indents: Vec::new(),
            indent: 0,
            flow: 0,
            key_allowed: true,
            key: None,
            anchors: HashSet::new(),
            aliases: 0,
        }
    }

    fn run(mut self) -> Result<(), Refusal> {
        loop {
            self.to_next_token();
            if self.at >= self.bytes.len() {
                return Ok(());
            }
            if self.key.is_some_and(|key| key.line < self.line || key.at + 1024 < self.at) {
                self.key = None;
            }
            self.unroll(self.column() + 1);
            let before = self.at;
            self.token()?;
            if self.at == before {
                // Not YAML: the parser tells.
                return Ok(());
            }
        }
    }

    /// The column in bytes: indents are compared only where a line starts with spaces or ASCII indicators.
    fn column(&self) -> usize {
        self.at - self.line_start
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(b'\n')
    }

    fn blank_at(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t') || self.break_length(self.at + ahead) > 0
    }

    /// Bytes of the line break at a place; 0 where there is none. The end of the text counts as one.
    fn break_length(&self, at: usize) -> usize {
        match &self.bytes[at.min(self.bytes.len())..] {
            [] | [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            [0xe2, 0x80, 0xa8 | 0xa9, ..] => 3,
            _ => 0,
        }
    }

    fn newline(&mut self) {
        self.at += self.break_length(self.at).max(1);
        self.line += 1;
        self.line_start = self.at;
    }

    fn to_next_token(&mut self) {
        while self.at < self.bytes.len() {
            match self.byte(0) {
                b' ' => self.at += 1,
                b'\t' if self.flow > 0 || !self.key_allowed => self.at += 1,
                b'#' => self.to_line_end(),
                _ if self.break_length(self.at) > 0 => {
                    self.newline();
                    self.key_allowed |= self.flow == 0;
                }
                _ => return,
            }
        }
    }

    fn to_line_end(&mut self) {
        while self.break_length(self.at) == 0 {
            self.at += 1;
        }
    }

    fn token(&mut self) -> Result<(), Refusal> {
        let rest = &self.bytes[self.at..];
        if self.column() == 0 && rest[0] == b'%' {
            self.to_line_end();
            return Ok(());
        }
        if self.document_mark() {
            self.unroll(0);
            (self.key, self.key_allowed) = (None, false);
            self.at += 3;
            return Ok(());
        }
        match rest[0] {
            b'[' | b'{' => return self.open(),
            b']' | b'}' => self.close(),
            b',' => self.single(true),
            b'-' if self.blank_at(1) => self.entry(),
            b'?' if self.flow > 0 || self.blank_at(1) => self.entry(),
            b':' if self.flow > 0 || self.blank_at(1) => self.value(),
            b'*' | b'&' => return self.anchor(),
            b'!' => return self.tag(),
            b'|' | b'>' if self.flow == 0 => self.block_scalar(),
            b'\'' => self.quoted(b'\''),
            b'"' => self.quoted(b'"'),
            b'@' | b'`' | b'%' | b'|' | b'>' | b'\t' => {}
            _ => self.plain(),
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), Refusal> {
        self.save_key();
        self.flow += 1;
        if self.flow > MAX_DEPTH {
            return Err(Refusal::new(self.at..self.at + 1, "yaml-depth", "lists and tables are nested too deep")
                .help("a bracket may be missing, or quotes around a text that starts with a bracket"));
        }
        self.single(true);
        Ok(())
    }

    fn close(&mut self) {
        self.flow = self.flow.saturating_sub(1);
        self.single(false);
    }

    fn single(&mut self, key_allowed: bool) {
        self.key_allowed = key_allowed;
        self.at += 1;
    }

    /// `- ` and `? `.
    fn entry(&mut self) {
        if self.flow == 0 {
            self.roll(self.column() + 1);
        }
        let complex_key = self.byte(0) == b'?';
        if self.flow == 0 {
            self.key = None;
        }
        self.single(!complex_key || self.flow == 0);
    }

    fn value(&mut self) {
        match self.key.take_if(|_| self.flow == 0) {
            Some(key) => {
                self.roll(key.column + 1);
                self.single(false);
            }
            None => {
                if self.flow == 0 {
                    self.roll(self.column() + 1);
                }
                self.single(self.flow == 0);
            }
        }
    }

    fn save_key(&mut self) {
        if self.key_allowed && self.flow == 0 {
            self.key = Some(SimpleKey { at: self.at, line: self.line, column: self.column() });
        }
    }

    fn roll(&mut self, indent: usize) {
        if self.indent < indent {
            self.indents.push(self.indent);
            self.indent = indent;
        }
    }

    fn unroll(&mut self, indent: usize) {
        while self.flow == 0 && self.indent > indent {
            self.indent = self.indents.pop().unwrap_or(0);
        }
    }

    fn anchor(&mut self) -> Result<(), Refusal> {
        self.save_key();
        self.key_allowed = false;
        let (start, alias) = (self.at, self.byte(0) == b'*');
        self.at += 1;
        while matches!(self.byte(0), b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'-') {
            self.at += 1;
        }
        let name = &self.text[start + 1..self.at];
        if name.is_empty() {
            // Not YAML: the parser tells.
            return Ok(());
        }
        if alias {
            self.aliases += 1;
            if self.aliases > MAX_ALIASES {
                let message = format!("more than {MAX_ALIASES} uses of anchors in one file");
                return Err(Refusal::new(start..self.at, "yaml-size", message));
            }
        } else if !self.anchors.insert(name) {
            // The parser gives the later uses of either a value of some third anchor.
            let refusal = Refusal::new(start..self.at, "yaml-anchor", format!("the anchor `{name}` is given twice"));
            return Err(refusal.help("give each anchor a name of its own"));
        }
        Ok(())
    }

    fn tag(&mut self) -> Result<(), Refusal> {
        const CORE: [&str; 7] = ["!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq"];
        self.save_key();
        self.key_allowed = false;
        let start = self.at;
        while !self.blank_at(0) && !(self.flow > 0 && matches!(self.byte(0), b',' | b'[' | b']' | b'{' | b'}')) {
            self.at += 1;
        }
        let tag = &self.text[start..self.at];
        if CORE.contains(&tag) {
            return Ok(());
        }
        let message = format!("the tag `{tag}` is not understood in a rule file");
        let refusal = Refusal::new(start..self.at, "yaml-tag", message);
        Err(refusal.help("a text that starts with `!` needs quotes"))
    }

    fn block_scalar(&mut self) {
        self.save_key();
        self.key = None;
        self.key_allowed = true;
        let header = self.at;
        self.to_line_end();
        let increment = self.bytes[header..self.at].iter().take(3).find(|byte| (b'1'..=b'9').contains(byte));
        self.newline();
        let mut indent = increment.map(|digit| usize::from(digit - b'0') + self.indent.saturating_sub(1));
        let mut deepest = 0;
        while self.at < self.bytes.len() {
            while self.byte(0) == b' ' && indent.is_none_or(|indent| self.column() < indent) {
                self.at += 1;
            }
            deepest = deepest.max(self.column());
            if self.break_length(self.at) == 0 {
                let wanted = *indent.get_or_insert(deepest.max(self.indent).max(1));
                if self.column() < wanted {
                    return;
                }
                self.to_line_end();
            }
            self.newline();
        }
    }

    fn quoted(&mut self, quote: u8) {
        self.save_key();
        self.key_allowed = false;
        self.at += 1;
        while self.at < self.bytes.len() {
            match self.byte(0) {
                b'\\' if quote == b'"' && self.break_length(self.at + 1) == 0 => self.at += 2,
                b'\'' if quote == b'\'' && self.byte(1) == b'\'' => self.at += 2,
                found if found == quote => {
                    self.at += 1;
                    return;
                }
                _ if self.break_length(self.at) > 0 => self.newline(),
                _ => self.at += 1,
            }
        }
    }

    fn plain(&mut self) {
        self.save_key();
        self.key_allowed = false;
        loop {
            while !self.blank_at(0) {
                let ends = self.flow > 0 && matches!(self.byte(0), b',' | b'[' | b']' | b'{' | b'}');
                if ends || self.byte(0) == b':' && self.blank_at(1) {
                    return;
                }
                self.at += 1;
            }
            let mut new_line = false;
            while self.at < self.bytes.len() && self.blank_at(0) {
                if self.break_length(self.at) > 0 {
                    self.newline();
                    new_line = true;
                } else {
                    self.at += 1;
                }
            }
            let rest = &self.bytes[self.at.min(self.bytes.len())..];
            let outside = self.flow == 0 && self.column() < self.indent;
            if rest.is_empty() || rest[0] == b'#' || outside || self.document_mark() {
                self.key_allowed = new_line;
                return;
            }
            if self.flow > 0 && matches!(rest[0], b',' | b'[' | b']' | b'{' | b'}')
                || rest[0] == b':' && self.blank_at(1)
            {
                self.key_allowed = new_line;
                return;
            }
        }
    }

    fn document_mark(&self) -> bool {
        let rest = &self.bytes[self.at..];
        self.column() == 0 && (rest.starts_with(b"---") || rest.starts_with(b"...")) && self.blank_at(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<&'static str> {
        check(text).err().map(|refusal| refusal.code)
    }

    #[test]
    fn brackets_that_are_text_do_not_count() {
        let many = "[{".repeat(100);
        for text in [
            format!("a: |\n  {many}\n\n  {many}\nb: 1\n"),
            format!("- - a: >-2\n       {many}\n- b\n"),
            format!("a: \"x \\\" {many}\n {many}\"\n"),
            format!("a: 'it''s {many}'\n"),
            format!("a: b # {many}\n# {many}\n"),
            format!("a: text {many}\n  {many}\n"),
            format!("a: [b, '{many}', \"{many}\"] # {many}\n"),
            format!("? a\n: {{ b: \"{many}\" }}\n"),
        ] {
            assert_eq!(code(&text), None, "{text}");
        }
    }

    #[test]
    fn brackets_that_nest_count_wherever_a_value_may_start() {
        let many = "[{".repeat(100);
        for before in
            ["", "a: ", "- ", "- - ", "a: |\n  x\nb: ", "a: b\nc: ", "a: 'x'\nb: ", "a: &x ", "a: !!seq ", "[a, b: "]
        {
            assert_eq!(code(&format!("{before}{many}")), Some("yaml-depth"), "{before}");
        }
        assert_eq!(code(&"[] ".repeat(100)), None);
    }

    #[test]
    fn a_document_ends_once() {
        assert_eq!(code("%YAML 1.2\n--- # start\na: 1\n...\n# end\n"), None);
        assert_eq!(code("a: |\n  ---\n  x\n"), None);
        assert_eq!(code("a: 1\n---\n"), Some("yaml-documents"));
    }
}
