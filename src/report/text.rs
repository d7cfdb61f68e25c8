//! Texts of strangers: made safe to be shown, and cut before they are copied.
//!
//! What could end a line, colour a terminal, turn the direction of writing or hide is shown as an escape. Lengths are
//! those of what is shown, whichever form the log has, so that a line made of texts that fit is a line that fits.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::diagnostic::counted;

/// Bytes of one text, as shown.
pub const LONGEST_TEXT: usize = 4 * 1024;

/// Bytes that the mark of a cut takes at most, and a few words behind it.
const MARK: usize = 96;

/// Whether a letter is shown as an escape: control characters, those that turn the direction of writing, and those that
/// nobody sees. What makes one sign of several, as the variation selectors of emoji do, is no such letter; the joiner of
/// width zero is one, as names are told apart by nothing else.
fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Escapes a text for people.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_harmful(letter) { out.extend(letter.escape_default()) } else { out.push(letter) }
    }
    out
}

/// Writes JSON as one line of text, in which harmful letters stand escaped, too.
pub(super) fn write_json(value: &Json, out: &mut String) {
    // Beyond ASCII, and where DEL is concerned, JSON has letters in its strings only.
    for letter in value.to_string().chars() {
        if is_harmful(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(letter);
        }
    }
}

/// The bytes that a letter takes in a line, in the form that needs more.
fn width(letter: char) -> usize {
    match letter {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        _ if is_harmful(letter) => {
            if letter > '\u{ffff}' {
                12
            } else {
                8
            }
        }
        _ => letter.len_utf8(),
    }
}

/// The bytes that a text takes in a line.
pub fn length(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Copies a text, but no more than takes so many bytes in a line; what was cut says how much it was. Bytes that are not
/// UTF-8 are replaced.
pub fn clipped(bytes: &[u8], most: usize) -> String {
    let head = &bytes[..bytes.len().min(most)];
    let (mut out, mut room, mut used) = (String::new(), most, 0);
    'text: for chunk in head.utf8_chunks() {
        let letters = chunk.valid().chars().map(|letter| (letter, letter.len_utf8()));
        let invalid = Some((char::REPLACEMENT_CHARACTER, chunk.invalid().len())).filter(|(_, length)| *length > 0);
        for (letter, length) in letters.chain(invalid) {
            let is_divided = used + length == head.len() && head.len() < bytes.len() && letter == '\u{fffd}';
            match room.checked_sub(width(letter)) {
                Some(rest) if !is_divided => room = rest,
                _ => break 'text,
            }
            out.push(letter);
            used += length;
        }
    }
    if used < bytes.len() {
        let _ = write!(out, "… ({} left out)", counted(bytes.len() - used, "byte"));
    }
    out
}

/// Cuts a text that is not from [`clipped`]; one that is stays as it is.
pub fn cut(text: &str) -> String {
    if length(text) <= LONGEST_TEXT + MARK { text.to_owned() } else { clipped(text.as_bytes(), LONGEST_TEXT) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_hides_is_escaped_in_both_forms() {
        let text =
            "a\u{1b}[31m\n\r\t\0\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{200b}\u{200d}\u{202e}\u{2066}\u{feff}\u{e0041}b";
        let human = "a\\u{1b}[31m\\n\\r\\t\\u{0}\\u{7f}\\u{85}\\u{9b}\\u{ad}\\u{61c}\\u{200b}\\u{200d}\\u{202e}\\u{2066}\
                     \\u{feff}\\u{e0041}b";
        assert_eq!(escaped(text), human);
        let mut json = String::new();
        write_json(&text.into(), &mut json);
        assert!(json.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["Grüße, Ærøskøbing", "❤️ 👍🏽", "日本語", "עברית العربية", "a\\b \"c\""]
        {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_letters_and_says_so() {
        assert_eq!(clipped(b"12345678", 8), "12345678");
        assert_eq!(clipped(b"123456789", 8), "12345678… (1 byte left out)");
        assert_eq!(clipped("12345é".as_bytes(), 6), "12345… (2 bytes left out)");
        assert_eq!(clipped("1234é6".as_bytes(), 5), "1234… (3 bytes left out)");
        assert_eq!(clipped(b"a\xffb", 8), "a\u{fffd}b");
        assert_eq!(clipped(b"\n\n\n\n\n", 8), "\n\n\n\n… (1 byte left out)");
        assert_eq!(clipped(&[0; 100], 8), "\0… (99 bytes left out)");
    }

    proptest! {
        #[test]
        fn whatever_it_is_the_line_has_room_for_it(bytes: Vec<u8>, most in 0_usize..64) {
            let text = clipped(&bytes, most);
            let mut json = String::new();
            write_json(&text.clone().into(), &mut json);
            prop_assert!(escaped(&text).len() <= most + MARK && json.len() <= most + MARK + 2, "{json}");
        }

        #[test]
        fn what_fits_is_whole(text: String) {
            prop_assert_eq!(clipped(text.as_bytes(), length(&text)), text);
        }
    }
}
