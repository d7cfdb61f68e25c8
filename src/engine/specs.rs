//! The scripts of a set, each with the rules that it handles.

use std::{collections::HashMap, sync::Arc};

use crate::{
    lua::{ScriptKey, ScriptSpec},
    rules::{Rule, RuleSet},
};

/// In the order of the rule files.
#[derive(Default)]
pub(super) struct Specs {
    all: Vec<ScriptSpec>,
    at: HashMap<ScriptKey, usize>,
}

impl Specs {
    pub(super) fn of(rules: &RuleSet) -> Self {
        let all = ScriptSpec::group(rules);
        let at = all.iter().enumerate().map(|(at, spec)| (spec.key.clone(), at)).collect();
        Self { all, at }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ScriptSpec> {
        self.all.iter()
    }

    /// Which one of them it is.
    pub(super) fn place_of(&self, key: &ScriptKey) -> Option<usize> {
        self.at.get(key).copied()
    }

    /// The rules that a script handles.
    pub(super) fn rules_of(&self, key: &ScriptKey) -> &[Arc<Rule>] {
        self.place_of(key).map_or(&[], |at| &self.all[at].rules)
    }
}
