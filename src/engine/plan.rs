//! What differs between two sets: pure set algebra, from which everything that a reload does follows.
//!
//! A [`View`] holds of a set what running it depends on and nothing else, so that what is equal here needs no touching.
//! Applying a plan is the engine's, and cannot fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    lua::ScriptKey,
    rules::{Limits, Order, Permissions, inputs::Fingerprint},
};

/// What tells one stream from another. Rules with equal keys share a stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedKey {
    /// The subscription's name.
    pub subscription: String,
    /// The encoded request.
    pub request: Bytes,
    /// Whether what was missed is to be caught up: at the start too, never, or over gaps only.
    pub catch_up: Option<bool>,
    /// The rule, where it is limited by `count`, or catches up with what came before the start: each is owed its own.
    pub own: Option<String>,
}

/// A rule, as far as running it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleView {
    /// What feeds it.
    pub feed: FeedKey,
    /// The script that handles it.
    pub script: ScriptKey,
    /// The function in the script.
    pub function: Option<String>,
    /// How its runs are bounded and ordered.
    pub pace: Pace,
}

/// The terms of a rule's runs. A change of them touches neither stream nor script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// What a run may use up.
    pub limits: Limits,
    /// What a run may touch.
    pub permissions: Arc<Permissions>,
    /// Whether what this identity did is left out.
    pub ignore_self: bool,
    /// Runs at one time.
    pub concurrency: usize,
    /// Which runs wait for each other.
    pub order: Order,
}

/// A script, as far as what its VM was made of goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScriptView {
    /// As errors name it.
    pub name: String,
    /// The code of an inline handler.
    pub code: Option<String>,
    /// The files it was made of, and those it looked for.
    pub files: BTreeMap<std::path::PathBuf, Fingerprint>,
    /// Whether it has a thread: one that died is none to keep.
    pub alive: bool,
}

/// A set, as far as running it goes. Disabled rules are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// By name. Where all rule files were found as they were it is the same map, to the pointer.
    pub rules: Arc<BTreeMap<String, RuleView>>,
    /// By identity.
    pub scripts: BTreeMap<ScriptKey, ScriptView>,
}

/// What is to be done so that one set runs instead of another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Rules that are new.
    pub added: Vec<String>,
    /// Rules that are gone.
    pub removed: Vec<String>,
    /// Rules that are meant otherwise than before.
    pub changed: Vec<String>,
    /// How many rules are as before; their scripts may still be replaced.
    pub kept: usize,
    /// Scripts to be started.
    pub started: Vec<ScriptKey>,
    /// Scripts whose VM is to be replaced.
    pub replaced: Vec<ScriptKey>,
    /// Scripts that no rule names any more.
    pub stopped: Vec<ScriptKey>,
    /// Streams to be opened.
    pub opened: Vec<FeedKey>,
    /// Streams to be closed, those that are opened anew included.
    pub closed: Vec<FeedKey>,
    /// Rules that get their notifications from another stream than before, which must stand before the old one ends.
    pub moved: BTreeMap<String, FeedKey>,
}

impl View {
    /// Whether its rules are those of the other one, without a look at them.
    pub(super) fn has_rules_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rules, &other.rules)
    }

    /// The streams of its rules, each once, with whom they feed.
    pub(super) fn feeds(&self) -> BTreeMap<FeedKey, BTreeSet<String>> {
        let mut feeds = BTreeMap::<FeedKey, BTreeSet<String>>::new();
        for (name, rule) in &*self.rules {
            feeds.entry(rule.feed.clone()).or_default().insert(name.clone());
        }
        feeds
    }
}

impl Plan {
    /// Compares the running set with the one to run. `completed` are the running set's streams that delivered their
    /// `count`: one of a changed rule is opened anew.
    pub fn between(old: &View, new: &View, completed: &BTreeSet<FeedKey>) -> Self {
        let mut plan = Self::default();
        if new.has_rules_of(old) {
            plan.kept = new.rules.len();
        } else {
            plan.rules(old, new);
            plan.feeds(old, new, completed);
        }
        for (key, script) in &new.scripts {
            match old.scripts.get(key) {
                None => plan.started.push(key.clone()),
                Some(before) if before != script => plan.replaced.push(key.clone()),
                Some(_) => {}
            }
        }
        plan.stopped = old.scripts.keys().filter(|key| !new.scripts.contains_key(*key)).cloned().collect();
        plan
    }

    fn rules(&mut self, old: &View, new: &View) {
        for (name, rule) in &*new.rules {
            match old.rules.get(name) {
                None => self.added.push(name.clone()),
                Some(before) if before == rule => self.kept += 1,
                Some(before) => {
                    self.changed.push(name.clone());
                    if before.feed != rule.feed {
                        self.moved.insert(name.clone(), before.feed.clone());
                    }
                }
            }
        }
        self.removed = old.rules.keys().filter(|name| !new.rules.contains_key(*name)).cloned().collect();
    }

    fn feeds(&mut self, old: &View, new: &View, completed: &BTreeSet<FeedKey>) {
        let (before, after) = (old.feeds(), new.feeds());
        let anew =
            |key: &FeedKey| completed.contains(key) && key.own.as_ref().is_some_and(|rule| self.changed.contains(rule));
        self.opened = after.keys().filter(|key| !before.contains_key(*key) || anew(key)).cloned().collect();
        self.closed = before.keys().filter(|key| !after.contains_key(*key) || anew(key)).cloned().collect();
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let rules = self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty();
        rules && self.started.is_empty() && self.replaced.is_empty() && self.stopped.is_empty()
    }
}
