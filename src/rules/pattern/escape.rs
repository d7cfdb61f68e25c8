//! What follows a backslash, outside and inside of character classes.

use super::{Reader, Refusal};

/// The end of the text, or before a line end at the end: Java's `$` without the flag m, and `\Z`.
pub(super) const END: &str = "(?=(?:\\r\\n|[\\n\\r\\x{85}\\x{2028}\\x{2029}])?\\z)";

const HORIZONTAL: &str = " \\t\\x{a0}\\x{1680}\\x{180e}\\x{2000}-\\x{200a}\\x{202f}\\x{205f}\\x{3000}";
const VERTICAL: &str = "\\n\\x{b}\\x{c}\\r\\x{85}\\x{2028}\\x{2029}";

/// Java's names of ASCII classes, with their POSIX names.
const POSIX: [(&str, &str); 13] = [
    ("ASCII", "ascii"),
    ("Alnum", "alnum"),
    ("Alpha", "alpha"),
    ("Blank", "blank"),
    ("Cntrl", "cntrl"),
    ("Digit", "digit"),
    ("Graph", "graph"),
    ("Lower", "lower"),
    ("Print", "print"),
    ("Punct", "punct"),
    ("Space", "space"),
    ("Upper", "upper"),
    ("XDigit", "xdigit"),
];

/// Java's methods of `Character` that are properties, with what is near them.
const METHODS: [(&str, &str); 18] = [
    ("javaLowerCase", "\\p{Lowercase}"),
    ("javaUpperCase", "\\p{Uppercase}"),
    ("javaAlphabetic", "\\p{Alphabetic}"),
    ("javaIdeographic", "\\p{Ideographic}"),
    ("javaTitleCase", "\\p{Lt}"),
    ("javaDigit", "\\p{Nd}"),
    ("javaDefined", "\\P{Cn}"),
    ("javaLetter", "\\p{L}"),
    ("javaLetterOrDigit", "[\\p{L}\\p{Nd}]"),
    ("javaJavaIdentifierStart", ""),
    ("javaJavaIdentifierPart", ""),
    ("javaUnicodeIdentifierStart", ""),
    ("javaUnicodeIdentifierPart", ""),
    ("javaIdentifierIgnorable", ""),
    ("javaSpaceChar", "[\\p{Zs}\\p{Zl}\\p{Zp}]"),
    ("javaWhitespace", ""),
    ("javaISOControl", "\\p{Cc}"),
    ("javaMirrored", ""),
];

/// Names behind `Is` that Java has and Unicode's tables here lack.
const BINARY: [&str; 16] = [
    "letter",
    "control",
    "punctuation",
    "assigned",
    "digit",
    "alnum",
    "blank",
    "graph",
    "print",
    "word",
    "titlecase",
    "whitespace",
    "hexdigit",
    "noncharactercodepoint",
    "noncharacter_code_point",
    "joincontrol",
];

/// What an escape stands for.
pub(super) enum Escape {
    /// One character, already read.
    Character(char),
    /// A set of characters, as it is written inside of a class.
    Set(String),
    /// Characters that a class may not hold, as they are written.
    Other(String),
    /// `\Q...\E`.
    Quoted(Vec<char>),
}

impl Reader {
    /// Reads an escape outside of a class; tells whether a quantifier may follow.
    pub(super) fn escape(&mut self) -> Result<bool, Refusal> {
        match self.escaped(false)? {
            Escape::Character(found) => self.literal(found),
            Escape::Set(set) => self.out.extend(["[", &set, "]"]),
            Escape::Other(written) => self.out.push_str(&written),
            Escape::Quoted(characters) => {
                // A quantifier repeats the last character only, and what is empty cannot be repeated at all.
                let Some((last, before)) = characters.split_last() else { return self.after_empty_quote() };
                if matches!(self.peek(), Some('*' | '+' | '?' | '{')) && !before.is_empty() {
                    self.literals(before);
                    let written = self.out.len();
                    self.literal(*last);
                    self.out.insert_str(written, "(?:");
                    self.out.push(')');
                    self.quantifier()?;
                    return Ok(false);
                }
                self.literals(&characters);
            }
        }
        Ok(true)
    }

    fn after_empty_quote(&mut self) -> Result<bool, Refusal> {
        match self.peek() {
            Some(found @ ('*' | '+' | '?')) if self.out.is_empty() => {
                Err(self.refuse(format!("nothing stands before `{found}` to repeat")))
            }
            // Java repeats what stands before the quote.
            Some('*' | '+' | '?' | '{') => {
                self.only_java("a quantifier behind `\\Q\\E`");
                self.quantifier()?;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Reads an escape, the backslash included.
    pub(super) fn escaped(&mut self, in_class: bool) -> Result<Escape, Refusal> {
        let start = self.at;
        self.at += 1;
        let Some(found) = self.peek() else {
            return Err(self.refuse_at(start, "a backslash at the end; write `\\\\` for the character itself"));
        };
        self.at += 1;
        let one = Escape::Character;
        Ok(match found {
            't' => one('\t'),
            'n' => one('\n'),
            'r' => one('\r'),
            'f' => one('\u{c}'),
            'a' => one('\u{7}'),
            'e' => one('\u{1b}'),
            'c' => one(self.control(start)?),
            '0' => one(self.octal(start)?),
            'x' => one(self.hexadecimal(start)?),
            'u' => one(self.unicode(start)?),
            'N' => self.named(start)?,
            'Q' => Escape::Quoted(self.quote()),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'h' | 'H' | 'v' | 'V' => Escape::Set(self.set(found)),
            'p' | 'P' => self.property(start, found == 'P')?,
            _ if found.is_ascii_alphanumeric() && !in_class => self.assertion(start, found)?,
            _ if found.is_ascii_alphanumeric() => {
                return Err(self.refuse_at(start, format!("`\\{found}` is no escape inside of `[...]`")));
            }
            _ => one(found),
        })
    }

    fn set(&self, letter: char) -> String {
        let unicode = self.flags.unicode;
        let set = match letter.to_ascii_lowercase() {
            'd' if unicode => "\\p{Nd}",
            's' if unicode => "\\s",
            'w' if unicode => "\\w",
            'd' => "0-9",
            's' => " \\t\\n\\x{b}\\x{c}\\r",
            'w' => "a-zA-Z0-9_",
            'h' => HORIZONTAL,
            _ => VERTICAL,
        };
        if letter.is_ascii_uppercase() { format!("[^{set}]") } else { set.to_owned() }
    }

    /// Reads the escapes that stand for no character of a class.
    fn assertion(&mut self, start: usize, found: char) -> Result<Escape, Refusal> {
        let written = match found {
            'A' | 'B' | 'z' => format!("\\{found}"),
            'b' if self.input[self.at..].starts_with(&['{', 'g', '}']) => {
                self.at += 3;
                self.only_java("`\\b{g}`");
                String::new()
            }
            'b' => "\\b".to_owned(),
            'G' => "\\G".to_owned(),
            'Z' => END.to_owned(),
            'R' => format!("(?:\\r\\n|[{VERTICAL}])"),
            'X' => {
                self.only_java("`\\X`");
                String::new()
            }
            'k' => self.named_reference(start)?,
            '1'..='9' if self.flags.look_behind => {
                return Err(self.refuse_at(start, "a look-behind cannot hold a reference to a group"));
            }
            '1'..='9' => self.reference(found),
            _ => {
                let message = format!("`\\{found}` is no escape of Java's; a letter needs no backslash");
                return Err(self.refuse_at(start, message));
            }
        };
        Ok(Escape::Other(written))
    }

    fn named_reference(&mut self, start: usize) -> Result<String, Refusal> {
        if !self.take('<') {
            return Err(self.refuse_at(start, "`\\k` is followed by the name of a group: `\\k<name>`"));
        }
        let name = self.group_name()?;
        if !self.names.contains(&name) {
            return Err(self.refuse_at(start, format!("no group is named `{name}` before this place")));
        }
        Ok(format!("\\k<{name}>"))
    }

    /// As many digits as there are groups to mean; a group that is not there never matches.
    fn reference(&mut self, first: char) -> String {
        let mut number = first.to_digit(10).unwrap_or(0) as usize;
        while let Some(digit) = self.peek().and_then(|found| found.to_digit(10)) {
            let longer = number * 10 + digit as usize;
            if longer > self.groups {
                break;
            }
            number = longer;
            self.at += 1;
        }
        if number > self.groups { "(?!)".to_owned() } else { format!("(?:\\{number})") }
    }

    fn quote(&mut self) -> Vec<char> {
        let rest = &self.input[self.at..];
        let length = rest.windows(2).position(|pair| pair == ['\\', 'E']);
        let characters = rest[..length.unwrap_or(rest.len())].to_vec();
        self.at += length.map_or(rest.len(), |length| length + 2);
        characters
    }

    fn control(&mut self, start: usize) -> Result<char, Refusal> {
        let found = self.peek().ok_or_else(|| self.refuse_at(start, "`\\c` is followed by a character"))?;
        self.at += 1;
        Ok(char::from_u32(u32::from(found) ^ 64).unwrap_or(found))
    }

    fn octal(&mut self, start: usize) -> Result<char, Refusal> {
        let (mut value, mut digits) = (0, 0);
        while let Some(digit) = self.peek().and_then(|found| found.to_digit(8)) {
            if digits == 3 || value * 8 + digit > 0o377 {
                break;
            }
            value = value * 8 + digit;
            digits += 1;
            self.at += 1;
        }
        if digits == 0 {
            return Err(self.refuse_at(start, "`\\0` is followed by an octal number"));
        }
        Ok(char::from_u32(value).unwrap_or('\0'))
    }

    fn hexadecimal(&mut self, start: usize) -> Result<char, Refusal> {
        if !self.take('{') {
            return self.digits(start, 2);
        }
        let mut value = 0u32;
        let first = self.at;
        while let Some(digit) = self.peek().and_then(|found| found.to_digit(16)) {
            value = value.saturating_mul(16).saturating_add(digit);
            self.at += 1;
        }
        if self.at == first || !self.take('}') {
            return Err(self.refuse_at(start, "`\\x{` is followed by a hexadecimal number and `}`"));
        }
        if value > 0x0010_ffff {
            return Err(self.refuse_at(start, "there is no such character"));
        }
        Ok(self.character(value))
    }

    fn unicode(&mut self, start: usize) -> Result<char, Refusal> {
        self.digits(start, 4)
    }

    fn digits(&mut self, start: usize, count: usize) -> Result<char, Refusal> {
        let mut value = 0;
        for _ in 0..count {
            let digit = self.peek().and_then(|found| found.to_digit(16));
            let message = || format!("this escape is followed by {count} hexadecimal digits");
            value = value * 16 + digit.ok_or_else(|| self.refuse_at(start, message()))?;
            self.at += 1;
        }
        Ok(self.character(value))
    }

    /// Half of a surrogate pair is a character to Java only.
    fn character(&mut self, value: u32) -> char {
        char::from_u32(value).unwrap_or_else(|| {
            self.only_java("half of a surrogate pair");
            '\0'
        })
    }

    fn named(&mut self, start: usize) -> Result<Escape, Refusal> {
        let Some(name) = self.braced() else {
            return Err(self.refuse_at(start, "`\\N` is followed by the name of a character: `\\N{...}`"));
        };
        let letters = name.bytes().any(|byte| byte.is_ascii_alphabetic());
        if !letters
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'(' | b')'))
        {
            return Err(self.refuse_at(start, "there is no character of this name"));
        }
        self.only_java(format!("`\\N{{{name}}}`"));
        Ok(Escape::Character(' '))
    }

    fn braced(&mut self) -> Option<String> {
        let rest = self.input.get(self.at..)?.strip_prefix(&['{'])?;
        let length = rest.iter().position(|found| *found == '}')?;
        self.at += length + 2;
        Some(rest[..length].iter().collect())
    }

    /// Reads the property behind `\p` or `\P`.
    fn property(&mut self, start: usize, negated: bool) -> Result<Escape, Refusal> {
        let name = if self.peek() == Some('{') {
            let unclosed = self.refuse_at(start, "the name of this property is not closed with `}`");
            self.braced().ok_or(unclosed)?
        } else {
            let letter = self.peek().map(String::from);
            self.at += usize::from(letter.is_some());
            letter.unwrap_or_default()
        };
        let set = match known_property(&name) {
            Property::Set(set) => set,
            Property::Java => {
                self.only_java(format!("the property `{name}`"));
                "a".to_owned()
            }
            Property::Unknown => {
                let message =
                    format!("there is no property `{name}`; Java knows `\\p{{L}}`, `\\p{{IsLatin}}`, `\\p{{Alpha}}`");
                return Err(self.refuse_at(start, message));
            }
        };
        Ok(Escape::Set(if negated { format!("[^{set}]") } else { set }))
    }
}

enum Property {
    /// As it is written inside of a class.
    Set(String),
    /// Known to Java, or maybe.
    Java,
    Unknown,
}

fn known_property(name: &str) -> Property {
    if let Some((_, posix)) = POSIX.iter().find(|(java, _)| *java == name) {
        return Property::Set(format!("[:{posix}:]"));
    }
    if let Some((_, near)) = METHODS.iter().find(|(java, _)| *java == name) {
        return if near.is_empty() { Property::Java } else { Property::Set((*near).to_owned()) };
    }
    match name {
        "all" => return Property::Set("\\x{0}-\\x{10ffff}".to_owned()),
        "L1" => return Property::Set("\\x{0}-\\x{ff}".to_owned()),
        "LD" => return Property::Set("\\p{L}\\p{Nd}".to_owned()),
        _ => {}
    }
    let tabled = |value: &str| {
        let written = format!("\\p{{{value}}}");
        let letters = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (letters && fancy_regex::Regex::new(&written).is_ok()).then_some(Property::Set(written))
    };
    let category = |value: &str| {
        let short = matches!(value.as_bytes(), [b'A'..=b'Z'] | [b'A'..=b'Z', b'a'..=b'z' | b'C']);
        // The halves of surrogate pairs, which no text of this program has.
        if value == "Cs" { Some(Property::Java) } else { short.then(|| tabled(value)).flatten() }
    };
    if let Some(bare) = name.strip_prefix("Is") {
        let java = BINARY.contains(&bare.to_ascii_lowercase().as_str()).then_some(Property::Java);
        return category(bare).or_else(|| tabled(bare)).or(java).unwrap_or(Property::Unknown);
    }
    match name.split_once('=') {
        Some((key, value)) => match key.to_ascii_lowercase().as_str() {
            "script" | "sc" => tabled(value).unwrap_or(Property::Unknown),
            "general_category" | "gc" => category(value).unwrap_or(Property::Unknown),
            "block" | "blk" => Property::Java,
            _ => Property::Unknown,
        },
        None if name.starts_with("In") => Property::Java,
        None => category(name).unwrap_or(Property::Unknown),
    }
}
