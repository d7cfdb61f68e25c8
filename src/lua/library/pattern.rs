//! Lua's patterns, matched as the stock library matches them, and stopped when the run is over.
//!
//! A match of a short pattern can take longer than anyone lives, and no hook runs inside a C function. Here every step is
//! counted, and every few hundred of them `over` is asked. What is found, and what is wrong with a pattern, is what Lua
//! 5.4 says, down to the words. Bytes, not characters; classes as in the C locale. Knows no Lua: what the host's functions
//! make of it is `strings`.

use std::{fmt, ops::Range};

use super::item::Item;

/// Steps between two looks at whether the run is over: some microseconds.
const STEPS: usize = 256;

/// How deep a match may recurse, as in stock Lua. Repetitions of one character are loops.
const DEPTH: usize = 200;

/// How many captures a pattern may have, as in stock Lua.
const CAPTURES: usize = 32;

pub(super) const ESCAPE: u8 = b'%';

/// What is wrong with a pattern or a replacement, or why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    EndsWithEscape,
    MissingBracket,
    MissingArguments,
    MissingSet,
    TooComplex,
    TooManyCaptures,
    NoCaptureToClose,
    Unfinished,
    NoCapture(u8),
    Replacement,
    TooLarge,
    /// The run is over: whoever reads this will not act on it.
    Stopped,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndsWithEscape => "malformed pattern (ends with '%')",
            Self::MissingBracket => "malformed pattern (missing ']')",
            Self::MissingArguments => "malformed pattern (missing arguments to '%b')",
            Self::MissingSet => "missing '[' after '%f' in pattern",
            Self::TooComplex => "pattern too complex",
            Self::TooManyCaptures => "too many captures",
            Self::NoCaptureToClose => "invalid pattern capture",
            Self::Unfinished => "unfinished capture",
            Self::NoCapture(number) => return write!(f, "invalid capture index %{number}"),
            Self::Replacement => "invalid use of '%' in replacement string",
            Self::TooLarge => "resulting string too large",
            Self::Stopped => "the run is over",
        })
    }
}

/// What a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Captured {
    /// Bytes of the subject.
    Text(usize, usize),
    /// A position in it, from 0 on.
    Position(usize),
}

#[derive(Clone, Copy)]
enum Extent {
    Open,
    Position,
    Until(usize),
}

/// Where a match goes on, or that there is none.
type Outcome = Result<Option<usize>, Mistake>;

/// One pattern on its way through one subject.
pub(super) struct Matcher<'a> {
    pub(super) subject: &'a [u8],
    pattern: &'a [u8],
    captures: [(usize, Extent); CAPTURES],
    level: usize,
    depth: usize,
    steps: usize,
    over: fn() -> bool,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(subject: &'a [u8], pattern: &'a [u8], over: fn() -> bool) -> Self {
        Self { subject, pattern, captures: [(0, Extent::Open); CAPTURES], level: 0, depth: 0, steps: 0, over }
    }

    /// Finds the first match at or after `from` that does not end at `last`; its captures stay until the next search.
    pub(super) fn search(
        &mut self,
        from: usize,
        last: Option<usize>,
        anchored: bool,
    ) -> Result<Option<Range<usize>>, Mistake> {
        let first = self.literal();
        let mut at = from;
        while at <= self.subject.len() {
            if let Some(byte) = first.filter(|_| !anchored) {
                // Nothing matches before the first byte's next place.
                let Some(skipped) = memchr::memchr(byte, &self.subject[at..]) else { return Ok(None) };
                at += skipped;
            }
            (self.level, self.depth) = (0, 0);
            if let Some(end) = self.follow(at, 0)?.filter(|end| Some(*end) != last) {
                return Ok(Some(at..end));
            }
            if anchored {
                break;
            }
            at += 1;
        }
        Ok(None)
    }

    /// How many captures the match has.
    pub(super) fn captures(&self) -> usize {
        self.level
    }

    /// A capture of the match that was found, from 0 on; the whole match where the pattern has none.
    pub(super) fn capture(&self, index: usize, whole: &Range<usize>) -> Result<Captured, Mistake> {
        if index >= self.level {
            let number = u8::try_from(index + 1).unwrap_or(u8::MAX);
            return if index == 0 {
                Ok(Captured::Text(whole.start, whole.end))
            } else {
                Err(Mistake::NoCapture(number))
            };
        }
        match self.captures[index] {
            (_, Extent::Open) => Err(Mistake::Unfinished),
            (start, Extent::Position) => Ok(Captured::Position(start)),
            (start, Extent::Until(end)) => Ok(Captured::Text(start, end)),
        }
    }

    /// Counts work that is done, and looks up every so often.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Mistake> {
        self.steps += steps;
        if self.steps < STEPS {
            return Ok(());
        }
        self.steps = 0;
        if (self.over)() { Err(Mistake::Stopped) } else { Ok(()) }
    }

    /// The byte that every match begins with, where the pattern says one.
    fn literal(&self) -> Option<u8> {
        let first = self.pattern.first().copied().filter(|first| !b"^$*+?.([%-)".contains(first))?;
        (!matches!(self.pattern.get(1), Some(b'*' | b'?' | b'-'))).then_some(first)
    }

    fn at(&self, p: usize) -> Option<u8> {
        self.pattern.get(p).copied()
    }

    /// Matches the pattern from `p` on at `s`.
    fn follow(&mut self, s: usize, p: usize) -> Outcome {
        self.spend(1)?;
        if self.depth == DEPTH {
            return Err(Mistake::TooComplex);
        }
        self.depth += 1;
        let outcome = self.run(s, p)?;
        self.depth -= 1;
        Ok(outcome)
    }

    fn run(&mut self, mut s: usize, mut p: usize) -> Outcome {
        loop {
            let Some(head) = self.at(p) else { return Ok(Some(s)) };
            match (head, self.at(p + 1)) {
                (b'(', Some(b')')) => return self.open(s, p + 2, Extent::Position),
                (b'(', _) => return self.open(s, p + 1, Extent::Open),
                (b')', _) => return self.close(s, p + 1),
                (b'$', None) => return Ok((s == self.subject.len()).then_some(s)),
                (ESCAPE, Some(b'b')) => {
                    let Some(end) = self.balance(s, p + 2)? else { return Ok(None) };
                    (s, p) = (end, p + 4);
                }
                (ESCAPE, Some(b'f')) => {
                    let Some(next) = self.frontier(s, p + 2)? else { return Ok(None) };
                    p = next;
                }
                (ESCAPE, Some(digit @ b'0'..=b'9')) => {
                    let Some(end) = self.again(s, digit)? else { return Ok(None) };
                    (s, p) = (end, p + 2);
                }
                _ => {
                    let end = self.item_end(p)?;
                    let item = self.item(p, end);
                    self.spend(1 + (end - p) / 8)?;
                    let matches = self.subject.get(s).is_some_and(|byte| item.has(*byte));
                    match self.at(end) {
                        Some(b'?') if matches => {
                            if let Some(found) = self.follow(s + 1, end + 1)? {
                                return Ok(Some(found));
                            }
                            p = end + 1;
                        }
                        Some(b'*') if matches => return self.most(s, item, end + 1),
                        Some(b'+') if matches => return self.most(s + 1, item, end + 1),
                        Some(b'-') if matches => return self.least(s, item, end + 1),
                        Some(b'*' | b'?' | b'-') => p = end + 1,
                        _ if matches => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    /// Returns where an item ends and its suffix may stand.
    fn item_end(&self, p: usize) -> Result<usize, Mistake> {
        match self.pattern[p] {
            ESCAPE if p + 1 == self.pattern.len() => Err(Mistake::EndsWithEscape),
            ESCAPE => Ok(p + 2),
            b'[' => self.set_end(p + 1),
            _ => Ok(p + 1),
        }
    }

    /// Finds what follows the set that begins here; a bracket at its very beginning is one of its bytes.
    fn set_end(&self, mut p: usize) -> Result<usize, Mistake> {
        p += usize::from(self.at(p) == Some(b'^'));
        loop {
            let byte = self.at(p).ok_or(Mistake::MissingBracket)?;
            p += 1;
            p += usize::from(byte == ESCAPE && p < self.pattern.len());
            if self.at(p) == Some(b']') {
                return Ok(p + 1);
            }
        }
    }

    fn item(&self, p: usize, end: usize) -> Item<'a> {
        match self.pattern[p] {
            b'.' => Item::Any,
            ESCAPE => Item::Class(self.pattern[p + 1]),
            b'[' => Item::Set(&self.pattern[p + 1..end - 1]),
            byte => Item::Byte(byte),
        }
    }

    /// Takes as many as there are, then fewer until the rest matches.
    fn most(&mut self, s: usize, item: Item<'a>, p: usize) -> Outcome {
        let mut end = s;
        for part in self.subject[s..].chunks(STEPS) {
            let run = part.iter().take_while(|byte| item.has(**byte)).count();
            end += run;
            self.spend(run * item.cost())?;
            if run < part.len() {
                break;
            }
        }
        for end in (s..=end).rev() {
            if let Some(found) = self.follow(end, p)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Takes none, then more until the rest matches.
    fn least(&mut self, mut s: usize, item: Item<'a>, p: usize) -> Outcome {
        loop {
            if let Some(found) = self.follow(s, p)? {
                return Ok(Some(found));
            }
            self.spend(item.cost())?;
            if !self.subject.get(s).is_some_and(|byte| item.has(*byte)) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open(&mut self, s: usize, p: usize, extent: Extent) -> Outcome {
        if self.level == CAPTURES {
            return Err(Mistake::TooManyCaptures);
        }
        self.captures[self.level] = (s, extent);
        self.level += 1;
        let found = self.follow(s, p)?;
        self.level -= usize::from(found.is_none());
        Ok(found)
    }

    fn close(&mut self, s: usize, p: usize) -> Outcome {
        let open = self.captures[..self.level].iter().rposition(|(_, extent)| matches!(extent, Extent::Open));
        let index = open.ok_or(Mistake::NoCaptureToClose)?;
        self.captures[index].1 = Extent::Until(s);
        let found = self.follow(s, p)?;
        if found.is_none() {
            self.captures[index].1 = Extent::Open;
        }
        Ok(found)
    }

    /// Matches what a capture holds once more; a position is as long as the rest of any subject is not.
    fn again(&mut self, s: usize, digit: u8) -> Outcome {
        let number = digit - b'0';
        let index = usize::from(number).checked_sub(1).filter(|index| *index < self.level);
        let (start, end) = match index.map(|index| self.captures[index]) {
            None | Some((_, Extent::Open)) => return Err(Mistake::NoCapture(number)),
            Some((_, Extent::Position)) => return Ok(None),
            Some((start, Extent::Until(end))) => (start, end),
        };
        self.spend((end - start) / 16)?;
        Ok(self.subject[s..].starts_with(&self.subject[start..end]).then(|| s + end - start))
    }

    fn balance(&mut self, s: usize, p: usize) -> Outcome {
        let (Some(opening), Some(closing)) = (self.at(p), self.at(p + 1)) else {
            return Err(Mistake::MissingArguments);
        };
        if self.subject.get(s) != Some(&opening) {
            return Ok(None);
        }
        let mut open = 1_usize;
        for (at, byte) in self.subject.iter().enumerate().skip(s + 1) {
            self.spend(1)?;
            if *byte == closing {
                open -= 1;
                if open == 0 {
                    return Ok(Some(at + 1));
                }
            } else if *byte == opening {
                open += 1;
            }
        }
        Ok(None)
    }

    /// Whether a set begins to hold here: it has this byte and not the one before. What is outside the subject is 0.
    fn frontier(&mut self, s: usize, p: usize) -> Outcome {
        if self.at(p) != Some(b'[') {
            return Err(Mistake::MissingSet);
        }
        let end = self.set_end(p + 1)?;
        let set = self.item(p, end);
        self.spend(1 + (end - p) / 4)?;
        let before = s.checked_sub(1).map_or(0, |before| self.subject[before]);
        let here = self.subject.get(s).copied().unwrap_or(0);
        Ok((!set.has(before) && set.has(here)).then_some(end))
    }
}

/// Whether a text may be searched for as it is.
pub(super) fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte))
}

/// Splits `^` from a pattern.
pub(super) fn anchored(pattern: &[u8]) -> (bool, &[u8]) {
    match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    }
}
