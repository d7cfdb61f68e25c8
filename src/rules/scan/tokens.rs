//! The tokens of YAML as libyaml's scanner finds them, as far as nesting, anchors and tags depend on them.

use std::collections::HashSet;

use super::{MAX_ALIASES, MAX_DEPTH, Refusal};

/// A token that turns into a key when a `:` follows it.
#[derive(Clone, Copy)]
struct SimpleKey {
    at: usize,
    line: usize,
    column: usize,
}

pub(super) struct Scanner<'t> {
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
    pub(super) fn new(text: &'t str) -> Self {
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

    pub(super) fn run(mut self) -> Result<(), Refusal> {
        loop {
            self.skip_to_token();
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

    fn skip_to_token(&mut self) {
        while self.at < self.bytes.len() {
            match self.byte(0) {
                b' ' => self.at += 1,
                b'\t' if self.flow > 0 || !self.key_allowed => self.at += 1,
                b'#' => self.skip_line(),
                _ if self.break_length(self.at) > 0 => {
                    self.newline();
                    self.key_allowed |= self.flow == 0;
                }
                _ => return,
            }
        }
    }

    fn skip_line(&mut self) {
        while self.break_length(self.at) == 0 {
            self.at += 1;
        }
    }

    fn token(&mut self) -> Result<(), Refusal> {
        let rest = &self.bytes[self.at..];
        if self.column() == 0 && rest[0] == b'%' {
            self.skip_line();
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
        if let Some(key) = self.key.take_if(|_| self.flow == 0) {
            self.roll(key.column + 1);
            return self.single(false);
        }
        if self.flow == 0 {
            self.roll(self.column() + 1);
        }
        self.single(self.flow == 0);
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
        while !(self.blank_at(0) || self.flow_indicator()) {
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
        self.skip_line();
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
                self.skip_line();
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
                if self.flow_indicator() || self.byte(0) == b':' && self.blank_at(1) {
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
            if self.flow_indicator() || rest[0] == b':' && self.blank_at(1) {
                self.key_allowed = new_line;
                return;
            }
        }
    }

    /// Whether this ends a plain text between brackets.
    fn flow_indicator(&self) -> bool {
        self.flow > 0 && matches!(self.byte(0), b',' | b'[' | b']' | b'{' | b'}')
    }

    fn document_mark(&self) -> bool {
        let rest = &self.bytes[self.at..];
        self.column() == 0 && (rest.starts_with(b"---") || rest.starts_with(b"...")) && self.blank_at(3)
    }
}
