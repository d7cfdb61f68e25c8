//! Regular expressions as JSON Schema has them, ECMA's: what the loader computes, said by a pattern.

/// A text in any case of its ASCII letters.
pub(crate) fn any_case(text: &str) -> String {
    let both = |letter: char| match letter {
        letter if letter.is_ascii_alphabetic() => {
            format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase())
        }
        letter => escaped(letter),
    };
    text.chars().map(both).collect()
}

/// A name in snake case, and all that [`snake_case`](crate::schema::names::snake_case) makes of others.
pub(super) fn any_camel(name: &str) -> String {
    let mut pieces = Vec::new();
    let mut letters = name.chars().peekable();
    if let Some(first) = letters.next_if(char::is_ascii_lowercase) {
        pieces.push(any_case(&first.to_string()));
    }
    while let Some(letter) = letters.next() {
        pieces.push(match letters.next_if(|next| letter == '_' && next.is_ascii_lowercase()) {
            Some(next) => format!("(?:_{next}|{})", next.to_ascii_uppercase()),
            None => escaped(letter),
        });
    }
    pieces.concat()
}

fn escaped(letter: char) -> String {
    if letter.is_ascii_alphanumeric() || letter == '_' { letter.to_string() } else { format!("\\{letter}") }
}

/// The numbers from one to another, with zeros before them or without.
pub(super) fn between(low: u64, high: u64) -> String {
    let mut alternatives = Vec::new();
    let mut start = low;
    while start <= high {
        // The greatest power of ten whose digits are all free from here on.
        let fits = |power: &u64| start >= *power && start.is_multiple_of(*power) && high - start >= *power - 1;
        let free = (1..20).take_while(|zeros| 10u64.checked_pow(*zeros).as_ref().is_some_and(fits)).last().unwrap_or(0);
        let power = 10u64.pow(free);
        let (before, first) = (start / power / 10, start / power % 10);
        let last = (first + (high - start - (power - 1)) / power).min(9);
        let class = if first == last { first.to_string() } else { format!("[{first}-{last}]") };
        let before = if before == 0 { String::new() } else { before.to_string() };
        let rest = match free {
            0 => String::new(),
            1 => "[0-9]".to_owned(),
            more => format!("[0-9]{{{more}}}"),
        };
        alternatives.push(format!("{before}{class}{rest}"));
        let Some(next) = start.checked_add((last - first + 1) * power) else { break };
        start = next;
    }
    format!("0*(?:{})", alternatives.join("|"))
}

#[cfg(test)]
mod tests {
    use fancy_regex::Regex;

    use super::*;
    use crate::schema::names::snake_case;

    fn whole(pattern: &str) -> Regex {
        Regex::new(&format!("^(?:{pattern})$")).unwrap()
    }

    #[test]
    fn a_range_has_its_numbers_and_no_others() {
        let ends = [0, 1, 2, 5, 9, 10, 11, 19, 20, 90, 99, 100, 101, 109, 110, 199, 200, 345, 999, 1000, 1001, 1234];
        for low in ends {
            for high in ends.into_iter().filter(|high| *high >= low) {
                let range = whole(&between(low, high));
                for number in 0..=1300 {
                    let wanted = (low..=high).contains(&number);
                    assert_eq!(range.is_match(&number.to_string()).unwrap(), wanted, "{low} to {high}: {number}");
                    assert_eq!(range.is_match(&format!("00{number}")).unwrap(), wanted, "{low} to {high}: 00{number}");
                }
            }
        }
        let big = whole(&between(1 << 20, u64::MAX));
        let inside = [1 << 20, 10_000_000, u64::MAX - 1, u64::MAX].map(|number: u64| number.to_string());
        assert!(inside.iter().all(|number| big.is_match(number).unwrap()));
        assert!(!big.is_match("18446744073709551616").unwrap() && !big.is_match("1048575").unwrap());
    }

    #[test]
    fn a_name_is_read_as_the_loader_reads_it() {
        let pattern = whole(&any_camel("a_name_of_it"));
        for text in ["a_name_of_it", "ANameOfIt", "aNameOfIt", "A_name_ofIt"] {
            assert!(pattern.is_match(text).unwrap() && snake_case(text) == "a_name_of_it", "{text}");
        }
        for text in ["a_Name_of_it", "A_NAME_OF_IT", "anameofit", "a-name-of-it", "ANameOfit"] {
            assert!(!pattern.is_match(text).unwrap() && snake_case(text) != "a_name_of_it", "{text}");
        }
        assert!(whole(&any_case("a.b")).is_match("A.b").unwrap() && !whole(&any_case("a.b")).is_match("a_b").unwrap());
    }
}
