//! `gsub` with a text: the replacement's captures, and a bound on what is made.

use std::ops::Range;

use super::pattern::{Captured, ESCAPE, Matcher, Mistake, anchored};

/// The subject with what matches replaced, none where nothing does, and how often.
pub(super) type Replaced = (Option<Vec<u8>>, u64);

/// Replaces at most so many matches by a text with captures in it; the result has at most `largest` bytes.
pub(super) fn replace(
    subject: &[u8],
    pattern: &[u8],
    by: &[u8],
    most: u64,
    largest: usize,
    over: fn() -> bool,
) -> Result<Replaced, Mistake> {
    let (anchored, pattern) = anchored(pattern);
    let mut matcher = Matcher::new(subject, pattern, over);
    let (mut result, mut count, mut last) = (Vec::new(), 0, None);
    while count < most {
        let from = last.unwrap_or(0);
        let Some(found) = matcher.search(from, last, anchored)? else { break };
        append(&mut result, &subject[from..found.start], largest)?;
        expand(&mut matcher, &mut result, by, &found, largest)?;
        (count, last) = (count + 1, Some(found.end));
        if anchored {
            break;
        }
    }
    let Some(last) = last else { return Ok((None, 0)) };
    append(&mut result, &subject[last..], largest)?;
    Ok((Some(result), count))
}

/// Adds a replacement, with the captures of the match that it names.
fn expand(
    matcher: &mut Matcher<'_>,
    result: &mut Vec<u8>,
    mut by: &[u8],
    found: &Range<usize>,
    largest: usize,
) -> Result<(), Mistake> {
    let subject = matcher.subject;
    while let Some(at) = memchr::memchr(ESCAPE, by) {
        matcher.spend(1 + at / 64)?;
        append(result, &by[..at], largest)?;
        let captured = match by.get(at + 1) {
            Some(b'%') => {
                append(result, b"%", largest)?;
                None
            }
            Some(b'0') => Some(Captured::Text(found.start, found.end)),
            Some(digit @ b'1'..=b'9') => Some(matcher.capture(usize::from(digit - b'1'), found)?),
            _ => return Err(Mistake::Replacement),
        };
        match captured {
            Some(Captured::Text(start, end)) => append(result, &subject[start..end], largest)?,
            Some(Captured::Position(at)) => append(result, (at + 1).to_string().as_bytes(), largest)?,
            None => {}
        }
        by = &by[at + 2..];
    }
    append(result, by, largest)
}

fn append(result: &mut Vec<u8>, bytes: &[u8], largest: usize) -> Result<(), Mistake> {
    if bytes.len() > largest - result.len() {
        return Err(Mistake::TooLarge);
    }
    result.extend_from_slice(bytes);
    Ok(())
}
