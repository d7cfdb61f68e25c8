//! Random edits against a model of what a running set is: streams and VMs with identities that show whether they were
//! touched. What a plan says is done to the model, and what then runs must be what was asked for, with nothing replaced
//! that did not change.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use olvid_rules::{
    engine::plan::{FeedKey, Pace, Plan, RuleView, ScriptView, View},
    lua::ScriptKey,
    rules::{Limits, Order},
};
use proptest::prelude::*;

/// A rule as somebody writes it.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    subscription: u8,
    request: u8,
    counted: bool,
    script: u8,
    function: bool,
    pace: u8,
    enabled: bool,
}

/// What somebody does to the files between two reloads.
#[derive(Debug, Clone)]
enum Edit {
    Write(u8, Written),
    Remove(u8),
    Script(u8),
    /// A stream delivers its count.
    Complete(u8),
    Nothing,
}

/// The files: rules by number, and how often each script was edited.
#[derive(Debug, Clone, Default)]
struct Files {
    rules: BTreeMap<u8, Written>,
    scripts: BTreeMap<u8, u32>,
}

/// What runs: each stream and each VM with the number it got when it was made.
#[derive(Debug, Clone, Default)]
struct Running {
    view: View,
    streams: BTreeMap<FeedKey, u32>,
    machines: BTreeMap<ScriptKey, (u32, ScriptView)>,
    completed: BTreeSet<FeedKey>,
    made: u32,
}

fn name(rule: u8) -> String {
    format!("rule-{rule}")
}

fn script(number: u8) -> ScriptKey {
    ScriptKey::File(format!("s{number}.lua").into())
}

impl Files {
    fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Write(rule, written) => drop(self.rules.insert(*rule, written.clone())),
            Edit::Remove(rule) => drop(self.rules.remove(rule)),
            Edit::Script(number) => *self.scripts.entry(*number).or_default() += 1,
            Edit::Complete(_) | Edit::Nothing => {}
        }
    }

    fn view(&self) -> View {
        let mut view = View::default();
        for (number, rule) in self.rules.iter().filter(|(_, rule)| rule.enabled) {
            let feed = FeedKey {
                subscription: format!("subscription-{}", rule.subscription),
                request: Bytes::from(vec![rule.request]),
                catch_up: None,
                own: rule.counted.then(|| name(*number)),
            };
            let edits = self.scripts.get(&rule.script).copied().unwrap_or_default();
            let code = Some(format!("-- {edits}"));
            view.scripts.insert(script(rule.script), ScriptView { code, ..ScriptView::default() });
            let pace = Pace {
                limits: Limits { timeout: Duration::from_secs(rule.pace.into()), ..Limits::default() },
                permissions: Arc::default(),
                ignore_self: false,
                concurrency: 1,
                order: Order::Discussion,
            };
            let function = rule.function.then(|| "on".to_owned());
            Arc::make_mut(&mut view.rules)
                .insert(name(*number), RuleView { feed, script: script(rule.script), function, pace });
        }
        view
    }
}

impl Running {
    fn fresh(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    /// Does what a plan says, and only that.
    fn apply(&mut self, plan: &Plan, next: View) {
        for key in &plan.closed {
            assert!(self.streams.remove(key).is_some(), "closes a stream that is not there");
            self.completed.remove(key);
        }
        for key in &plan.opened {
            let number = self.fresh();
            assert!(self.streams.insert(key.clone(), number).is_none(), "opens a stream twice");
        }
        for key in &plan.stopped {
            assert!(self.machines.remove(key).is_some(), "stops a script that is not there");
        }
        for key in plan.started.iter().chain(&plan.replaced) {
            let number = self.fresh();
            let there = self.machines.insert(key.clone(), (number, next.scripts[key].clone())).is_some();
            assert_eq!(there, plan.replaced.contains(key));
        }
        self.view = next;
    }
}

/// What must hold between two sets, whatever the plan says of itself.
fn check(before: &Running, after: &Running, plan: &Plan) {
    let view = &after.view;
    let wanted: BTreeSet<_> = view.rules.values().map(|rule| &rule.feed).collect();
    assert_eq!(wanted, after.streams.keys().collect(), "exactly the streams that rules need");
    let scripts: BTreeSet<_> = view.rules.values().map(|rule| &rule.script).collect();
    assert_eq!(scripts, after.machines.keys().collect(), "exactly the scripts that rules name");
    let mut kept = 0;
    for (name, rule) in &*view.rules {
        assert_eq!(after.machines[&rule.script].1, view.scripts[&rule.script], "{name} runs what its file holds");
        let Some(old) = before.view.rules.get(name) else {
            assert!(plan.added.contains(name));
            continue;
        };
        kept += usize::from(old == rule);
        assert_eq!(plan.changed.contains(name), old != rule);
        assert_eq!(plan.moved.get(name), (old.feed != rule.feed).then_some(&old.feed), "{name}");
        let was_completed = before.completed.contains(&rule.feed);
        if old.feed == rule.feed && (!was_completed || old == rule) {
            assert_eq!(before.streams[&rule.feed], after.streams[&rule.feed], "{name} keeps its stream");
            assert_eq!(was_completed, after.completed.contains(&rule.feed), "what is completed stays so");
        }
        if was_completed && old != rule {
            assert_ne!(before.streams[&rule.feed], after.streams.get(&rule.feed).copied().unwrap_or_default());
        }
        if before.view.scripts.get(&rule.script) == view.scripts.get(&rule.script) {
            assert_eq!(before.machines[&rule.script].0, after.machines[&rule.script].0, "{name} keeps its VM");
        } else if let Some((number, _)) = before.machines.get(&rule.script) {
            assert_ne!(*number, after.machines[&rule.script].0, "{name} gets the new code");
        }
    }
    let gone: Vec<_> = before.view.rules.keys().filter(|name| !view.rules.contains_key(*name)).cloned().collect();
    assert_eq!((&plan.removed, plan.kept), (&gone, kept));
    assert_eq!(plan.is_empty(), before.view == *view);
    if plan.is_empty() {
        assert_eq!((&before.streams, before.made), (&after.streams, after.made), "nothing is touched for nothing");
    }
}

fn written() -> impl Strategy<Value = Written> {
    let parts = (0..2u8, 0..3u8, any::<bool>(), 0..3u8, any::<bool>(), 1..3u8, prop::bool::weighted(0.9));
    parts.prop_map(|(subscription, request, counted, script, function, pace, enabled)| Written {
        subscription,
        request,
        counted,
        script,
        function,
        pace,
        enabled,
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        5 => (0..6u8, written()).prop_map(|(rule, written)| Edit::Write(rule, written)),
        2 => (0..6u8).prop_map(Edit::Remove),
        3 => (0..3u8).prop_map(Edit::Script),
        2 => (0..6u8).prop_map(Edit::Complete),
        1 => Just(Edit::Nothing),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_makes_the_running_set_the_wanted_one_and_touches_nothing_else(
        reloads in prop::collection::vec((prop::collection::vec(edit(), 0..4), any::<bool>()), 1..12),
    ) {
        let (mut files, mut running) = (Files::default(), Running::default());
        for (edits, is_known) in reloads {
            for edit in &edits {
                files.edit(edit);
                if let Edit::Complete(rule) = edit {
                    let own = running.view.rules.get(&name(*rule)).map(|rule| rule.feed.clone());
                    running.completed.extend(own.filter(|key| key.own.is_some()));
                }
            }
            let before = running.clone();
            let mut next = files.view();
            // Files that are found as they were are not compared.
            if is_known && next.rules == running.view.rules {
                next.rules = Arc::clone(&running.view.rules);
            }
            let plan = Plan::between(&running.view, &next, &running.completed);
            running.apply(&plan, next);
            check(&before, &running, &plan);
        }
    }
}
