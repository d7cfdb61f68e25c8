//! Letters that are not what they look like: they come in by copying, and nobody sees why a name is not known.
//!
//! [`remark`] guesses about a text that is wrong anyway. [`slip`] finds what is certainly not as its author meant it in a
//! text that is right otherwise.

use std::ops::Range;

use unicode_security::{MixedScript, confusable_detection::skeleton};

/// The codes of what is told of slips. They name the letter themselves.
pub(super) const CODES: [&str; 2] = [HIDDEN, ALIKE];
pub(crate) const HIDDEN: &str = "hidden-letter";
const ALIKE: &str = "look-alike";

/// A letter that nobody has written knowingly.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slip {
    /// Where it is, in bytes.
    pub(crate) span: Range<usize>,
    pub(crate) code: &'static str,
    /// The letter, with its code point.
    pub(crate) what: String,
    pub(crate) letter: char,
    /// The text as it was most likely meant.
    pub(crate) meant: String,
}

impl Slip {
    /// Whether it can be seen, and is taken for another letter.
    pub(crate) fn is_alike(&self) -> bool {
        self.code == ALIKE
    }
}

/// The first letter of a text that cannot be seen, or that makes a word look as if it were one of Latin letters.
///
/// What joins emoji or belongs to a script that is written with it is no slip.
pub(crate) fn slip(text: &str) -> Option<Slip> {
    hidden(text).or_else(|| alike(text))
}

/// Each letter of a program that makes a line look as if it were written in another order, with where it is, in bytes.
///
/// Texts in languages that are written from right to left have others, which end where they say.
pub(crate) fn reversals(text: &str) -> impl Iterator<Item = (Range<usize>, String)> {
    let mut start = 0;
    let lines = text.split_inclusive('\n').map(move |line| {
        start += line.len();
        (start - line.len(), line)
    });
    lines
        .filter_map(|(start, line)| {
            let (mut open, mut first) = (0_usize, None);
            for (at, letter) in line.char_indices() {
                match letter {
                    '\u{202d}' | '\u{202e}' => return Some((start + at, letter)),
                    '\u{202a}' | '\u{202b}' => {
                        open += 1;
                        first = first.or(Some((start + at, letter)));
                    }
                    '\u{202c}' => open = open.saturating_sub(1),
                    _ => {}
                }
            }
            first.filter(|_| open > 0)
        })
        .filter_map(|(at, letter)| {
            let what = format!("{} ({})", unseen(letter)?, code_point(letter));
            Some((at..at + letter.len_utf8(), what))
        })
}

fn hidden(text: &str) -> Option<Slip> {
    let letters: Vec<(usize, char)> = text.char_indices().collect();
    let is_leftward = text.contains(is_leftward);
    let is_hidden = |at: usize| {
        let before = at.checked_sub(1).map(|at| letters[at].1);
        let behind = letters.get(at + 1).map(|(_, letter)| *letter);
        match letters[at].1 {
            // They join emoji, and the letters of some scripts.
            '\u{200c}' | '\u{200d}' => {
                let is_latin = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
                (before.is_some() || behind.is_some()) && is_latin(before) && is_latin(behind)
            }
            '\u{61c}' | '\u{200e}' | '\u{200f}' => !is_leftward,
            // They choose a form of what is before them, such as an emoji; with them regions are written for their flags.
            '\u{fe00}'..='\u{fe0f}' => before.is_none_or(|before| before.is_ascii_alphabetic()),
            '\u{e0020}'..='\u{e007f}' => {
                !before.is_some_and(|before| matches!(before, '\u{1f3f4}' | '\u{e0020}'..='\u{e007f}'))
            }
            letter => unseen(letter).is_some(),
        }
    };
    let at = (0..letters.len()).find(|at| is_hidden(*at))?;
    let (start, letter) = letters[at];
    let meant = (0..letters.len()).filter_map(|at| match letters[at].1 {
        letter if !is_hidden(at) => Some(letter),
        letter => is_blank(letter).then_some(' '),
    });
    Some(Slip {
        span: start..start + letter.len_utf8(),
        code: HIDDEN,
        what: format!("{} ({})", unseen(letter)?, code_point(letter)),
        letter,
        meant: meant.collect(),
    })
}

fn alike(text: &str) -> Option<Slip> {
    let latin = |letter: char| looks_like(letter).filter(char::is_ascii_alphabetic);
    // One script's letters amid another's are a word of two languages, unless all of them pass for the other's.
    let passes = |word: &str| {
        word.contains(|letter: char| letter.is_ascii_alphabetic())
            && !word.is_single_script()
            && word.chars().all(|letter| letter.is_ascii() || latin(letter).is_some())
    };
    let word = words(text).find(|(_, word)| passes(word));
    let (start, letter) = word.and_then(|(start, word)| {
        let (at, letter) = word.char_indices().find(|(_, letter)| !letter.is_ascii())?;
        Some((start + at, letter))
    })?;
    let mut meant = text.to_owned();
    for (at, word) in words(text).filter(|(_, word)| passes(word)).collect::<Vec<_>>().into_iter().rev() {
        let plain: String = word.chars().map(|letter| latin(letter).unwrap_or(letter)).collect();
        meant.replace_range(at..at + word.len(), &plain);
    }
    let what = format!("`{letter}` ({}), which looks like `{}`", code_point(letter), latin(letter)?);
    Some(Slip { span: start..start + letter.len_utf8(), code: ALIKE, what, letter, meant })
}

/// The words of a text, each with its byte.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let words = text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
    words.map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// What to know of the letters of a text: the first that cannot be seen, or that looks like another one amid such.
pub(super) fn remark(text: &str) -> Option<String> {
    let unseen = text.chars().find_map(|letter| Some((letter, unseen(letter)?)));
    if let Some((letter, what)) = unseen {
        return Some(format!("in it is {what} ({})", code_point(letter)));
    }
    // A word of another script is what it is; one of two scripts is a slip.
    let mixed = words(text).map(|(_, word)| word);
    let mixed = mixed.filter(|word| word.contains(|letter: char| letter.is_ascii_alphanumeric()));
    mixed.flat_map(str::chars).find_map(|letter| {
        let looks = looks_like(letter)?;
        Some(format!("`{letter}` ({}) looks like `{looks}` and is another letter", code_point(letter)))
    })
}

fn code_point(letter: char) -> String {
    format!("U+{:04X}", u32::from(letter))
}

/// Whether a letter is of a script that is written from right to left: Hebrew, Arabic and their like.
fn is_leftward(letter: char) -> bool {
    matches!(letter, '\u{590}'..='\u{61b}' | '\u{61d}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

/// Whether a letter looks like a space.
fn is_blank(letter: char) -> bool {
    matches!(letter, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// What a letter is that leaves no trace, or looks like a space.
fn unseen(letter: char) -> Option<&'static str> {
    match letter {
        '\u{a0}' | '\u{202f}' => Some("a no-break space, which is no space"),
        _ if is_blank(letter) => Some("a wide or narrow space, which is no space"),
        '\u{ad}' => Some("a soft hyphen, which is not shown"),
        '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{180e}' | '\u{34f}' => {
            Some("a character without a width")
        }
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' => Some("a letter that is not shown"),
        '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e007f}' | '\u{206a}'..='\u{206f}' => {
            Some("a character that is not shown")
        }
        '\u{2028}' | '\u{2029}' => Some("a line separator, which ends no line here"),
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some("a character that turns the direction of writing")
        }
        _ => None,
    }
}

/// The ASCII letter that it could be taken for.
fn looks_like(letter: char) -> Option<char> {
    if letter.is_ascii() {
        return None;
    }
    let text = letter.to_string();
    let mut shown = skeleton(&text);
    shown.next().filter(|first| first.is_ascii_alphanumeric() && shown.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_has_its_place_and_what_was_meant() {
        for (text, at, code, meant) in [
            ("pi\u{200b}ng", 2, HIDDEN, "ping"),
            ("ping\u{200d}", 4, HIDDEN, "ping"),
            ("all\u{a0}of\u{ad} it", 3, HIDDEN, "all of it"),
            ("a\u{200f}b", 1, HIDDEN, "ab"),
            ("é\u{feff}", 2, HIDDEN, "é"),
            ("a\u{fe0f}", 1, HIDDEN, "a"),
            ("my p\u{456}ng, \u{440}ong", 4, ALIKE, "my ping, pong"),
        ] {
            let found = slip(text).unwrap_or_else(|| panic!("{text:?}"));
            assert_eq!((found.span.start, found.code, &*found.meant), (at, code, meant), "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_shown_in_another_order_is_found() {
        let found = |text: &str| reversals(text).map(|(span, _)| span.start).collect::<Vec<_>>();
        assert_eq!(found("a\n-- \u{202e} b\n'\u{202b}'\n"), [5, 12]);
        for text in ["'\u{202b}א\u{202c}'", "'\u{2068}' .. x", "'א\u{200f}1'", "a\nb"] {
            assert_eq!(found(text), [0; 0], "{text:?}");
        }
    }

    #[test]
    fn what_is_written_so_is_no_slip() {
        let emoji = ["👨\u{200d}👩\u{200d}👧", "👨\u{200d}?👩", "❤\u{fe0f}\u{200d}🔥 1\u{fe0f}\u{20e3}", "[\u{200d}]"];
        let flag = "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}";
        let joined = ["می\u{200c}خواهم", "א\u{200f}1", "ක\u{200d}ෂ"];
        let words =
            ["новости2", "SMSка VKбот API-сервер", "μΩ", "café naïve Größe kapı", "Aさん 名前bot", "сору", "", "ping"];
        for text in emoji.into_iter().chain([flag]).chain(joined).chain(words) {
            assert_eq!(slip(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_named() {
        for (text, words) in [
            ("fil\u{200b}ter", "in it is a character without a width (U+200B)"),
            ("order:\u{a0}rule", "no-break space, which is no space (U+00A0)"),
            ("na\u{ad}me", "soft hyphen"),
            ("a\u{202e}b", "direction"),
        ] {
            assert!(remark(text).unwrap().contains(words), "{text:?}: {:?}", remark(text));
        }
    }

    #[test]
    fn a_letter_of_another_script_is_named_where_it_stands_amid_latin_ones() {
        assert_eq!(remark("n\u{430}me").unwrap(), "`\u{430}` (U+0430) looks like `a` and is another letter");
        assert!(remark("b\u{3bf}dy").unwrap().contains("`o`"));
        for text in ["имя", "café", "naïve", "größe", "名前", "αβγ", "привет body", "", "name"] {
            assert_eq!(remark(text), None, "{text}");
        }
    }
}
