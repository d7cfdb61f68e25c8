//! A host in a test: a simulated daemon on a real socket, rules in a temporary folder, the engine between them, and
//! everything that was reported.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test program uses its part")]
#![allow(clippy::needless_pass_by_value, reason = "requests are written where they are used")]

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use olvid_rules::{
    daemon::{Administrator, Daemon, Secret, Settings, TlsFiles},
    engine::Engine,
    lua::Counters,
    report::{Event, Failure, Reload, ReloadResult, Reporter, Trigger},
    simulator::{Observation, Options, Simulator},
};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::{sync::watch, time::timeout};

/// How long anything may take before the test fails: far more than it needs on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Simulator, rules and engine of one test.
pub(crate) struct Host {
    pub(crate) simulator: Simulator,
    pub(crate) engine: Engine,
    pub(crate) daemon: Daemon,
    pub(crate) folder: TempDir,
    rules: &'static str,
    events: Arc<Mutex<Vec<Event>>>,
    changed: watch::Sender<()>,
}

/// What a host is made of; everything but the rules has a default.
pub(crate) struct Setup {
    folder: TempDir,
    rules: &'static str,
    options: Options,
    client: bool,
    admin: bool,
}

impl Setup {
    /// Starts with these rules in `rules.yaml`.
    pub(crate) fn new(rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("rules.yaml"), rules).unwrap();
        Self { folder, rules: "rules.yaml", options: Options::default(), client: true, admin: false }
    }

    /// Adds a file below the rules' folder.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Adds the permissions of the rules' file, as YAML.
    pub(crate) fn permitting(self, permissions: &str) -> Self {
        let path = self.folder.path().join("rules.yaml");
        let rules = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{rules}permissions: {permissions}\n")).unwrap();
        self
    }

    /// Does something in the rules' folder.
    pub(crate) fn change(self, change: impl FnOnce(&Path)) -> Self {
        change(self.folder.path());
        self
    }

    /// Loads this path below the folder instead of `rules.yaml`.
    pub(crate) fn rules(mut self, path: &'static str) -> Self {
        self.rules = path;
        self
    }

    /// Gives the host an administrator's key beside the bot's own.
    pub(crate) fn admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// Gives the host an administrator's key and no other.
    pub(crate) fn only_admin(mut self) -> Self {
        (self.client, self.admin) = (false, true);
        self
    }

    /// Changes the simulated daemon.
    pub(crate) fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Starts everything, and waits until each of the rules' streams is open.
    pub(crate) async fn start(self) -> Host {
        let simulator = Simulator::start(self.options.clone()).await.unwrap();
        let url = simulator.url();
        let host = self.start_with(simulator, url).await;
        in_time(host.simulator.subscribers("bot", host.engine.feeds())).await;
        host
    }

    /// Starts everything but the daemon, which is reached by this address, and waits for no stream.
    pub(crate) async fn start_with(self, simulator: Simulator, url: String) -> Host {
        let settings = Settings {
            url,
            tls: TlsFiles::default(),
            client_key: self.client.then(|| Secret::new("bot").unwrap()),
            admin: self.admin.then(|| Administrator {
                key: Secret::new("admin").unwrap(),
                identity_id: simulator.identity_id("bot").unwrap(),
            }),
            max_message_size: 64 << 20,
        };
        let daemon = Daemon::new(settings).unwrap();
        daemon.offer(10);
        let events = Arc::new(Mutex::new(Vec::new()));
        let changed = watch::Sender::new(());
        let (log, signal) = (Arc::clone(&events), changed.clone());
        let reporter = Reporter::new(vec![Box::new(move |event| {
            log.lock().unwrap().push(event.clone());
            signal.send_replace(());
        })]);
        let mut engine = Engine::new(&daemon, &reporter);
        let started = engine.reload(&[self.folder.path().join(self.rules)], Trigger::Start).await;
        assert_eq!(started.result, ReloadResult::Started, "{:#?}", started.diagnostics);
        Host { simulator, engine, daemon, folder: self.folder, rules: self.rules, events, changed }
    }
}

impl Host {
    /// Acts as somebody in the simulated world.
    pub(crate) fn call(&self, who: &str, command: &str, request: Json) -> Json {
        match self.simulator.call(who, command, &request) {
            Ok(answer) => answer,
            Err(status) => panic!("{who} {command} {request}: {status}"),
        }
    }

    /// The discussion that somebody has with a peer.
    pub(crate) fn discussion(&self, who: &str, peer: &str) -> u64 {
        let all = self.call(who, "discussion_list", serde_json::json!({ "filter": { "title_search": peer } }));
        all[0]["id"].as_u64().unwrap()
    }

    /// The contact that somebody has for a peer.
    pub(crate) fn contact(&self, who: &str, peer: &str) -> u64 {
        let all = self.call(who, "contact_list", serde_json::json!({ "filter": { "display_name_search": peer } }));
        all[0]["id"].as_u64().unwrap()
    }

    /// Sends a message to the bot's discussion with somebody.
    pub(crate) fn say(&self, who: &str, body: &str) -> Json {
        let request = serde_json::json!({ "discussion_id": self.discussion(who, "bot"), "body": body });
        self.call(who, "message_send", request)["message"].clone()
    }

    /// Watches what somebody is notified of.
    pub(crate) fn observe(&self, who: &str) -> Watch {
        Watch(self.simulator.observe(who).unwrap())
    }

    /// What happened so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// What scripts said so far, without their fields.
    pub(crate) fn said(&self) -> Vec<String> {
        let said = |event| match event {
            Event::Said { text, .. } => Some(text),
            _ => None,
        };
        self.events().into_iter().filter_map(said).collect()
    }

    /// The handlers' failures so far.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        let failure = |event| match event {
            Event::RunFailed(failure) => Some(failure),
            _ => None,
        };
        self.events().into_iter().filter_map(failure).collect()
    }

    /// Waits until what happened satisfies a condition, and returns what that found.
    pub(crate) async fn until<T>(&self, find: impl Fn(&Self) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let found = async {
            loop {
                if let Some(found) = find(self) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("it did not happen; so far: {:#?}", self.events()))
    }

    /// Waits until so many notifications have come in.
    pub(crate) async fn received(&self, notifications: u64) {
        let arrived = async {
            while self.counters().received.load(Ordering::SeqCst) < notifications {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        in_time(arrived).await;
    }

    /// Waits until so many notifications have been dealt with.
    pub(crate) async fn settled(&self, notifications: u64) {
        let settled = async {
            while self.counters().settled.load(Ordering::Acquire) < notifications {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        in_time(settled).await;
    }

    /// Waits until scripts have said so many things, and returns them.
    pub(crate) async fn until_said(&self, lines: usize) -> Vec<String> {
        self.until(|host| {
            let (said, failures) = (host.said(), host.failures());
            assert!(failures.is_empty(), "{failures:#?}");
            (said.len() >= lines).then_some(said)
        })
        .await
    }

    /// Waits until so many handlers have failed, and returns how.
    pub(crate) async fn until_failed(&self, runs: usize) -> Vec<Failure> {
        self.until(|host| Some(host.failures()).filter(|failures| failures.len() >= runs)).await
    }

    pub(crate) fn counters(&self) -> &Counters {
        self.engine.counters()
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// The commands that the host called, with their requests, in order.
    pub(crate) fn recorded(&self) -> Vec<(String, Json)> {
        let recorded = self.simulator.recorded().into_iter();
        recorded.map(|recorded| (recorded.command.name.clone(), recorded.json())).collect()
    }

    /// Writes a file below the rules' folder, as an editor does that replaces files.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let aside = path.with_extension("tmp");
        fs::write(&aside, content).unwrap();
        fs::rename(aside, path).unwrap();
    }

    /// Loads the rules again.
    pub(crate) async fn reload(&mut self) -> Arc<Reload> {
        let paths = [self.folder.path().join(self.rules)];
        in_time(self.engine.reload(&paths, Trigger::Command)).await
    }

    /// Stops the engine; every handler finishes first.
    pub(crate) async fn stop(self) -> Vec<Event> {
        self.stop_within(PATIENCE).await
    }

    /// Stops the engine; handlers have so long to finish.
    pub(crate) async fn stop_within(self, grace: Duration) -> Vec<Event> {
        in_time(self.engine.stop(grace)).await;
        std::mem::take(&mut *self.events.lock().unwrap())
    }
}

/// What somebody is notified of.
pub(crate) struct Watch(Observation);

impl Watch {
    /// Waits for the next notification of a name and returns its content; others before it are skipped.
    pub(crate) async fn next(&mut self, subscription: &str) -> Json {
        let wanted = async {
            loop {
                let (found, bytes) = self.0.next().await.unwrap();
                if found.name == subscription {
                    return olvid_rules::schema::json::from_wire(&found.method.output, &bytes).unwrap();
                }
            }
        };
        timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("no {subscription} came"))
    }

    /// The texts of the messages that are there and were not looked at.
    pub(crate) fn texts_so_far(&mut self) -> Vec<String> {
        let all = self.0.all().into_iter().filter(|(name, _)| name == "message_received");
        all.map(|(_, content)| content["message"]["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits for the next message and returns its text.
    pub(crate) async fn text(&mut self) -> String {
        self.next("message_received").await["message"]["body"].as_str().unwrap().to_owned()
    }
}

/// Runs something that must not hang.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not done after {PATIENCE:?}"))
}

/// The examples that the repository ships, as a setup of their own.
pub(crate) fn examples() -> Setup {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut setup = Setup::new(&fs::read_to_string(root.join("rules.yaml")).unwrap());
    for entry in fs::read_dir(root.join("scripts")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "lua") {
            let name = format!("scripts/{}", path.file_name().unwrap().to_str().unwrap());
            setup = setup.file(&name, fs::read(path).unwrap());
        }
    }
    setup
}

/// A host with one rule for every received message. `code` is the body of its handler, with `message`, in `t.lua` from
/// line 3 on; it says `done` when it is through.
pub(crate) fn handler(code: &str) -> Setup {
    const RULES: &str = "rules:\n  - name: test\n    subscription: message_received\n    timeout: 2m\n    cpu: 1m\n    memory: 256MiB\n    output: 16MiB\n    handler: t.lua\n";
    let script = format!(
        "return function(notification)\n  local message = notification.message\n{code}\n  print('done')\nend\n"
    );
    Setup::new(RULES).file("t.lua", script)
}

impl Host {
    /// What the handler of [`handler`] said before it was done; it must not fail.
    pub(crate) async fn done(&self) -> Vec<String> {
        let mut said = self
            .until(|host| {
                let (said, failures) = (host.said(), host.failures());
                assert!(failures.is_empty(), "{failures:#?}");
                (said.last().map(String::as_str) == Some("done")).then_some(said)
            })
            .await;
        said.pop();
        said
    }
}
