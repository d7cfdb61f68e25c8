//! Scripts: one file, one VM, one thread.
//!
//! Owns value conversion, the `olvid` API and the running of handlers. A [`Script`] is started from a [`ScriptSpec`] and
//! is then a thread with a mailbox; its [`RuleQueue`]s take notifications as wire bytes, and what happens is told to the
//! reporter. Which scripts exist and what feeds them is the engine's.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    thread,
};

use tokio::{
    runtime,
    sync::{Semaphore, oneshot},
    time::Instant,
};

use crate::{
    daemon::Daemon,
    diagnostic::{Diagnostic, Place},
    report::Reporter,
    rules::{Handler, Rule, RuleSet},
};

mod call;
mod convert;
mod failure;
mod files;
mod host;
mod json;
mod load;
mod mailbox;
mod sandbox;
#[cfg(test)]
mod tests;
mod worker;

pub use mailbox::{CREDITS, RuleQueue};
use mailbox::{Mail, Mailbox};
use worker::Worker;

/// A script and the rules that name it.
#[derive(Debug)]
pub struct ScriptSpec {
    /// As the rules name it, for display and in errors.
    pub name: Arc<str>,
    text: Text,
    /// The directory that its modules and files are in.
    root: PathBuf,
    shown_root: String,
    /// Its rules, in the order of the rule files.
    pub rules: Vec<Arc<Rule>>,
    /// Where each of them names it, and the function it names.
    origins: Vec<(Place, Option<String>)>,
}

#[derive(Debug)]
enum Text {
    File { path: PathBuf },
    Inline { code: String, line: usize, place: Place },
}

impl ScriptSpec {
    /// Groups the enabled rules by script: all that name one file share it; an inline handler is a script of its own.
    pub fn group(rules: &RuleSet) -> Vec<Self> {
        let mut specs: Vec<Self> = Vec::new();
        for rule in rules.rules.iter().filter(|rule| rule.enabled) {
            Self::of(&mut specs, &rule.file, &rule.handler).rules.push(Arc::clone(rule));
        }
        specs
    }

    /// Groups the enabled rules, and the handlers of refused ones, to be checked.
    pub fn group_all(rules: &RuleSet) -> Vec<Self> {
        let mut specs = Self::group(rules);
        for (file, handler) in &rules.orphans {
            Self::of(&mut specs, file, handler);
        }
        specs
    }

    /// Finds the script of a handler, or makes it.
    fn of<'s>(specs: &'s mut Vec<Self>, file: &str, handler: &Handler) -> &'s mut Self {
        let (text, name, folder, origin) = match handler {
            Handler::Inline { code, line, place } => {
                let text = Text::Inline { code: code.clone(), line: *line, place: place.clone() };
                (text, file.to_owned(), folder(Path::new(file)), (place.clone(), None))
            }
            Handler::Script { path, function, place } => {
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                let (name, folder) = (shown(file, &path), folder(&path));
                (Text::File { path }, name, folder, (place.clone(), function.clone()))
            }
        };
        let same = |spec: &Self| match (&spec.text, &text) {
            (Text::File { path: one }, Text::File { path: other }) => one == other,
            _ => false,
        };
        let at = specs.iter().position(same).unwrap_or(specs.len());
        if at == specs.len() {
            let shown_root = self::folder(Path::new(&name)).display().to_string();
            let (rules, origins) = (Vec::new(), Vec::new());
            specs.push(Self { name: name.as_str().into(), text, root: folder, shown_root, rules, origins });
        }
        specs[at].origins.push(origin);
        &mut specs[at]
    }

    /// Loads the script in a VM of its own and throws it away: everything that can be known without a daemon.
    pub fn check(&self, admin: bool) -> Vec<Diagnostic> {
        // Not on the caller's thread: a VM's C stack is bounded by its own thread.
        thread::scope(|scope| {
            let load = scope.spawn(|| load::load(self, &Reporter::default(), admin).map(drop));
            load.join().unwrap_or_else(|_| Err(vec![crashed(&self.name)])).err().unwrap_or_default()
        })
    }
}

/// A script's path as a user would type it: from the rule file's directory, as the rule file was named.
fn shown(file: &str, canonical: &Path) -> String {
    let folder = folder(Path::new(file));
    let below = folder.canonicalize().ok().and_then(|real| canonical.strip_prefix(real).ok().map(Path::to_path_buf));
    let below = below.map_or_else(|| canonical.to_path_buf(), |below| folder.join(below));
    below.strip_prefix(".").unwrap_or(&below).display().to_string()
}

/// The directory that a file is in.
fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// What has come in and been dealt with, over all scripts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Notifications that came in over streams.
    pub received: AtomicU64,
    /// Handed to rules' queues: once for each rule that a stream feeds.
    pub queued: AtomicU64,
    /// Of these, the ones whose handler ended, however it ended.
    pub settled: AtomicU64,
    /// Of these, the ones whose handler failed.
    pub failed: AtomicU64,
}

/// A running script.
pub struct Script {
    /// As the rules name it.
    pub name: Arc<str>,
    /// One queue a rule, in the order of the spec's rules.
    pub queues: Vec<RuleQueue>,
    mailbox: Arc<Mailbox>,
    ended: oneshot::Receiver<()>,
}

impl Script {
    /// Starts the script's thread and loads the script on it.
    ///
    /// `daemon` carries out its commands; `counters` are shared by all scripts.
    pub async fn start(
        spec: ScriptSpec,
        daemon: Option<Daemon>,
        reporter: Reporter,
        counters: Arc<Counters>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let name = Arc::clone(&spec.name);
        let mailbox = Arc::<Mailbox>::default();
        let rules: Vec<_> =
            spec.rules.iter().map(|rule| (Arc::clone(rule), Arc::new(Semaphore::new(CREDITS)))).collect();
        let queue = |(rule, (_, credits)): (usize, &(Arc<Rule>, Arc<Semaphore>))| RuleQueue {
            mailbox: Arc::clone(&mailbox),
            rule,
            credits: Arc::clone(credits),
        };
        let queues = rules.iter().enumerate().map(queue).collect();
        let (ready, loaded) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let inbox = Arc::clone(&mailbox);
        let body = move || {
            let admin = daemon.as_ref().is_some_and(Daemon::is_admin);
            let script = load::load(&spec, &reporter, admin);
            let broken = |cause: String| vec![Diagnostic::error("script-failed", cause)];
            let worker = script.and_then(|script| {
                let worker =
                    Worker::new(script, &rules, daemon, inbox, counters).map_err(|error| broken(error.to_string()))?;
                // Timers and nothing else: sockets are the I/O thread's.
                let runtime = runtime::Builder::new_current_thread().enable_time().build();
                Ok((worker, runtime.map_err(|error| broken(error.to_string()))?))
            });
            match worker {
                Ok((worker, runtime)) => {
                    drop(ready.send(Ok(())));
                    runtime.block_on(worker.work());
                }
                Err(mistakes) => drop(ready.send(Err(mistakes))),
            }
            end.send(()).unwrap_or_default();
        };
        let thread_name: String = name.chars().rev().take(15).collect::<Vec<_>>().into_iter().rev().collect();
        if let Err(error) = thread::Builder::new().name(thread_name).spawn(body) {
            return Err(vec![Diagnostic::error("script-failed", format!("no thread for `{name}`: {error}"))]);
        }
        match loaded.await {
            Ok(Ok(())) => Ok(Self { name, queues, mailbox, ended }),
            Ok(Err(mistakes)) => Err(mistakes),
            Err(_) => Err(vec![crashed(&name)]),
        }
    }

    /// Lets the script finish what it has, until the deadline; feeds must have stopped pushing.
    pub fn stop(&self, deadline: Instant) {
        self.mailbox.put([Mail::Stop { deadline }]);
    }

    /// Waits for the thread to have ended; false when it does not by `deadline`.
    pub async fn ended(self, deadline: Instant) -> bool {
        tokio::time::timeout_at(deadline, self.ended).await.is_ok()
    }
}

fn crashed(name: &str) -> Diagnostic {
    Diagnostic::error("script-failed", format!("`{name}` made its thread end unexpectedly"))
}
