//! What an editor knows of scripts: annotations for language servers (LuaLS and EmmyLua), and the Lua reference.
//!
//! Pure but for `run`: a catalog in, text out. Notifications, commands and datatypes come by reflection, with the proto
//! files' comments. Methods are documented where they are written, `src/lua/methods.lua`, and globals in
//! `src/lua/globals.lua`; annotations and reference are made of the same lines, so that neither can know more.

mod calls;
mod manual;
mod reference;
mod tables;

use std::{fmt::Write as _, fs, path::Path};

use super::{Done, Types, TypesForm, exit, output};
use crate::schema::Catalog;

use manual::Part;
pub use reference::reference;

/// How a file of ours begins; no other one is written over.
const HEAD: &str = "---@meta\n\n-- Made by `olvid-rules types`";

/// The section of the globals' file from which on it is about Lua's own functions.
const LIBRARY: &str = "library";

/// Prints the annotations or the reference, or keeps the annotations in a folder.
pub(super) fn run(arguments: &Types) -> Done {
    let catalog = Catalog::embedded();
    let Some(folder) = &arguments.output else {
        output::answer(&match arguments.format {
            TypesForm::Lua => files(catalog).map(|(_, text)| text).concat(),
            TypesForm::Markdown => reference(),
        });
        return Ok(());
    };
    for (name, text) in files(catalog) {
        let path = folder.join(name);
        match keep(&path, &text) {
            Ok(()) => output::answer(&format!("wrote {}\n", path.display())),
            Err(mistake) => return output::failure(exit::IO, &mistake),
        }
    }
    Ok(())
}

/// Writes the file, or a new version of it: what somebody else wrote stays.
fn keep(path: &Path, text: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    match fs::read(path) {
        Ok(there) if !there.starts_with(HEAD.as_bytes()) => {
            return Err(format!("{} is not a file of `olvid-rules types`; it is left as it is", path.display()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    fs::write(path, text).map_err(failed)
}

/// The annotations for everything that a script can reach, by the names of their files.
///
/// Lua's own functions are in a file apart: a server that cannot be told to forget its own annotations of them (EmmyLua)
/// must not read another one's.
pub fn files(catalog: &Catalog) -> [(&'static str, String); 2] {
    [("olvid.lua", host(catalog)), ("lua.lua", library())]
}

fn host(catalog: &Catalog) -> String {
    let mut out = format!("{HEAD} {}: what scripts can reach, for language servers.\n", env!("CARGO_PKG_VERSION"));
    out.push_str(
        "--\n-- Say what a handler gets, and the editor knows the rest:\n--\n--     \
         ---@param notification olvid.MessageReceivedNotification\n--     ---@param rule olvid.Rule\n--     \
         return function(notification, rule) ... end\n\n",
    );
    for part in manual::globals() {
        match part {
            Part::Made(LIBRARY) => break,
            Part::Entry(entry) => out.push_str(&entry.annotations()),
            _ => {}
        }
    }
    let (methods, classes) = manual::methods();
    for class in &classes {
        out.push_str(&class.closed(&classes));
    }
    tables::write(&mut out, catalog, &methods);
    calls::write(&mut out, catalog);
    out
}

fn library() -> String {
    let mut out = format!("{HEAD} {}: what there is of Lua itself.\n\n", env!("CARGO_PKG_VERSION"));
    let parts = manual::globals();
    for part in parts.iter().skip_while(|part| !matches!(part, Part::Made(LIBRARY))) {
        if let Part::Entry(entry) = part {
            out.push_str(&entry.annotations());
        }
    }
    out
}

/// Adds a comment of annotations; a text of several lines stays one of several.
fn comment(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "---{line}");
    }
}

/// A text as a part of one line.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
