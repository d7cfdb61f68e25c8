//! The first part of a reload: everything that may fail, and nothing that shows.
//!
//! Files are read and scripts loaded aside; scripts that give way hand on their state. What comes out can be applied
//! without fail, or is every mistake there is.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use futures_util::future::join_all;
use tokio::{task::spawn_blocking, time::Instant};

use super::{
    Engine,
    plan::{FeedKey, Pace, RuleView, ScriptView, View},
    specs::Specs,
};
use crate::{
    diagnostic::{Diagnostic, distinct, is_refused},
    lua::{Prepared, Script, ScriptKey, ScriptSpec},
    rules::{
        Handler, MAX_SCRIPT_BYTES, Read, Rule, RuleSet,
        inputs::{Fingerprint, Inputs},
    },
    schema::Catalog,
};

/// Rules as they were read.
pub(super) struct Loaded {
    rules: RuleSet,
    diagnostics: Vec<Diagnostic>,
    /// What is now in the files of the running scripts.
    now: BTreeMap<PathBuf, Fingerprint>,
    pub(super) begun: Instant,
    /// Whether whoever read it has told what there is to tell of it.
    is_told: bool,
}

/// A set that can run.
pub(super) struct Next {
    pub(super) view: View,
    pub(super) read: Read,
    pub(super) specs: Arc<Specs>,
    pub(super) rules: Arc<BTreeMap<String, Arc<Rule>>>,
    /// Rules that are written and not to run.
    pub(super) disabled: Arc<[Arc<Rule>]>,
    /// The scripts to be started, in place of running ones too.
    pub(super) prepared: BTreeMap<ScriptKey, Prepared>,
    /// What was read of rule files and directories.
    pub(super) inputs: BTreeMap<PathBuf, Fingerprint>,
    pub(super) warnings: Vec<Diagnostic>,
}

/// What is wrong with each script that is refused.
type Mistakes = Vec<(ScriptKey, Vec<Diagnostic>)>;

impl Loaded {
    /// A set that was read before, without mistakes, and whose warnings were told then.
    pub(super) fn of(rules: RuleSet) -> Self {
        Self { rules, diagnostics: Vec::new(), now: BTreeMap::new(), begun: Instant::now(), is_told: true }
    }
}

impl Engine {
    /// Reads the rule files, and what is now in the files of running scripts.
    pub(super) async fn load(&self, paths: &[PathBuf]) -> Loaded {
        let begun = Instant::now();
        let (paths, caps, mut now) = (paths.to_vec(), self.caps.clone(), self.held());
        let before = self.read.clone();
        let read = spawn_blocking(move || {
            let (rules, mut diagnostics) = RuleSet::load_again(&paths, Catalog::embedded(), &caps, &before);
            let read = rules.inputs.all();
            for (path, held) in &mut now {
                *held = read.get(path).copied().unwrap_or_else(|| Fingerprint::at(path, MAX_SCRIPT_BYTES));
            }
            if is_refused(&diagnostics) {
                // The scripts' mistakes too: what is wrong is told at once.
                diagnostics.extend(ScriptSpec::check_all(&rules));
            }
            Loaded { rules, diagnostics, now, begun, is_told: false }
        });
        read.await.unwrap_or_else(|error| {
            let broken = Diagnostic::error("internal", format!("reading the rules failed: {error}"));
            let (rules, now) = (RuleSet::default(), BTreeMap::new());
            Loaded { rules, diagnostics: vec![broken], now, begun, is_told: false }
        })
    }

    /// Makes of rules what can be applied, or tells every mistake.
    pub(super) async fn prepare(&mut self, loaded: Loaded) -> Result<Next, Vec<Diagnostic>> {
        let Loaded { rules, diagnostics, now, is_told, .. } = loaded;
        let inputs = rules.inputs.all();
        self.read = rules.read.clone();
        // What is not read in this attempt is compared with what is there now, not with what was once loaded.
        self.held.clone_from(&now);
        self.held.extend(inputs.clone());
        for (key, (script, _)) in &self.running.scripts {
            if let Some(view) = self.running.view.scripts.get_mut(key) {
                // Modules may have been required since.
                (view.files, view.alive) = (script.inputs.all(), !script.needs_replacing());
            }
        }
        // Then each rule stands as it does, with the script that it has.
        let stays = rules.read.is(&self.running.read);
        let none_left = !stays && !rules.rules.iter().any(|rule| rule.enabled);
        if is_refused(&diagnostics) {
            return Err(diagnostics);
        }
        if none_left && !self.running.rules.is_empty() {
            return Err(nothing_left(diagnostics));
        }
        let specs = if stays { Arc::clone(&self.running.specs) } else { Arc::new(Specs::of(&rules)) };
        let views: BTreeMap<ScriptKey, ScriptView> =
            specs.iter().map(|spec| (spec.key.clone(), self.script_view(spec, &now))).collect();
        let (kept, changed): (Vec<_>, Vec<_>) =
            specs.iter().partition(|spec| self.running.view.scripts.get(&spec.key) == views.get(&spec.key));
        let changed: Vec<_> = changed.into_iter().cloned().collect();
        let mut view = View { rules: Arc::clone(&self.running.view.rules), scripts: views };
        let mut mistakes = Mistakes::new();
        if !stays {
            let stand = |rule: &Arc<Rule>, key| (rule.name.clone(), rule_view(rule, key, self.catch_up));
            let all = specs.iter().flat_map(|spec| spec.rules.iter().map(|rule| stand(rule, &spec.key)));
            view.rules = Arc::new(all.collect());
            mistakes = self.check_kept(&kept, &view).await;
        }
        let prepared = self.load_changed(changed, is_told, &mut view, &mut mistakes).await;
        let seen = prepared.values().flat_map(|prepared| prepared.warnings.iter().cloned());
        let warnings = distinct(diagnostics.into_iter().chain(seen)).collect();
        if !mistakes.is_empty() {
            mistakes.sort_by_key(|(script, _)| specs.place_of(script));
            return Err(mistakes.into_iter().flat_map(|(_, found)| found).collect());
        }
        self.hand_on(&prepared).await?;
        let RuleSet { rules, read, .. } = rules;
        let (rules, disabled) = if stays {
            (Arc::clone(&self.running.rules), Arc::clone(&self.running.disabled))
        } else {
            let (enabled, disabled): (Vec<_>, Vec<_>) = rules.iter().map(Arc::clone).partition(|rule| rule.enabled);
            (Arc::new(enabled.into_iter().map(|rule| (rule.name.clone(), rule)).collect()), disabled.into())
        };
        Ok(Next { view, read, specs, rules, disabled, prepared, inputs, warnings })
    }

    /// How a script would stand now: with the same files as the running one of its identity, if there is one.
    fn script_view(&self, spec: &ScriptSpec, now: &BTreeMap<PathBuf, Fingerprint>) -> ScriptView {
        let code = spec.code().map(str::to_owned);
        let running = self.running.scripts.get(&spec.key);
        let paths = running.map(|(script, _)| script.inputs.all()).unwrap_or_default();
        let files = paths.into_keys().filter_map(|path| now.get(&path).map(|held| (path.clone(), *held))).collect();
        ScriptView { name: spec.name.to_string(), code, files, alive: true }
    }

    /// Checks aside the scripts that stay but get rules, or rules with other functions.
    async fn check_kept(&self, kept: &[&ScriptSpec], view: &View) -> Mistakes {
        let known = |rule: &Arc<Rule>| {
            let before = self.running.view.rules.get(&rule.name);
            before
                .zip(view.rules.get(&rule.name))
                .is_some_and(|(old, new)| (&old.script, &old.function) == (&new.script, &new.function))
        };
        let doubtful = kept.iter().filter(|spec| !spec.rules.iter().all(known));
        let doubtful: Vec<_> = doubtful.map(|spec| (*spec).clone()).collect();
        let admin = self.daemon.is_admin();
        let refused = move |spec: ScriptSpec| {
            let found = spec.check(admin);
            is_refused(&found).then_some((spec.key, found))
        };
        let check = move || doubtful.into_iter().filter_map(refused).collect();
        spawn_blocking(check).await.unwrap_or_default()
    }

    /// Loads new and changed scripts on threads of their own; with warnings, unless those were told.
    pub(super) async fn load_changed(
        &mut self,
        changed: Vec<ScriptSpec>,
        is_told: bool,
        view: &mut View,
        mistakes: &mut Mistakes,
    ) -> BTreeMap<ScriptKey, Prepared> {
        let mut read = Vec::new();
        let loading = changed.into_iter().map(|mut spec| {
            spec.inputs = Inputs::telling(Arc::clone(&self.grown));
            (spec.clock, spec.aside, spec.is_told) = (self.clock.clone(), self.aside.clone(), is_told);
            if let Some((running, _)) = self.running.scripts.get(&spec.key) {
                spec.account = Arc::clone(&running.account);
            }
            read.push((spec.key.clone(), spec.inputs.clone()));
            let (daemon, reporter) = (Some(self.daemon.clone()), self.reporter.clone());
            let (key, counters) = (spec.key.clone(), Arc::clone(&self.counters));
            let bell = self.rescue.bell();
            async move { (key, Prepared::load(spec, daemon, reporter, counters, bell).await) }
        });
        let loading: Vec<_> = loading.collect();
        let mut prepared = BTreeMap::new();
        for (key, result) in join_all(loading).await {
            match result {
                Ok(script) => drop(prepared.insert(key, script)),
                Err(found) => mistakes.push((key, found)),
            }
        }
        for (key, inputs) in read {
            let inputs = inputs.all();
            self.held.extend(inputs.clone());
            if let Some(script) = view.scripts.get_mut(&key) {
                script.files = inputs;
            }
        }
        prepared
    }

    /// Hands the state of scripts that give way to those that take their place. They stand still from here on; where
    /// anything fails, they go on.
    async fn hand_on(&self, prepared: &BTreeMap<ScriptKey, Prepared>) -> Result<(), Vec<Diagnostic>> {
        let pairs: Vec<_> = prepared
            .iter()
            .filter_map(|(key, new)| self.running.scripts.get(key).map(|(old, _)| (old, new)))
            .filter(|(old, _)| !old.needs_replacing())
            .collect();
        let moved = join_all(pairs.iter().map(|(old, new)| async move {
            match old.save().await? {
                Some(state) => new.restore(state).await,
                None => Ok(()),
            }
        }));
        let mistakes: Vec<_> = moved.await.into_iter().filter_map(Result::err).flatten().collect();
        if mistakes.is_empty() {
            return Ok(());
        }
        for (old, _) in pairs {
            Script::resume(old);
        }
        Err(mistakes)
    }
}

/// How a rule would stand. `catch_up` is for rules that do not say whether they catch up at the start.
fn rule_view(rule: &Rule, script: &ScriptKey, catch_up: bool) -> RuleView {
    let function = if let Handler::Script { function, .. } = &rule.handler { function.clone() } else { None };
    let wanted = rule.catch_up.or((catch_up && rule.subscription.recovery.is_some()).then_some(true));
    let feed = FeedKey {
        subscription: rule.subscription.name.clone(),
        request: rule.request.clone(),
        catch_up: wanted,
        // What is left of a count, and where it stood when the host ended, is each rule's own.
        own: (rule.count.is_some() || wanted == Some(true)).then(|| rule.name.clone()),
    };
    let pace = Pace {
        limits: rule.limits.clone(),
        permissions: Arc::clone(&rule.permissions),
        ignore_self: rule.ignore_self,
        concurrency: rule.concurrency,
        order: rule.order,
    };
    RuleView { feed, script: script.clone(), function, pace }
}

/// Nobody means to run nothing by saving a file: it is empty because it is being written.
fn nothing_left(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let message = "no rules are left";
    let help = "to run none, stop the host; a file that is empty for a moment is no reason to stop handling";
    diagnostics.push(Diagnostic::error("no-rules", message).help(help));
    diagnostics
}
