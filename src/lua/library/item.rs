//! What one character is compared with: a byte, a class or a set of a pattern.

use super::pattern::ESCAPE;

/// What one character is compared with.
#[derive(Clone, Copy)]
pub(super) enum Item<'a> {
    Any,
    Byte(u8),
    Class(u8),
    Set(&'a [u8]),
}

impl Item<'_> {
    pub(super) fn has(self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Byte(own) => own == byte,
            Self::Class(class) => is_of(byte, class),
            Self::Set(set) => is_in(byte, set),
        }
    }

    /// Steps that a comparison is worth.
    pub(super) fn cost(self) -> usize {
        if let Self::Set(set) = self { 1 + set.len() / 8 } else { 1 }
    }
}

/// Whether a byte is in what stands between brackets.
fn is_in(byte: u8, set: &[u8]) -> bool {
    let (mut rest, sense) = if let [b'^', rest @ ..] = set { (rest, false) } else { (set, true) };
    while let [first, after @ ..] = rest {
        let has;
        (has, rest) = match (*first, after) {
            (ESCAPE, [class, after @ ..]) => (is_of(byte, *class), after),
            (low, [b'-', high, after @ ..]) => ((low..=*high).contains(&byte), after),
            (own, after) => (own == byte, after),
        };
        if has {
            return sense;
        }
    }
    !sense
}

/// Whether a byte is of a class; a letter that names none stands for itself, as any other byte does.
fn is_of(byte: u8, class: u8) -> bool {
    let is = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => matches!(byte, b' ' | b'\t'..=b'\r'),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    is == class.is_ascii_lowercase()
}
