//! What handles a rule's notifications: a script that is there, or Lua in the rule file with its line.

use std::{fs, io, path::Path};

use super::{
    Handler, keys, letters, load,
    node::{Entry, Value},
    resolve::Context,
};
use crate::diagnostic::{Diagnostic, Place};

/// Words that no function of Lua's can be called.
pub(super) const RESERVED: [&str; 22] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// Reads the handler of a rule, whichever way it is given.
pub(super) fn read(context: &mut Context<'_>, entries: &[Entry], title: &str, place: &Place) -> Option<Handler> {
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    match (find(keys::HANDLER), find(keys::LUA)) {
        (Some(handler), Some(lua)) => {
            let (first, second) = if handler.at < lua.at { (handler, lua) } else { (lua, handler) };
            let message = format!("{title} has both `handler` and `lua`");
            let diagnostic = Diagnostic::error("handler", message)
                .at(context.document.key_place(second))
                .related(context.document.key_place(first), "the other one")
                .help("keep one of them");
            context.tell(diagnostic);
            None
        }
        (Some(entry), None) => script(context, entry),
        (None, Some(entry)) => inline(context, entry),
        (None, None) => {
            let meant = |entry: &Entry| matches!(keys::meant(&entry.key), Some(keys::HANDLER | keys::LUA));
            if !entries.iter().any(|entry| !keys::is_key(&entry.key) && meant(entry)) {
                let help = "add `handler: scripts/name.lua`, or the code itself below `lua: |`";
                let message = format!("{title} has no `handler`");
                context.tell(Diagnostic::error("missing-key", message).at(place.clone()).help(help));
            }
            None
        }
    }
}

fn script(context: &mut Context<'_>, entry: &Entry) -> Option<Handler> {
    let Some(text) = entry.value.text().filter(|text| !text.trim().is_empty()) else {
        context.wrong(entry, "the path of a Lua script", Some("for example `handler: scripts/ping.lua`"));
        return None;
    };
    let place = context.document.place(&entry.value);
    let (path, function) = match split(text) {
        Ok(split) => split,
        Err(message) => {
            let help = "write the name of a function behind the last colon: `scripts/groups.lua:on_rename`";
            context.tell(Diagnostic::error("handler", message).at(place).help(help));
            return None;
        }
    };
    let full = context.folder.join(path);
    context.looked_for.insert(full.clone());
    if let Some(diagnostic) = no_script(&full, path, context.folder) {
        context.tell(diagnostic.at(place));
        return None;
    }
    check_place(context, &full, path, &place);
    letters::of_name(context, entry);
    Some(Handler::Script { path: full, function: function.map(str::to_owned), place })
}

/// Splits a path from the name of a function behind the last colon.
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    let Some((path, function)) = text.rsplit_once(':') else { return Ok((text, None)) };
    let mut letters = function.chars();
    let starts = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    let named = starts && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let shown = function.escape_debug();
    match path {
        "" => Err("the path before the colon is missing".to_owned()),
        _ if RESERVED.contains(&function) => Err(format!("`{shown}` is a word of Lua's own, not a function")),
        _ if named => Ok((path, Some(function))),
        _ if function.is_empty() => Err("the name of a function is missing behind the colon".to_owned()),
        // A colon may be part of the path itself.
        _ if is_lua(Path::new(text)) => Ok((text, None)),
        _ => Err(format!("`{shown}` is no name of a Lua function")),
    }
}

/// Tells a path that leads to no script. Nothing that is not called one is ever opened: lines of it would be shown.
fn no_script(full: &Path, written: &str, folder: &Path) -> Option<Diagnostic> {
    let shown = written.escape_debug();
    match fs::metadata(full) {
        Ok(found) if found.is_dir() => {
            let message = format!("`{shown}` is a directory");
            Some(Diagnostic::error("handler", message).help("name a script in it"))
        }
        Ok(found) if !found.is_file() => Some(Diagnostic::error("handler", format!("`{shown}` is not a regular file"))),
        Ok(_) if !is_lua(full) => {
            let message = format!("`{shown}` is no Lua script: its name does not end in `.lua`");
            Some(Diagnostic::error("handler", message).help("name a script, such as `scripts/ping.lua`"))
        }
        Ok(_) => match fs::canonicalize(full) {
            Ok(real) if !is_kept_lua(&real) => {
                let message = format!("`{shown}` is a link to `{}`, which is no Lua script", real.display());
                Some(Diagnostic::error("handler", message).help("let it lead to a file with `.lua` in its name"))
            }
            _ => None,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let help = match near(full, written).filter(|near| is_lua(Path::new(near))) {
                Some(near) => format!("did you mean `{near}`?"),
                None if !is_lua(full) => "the name of a script ends in `.lua`".to_owned(),
                None if Path::new(written).is_absolute() => "an absolute path is taken as it is".to_owned(),
                None => match load::shown(folder) {
                    below if below.is_empty() => "paths start at the rule file's directory".to_owned(),
                    below => format!("paths start at the rule file's directory, `{below}`"),
                },
            };
            let code = if is_lua(full) { "handler-missing" } else { "handler" };
            Some(Diagnostic::error(code, format!("there is no script `{shown}`")).help(help))
        }
        Err(error) => Some(Diagnostic::error("handler", format!("`{shown}` cannot be read: {error}"))),
    }
}

/// Whether a path is called as a Lua script is.
pub(crate) fn is_lua(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "lua")
}

/// Whether a path to which links lead is called as a Lua script is, or as those who keep several of it call one:
/// `ping.lua.2`.
pub(crate) fn is_kept_lua(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.split('.').skip(1).any(|part| part == "lua")
}

/// Tells a script that lies neither below the rule file's directory nor below the one that the file is linked from.
fn check_place(context: &mut Context<'_>, full: &Path, written: &str, place: &Place) {
    let Ok(real) = fs::canonicalize(full) else { return };
    if context.homes.iter().any(|home| real.starts_with(home)) {
        return;
    }
    let message = format!("`{}` leads out of the rule file's directory", written.escape_debug());
    let help = "keep scripts in it or below: what is elsewhere stays behind when it is moved, and others may change it";
    context.tell(Diagnostic::warning("handler-outside", message).at(place.clone()).help(help));
}

/// The written path with the name of a file that is there.
fn near(full: &Path, written: &str) -> Option<String> {
    if full.extension().is_none() && full.with_extension("lua").is_file() {
        return Some(format!("{written}.lua"));
    }
    let written = Path::new(written);
    if let Some(near) = load::near(full) {
        return Some(load::shown(&written.with_file_name(Path::new(&near).file_name()?)));
    }
    // The slip may be in the directory's name.
    let folder = load::near(full.parent()?)?;
    let there = Path::new(&folder).join(full.file_name()?).is_file();
    let folder = written.parent()?.with_file_name(Path::new(&folder).file_name()?);
    there.then(|| load::shown(&folder.join(full.file_name().unwrap_or_default())))
}

fn inline(context: &mut Context<'_>, entry: &Entry) -> Option<Handler> {
    let code = match &entry.value.value {
        Value::Text(code) if !code.trim().is_empty() => code,
        Value::Text(_) | Value::Null => {
            let message = format!("`{}` holds no code", entry.key);
            let help = "write `lua: |` and the code below, indented";
            let place = context.document.key_place(entry);
            context.tell(Diagnostic::error("handler", message).at(place).help(help));
            return None;
        }
        _ => {
            context.wrong(entry, "Lua code as a text", Some("write `lua: |` and the code below, indented"));
            return None;
        }
    };
    let document = context.document;
    let start = document.text_start(&entry.value);
    let header = document.source.text[start..].chars().next();
    let block = matches!(header, Some('|' | '>'));
    let (line, below) = document.line(start, usize::from(block));
    let place = if block { below } else { document.place(&entry.value) };
    if header == Some('>') && code.trim_end().contains(' ') {
        let warning = Diagnostic::warning("folded-code", "`>` joins the lines of the code into one");
        context.tell(warning.at(context.document.place(&entry.value)).help("write `lua: |`"));
    }
    Some(Handler::Inline { code: code.clone(), line, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_lead_to_one_of_several_that_are_kept() {
        for name in ["ping.lua", "ping.lua.2", "/srv/.ping.lua.even", "ping.v2.lua"] {
            assert!(is_kept_lua(Path::new(name)), "{name}");
        }
        for name in ["/etc/passwd", "lua", "key.luac", "lua.key", "/srv/x.lua/key", ""] {
            assert!(!is_kept_lua(Path::new(name)), "{name}");
        }
        assert!(is_lua(Path::new("ping.lua")) && !is_lua(Path::new("ping.lua.2")));
    }
}
