//! A running host: the engine, what asks it to load again, and how it answers.
//!
//! One loop: files that changed, SIGHUP, and the control socket all lead to the same reload, one at a time. What comes
//! while one is under way is answered by the next.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value as Json;
use tokio::{
    select,
    signal::unix::Signal,
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use super::{
    control::Request,
    service::Service,
    settings::{self, KeyFiles, Sources},
};
use crate::{
    daemon::Daemon,
    engine::{Engine, outcome, watch::Watch},
    lua,
    report::{Event, Reload, ReloadResult, Reporter, Trigger},
};

/// How long after the start what that took is given back: by then streams are open, if the daemon is there. Not after
/// each reload, which would take the same memory again, page by page, and execute the same code.
const STARTED: Duration = Duration::from_secs(10);

/// The engine with what makes it load again.
pub(super) struct Host {
    pub(super) engine: Engine,
    paths: Vec<PathBuf>,
    files: Watch,
    hangups: Option<Signal>,
    service: Service,
}

/// The keys that go to the daemon, and where they come from.
pub(super) struct Keyring<'a> {
    sources: Sources<'a>,
    files: KeyFiles,
    watch: Watch,
    daemon: Daemon,
    reporter: Reporter,
}

/// Who waits for a reload.
type Waiting = Vec<oneshot::Sender<Json>>;

impl Host {
    /// Takes an engine whose first set was read from these paths.
    pub(super) fn new(engine: Engine, paths: &[PathBuf], reporter: &Reporter) -> Self {
        let mut files = Watch::new(reporter.clone());
        files.set(engine.held());
        Self { engine, paths: paths.to_vec(), files, hangups: None, service: Service::default() }
    }

    /// Lets a service manager ask for reloads by a signal, and hear of all of them.
    pub(super) fn serving(self, hangups: Signal, service: Service) -> Self {
        Self { hangups: Some(hangups), service, ..self }
    }

    /// Reloads whatever changes, for as long as it is waited for.
    pub(super) async fn follow(&mut self, requests: &mut mpsc::Receiver<Request>, mut keys: Option<Keyring<'_>>) {
        let grown = self.engine.grown();
        let mut spare = Some(Instant::now() + STARTED);
        loop {
            let mut is_rescue = false;
            let (trigger, waiting) = select! {
                () = self.files.changed() => (Trigger::Files, Waiting::new()),
                () = next(&mut self.hangups) => (Trigger::Signal, Waiting::new()),
                Some(request) = requests.recv() => (Trigger::Command, gather(request, requests)),
                () = self.engine.script_failed() => {
                    is_rescue = true;
                    (Trigger::Files, Waiting::new())
                }
                () = grown.notified() => {
                    self.files.set(self.engine.held());
                    continue;
                }
                () = changed(&mut keys) => {
                    keys.iter_mut().for_each(Keyring::read);
                    continue;
                }
                () = sleep_until(spare.unwrap_or_else(Instant::now)), if spare.is_some() => {
                    // Not on the thread that has the sockets: it goes through all memory.
                    drop(spawn_blocking(lua::release_start));
                    spare = None;
                    continue;
                }
            };
            // After the signal, and before anything is read.
            self.service.reloading();
            if trigger != Trigger::Files {
                keys.iter_mut().for_each(Keyring::read);
            }
            let reload = self.reload(trigger).await;
            if is_rescue && reload.result == ReloadResult::Rejected {
                self.engine.revive().await;
            }
            self.service.ready();
            let answer = outcome(&reload);
            for waiting in waiting {
                // Who asked may have gone.
                drop(waiting.send(answer.clone()));
            }
        }
    }

    async fn reload(&mut self, trigger: Trigger) -> Arc<Reload> {
        let reload = self.engine.reload(&self.paths, trigger).await;
        self.files.set(self.engine.held());
        reload
    }
}

impl<'a> Keyring<'a> {
    /// Watches the files that the keys of a daemon came from.
    pub(super) fn new(sources: Sources<'a>, files: KeyFiles, daemon: &Daemon, reporter: &Reporter) -> Self {
        // What cannot be watched is told by who watches the rules.
        let mut watch = Watch::new(Reporter::default());
        watch.set(files.clone());
        Self { sources, files, watch, daemon: daemon.clone(), reporter: reporter.clone() }
    }

    /// Reads the keys anew. Without a good one the former goes on.
    fn read(&mut self) {
        // What each holds before it is read: a key that is written meanwhile is a change.
        let before = self.files.keys().map(|path| (path.clone(), settings::held(path))).collect();
        match settings::keys(self.sources) {
            Ok((keys, files)) => {
                self.files = files;
                self.daemon.set_keys(keys.client_key, keys.admin);
            }
            Err(mistake) => {
                self.files = before;
                self.reporter.emit(&Event::Notice(format!("the former key goes on: {mistake}")));
            }
        }
        self.watch.set(self.files.clone());
    }
}

/// All that is asked for now: one reload answers it.
fn gather(first: Request, requests: &mut mpsc::Receiver<Request>) -> Waiting {
    let Request::Reload(first) = first;
    let more = std::iter::from_fn(|| requests.try_recv().ok()).filter_map(|Request::Reload(waiting)| waiting);
    first.into_iter().chain(more).collect()
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

async fn changed(keys: &mut Option<Keyring<'_>>) {
    match keys {
        Some(keys) => keys.watch.changed().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use clap::Parser as _;
    use tokio::time::timeout;

    use super::{super::environment::Inherited, *};

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        connection: super::super::Connection,
    }

    async fn is_noticed(keys: &mut Keyring<'_>) -> bool {
        timeout(Duration::from_mins(1), keys.watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_key_that_is_written_around_a_reading_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        fs::write(&key, "one").unwrap();
        let flags = Flags::parse_from(["run", "--client-key-file", key.to_str().unwrap()]);
        let inherited = Inherited::default();
        let sources = Sources { flags: &flags.connection, inherited: &inherited };
        let found = settings::find(sources).unwrap();
        fs::write(&key, "two").unwrap();
        // A good one is written while it is told that there is none.
        let (path, told) = (key.clone(), Arc::<AtomicBool>::default());
        let seen = Arc::clone(&told);
        let reporter = Reporter::new(vec![Box::new(move |_: &Event| {
            fs::write(&path, "three").unwrap();
            seen.store(true, Ordering::Release);
        })]);
        let daemon = Daemon::new(found.settings).unwrap();
        let mut keys = Keyring::new(sources, found.key_files, &daemon, &reporter);
        assert!(is_noticed(&mut keys).await);
        keys.read();
        fs::remove_file(&key).unwrap();
        assert!(!told.load(Ordering::Acquire));
        keys.read();
        assert!(told.load(Ordering::Acquire));
        assert!(is_noticed(&mut keys).await);
    }
}
