//! Regular expressions as the daemon reads them: `java.util.regex`, read here by its own grammar.
//!
//! Whether a pattern is refused follows from Java's grammar, so that what the daemon takes is taken and what it refuses
//! is refused at load, with its place. What is valid is written anew for `fancy-regex`, with Java's meaning of what both
//! write alike (`\h`, `$`, `\<`). What only a JVM can decide is worth a warning, never a refusal. Knows no rules.

mod class;
mod escape;

use std::{collections::HashSet, fmt::Write};

/// Groups and classes inside each other; far beyond what a person writes.
const MAX_DEPTH: usize = 100;

/// A pattern that the daemon takes.
#[derive(Debug)]
pub struct Pattern {
    /// The same in this program's terms; none where only a JVM can run it.
    pub regex: Option<fancy_regex::Regex>,
    /// What could not be checked.
    pub warning: Option<String>,
}

/// Why the daemon would refuse a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The mistaken character, counted from 0.
    pub at: usize,
    /// What is wrong, as a lowercase fragment.
    pub message: String,
}

/// Reads a pattern.
pub fn compile(pattern: &str) -> Result<Pattern, Refusal> {
    let mut reader = Reader::new(pattern);
    reader.alternatives(0)?;
    if reader.at < reader.input.len() {
        return Err(reader.refuse("this `)` closes nothing; write `\\)` for the character itself"));
    }
    if let Some(unknown) = reader.unknown {
        let warning = format!("{unknown} is known to the daemon's Java only, so this pattern is not checked further");
        return Ok(Pattern { regex: None, warning: Some(warning) });
    }
    let Ok(regex) = fancy_regex::Regex::new(&reader.out) else {
        let warning = "the daemon takes this pattern, but `dev` and `simulate` cannot run it".to_owned();
        return Ok(Pattern { regex: None, warning: Some(warning) });
    };
    Ok(Pattern { regex: Some(regex), warning: None })
}

/// The flags that change how the rest is read.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of Java's, set on its own")]
struct Flags {
    comments: bool,
    dot_all: bool,
    lines: bool,
    unicode: bool,
    look_behind: bool,
}

struct Reader {
    input: Vec<char>,
    at: usize,
    out: String,
    flags: Flags,
    names: HashSet<String>,
    groups: usize,
    /// The first construct that only a JVM knows.
    unknown: Option<String>,
}

impl Reader {
    fn new(pattern: &str) -> Self {
        Self {
            input: pattern.chars().collect(),
            at: 0,
            out: String::new(),
            flags: Flags::default(),
            names: HashSet::new(),
            groups: 0,
            unknown: None,
        }
    }

    fn peek(&self) -> Option<char> {
        self.input.get(self.at).copied()
    }

    fn ahead(&self, by: usize) -> Option<char> {
        self.input.get(self.at + by).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn refuse(&self, message: impl Into<String>) -> Refusal {
        self.refuse_at(self.at, message)
    }

    fn refuse_at(&self, at: usize, message: impl Into<String>) -> Refusal {
        Refusal { at: at.min(self.input.len().saturating_sub(1)), message: message.into() }
    }

    /// Notes what cannot be said in this program's terms.
    fn only_java(&mut self, construct: impl Into<String>) {
        self.unknown.get_or_insert(construct.into());
    }

    /// Writes a character that stands for itself.
    fn literal(&mut self, found: char) {
        if found.is_ascii_alphanumeric() || !found.is_ascii() {
            self.out.push(found);
        } else {
            _ = write!(self.out, "\\x{{{:x}}}", u32::from(found));
        }
    }

    fn literals(&mut self, all: &[char]) {
        for found in all {
            self.literal(*found);
        }
    }

    fn skip_comments(&mut self) {
        while self.flags.comments {
            match self.peek() {
                Some(found) if found.is_ascii_whitespace() || found == '\u{b}' => self.at += 1,
                Some('#') => {
                    while self.peek().is_some_and(|found| found != '\n' && found != '\r') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// Reads up to the end or a `)` that closes the group around. Flags set inside end with it.
    fn alternatives(&mut self, depth: usize) -> Result<(), Refusal> {
        if depth > MAX_DEPTH {
            return Err(self.refuse("groups are nested too deep"));
        }
        let outer = self.flags;
        loop {
            self.skip_comments();
            match self.peek() {
                None | Some(')') => break,
                Some('|') => {
                    self.at += 1;
                    self.out.push('|');
                }
                Some(_) => self.repeated(depth)?,
            }
        }
        self.flags = outer;
        Ok(())
    }

    /// Reads one atom with its quantifier.
    fn repeated(&mut self, depth: usize) -> Result<(), Refusal> {
        let written = self.out.len();
        let repeatable = self.atom(depth)?;
        self.skip_comments();
        let quantified = matches!(self.peek(), Some('*' | '+' | '?' | '{'));
        if !quantified || !repeatable {
            return Ok(());
        }
        // An atom may be several characters of output, an assertion may not be repeated as such.
        self.out.insert_str(written, "(?:");
        self.out.push(')');
        self.quantifier()
    }

    /// Reads an atom; tells whether a quantifier may follow.
    fn atom(&mut self, depth: usize) -> Result<bool, Refusal> {
        let Some(found) = self.peek() else { return Ok(false) };
        match found {
            '(' => return self.group(depth),
            '[' => self.class()?,
            '\\' => return self.escape(),
            '*' | '+' | '?' => {
                let message =
                    format!("nothing stands before `{found}` to repeat; write `\\{found}` for the character itself");
                return Err(self.refuse(message));
            }
            // Java repeats the empty text here.
            '{' => {}
            '^' => {
                self.at += 1;
                self.out.push_str(if self.flags.lines { "(?m:^)" } else { "\\A" });
            }
            '$' => {
                self.at += 1;
                self.out.push_str(if self.flags.lines { "(?m:$)" } else { escape::END });
            }
            '.' => {
                self.at += 1;
                self.out.push_str(if self.flags.dot_all { "(?s:.)" } else { "[^\\n\\r\\x{85}\\x{2028}\\x{2029}]" });
            }
            _ => {
                self.at += 1;
                self.literal(found);
            }
        }
        Ok(true)
    }

    fn quantifier(&mut self) -> Result<(), Refusal> {
        match self.peek() {
            Some(found @ ('*' | '+' | '?')) => {
                self.at += 1;
                self.out.push(found);
            }
            _ => self.counted()?,
        }
        self.skip_comments();
        if let Some(mode @ ('?' | '+')) = self.peek() {
            self.at += 1;
            self.out.push(mode);
        }
        Ok(())
    }

    fn counted(&mut self) -> Result<(), Refusal> {
        let open = self.at;
        self.at += 1;
        self.skip_comments();
        if !self.peek().is_some_and(|found| found.is_ascii_digit()) {
            let message = "`{` starts a count such as `{2}` or `{1,3}`; write `\\{` for the character itself";
            return Err(self.refuse_at(open, message));
        }
        let low = self.number()?;
        self.skip_comments();
        let high = if self.take(',') {
            self.skip_comments();
            if self.peek().is_some_and(|found| found.is_ascii_digit()) { Some(self.number()?) } else { None }
        } else {
            Some(low)
        };
        self.skip_comments();
        if !self.take('}') {
            return Err(self.refuse_at(open, "this count is not closed with `}`"));
        }
        if high.is_some_and(|high| high < low) {
            return Err(self.refuse_at(open, "the count's end is below its start"));
        }
        let high = high.map_or(String::new(), |high| high.to_string());
        _ = write!(self.out, "{{{low},{high}}}");
        Ok(())
    }

    fn number(&mut self) -> Result<u32, Refusal> {
        let start = self.at;
        let mut value = 0u32;
        while let Some(digit) = self.peek().and_then(|found| found.to_digit(10)) {
            let next = value.checked_mul(10).and_then(|value| value.checked_add(digit));
            let fits = next.filter(|value| i32::try_from(*value).is_ok());
            value = fits.ok_or_else(|| self.refuse_at(start, "the count is too big"))?;
            self.at += 1;
        }
        Ok(value)
    }

    fn group(&mut self, depth: usize) -> Result<bool, Refusal> {
        let open = self.at;
        let outer = self.flags;
        self.at += 1;
        if self.take('?') {
            if !self.special_group(open)? {
                return Ok(false);
            }
        } else {
            self.groups += 1;
            self.out.push('(');
        }
        self.alternatives(depth + 1)?;
        self.flags = outer;
        if !self.take(')') {
            return Err(self.refuse_at(open, "this `(` is not closed; write `\\(` for the character itself"));
        }
        self.out.push(')');
        Ok(true)
    }

    /// Reads what follows `(?`; tells whether a group is open then.
    fn special_group(&mut self, open: usize) -> Result<bool, Refusal> {
        match (self.peek(), self.ahead(1)) {
            (Some(kind @ (':' | '=' | '!' | '>')), _) => {
                self.at += 1;
                self.out.push_str("(?");
                self.out.push(kind);
            }
            (Some('<'), Some(kind @ ('=' | '!'))) => {
                self.at += 2;
                self.flags.look_behind = true;
                self.out.push_str("(?<");
                self.out.push(kind);
            }
            (Some('<'), _) => {
                self.at += 1;
                let name = self.group_name()?;
                if !self.names.insert(name.clone()) {
                    return Err(self.refuse_at(open, format!("a group is named `{name}` above already")));
                }
                self.groups += 1;
                self.out.extend(["(?<", &name, ">"]);
            }
            _ => return self.flag_group(),
        }
        Ok(true)
    }

    fn group_name(&mut self) -> Result<String, Refusal> {
        let start = self.at;
        while self.peek().is_some_and(|found| found.is_ascii_alphanumeric()) {
            self.at += 1;
        }
        let name: String = self.input[start..self.at].iter().collect();
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(self.refuse_at(start, "a group's name starts with a letter from a to z"));
        }
        if !self.take('>') {
            return Err(self.refuse("a group's name is made of letters and digits and ends with `>`"));
        }
        Ok(name)
    }

    /// Reads `i-m)` or `i-m:`; tells whether a group is open then.
    fn flag_group(&mut self) -> Result<bool, Refusal> {
        let (mut on, mut letters) = (true, [String::new(), String::new()]);
        loop {
            let Some(found) = self.peek() else { return Err(self.refuse("the flags behind `(?` are not closed")) };
            match found {
                'i' => letters[usize::from(!on)].push('i'),
                'x' => self.flags.comments = on,
                's' => self.flags.dot_all = on,
                'm' => self.flags.lines = on,
                'U' => self.flags.unicode = on,
                'd' | 'u' | 'c' => {}
                '-' if on => on = false,
                ')' | ':' => break,
                _ => {
                    let message =
                        format!("`(?{found}` is no group or flag of Java's; flags are i, d, m, s, u, x and U");
                    return Err(self.refuse(message));
                }
            }
            self.at += 1;
        }
        let case = match &letters {
            [_, off] if !off.is_empty() => "-i",
            [on, _] if !on.is_empty() => "i",
            _ => "",
        };
        if self.take(':') {
            self.out.extend(["(?", case, ":"]);
            return Ok(true);
        }
        self.at += 1;
        if !case.is_empty() {
            self.out.extend(["(?", case, ")"]);
        }
        self.skip_comments();
        if let Some(found @ ('*' | '+' | '?')) = self.peek() {
            return Err(self.refuse(format!("nothing stands before `{found}` to repeat")));
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, text: &str) -> bool {
        let read = compile(pattern).unwrap();
        let Some(regex) = read.regex else { panic!("{pattern}: {:?}", read.warning) };
        regex.is_match(text).unwrap()
    }

    #[test]
    fn java_accepts_and_refuses_what_a_jvm_did() {
        // Made with java.util.regex of JDK 17, see the file's first line.
        let table = include_str!("pattern/jdk17.tsv");
        let mut seen = 0;
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let (verdict, pattern) = line.split_once('\t').unwrap();
            let ours = compile(pattern);
            assert_eq!(ours.is_ok(), verdict == "ok", "{pattern}: {ours:?}");
            seen += 1;
        }
        assert!(seen > 200, "{seen}");
    }

    #[test]
    fn javas_meaning_of_what_both_write_alike() {
        assert!(finds(r"a\hb", "a b") && !finds(r"a\hb", "afb"));
        assert!(finds(r"a$", "a\n") && !finds(r"a$", "a\nb") && finds(r"(?m)a$", "a\nb"));
        assert!(finds(r"^\Q(a.b)*\E$", "(a.b)*") && !finds(r"\Qa.b\E", "axb"));
        assert!(finds(r"^\<b\>$", "<b>"));
        assert!(finds(r"^[a-z&&[^bc]]+$", "adz") && !finds(r"^[a-z&&[^bc]]+$", "abz"));
        assert!(finds(r"^(?x) a b # c", "ab"));
        assert!(finds(r"^\p{Alpha}\p{Punct}\p{javaLowerCase}$", "Z!x"));
        assert!(finds(r"^(?i)!ping", "!PING") && !finds("^!ping", "!PING"));
        assert!(finds(r"(\w)\1", "aa") && !finds(r"^a*+a", "aaa"));
        assert!(finds(r"(?<=ab?)c", "xac") && finds(r"\R", "\r\n") && finds(r"a\Z", "a\n"));
        assert!(!finds(r"^\w$", "é") && finds(r"(?U)^\w$", "é"));
    }

    #[test]
    fn a_refusal_names_the_character() {
        let refusal = compile("ab(cd").unwrap_err();
        assert_eq!(refusal.at, 2);
        assert!(refusal.message.contains("not closed"), "{}", refusal.message);
        assert_eq!(compile("a|*").unwrap_err().at, 2);
    }

    #[test]
    fn what_only_a_jvm_knows_is_a_warning() {
        let read = compile(r"\p{InGreek}").unwrap();
        assert!(read.regex.is_none() && read.warning.unwrap().contains("InGreek"));
    }
}
