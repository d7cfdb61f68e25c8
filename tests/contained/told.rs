//! A host's log, read along: every line is taken apart once, when it comes, and stays with its moment.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value as Json;

/// A line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// The event; null where the line is none.
    pub(crate) event: Json,
}

impl Line {
    pub(crate) fn text_of(&self, key: &str) -> &str {
        self.event[key].as_str().unwrap_or_default()
    }

    pub(crate) fn is(&self, event: &str, rule: &str) -> bool {
        self.event["event"] == event && self.event["rule"] == rule
    }

    /// When it was written, in milliseconds of the epoch.
    pub(crate) fn time(&self) -> i64 {
        self.text_of("timestamp").parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }
}

/// A running host; it is killed when dropped.
pub(crate) struct Told {
    child: Child,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    /// The lines, and how many of the two streams are closed.
    lines: Mutex<(Vec<Line>, usize)>,
    changed: Condvar,
}

impl Log {
    fn read(&self, stream: impl Read) {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&line).into_owned();
            let event = serde_json::from_str(&text).unwrap_or_default();
            self.lines.lock().unwrap().0.push(Line { text, event });
            self.changed.notify_all();
        }
        self.lines.lock().unwrap().1 += 1;
        self.changed.notify_all();
    }
}

impl Told {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Arc::<Log>::default();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let log = Arc::clone(&log);
            thread::spawn(move || log.read(stream));
        }
        Self { child, log }
    }

    pub(crate) fn lines(&self) -> MutexGuard<'_, (Vec<Line>, usize)> {
        self.log.lines.lock().unwrap()
    }

    /// Waits until the lines satisfy a condition; false where they do not in time, or the host has ended.
    pub(crate) fn until(&self, patience: Duration, mut is_so: impl FnMut(&[Line]) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let mut lines = self.lines();
        loop {
            if is_so(&lines.0) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.1 == 2 {
                return false;
            }
            lines = self.log.changed.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Waits for another line, or for this long.
    pub(crate) fn wait(&self, time: Duration) {
        let lines = self.lines();
        drop(self.log.changed.wait_timeout(lines, time).unwrap());
    }

    /// The lines so far, which are not kept any longer.
    pub(crate) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.lines().0)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lines().1 == 2
    }

    /// The last lines, for the message of a failure.
    pub(crate) fn last(&self, number: usize) -> String {
        let lines = self.lines();
        let texts: Vec<_> = lines.0.iter().rev().take(number).map(|line| cut(&line.text)).collect();
        texts.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// A number of `/proc/PID/status`.
    pub(crate) fn status(&self, name: &str) -> u64 {
        let text = fs::read_to_string(self.process().join("status")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// How many threads of scripts there are: each bears the end of its script's name.
    pub(crate) fn script_threads(&self) -> usize {
        let tasks = fs::read_dir(self.process().join("task")).unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim_end().ends_with("lua")).count()
    }

    /// The CPU that all its threads have used.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(self.process().join("task")).unwrap();
        let texts = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok());
        texts.map(|text| Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())).sum()
    }

    fn process(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id()))
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits for its end, and returns that with the whole log; none where it does not end.
    pub(crate) fn ended(&mut self, patience: Duration) -> Option<(ExitStatus, Vec<Line>)> {
        self.until(patience, |_| false);
        if !self.has_ended() {
            return None;
        }
        let status = self.child.wait().unwrap();
        Some((status, self.take()))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A line that can be read.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(240).collect()
}
