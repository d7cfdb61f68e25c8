//! Histories of messages, gaps and restarts against the simulated daemon's own streams and lists.

use std::{collections::HashMap, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRng, TestRunner},
};
use serde_json::{Value as Json, json};

use super::{seen::SLACK, *};
use crate::{
    daemon::{Secret, Settings, TlsFiles},
    schema::{Catalog, encode, json::from_wire},
    simulator::{Clock, Options, Simulator},
};

mod cases;
mod kept;

/// Some time in 2001, so that the real clock is ahead of it.
const EPOCH: u64 = 1_000_000_000_000;

fn subscription() -> &'static Arc<Subscription> {
    let found = Catalog::embedded().subscriptions().iter().find(|entry| entry.recovery.is_some());
    found.unwrap()
}

fn parameters(filter: &Json) -> Bytes {
    encode::encode(&subscription().method.input, &&json!({ "filter": filter }), None).unwrap().into()
}

/// A feed as it is from here: a stream, a list, and what was handed over.
struct Bench {
    simulator: Simulator,
    clock: Clock,
    daemon: Daemon,
    parameters: Bytes,
    catch_up: CatchUp,
    stream: Option<Messages>,
    /// What was read of the stream.
    read: u64,
    handed: Vec<String>,
}

impl Bench {
    async fn new(filter: &Json, max_message_size: usize) -> Self {
        let clock = Clock::manual(EPOCH);
        let simulator = Simulator::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
        let settings = Settings {
            url: simulator.url(),
            tls: TlsFiles::default(),
            client_key: Some(Secret::new("bot").unwrap()),
            admin: None,
            max_message_size,
        };
        let (daemon, parameters) = (Daemon::new(settings).unwrap(), parameters(filter));
        let catch_up = CatchUp::new(subscription(), &parameters).unwrap();
        Self { simulator, clock, daemon, parameters, catch_up, stream: None, read: 0, handed: Vec::new() }
    }

    /// The bot's own, with the whole world: for tests of one behaviour.
    async fn plain() -> Self {
        Self::new(&json!({}), 64 << 20).await
    }

    /// Sends the bot a message that is stamped as `late` as that.
    fn say(&self, who: &str, body: &str, late: u64) {
        let now = self.clock.now();
        self.clock.set(now - late);
        let mine =
            self.simulator.call(who, "discussion_list", &json!({ "filter": { "title_search": "bot" } })).unwrap();
        let request = json!({ "discussion_id": mine[0]["id"], "body": body });
        self.simulator.call(who, "message_send", &request).unwrap();
        self.clock.set(now);
    }

    /// Opens the stream; returns whether something is to be listed.
    async fn subscribe(&mut self) -> bool {
        self.clock.advance(Duration::from_millis(1));
        let place = self.daemon.place().await.unwrap();
        let stream = self.daemon.subscribe(place, &subscription().method, self.parameters.clone()).await.unwrap();
        (self.stream, self.read) = (Some(stream), 0);
        self.catch_up.opened(self.clock.now());
        self.catch_up.owes()
    }

    /// Lists what was missed, and breaks off when so many batches were handed over and the next is there.
    async fn list(&mut self, batches: usize) -> Result<(), CallError> {
        let mut missed = self.catch_up.missed(true);
        let mut handed = 0;
        while let Some(batch) = missed.next_batch(&self.catch_up, &self.daemon).await? {
            if handed == batches {
                return Ok(());
            }
            handed += 1;
            self.catch_up.listed(&batch, self.clock.now());
            self.hand_over(&batch);
        }
        self.catch_up.caught_up();
        Ok(())
    }

    async fn open(&mut self) {
        if self.subscribe().await {
            self.list(usize::MAX).await.unwrap();
        }
        self.read(0).await;
    }

    /// Reads what the stream has, but for the last of it.
    async fn read(&mut self, but: u64) {
        let Some(stream) = &mut self.stream else { return };
        let sent = self.simulator.streams().last().unwrap().sent;
        let mut fresh = Vec::new();
        while self.read + but < sent {
            let notification = stream.next().await.unwrap().unwrap();
            self.read += 1;
            if self.catch_up.is_new(&notification, self.clock.now()) {
                fresh.push(notification);
            }
        }
        self.hand_over(&fresh);
    }

    async fn close(&mut self) {
        self.stream = None;
        self.simulator.wait_streams("bot", |open| open == 0).await;
    }

    /// Ends the host and starts it again.
    async fn restart(&mut self) {
        self.close().await;
        let cursor = self.catch_up.seen().cursor();
        self.catch_up = CatchUp::new(subscription(), &self.parameters).unwrap();
        self.catch_up.resume(cursor, self.clock.now());
    }

    fn hand_over(&mut self, batch: &[Bytes]) {
        self.catch_up.took(batch.len());
        let text = |bytes: &Bytes| from_wire(&subscription().method.output, bytes).unwrap()["message"]["body"].clone();
        self.handed.extend(batch.iter().map(|bytes| text(bytes).as_str().unwrap().to_owned()));
    }
}

/// A step of a history.
#[derive(Debug, Clone)]
enum Step {
    /// Somebody writes so many messages, stamped so late.
    Say {
        alice: bool,
        wanted: bool,
        times: usize,
        late: u64,
    },
    Wait(u64),
    /// The stream is opened. Messages come before the list is asked for; it breaks off behind so many batches.
    Open {
        meanwhile: usize,
        batches: usize,
    },
    /// The stream is read, but for so many.
    Read(u64),
    Close,
    /// Another client lists everything.
    Other,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let late = prop_oneof![3 => Just(0), 2 => 0..SLACK];
    let times = prop_oneof![6 => 1usize..4, 1 => 60usize..130];
    prop_oneof![
        5 => (any::<bool>(), prop::bool::weighted(0.8), times, late)
            .prop_map(|(alice, wanted, times, late)| Step::Say { alice, wanted, times, late }),
        3 => prop_oneof![0u64..5, 0..2 * SLACK].prop_map(Step::Wait),
        4 => (0usize..4, prop_oneof![2 => Just(usize::MAX), 1 => 0usize..3])
            .prop_map(|(meanwhile, batches)| Step::Open { meanwhile, batches }),
        3 => (0u64..3).prop_map(Step::Read),
        2 => Just(Step::Close),
        1 => Just(Step::Other),
        1 => Just(Step::Restart),
    ]
}

/// What was said, and what is to become of it.
struct History {
    bench: Bench,
    /// Whether what was there before the first start is to be handed over.
    from_before: bool,
    opened: bool,
    /// The earliest stamp a message may have: none is older than the stream before a message came.
    earliest: u64,
    said: Vec<String>,
    /// Those of which it is left open.
    open: HashMap<String, bool>,
}

impl History {
    async fn new(from_before: bool) -> Self {
        let mut bench = Bench::new(&json!({ "body_search": "^go" }), 64 << 20).await;
        if from_before {
            bench.catch_up.resume(None, EPOCH);
        }
        Self { bench, from_before, opened: false, earliest: EPOCH, said: Vec::new(), open: HashMap::new() }
    }

    fn say(&mut self, alice: bool, wanted: bool, late: u64) {
        let (who, go) = (if alice { "alice" } else { "bob" }, if wanted { "go" } else { "no" });
        let text = format!("{go} {who} {:05}", self.said.len());
        let late = late.min(self.bench.clock.now() - self.earliest);
        self.bench.say(who, &text, late);
        self.said.push(text);
    }

    async fn play(&mut self, step: Step) {
        match step {
            Step::Say { alice, wanted, times, late } => (0..times).for_each(|_| self.say(alice, wanted, late)),
            Step::Wait(time) => self.bench.clock.advance(Duration::from_millis(time)),
            Step::Open { meanwhile, batches } if self.bench.stream.is_none() => {
                let due = self.bench.subscribe().await;
                if !self.opened {
                    (self.opened, self.earliest) = (true, self.bench.clock.now());
                    // Without an order to do otherwise, what was before is not ours.
                    let before = self.said.iter().filter(|_| !self.from_before).cloned();
                    self.open.extend(before.map(|text| (text, false)));
                }
                (0..meanwhile).for_each(|_| self.say(true, true, 0));
                if due {
                    self.bench.list(batches).await.unwrap();
                    // A list that broke off means that the stream is opened again.
                    if batches != usize::MAX {
                        self.bench.close().await;
                    }
                }
            }
            Step::Read(but) => self.bench.read(but).await,
            Step::Close => self.bench.close().await,
            Step::Other => {
                self.bench.simulator.call("bot", "message_list", &json!({})).unwrap();
                if !self.opened {
                    self.open.extend(self.said.iter().map(|text| (text.clone(), true)));
                }
            }
            Step::Restart if self.from_before => self.bench.restart().await,
            Step::Open { .. } | Step::Restart => {}
        }
    }

    /// Everything exactly once, and in order within its discussion.
    async fn check(&mut self) {
        self.bench.close().await;
        self.play(Step::Open { meanwhile: 0, batches: usize::MAX }).await;
        self.bench.read(0).await;
        let mut times = HashMap::<&str, usize>::new();
        for text in &self.bench.handed {
            *times.entry(text).or_default() += 1;
        }
        for text in &self.said {
            let times = times.get(text.as_str()).copied().unwrap_or_default();
            match (text.starts_with("go"), self.open.get(text)) {
                (true, None) => assert_eq!(times, 1, "{text}"),
                (true, Some(true)) => assert!(times <= 1, "{text}: {times}"),
                _ => assert_eq!(times, 0, "{text}"),
            }
        }
        for who in ["alice", "bob"] {
            let owed = self.bench.handed.iter().filter(|text| text.contains(who) && !self.open.contains_key(*text));
            assert!(owed.is_sorted(), "{:?}", self.bench.handed);
        }
    }
}

/// Plays random histories.
fn histories(from_before: bool) {
    let config = Config { cases: 48, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&prop::collection::vec(step(), 1..40), |steps| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut history = History::new(from_before).await;
            for step in steps {
                history.play(step).await;
            }
            history.check().await;
        });
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn after_any_gaps_every_message_was_handed_over_once_and_in_order() {
    histories(false);
}

#[test]
fn over_any_restarts_every_message_was_handed_over_once_and_in_order() {
    histories(true);
}
