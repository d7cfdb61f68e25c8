//! The program under test between a daemon and its ledger, and the oracles that hold whatever happened.
//!
//! Two rules listen: `left` and `right`. Each says what it gets, and what they say is the ledger.

use std::{
    fs,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use olvid_rules::simulator::{Options, Simulator};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::{
    process::{Process, assert_log, events, program},
    proxy::Proxy,
};

/// What must not be in any output.
pub(crate) const KEY: &str = "canary-of-the-bot";

pub(crate) const RULES: [&str; 2] = ["left", "right"];

/// What [`Bench::folder_with`] writes: a rule for each name, with its subscription.
const SUBSCRIPTIONS: [&str; 2] = ["message_received", "message_sent"];

/// Behind the number of each message, so that a part of it is told from all of it.
const PADDING: &str = "................................................................";

/// How long the descriptors and the memory of a fault may take to be given back.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for something of the simulated daemons and the proxies; they all run on one thread of their own.
pub(crate) fn wait<F: Future>(what: F) -> F::Output {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    let start = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        handle
    };
    let runtime = RUNTIME.get_or_init(start);
    runtime.block_on(async { tokio::time::timeout(PATIENCE, what).await.expect("it must not take so long") })
}

/// A program that runs two rules.
pub(crate) struct Bench {
    pub(crate) host: Process,
    _folder: TempDir,
    base: Mutex<Usage>,
}

/// What a process takes of the system.
#[derive(Debug, Default, Clone, Copy)]
struct Usage {
    descriptors: usize,
    kilobytes: usize,
    /// The most it ever took.
    peak: usize,
}

impl Bench {
    /// Starts the program; the two rules listen to two subscriptions.
    pub(crate) fn start(url: &str) -> Self {
        Self::with(url, &two(SUBSCRIPTIONS), &[], &[])
    }

    /// The same with two streams of one subscription, for a daemon that cannot tell them apart.
    pub(crate) fn alike(url: &str) -> Self {
        Self::with(url, &two([SUBSCRIPTIONS[0], "message_received\n    filter: { body_search: '.' }"]), &[], &[])
    }

    pub(crate) fn with(url: &str, rules: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("rules.yaml"), rules).unwrap();
        let variables = [&[("OLVID_CLIENT_KEY", KEY), ("OLVID_DAEMON_URL", url)], variables].concat();
        let arguments = [&["run", "--log-format", "json", "--grace", "1"], arguments].concat();
        let host = Process::start(&mut program(folder.path(), &arguments, &variables));
        Self { host, _folder: folder, base: Mutex::default() }
    }

    /// Waits until so many streams were opened since the start, and returns the usage as the base of the oracles.
    pub(crate) fn opened(&self, streams: usize) {
        self.host.when(&format!("{streams} streams opened"), |log| {
            (told(log, &["feed_opened"]).map(|event| of(&event).len()).sum::<usize>() >= streams).then_some(())
        });
    }

    /// Takes what the program uses now for what it may use when a fault is over.
    ///
    /// Its streams may stand before its control socket and its watches do: what it uses has settled once it watches its
    /// files and uses the same twice.
    pub(crate) fn settle(&self) {
        let mut base = self.usage();
        for _ in 0..40 {
            thread::sleep(Duration::from_millis(300));
            let now = self.usage();
            let same = now.descriptors == base.descriptors;
            base = now;
            if same && self.watches() {
                break;
            }
        }
        *self.base.lock().unwrap() = base;
    }

    fn watches(&self) -> bool {
        let links = fs::read_dir(self.path("fd")).into_iter().flatten().flatten();
        links.filter_map(|link| fs::read_link(link.path()).ok()).any(|to| to.ends_with("anon_inode:inotify"))
    }

    /// Waits until a rule has lost its stream so often; returns how it was told.
    pub(crate) fn lost(&self, times: usize) -> Vec<Json> {
        self.host.when(&format!("{times} streams lost"), |log| {
            let lost: Vec<_> = told(log, &["feed_lost", "feed_waiting", "feed_refused"]).collect();
            (lost.iter().map(|event| of(event).len()).sum::<usize>() >= times).then_some(lost)
        })
    }

    /// Waits until a stream was lost for a cause with these words.
    pub(crate) fn lost_with(&self, words: &str) -> Json {
        self.host.when(words, |log| {
            told(log, &["feed_lost", "feed_waiting", "feed_refused"])
                .find(|event| event["message"].as_str().unwrap().contains(words))
        })
    }

    /// Waits until what a rule was last told of its stream is that it is open.
    pub(crate) fn is_open(&self, rule: &str) {
        self.host.when(&format!("{rule} open again"), |log| {
            let last = told(log, &["feed_opened", "feed_lost", "feed_waiting", "feed_refused"])
                .filter(|event| names(event, rule))
                .last();
            last.is_some_and(|event| event["event"] == "feed_opened").then_some(())
        });
    }

    /// Waits until a rule has said a number.
    pub(crate) fn until_said(&self, rule: &str, number: u64) {
        self.host.when(&format!("{rule} {number}"), |log| said(log, rule).contains(&number).then_some(()));
    }

    /// Holds what happened to what must hold whatever happens. `sure` is what was sent while the streams were open.
    pub(crate) fn verdict(&self, sure: &[(&str, u64)]) {
        let log = self.host.printed();
        let all = log.join("\n");
        assert!(fs::read_to_string(self.path("stat")).is_ok_and(|stat| !stat.contains(") Z")), "it ended:\n{all}");
        assert!(!all.contains("panicked") && !all.contains(KEY), "{all}");
        assert_log(&log);
        for rule in RULES {
            let said = said(&log, rule);
            assert!(said.is_sorted_by(|one, next| one < next), "{rule} said {said:?}");
            let missing: Vec<_> = sure.iter().filter(|(of, number)| *of == rule && !said.contains(number)).collect();
            assert!(missing.is_empty(), "{missing:?} not among {said:?}:\n{all}");
            once_per_change(&log, rule);
        }
        self.given_back();
    }

    fn given_back(&self) {
        let (base, deadline) = (*self.base.lock().unwrap(), Instant::now() + PATIENCE);
        loop {
            let now = self.usage();
            if now.descriptors <= base.descriptors + 2 && now.peak <= base.kilobytes + 64 * 1024 {
                return;
            }
            assert!(Instant::now() < deadline, "{now:?} is more than {base:?} and a little");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn usage(&self) -> Usage {
        let status = fs::read_to_string(self.path("status")).unwrap_or_default();
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
            line.map_or(0, |kilobytes| kilobytes.parse().unwrap())
        };
        let descriptors = fs::read_dir(self.path("fd")).map_or(0, Iterator::count);
        Usage { descriptors, kilobytes: value("VmRSS:"), peak: value("VmHWM:") }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new("/proc").join(self.host.id().to_string()).join(name)
    }
}

fn two(subscriptions: [&str; 2]) -> String {
    let rule = |(name, subscription): (&str, &str)| {
        // The scripted servers know streams only: they would take a list of what was missed for one.
        let alone = if subscription == SUBSCRIPTIONS[0] { "\n    catch_up: false" } else { "" };
        let lua = "local notification = ...\n      print(notification.message.body)\n";
        format!("  - name: {name}\n    subscription: {subscription}\n    order: rule{alone}\n    lua: |\n      {lua}")
    };
    let rules: String = RULES.into_iter().zip(subscriptions).map(rule).collect();
    format!("rules:\n{rules}")
}

/// The records of some names, in their order.
fn told<'l>(log: &'l [String], named: &'l [&str]) -> impl Iterator<Item = Json> + 'l {
    let parsed = log.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    parsed.filter(|event| named.iter().any(|name| event["event"] == *name))
}

/// The rules that a record is about: one, or several whose streams share what happened.
fn of(event: &Json) -> Vec<&str> {
    match (&event["rule"], &event["rules"]) {
        (Json::String(rule), _) => vec![rule],
        (_, Json::Array(rules)) => rules.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

pub(crate) fn names(event: &Json, rule: &str) -> bool {
    of(event).contains(&rule)
}

/// The numbers that a rule said, in their order.
fn said(log: &[String], rule: &str) -> Vec<u64> {
    let number = |event: Json| {
        let text = event["message"].as_str().unwrap().to_owned();
        let number = text.strip_suffix(PADDING).and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("that is no whole message: {text}"))
    };
    events(log, "said").into_iter().filter(|event| event["rule"] == rule).map(number).collect()
}

/// What the message of a number holds.
pub(crate) fn content(number: u64) -> Json {
    json!({ "message": { "body": format!("{number}{PADDING}") } })
}

/// A loss is told when it happens and when its cause changes, not at each attempt.
fn once_per_change(log: &[String], rule: &str) {
    let mut causes: Vec<String> = Vec::new();
    for event in
        told(log, &["feed_opened", "feed_lost", "feed_waiting", "feed_refused"]).filter(|event| names(event, rule))
    {
        let message = event["message"].as_str().unwrap();
        let cause = message.split("; trying again").next().unwrap().to_owned();
        if event["event"] == "feed_opened" {
            causes.clear();
        } else {
            assert!(causes.last() != Some(&cause), "told twice: {cause}\n{}", log.join("\n"));
            causes.push(cause);
            assert!(causes.len() <= 3, "{causes:?}");
        }
    }
}

/// A simulated daemon behind a proxy, and the program that listens to it.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) proxy: Proxy,
    pub(crate) bench: Bench,
    sent: Mutex<Vec<(&'static str, u64)>>,
}

impl World {
    /// Each stream has a connection of its own, so that what becomes of one is told from what becomes of the other.
    pub(crate) fn new() -> Self {
        let (simulator, proxy) = daemon();
        let bench = Bench::start(&proxy.url());
        let world = Self { simulator, proxy, bench, sent: Mutex::default() };
        world.bench.opened(2);
        world.tell();
        world.bench.settle();
        world
    }

    /// Sends a message to a rule, which may be lost.
    pub(crate) fn send(&self, rule: &'static str) -> u64 {
        let mut sent = self.sent.lock().unwrap();
        let number = sent.len() as u64 + 1;
        sent.push((rule, 0));
        let subscription = if rule == RULES[0] { SUBSCRIPTIONS[0] } else { SUBSCRIPTIONS[1] };
        self.simulator.emit("bot", subscription, content(number)).unwrap();
        number
    }

    /// Sends one to each rule.
    pub(crate) fn send_both(&self) -> [(&'static str, u64); 2] {
        RULES.map(|rule| (rule, self.send(rule)))
    }

    /// Sends a message to a rule whose stream is open, and waits until it is handled.
    pub(crate) fn tell_one(&self, rule: &'static str) {
        let number = self.send(rule);
        self.sure(rule, number);
        self.bench.until_said(rule, number);
    }

    /// The same for both rules.
    pub(crate) fn tell(&self) {
        for rule in RULES {
            self.tell_one(rule);
        }
    }

    /// Waits until one of several messages was handled.
    pub(crate) fn first_said(&self, sent: &[(&str, u64)]) {
        let answer = |log: &[String]| sent.iter().any(|(rule, number)| said(log, rule).contains(number)).then_some(());
        self.bench.host.when("one of them said", answer);
    }

    /// Sends one to each rule, which must be handled, but not at once.
    pub(crate) fn send_surely(&self) -> [(&'static str, u64); 2] {
        let sent = self.send_both();
        for (rule, number) in sent {
            self.sure(rule, number);
        }
        sent
    }

    /// What was sent must be handled once.
    fn sure(&self, rule: &'static str, number: u64) {
        self.sent.lock().unwrap()[usize::try_from(number).unwrap() - 1] = (rule, number);
    }

    /// The rule whose stream was not lost goes on meanwhile.
    pub(crate) fn other_goes_on(&self) {
        let lost = self.bench.lost(1);
        let other = RULES.into_iter().find(|rule| !names(&lost[0], rule)).unwrap();
        self.tell_one(other);
    }

    /// Waits until both streams are open again, so many of which were lost, and holds it to the oracles.
    pub(crate) fn recovered(&self, lost: usize) {
        self.bench.lost(lost);
        for rule in RULES {
            self.bench.is_open(rule);
        }
        self.tell();
        let sure: Vec<_> = self.sent.lock().unwrap().iter().copied().filter(|(_, number)| *number > 0).collect();
        self.bench.verdict(&sure);
    }
}

fn daemon() -> (Simulator, Proxy) {
    let identities = vec![("bot".to_owned(), KEY.to_owned())];
    let options = Options { identities, max_concurrent_streams: Some(2), check_ids: false, ..Options::default() };
    wait(async {
        let simulator = Simulator::start(options).await.unwrap();
        let proxy = Proxy::start(simulator.address()).await;
        (simulator, proxy)
    })
}

/// Runs the rows of a table beside each other, and names all that fail.
pub(crate) fn rows<R: Sync>(table: &[R], name: impl Fn(&R) -> String + Sync, row: impl Fn(&R) + Sync) {
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for entry in table {
            let (failed, name, row) = (&failed, &name, &row);
            scope.spawn(move || {
                if catch_unwind(AssertUnwindSafe(|| row(entry))).is_err() {
                    failed.lock().unwrap().push(name(entry));
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "rows that fail: {failed:#?}");
}
