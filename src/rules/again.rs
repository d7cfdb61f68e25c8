//! Rule files that are read again: of one that is as it was, what was made of it stays, to the pointer.
//!
//! That is the way of nearly all files at nearly all reloads, and of all of them where only a script has changed. What a file
//! is made into depends on its text and on where the paths in it lead; both are compared. One with anything to be told is
//! read anew, as what is told may lie in something else.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Caps, Rule,
    load::Text,
    resolve::{self, Resolved},
};
use crate::{
    diagnostic::{Diagnostic, Source},
    schema::Catalog,
};

/// Files with what was made of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Read {
    files: Arc<[Arc<Known>]>,
    /// The rules of all.
    rules: Arc<[Arc<Rule>]>,
    /// Names that two rules have.
    taken: Arc<[Diagnostic]>,
}

/// One of them.
#[derive(Debug)]
struct Known {
    path: PathBuf,
    source: Arc<Source>,
    caps: Caps,
    around: BTreeMap<PathBuf, Lies>,
    made: Resolved,
}

/// Where a path leads, and whether that is a directory or a file.
#[derive(Debug, PartialEq, Eq)]
struct Lies(Result<(PathBuf, bool, bool), ErrorKind>);

impl Read {
    /// What is made of these files: what is known of each, where that still holds.
    pub(super) fn again(&self, texts: &[Text], catalog: &Catalog, caps: &Caps) -> Self {
        let known: HashMap<_, _> = self.files.iter().map(|known| (&*known.path, known)).collect();
        // Many files have the same scripts.
        let mut looked = HashMap::new();
        let read = |text: &Text| Known::of(text, catalog, caps, known.get(&*text.path).copied(), &mut looked);
        let files: Arc<[Arc<Known>]> = texts.iter().map(read).collect();
        if is_same(&files, &self.files) {
            return self.clone();
        }
        let named: Vec<_> = files.iter().flat_map(|known| &known.made.named).collect();
        let rules = files.iter().flat_map(|known| &known.made.rules).map(Arc::clone).collect();
        Self { taken: resolve::unique(&named).into(), rules, files }
    }

    /// Whether these are the same files, as they were: what was made of them is the same to the pointer.
    pub(crate) fn is(&self, other: &Self) -> bool {
        !self.files.is_empty() && is_same(&self.files, &other.files)
    }

    /// All rules, in the order of the files.
    pub(super) fn rules(&self) -> Arc<[Arc<Rule>]> {
        Arc::clone(&self.rules)
    }

    /// What is told of names that two rules have.
    pub(super) fn taken(&self) -> &[Diagnostic] {
        &self.taken
    }

    /// What was made of each.
    pub(super) fn made(&self) -> impl Iterator<Item = &Resolved> {
        self.files.iter().map(|known| &known.made)
    }

    /// All paths that were looked for, each once.
    pub(super) fn looked_for(&self) -> BTreeSet<&PathBuf> {
        self.made().flat_map(|made| &made.looked_for).collect()
    }
}

fn is_same(files: &[Arc<Known>], others: &[Arc<Known>]) -> bool {
    files.len() == others.len() && files.iter().zip(others).all(|(own, other)| Arc::ptr_eq(own, other))
}

impl Known {
    fn of<'k>(
        text: &Text,
        catalog: &Catalog,
        caps: &Caps,
        known: Option<&'k Arc<Self>>,
        looked: &mut HashMap<&'k Path, Lies>,
    ) -> Arc<Self> {
        if let Some(known) = known.filter(|known| known.holds(text, caps, looked)) {
            return Arc::clone(known);
        }
        let made = resolve::file(&text.path, &text.source, catalog, caps);
        let around = made.looked_at.iter().map(|path| (path.clone(), Lies::of(path))).collect();
        Arc::new(Self { path: text.path.clone(), source: Arc::clone(&text.source), caps: caps.clone(), around, made })
    }

    fn holds<'k>(&'k self, text: &Text, caps: &Caps, looked: &mut HashMap<&'k Path, Lies>) -> bool {
        let Source { name, text: content } = &*text.source;
        let is_same = (&self.source.name, &self.source.text, &self.caps) == (name, content, caps);
        let mut lies_still = |(path, before): (&'k PathBuf, &Lies)| {
            let lies = looked.entry(path).or_insert_with(|| Lies::of(path));
            lies == before
        };
        is_same && self.made.told.is_empty() && self.around.iter().all(&mut lies_still)
    }
}

impl Lies {
    fn of(path: &Path) -> Self {
        let path = if path == Path::new("") { Path::new(".") } else { path };
        let found = fs::canonicalize(path).and_then(|real| Ok((fs::metadata(&real)?, real)));
        Self(found.map(|(found, real)| (real, found.is_dir(), found.is_file())).map_err(|error| error.kind()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::RuleSet;
    use super::*;

    const RULES: &str = "permissions: { read: [data] }\nrules:
  - { name: one, subscription: message_received, handler: one.lua }
  - { name: two, subscription: message_received, handler: two.lua }
";

    fn load(folder: &Path, before: &RuleSet) -> (RuleSet, bool) {
        let (set, _) =
            RuleSet::load_again(&[folder.to_path_buf()], Catalog::embedded(), &Caps::default(), &before.read);
        let old = before.rules.iter().filter(|rule| rule.name == "one").map(Arc::as_ptr);
        let new = set.rules.iter().filter(|rule| rule.name == "one").map(Arc::as_ptr);
        let stayed = old.eq(new);
        (set, stayed)
    }

    #[test]
    fn what_was_made_of_a_file_stays_until_its_text_or_what_its_paths_lead_to_changes() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let write = |name: &str, text: &str| fs::write(home.join(name), text).unwrap();
        fs::create_dir(home.join("data")).unwrap();
        write("a.yaml", RULES);
        write("one.lua", "");
        write("two.lua", "");
        let (set, _) = load(home, &RuleSet::default());
        assert_eq!(set.rules.len(), 2);
        let (set, stayed) = load(home, &set);
        assert!(stayed);
        write("one.lua", "return function() end");
        write("b.yaml", "rules: []");
        let (set, stayed) = load(home, &set);
        assert!(stayed, "of a script only that it is there counts, and of another file nothing");
        let changes: [&dyn Fn(); 5] = [
            &|| write("a.yaml", &format!("{RULES}# more\n")),
            &|| fs::rename(home.join("two.lua"), home.join("three.lua")).unwrap(),
            &|| symlink("three.lua", home.join("two.lua")).unwrap(),
            &|| fs::remove_dir(home.join("data")).unwrap(),
            &|| write("data", ""),
        ];
        for change in changes {
            let (before, _) = load(home, &set);
            change();
            let (after, stayed) = load(home, &before);
            assert!(!stayed);
            // As if it were the first time.
            let (anew, _) = load(home, &RuleSet::default());
            assert_eq!(format!("{:?}", after.rules), format!("{:?}", anew.rules));
            assert_eq!(after.inputs.all(), anew.inputs.all());
        }
    }
}
