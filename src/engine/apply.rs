//! The second part of a reload: a plan is carried out, without waiting and without fail.
//!
//! New scripts take over the lanes of their rules, feeds learn whom they feed, new streams are opened beside the ones
//! they follow. Old scripts finish what they run.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

mod feeds;

pub(super) use feeds::Feeds;
use feeds::{Handle, Move};

use super::{
    Engine, LAST_MOMENT,
    board::{RuleLine, ScriptLine, Shown},
    catch_up::{CatchUp, now},
    cell::Cell,
    feed::Feed,
    handover::Handover,
    plan::{FeedKey, Plan, View},
    prepare::Next,
    route::Route,
    specs::Specs,
};
use crate::{
    lua::{self, Prepared, RuleQueue, Script, ScriptKey},
    report::{Event, FeedName, Origin, Reload, ReloadResult, Trigger},
    rules::Rule,
};

/// How long a script that was replaced may finish what it runs; each run is bounded by its rule's `timeout` besides.
const RETIRING: Duration = Duration::from_mins(2);

/// Whether a rule that moves still listens to the same, with other parameters.
fn is_same(view: &View, rule: &str, from: &FeedKey) -> bool {
    view.rules.get(rule).is_some_and(|rule| rule.feed.subscription == from.subscription)
}

impl Engine {
    /// Lets a set run instead of what runs.
    pub(super) fn apply(&mut self, next: Next, trigger: Trigger) -> Reload {
        let plan = Plan::between(&self.running.view, &next.view, &self.running.feeds.completed());
        // Where rules are on their way, what is over of that is to be forgotten.
        let rests = next.view.has_rules_of(&self.running.view) && self.running.feeds.moving.is_empty();
        let first = self.running.generation == 0;
        let quiet = plan.is_empty() && !first;
        let generation = self.running.generation + u64::from(!quiet);
        let named = |key| next.view.scripts.get(key).map(|script| script.name.clone());
        let scripts = plan.replaced.iter().filter_map(named).collect();
        let Next { view, read, specs, rules, disabled, prepared, inputs, warnings } = next;
        for (rule, from) in &plan.moved {
            // What waits in a queue is read as what its rule listens to: for another subscription there is another queue.
            if !is_same(&view, rule, from)
                && let Some(queue) = self.running.queues.remove(rule)
            {
                queue.retire();
            }
        }
        for rule in plan.added.iter().chain(plan.moved.keys()) {
            let new = || RuleQueue::counted(&self.counters, &self.clock);
            self.running.queues.entry(rule.clone()).or_insert_with(new);
        }
        self.replace_scripts(&plan, &view, &specs, prepared, generation);
        for rule in &plan.removed {
            if let Some(queue) = self.running.queues.remove(rule) {
                queue.retire();
            }
        }
        (self.running.read, self.running.specs) = (read, specs);
        (self.running.rules, self.running.disabled) = (rules, disabled);
        if !rests {
            self.replace_feeds(&plan, &view);
        }
        self.running.feeds.try_again();
        self.running.view = view;
        self.running.generation = generation;
        self.held = inputs;
        for (script, _) in self.running.scripts.values() {
            self.held.extend(script.inputs.all());
        }
        self.show(rests);
        if first {
            let (rules, scripts) = (self.running.rules.len(), self.running.scripts.len());
            self.reporter.emit(&Event::Started { rules, scripts, feeds: self.running.feeds.len() });
        }
        let result = match quiet {
            _ if first => ReloadResult::Started,
            true => ReloadResult::Unchanged,
            false => ReloadResult::Applied,
        };
        let Plan { added, removed, changed, kept, .. } = plan;
        let diagnostics = warnings.into();
        Reload { generation, result, added, removed, changed, kept, scripts, diagnostics, ..self.nothing_new(trigger) }
    }

    /// Lets scripts of the running set go on in other VMs, and nothing else change. Tells it.
    pub(super) fn renew(&mut self, prepared: BTreeMap<ScriptKey, Prepared>, view: View) {
        self.running.generation += 1;
        let names = prepared.keys().filter_map(|key| view.scripts.get(key)).map(|script| script.name.as_str().into());
        let names: Vec<Arc<str>> = names.collect();
        let specs = Arc::clone(&self.running.specs);
        self.replace_scripts(&Plan::default(), &view, &specs, prepared, self.running.generation);
        self.running.view = view;
        self.show(true);
        for script in names {
            self.reporter.emit(&Event::ScriptReplaced { script });
        }
    }

    fn replace_scripts(
        &mut self,
        plan: &Plan,
        view: &View,
        specs: &Specs,
        prepared: BTreeMap<ScriptKey, Prepared>,
        generation: u64,
    ) {
        let mut old = Vec::new();
        let started: BTreeSet<ScriptKey> = prepared.keys().cloned().collect();
        for (key, prepared) in prepared {
            // Before anything that its successor has to tell.
            if let Some((script, _)) = self.running.scripts.get(&key)
                && let Some(lost) = script.lost_run(|| self.origin_of(&key, script))
            {
                self.reporter.emit(&Event::RunFailed(lost));
            }
            let former = self.running.scripts.insert(key.clone(), (prepared.start(), generation));
            old.extend(former.map(|(script, _)| (key, script)));
        }
        // Where no rule has changed, only a new script has something to learn.
        let stays = view.has_rules_of(&self.running.view);
        for (key, (script, _)) in self.running.scripts.iter().filter(|(key, _)| !stays || started.contains(key)) {
            let own = specs.rules_of(key).iter();
            let new = |name: &String| {
                // A rule with a new queue is new to its script.
                let another = plan.moved.get(name).is_some_and(|from| !is_same(view, name, from));
                another
                    || started.contains(key)
                    || self.running.view.rules.get(name).is_none_or(|before| before.script != *key)
            };
            let (attached, updated): (Vec<_>, Vec<_>) = own.partition(|rule| new(&rule.name));
            let queue = |rule: &Arc<Rule>| Some((Arc::clone(rule), self.running.queues.get(&rule.name)?.clone()));
            script.attach(&attached.into_iter().filter_map(queue).collect::<Vec<_>>());
            // A rule of a file that is as it was is the one that runs.
            let runs =
                |rule: &Arc<Rule>| self.running.rules.get(&rule.name).is_some_and(|before| Arc::ptr_eq(before, rule));
            let updated = updated.into_iter().filter(|rule| !runs(rule));
            script.update(&updated.cloned().collect::<Vec<_>>());
        }
        let stopped = plan.stopped.iter();
        old.extend(stopped.filter_map(|key| Some((key.clone(), self.running.scripts.remove(key)?.0))));
        self.retired.retain(|script| !script.has_ended() && !script.is_given_up());
        for (key, script) in old {
            self.retire(&key, script, plan);
        }
    }

    /// Lets a script finish what it runs. One that does not is given up, and told: what waits for it goes on without.
    fn retire(&mut self, key: &ScriptKey, script: Script, plan: &Plan) {
        let own = self.running.specs.rules_of(key);
        // What waits for a rule that is gone is its own to handle, too.
        let removed = &plan.removed;
        let works_on = !removed.is_empty() && own.iter().any(|rule| removed.contains(&rule.name));
        let longest = own.iter().map(|rule| rule.limits.timeout).max().unwrap_or_default();
        let time = match (script.is_lost(), works_on) {
            (true, _) => Duration::ZERO,
            (false, true) => RETIRING + LAST_MOMENT,
            (false, false) => RETIRING.min(longest) + LAST_MOMENT,
        };
        script.stop(Instant::now() + RETIRING);
        let origin = self.origin_of(key, &script);
        let (script, reporter) = (Arc::new(script), self.reporter.clone());
        self.retired.push(Arc::clone(&script));
        tokio::spawn(async move {
            if !script.ended(Instant::now() + time).await {
                if !script.is_lost() {
                    reporter.emit(&Event::RunAbandoned(origin));
                } else if let Some(lost) = script.lost_run(|| origin) {
                    reporter.emit(&Event::RunFailed(lost));
                }
            }
        });
    }

    /// A script with all its rules, where it is not known which one it is about.
    fn origin_of(&self, key: &ScriptKey, script: &Script) -> Origin {
        let names: Vec<_> = self.running.specs.rules_of(key).iter().map(|rule| rule.name.as_str()).collect();
        Origin {
            rule: Some(names.join(", ").into()).filter(|_| !names.is_empty()),
            subscription: None,
            script: Arc::clone(&script.name),
            place: None,
        }
    }

    fn replace_feeds(&mut self, plan: &Plan, view: &View) {
        let feeds = view.feeds();
        let moved: BTreeMap<_, _> = plan.moved.iter().filter(|(rule, from)| is_same(view, rule, from)).collect();
        let joined = self.joined(view, plan, &moved);
        let mut closed = BTreeMap::new();
        for key in plan.closed.iter().chain(&joined) {
            closed.extend(self.running.feeds.all.remove(key).map(|handle| (key.clone(), handle)));
        }
        for key in plan.opened.iter().chain(&joined) {
            self.open(key, feeds.get(key), plan, &closed);
        }
        self.running.feeds.moving = self.moves(view, &feeds, &moved, &joined, &closed);
        self.route(&feeds, closed.into_values().collect());
    }

    /// The rules that are on their way now: those that were are led to where they are to be, and others set out.
    fn moves(
        &mut self,
        view: &View,
        feeds: &BTreeMap<FeedKey, BTreeSet<String>>,
        moved: &BTreeMap<&String, &FeedKey>,
        joined: &[FeedKey],
        closed: &BTreeMap<FeedKey, Arc<Handle>>,
    ) -> Vec<Move> {
        let (past, under_way): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running.feeds.moving).into_iter().partition(|of| of.handover.has_left());
        let all = &self.running.feeds.all;
        let before = |rule: &String| self.running.view.rules.get(rule).map(|rule| &rule.feed);
        let home = |rule: &String| view.rules.get(rule).and_then(|rule| all.get(&rule.feed));
        let own = |key| feeds.get(key).into_iter().flatten().filter(move |rule| before(rule) == Some(key));
        let anew = joined.iter().flat_map(|key| own(key).map(move |rule| (rule, key)));
        let moved = moved.iter().map(|(rule, from)| (*rule, *from));
        let set_out = |(rule, from): (&String, &FeedKey)| {
            let is_new = !under_way.iter().any(|of| of.rule == *rule);
            is_new.then(|| Some(Move::new(rule, closed.get(from).or(all.get(from))?, home(rule)?))).flatten()
        };
        let mut on_way: Vec<_> = anew.chain(moved).filter_map(set_out).collect();
        on_way.extend(under_way.into_iter().filter_map(|of| {
            let stays = before(&of.rule).is_some_and(|from| is_same(view, &of.rule, from));
            let to = home(&of.rule).filter(|_| stays);
            of.led_to(to)
        }));
        // What was handed over is remembered where the rule is, and where it now leaves.
        let matters = |of: &Move| {
            let is_home = home(&of.rule).is_some_and(|home| Arc::ptr_eq(home, &of.to));
            is_home || on_way.iter().any(|next| next.rule == of.rule && Arc::ptr_eq(&next.from, &of.to))
        };
        let past: Vec<_> = past.into_iter().filter(|of| !of.handover.is_over() && matters(of)).collect();
        on_way.extend(past);
        on_way
    }

    /// Tells all feeds whom they feed, and those that feed nobody any more to end.
    fn route(&mut self, feeds: &BTreeMap<FeedKey, BTreeSet<String>>, mut outside: Vec<Arc<Handle>>) {
        let Feeds { all, moving, .. } = &self.running.feeds;
        let leaving: Vec<_> = moving.iter().filter(|of| !of.handover.has_left()).collect();
        let is_outside = |of: &&&Move| !all.values().chain(&outside).any(|handle| Arc::ptr_eq(handle, &of.from));
        let more: Vec<_> = leaving.iter().filter(is_outside).map(|of| Arc::clone(&of.from)).collect();
        outside.extend(more);
        let route = |rule: &String, handle: &Arc<Handle>, leaving: Option<&Arc<Handover>>| {
            let queue = self.running.queues.get(rule)?.clone();
            let arriving = moving.iter().find(|of| of.rule == *rule && Arc::ptr_eq(&of.to, handle));
            let arriving = arriving.map(|of| Arc::clone(&of.handover));
            Some(Route { queue, arriving, leaving: leaving.cloned() })
        };
        // A rule that moves is on both feeds until the new one has taken it over.
        let leaving = |handle: &Arc<Handle>| -> Vec<Route> {
            let own = leaving.iter().filter(|of| Arc::ptr_eq(&of.from, handle));
            own.filter_map(|of| route(&of.rule, handle, Some(&of.handover))).collect()
        };
        for (key, handle) in all {
            let own = feeds.get(key).into_iter().flatten();
            let routes = own.filter_map(|rule| route(rule, handle, None)).chain(leaving(handle)).collect();
            handle.cell.rename(self.feed_name(key, feeds.get(key)));
            handle.routes.send_replace(routes);
        }
        for handle in outside {
            let routes = leaving(&handle);
            let is_left = routes.is_empty();
            handle.routes.send_replace(routes.into());
            if is_left {
                handle.closing.cancel();
            }
        }
    }

    /// Streams that are open and get rules of other ones. How far each has come is not comparable, so they are opened anew:
    /// what a stream brings from its beginning on is.
    fn joined(&self, view: &View, plan: &Plan, moved: &BTreeMap<&String, &FeedKey>) -> Vec<FeedKey> {
        let is_open = |key: &&FeedKey| self.running.feeds.all.get(key).is_some_and(|handle| handle.cell.is_open());
        let led_to = moved.keys().filter_map(|rule| Some(&view.rules.get(*rule)?.feed));
        let joined: BTreeSet<_> = led_to.filter(is_open).filter(|key| !plan.opened.contains(key)).collect();
        joined.into_iter().cloned().collect()
    }

    fn open(
        &mut self,
        key: &FeedKey,
        rules: Option<&BTreeSet<String>>,
        plan: &Plan,
        closed: &BTreeMap<FeedKey, Arc<Handle>>,
    ) {
        let rule = rules.and_then(BTreeSet::first).and_then(|name| self.running.rules.get(name));
        let Some(rule) = rule else { return };
        let id = self.next_feed;
        self.next_feed += 1;
        let tally = self.tallies.of(&key.subscription);
        let cell = Cell::new(id, self.feed_name(key, rules), rule.count, tally);
        let (routes, receiver) = watch::channel(Arc::default());
        let former = |from| closed.get(from).or(self.running.feeds.all.get(from))?.catch_up.as_ref();
        // A rule that only changed has handled what came before, unless its stream is still to begin with that.
        let began = plan.moved.get(&rule.name).is_some_and(|from| former(from).is_none_or(CatchUp::stands));
        let catch_up = self.catch_up(key, rule, began);
        let kept = key.catch_up == Some(true) && catch_up.is_some() && self.cursors.is_some();
        let in_hand = Arc::<AtomicU64>::default();
        let (stir, closing) = (Arc::<Notify>::default(), CancellationToken::new());
        let mut feed = Feed {
            cell: Arc::clone(&cell),
            subscription: Arc::clone(&rule.subscription),
            request: rule.request.clone(),
            remaining: rule.count,
            catch_up: catch_up.clone(),
            away: None,
            in_hand: Arc::clone(&in_hand),
            routes: receiver,
            stir: Arc::clone(&stir),
            closing: closing.clone(),
            daemon: self.daemon.clone(),
            counters: Arc::clone(&self.counters),
            herald: self.herald.clone(),
        };
        // Borrowed, as what an async function owns is in its future twice.
        self.running.feeds.tasks.spawn(async move { feed.run().await });
        let handle = Handle { cell, routes, stir, closing, catch_up, kept, in_hand };
        self.running.feeds.all.insert(key.clone(), Arc::new(handle));
    }

    /// What a new feed is to know of what came before it, where its rule has not begun on another.
    fn catch_up(&self, key: &FeedKey, rule: &Rule, began: bool) -> Option<CatchUp> {
        if key.catch_up == Some(false) {
            return None;
        }
        let mut catch_up = CatchUp::new(&rule.subscription, &rule.request)?;
        if key.catch_up == Some(true) && !began {
            let cursor = self.cursors.as_ref().and_then(|cursors| cursors.of(rule));
            catch_up.resume(cursor, now());
        }
        if let Some(cursors) = &self.cursors {
            cursors.keep([rule], &catch_up);
        }
        Some(catch_up)
    }

    fn feed_name(&self, key: &FeedKey, rules: Option<&BTreeSet<String>>) -> FeedName {
        let names = rules.into_iter().flatten();
        let place = names.clone().next().and_then(|name| self.running.rules.get(name));
        let place = place.map_or_else(String::new, |rule| rule.place.display());
        FeedName {
            subscription: key.subscription.as_str().into(),
            rules: names.map(|name| name.as_str().into()).collect(),
            place: place.into(),
        }
    }

    /// Puts on the board what runs now. Where no rule and no feed has changed, what is shown of rules stays, and of the
    /// scripts that go on.
    fn show(&self, rests: bool) {
        let running = &self.running;
        let shown = self.board.look(|shown, _| rests.then(|| (Arc::clone(&shown.rules), shown.scripts.clone())));
        let line = |(key, (script, generation)): (&ScriptKey, &(Script, u64))| {
            let own = running.specs.rules_of(key);
            let mut rules: Vec<_> = own.iter().map(|rule| rule.name.clone()).collect();
            rules.sort();
            let limits = own.iter().map(|rule| &rule.limits);
            let most = limits.clone().map(|limits| limits.memory).max().unwrap_or_default();
            let label = match key {
                ScriptKey::Inline(rule) => format!("{}:{rule}", script.name),
                ScriptKey::File(_) => script.name.to_string(),
            };
            Arc::new(ScriptLine {
                name: script.name.to_string(),
                label,
                generation: *generation,
                patience: lua::patience(limits),
                rules,
                files: script.inputs.clone(),
                pulse: Arc::clone(script.pulse()),
                account: Arc::clone(&script.account),
                used: Arc::clone(&script.used),
                most,
            })
        };
        let (rules, scripts) = match shown {
            Some((rules, lines)) => {
                let pairs = lines.into_iter().zip(&running.scripts);
                let each = |(old, new): (Arc<ScriptLine>, (_, &(Script, _)))| {
                    if Arc::ptr_eq(&old.pulse, new.1.0.pulse()) { old } else { line(new) }
                };
                (rules, pairs.map(each).collect())
            }
            None => (self.rule_lines().into(), running.scripts.iter().map(line).collect()),
        };
        self.board.show(Shown {
            rules,
            disabled: running.disabled.clone(),
            feeds: running.feeds.lines(),
            scripts,
            files: self.held.clone(),
            counters: Arc::clone(&self.counters),
            tallies: Arc::clone(&self.tallies),
            bell: self.rescue.bell(),
        });
    }

    fn rule_lines(&self) -> Vec<RuleLine> {
        let running = &self.running;
        let mut formers = HashMap::new();
        for (rule, former) in running.feeds.formers() {
            formers.entry(rule).or_insert(former);
        }
        let line = |rule: &Arc<Rule>| {
            let (view, queue) = (running.view.rules.get(&rule.name)?, running.queues.get(&rule.name)?.clone());
            let script = running.view.scripts.get(&view.script)?.name.clone();
            let feed = Arc::clone(&running.feeds.all.get(&view.feed)?.cell);
            let former = formers.get(&*rule.name).cloned();
            Some(RuleLine { rule: Arc::clone(rule), script, queue, feed, former })
        };
        running.rules.values().filter_map(line).collect()
    }
}
