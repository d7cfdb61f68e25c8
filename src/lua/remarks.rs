//! What is said of a script's text: what reading it tells, what its syntax most likely was to be, and where the lines of a
//! handler stand that is written in a rule file.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use mlua::Table;

use super::{
    convert::names_in,
    lint::{Subject, Syntax, World, lint},
    load::Loaded,
    spec::{ScriptSpec, Text},
};
use crate::diagnostic::{Diagnostic, Place};

/// Bytes of modules that are looked at for what is certainly wrong in them.
const MOST_MODULES: usize = 512 << 10;

/// What reading the script and its modules tells, as it was loaded without a mistake.
pub(super) fn warnings(spec: &ScriptSpec, loaded: &Loaded, prelude: &Table) -> mlua::Result<Vec<Diagnostic>> {
    let mut texts = loaded.host.files.take_texts();
    if spec.is_told {
        return Ok(Vec::new());
    }
    // No more than takes a moment, of however many modules.
    let mut left = MOST_MODULES;
    texts.retain(|module| {
        left = left.saturating_sub(module.text.len());
        left > 0
    });
    let modules: Vec<_> = texts.iter().filter_map(|module| Some((module, Syntax::of(&module.text)?))).collect();
    let libraries: Table = prelude.raw_get("libraries")?;
    let libraries =
        libraries.pairs::<String, Table>().map(|pair| pair.map(|(name, library)| (name, names_in(&library))));
    let mut world = World {
        globals: names_in(&loaded.lua.globals()),
        libraries: libraries.collect::<mlua::Result<_>>()?,
        methods: loaded.host.converter.methods()?,
        fields: BTreeSet::new(),
    };
    for (_, module) in &modules {
        world.extend(module);
    }
    let of_file = |span| Place { source: Arc::clone(&loaded.source), span };
    let of_body;
    let (text, place): (&str, &dyn Fn(Range<usize>) -> Place) = match &spec.text {
        Text::File { .. } => (&loaded.source.text, &of_file),
        Text::Inline { code, line, place: whole } => {
            of_body = |span| inline_place(whole, code, *line, span);
            (code, &of_body)
        }
    };
    let mut told = Vec::new();
    if let Some(syntax) = &Syntax::of(text) {
        let is_body = matches!(spec.text, Text::Inline { .. });
        let handlers = spec.called.iter().map(|(function, kind)| (function.as_deref(), kind.clone())).collect();
        told.extend(lint(&Subject { syntax, is_body, handlers, place }, &world));
    }
    for (module, syntax) in &modules {
        let place = |span| Place { source: Arc::clone(module), span };
        told.extend(lint(&Subject { syntax, is_body: false, handlers: Vec::new(), place: &place }, &world));
    }
    Ok(told)
}

/// Where a line of a handler in a rule file stands, which may be the one behind its last: where the text ends too early.
pub(super) fn inline_line(whole: &Place, code: &str, first: usize, line: usize) -> Place {
    let at = line.saturating_sub(first).min(code.trim_end().lines().count().saturating_sub(1));
    same_line(whole, code, first, at).unwrap_or_else(|| whole.clone())
}

/// The line of a rule file that a line of a handler in it is, counted from 0; none where it is written in another way.
fn same_line(whole: &Place, code: &str, first: usize, at: usize) -> Option<Place> {
    let place = whole.source.line(first + at);
    let written = code.lines().nth(at).unwrap_or_default().trim();
    (whole.source.text.get(place.span.clone()) == Some(written)).then_some(place)
}

/// What to write instead of what other languages have.
pub(super) fn syntax_help(message: &str) -> Option<&'static str> {
    let near = |what: &str| message.contains(&format!("near '{what}'"));
    match () {
        () if near("!") => Some("Lua writes `~=` for unequal, and `not x`"),
        () if near("+") || near("-") || near("*") || near("/") => {
            Some("Lua has no `+=` and no `++`: write `x = x + 1`")
        }
        () if near("<eof>") => {
            Some("something that was begun is not ended: a block by `end`, a bracket by its other half")
        }
        () if near("&") || near("|") => Some("Lua writes `and` and `or`"),
        () => None,
    }
}

/// Where a stretch of a handler in a rule file stands there: the same line, indented further. Where the text starts, where
/// it is written in another way.
fn inline_place(whole: &Place, code: &str, first: usize, span: Range<usize>) -> Place {
    let begin = code[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let Some(line) = same_line(whole, code, first, code[..begin].matches('\n').count()) else { return whole.clone() };
    let written = code[begin..].lines().next().unwrap_or_default();
    let indent = written.len() - written.trim_start().len();
    let start = line.span.start + (span.start - begin).saturating_sub(indent);
    let end = (start + span.len()).min(line.span.end);
    if start < end { Place { span: start..end, ..line } } else { whole.clone() }
}
