//! Programs that a test starts: their output is read along, every wait has an end, and nothing outlives the test.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value as Json;

/// Long enough for a loaded machine to import the package.
const PATIENCE: Duration = Duration::from_mins(2);

/// The program under test in a folder, with nothing from the environment but what is given.
pub(crate) fn program(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_olvid-rules"));
    command.args(arguments).current_dir(folder).env_clear().envs(variables.iter().copied());
    command
}

/// A script of `tests/python`.
pub(crate) fn python(interpreter: &Path, script: &str, arguments: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
    let mut command = Command::new(interpreter);
    // No `.env` of the checkout is found from there, and nothing is written into it.
    command.arg(script).args(arguments).current_dir("/").env_clear().env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A running program; it is killed when dropped.
pub(crate) struct Process {
    child: Child,
    output: Arc<Output>,
}

/// What was printed so far, and on how many of the two streams no more will be.
#[derive(Default)]
struct Output {
    printed: Mutex<(Vec<String>, usize)>,
    changed: Condvar,
}

impl Process {
    /// Starts it and reads along.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::spawn(command.stdin(Stdio::null()))
    }

    /// The same for a program that reads what the test writes.
    pub(crate) fn start_with_input(command: &mut Command) -> (Self, ChildStdin) {
        let mut process = Self::spawn(command.stdin(Stdio::piped()));
        let input = process.child.stdin.take().unwrap();
        (process, input)
    }

    fn spawn(command: &mut Command) -> Self {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Arc::<Output>::default();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let output = Arc::clone(&output);
            thread::spawn(move || output.read(stream));
        }
        Self { child, output }
    }

    /// Waits for a line that answers the question, among those printed already too.
    pub(crate) fn until<T>(&self, what: &str, answer: impl Fn(&str) -> Option<T>) -> T {
        self.waited(what, answer).unwrap_or_else(|printed| panic!("{printed}"))
    }

    /// The same for a program that may fail, with what it printed as the error.
    pub(crate) fn waited<T>(&self, what: &str, answer: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        self.output.until(what, |lines| lines.iter().find_map(|line| answer(line)))
    }

    /// Waits until all that was printed so far answers a question.
    pub(crate) fn when<T>(&self, what: &str, answer: impl Fn(&[String]) -> Option<T>) -> T {
        self.output.until(what, answer).unwrap_or_else(|printed| panic!("{printed}"))
    }

    /// Waits until a program that logs JSON has told so many events of a name, and returns those. One that tells of
    /// several streams counts for each.
    pub(crate) fn events(&self, name: &str, times: usize) -> Vec<Json> {
        let enough = |found: &Vec<Json>| streams(found) >= times;
        let told =
            self.output.until(&format!("{times} times {name}"), |lines| Some(events(lines, name)).filter(enough));
        told.unwrap_or_else(|printed| panic!("{printed}"))
    }

    /// Returns what it has printed so far.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.output.printed.lock().unwrap().0.clone()
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as a service manager does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for its end, and returns it with everything that was printed.
    pub(crate) fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let printed = self.output.until_closed();
        (self.child.wait().unwrap(), printed)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Output {
    fn read(&self, stream: impl Read) {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            self.printed.lock().unwrap().0.push(String::from_utf8_lossy(&line).into_owned());
            self.changed.notify_all();
        }
        self.printed.lock().unwrap().1 += 1;
        self.changed.notify_all();
    }

    fn until<T>(&self, what: &str, answer: impl Fn(&[String]) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        let mut printed = self.printed.lock().unwrap();
        loop {
            if let Some(found) = answer(&printed.0) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || printed.1 == 2 {
                return Err(format!("no {what} in\n{}", printed.0.join("\n")));
            }
            printed = self.changed.wait_timeout(printed, left).unwrap().0;
        }
    }

    fn until_closed(&self) -> Vec<String> {
        let printed = self.printed.lock().unwrap();
        let (printed, late) = self.changed.wait_timeout_while(printed, PATIENCE, |printed| printed.1 < 2).unwrap();
        let lines = printed.0.clone();
        drop(printed);
        assert!(!late.timed_out(), "it does not end:\n{}", lines.join("\n"));
        lines
    }
}

/// The events of a name in a log of JSON lines.
pub(crate) fn events(lines: &[String], name: &str) -> Vec<Json> {
    let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    parsed.filter(|event| event["event"] == name).collect()
}

/// How many streams events tell of; one that tells of none counts once.
pub(crate) fn streams(events: &[Json]) -> usize {
    events.iter().map(|event| event["streams"].as_u64().map_or(1, |streams| usize::try_from(streams).unwrap())).sum()
}

/// Asserts that every line is an event as the contract has it.
pub(crate) fn assert_log(lines: &[String]) {
    for line in lines {
        let event: Json = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["timestamp", "level", "event", "message"] {
            assert!(event[key].is_string(), "no {key}: {line}");
        }
        let time = event["timestamp"].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok() && time.ends_with('Z'), "{line}");
    }
}
