//! Character classes: `[a-z&&[^bc]]`.

use super::{MAX_DEPTH, Reader, Refusal, escape::Escape};

impl Reader {
    /// Reads a class, the bracket included.
    pub(super) fn class(&mut self) -> Result<(), Refusal> {
        self.nested_class(0)
    }

    fn nested_class(&mut self, depth: usize) -> Result<(), Refusal> {
        let open = self.at;
        if depth > MAX_DEPTH {
            return Err(self.refuse("classes are nested too deep"));
        }
        self.at += 1;
        self.out.push('[');
        if self.take('^') {
            self.out.push('^');
        }
        // Java takes a `]` for itself where nothing stands before it.
        let mut empty = true;
        loop {
            self.skip_comments();
            let Some(found) = self.peek() else {
                return Err(self.refuse_at(open, "this `[` is not closed; write `\\[` for the character itself"));
            };
            match found {
                ']' if !empty => break,
                '[' => self.nested_class(depth + 1)?,
                '&' if self.ahead(1) == Some('&') => {
                    while self.peek() == Some('&') {
                        self.at += 1;
                    }
                    self.intersection();
                    continue;
                }
                _ => self.member()?,
            }
            empty = false;
        }
        self.at += 1;
        self.out.push(']');
        Ok(())
    }

    /// What is left or right of `&&` may be nothing, which then does not count.
    fn intersection(&mut self) {
        let nothing_left = self.out.ends_with(['[', '^']);
        let nothing_right = matches!(self.peek(), None | Some(']'));
        if !nothing_left && !nothing_right {
            self.out.push_str("&&");
        }
    }

    /// Reads a character, a range or an escape.
    fn member(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        let Some(first) = self.character_or_set()? else { return Ok(()) };
        let range = self.peek() == Some('-') && !matches!(self.ahead(1), Some(']' | '['));
        if !range {
            self.literal(first);
            return Ok(());
        }
        self.at += 1;
        self.skip_comments();
        let last = match self.peek() {
            Some('\\') => match self.escaped(true)? {
                Escape::Character(last) => last,
                _ => return Err(self.refuse_at(start, "a range ends with a single character; write `\\-` for a dash")),
            },
            Some(last) => {
                self.at += 1;
                last
            }
            None => return Err(self.refuse_at(start, "this range has no end")),
        };
        if last < first {
            return Err(self.refuse_at(start, format!("the range's end `{last}` is before its start `{first}`")));
        }
        self.literal(first);
        self.out.push('-');
        self.literal(last);
        Ok(())
    }

    /// Returns a character that may start a range; anything else is written.
    fn character_or_set(&mut self) -> Result<Option<char>, Refusal> {
        if self.peek() != Some('\\') {
            let found = self.peek();
            self.at += 1;
            return Ok(found);
        }
        match self.escaped(true)? {
            Escape::Character(found) => Ok(Some(found)),
            Escape::Set(set) => {
                self.out.push_str(&set);
                Ok(None)
            }
            // The last one may start a range.
            Escape::Quoted(mut characters) => {
                let last = characters.pop();
                self.literals(&characters);
                Ok(last)
            }
            Escape::Other(written) => {
                self.out.push_str(&written);
                Ok(None)
            }
        }
    }
}
