//! Rule files: text in, a [`RuleSet`] or every mistake out.
//!
//! Reads the given files and nothing else. Scripts are named here, not opened as Lua: compiling is the floor above.

mod again;
mod handler;
pub mod inputs;
pub mod json_schema;
mod keys;
mod letters;
mod limits;
pub(crate) mod load;
mod measure;
pub(crate) mod node;
mod parameters;
pub mod pattern;
mod permissions;
pub mod reference;
mod resolve;
mod scan;
mod span;
mod syntax;
mod terms;
mod top;
pub(crate) mod yaml;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;

pub(crate) use again::Read;
pub(crate) use handler::{is_kept_lua, is_lua};
use inputs::{Fingerprint, Inputs};
pub use keys::all as keys;
pub use limits::{Caps, LIMITS, Limit, Limits, Permissions};
pub use measure::Measure;
pub use permissions::is_secret;

use crate::{
    diagnostic::{Diagnostic, Place, Severity, is_refused},
    schema::{Catalog, Subscription},
};

/// The largest script, in bytes; a larger one is refused when it is loaded.
pub const MAX_SCRIPT_BYTES: u64 = 1024 * 1024;

/// More mistakes than anyone reads at once.
const MAX_DIAGNOSTICS: usize = 100;

/// All rules of all given files, in the order of the files.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    /// Enabled and disabled ones.
    pub rules: Arc<[Arc<Rule>]>,
    /// Handlers of rules that are refused for other mistakes: their scripts are checked all the same, so that every mistake
    /// is told at once.
    pub orphans: Vec<Orphan>,
    /// Everything that was read or looked for: rule files, their directories, and the scripts that handlers name. What a
    /// script itself reads is its own to record.
    pub inputs: Inputs,
    /// What was made of each file, for when they are read again.
    pub(crate) read: Read,
}

/// One rule, as meant.
#[derive(Debug)]
pub struct Rule {
    /// Unique over all loaded files.
    pub name: String,
    /// The rule file as the user named it, for display.
    pub file: String,
    /// Where its name stands.
    pub place: Place,
    /// What it listens to.
    pub subscription: Arc<Subscription>,
    /// The encoded request. Equal parameters have equal bytes.
    pub request: Bytes,
    /// The `count` in the request, where it limits (absent and 0 do not).
    pub count: Option<u64>,
    /// What handles its notifications.
    pub handler: Handler,
    /// Whether it runs at all.
    pub enabled: bool,
    /// Free text.
    pub description: Option<String>,
    /// What its runs may use up.
    pub limits: Limits,
    /// What its script may touch: the same for all rules of a file.
    pub permissions: Arc<Permissions>,
    /// Whether what this identity itself did is left out.
    pub ignore_self: bool,
    /// Runs at one time, at least 1.
    pub concurrency: usize,
    /// Which runs wait for each other.
    pub order: Order,
    /// Whether what was missed is listed and handled: also what was missed before the start (true), never (false), or
    /// what is missed while the host runs (none). True only where the subscription has a recovery.
    pub catch_up: Option<bool>,
}

/// A handler whose rule is refused.
#[derive(Debug, Clone)]
pub struct Orphan {
    /// The rule file as the user named it.
    pub file: String,
    /// What would handle the rule's notifications.
    pub handler: Handler,
    /// What its script may touch.
    pub permissions: Arc<Permissions>,
}

/// What handles a rule's notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handler {
    /// A script file: it returns the function, or a table in which `function` names it.
    Script {
        /// The path, resolved against the rule file's directory, not canonical.
        path: PathBuf,
        /// The name behind the colon.
        function: Option<String>,
        /// Where the rule names it.
        place: Place,
    },
    /// The body of the handler in the rule file.
    Inline {
        /// The Lua text.
        code: String,
        /// The line of the rule file, from 1, that its first line is. In a block scalar, the line below the key.
        line: usize,
        /// Where the text starts.
        place: Place,
    },
}

/// Which runs of one rule wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// In order within one discussion, side by side across discussions.
    #[default]
    Discussion,
    /// Strictly one after another.
    Rule,
    /// As they come.
    None,
}

impl RuleSet {
    /// What its enabled rules listen to, one for each.
    pub fn subscriptions(&self) -> Vec<&str> {
        self.rules.iter().filter(|rule| rule.enabled).map(|rule| rule.subscription.name.as_str()).collect()
    }

    /// Loads files, and every rule file directly in directories.
    ///
    /// The set holds what could be understood. It is to be refused as a whole where any diagnostic is an error.
    pub fn load(paths: &[PathBuf], catalog: &Catalog) -> (Self, Vec<Diagnostic>) {
        Self::load_within(paths, catalog, &Caps::default())
    }

    /// Loads so that no rule gets more than the caps; what asks for more is told, and gets the cap.
    pub fn load_within(paths: &[PathBuf], catalog: &Catalog, caps: &Caps) -> (Self, Vec<Diagnostic>) {
        Self::load_again(paths, catalog, caps, &Read::default())
    }

    /// The same, with what was read before, by the same catalog: rules of files that are as they were are the same ones.
    pub(crate) fn load_again(
        paths: &[PathBuf],
        catalog: &Catalog,
        caps: &Caps,
        before: &Read,
    ) -> (Self, Vec<Diagnostic>) {
        let (mut set, mut told) = (Self::default(), Vec::new());
        let texts = load::texts(paths, &set.inputs, &mut told);
        set.read = before.again(&texts, catalog, caps);
        for path in set.read.looked_for() {
            set.inputs.add(path, Fingerprint::at(path, MAX_SCRIPT_BYTES));
        }
        set.rules = set.read.rules();
        for made in set.read.made() {
            set.orphans.extend(made.orphans.iter().cloned());
            told.extend(made.told.iter().cloned());
        }
        told.extend(set.read.taken().iter().cloned());
        (set, limited(told))
    }
}

/// Cuts a long list of mistakes, warnings first.
fn limited(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if diagnostics.len() <= MAX_DIAGNOSTICS {
        return diagnostics;
    }
    let all = diagnostics.len();
    if is_refused(&diagnostics) {
        diagnostics.retain(|diagnostic| diagnostic.severity == Severity::Error);
    }
    diagnostics.truncate(MAX_DIAGNOSTICS);
    let severity = diagnostics.first().map_or(Severity::Error, |first| first.severity);
    let more = all - diagnostics.len();
    if more > 0 {
        diagnostics.push(Diagnostic { severity, ..Diagnostic::error("more", format!("and {more} more")) });
    }
    diagnostics
}
