//! What is said of a script's text: what reading it tells, what its syntax most likely was to be, and where the lines of a
//! handler stand that is written in a rule file.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use mlua::Table;

use super::{
    convert::names_in,
    lint::{Handles, Subject, World, lint},
    load::Loaded,
    spec::{ScriptSpec, Text},
};
use crate::{
    diagnostic::{Diagnostic, Place},
    rules::{Handler, Rule},
};

/// Bytes of modules that are looked at for what is certainly wrong in them.
const MOST_MODULES: usize = 512 << 10;

/// What reading the script and its modules tells, as it was loaded without a mistake.
pub(super) fn warnings(spec: &ScriptSpec, loaded: &Loaded, prelude: &Table) -> mlua::Result<Vec<Diagnostic>> {
    let libraries: Table = prelude.raw_get("libraries")?;
    let libraries =
        libraries.pairs::<String, Table>().map(|pair| pair.map(|(name, library)| (name, names_in(&library))));
    let mut world = World {
        globals: names_in(&loaded.lua.globals()),
        libraries: libraries.collect::<mlua::Result<_>>()?,
        methods: loaded.host.converter.methods()?,
        fields: BTreeSet::new(),
    };
    // No more than takes a moment, of however many modules.
    let mut left = MOST_MODULES;
    let mut modules = loaded.host.files.take_texts();
    modules.retain(|module| {
        left = left.saturating_sub(module.text.len());
        left > 0
    });
    for module in &modules {
        world.extend(&module.text);
    }
    let source = &loaded.source;
    let of_rule = |rule: &Arc<Rule>| {
        let output = Arc::clone(&rule.subscription.method.output);
        match &rule.handler {
            Handler::Script { function, .. } => (function.clone(), output),
            Handler::Inline { .. } => (None, output),
        }
    };
    let rules: Vec<_> = spec.rules.iter().map(of_rule).collect();
    let mut told = match &spec.text {
        Text::File { .. } => {
            let handlers =
                rules.iter().map(|(function, output)| (Handles::Returned(function.as_deref()), Arc::clone(output)));
            let place = |span| Place { source: Arc::clone(source), span };
            lint(&Subject { text: &source.text, handlers: handlers.collect(), place: &place }, &world)
        }
        Text::Inline { code, line, place: whole } => {
            let handlers = rules.iter().map(|(_, output)| (Handles::Whole, Arc::clone(output)));
            let place = |span| inline_place(whole, code, *line, span);
            lint(&Subject { text: code, handlers: handlers.collect(), place: &place }, &world)
        }
    };
    for module in &modules {
        let place = |span| Place { source: Arc::clone(module), span };
        told.extend(lint(&Subject { text: &module.text, handlers: Vec::new(), place: &place }, &world));
    }
    Ok(told)
}

/// Where a line of a handler in a rule file stands, which may be the one behind its last: where the text ends too early.
pub(super) fn inline_line(whole: &Place, code: &str, first: usize, line: usize) -> Place {
    let at = line.saturating_sub(first).min(code.trim_end().lines().count().saturating_sub(1));
    let place = whole.source.line(first + at);
    let written = code.lines().nth(at).unwrap_or_default().trim();
    if whole.source.text.get(place.span.clone()) == Some(written) { place } else { whole.clone() }
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
    let source = &whole.source;
    let begin = code[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let line = source.line(first + code[..begin].matches('\n').count());
    let written = code[begin..].lines().next().unwrap_or_default();
    let indent = written.len() - written.trim_start().len();
    let start = line.span.start + (span.start - begin).saturating_sub(indent);
    let end = (start + span.len()).min(line.span.end);
    let is_same = source.text.get(line.span.clone()) == Some(written.trim());
    if is_same && start < end { Place { span: start..end, ..line } } else { whole.clone() }
}
