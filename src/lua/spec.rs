//! Which scripts a set of rules names, and what each is made of. Nothing is read here but links.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};

use super::{
    alarm::Alarm,
    crashed, load,
    permits::Permit,
    script::{LOADING, unfinished},
    usage::Account,
};
use crate::{
    clock::Clock,
    diagnostic::{Diagnostic, Place, distinct},
    report::Reporter,
    rules::{Handler, Limits, Orphan, Rule, RuleSet, inputs::Inputs},
    schema::Message,
};

/// Identity of a script over reloads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScriptKey {
    /// A file: the path as the first rule that names it writes it, from that rule's file, normalised and with links in it:
    /// where links point to may change at any time.
    File(PathBuf),
    /// The handler in a rule file, by the name of its rule.
    Inline(String),
}

/// A script and the rules that name it.
#[derive(Debug, Clone)]
pub struct ScriptSpec {
    /// As the rules name it, for display and in errors.
    pub name: Arc<str>,
    /// What it is the same script by when rules are loaded again.
    pub key: ScriptKey,
    pub(super) text: Text,
    /// The directory that its modules and files are in, with links in it.
    pub(super) root: PathBuf,
    pub(super) shown_root: String,
    /// Its rules, in the order of the rule files.
    pub rules: Vec<Arc<Rule>>,
    /// The permissions of its rules' files.
    pub(super) permits: Vec<Permit>,
    /// What loading it read or looked for so far; a clone is the same record. A rule file is recorded by its set.
    pub inputs: Inputs,
    /// What its handlers take for the time.
    pub clock: Clock,
    /// Where what its threads use up is put down: with the former VMs' of the same script, where there were any.
    pub account: Arc<Account>,
    /// A directory in whose tree what it saves goes instead of where it is meant to; none: it goes there.
    pub aside: Option<PathBuf>,
    /// Whether what there is to say of its text was said: then nobody looks.
    pub is_told: bool,
    /// Where each of its rules names it, and the function they name.
    pub(super) origins: Vec<(Place, Option<String>)>,
    /// Which of its functions handle what, disabled rules' included; nothing where it is not known.
    pub(super) called: Vec<(Option<String>, Option<Arc<Message>>)>,
}

/// Scripts as they are found one after another. Many rules write the same path: where it leads is asked once.
#[derive(Default)]
struct Groups<'r> {
    specs: Vec<ScriptSpec>,
    by_path: HashMap<&'r Path, usize>,
}

#[derive(Debug, Clone)]
pub(super) enum Text {
    /// `real` is where the path led to when rules were grouped.
    File {
        path: PathBuf,
        real: PathBuf,
    },
    Inline {
        code: String,
        line: usize,
        place: Place,
    },
}

impl ScriptSpec {
    /// The code of an inline handler.
    pub fn code(&self) -> Option<&str> {
        if let Text::Inline { code, .. } = &self.text { Some(code) } else { None }
    }

    /// Groups the enabled rules by script: all that name one file share it, whichever way they write its path; an inline
    /// handler is a script of its own.
    pub fn group(rules: &RuleSet) -> Vec<Self> {
        Self::grouped(rules).specs
    }

    fn grouped(rules: &RuleSet) -> Groups<'_> {
        let mut groups = Groups::default();
        for rule in rules.rules.iter().filter(|rule| rule.enabled) {
            let spec = groups.of(&rule.file, &rule.handler, &rule.name);
            spec.permit(Permit::of(rule));
            spec.called.push((function(&rule.handler), Some(Arc::clone(&rule.subscription.method.output))));
            spec.rules.push(Arc::clone(rule));
        }
        // What a function is written for, it may be called with when a rule is enabled.
        for rule in rules.rules.iter().filter(|rule| !rule.enabled) {
            if let Some(spec) = groups.find(&rule.handler) {
                let called = (function(&rule.handler), Some(Arc::clone(&rule.subscription.method.output)));
                groups.specs[spec].called.push(called);
            }
        }
        groups
    }

    /// Groups the enabled rules, and the handlers of refused ones, to be checked.
    pub fn group_all(rules: &RuleSet) -> Vec<Self> {
        let mut groups = Self::grouped(rules);
        for Orphan { file, handler, permissions } in &rules.orphans {
            let permit = Permit { file: file.clone(), held: Arc::clone(permissions) };
            let spec = groups.of(file, handler, "");
            spec.permit(permit);
            spec.called.push((function(handler), None));
        }
        groups.specs
    }

    fn permit(&mut self, permit: Permit) {
        if !self.permits.contains(&permit) {
            self.permits.push(permit);
        }
    }

    fn new(file: &str, handler: &Handler, rule: &str) -> Self {
        let (text, key, path) = match handler {
            Handler::Inline { code, line, place } => {
                let text = Text::Inline { code: code.clone(), line: *line, place: place.clone() };
                (text, ScriptKey::Inline(rule.to_owned()), PathBuf::from(file))
            }
            Handler::Script { path, .. } => {
                let (key, real) = (ScriptKey::File(normalised(path)), real(path));
                (Text::File { path: path.clone(), real }, key, path.clone())
            }
        };
        let name = match &key {
            ScriptKey::File(path) => path.display().to_string(),
            ScriptKey::Inline(_) => file.to_owned(),
        };
        let shown_root = folder(Path::new(&name)).display().to_string();
        let (clock, aside) = (Clock::system(), None);
        let (root, rules, permits, origins) = (folder(&path), Vec::new(), Vec::new(), Vec::new());
        Self {
            name: name.into(),
            key,
            text,
            root,
            shown_root,
            rules,
            permits,
            inputs: Inputs::default(),
            clock,
            account: Arc::default(),
            aside,
            is_told: false,
            origins,
            called: Vec::new(),
        }
    }

    /// Loads the scripts of all rules aside, refused rules' too, with commands of administration: whether a key for them is
    /// given is not the script's mistake.
    pub fn check_all(rules: &RuleSet) -> impl Iterator<Item = Diagnostic> {
        Self::check_each(Self::group_all(rules))
    }

    /// The same of these; what several of them share is told once.
    pub fn check_each(scripts: impl IntoIterator<Item = Self>) -> impl Iterator<Item = Diagnostic> {
        distinct(scripts.into_iter().flat_map(|script| script.check(true)))
    }

    /// Loads the script in a VM of its own and throws it away: everything that can be known without a daemon. It has as
    /// much time as when it is loaded to run.
    pub fn check(&self, admin: bool) -> Vec<Diagnostic> {
        // Not on the caller's thread: a VM's C stack is bounded by its own thread, which is left alone if it does not end.
        let (told, loaded) = mpsc::sync_channel(1);
        let spec = self.clone();
        let load = move || {
            let result = load::load(&spec, &Reporter::default(), admin, Alarm::new(None));
            told.send(result.map_or_else(|mistakes| mistakes, |loaded| loaded.warnings)).unwrap_or_default();
        };
        if let Err(error) = thread::Builder::new().spawn(load) {
            return vec![Diagnostic::error("script-failed", format!("no thread for `{}`: {error}", self.name))];
        }
        match loaded.recv_timeout(LOADING) {
            Ok(mistakes) => mistakes,
            Err(mpsc::RecvTimeoutError::Timeout) => vec![unfinished(&self.name, self.place())],
            Err(mpsc::RecvTimeoutError::Disconnected) => vec![crashed(&self.name)],
        }
    }

    /// Bytes that its VM may hold: the most that any of its rules has.
    pub(super) fn memory(&self) -> usize {
        let most = self.rules.iter().map(|rule| rule.limits.memory).max();
        most.unwrap_or_else(|| Limits::default().memory)
    }

    /// Where a rule names it.
    pub(super) fn place(&self) -> Option<&Place> {
        self.origins.first().map(|(place, _)| place)
    }
}

impl<'r> Groups<'r> {
    /// Finds the script of a handler, or makes it.
    fn of(&mut self, file: &str, handler: &'r Handler, rule: &str) -> &mut ScriptSpec {
        let place = match handler {
            Handler::Inline { place, .. } | Handler::Script { place, .. } => place.clone(),
        };
        let at = self.find(handler).unwrap_or_else(|| {
            self.specs.push(ScriptSpec::new(file, handler, rule));
            self.specs.len() - 1
        });
        if let Handler::Script { path, .. } = handler {
            self.by_path.insert(path, at);
        }
        self.specs[at].origins.push((place, function(handler)));
        &mut self.specs[at]
    }

    fn find(&self, handler: &Handler) -> Option<usize> {
        let Handler::Script { path, .. } = handler else { return None };
        if let Some(known) = self.by_path.get(&**path) {
            return Some(*known);
        }
        let real = real(path);
        self.specs.iter().position(|spec| matches!(&spec.text, Text::File { real: other, .. } if *other == real))
    }
}

/// The function of its script that a handler names.
fn function(handler: &Handler) -> Option<String> {
    if let Handler::Script { function, .. } = handler { function.clone() } else { None }
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// The path without `.` and `..`, unless it leads elsewhere then: `..` behind a link is not where the link stands.
fn normalised(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    let same = path.canonicalize().is_ok_and(|real| normal.canonicalize().is_ok_and(|other| real == other));
    if same || !path.exists() { normal } else { path.to_path_buf() }
}

/// The directory that a file is in.
fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
