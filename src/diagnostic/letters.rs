//! Letters that are not what they look like: they come in by copying, and nobody sees why a name is not known.

use unicode_security::confusable_detection::skeleton;

/// What to know of the letters of a text: the first that cannot be seen, or that looks like another one amid such.
pub(super) fn remark(text: &str) -> Option<String> {
    let unseen = text.chars().find_map(|letter| Some((letter, unseen(letter)?)));
    if let Some((letter, what)) = unseen {
        return Some(format!("in it is {what} ({})", code_point(letter)));
    }
    let words = text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
    // A word of another script is what it is; one of two scripts is a slip.
    let mixed = words.filter(|word| word.contains(|letter: char| letter.is_ascii_alphanumeric()));
    mixed.flat_map(str::chars).find_map(|letter| {
        let looks = looks_like(letter)?;
        Some(format!("`{letter}` ({}) looks like `{looks}` and is another letter", code_point(letter)))
    })
}

fn code_point(letter: char) -> String {
    format!("U+{:04X}", u32::from(letter))
}

/// What a letter is that leaves no trace, or looks like a space.
fn unseen(letter: char) -> Option<&'static str> {
    match letter {
        '\u{a0}' | '\u{202f}' => Some("a no-break space, which is no space"),
        '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{3000}' => {
            Some("a wide or narrow space, which is no space")
        }
        '\u{ad}' => Some("a soft hyphen, which is not shown"),
        '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{180e}' => {
            Some("a character without a width")
        }
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
