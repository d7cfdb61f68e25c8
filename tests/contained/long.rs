//! What takes long or measures times: how late attacks end, what a thousand rounds of them leave behind, and what limits
//! cost. CONTRIBUTING.md says how to run these.
#![allow(clippy::print_stderr, reason = "they tell their figures")]

use std::{
    collections::{BTreeMap, VecDeque},
    env,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    harness::{Complaints, Host, LISTEN, PATIENCE, is_failure, kind_of, site, with_program},
    script::{FAMILIES, Script, all},
    site::Site,
    told::{Line, Told, cut},
};

/// An attack ends so long after its limit at the latest, and the canary answers so soon.
const LATE: i64 = 250;
const SOON: i64 = 20;

/// Between two beats of the canary.
const PULSE: Duration = Duration::from_millis(10);

/// What a thousand rounds may leave behind, in kilobytes.
const LEAK: u64 = 5 << 10;

/// Rounds until everything is as large as it gets, and between two looks at it.
const WARM: u64 = 50;

/// Looks of which the least counts: what is garbage is given back some seconds later.
const SAMPLES: usize = 40;

/// Lines that are kept to be shown where something does not go on.
const REMEMBERED: usize = 5000;

/// What glibc keeps of what a thread has freed, for that thread alone, counts as used: up to 200 KiB for each of hundreds of
/// threads, which takes hundreds of rounds to fill up.
const UNCACHED: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");

/// Little time for each attack, and all that it says.
const HURRIED: [(&str, &str); 5] =
    [("cpu", "10ms"), ("timeout", "100ms"), ("log_rate", "0"), ("command_rate", "0"), ("loop_limit", "0")];

/// Notifications of one measurement, by handler.
const HANDLERS: [(&str, &str, usize); 2] = [
    ("a trivial handler", "", 50_000),
    ("10,000 iterations", "local sum = 0 for at = 1, 10000 do sum = sum + at % 7 end", 5_000),
];

const MEASUREMENTS: usize = 7;

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The largest value that so many of a hundred do not exceed.
fn percentile(values: &mut [i64], percent: usize) -> i64 {
    values.sort_unstable();
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

/// A duration as rules write it, in milliseconds.
fn milliseconds(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.find(|letter: char| letter.is_alphabetic()).unwrap());
    number.parse::<i64>().unwrap()
        * [("ms", 1), ("s", 1000), ("h", 3_600_000)].iter().find(|(name, _)| *name == unit).unwrap().1
}

/// When a run of a script must have ended, whatever ends it.
fn limit(script: &Script, kind: &str) -> i64 {
    let key = |name, default| milliseconds(script.key(name).unwrap_or(default));
    let (timeout, cpu) = (key("timeout", "30s"), key("cpu", "1s"));
    if kind == "timeout" || script.waits { timeout } else { cpu.min(timeout) }
}

#[test]
#[ignore = "measures times on a machine that does nothing else; see CONTRIBUTING.md"]
fn an_attack_ends_with_its_limit_and_others_are_served_meanwhile() {
    let (scripts, mut complaints) = (all(), Complaints::default());
    let (mut late, mut songs) = (Vec::new(), Vec::new());
    for family in FAMILIES {
        let site = &site();
        let scripts: Vec<_> = scripts.iter().filter(|script| script.name.starts_with(family)).collect();
        let scripts: Vec<_> =
            scripts.into_iter().filter(|script| script.may_run() && !script.may_be_refused()).collect();
        if scripts.is_empty() {
            continue;
        }
        let host = Host::start(site, scripts).unwrap();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    site.emit(1, &format!("at {}", now()));
                    thread::sleep(PULSE);
                }
            });
            for (number, script) in host.scripts.iter().enumerate() {
                let begun = now();
                host.attack(number);
                let since = Instant::now();
                while !host.is_through(number) && since.elapsed() < PATIENCE {
                    host.told.wait(PULSE);
                }
                let lines = host.told.lines();
                let failure = lines.0.iter().find(|line| line.event["rule"] == *script.name && is_failure(line));
                let Some(failure) = failure else { continue };
                let overrun = failure.time() - begun - limit(script, kind_of(failure));
                late.push(overrun);
                if overrun > LATE {
                    complaints.add(&script.name, format!("{overrun} ms late: {}", failure.text_of("message")));
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        let sung =
            |line: &Line| Some(line.time() - line.text_of("message").strip_prefix("seen at ")?.parse::<i64>().ok()?);
        songs.extend(host.told.lines().0.iter().filter(|line| line.is("said", "canary")).filter_map(sung));
    }
    let ninety_nine = percentile(&mut songs, 99);
    eprintln!(
        "{} attacks end after their limit: median {} ms, p90 {} ms, max {} ms",
        late.len(),
        percentile(&mut late, 50),
        percentile(&mut late, 90),
        percentile(&mut late, 100)
    );
    let (half, most) = (percentile(&mut songs, 50), percentile(&mut songs, 100));
    eprintln!("{} other notifications waited: median {half} ms, p99 {ninety_nine} ms, max {most} ms", songs.len());
    if ninety_nine > SOON {
        complaints.add("canary", format!("p99 is {ninety_nine} ms"));
    }
    complaints.assert_none();
}

#[test]
#[ignore = "an hour or more; see CONTRIBUTING.md"]
fn a_thousand_rounds_leave_nothing_behind() {
    let rounds: u64 = env::var("OLVID_RULES_CONTAINED_ROUNDS").map_or(1000, |number| number.parse().unwrap());
    let (scripts, site) = (all(), &site());
    let scripts: Vec<_> = scripts.iter().filter(|script| script.may_run() && !script.may_be_refused()).collect();
    let host = Host::start_with(site, scripts, &HURRIED, &[UNCACHED]).unwrap();
    let threads = host.told.script_threads();
    let (mut recent, mut seen) = (VecDeque::new(), Vec::new());
    // Scripts that gave way to others finish what they run; then the allocator gives back what they held.
    let settled = || {
        let since = Instant::now();
        while host.told.script_threads() > threads {
            assert!(since.elapsed() < PATIENCE * 4, "{} threads stay behind", host.told.script_threads() - threads);
            thread::sleep(PULSE);
        }
        let samples = (0..SAMPLES).map(|_| {
            thread::sleep(PULSE * 25);
            (Figures::of(site).heap, host.told.status("VmRSS"))
        });
        samples.min().unwrap()
    };
    for round in 1..=rounds {
        for number in 0..host.scripts.len() {
            host.attack(number);
        }
        let since = Instant::now();
        // However each ended: a loaded machine may be too slow even for the last of the three.
        let late = || -> Vec<String> {
            let handled = Figures::of(site).handled.into_iter();
            let late = handled.filter(|(rule, handled)| rule != "canary" && *handled < 3 * round);
            late.map(|(rule, _)| rule).collect()
        };
        loop {
            let late = late();
            recent.extend(host.told.take());
            recent.drain(..recent.len().saturating_sub(REMEMBERED));
            if late.is_empty() {
                break;
            }
            if since.elapsed() > PATIENCE * 4 {
                let of_late = |line: &&Line| late.iter().any(|name| line.text.contains(name));
                let lines: Vec<_> = recent.iter().filter(of_late).map(|line| cut(&line.text)).collect();
                panic!("round {round}: {late:?} do not go on\n{}", lines.join("\n"));
            }
            thread::sleep(PULSE * 10);
        }
        if round % WARM == 0 || round == rounds {
            let (used, resident) = settled();
            let threads = host.told.script_threads();
            eprintln!("round {round}: {used} kB used, {resident} kB resident, {threads} threads");
            seen.push(used);
        }
    }
    // What hundreds of VMs hold between two collections goes up and down. What the process has of the system is no
    // measure at all: what lies free between that is used grows until it is as much as it gets.
    let part = seen.len().div_ceil(4);
    let least = |part: &[u64]| *part.iter().min().unwrap();
    let (before, after) = (least(&seen[..part]), least(&seen[seen.len() - part..]));
    assert!(after < before + LEAK, "from {before} to {after} kB: {seen:?}");
    assert_eq!(host.told.script_threads(), threads);
}

/// What a host tells of itself to monitors.
struct Figures {
    /// Kilobytes of its heap that are used.
    heap: u64,
    /// Notifications that each rule has handled.
    handled: BTreeMap<String, u64>,
}

impl Figures {
    fn of(site: &Site) -> Self {
        let mut socket = UnixStream::connect(site.path(LISTEN)).unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        let values = |name: &'static str| {
            let lines = text.lines().filter_map(move |line| line.strip_prefix(name)?.rsplit_once(' '));
            lines.map(|(labels, value)| (labels, value.parse::<u64>().unwrap()))
        };
        let heap = values("olvid_rules_heap_bytes").next().unwrap_or_else(|| panic!("{text}")).1 / 1024;
        let handled = values("olvid_rules_notifications_handled_total{rule=\"");
        let handled = handled.map(|(labels, value)| (labels.split('"').next().unwrap().to_owned(), value)).collect();
        Self { heap, handled }
    }
}

/// What one measurement found: microseconds of CPU, and of time, for each notification.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    time: f64,
}

fn measure(site: &Site, variable: &str, notifications: usize) -> Cost {
    let command = site.command(&["run", "--log-format", "json", "rules.yaml"]);
    let told = Told::start(&mut with_program(&command, variable));
    assert!(told.until(PATIENCE, |lines| lines.iter().any(|line| line.event["event"] == "feed_opened")));
    let said = |text: &str| told.until(PATIENCE, |lines| lines.iter().any(|line| line.event["message"] == *text));
    site.emit(1, "first");
    assert!(said("first"));
    let (cpu, time) = (told.cpu(), Instant::now());
    for _ in 0..notifications {
        site.emit(1, "x");
    }
    site.emit(1, "last");
    assert!(said("last"), "{}", told.last(5));
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(u32::try_from(notifications).unwrap());
    Cost { cpu: each(told.cpu().saturating_sub(cpu)), time: each(time.elapsed()) }
}

/// Two builds are comparable where Lua's interpreter lies alike in both: `nm PROGRAM | grep luaV_execute` ends in the same
/// two digits. Elsewhere within a line of the processor's cache, the same code takes up to a third longer.
#[test]
#[ignore = "measures; see CONTRIBUTING.md"]
fn limits_cost() {
    let programs: &[&str] = if env::var_os("BASELINE_PROGRAM").is_some() {
        &["BASELINE_PROGRAM", "OLVID_RULES_TEST_PROGRAM"]
    } else {
        &["OLVID_RULES_TEST_PROGRAM"]
    };
    let site = site();
    site.write("rules.yaml", "rules:\n  - { name: cost, subscription: message_received, handler: cost.lua }\n");
    for (name, body, notifications) in HANDLERS {
        let script =
            "return function(n)\n BODY\n local text = n.message.body if text ~= 'x' then print(text) end\nend\n";
        site.write("cost.lua", script.replace("BODY", body));
        let mut costs = vec![Vec::new(); programs.len()];
        for _ in 0..MEASUREMENTS {
            for (program, costs) in programs.iter().zip(&mut costs) {
                costs.push(measure(&site, program, notifications));
            }
        }
        let mut medians = Vec::new();
        for (program, costs) in programs.iter().zip(&costs) {
            let sorted = |of: fn(&Cost) -> f64| {
                let mut values: Vec<_> = costs.iter().map(of).collect();
                values.sort_by(f64::total_cmp);
                [values[0], values[values.len() / 2], values[values.len() - 1]]
            };
            let (cpu, time) = (sorted(|cost| cost.cpu), sorted(|cost| cost.time));
            eprintln!("{name}, {program}: CPU {cpu:.2?} µs, time {time:.2?} µs a notification (min, median, max)");
            medians.push(cpu[1]);
        }
        if let [before, after] = medians[..] {
            eprintln!("{name}: {:+.1} % CPU", (after / before - 1.0) * 100.0);
        }
    }
}
