//! `permissions` of a rule file: the commands its scripts may use, and the directories and variables they may touch.
//!
//! Commands are all permitted where nothing is said of them, all else is not. The directories are the operator's word: they
//! may lie anywhere, unlike the paths of scripts, which are held to them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Permissions, load,
    node::{Entry, Node, Value},
    resolve::Context,
};
use crate::{
    diagnostic::Diagnostic,
    schema::{Catalog, names},
};

const COMMANDS: &str = "commands";
const READ: &str = "read";
const WRITE: &str = "write";
const ENV: &str = "env";

/// A key of `permissions`.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What it says, for the reference and for editors.
    pub(super) doc: &'static str,
    /// A list as one writes it; of commands the catalog has them.
    pub(super) example: &'static str,
    /// What an entry of its list is.
    pub(super) holds: Holds,
}

/// What an entry of a list of permissions is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Command,
    Directory,
    Variable,
}

impl Holds {
    /// What an entry is called.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Command => "a command",
            Self::Directory => "a directory",
            Self::Variable => "a variable",
        }
    }

    /// What its entries are called.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Command => "commands",
            Self::Directory => "directories",
            Self::Variable => "variables",
        }
    }
}

pub(super) static KEYS: [Key; 4] = [
    Key {
        name: COMMANDS,
        doc: "The commands that scripts may use, and no others; left out: all that the client key may use. Methods need \
              the commands that they use.",
        example: "",
        holds: Holds::Command,
    },
    Key {
        name: READ,
        doc: "Directories whose files scripts may read, to send them. They start at the rule file's directory, and must \
              be there.",
        example: "[pictures]",
        holds: Holds::Directory,
    },
    Key {
        name: WRITE,
        doc: "Directories in which scripts may make files, such as received attachments. They start at the rule file's \
              directory, and are made when they are needed.",
        example: "[received]",
        holds: Holds::Directory,
    },
    Key {
        name: ENV,
        doc: "Variables of the environment that scripts may read as `env.NAME`. One that holds a key is never permitted.",
        example: "[LANG]",
        holds: Holds::Variable,
    },
];

/// What other programs call these keys.
const SYNONYMS: [(&str, &str); 6] =
    [("files", READ), ("reads", READ), ("save", WRITE), ("writes", WRITE), ("environment", ENV), ("variables", ENV)];

/// The variables that hold keys, and the ends of those that other programs give the same.
pub(super) const SECRETS: [&str; 2] = ["OLVID_CLIENT_KEY", "OLVID_ADMIN_CLIENT_KEY"];

/// Whether this is a key of `permissions`.
pub(super) fn is_key(name: &str) -> bool {
    KEYS.iter().any(|key| key.name == name)
}

/// Whether a variable of the environment holds a key: no script may have it.
pub fn is_secret(variable: &str) -> bool {
    let upper = variable.to_uppercase();
    SECRETS.iter().any(|secret| upper.ends_with(secret))
}

/// Reads `permissions`.
pub(super) fn read(context: &mut Context<'_>, entry: &Entry) -> Permissions {
    let mut permissions = Permissions::default();
    let Value::Map(entries) = &entry.value.value else {
        let help = "for example `permissions: { write: [received] }`";
        context.wrong(entry, "a table", Some(help));
        return permissions;
    };
    let known = context.catalog.commands().iter().find(|command| !command.admin);
    let known = known.map_or("", |command| command.name.as_str());
    for entry in entries {
        match entry.key.as_str() {
            COMMANDS => permissions.commands = Some(each(context, entry, Holds::Command, known, command)),
            READ => permissions.read = each(context, entry, Holds::Directory, "data", readable),
            WRITE => permissions.write = each(context, entry, Holds::Directory, "received", writable),
            ENV => permissions.env = each(context, entry, Holds::Variable, "HOME", variable),
            _ => unknown(context, entry),
        }
    }
    permissions
}

fn unknown(context: &mut Context<'_>, entry: &Entry) {
    let synonym = SYNONYMS.iter().find(|(other, _)| other.eq_ignore_ascii_case(&entry.key)).map(|(_, key)| *key);
    let help = match synonym.or_else(|| names::nearest(&entry.key, KEYS.iter().map(|key| key.name))) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "there are `commands`, `read` and `write` (directories), and `env` (variables)".to_owned(),
    };
    let message = format!("unknown key `{}` of `permissions`", entry.key.escape_debug());
    let place = context.document.key_place(entry);
    context.tell(Diagnostic::error("unknown-key", message).at(place).help(help));
}

/// Reads a list of texts, each by itself; those that are mistaken are left out. Sorted and each once: what is meant alike
/// is equal.
fn each<T: Ord>(
    context: &mut Context<'_>,
    entry: &Entry,
    holds: Holds,
    example: &str,
    read: fn(&mut Context<'_>, &Node, &str) -> Option<T>,
) -> Vec<T> {
    let Value::List(items) = &entry.value.value else {
        let shown = entry.value.text().unwrap_or(example).escape_debug();
        context.wrong(entry, "a list", Some(&format!("write `{}: [{shown}]`", entry.key)));
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in items {
        let Some(text) = item.text().filter(|text| !text.trim().is_empty()) else {
            let message = format!("an entry of `{}` must be {}, found {}", entry.key, holds.what(), item.what());
            let place = context.document.place(item);
            let help = format!("for example `{example}`");
            context.tell(Diagnostic::error("wrong-type", message).at(place).help(help));
            continue;
        };
        found.extend(read(context, item, text));
    }
    found.sort();
    found.dedup();
    found
}

fn command(context: &mut Context<'_>, item: &Node, name: &str) -> Option<String> {
    let catalog = context.catalog;
    // As scripts write it, and as the documentation does.
    let bare = name.strip_prefix("olvid.").unwrap_or(name);
    if let Some(found) = catalog.command(bare).or_else(|| catalog.command(&names::snake_case(bare))) {
        return Some(found.name.clone());
    }
    let (message, help) = no_command(catalog, bare);
    let place = context.document.place(item);
    context.tell(Diagnostic::error("unknown-command", message).at(place).help(help));
    None
}

fn no_command(catalog: &Catalog, name: &str) -> (String, String) {
    let shown = name.escape_debug();
    if let Some(subscription) = catalog.subscription(name) {
        let help = format!("a rule listens to it: `subscription: {}` needs no permission", subscription.name);
        return (format!("`{shown}` is a subscription, not a command"), help);
    }
    let near = names::nearest(name, catalog.commands().iter().map(|command| command.name.as_str()));
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if matches!(name, "*" | "all") => {
            "remove `commands`: all are permitted where nothing is said of them".to_owned()
        }
        None => "`olvid-rules catalog` lists all commands".to_owned(),
    };
    (format!("unknown command `{shown}`"), help)
}

fn readable(context: &mut Context<'_>, item: &Node, written: &str) -> Option<PathBuf> {
    directory(context, item, written, false)
}

fn writable(context: &mut Context<'_>, item: &Node, written: &str) -> Option<PathBuf> {
    directory(context, item, written, true)
}

/// Resolves a directory against the rule file's own.
fn directory(context: &mut Context<'_>, item: &Node, written: &str, may_be_made: bool) -> Option<PathBuf> {
    let path = context.folder.join(written);
    context.looked_at.insert(path.clone());
    let shown = written.escape_debug();
    let (message, help) = match fs::metadata(&path) {
        Ok(found) if found.is_dir() => return Some(path),
        Ok(_) => (format!("`{shown}` is not a directory"), Some("name the directory that it is in".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_be_made => return Some(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let help = match near(&path, written) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "make it, or remove it here; paths start at the rule file's directory".to_owned(),
            };
            (format!("there is no directory `{shown}`"), Some(help))
        }
        Err(error) => (format!("`{shown}` cannot be used: {error}"), None),
    };
    // Once it is there, the file is right.
    context.looked_for.insert(path);
    let place = context.document.place(item);
    context.tell(Diagnostic { help, ..Diagnostic::error("no-directory", message).at(place) });
    None
}

/// The written path with the name of a directory that is there.
fn near(path: &Path, written: &str) -> Option<String> {
    let near = load::near(path).filter(|near| Path::new(near).is_dir())?;
    Some(load::shown(&Path::new(written).with_file_name(Path::new(&near).file_name()?)))
}

fn variable(context: &mut Context<'_>, item: &Node, name: &str) -> Option<String> {
    let named = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let (message, help) = match name.trim_start_matches('$') {
        bare if bare.len() < name.len() => {
            (format!("`{}` is no name of a variable", name.escape_debug()), format!("write `{}`", bare.escape_debug()))
        }
        _ if !named || name.starts_with(|first: char| first.is_ascii_digit()) => {
            let help = "letters, digits and `_`, not a digit first; each variable is named by itself";
            (format!("`{}` is no name of a variable", name.escape_debug()), help.to_owned())
        }
        _ if is_secret(name) => {
            let help = "remove it: scripts act through `olvid.*`, and the host keeps the key to itself";
            (format!("`{name}` holds a key: no script may have it"), help.to_owned())
        }
        _ => return Some(name.to_owned()),
    };
    let place = context.document.place(item);
    context.tell(Diagnostic::error("no-variable", message).at(place).help(help));
    None
}
