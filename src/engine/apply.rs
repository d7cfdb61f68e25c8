//! The second part of a reload: a plan is carried out, without waiting and without fail.
//!
//! New scripts take over the lanes of their rules, feeds learn whom they feed, new streams are opened beside the ones
//! they follow. Old scripts finish what they run.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    Engine,
    board::{FeedLine, RuleLine, ScriptLine, Shown},
    catch_up::{CatchUp, now},
    cell::Cell,
    feed::{Feed, Moving, Route},
    handover::Handover,
    plan::{FeedKey, Plan, View},
    prepare::{Next, feeds_of},
};
use crate::{
    lua::RuleQueue,
    report::{Event, FeedName, Reload, ReloadResult, Trigger},
    rules::Rule,
};

/// How long a script that was replaced may finish what it runs; each run is bounded by its rule's `timeout` besides.
const RETIRING: Duration = Duration::from_mins(2);

/// The running feeds.
#[derive(Default)]
pub(super) struct Feeds {
    all: BTreeMap<FeedKey, Handle>,
    tasks: JoinSet<()>,
    /// Rules on their way from one feed to another.
    moving: Vec<Arc<Handover>>,
}

/// The engine's end of a feed.
struct Handle {
    cell: Arc<Cell>,
    routes: watch::Sender<Arc<[Route]>>,
    stir: Arc<Notify>,
    closing: CancellationToken,
}

impl Feeds {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Rules that have not arrived yet.
    pub(super) fn moving(&self) -> Vec<Arc<Handover>> {
        self.moving.iter().filter(|handover| !handover.has_left()).map(Arc::clone).collect()
    }

    /// Closes all streams and waits for the tasks; one that does not end by the deadline is given up.
    pub(super) async fn stop(&mut self, deadline: Instant) {
        self.moving.iter().for_each(|handover| handover.leave());
        for handle in self.all.values() {
            handle.closing.cancel();
        }
        drop(timeout_at(deadline, async { while self.tasks.join_next().await.is_some() {} }).await);
        self.tasks.shutdown().await;
    }

    fn completed(&self) -> BTreeSet<FeedKey> {
        let completed = self.all.iter().filter(|(_, handle)| handle.cell.is_completed());
        completed.map(|(key, _)| key.clone()).collect()
    }
}

/// Whether a rule that moves still listens to the same, with other parameters.
fn is_same(view: &View, rule: &str, from: &FeedKey) -> bool {
    view.rules.get(rule).is_some_and(|rule| rule.feed.subscription == from.subscription)
}

impl Engine {
    /// Lets a set run instead of what runs.
    pub(super) fn apply(&mut self, next: Next, trigger: Trigger) -> Reload {
        let plan = Plan::between(&self.running.view, &next.view, &self.running.feeds.completed());
        let first = self.running.generation == 0;
        let quiet = plan.is_empty() && !first;
        let generation = self.running.generation + u64::from(!quiet);
        let named = |key| next.view.scripts.get(key).map(|script| script.name.clone());
        let scripts = plan.replaced.iter().filter_map(named).collect();
        let Next { view, rules, prepared, inputs, warnings } = next;
        for (rule, from) in &plan.moved {
            // What waits in a queue is read as what its rule listens to: for another subscription there is another queue.
            if !is_same(&view, rule, from)
                && let Some(queue) = self.running.queues.remove(rule)
            {
                queue.retire();
            }
        }
        for rule in rules.keys().filter(|rule| !self.running.queues.contains_key(*rule)).cloned().collect::<Vec<_>>() {
            self.running.queues.insert(rule, RuleQueue::counted(&self.counters));
        }
        self.replace_scripts(&plan, &view, &rules, prepared, generation);
        for rule in &plan.removed {
            if let Some(queue) = self.running.queues.remove(rule) {
                queue.retire();
            }
        }
        self.running.rules = rules;
        self.replace_feeds(&plan, &view);
        self.running.view = view;
        self.running.generation = generation;
        self.held = inputs;
        for (script, _) in self.running.scripts.values() {
            self.held.extend(script.inputs.all());
        }
        self.show();
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
        let (kept, diagnostics) = (kept.len(), warnings.into());
        Reload { generation, result, added, removed, changed, kept, scripts, diagnostics, ..self.nothing_new(trigger) }
    }

    fn replace_scripts(
        &mut self,
        plan: &Plan,
        view: &View,
        rules: &BTreeMap<String, Arc<Rule>>,
        prepared: BTreeMap<crate::lua::ScriptKey, crate::lua::Prepared>,
        generation: u64,
    ) {
        let mut old = Vec::new();
        for (key, prepared) in prepared {
            old.extend(self.running.scripts.insert(key, (prepared.start(), generation)));
        }
        for (key, (script, since)) in &self.running.scripts {
            let own = rules.iter().filter(|(name, _)| view.rules.get(*name).is_some_and(|rule| rule.script == *key));
            let new = |name: &String| {
                // A rule with a new queue is new to its script.
                let another = plan.moved.get(name).is_some_and(|from| !is_same(view, name, from));
                another
                    || *since == generation
                    || self.running.view.rules.get(name).is_none_or(|before| before.script != *key)
            };
            let (attached, updated): (Vec<_>, Vec<_>) = own.partition(|(name, _)| new(name));
            let attached: Vec<_> = attached
                .into_iter()
                .filter_map(|(name, rule)| Some((Arc::clone(rule), self.running.queues.get(name)?.clone())))
                .collect();
            script.attach(&attached);
            script.update(&updated.into_iter().map(|(_, rule)| Arc::clone(rule)).collect::<Vec<_>>());
        }
        old.extend(plan.stopped.iter().filter_map(|key| self.running.scripts.remove(key)));
        let deadline = Instant::now() + RETIRING;
        self.retired.retain(|script| !script.has_ended());
        for (script, _) in old {
            script.stop(deadline);
            self.retired.push(script);
        }
    }

    fn replace_feeds(&mut self, plan: &Plan, view: &View) {
        self.running.feeds.moving.retain(|handover| !handover.has_left());
        let mut closed = BTreeMap::new();
        for key in &plan.closed {
            closed.extend(self.running.feeds.all.remove(key).map(|handle| (key.clone(), handle)));
        }
        let feeds = feeds_of(view);
        for key in &plan.opened {
            self.open(key, feeds.get(key), plan);
        }
        // A rule that moves is on both feeds until the new one has taken it over.
        let mut leaving = BTreeMap::<FeedKey, Vec<Route>>::new();
        let mut arriving = BTreeMap::<String, Arc<Handover>>::new();
        for (rule, from) in plan.moved.iter().filter(|(rule, from)| is_same(view, rule, from)) {
            let to = view.rules.get(rule).and_then(|rule| self.running.feeds.all.get(&rule.feed));
            let old = closed.get(from).or(self.running.feeds.all.get(from));
            let (Some(to), Some(old), Some(queue)) = (to, old, self.running.queues.get(rule)) else { continue };
            let handover = Handover::new(Arc::clone(&old.stir), Arc::clone(&to.stir));
            if old.cell.is_completed() {
                // There is nothing to come on it. One that is not open may be so at the daemon already: its task knows.
                handover.leave();
            } else if to.cell.is_open() {
                handover.opened();
            }
            self.running.feeds.moving.push(Arc::clone(&handover));
            let moving = Moving::Leaving(Arc::clone(&handover));
            leaving.entry(from.clone()).or_default().push(Route { queue: queue.clone(), moving });
            arriving.insert(rule.clone(), handover);
        }
        for (key, handle) in &self.running.feeds.all {
            let at_home = feeds.get(key).into_iter().flatten().filter_map(|rule| {
                let queue = self.running.queues.get(rule)?.clone();
                let moving = arriving.get(rule).map_or(Moving::No, |handover| Moving::Arriving(Arc::clone(handover)));
                Some(Route { queue, moving })
            });
            let routes: Arc<[Route]> = at_home.chain(leaving.remove(key).unwrap_or_default()).collect();
            handle.cell.rename(self.feed_name(key, feeds.get(key)));
            handle.routes.send_replace(routes);
            // What the daemon refused is tried again: the operator may have mended it.
            handle.stir.notify_one();
        }
        for (key, handle) in closed {
            match leaving.remove(&key) {
                Some(routes) => drop(handle.routes.send_replace(routes.into())),
                None => handle.closing.cancel(),
            }
        }
    }

    fn open(&mut self, key: &FeedKey, rules: Option<&BTreeSet<String>>, plan: &Plan) {
        let rule = rules.and_then(BTreeSet::first).and_then(|name| self.running.rules.get(name));
        let Some(rule) = rule else { return };
        let id = self.next_feed;
        self.next_feed += 1;
        let cell = Cell::new(id, self.feed_name(key, rules), rule.count);
        let (routes, receiver) = watch::channel(Arc::default());
        let catch_up = self.catch_up(key, rule, plan);
        let (stir, closing) = (Arc::<Notify>::default(), CancellationToken::new());
        let feed = Feed {
            cell: Arc::clone(&cell),
            subscription: Arc::clone(&rule.subscription),
            request: rule.request.clone(),
            remaining: rule.count,
            catch_up,
            routes: receiver,
            stir: Arc::clone(&stir),
            closing: closing.clone(),
            daemon: self.daemon.clone(),
            counters: Arc::clone(&self.counters),
            herald: self.herald.clone(),
        };
        self.running.feeds.tasks.spawn(feed.run());
        self.running.feeds.all.insert(key.clone(), Handle { cell, routes, stir, closing });
    }

    /// What a new feed is to know of what came before it.
    fn catch_up(&self, key: &FeedKey, rule: &Rule, plan: &Plan) -> Option<CatchUp> {
        if key.catch_up == Some(false) {
            return None;
        }
        let mut catch_up = CatchUp::new(&rule.subscription, &rule.request)?;
        // A rule that only changed has handled what came before.
        if key.catch_up == Some(true) && !plan.moved.contains_key(&rule.name) {
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

    /// Puts on the board what runs now.
    fn show(&self) {
        let running = &self.running;
        let rules = running.rules.values().filter_map(|rule| {
            let (view, queue) = (running.view.rules.get(&rule.name)?, running.queues.get(&rule.name)?.clone());
            let script = running.view.scripts.get(&view.script)?.name.clone();
            let feed = Arc::clone(&running.feeds.all.get(&view.feed)?.cell);
            Some(RuleLine { rule: Arc::clone(rule), script, queue, feed })
        });
        let scripts = running.scripts.iter().map(|(key, (script, generation))| {
            let own = running.view.rules.iter().filter(|(_, rule)| rule.script == *key);
            let rules = own.map(|(name, _)| name.clone()).collect();
            ScriptLine { name: script.name.to_string(), generation: *generation, rules, files: script.inputs.clone() }
        });
        self.board.show(Shown {
            rules: rules.collect(),
            feeds: running.feeds.all.values().map(|handle| FeedLine(Arc::clone(&handle.cell))).collect(),
            scripts: scripts.collect(),
            files: self.held.clone(),
            counters: Arc::clone(&self.counters),
        });
    }
}
