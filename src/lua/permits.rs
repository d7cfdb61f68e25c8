//! What the scripts of a rule file may touch, and the words in which the rest is denied: each names what to add.
//!
//! A run has the permissions of its rule's file; while a script is loaded, saves or restores, those of all its rules' files
//! together. Who runs is the [`host`](super::host)'s to know, where a path leads is [`files`](super::files)'.

use std::{
    env,
    ffi::OsString,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use crate::rules::{Permissions, Rule, is_secret};

/// Why something was not done.
pub(super) struct Refused {
    pub(super) message: String,
    /// Whether it is for want of a permission.
    pub(super) denied: bool,
}

/// The permissions of one rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Permit {
    /// The rule file as the user named it.
    pub(super) file: String,
    pub(super) held: Arc<Permissions>,
}

/// What is done to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Read,
    Write,
}

impl From<String> for Refused {
    fn from(message: String) -> Self {
        Self { message, denied: false }
    }
}

impl Refused {
    fn denied(message: String) -> Self {
        Self { message, denied: true }
    }
}

impl Permit {
    pub(super) fn of(rule: &Rule) -> Self {
        Self { file: rule.file.clone(), held: Arc::clone(&rule.permissions) }
    }

    /// The directories, as the rule file leads to them.
    fn directories(&self, act: Act) -> &[PathBuf] {
        match act {
            Act::Read => &self.held.read,
            Act::Write => &self.held.write,
        }
    }

    /// Tells what to add to this rule file, where one of its lists lacks something.
    fn lacks(&self, list: &str, is_there: bool, entry: &str) -> String {
        let file = &self.file;
        if is_there {
            format!("add `{entry}` to `permissions.{list}` in {file}")
        } else {
            format!("add `permissions: {{ {list}: [{entry}] }}` to {file}")
        }
    }
}

/// Whether a rule's file permits a command, by its name.
pub(super) fn command(rule: &Rule, name: &str) -> Result<(), Refused> {
    let listed = rule.permissions.commands.as_deref();
    // The list is sorted when it is read.
    if listed.is_none_or(|listed| listed.binary_search_by(|one| one.as_str().cmp(name)).is_ok()) {
        return Ok(());
    }
    let file = &rule.file;
    Err(Refused::denied(format!("olvid.{name} is not permitted; add it to `permissions.commands` in {file}")))
}

/// Reads a variable of the environment; none where it is permitted and not set.
pub(super) fn variable(permits: &[Permit], name: &str) -> Result<Option<OsString>, Refused> {
    let shown = name.escape_debug();
    if is_secret(name) {
        return Err(Refused::denied(format!("env.{shown} is a key: no script may have it")));
    }
    if permits.iter().any(|permit| permit.held.env.iter().any(|permitted| permitted == name)) {
        return Ok(env::var_os(name));
    }
    let add = permits.first().map(|permit| permit.lacks("env", !permit.held.env.is_empty(), &quoted(name)));
    Err(Refused::denied(format!("env.{shown} is not permitted; {}", add.unwrap_or_default())))
}

/// The variables that are permitted and set.
pub(super) fn variables(permits: &[Permit]) -> Vec<String> {
    let permitted = permits.iter().flat_map(|permit| &permit.held.env);
    let mut names: Vec<_> = permitted.filter(|name| env::var_os(name).is_some()).cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// Follows a path as a script means it to where it really leads, and returns that where it is permitted. Whether anything
/// is there is not told of what is not permitted.
pub(super) fn path(permits: &[Permit], act: Act, wanted: &Path, written: &str) -> Result<PathBuf, Refused> {
    let real = resolved(wanted);
    let within = |real: &PathBuf| {
        let mut directories = permits.iter().flat_map(|permit| permit.directories(act));
        directories.any(|directory| resolved(directory).is_some_and(|directory| real.starts_with(directory)))
    };
    if let Some(real) = real.filter(within) {
        return Ok(real);
    }
    let (doing, list) = match act {
        Act::Read => ("reading", "read"),
        Act::Write => ("saving to", "write"),
    };
    let meant = without_dots(wanted);
    let folder = if act == Act::Read { meant.parent().unwrap_or(&meant) } else { &meant };
    let add = permits.first().map(|permit| {
        let is_there = !permit.directories(act).is_empty();
        permit.lacks(list, is_there, &seen_from(&permit.file, folder))
    });
    let written = written.escape_debug();
    Err(Refused::denied(format!("{doing} `{written}` is not permitted; {}", add.unwrap_or_default())))
}

/// Follows all links of what exists of a path. None where what does not exist is not below that.
fn resolved(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let (existing, real) = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)))?;
    let rest = path.strip_prefix(existing).ok()?;
    let below = rest.components().all(|component| matches!(component, Component::Normal(_)));
    below.then(|| if rest == Path::new("") { real.clone() } else { real.join(rest) })
}

/// The path without `.` and `..`, links not followed.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

/// A directory as a rule file may name it: by its path from there, where it lies below.
fn seen_from(file: &str, folder: &Path) -> String {
    let home = Path::new(file).parent().unwrap_or(Path::new(""));
    let home = resolved(if home == Path::new("") { Path::new(".") } else { home });
    let below = home.and_then(|home| folder.strip_prefix(home).ok().map(Path::to_path_buf));
    match below {
        Some(below) if below == Path::new("") => ".".to_owned(),
        Some(below) => quoted(&below.display().to_string()),
        None => quoted(&folder.display().to_string()),
    }
}

/// A text as an entry of a list in YAML.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/._-".contains(letter);
    if text.chars().all(plain) && !text.starts_with('-') { text.to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn permit(folder: &Path, read: &[&str], write: &[&str], env: &[&str]) -> [Permit; 1] {
        let all = |names: &[&str]| names.iter().map(|name| folder.join(name)).collect();
        let env = env.iter().map(|name| (*name).to_owned()).collect();
        let held = Permissions { commands: None, read: all(read), write: all(write), env };
        [Permit { file: folder.join("rules.yaml").display().to_string(), held: Arc::new(held) }]
    }

    fn denied<T>(result: Result<T, Refused>) -> String {
        let Err(Refused { message, denied: true }) = result else { panic!("it is not denied") };
        message
    }

    #[test]
    fn a_path_must_lead_into_a_permitted_directory_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        for name in ["scripts", "data/deep", "secret"] {
            fs::create_dir_all(home.join(name)).unwrap();
        }
        symlink(home.join("secret"), home.join("data/out")).unwrap();
        symlink(home.join("data"), home.join("scripts/in")).unwrap();
        symlink("nowhere", home.join("data/dangling")).unwrap();
        let permits = permit(&home, &["data"], &["made/later"], &[]);
        let leads = |act, written: &str| path(&permits, act, &home.join("scripts").join(written), written);
        for (written, to) in [
            ("../data/a.png", "data/a.png"),
            ("in/a.png", "data/a.png"),
            ("in/deep/./a.png", "data/deep/a.png"),
            ("in/none/a.png", "data/none/a.png"),
            ("in/dangling", "data/dangling"),
        ] {
            assert_eq!(leads(Act::Read, written).ok(), Some(home.join(to)), "{written}");
        }
        let data = home.join("data/x").display().to_string();
        assert_eq!(leads(Act::Read, &data).ok(), Some(home.join("data/x")));
        for written in
            ["a.png", "in/out/a.png", "in/../a.png", "in/none/../../secret/a", "../data/../secret/a", "/", ""]
        {
            denied(leads(Act::Read, written));
        }
        denied(leads(Act::Write, "in"));
        assert_eq!(leads(Act::Write, "../made/later/x").ok(), Some(home.join("made/later/x")));
        denied(leads(Act::Write, "../made"));
    }

    #[test]
    fn a_denial_names_what_to_add_from_where_the_rule_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        fs::create_dir(home.join("data")).unwrap();
        let file = home.join("rules.yaml").display().to_string();
        let told = |permits: &[Permit], act, written: &str| denied(path(permits, act, &home.join(written), written));
        let nothing = permit(&home, &[], &[], &[]);
        assert_eq!(
            told(&nothing, Act::Read, "data/x.png"),
            format!("reading `data/x.png` is not permitted; add `permissions: {{ read: [data] }}` to {file}")
        );
        assert_eq!(
            told(&nothing, Act::Write, "in/my box"),
            format!(
                "saving to `in/my box` is not permitted; add `permissions: {{ write: [\"in/my box\"] }}` to {file}"
            )
        );
        assert!(told(&nothing, Act::Read, "x").contains("read: [.]"));
        let above = home.parent().unwrap().join("etc").display().to_string();
        assert!(told(&nothing, Act::Read, "../etc/shadow").contains(&quoted(&above)));
        let here = env::current_dir().unwrap().canonicalize().unwrap();
        assert_eq!(seen_from("rules.yaml", &here.join("data")), "data");
        let some = permit(&home, &["data"], &[], &[]);
        assert_eq!(
            told(&some, Act::Read, "/etc/shadow"),
            format!("reading `/etc/shadow` is not permitted; add `/etc` to `permissions.read` in {file}")
        );
    }

    #[test]
    fn of_variables_only_those_that_are_named_are_there_and_never_a_key() {
        let home = Path::new("/nowhere");
        let permits = permit(home, &[], &[], &["PATH", "NOT_SET_ANYWHERE", "OLVID_CLIENT_KEY"]);
        assert_eq!(variable(&permits, "PATH").ok().flatten(), env::var_os("PATH"));
        assert!(matches!(variable(&permits, "NOT_SET_ANYWHERE"), Ok(None)));
        assert_eq!(variables(&permits), ["PATH"]);
        let expected = "env.HOME is not permitted; add `HOME` to `permissions.env` in /nowhere/rules.yaml";
        assert_eq!(denied(variable(&permits, "HOME")), expected);
        let nothing = permit(home, &[], &[], &[]);
        let expected = "env.HOME is not permitted; add `permissions: { env: [HOME] }` to /nowhere/rules.yaml";
        assert_eq!(denied(variable(&nothing, "HOME")), expected);
        for key in ["OLVID_CLIENT_KEY", "OLVID_ADMIN_CLIENT_KEY", "MY_OLVID_CLIENT_KEY"] {
            assert_eq!(denied(variable(&permits, key)), format!("env.{key} is a key: no script may have it"));
        }
    }
}
