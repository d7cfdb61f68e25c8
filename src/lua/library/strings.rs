//! The host's part of `string.find`, `match`, `gmatch` and `gsub`: arguments in, positions out.
//!
//! What is found is handed over as positions, and the Lua part (`library.lua`) cuts the texts out of the subject: nothing is
//! copied here, and what a script keeps is counted as its VM's memory. A mistake is `false` and what stock Lua would say;
//! the Lua part raises it at the script's line.

use std::ops::Range;

use mlua::{Lua, LuaString, MultiValue, Table, Value};

use super::{
    LARGEST,
    arguments::Arguments,
    pattern::{self, Captured, Matcher, Mistake},
    replace::replace,
};

/// Values that one batch of matches may have: a table of that size is still a small one.
const BATCH: usize = 256;

/// Makes the functions that `library.lua` is given.
pub(super) fn functions(lua: &Lua, over: fn() -> bool) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let find = move |lua: &Lua, given: MultiValue| found(&Arguments::new(lua, "find", given), over);
    table.raw_set("find", lua.create_function(find)?)?;
    let matched = move |lua: &Lua, given: MultiValue| found(&Arguments::new(lua, "match", given), over);
    table.raw_set("match", lua.create_function(matched)?)?;
    let begin = |lua: &Lua, given: MultiValue| begun(&Arguments::new(lua, "gmatch", given));
    table.raw_set("begin", lua.create_function(begin)?)?;
    let by_text = move |lua: &Lua, given: MultiValue| replaced(&Arguments::new(lua, "gsub", given), over);
    table.raw_set("replace", lua.create_function(by_text)?)?;
    table.raw_set("matches", lua.create_function(move |lua, search: Search| matches(lua, search, over))?)?;
    Ok(table)
}

/// Subject, pattern, where to begin, where the last match ended (0: nowhere), how many matches, how many captures of each
/// are asked for, and whether `^` anchors.
type Search = (LuaString, LuaString, usize, usize, usize, usize, bool);

/// Where something goes wrong, what is wrong is the result.
fn told(lua: &Lua, result: Result<MultiValue, Failure>) -> mlua::Result<MultiValue> {
    match result {
        Ok(values) => Ok(values),
        Err(Failure::Mistake(text)) => {
            let text = Value::String(lua.create_string(text)?);
            Ok([Value::Boolean(false), text].into_iter().collect())
        }
        Err(Failure::Host(error)) => Err(error),
    }
}

/// Why a function has no result.
pub(super) enum Failure {
    /// The script's mistake.
    Mistake(String),
    /// Most likely there is no memory.
    Host(mlua::Error),
}

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Self {
        Self::Mistake(mistake.to_string())
    }
}

impl From<mlua::Error> for Failure {
    fn from(error: mlua::Error) -> Self {
        Self::Host(error)
    }
}

/// The first match: where it begins and ends, and its captures, two values each; nil where there is none.
fn found(given: &Arguments<'_>, over: fn() -> bool) -> mlua::Result<MultiValue> {
    told(given.lua, first(given, over))
}

fn first(given: &Arguments<'_>, over: fn() -> bool) -> Result<MultiValue, Failure> {
    let (subject, pattern) = (given.text(0)?, given.text(1)?);
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let from = offset(given.integer(2)?.unwrap_or(1), subject.len());
    let nothing = || Ok([Value::Nil].into_iter().collect());
    if from > subject.len() {
        return nothing();
    }
    let plain = given.name == "find" && (given.truth(3) || pattern::is_plain(&pattern));
    if plain {
        let Some(at) = memchr::memmem::find(&subject[from..], &pattern) else { return nothing() };
        return Ok([number(from + at + 1), number(from + at + pattern.len())].into_iter().collect());
    }
    let (anchored, pattern) = pattern::anchored(&pattern);
    let mut matcher = Matcher::new(&subject, pattern, over);
    let Some(whole) = matcher.search(from, None, anchored)? else { return nothing() };
    let mut values = MultiValue::with_capacity(2 + 2 * matcher.captures());
    values.extend([number(whole.start + 1), number(whole.end)]);
    for index in 0..matcher.captures() {
        values.extend(ends(matcher.capture(index, &whole)?));
    }
    Ok(values)
}

/// Subject and pattern as texts, and where `gmatch` begins.
fn begun(given: &Arguments<'_>) -> mlua::Result<MultiValue> {
    let begun = || {
        let (subject, pattern) = (given.text(0)?, given.text(1)?);
        let from = offset(given.integer(2)?.unwrap_or(1), subject.as_bytes().len());
        Ok([Value::String(subject), Value::String(pattern), number(from)].into_iter().collect())
    };
    told(given.lua, begun())
}

/// How many values each match has, and then the values of the next matches: none where the subject has no more.
fn matches(lua: &Lua, search: Search, over: fn() -> bool) -> mlua::Result<MultiValue> {
    let (subject, pattern, from, last, most, wanted, anchors) = search;
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let (anchored, pattern) = if anchors { pattern::anchored(&pattern) } else { (false, &*pattern) };
    let mut matcher = Matcher::new(&subject, pattern, over);
    let mut values: MultiValue = [number(2)].into_iter().collect();
    let (mut from, mut last) = (from, (last > 0).then(|| last - 1));
    for _ in 0..most {
        let found = matcher.search(from, last, anchored);
        match found.and_then(|found| found.map(|whole| add(&matcher, &whole, wanted, &mut values)).transpose()) {
            Ok(Some(end)) => (from, last) = (end, Some(end)),
            Ok(None) => break,
            // What came before the mistake comes first.
            Err(_) if values.len() > 1 => break,
            Err(mistake) => return told(lua, Err(mistake.into())),
        }
        if anchored || values.len() > BATCH {
            break;
        }
    }
    Ok(values)
}

/// Adds a match, all or nothing of it. Returns where it ends.
fn add(matcher: &Matcher<'_>, whole: &Range<usize>, wanted: usize, values: &mut MultiValue) -> Result<usize, Mistake> {
    let (length, captures) = (values.len(), matcher.captures().min(wanted));
    values.extend([number(whole.start + 1), number(whole.end)]);
    for index in 0..captures {
        match matcher.capture(index, whole) {
            Ok(one) => values.extend(ends(one)),
            Err(mistake) => {
                values.truncate(length);
                return Err(mistake);
            }
        }
    }
    values[0] = number(2 + 2 * captures);
    Ok(whole.end)
}

/// The new text and how many matches it replaces; for a function or a table: true, how many there may be, and the texts.
fn replaced(given: &Arguments<'_>, over: fn() -> bool) -> mlua::Result<MultiValue> {
    told(given.lua, rewritten(given, over))
}

fn rewritten(given: &Arguments<'_>, over: fn() -> bool) -> Result<MultiValue, Failure> {
    let (subject, pattern) = (given.text(0)?, given.text(1)?);
    let most = given.integer(3)?.unwrap_or(i64::MAX);
    let by = match given.value(2) {
        Value::Function(_) | Value::Table(_) => {
            let values = [Value::Boolean(true), Value::Integer(most), Value::String(subject), Value::String(pattern)];
            return Ok(values.into_iter().collect());
        }
        Value::String(_) | Value::Integer(_) | Value::Number(_) => given.text(2)?,
        _ => return Err(given.expected(2, "string/function/table")),
    };
    let most = u64::try_from(most).unwrap_or(0);
    let bytes = subject.as_bytes();
    let (result, count) = replace(&bytes, &pattern.as_bytes(), &by.as_bytes(), most, LARGEST, over)?;
    drop(bytes);
    let result = match result {
        Some(result) => given.lua.create_string(result)?,
        None => subject,
    };
    Ok([Value::String(result), Value::Integer(count.cast_signed())].into_iter().collect())
}

/// A capture as two values: where a text begins and ends, or a position and false.
fn ends(captured: Captured) -> [Value; 2] {
    match captured {
        Captured::Text(start, end) => [number(start + 1), number(end)],
        Captured::Position(at) => [number(at + 1), Value::Boolean(false)],
    }
}

/// Where a position of a script's, which may count from the end, is in a text of this length.
fn offset(position: i64, length: usize) -> usize {
    let distance = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    if position > 0 {
        distance - 1
    } else if distance == 0 {
        0
    } else {
        length.saturating_sub(distance)
    }
}

/// A count or a position: both are far below the largest integer.
fn number(count: usize) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}
