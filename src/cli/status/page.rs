//! A host's answers as people read them: pure, JSON in, text out.
//!
//! Durations are counted on the host's clock, up to the moment at which it answered. What came from files, scripts or
//! the daemon is escaped and cut to its column.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Error, Value as Json};

use crate::{diagnostic::counted, lua::CREDITS, report::log::escaped};

/// Columns of the table of rules.
const WIDTH: usize = 80;

/// Between two columns.
const GAP: usize = 2;

/// Characters of a cause in the daemon's words.
const LONGEST_CAUSE: usize = 500;

/// Streams that are listed of those in one trouble.
const LISTED: usize = 10;

/// Rules that are named where many share a stream.
const NAMED: usize = 5;

/// The columns of the table: these many texts that are cut to fit, the state, and numbers.
const HEADINGS: [&str; 6] = ["RULE", "SUBSCRIPTION", "STATE", "HANDLED", "FAILED", "QUEUED"];
const TEXTS: usize = 2;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    version: String,
    pid: u64,
    started: String,
    now: String,
    uptime: f64,
    directory: String,
    paths: Vec<String>,
    daemon: String,
    generation: u64,
    reload: Reload,
    rules: Vec<Rule>,
    feeds: Vec<Feed>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reload {
    generation: u64,
    result: String,
    trigger: String,
    at: String,
    took: f64,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    kept: u64,
    scripts: Vec<String>,
    text: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rule {
    name: String,
    subscription: String,
    file: String,
    line: u64,
    enabled: bool,
    state: String,
    queued: u64,
    running: u64,
    handled: u64,
    failed: u64,
    loops: Vec<Json>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Feed {
    subscription: String,
    rules: Vec<String>,
    state: String,
    since: String,
    cause: Option<String>,
    next_try: Option<String>,
}

/// What a reload came to.
pub(super) struct Outcome {
    /// One line.
    pub(super) summary: String,
    /// The mistakes and warnings, if any.
    pub(super) mistakes: String,
    pub(super) rejected: bool,
}

/// Writes a status: in short, then what is wrong, then every rule.
pub(super) fn status(status: &Json) -> Result<String, Error> {
    let status = Status::deserialize(status)?;
    let mut out = short(&status);
    table(&status.rules, &mut out);
    Ok(out)
}

/// Writes the first two of these.
pub(super) fn brief(status: &Json) -> Result<String, Error> {
    Status::deserialize(status).map(|status| short(&status))
}

fn short(status: &Status) -> String {
    let clock = Clock::new(&status.started, &status.now);
    let mut out = String::new();
    summary(status, &clock, &mut out);
    rejected(&status.reload, &clock, &mut out);
    closed(&status.feeds, &clock, &mut out);
    troubled(&status.rules, &mut out);
    out
}

/// Puts a reload's outcome into words.
pub(super) fn outcome(outcome: &Json) -> Result<Outcome, Error> {
    let reload = Reload::deserialize(outcome)?;
    let generation = reload.generation;
    let summary = match reload.result.as_str() {
        "rejected" => format!("rejected: the running rules stay as they are (generation {generation})\n"),
        "unchanged" => format!("nothing changed (generation {generation})\n"),
        _ => format!("reloaded: {}\n", applied(&reload)),
    };
    let mut mistakes = lines(&reload.text);
    if !mistakes.is_empty() {
        mistakes.push('\n');
    }
    Ok(Outcome { summary, mistakes, rejected: is_rejected(outcome) })
}

/// Whether an outcome is that the rules are refused.
pub(super) fn is_rejected(outcome: &Json) -> bool {
    outcome["result"] == "rejected"
}

fn summary(status: &Status, clock: &Clock, out: &mut String) {
    let Status { version, pid, generation, .. } = status;
    let since = clock.started.map_or_else(|| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    let rules = counted(status.rules.len(), "rule");
    let disabled = status.rules.iter().filter(|rule| !rule.enabled).count();
    let disabled = if disabled > 0 { format!(" ({disabled} disabled)") } else { String::new() };
    let paths: Vec<_> = status.paths.iter().map(|path| escaped(path)).collect();
    // Writing to a String does not fail, here and below.
    let _ =
        writeln!(out, "running since {since}, generation {generation}: {rules}{disabled}, {}", streams(&status.feeds));
    let _ = writeln!(
        out,
        "olvid-rules {}, process {pid}, up for {}, with {} in {}",
        escaped(version),
        duration(status.uptime),
        paths.join(" "),
        escaped(&status.directory)
    );
    let _ = writeln!(out, "daemon {}", escaped(&status.daemon));
    let reload = &status.reload;
    let last = match reload.result.as_str() {
        "applied" => applied(reload),
        "unchanged" => "nothing changed".to_owned(),
        _ => return,
    };
    let _ = writeln!(out, "last reload {} ago ({}): {last}", clock.since(&reload.at), escaped(&reload.trigger));
}

/// Counts the streams by their states: `44 of 46 streams open, 2 opening`.
fn streams(feeds: &[Feed]) -> String {
    let of = |state: &str| feeds.iter().filter(|feed| feed.state == state).count();
    let open = of("open");
    let mut text = match feeds.len() {
        0 => return "no streams".to_owned(),
        all if all == open => format!("{} open", counted(all, "stream")),
        all => format!("{open} of {} open", counted(all, "stream")),
    };
    for state in ["opening", "refused", "completed"] {
        if of(state) > 0 {
            let _ = write!(text, ", {} {state}", of(state));
        }
    }
    text
}

fn rejected(reload: &Reload, clock: &Clock, out: &mut String) {
    if reload.result != "rejected" {
        return;
    }
    let (ago, trigger) = (clock.since(&reload.at), escaped(&reload.trigger));
    let _ = writeln!(out, "\nRELOAD REJECTED {ago} ago ({trigger}); the running rules stay as they are");
    out.push_str(&lines(&reload.text));
}

fn closed(feeds: &[Feed], clock: &Clock, out: &mut String) {
    let mut groups = BTreeMap::<(&str, &str), Vec<&Feed>>::new();
    for feed in feeds.iter().filter(|feed| feed.state != "open" && feed.state != "completed") {
        groups.entry((&feed.state, feed.cause.as_deref().unwrap_or_default())).or_default().push(feed);
    }
    if !groups.is_empty() {
        out.push_str("\nSTREAMS THAT ARE NOT OPEN\n");
    }
    // Streams of one daemon are mostly in one trouble: it is said once.
    for ((state, cause), feeds) in groups {
        let since = feeds.iter().map(|feed| &feed.since).min().map_or_else(String::new, |since| clock.since(since));
        let next = feeds.iter().filter_map(|feed| feed.next_try.as_ref()).min();
        let next = next.map_or_else(String::new, |next| format!(", next try in {}", clock.until(next)));
        let streams = if feeds.len() == 1 { "stream" } else { "streams" };
        let _ = writeln!(out, "  {} {streams} {} for {since}{next}", feeds.len(), escaped(state));
        if !cause.is_empty() {
            let _ = writeln!(out, "    {}", cut(&escaped(cause), LONGEST_CAUSE));
        }
        for feed in feeds.iter().take(LISTED) {
            let _ = writeln!(out, "    - {} ({})", escaped(&feed.subscription), named(&feed.rules));
        }
        if feeds.len() > LISTED {
            let _ = writeln!(out, "    - and {} more", feeds.len() - LISTED);
        }
    }
}

fn named(rules: &[String]) -> String {
    let names: Vec<_> = rules.iter().take(NAMED).map(|name| cut(&escaped(name), WIDTH / 2)).collect();
    let more = if rules.len() > NAMED { format!(" and {} more", rules.len() - NAMED) } else { String::new() };
    names.join(", ") + &more
}

fn troubled(rules: &[Rule], out: &mut String) {
    let mut title = "\nRULES TO LOOK AT\n";
    for rule in rules {
        let mut troubles = Vec::new();
        if rule.failed > 0 {
            troubles.push(format!("{} failed, {} handled", rule.failed, rule.handled));
        }
        if rule.queued.saturating_add(rule.running) >= CREDITS as u64 {
            let (queued, running) = (rule.queued, rule.running);
            troubles.push(format!("its queue is full ({queued} waiting, {running} running), so its stream waits"));
        }
        if !rule.loops.is_empty() {
            troubles.push(format!(
                "stopped {}: what belongs to one is left out for now",
                counted(rule.loops.len(), "loop")
            ));
        }
        if !troubles.is_empty() {
            out.push_str(std::mem::take(&mut title));
            let (name, file) = (cut(&escaped(&rule.name), WIDTH / 2), escaped(&rule.file));
            let _ = writeln!(out, "  {name} ({file}:{}): {}", rule.line, troubles.join("; "));
        }
    }
}

fn table(rules: &[Rule], out: &mut String) {
    if rules.is_empty() {
        return;
    }
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(rules.iter().map(|rule| {
        let [name, subscription, state] = [&rule.name, &rule.subscription, &rule.state].map(|text| escaped(text));
        let [handled, failed, queued] = [rule.handled, rule.failed, rule.queued].map(|number| number.to_string());
        [name, subscription, state, handled, failed, queued]
    }));
    let mut widths = [0; HEADINGS.len()];
    for row in &rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let taken = widths[TEXTS..].iter().sum::<usize>() + GAP * (HEADINGS.len() - 1);
    [widths[0], widths[1]] = shared(widths[0], widths[1], WIDTH.saturating_sub(taken));
    out.push('\n');
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| {
            let cell = cut(cell, width);
            if at > TEXTS { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
}

/// Divides the room between two columns: each gets half, and what the other does not need.
fn shared(first: usize, second: usize, room: usize) -> [usize; 2] {
    let half = room / 2;
    match (first <= half, second <= half) {
        (true, _) => [first, second.min(room - first)],
        (false, true) => [first.min(room - second), second],
        (false, false) => [half, room - half],
    }
}

fn applied(reload: &Reload) -> String {
    let Reload { generation, added, removed, changed, kept, scripts, .. } = reload;
    let replaced = match scripts.len() {
        0 => String::new(),
        some => format!("; {} replaced", counted(some, "script")),
    };
    format!(
        "generation {generation} ({} added, {} removed, {} changed, {kept} kept{replaced}) in {}",
        added.len(),
        removed.len(),
        changed.len(),
        took(reload.took)
    )
}

/// The host's clock at the moment of its answer.
struct Clock {
    started: Option<Timestamp>,
    /// Seconds since 1970.
    now: f64,
}

impl Clock {
    fn new(started: &str, now: &str) -> Self {
        Self { started: started.parse().ok(), now: now.parse().map_or(f64::NAN, seconds) }
    }

    fn since(&self, at: &str) -> String {
        at.parse().map_or_else(|_| "?".to_owned(), |at| duration(self.now - seconds(at)))
    }

    fn until(&self, at: &str) -> String {
        at.parse().map_or_else(|_| "?".to_owned(), |at| duration(seconds(at) - self.now))
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

/// `12 s`, `5 min`, `3 h 12 min`, `9 d 4 h`: as exact as people want it.
fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "?".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates, and nothing is below 0")]
    let seconds = seconds.max(0.0).round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

fn took(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

/// Escapes each line of a text, and gives every one an end.
fn lines(text: &str) -> String {
    text.lines().fold(String::new(), |out, line| out + &escaped(line) + "\n")
}

/// Cuts a text that is too long, and shows that it did.
fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}
