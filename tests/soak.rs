//! A soak: the real program with a hundred rules, people who write all the time, and random faults of the daemon, the
//! network and the operator. Every message is handled once.
//!
//! CONTRIBUTING.md says how to run it. A run is made again by its seed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "it tells its figures")]

#[path = "soak/faults.rs"]
mod faults;
#[path = "soak/record.rs"]
mod record;
#[path = "support/rig.rs"]
mod rig;
#[path = "support/saving.rs"]
mod saving;
#[path = "soak/site.rs"]
mod site;

use std::{
    cell::{Cell, RefCell},
    env,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use faults::{Act, saved};
use olvid_rules::simulator::{Options, Simulator};
use record::Record;
use rig::{Dice, PATIENCE, Rig, Told, assert_flat};
use saving::Way;
use serde_json::json;
use site::{RULES, SCRIPT, Site};
use tempfile::TempDir;
use tokio::time::{interval, sleep, sleep_until, timeout};

/// Those who write to the bot.
const PEOPLE: [&str; 5] = ["ann", "ben", "cleo", "dan", "eve"];

/// Between two messages.
const PACE: Duration = Duration::from_millis(15);

/// A cycle takes so long on the average: 300 of them are ten minutes.
const CYCLE: Duration = Duration::from_secs(2);

/// Cycles come in rounds of so many: faults and edits close upon each other, then edits only, for long enough that the
/// host takes its streams for good again.
const ROUND: usize = 10;
const HARSH: usize = 6;

/// Between two looks.
const MOMENT: Duration = Duration::from_millis(5);
const LOOK: Duration = Duration::from_secs(1);

/// A run.
struct Soak<'a> {
    host: &'a Rig,
    simulator: &'a Simulator,
    folder: &'a Path,
    site: Site,
    dice: Dice,
    record: Record,
}

/// What people do all the time.
async fn write(simulator: &Simulator, begun: Instant, sent: &RefCell<Vec<Duration>>, over: &Cell<bool>) {
    let discussion = |person: &str| {
        let found =
            simulator.call(person, "discussion_list", &json!({ "filter": { "title_search": "^bot" } })).unwrap();
        found[0]["id"].as_u64().unwrap()
    };
    let discussions = PEOPLE.map(discussion);
    let mut tick = interval(PACE);
    while !over.get() {
        tick.tick().await;
        let number = sent.borrow().len();
        let person = number * 7 / 3 % PEOPLE.len();
        let request = json!({ "discussion_id": discussions[person], "body": format!("m{number}") });
        sent.borrow_mut().push(begun.elapsed());
        simulator.call(PEOPLE[person], "message_send", &request).unwrap();
    }
}

impl Soak<'_> {
    /// A round: harsh, then calm.
    async fn round(&mut self, number: u32) {
        let length = CYCLE * u32::try_from(ROUND).unwrap();
        for cycle in 0..HARSH {
            let act = if cycle == 0 { Act::Restart(self.dice.millis(2500)) } else { Act::any(&mut self.dice) };
            self.record.note(format!("{act:?}"));
            if let Some(back) = act.happen(self.simulator, &mut self.site, self.folder, &mut self.dice).await {
                self.record.note("the daemon is back".to_owned());
                // What comes next may come before the streams do.
                let wait = if cycle == 0 { PATIENCE } else { self.dice.millis(4000) };
                if timeout(wait, self.listening()).await.is_ok() {
                    self.record.returns[usize::from(cycle > 0)].push(back.elapsed());
                }
            } else {
                let pause = self.dice.millis(900);
                sleep(pause).await;
            }
        }
        let end = self.record.begun + length * (number + 1);
        let calm = end.saturating_duration_since(Instant::now());
        let quiet = u32::try_from(ROUND - HARSH).unwrap();
        for _ in 0..quiet {
            let until = tokio::time::Instant::now() + calm / quiet;
            self.measure().await;
            sleep_until(until).await;
        }
    }

    /// Waits until the rule of interest has its stream.
    async fn listening(&self) {
        let is_there = || self.simulator.streams().iter().any(|stream| stream.subscription.name == "message_received");
        while !is_there() {
            sleep(MOMENT).await;
        }
    }

    /// A good edit of the script, from the save to its effect.
    async fn measure(&mut self) {
        // What was saved before is answered first.
        let quiet = Duration::from_millis(600);
        while self.answers().1.is_some_and(|last| last.elapsed() < quiet) {
            sleep(MOMENT).await;
        }
        let (answers, _) = self.answers();
        self.site.version += 1;
        self.record.note(format!("Script v{}", self.site.version));
        let open = self.host.told().entries.last().is_some_and(|entry| entry.at.elapsed() < 2 * PACE);
        saved(self.folder, SCRIPT, self.site.script(), Way::Renamed).await;
        let since = Instant::now();
        // On a busy machine a mistake that was saved before may be answered only now.
        let is_applied = |event: &serde_json::Value| event["scripts"].as_array().is_some_and(|all| !all.is_empty());
        let answer = |told: &Told| {
            let mut later = told.events.iter().filter(|(_, event)| is_answer(event)).skip(answers);
            later.find(|(_, event)| is_applied(event)).cloned()
        };
        let (at, _) = self.host.until("applied edit", answer).await;
        self.record.answered.push(at.duration_since(since));
        if open {
            let version = format!("v{}", self.site.version);
            let first =
                |told: &Told| told.entries.iter().rev().find(|entry| *entry.version == *version).map(|entry| entry.at);
            let first = timeout(Duration::from_millis(500), self.host.until("the new code", first)).await;
            self.record.active.extend(first.map(|at| at.duration_since(since)));
        }
    }

    /// How many edits were answered, and when the last was.
    fn answers(&self) -> (usize, Option<Instant>) {
        let told = self.host.told();
        let answers: Vec<_> = told.events.iter().filter(|(_, event)| is_answer(event)).map(|(at, _)| *at).collect();
        (answers.len(), answers.last().copied())
    }
}

fn is_answer(event: &serde_json::Value) -> bool {
    event["event"] == "reloaded" || event["event"] == "reload_rejected"
}

/// A number from the environment.
fn variable(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[tokio::test]
#[ignore = "ten minutes of faults; see CONTRIBUTING.md"]
async fn every_message_is_handled_once_whatever_fails() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = variable("OLVID_RULES_SOAK_SEED").unwrap_or(now);
    let period = Duration::from_secs(variable("OLVID_RULES_SOAK_SECONDS").unwrap_or(600));
    eprintln!("OLVID_RULES_SOAK_SEED={seed}, for {period:?}");
    let (folder, site) = (TempDir::new().unwrap(), Site::default());
    site.save_all(folder.path());
    let identity = |name: &str| (name.to_owned(), name.to_owned());
    let identities = std::iter::once("bot").chain(PEOPLE).map(identity).collect();
    let simulator = Simulator::start(Options { identities, ..Options::default() }).await.unwrap();
    let host = Rig::start(folder.path(), &[RULES], &simulator.url());
    host.until("first streams", |told| told.named("feed_opened").next().map(|_| ())).await;
    let mut soak = Soak {
        host: &host,
        simulator: &simulator,
        folder: folder.path(),
        site,
        dice: Dice::new(seed),
        record: Record::new(),
    };
    timeout(PATIENCE, soak.listening()).await.unwrap();
    let (sent, over, mut usages) = (RefCell::default(), Cell::new(false), Vec::new());
    let begun = soak.record.begun;
    let rounds = async {
        let mut number = 0;
        while begun.elapsed() < period {
            soak.round(number).await;
            number += 1;
        }
        over.set(true);
        number
    };
    let looking = async {
        while !over.get() {
            usages.push(host.usage());
            sleep(LOOK).await;
        }
    };
    let (rounds, (), ()) = tokio::join!(rounds, looking, write(&simulator, begun, &sent, &over));
    let mut record = soak.record;
    record.sent = sent.into_inner();
    settled(&host, record.sent.len()).await;
    let feeds = host.status().await["feeds"].clone();
    assert!(feeds.as_array().unwrap().iter().all(|feed| feed["state"] == "open"), "{feeds:#}");
    let told = host.stopped().await;
    let cycles = usize::try_from(rounds).unwrap() * ROUND;
    let (events, entries) = (told.events.len(), told.entries.len());
    eprintln!("{cycles} cycles, {} messages, {entries} handled, {events} other events", record.sent.len());
    record.tell(&usages);
    assert_eq!(told.named("run_failed").count() + told.named("unhandled").count(), 0);
    record.assert_ledger(&told);
    if usages.len() >= 100 {
        assert_flat(&usages);
    }
}

/// Waits until all streams are open and all that was sent is handled; or, where something is lost, until nothing comes
/// any more.
async fn settled(host: &Rig, sent: usize) {
    let opened = async {
        loop {
            let feeds = host.status().await["feeds"].clone();
            let open = feeds.as_array().unwrap().iter().all(|feed| feed["state"] == "open");
            let (handled, last) = {
                let told = host.told();
                (told.entries.len(), told.entries.last().map(|entry| entry.at))
            };
            if open && (handled >= sent || last.is_none_or(|at| at.elapsed() > Duration::from_secs(10))) {
                return;
            }
            sleep(100 * MOMENT).await;
        }
    };
    timeout(PATIENCE, opened).await.unwrap_or_else(|_| panic!("it does not settle: {}", host.last()));
}
