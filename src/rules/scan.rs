//! The budget of a rule file's text, asked before a YAML parser may see it.
//!
//! The parser behind [`yaml`](super::yaml) takes quadratic time for deep flow nesting, confuses anchors that are given
//! twice, and tells no place for what is not text at all. So this walks the tokens as libyaml's scanner does (which text
//! is quoted, a comment, a block scalar), and refuses what would be slow or misread. It builds nothing; where the text
//! is not YAML, it may stop anywhere, as the parser will tell.

mod tokens;

use std::ops::Range;

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
    tokens::Scanner::new(text).run()
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
