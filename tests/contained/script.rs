//! One script of the corpus, and what its first lines say must come of it.
//!
//! ```lua
//! -- expect: KIND "words" prints "words" tells event or KIND ...
//! -- rule: cpu=100ms memory=8MiB
//! -- permissions: { read: [lib] }
//! -- handler: name
//! -- twin
//! -- waits
//! ```
//! A kind is one of the log's, or `ok`, or `load` where the script is to be refused at the start; the words are of its
//! message. `prints` and `tells` are about what the rule says then and what else is told of it, in all three runs. A twin
//! is a second rule with the same script. Where a run waits now and then, a limit of CPU does not say when it ends.

use std::{fs, path::Path};

/// The families, by the beginnings of the names.
pub(crate) const FAMILIES: [&str; 9] = ["asy", "cpu", "err", "esc", "log", "mem", "poi", "sec", "stk"];

/// How a run may end.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) kind: String,
    /// What its message must contain.
    pub(crate) words: Option<String>,
    /// What the rule must have said then, all in all.
    pub(crate) prints: Vec<String>,
    /// The events that must have been told of it.
    pub(crate) tells: Vec<String>,
}

/// A script.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) outcomes: Vec<Outcome>,
    /// Keys of its rule.
    pub(crate) keys: Vec<(String, String)>,
    pub(crate) permissions: Option<String>,
    /// The function that handles, where the script returns a table.
    pub(crate) function: Option<String>,
    pub(crate) twin: bool,
    pub(crate) waits: bool,
}

/// Where the scripts are.
pub(crate) fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contained"))
}

/// All scripts, by name; where the variable lists parts of names, only those with one of them.
pub(crate) fn all() -> Vec<Script> {
    let wanted = std::env::var("OLVID_RULES_CONTAINED").unwrap_or_default();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.split(',').any(|part| name.contains(part));
    let is_family = |name: &str| name.split_once('_').is_some_and(|(family, _)| FAMILIES.contains(&family));
    let names = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let scripts = names.filter_map(|name| name.strip_suffix(".lua").map(str::to_owned));
    let mut scripts: Vec<_> = scripts.filter(|name| is_family(name) && is_wanted(name)).collect();
    scripts.sort();
    scripts.into_iter().map(Script::read).collect()
}

impl Script {
    fn read(name: String) -> Self {
        let text = fs::read_to_string(folder().join(format!("{name}.lua"))).unwrap();
        let head: Vec<_> = text.lines().map_while(|line| line.strip_prefix("-- ")).collect();
        let line =
            |key: &str| head.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).map(str::to_owned);
        let expected = line("expect").unwrap_or_else(|| panic!("{name}: the first line says what to expect"));
        let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap();
        let keys = line("rule").map(|keys| keys.split(' ').map(pair).collect()).unwrap_or_default();
        let (permissions, function) = (line("permissions"), line("handler"));
        let (twin, waits) = (head.contains(&"twin"), head.contains(&"waits"));
        let outcomes = outcomes(&expected).unwrap_or_else(|| panic!("{name}: {expected}"));
        Self { name, text, outcomes, keys, permissions, function, twin, waits }
    }

    /// Whether it may be refused at the start.
    pub(crate) fn may_be_refused(&self) -> bool {
        self.outcomes.iter().any(|outcome| outcome.kind == "load")
    }

    /// Whether its rule may run.
    pub(crate) fn may_run(&self) -> bool {
        self.outcomes.iter().any(|outcome| outcome.kind != "load")
    }

    /// The end that it has come to, if it may be that: a kind and its message.
    pub(crate) fn outcome(&self, kind: &str, message: &str) -> Option<&Outcome> {
        let fits = |outcome: &&Outcome| {
            outcome.kind == kind && outcome.words.as_ref().is_none_or(|words| message.contains(words.as_str()))
        };
        self.outcomes.iter().find(fits)
    }

    pub(crate) fn key(&self, name: &str) -> Option<&str> {
        self.keys.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The rule file for it, with keys that replace its own. Its notifications are those of one discussion.
    pub(crate) fn rules(&self, discussion: u64, keys: &[(&str, &str)]) -> String {
        use std::fmt::Write as _;
        let mut own: Vec<(&str, &str)> = self.keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        own.retain(|(key, _)| keys.iter().all(|(other, _)| key != other));
        let mut rules = self.permissions.as_ref().map_or_else(String::new, |all| format!("permissions: {all}\n"));
        rules.push_str("rules:\n");
        let function = self.function.as_ref().map_or_else(String::new, |name| format!(":{name}"));
        let name = &self.name;
        for rule in [Some(name.clone()), self.twin.then(|| format!("{name} twin"))].into_iter().flatten() {
            writeln!(rules, "  - name: {rule}\n    handler: {name}.lua{function}\n    subscription: message_received")
                .unwrap();
            writeln!(rules, "    filter: {{ discussion_id: {discussion} }}").unwrap();
            for (key, value) in own.iter().chain(keys) {
                writeln!(rules, "    {key}: {value}").unwrap();
            }
        }
        rules
    }
}

/// Reads what is expected: `KIND "words" prints "words" tells event or KIND ...`.
fn outcomes(text: &str) -> Option<Vec<Outcome>> {
    let mut outcomes = Vec::<Outcome>::new();
    let mut list = "or";
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            let outcome = outcomes.last_mut()?;
            if list == "prints" {
                outcome.prints.push(part.to_owned());
            } else {
                outcome.words = Some(part.to_owned());
            }
            continue;
        }
        for name in part.split_whitespace() {
            match (name, list) {
                ("or" | "prints" | "tells", _) => list = name,
                (event, "tells") => outcomes.last_mut()?.tells.push(event.to_owned()),
                (kind, _) => outcomes.push(Outcome { kind: kind.to_owned(), ..Outcome::default() }),
            }
        }
    }
    (!outcomes.is_empty()).then_some(outcomes)
}
