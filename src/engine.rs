//! The engine: which scripts and feeds there are, and how they start and stop.
//!
//! The control plane. It makes feeds and scripts from a [`RuleSet`], connects them, and is not on the way of a
//! notification: that goes from a feed's task straight into its rules' queues. Starting is all or nothing: every script
//! is loaded before the first stream opens.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

#[allow(dead_code, reason = "the feeds are about to use it")]
mod catch_up;
mod feed;
pub mod watch;

pub use catch_up::Cursors;
use feed::Feed;

use crate::{
    daemon::Daemon,
    diagnostic::Diagnostic,
    lua::{Counters, Prepared, RuleQueue, Script, ScriptSpec},
    report::{Event, Origin, Reporter},
    rules::{Rule, RuleSet},
};

/// How long a script's thread may take to end when its grace is over, before it is given up.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// A running set of rules.
pub struct Engine {
    scripts: Vec<Script>,
    feeds: JoinSet<()>,
    planned: usize,
    closing: CancellationToken,
    counters: Arc<Counters>,
    reporter: Reporter,
}

impl Engine {
    /// Loads every script and then opens every stream; with any mistake, nothing runs.
    pub async fn start(rules: &RuleSet, daemon: &Daemon, reporter: &Reporter) -> Result<Self, Vec<Diagnostic>> {
        let counters = Arc::<Counters>::default();
        let specs = ScriptSpec::group(rules);
        let named: Vec<Vec<Arc<Rule>>> = specs.iter().map(|spec| spec.rules.clone()).collect();
        let start = |spec| Prepared::load(spec, Some(daemon.clone()), reporter.clone(), Arc::clone(&counters));
        let started = join_all(specs.into_iter().map(start)).await;
        let (mut scripts, mut mistakes) = (Vec::new(), Vec::new());
        for result in started {
            match result {
                Ok(script) => scripts.push(script.start()),
                Err(found) => mistakes.extend(found),
            }
        }
        if !mistakes.is_empty() {
            for script in &scripts {
                script.stop(Instant::now());
            }
            return Err(mistakes);
        }
        let mut routes: Vec<(Arc<Rule>, RuleQueue)> = Vec::new();
        for (rules, script) in named.iter().zip(&scripts) {
            let lanes: Vec<_> = rules.iter().map(|rule| (Arc::clone(rule), RuleQueue::new())).collect();
            script.attach(&lanes);
            routes.extend(lanes);
        }
        let feeds = plan(routes.iter().map(|(rule, queue)| (rule, queue)));
        reporter.emit(&Event::Started {
            rules: named.iter().map(Vec::len).sum(),
            scripts: scripts.len(),
            feeds: feeds.len(),
        });
        let planned = feeds.len();
        let mut running = JoinSet::new();
        let closing = CancellationToken::new();
        for feed in feeds {
            running.spawn(feed.run(daemon.clone(), reporter.clone(), Arc::clone(&counters), closing.clone()));
        }
        Ok(Self { scripts, feeds: running, planned, closing, counters, reporter: reporter.clone() })
    }

    /// What has come in and been dealt with.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// How many streams it was started with.
    pub fn feeds(&self) -> usize {
        self.planned
    }

    /// Closes the streams, lets the scripts finish what was accepted, and names what is late.
    pub async fn stop(mut self, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.closing.cancel();
        let pending = self.counters.queued.load(Ordering::Acquire) - self.counters.settled.load(Ordering::Acquire);
        self.reporter.emit(&Event::Stopping { pending });
        // A feed that is handing over finishes that: what was accepted is handled.
        drop(timeout_at(deadline, async { while self.feeds.join_next().await.is_some() {} }).await);
        self.feeds.abort_all();
        for script in &self.scripts {
            script.stop(deadline);
        }
        let late = join_all(self.scripts.into_iter().map(|script| async {
            let name = Arc::clone(&script.name);
            (!script.ended(deadline + LAST_MOMENT).await).then_some(name)
        }));
        for script in late.await.into_iter().flatten() {
            let origin = Origin { rule: None, subscription: None, script, place: None };
            self.reporter.emit(&Event::RunAbandoned(origin));
        }
        let handled = self.counters.settled.load(Ordering::Acquire);
        let unhandled = self.counters.queued.load(Ordering::Acquire) - handled;
        self.reporter.emit(&Event::Stopped { handled, unhandled });
    }
}

/// One feed for each distinct subscription with its parameters; a limited one is never shared, as each of its rules is
/// owed its own count.
fn plan<'r>(routes: impl Iterator<Item = (&'r Arc<Rule>, &'r RuleQueue)>) -> Vec<Feed> {
    let mut feeds: Vec<Feed> = Vec::new();
    let mut shared: HashMap<(String, Bytes), usize> = HashMap::new();
    for (rule, queue) in routes {
        let key = (rule.subscription.name.clone(), rule.request.clone());
        if rule.count.is_some() {
            feeds.push(Feed::new(rule, queue));
        } else if let Some(at) = shared.get(&key) {
            feeds[*at].add(rule, queue);
        } else {
            shared.insert(key, feeds.len());
            feeds.push(Feed::new(rule, queue));
        }
    }
    feeds
}
