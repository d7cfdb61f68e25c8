//! Reloads under load: two busy streams, and an operator who edits all day, one edit in three a mistake. Every
//! notification is handled once, in order, whatever is edited.
//!
//! The short one is for every day; CONTRIBUTING.md says how to run the long one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "the long run tells its figures")]

#[path = "under_load/edits.rs"]
mod edits;
#[path = "under_load/ledger.rs"]
mod ledger;
#[path = "support/rig.rs"]
mod rig;
#[path = "support/saving.rs"]
mod saving;
#[path = "under_load/site.rs"]
mod site;
#[path = "under_load/traffic.rs"]
mod traffic;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use edits::{MISTAKES, Mistake, next_good};
use olvid_rules::simulator::{Options, Simulator};
use rig::{Dice, PATIENCE, Rig, Told, Usage, assert_flat, percentile, sha256};
use saving::{WAYS, Way};
use serde_json::Value as Json;
use site::{GUESTS, MODULE, RULES, SCRIPT, Site};
use tempfile::TempDir;
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use traffic::{Sent, flow};

/// What is sent each second on each of the two streams, where the machine keeps up.
const RATE: u64 = 2000;

/// How often memory and descriptors are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Between two looks at the simulated daemon's count of streams.
const MOMENT: Duration = Duration::from_millis(5);

/// The operator, and what is known of the host from outside.
struct Operator<'a> {
    host: &'a Rig,
    simulator: &'a Simulator,
    folder: &'a Path,
    site: Site,
    dice: Dice,
    /// The file that has a mistake in it.
    mistaken: Option<&'static str>,
    generation: u64,
    /// Answers to edits that were looked at, among all events.
    read: usize,
    edits: usize,
    good: usize,
    mistakes: usize,
    /// Rejected on the way to what was saved: a file that is removed and created was gone for a moment.
    on_the_way: usize,
    answered_in: Vec<Duration>,
}

impl Operator<'_> {
    /// Does the next edit and waits for what the host makes of it.
    async fn edit(&mut self) {
        self.edits += 1;
        if self.edits.is_multiple_of(3) {
            self.mistake().await;
        } else {
            self.good_edit().await;
        }
    }

    async fn good_edit(&mut self) {
        let kind = next_good(self.good, &self.site);
        self.good += 1;
        let (before, opened) = (self.site.clone(), self.simulator.opened("bot"));
        let mut save = kind.edit(&mut self.site, &mut self.dice);
        if let Some(file) = self.mistaken.take() {
            save.mend(file);
        }
        let was_generation = self.generation;
        let (site, folder, one) = (self.site.clone(), self.folder.to_owned(), save.is_one());
        let written = save.clone();
        let since = Instant::now();
        spawn_blocking(move || written.write(&site, &folder)).await.unwrap();
        if !save.is_something() {
            return;
        }
        let mut answers = 0;
        loop {
            let answer = self.answer().await;
            answers += 1;
            if answer["event"] == "reload_rejected" {
                self.on_the_way += 1;
                assert!(!one, "{kind:?} is no mistake: {}", self.host.last());
            } else if self.is_loaded().await {
                break;
            }
        }
        self.answered_in.push(since.elapsed());
        assert!(!one || answers == 1, "{kind:?} was one save");
        let applied = self.generation - was_generation;
        assert_eq!(applied == 0, self.site.means_the_same(&before), "{kind:?}: {}", self.host.last());
        assert!(!one || applied <= 1, "{kind:?} was one save");
        let new = self.site.opens(&before);
        self.until_opened(opened + new, &format!("{kind:?}")).await;
    }

    async fn mistake(&mut self) {
        let mistake = &MISTAKES[self.mistakes % MISTAKES.len()];
        self.mistakes += 1;
        let (way, opened) = (self.dice.one_of(&WAYS), self.simulator.opened("bot"));
        self.mistaken = Some(mistake.file);
        let (site, folder) = (self.site.clone(), self.folder.to_owned());
        spawn_blocking(move || mistake.write(&site, &folder, way)).await.unwrap();
        while !self.is_told(mistake, way).await {
            self.on_the_way += 1;
        }
        self.until_opened(opened, mistake.name).await;
    }

    /// Whether the next answer tells a mistake where it is.
    async fn is_told(&mut self, mistake: &Mistake, way: Way) -> bool {
        let from = self.read;
        let answer = self.answer().await;
        assert_eq!(answer["event"], "reload_rejected", "{}: {}", mistake.name, self.host.last());
        let told = self.host.told();
        let mut diagnostics = told.events[from..self.read].iter().map(|(_, event)| event);
        let is_there = |event: &Json| {
            event["event"] == "load_rejected"
                && event["place"].as_str().is_some_and(|at| at.starts_with(mistake.told_at))
        };
        let found = diagnostics.any(is_there);
        drop(told);
        assert!(found || !matches!(way, Way::Renamed | Way::Linked), "{}: {}", mistake.name, self.host.last());
        found
    }

    /// Waits for the next answer to an edit; its generation is the next one where it was applied, and else the same.
    async fn answer(&mut self) -> Json {
        let from = self.read;
        let is_answer = |event: &Json| event["event"] == "reloaded" || event["event"] == "reload_rejected";
        let find = |told: &Told| {
            let at = told.events[from..].iter().position(|(_, event)| is_answer(event))?;
            Some((from + at + 1, told.events[from + at].1.clone()))
        };
        let (read, answer) = self.host.until("answer to an edit", find).await;
        self.read = read;
        self.generation += u64::from(answer["result"] == "applied");
        assert_eq!(answer["generation"], self.generation, "{answer}");
        answer
    }

    /// Whether what the host says that it has loaded is what the files hold, all of them.
    async fn is_loaded(&self) -> bool {
        let status = self.host.status().await;
        let mut loaded = status["files"].as_object().unwrap().clone();
        let scripts = status["scripts"].as_array().unwrap();
        loaded.extend(scripts.iter().flat_map(|script| script["files"].as_object().unwrap().clone()));
        let guests = self.site.guests.keys().map(|number| Site::guest_path(self.folder, *number));
        let files = [RULES, SCRIPT, MODULE].map(|name| self.folder.join(name)).into_iter().chain(guests);
        let hash_of = |path: &Path| {
            let below = path.strip_prefix(self.folder).unwrap();
            loaded.get(below.to_str().unwrap()).or_else(|| loaded.get(path.to_str().unwrap()))
        };
        let all = files.into_iter().all(|path| hash_of(&path).is_some_and(|hash| *hash == sha256(&path)));
        let gone = loaded.iter().any(|(path, hash)| hash != "missing" && !self.folder.join(path).exists());
        all && !gone
    }

    /// Waits until so many streams were opened, which is no more than that.
    async fn until_opened(&self, streams: u64, what: &str) {
        let opened = async {
            while self.simulator.opened("bot") < streams {
                sleep(MOMENT).await;
            }
        };
        timeout(PATIENCE, opened)
            .await
            .unwrap_or_else(|_| panic!("{what}: no stream was opened: {}", self.host.last()));
        assert_eq!(self.simulator.opened("bot"), streams, "{what}: {}", self.host.last());
    }
}

/// Edits for so long, and at least so often.
async fn under_load(period: Duration, edits: usize, seed: u64) {
    let folder = TempDir::new().unwrap();
    let site = Site::new();
    site.save_all(folder.path());
    let simulator = Simulator::start(Options { check_ids: false, ..Options::default() }).await.unwrap();
    let host = Rig::start(folder.path(), &[RULES, GUESTS], &simulator.url());
    timeout(PATIENCE, simulator.subscribers("bot", 2)).await.unwrap();
    let mut operator = Operator {
        host: &host,
        simulator: &simulator,
        folder: folder.path(),
        site,
        dice: Dice::new(seed),
        mistaken: None,
        generation: 1,
        read: 0,
        edits: 0,
        good: 0,
        mistakes: 0,
        on_the_way: 0,
        answered_in: Vec::new(),
    };
    let (sent, begun) = (Sent::default(), Instant::now());
    let mut usages = Vec::<Usage>::new();
    let editing = async {
        while begun.elapsed() < period || operator.edits < edits || operator.mistaken.is_some() {
            operator.edit().await;
        }
        sent.stop.set(true);
    };
    let looking = async {
        while !sent.stop.get() {
            usages.push(host.usage());
            sleep(LOOK).await;
        }
    };
    tokio::join!(editing, looking, flow(&simulator, RATE, &sent));
    let (total, took) = (sent.numbers.get(), begun.elapsed());
    host.until("all that was sent", |told| {
        let own = |rule: &str| told.entries.iter().rev().any(|entry| &*entry.rule == rule && entry.number + 1 == total);
        (own("received") && own("renamed")).then_some(())
    })
    .await;
    assert!(operator.is_loaded().await, "{}", host.last());
    let (edits, mistakes, on_the_way) = (operator.edits, operator.mistakes, operator.on_the_way);
    let (generation, last, mut answered_in) = (operator.generation, operator.site, operator.answered_in);
    let feeds = host.status().await["feeds"].as_array().unwrap().len();
    assert_eq!(feeds, last.streams().len());
    let told = host.stopped().await;
    assert_eq!(told.named("run_failed").count() + told.named("unhandled").count(), 0);
    assert_eq!(told.named("feed_lost").count() + told.named("gap").count(), 0);
    let received = ledger::assert_complete(&told.entries, "received", total);
    let renamed = ledger::assert_complete(&told.entries, "renamed", total);
    assert!(received.contains(&*format!("v{}.m{}", last.script, last.module)), "{received:?}");
    assert!(renamed.contains(&*format!("i{}", last.inline)), "{renamed:?}");
    ledger::assert_counted(&told.entries, "received");
    let lives = ledger::assert_guests(&told.entries);
    ledger::assert_good(&told.entries);
    let (first, end) = (usages[usages.len() / 2], usages[usages.len() - 1]);
    eprintln!(
        "{} notifications in {took:.1?} ({:.0} each second), {} handled; {edits} edits, {mistakes} mistakes, \
         {on_the_way} rejected on the way, generation {generation}, {} versions, {lives} lives of guests; answered in \
         p50 {:?}, p99 {:?}; half-way {first:?}, at the end {end:?}; longest wait for the reader {:?}",
        2 * total,
        2.0 * f64::from(u32::try_from(total).unwrap()) / took.as_secs_f64(),
        told.entries.len(),
        received.len() + renamed.len(),
        percentile(&mut answered_in, 0.5),
        percentile(&mut answered_in, 0.99),
        sent.longest_pause.get(),
    );
    if usages.len() >= 100 {
        assert_flat(&usages);
    }
    drop(fs::remove_dir_all(folder.path()));
}

#[tokio::test]
async fn every_notification_is_handled_once_whatever_is_edited() {
    under_load(Duration::from_secs(10), 35, 1).await;
}

#[tokio::test]
#[ignore = "a minute of two busy streams and two hundred edits; see CONTRIBUTING.md"]
async fn every_notification_is_handled_once_for_a_minute_of_two_hundred_edits() {
    under_load(Duration::from_mins(1), 200, 2).await;
}
