//! What is measured, with whom, and what is told of it.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use olvid_rules::schema::Catalog;
use tempfile::TempDir;

use crate::{
    figures::{Rounds, percentile, short, table},
    load::Load,
    parties::{self, ANSWERING, ASKED, Daemon, Handler, Measured, Party, REALISTIC, TRIVIAL, measure},
    plot, python,
    readers::Reader,
};

/// Notifications of one measurement: as many as take each party about a second.
const FAST: f64 = 300_000.0;
const SLOW: f64 = 12_000.0;
const ANSWERS: f64 = 20_000.0;
const SLOW_ANSWERS: f64 = 4_000.0;

/// How long an idle host is looked at.
const REST: Duration = Duration::from_secs(20);

/// Rules of the largest set.
const MOST: usize = 10_000;

pub(crate) struct Trials {
    rounds: usize,
    scale: f64,
    only: String,
    folder: TempDir,
    interpreter: Option<PathBuf>,
    /// Where plots go.
    plots: PathBuf,
}

/// One of those that are compared.
struct Contender<'a> {
    name: String,
    party: Party<'a>,
    load: Load,
    count: f64,
}

impl Trials {
    pub(crate) fn new(rounds: usize, scale: f64, only: &str, plots: PathBuf) -> Self {
        let interpreter = python::interpreter();
        fs::create_dir_all(&plots).unwrap();
        Self { rounds, scale, only: only.to_owned(), folder: TempDir::new().unwrap(), interpreter, plots }
    }

    fn plot(&self, name: &str, title: &str, unit: &str, bars: &[(String, Rounds)]) {
        if bars.len() > 1 {
            plot::bars(&self.plots.join(format!("{name}.svg")), title, unit, bars);
        }
    }

    /// A folder with rules of one handler.
    fn site(&self, handler: &Handler, count: usize) -> PathBuf {
        let folder = self.folder.path().join(format!("{}-{count}", handler.name));
        fs::create_dir_all(&folder).unwrap();
        parties::rules(&folder, handler, count, false);
        folder
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    fn count(&self, count: f64) -> u64 {
        (count * self.scale).max(10.0) as u64
    }

    /// Measures all in turns, so often.
    fn compare(&self, contenders: &[Contender<'_>]) -> Vec<Vec<Measured>> {
        let mut all = vec![Vec::new(); contenders.len()];
        for round in 0..=self.rounds {
            for (contender, measured) in contenders.iter().zip(&mut all) {
                if contender.name.contains(&self.only) {
                    let found = measure(contender.party, contender.load);
                    // The first round has caches to fill.
                    if round > 0 {
                        measured.push(found);
                    }
                }
            }
        }
        all
    }

    pub(crate) fn throughput(&self) {
        let (trivial, realistic, answering) =
            (self.site(&TRIVIAL, 1), self.site(&REALISTIC, 1), self.site(&ANSWERING, 1));
        let (fast, slow) = (self.count(FAST), self.count(SLOW));
        let (answers, slow_answers) = (self.count(ANSWERS), self.count(SLOW_ANSWERS));
        let flood = |count| Load::Flood { count };
        let answered = |count, at_once| Load::Answered { count, at_once };
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let contender =
            |name: &str, party, load, count: u64| Contender { name: name.to_owned(), party, load, count: count as f64 };
        let host = |name, folder, load, count| contender(name, Party::Host(folder), load, count);
        let rust = |name, reader, load, count| contender(name, Party::Rust(reader), load, count);
        let mut contenders = vec![
            rust("frames only", Reader::Frames, flood(fast), fast),
            rust("frames, decoded", Reader::Typed, flood(fast), fast),
            host("olvid-rules, trivial", &trivial, flood(fast), fast),
            host("olvid-rules, realistic", &realistic, flood(fast), fast),
            rust("Rust client, answering 64 at a time", Reader::Answering, answered(answers, true), answers),
            host("olvid-rules, answering over 64 discussions", &answering, answered(answers, true), answers),
            host("olvid-rules, answering one after another", &answering, answered(slow_answers, false), slow_answers),
        ];
        if let Some(interpreter) = &self.interpreter {
            let python = |name, handler, load, count| contender(name, Party::Python(interpreter, handler), load, count);
            contenders.extend([
                python("Python client, trivial", "trivial", flood(slow), slow),
                python("Python client, realistic", "realistic", flood(slow), slow),
                python(
                    "Python client, answering over 64 discussions",
                    "answering",
                    answered(slow_answers, true),
                    slow_answers,
                ),
                python(
                    "Python client, answering one after another",
                    "answering",
                    answered(slow_answers, false),
                    slow_answers,
                ),
            ]);
        }
        let all = self.compare(&contenders);
        let mut bars = Vec::new();
        let rows: Vec<_> = contenders
            .iter()
            .zip(&all)
            .filter(|(_, measured)| !measured.is_empty())
            .map(|(contender, measured)| {
                let of = |figure: fn(&Measured) -> f64| -> Rounds {
                    measured.iter().map(|measured| figure(measured) * 1e6 / contender.count).collect()
                };
                let wall = of(|measured| measured.outcome.wall);
                let peak: Rounds = measured.iter().map(|measured| measured.peak / 1024.0).collect();
                let rate = 1e6 / wall.median();
                bars.push((
                    contender.name.clone(),
                    measured.iter().map(|one| contender.count / one.outcome.wall).collect(),
                ));
                vec![
                    contender.name.clone(),
                    of(|measured| measured.cpu).to_string(),
                    wall.to_string(),
                    short(rate),
                    short(peak.median()),
                ]
            })
            .collect();
        let head = ["", "CPU µs each (min / median / max)", "time µs each", "per second", "peak MiB"];
        println!("{}", table("Throughput", &head, &rows));
        self.plot("throughput", "Notifications handled", "a second", &bars);
    }

    pub(crate) fn latency(&self) {
        let asked = self.site(&ASKED, 1);
        for per_second in [1_000, 10_000] {
            let count = self.count(5.0) * per_second;
            let load = Load::Rate { per_second, count, each: per_second / 200 };
            let contender = |name: &str, party| Contender { name: name.to_owned(), party, load, count: 1.0 };
            let mut contenders = vec![
                contender("decoded by a Rust client", Party::Rust(Reader::Typed)),
                contender("olvid-rules", Party::Host(&asked)),
            ];
            contenders.extend(
                self.interpreter.iter().map(|python| contender("Python client", Party::Python(python, "asked"))),
            );
            let all = self.compare(&contenders);
            let mut bars = Vec::new();
            let rows: Vec<_> = contenders
                .iter()
                .zip(&all)
                .map(|(contender, measured)| {
                    let at = |part| -> Rounds {
                        measured.iter().map(|measured| percentile(&mut measured.outcome.times.clone(), part)).collect()
                    };
                    let half = at(0.5);
                    let row = vec![contender.name.clone(), half.to_string(), at(0.99).to_string()];
                    bars.push((contender.name.clone(), half));
                    row
                })
                .collect();
            let head = ["", "p50 µs (min / median / max)", "p99 µs"];
            let title = format!("There and back at {per_second} a second");
            println!("{}", table(&title, &head, &rows));
            self.plot(&format!("latency-{per_second}"), &title, "µs, half are faster", &bars);
        }
    }

    pub(crate) fn start(&self) {
        let answering = self.site(&ANSWERING, 1);
        let mut parties = vec![("olvid-rules", Party::Host(&answering))];
        parties.extend(self.interpreter.iter().map(|python| ("Python client", Party::Python(python, "answering"))));
        let mut all = vec![Rounds::default(); parties.len()];
        for _ in 0..self.rounds {
            for ((_, party), times) in parties.iter().zip(&mut all) {
                times.push(parties::first_answer(*party) * 1000.0);
            }
        }
        let rows: Vec<_> =
            parties.iter().zip(&all).map(|((name, _), times)| vec![(*name).to_owned(), times.to_string()]).collect();
        println!("{}", table("From the start to the first answer", &["", "ms (min / median / max)"], &rows));
        let bars: Vec<_> = parties.iter().zip(all).map(|((name, _), times)| ((*name).to_owned(), times)).collect();
        self.plot("start", "From the start to the first answer", "ms", &bars);
    }

    pub(crate) fn idle(&self) {
        let folder = self.folder.path().join("idle");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("handler.lua"), TRIVIAL.lua).unwrap();
        let subscriptions = Catalog::embedded().subscriptions();
        let mut rules = "rules:\n".to_owned();
        for of in subscriptions {
            writeln!(rules, "  - {{ name: {0}, subscription: {0}, handler: handler.lua }}", of.name).unwrap();
        }
        fs::write(folder.join("rules.yaml"), rules).unwrap();
        let mut daemon = Daemon::start(Load::Nothing);
        let host = daemon.join(Party::Host(&folder));
        daemon.opened(subscriptions.len());
        thread::sleep(REST / 2);
        let (wakeups, cpu) = (host.wakeups(), host.cpu());
        thread::sleep(REST);
        let row = vec![
            subscriptions.len().to_string(),
            short(host.status("VmRSS") / 1024.0),
            short(host.status("RssAnon") / 1024.0),
            short((host.wakeups() - wakeups) / REST.as_secs_f64()),
            short(host.cpu().saturating_sub(cpu).as_secs_f64() * 1000.0 / REST.as_secs_f64()),
        ];
        let head = ["streams", "resident MiB", "of it its own", "wakeups a second", "CPU ms a second"];
        println!("{}", table("Idle", &head, &[row]));
    }

    pub(crate) fn many(&self) {
        let (mut rows, mut bars) = (Vec::new(), Vec::new());
        for rules in [10, 100, 1_000, MOST] {
            let folder = self.site(&TRIVIAL, rules);
            let count = self.count(2_000_000.0 / f64::from(u32::try_from(rules).unwrap())).max(100);
            let measured: Vec<_> =
                (0..self.rounds).map(|_| measure(Party::Host(&folder), Load::Flood { count })).collect();
            #[expect(clippy::cast_precision_loss, reason = "counts are small")]
            let cpu: Rounds = measured.iter().map(|one| one.cpu * 1e6 / (count * rules as u64) as f64).collect();
            let peak: Rounds = measured.iter().map(|one| one.peak / 1024.0).collect();
            rows.push(vec![rules.to_string(), cpu.to_string(), short(peak.median())]);
            bars.push((rules.to_string(), cpu));
        }
        let head = ["rules on one stream", "CPU µs a notification and rule (min / median / max)", "peak MiB"];
        println!("{}", table("Many rules", &head, &rows));
        self.plot("many", "Rules on one stream", "CPU µs a notification and rule", &bars);
        let folder = self.site(&TRIVIAL, MOST);
        let checked: Rounds = (0..self.rounds)
            .map(|_| {
                let since = Instant::now();
                let status = Command::new(parties::program())
                    .args(["check", "."])
                    .current_dir(&folder)
                    .stdout(Stdio::null())
                    .status()
                    .unwrap();
                assert!(status.success());
                since.elapsed().as_secs_f64() * 1000.0
            })
            .collect();
        println!("{}", table("Checking 10,000 rules", &["ms (min / median / max)"], &[vec![checked.to_string()]]));
        let head = ["CPU ms after a rest (min / median / max)", "right after another", "without any change"];
        let row = self.reloads(&folder).iter().map(Rounds::to_string).collect();
        println!("{}", table("Loading one script of 50 again, 10,000 rules", &head, &[row]));
        let filtered = self.folder.path().join("filtered");
        fs::create_dir_all(&filtered).unwrap();
        parties::rules(&filtered, &TRIVIAL, MOST, true);
        let mut daemon = Daemon::start(Load::Nothing);
        let host = daemon.join(Party::Host(&filtered));
        daemon.opened(MOST);
        let row = vec![short(host.status("VmRSS") / 1024.0), short(host.status("VmHWM") / 1024.0)];
        println!(
            "{}",
            table("10,000 rules with as many filters, all streams open", &["resident MiB", "peak MiB"], &[row])
        );
    }

    /// CPU milliseconds of loading a script again: after some seconds of rest, as there are machines where memory is slow
    /// then, right after another time, and of as long without it.
    fn reloads(&self, folder: &Path) -> [Rounds; 3] {
        const LOADED: Duration = Duration::from_millis(1500);
        let mut daemon = Daemon::start(Load::Nothing);
        let host = daemon.join(Party::Host(folder));
        daemon.opened(1);
        let mut all: [Rounds; 3] = Default::default();
        for round in 0..self.rounds {
            host.at_rest();
            for (kind, rounds) in all.iter_mut().enumerate() {
                let before = host.cpu();
                if kind < 2 {
                    let text = format!("{}-- {round} {kind}\n", TRIVIAL.lua);
                    fs::write(folder.join("handler-0.lua"), text).unwrap();
                }
                thread::sleep(LOADED);
                rounds.push(host.cpu().saturating_sub(before).as_secs_f64() * 1000.0);
            }
        }
        all
    }
}
