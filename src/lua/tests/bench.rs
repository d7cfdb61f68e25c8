//! A bench for scripts: rules and scripts in a temporary folder, and everything that scripts said.

use std::{
    fs,
    sync::{Arc, Mutex, Weak, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tempfile::TempDir;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    super::{Bell, CREDITS, Counters, Prepared, RuleQueue, Script, ScriptSpec},
    push_all,
};
use crate::{
    diagnostic::{Diagnostic, Severity},
    report::{Event, Reporter},
    rules::{Rule, RuleSet},
    schema::{Catalog, encode},
};

/// How long anything may take before the test fails: far more than it needs on a loaded machine.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// An error with this message makes the script's thread panic, outside of any callback.
pub(super) const DEADLY: &str = "deadly";

/// One rule with one script, as most stories need.
pub(super) const PING: &str = "rules:\n  - { name: ping, subscription: message_received, handler: ping.lua }\n";

pub(super) struct Bench {
    pub(super) folder: TempDir,
    pub(super) counters: Arc<Counters>,
    lines: Arc<Mutex<Vec<String>>>,
    changed: watch::Sender<()>,
}

/// Tells when the last reporter that holds it is gone, and with it the VM.
struct Token(watch::Sender<()>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.send_replace(());
    }
}

/// Whether a script's VM still lives.
pub(super) struct Vm(Weak<Token>);

impl Bench {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
            counters: Arc::default(),
            lines: Arc::default(),
            changed: watch::Sender::new(()),
        };
        for (name, text) in files {
            bench.write(name, text);
        }
        bench
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn rules(&self) -> RuleSet {
        let (rules, told) = RuleSet::load(&[self.folder.path().join("rules.yaml")], Catalog::embedded());
        assert!(told.iter().all(|diagnostic| diagnostic.severity != Severity::Error), "{told:#?}");
        rules
    }

    pub(super) fn rule(&self, name: &str) -> Arc<Rule> {
        Arc::clone(self.rules().rules.iter().find(|rule| rule.name == name).unwrap())
    }

    /// The script that has a rule.
    pub(super) fn spec(&self, rule: &str) -> ScriptSpec {
        let has = |spec: &ScriptSpec| spec.rules.iter().any(|found| found.name == rule);
        ScriptSpec::group(&self.rules()).into_iter().find(has).unwrap()
    }

    pub(super) async fn prepare(&self, rule: &str) -> (Prepared, Vm) {
        let (loaded, vm) = self.load(rule, None).await;
        (loaded.unwrap(), vm)
    }

    pub(super) async fn load(&self, rule: &str, bell: Option<Bell>) -> (Result<Prepared, Vec<Diagnostic>>, Vm) {
        let token = Arc::new(Token(self.changed.clone()));
        let vm = Vm(Arc::downgrade(&token));
        let (lines, changed) = (Arc::clone(&self.lines), self.changed.clone());
        let reporter = Reporter::new(vec![Box::new(move |event| {
            let _held = &token;
            let line = match event {
                Event::Said { text, .. } => text.clone(),
                Event::Unhandled { count, .. } => format!("{count} unhandled"),
                Event::RunAbandoned(_) => "abandoned".to_owned(),
                Event::RunFailed(failure) => {
                    assert_ne!(failure.message, DEADLY);
                    format!("{}: {}", failure.origin.place.clone().unwrap_or_default(), failure.message)
                }
                other => format!("{other:?}"),
            };
            lines.lock().unwrap().push(line);
            changed.send_replace(());
        })]);
        let script = Prepared::load(self.spec(rule), None, reporter, Arc::clone(&self.counters), bell).await;
        (script, vm)
    }

    /// Loads the script of a rule and gives it that rule's lane.
    pub(super) async fn serve(&self, rule: &str, queue: &RuleQueue) -> (Script, Vm) {
        self.serve_with(rule, queue, None).await
    }

    /// The same, with what it rings when it needs another VM.
    pub(super) async fn serve_with(&self, rule: &str, queue: &RuleQueue, bell: Option<Bell>) -> (Script, Vm) {
        let (loaded, vm) = self.load(rule, bell).await;
        let script = loaded.unwrap().start();
        script.attach(&[(self.rule(rule), queue.clone())]);
        (script, vm)
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until so many lines were said, and returns them.
    pub(super) async fn said(&self, count: usize) -> Vec<String> {
        self.until(|| self.lines().len() >= count).await;
        self.lines()
    }

    /// Waits until something said, or a VM freed, makes it true.
    pub(super) async fn until(&self, condition: impl Fn() -> bool) {
        let mut changes = self.changed.subscribe();
        let waited = timeout(PATIENCE, async {
            while !condition() {
                changes.changed().await.unwrap();
            }
        });
        assert!(waited.await.is_ok(), "{:?}", self.lines());
    }

    /// Waits until a run of a queue's is under way.
    pub(super) async fn until_running(&self, queue: &RuleQueue) {
        let running = async {
            while queue.counters().running.load(Ordering::Acquire) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(timeout(PATIENCE, running).await.is_ok(), "{:?}", self.lines());
    }

    pub(super) async fn freed(&self, vm: &Vm) {
        self.until(|| vm.0.upgrade().is_none()).await;
    }
}

/// Stops a script that has all the time it needs.
pub(super) async fn finish(script: Script) {
    let deadline = Instant::now() + PATIENCE;
    script.stop(deadline);
    assert!(script.ended(deadline).await);
}

pub(super) fn message(discussion: usize, body: &str) -> Bytes {
    let message = serde_json::json!({ "message": { "body": body, "discussion_id": discussion } });
    let output = &Catalog::embedded().subscription("message_received").unwrap().method.output;
    encode::encode(output, &&message, None).unwrap().into()
}

/// Puts one message in, without waiting.
pub(super) async fn push(queue: &RuleQueue, discussion: usize, body: &str) {
    assert!(push_all(queue, &[message(discussion, body)], false).await);
}

/// A queue whose script has ended takes as much as a new one: nothing was kept of its credits.
pub(super) fn assert_all_credits_are_back(queue: &RuleQueue) {
    let all = vec![message(1, "x"); CREDITS];
    assert_eq!(push_all(queue, &all, false).now_or_never(), Some(true));
}
