//! From the tree of a file to its rules: what is written becomes what is meant, and every mistake is told.
//!
//! Never stops at the first mistake. A rule with a mistake is left out of the result; its file is refused anyway. The
//! keys of a file are read by [`top`], the parts of a rule by [`keys`], [`handler`] and [`parameters`]; names are compared
//! over all files here.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Caps, Orphan, Permissions, Rule, handler, keys,
    node::{Entry, Node, Value},
    parameters,
    terms::Terms,
    top,
    yaml::{self, Document},
};
use crate::{
    diagnostic::{Diagnostic, Place, Severity, Source},
    schema::{Catalog, Subscription, names},
};

/// What reading one file shares.
pub(super) struct Context<'f> {
    pub(super) document: &'f Document,
    pub(super) catalog: &'f Catalog,
    /// Where handlers are looked for.
    pub(super) folder: &'f Path,
    /// Where scripts belong, links followed: that folder, and the one of the file itself where it is a link.
    pub(super) homes: Vec<PathBuf>,
    /// The most that a rule gets of anything.
    pub(super) caps: &'f Caps,
    /// What a rule gets where it says nothing.
    pub(super) terms: Terms,
    /// What the scripts of all its rules may touch.
    pub(super) permissions: Arc<Permissions>,
    pub(super) told: Vec<Diagnostic>,
    errors: usize,
    named: Vec<(String, Place)>,
    orphans: Vec<Orphan>,
    /// The scripts that handlers name, found or not, and directories that are missing.
    pub(super) looked_for: BTreeSet<PathBuf>,
    /// All paths by which it was decided anything.
    pub(super) looked_at: BTreeSet<PathBuf>,
}

/// What one file holds.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) rules: Vec<Arc<Rule>>,
    /// The handlers of the others.
    pub(super) orphans: Vec<Orphan>,
    /// The names of all its rules, mistaken ones included.
    pub(super) named: Vec<(String, Place)>,
    /// The scripts that its handlers name, found or not, and directories that are missing.
    pub(super) looked_for: BTreeSet<PathBuf>,
    /// All paths by which it was decided anything: what they lead to is part of what was read.
    pub(super) looked_at: BTreeSet<PathBuf>,
    pub(super) told: Vec<Diagnostic>,
}

impl Context<'_> {
    pub(super) fn tell(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        self.told.push(diagnostic);
    }

    /// Tells that a value is of the wrong type.
    pub(super) fn wrong(&mut self, entry: &Entry, expected: &str, help: Option<&str>) {
        let message = format!("`{}` must be {expected}, found {}", entry.key, entry.value.what());
        let diagnostic = Diagnostic::error("wrong-type", message).at(self.document.value_place(entry));
        let nothing = matches!(entry.value.value, Value::Null);
        let help = if nothing { Some("give it a value, or remove the key") } else { help };
        self.tell(Diagnostic { help: help.map(str::to_owned), ..diagnostic });
    }
}

/// Reads the rules of one file.
pub(super) fn file(path: &Path, source: &Arc<Source>, catalog: &Catalog, caps: &Caps) -> Resolved {
    let mut told = Vec::new();
    let document = match yaml::parse(source, &mut told) {
        Ok(document) => document,
        Err(diagnostic) => {
            told.push(*diagnostic);
            return Resolved { told, ..Resolved::default() };
        }
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut context = Context {
        document: &document,
        catalog,
        folder,
        homes: homes(path, folder),
        caps,
        terms: Terms::within(caps),
        permissions: Arc::default(),
        told,
        errors: 0,
        named: Vec::new(),
        orphans: Vec::new(),
        looked_for: BTreeSet::new(),
        looked_at: [path.to_path_buf(), folder.to_path_buf()].into(),
    };
    let rules = top::read(&mut context).into_iter().map(Arc::new).collect();
    let Context { mut told, named, orphans, looked_for, mut looked_at, .. } = context;
    looked_at.extend(looked_for.iter().cloned());
    told.sort_by_key(|diagnostic| diagnostic.place.as_ref().map(|place| place.span.start));
    // Each use of an anchor repeats the mistakes of what it names.
    told.dedup();
    Resolved { rules, orphans, named, looked_for, looked_at, told }
}

fn homes(path: &Path, folder: &Path) -> Vec<PathBuf> {
    let folder = if folder == Path::new("") { Path::new(".") } else { folder };
    let real = fs::canonicalize(path).ok().and_then(|real| real.parent().map(Path::to_path_buf));
    fs::canonicalize(folder).ok().into_iter().chain(real).collect()
}

/// Reads one rule.
pub(super) fn rule(context: &mut Context<'_>, node: &Node) -> Option<Rule> {
    let document = context.document;
    let Value::Map(entries) = &node.value else {
        let message = format!("a rule is a table, found {}", node.what());
        let help = "write `name`, `subscription` and `handler`, each on a line of its own below the dash";
        context.tell(Diagnostic::error("wrong-type", message).at(document.place(node)).help(help));
        return None;
    };
    let before = context.errors;
    let written = keys::read(context, entries);
    let title =
        written.name.as_deref().map_or("this rule".to_owned(), |name| format!("the rule `{}`", name.escape_debug()));
    let place = match entries.iter().find(|entry| entry.key == keys::NAME).or(entries.first()) {
        Some(entry) => document.value_place(entry),
        None => document.place(node),
    };
    let unknown: Vec<&Entry> = entries.iter().filter(|entry| !keys::is_key(&entry.key)).collect();
    let missing = |key: &str| !entries.iter().any(|entry| entry.key == key || keys::meant(&entry.key) == Some(key));
    context.named.extend(written.name.clone().map(|name| (name, place.clone())));
    if missing(keys::NAME) {
        context.tell(
            Diagnostic::error("missing-key", "this rule has no `name`").at(place.clone()).help("add `name: ...`"),
        );
    }
    if missing(keys::SUBSCRIPTION) {
        let message = format!("{title} has no `subscription`");
        let help = "add what it listens to, such as `subscription: message_received`";
        context.tell(Diagnostic::error("missing-key", message).at(place.clone()).help(help));
    }
    let handler = handler::read(context, entries, &title, &place);
    let subscription = entries.iter().find(|entry| entry.key == keys::SUBSCRIPTION);
    let subscription = subscription.and_then(|entry| self::subscription(context, entry));
    let request = if let Some(subscription) = &subscription {
        keys::check_subscription(context, entries, subscription);
        parameters::read(context, subscription, &unknown)
    } else {
        parameters::unknown_everywhere(context, &unknown);
        None
    };
    let handler = handler?;
    let whole = context.errors == before;
    let (Some((request, count)), Some(name), Some(subscription), true) = (request, written.name, subscription, whole)
    else {
        let (file, permissions) = (document.source.name.clone(), Arc::clone(&context.permissions));
        context.orphans.push(Orphan { file, handler, permissions });
        return None;
    };
    Some(Rule {
        name,
        file: document.source.name.clone(),
        place,
        subscription,
        request,
        count,
        handler,
        enabled: written.enabled,
        description: written.description,
        limits: written.terms.limits,
        permissions: Arc::clone(&context.permissions),
        ignore_self: written.terms.ignore_self,
        concurrency: written.terms.concurrency,
        order: written.terms.order,
        catch_up: written.catch_up,
    })
}

/// Finds the subscription; of a mistaken name the nearest, so that its parameters are checked all the same.
fn subscription(context: &mut Context<'_>, entry: &Entry) -> Option<Arc<Subscription>> {
    let Some(name) = entry.value.text() else {
        context.wrong(entry, "the name of a subscription", Some("for example `subscription: message_received`"));
        return None;
    };
    let catalog = context.catalog;
    if let Some(found) = catalog.subscription(name) {
        return Some(Arc::clone(found));
    }
    let known = || catalog.subscriptions().iter().map(|known| known.name.as_str());
    let near = names::nearest(name, known());
    let shown = name.escape_debug();
    let (message, help) = match (catalog.command(&names::snake_case(name)), near) {
        (Some(command), near) => {
            let near = near.map_or(String::new(), |near| format!("; did you mean the subscription `{near}`?"));
            let help = format!("commands are called from Lua: `olvid.{}{{...}}`{near}", command.name);
            (format!("`{shown}` is a command, not a subscription"), help)
        }
        (None, Some(near)) => (format!("unknown subscription `{shown}`"), format!("did you mean `{near}`?")),
        (None, None) => {
            let help = "`olvid-rules catalog` lists all subscriptions".to_owned();
            (format!("unknown subscription `{shown}`"), alike(name, known()).unwrap_or(help))
        }
    };
    let place = context.document.place(&entry.value);
    context.tell(Diagnostic::error("unknown-subscription", message).at(place).help(help));
    near.and_then(|near| catalog.subscription(near)).map(Arc::clone)
}

/// Names that share their first word with a mistaken one, such as `message`.
fn alike<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    let word = names::snake_case(name);
    let word = word.split(['_', '.', ' ', '-']).next().filter(|word| word.len() > 2)?.to_owned();
    let alike: Vec<_> =
        known.filter(|known| known.split('_').next() == Some(&word)).map(|known| format!("`{known}`")).collect();
    (!alike.is_empty()).then(|| format!("there are {}", alike.join(", ")))
}

/// Tells every name that an earlier rule has.
pub(super) fn unique(named: &[&(String, Place)]) -> Vec<Diagnostic> {
    let mut first = HashMap::new();
    let mut told = Vec::new();
    for (name, place) in named {
        let Some(other) = first.get(name).copied() else {
            first.insert(name, place);
            continue;
        };
        let diagnostic = Diagnostic::error("duplicate-name", format!("the rule name `{name}` is taken"))
            .at(place.clone())
            .related(Place::clone(other), "by this rule")
            .help("names are unique over all loaded files: they tell rules apart in logs and metrics");
        told.push(diagnostic);
    }
    told
}
