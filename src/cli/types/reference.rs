//! The Lua reference, `docs/lua.md`: prose and entries in the order of the globals' file.

use std::fmt::Write as _;

use super::manual::{self, Entry, Method, Part};
use crate::rules::LIMITS;

const HEAD: &str = "\
# Lua reference

<!-- Made by `olvid-rules types --format markdown` from src/lua/globals.lua and src/lua/methods.lua: change those. -->

What a script finds, beside the commands and datatypes of the daemon: `olvid-rules catalog NAME` explains each of those.
`olvid-rules types --output DIR` writes all of it for editors with a Lua language server.
";

/// Returns the reference as Markdown.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    // Entries are a list, which needs an empty line on both sides.
    let mut in_list = false;
    for part in manual::globals() {
        let is_entry = matches!(part, Part::Entry(_));
        if in_list != is_entry && !matches!(part, Part::Heading(_)) {
            out.push('\n');
        }
        in_list = is_entry;
        match part {
            Part::Heading(title) => {
                let _ = writeln!(out, "\n## {title}");
                in_list = false;
            }
            Part::Prose(line) => {
                let _ = writeln!(out, "{line}");
            }
            Part::Made("methods") => methods(&mut out),
            Part::Made("limits") => limits(&mut out),
            Part::Made(_) => {}
            Part::Entry(entry) => self::entry(&mut out, &entry),
        }
    }
    let mut tidy = String::with_capacity(out.len());
    for line in out.lines() {
        if !(line.is_empty() && tidy.ends_with("\n\n")) {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy
}

fn entry(out: &mut String, entry: &Entry) {
    let text = entry.text();
    match (entry.signature(), entry.class()) {
        // A library is told by what is in it.
        (Some(name), _) if !text.is_empty() => item(out, &name, &text),
        (None, Some(class)) => item(out, class, &text),
        _ => {}
    }
    let library = entry.signature().filter(|_| entry.class().is_some());
    for field in entry.fields() {
        match &library {
            Some(name) => item(out, &format!("{name}.{}: {}", field.name, field.kind), field.doc),
            None => {
                let _ = writeln!(out, "  - `{}: {}`: {}", field.name, field.kind, field.doc);
            }
        }
    }
}

fn item(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "- `{name}`: {text}");
}

fn methods(out: &mut String) {
    let (methods, classes) = manual::methods();
    let mut kinds: Vec<&str> = methods.iter().map(|method| method.kind).collect();
    kinds.dedup();
    for kind in kinds {
        let _ = writeln!(out, "\n### {kind}\n");
        for Method { names, entry, .. } in methods.iter().filter(|method| method.kind == kind) {
            let others: Vec<_> = names[1..].iter().map(|name| format!("`{name}`")).collect();
            let also = if others.is_empty() { String::new() } else { format!(" Also {}.", others.join(", ")) };
            let name = format!("{}:{}", kind.to_lowercase(), names[0]);
            item(out, &entry.call(&name), &(entry.text() + &also));
        }
    }
    out.push_str("\n### Options\n\n");
    for class in &classes {
        entry(out, class);
    }
}

fn limits(out: &mut String) {
    out.push_str("\n| key | default | from … to |\n|---|---|---|\n");
    for limit in &LIMITS {
        let [usual, least, most] = limit.shown();
        let _ = writeln!(out, "| `{}` | `{usual}` | `{least}` … `{most}` |", limit.key);
    }
}
