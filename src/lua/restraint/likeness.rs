//! How alike texts are: what bots count up, quote or decorate is folded away.
//!
//! Letters in lower case remain. A word with a digit in it is a number, a time or an identifier; a word that repeats the
//! one before it is a prefix that grows with every answer (`echo: echo: hello`); what follows a long beginning is cut off.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::schema::{
    Kind, Message,
    wire::{Reader, Value},
};

/// Bytes of what is compared, of each part.
const LONGEST: usize = 200;

/// Characters of a sample.
const SAMPLE: usize = 100;

/// The texts of messages, in the order of the wire.
#[derive(Default)]
pub(super) struct Texts {
    exact: DefaultHasher,
    folded: String,
    /// Where the present part begins.
    begin: usize,
    /// Where the last word of the folded text begins.
    last: usize,
    /// The beginning of the first text.
    pub(super) sample: String,
}

impl Texts {
    /// Adds all text fields of a message, of messages in it too. What cannot be read has none.
    pub(super) fn add(&mut self, plan: &Message, bytes: &[u8]) {
        let mut reader = Reader::new(plan, bytes);
        while let Ok(Some((index, value))) = reader.advance() {
            match (value, &plan.fields[index].kind) {
                (Value::Text(text), _) => self.add_text(text),
                (Value::Message(inner), Kind::Message(plan)) => self.add(plan, inner),
                _ => {}
            }
        }
    }

    fn add_text(&mut self, text: &str) {
        text.hash(&mut self.exact);
        if self.sample.is_empty() {
            self.sample.extend(text.chars().take(SAMPLE));
        }
        for word in text.split_whitespace() {
            if self.folded.len() - self.begin >= LONGEST {
                return;
            }
            self.add_word(word);
        }
    }

    fn add_word(&mut self, word: &str) {
        // Scripts without spaces write a sentence as one word: there, the digits alone go.
        if word.is_ascii() && word.bytes().any(|byte| byte.is_ascii_digit()) {
            return;
        }
        let start = self.folded.len();
        let room = LONGEST.saturating_sub(start - self.begin);
        let letters = word.chars().filter(|letter| letter.is_alphabetic());
        self.folded.extend(letters.flat_map(char::to_lowercase).take(room));
        if self.folded.len() == start {
            return;
        }
        if self.folded[self.last..start].trim_end() == &self.folded[start..] {
            self.folded.truncate(start);
        } else {
            self.last = start;
            self.folded.push(' ');
        }
    }

    /// Parts what was added before from what is added next.
    pub(super) fn part(&mut self) {
        self.folded.push('\n');
        (self.begin, self.last) = (self.folded.len(), self.folded.len());
        0xff_u8.hash(&mut self.exact);
    }

    /// Says what was done with the texts: the same done otherwise is something else.
    pub(super) fn done_by(&mut self, command: &str) {
        self.part();
        command.hash(&mut self.exact);
        self.folded.push_str(command);
    }

    /// The same number for the same texts.
    pub(super) fn exact(&self) -> u64 {
        self.exact.finish()
    }

    /// The same number for texts that are alike.
    pub(super) fn alike(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.folded.hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Texts {
        let mut texts = Texts::default();
        texts.add_text(text);
        texts
    }

    fn alike(one: &str, other: &str) -> bool {
        assert_ne!(texts(one).exact(), texts(other).exact());
        texts(one).alike() == texts(other).alike()
    }

    #[test]
    fn what_bots_count_up_quote_or_decorate_is_alike() {
        for (one, other) in [
            ("pong 17", "pong 18"),
            ("Ping!", "ping :-)"),
            ("at 12:30:01, all is well", "at 12:30:02 all is WELL"),
            ("request 3f2a-11d0-8c7e done", "request 88aa-42cc-9a0b done"),
            ("echo: hello", "echo: echo: echo: hello"),
            ("", "👍"),
            ("你好17", "你好18"),
        ] {
            assert!(alike(one, other), "{one} / {other}");
        }
        let grown = |times: usize| "you said: I said: ".repeat(times) + "hi";
        assert!(alike(&grown(50), &grown(51)));
    }

    #[test]
    fn what_people_say_is_not() {
        for (one, other) in [("yes", "no"), ("ping", "pong"), ("buy milk", "buy bread"), ("你好", "再见")] {
            assert!(!alike(one, other), "{one} / {other}");
        }
    }

    #[test]
    fn two_texts_are_not_one() {
        let parted = |first: &str, second: &str| {
            let mut texts = texts(first);
            texts.part();
            texts.add_text(second);
            (texts.exact(), texts.alike())
        };
        let (one, other) = (parted("a", "a b"), parted("a a", "b"));
        assert!(one.0 != other.0 && one.1 != other.1);
    }
}
