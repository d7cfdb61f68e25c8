//! A host as a process of its own: rules in a folder, the simulated daemon in the test, real sockets between them.
#![allow(dead_code, reason = "each test program uses its part")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use olvid_rules::simulator::{Options, Simulator};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use crate::process::{Process, assert_log, events, program};

/// What must not be in any output.
pub(crate) const KEY: &str = "7f3a-bot-key";

/// How long anything may take, and how often it is looked at.
const PATIENCE: Duration = Duration::from_mins(1);
const GLANCE: Duration = Duration::from_millis(5);

/// A folder with rules, and the daemon that they are served against.
pub(crate) struct Site {
    pub(crate) simulator: Simulator,
    folder: TempDir,
    daemons: Daemons,
}

/// Where simulated daemons run: on a thread of their own, so that the test may wait as programs do.
pub(crate) struct Daemons {
    handle: Handle,
    /// Dropped, the thread ends.
    _end: oneshot::Sender<()>,
}

impl Daemons {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (handle, (end, ended)) = (runtime.handle().clone(), oneshot::channel());
        thread::spawn(move || runtime.block_on(ended));
        Self { handle, _end: end }
    }

    pub(crate) fn start(&self, options: Options) -> Simulator {
        self.wait(Simulator::start(options)).unwrap()
    }

    /// Waits for what a daemon does.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle.block_on(work)
    }
}

/// A running host.
pub(crate) struct Running {
    pub(crate) process: Process,
}

/// A daemon that knows the bot by a key, and notifies of things that its world does not hold.
pub(crate) fn options(key: &str) -> Options {
    let identities = [("bot", key), ("alice", "alice")].map(|(name, key)| (name.to_owned(), key.to_owned())).into();
    Options { identities, check_ids: false, ..Options::default() }
}

/// Says a version, the text it got and how often this VM was called.
pub(crate) fn versioned(version: &str) -> String {
    format!(
        "local calls = 0
return function(notification)
  calls = calls + 1
  local message = notification.message
  print('{version} ' .. (message and message.body or 'other') .. ' ' .. calls)
end
"
    )
}

impl Site {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let daemons = Daemons::new();
        let site = Self { simulator: daemons.start(options(KEY)), folder: tempfile::tempdir().unwrap(), daemons };
        for folder in ["site", "runtime"] {
            fs::create_dir(site.folder.path().join(folder)).unwrap();
        }
        for (name, content) in files {
            site.write(name, content);
        }
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("site").join(name)
    }

    /// Writes a file, and the directories that it lies in.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Runs a shell script in the folder, with a text that it may write.
    pub(crate) fn shell(&self, script: &str, new: &str) {
        shell(&self.path(""), script, new);
    }

    /// The program in the folder; hosts of one site find each other's control sockets.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let runtime = self.folder.path().join("runtime");
        let variables = [
            ("OLVID_DAEMON_URL", self.simulator.url()),
            ("OLVID_CLIENT_KEY", KEY.to_owned()),
            ("XDG_RUNTIME_DIR", runtime.display().to_string()),
            ("TMPDIR", runtime.display().to_string()),
        ];
        let mut command = program(&self.path(""), arguments, &[]);
        command.envs(variables);
        command
    }

    /// Waits for what the daemon does.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.daemons.wait(work)
    }

    /// Has a daemon stop, and another one that knows the bot by a key stand in its place.
    pub(crate) fn another_daemon(&self, instead_of: &Simulator, key: &str) -> Simulator {
        self.wait(instead_of.replace(options(key))).unwrap()
    }

    /// Waits until the bot has opened so many streams since the start, and so many are open now.
    pub(crate) fn streams(&self, opened: u64, open: usize) {
        let seen = || (self.simulator.opened("bot"), self.simulator.streams().len());
        for _ in 0..PATIENCE.as_millis() / GLANCE.as_millis() {
            if seen() == (opened, open) {
                return;
            }
            thread::sleep(GLANCE);
        }
        panic!("opened and open: {:?}, not {:?}", seen(), (opened, open));
    }

    /// Starts a host and does not wait for its streams.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Running {
        let arguments = [&["run", "--log-format", "json"], arguments].concat();
        Running { process: Process::start(&mut self.command(&arguments)) }
    }

    /// Starts a host, and waits until all its streams are open.
    pub(crate) fn run(&self, arguments: &[&str]) -> Running {
        let host = self.begin(arguments);
        let started = host.process.events("started", 1)[0]["message"].as_str().unwrap().to_owned();
        let streams = started
            .split(", ")
            .find_map(|part| part.trim_end_matches('s').strip_suffix(" stream")?.parse().ok())
            .unwrap();
        host.process.events("feed_opened", streams);
        host
    }

    /// Puts a message on the bot's streams, and returns how many those are.
    pub(crate) fn emit(&self, discussion: u64, body: &str) -> usize {
        emit(&self.simulator, discussion, body)
    }

    /// What `check` says of the rules: level, code and place of each mistake; and whether it refuses them.
    pub(crate) fn checked(&self, path: &str) -> (Vec<Told>, bool) {
        let output = self.command(&["check", "--format", "json", path]).output().unwrap();
        let rows: Vec<Json> = serde_json::from_slice(&output.stdout).unwrap();
        let told = |row: &Json| {
            let level = if row["severity"] == "error" { "error" } else { "warn" };
            let place = row["file"].as_str().map(|file| format!("{file}:{}:{}", row["line"], row["column"]));
            (level.to_owned(), row["code"].as_str().unwrap().to_owned(), place)
        };
        (rows.iter().map(told).collect(), output.status.code() == Some(1))
    }
}

/// A mistake: level, code and place.
pub(crate) type Told = (String, String, Option<String>);

/// Puts a message on the bot's streams.
pub(crate) fn emit(simulator: &Simulator, discussion: u64, body: &str) -> usize {
    let message = json!({ "message": { "discussion_id": discussion, "body": body } });
    simulator.emit("bot", "message_received", message).unwrap()
}

/// Runs a shell script in a folder, with a text that it may write.
pub(crate) fn shell(folder: &Path, script: &str, new: &str) {
    let mut command = Command::new("sh");
    let output = command.args(["-euc", script]).current_dir(folder).env("NEW", new).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

impl Running {
    /// Waits for so many reloads, whatever became of them, and returns what was told of each.
    pub(crate) fn reloads(&self, times: usize) -> Vec<Json> {
        self.process.when(&format!("{times} reloads"), |lines| Some(reloads(lines)).filter(|all| all.len() >= times))
    }

    /// Waits for the reload of a number, the last so far, and returns its result with what was told.
    pub(crate) fn reload(&self, number: usize) -> (String, Json) {
        let all = self.reloads(number);
        assert_eq!(all.len(), number, "too many: {all:#?}");
        (all[number - 1]["result"].as_str().unwrap().to_owned(), all[number - 1].clone())
    }

    /// The mistakes that were told before the reload of a number and after the one before.
    pub(crate) fn mistakes(&self, number: usize) -> Vec<Told> {
        let lines = self.process.printed();
        let ends: Vec<_> = (0..lines.len()).filter(|at| is_reload(&lines[*at])).collect();
        let from = if number > 1 { ends[number - 2] } else { 0 };
        mistakes(&lines[from..ends[number - 1]])
    }

    /// Waits until scripts have said so many things, and returns them.
    pub(crate) fn said(&self, times: usize) -> Vec<String> {
        let said = self.process.events("said", times);
        said.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until a script has said this.
    pub(crate) fn until_said(&self, text: &str) {
        let message = format!("\"message\":\"{text}");
        self.process.until(text, |line| line.contains(&message).then_some(()));
    }

    /// Waits until a signal of this number is not the end of it.
    pub(crate) fn until_caught(&self, signal: u32) {
        let id = self.process.id();
        let caught = || {
            let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
            let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal - 1) & 1 == 1
        };
        for _ in 0..PATIENCE.as_millis() / GLANCE.as_millis() {
            if caught() {
                return;
            }
            thread::sleep(GLANCE);
        }
        panic!("signal {signal} is not caught");
    }

    /// Asks it to stop; it ends well, with a log of events that tells no key. Returns the log.
    pub(crate) fn stop(self) -> Vec<String> {
        self.process.terminate();
        let (status, log) = self.process.ended();
        assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
        assert_log(&log);
        assert_secret(&log);
        assert_eq!(events(&log, "stopped").len(), 1, "{}", log.join("\n"));
        log
    }
}

fn is_reload(line: &str) -> bool {
    line.contains("\"event\":\"reloaded\"") || line.contains("\"event\":\"reload_rejected\"")
}

/// What was told of each reload.
pub(crate) fn reloads(lines: &[String]) -> Vec<Json> {
    lines.iter().filter(|line| is_reload(line)).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The mistakes that a log tells, as machines read them.
pub(crate) fn mistakes(lines: &[String]) -> Vec<Told> {
    let text = |value: &Json| value.as_str().map(str::to_owned);
    let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    parsed
        .filter(|event| event["event"] == "load_rejected" || event["event"] == "load_warning")
        .map(|event| (text(&event["level"]).unwrap(), text(&event["code"]).unwrap(), text(&event["place"])))
        .collect()
}

/// The key is in no line.
pub(crate) fn assert_secret(printed: &[String]) {
    assert!(!printed.iter().any(|line| line.contains(KEY)), "{}", printed.join("\n"));
}

/// A line of `/proc/PID/status`, as a number.
pub(crate) fn proc_status(id: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// How many files a process has open. That is root's only to count, as the program is closed to others; how many it has
/// room for is for all to see.
pub(crate) fn descriptors(id: u32) -> u64 {
    fs::read_dir(format!("/proc/{id}/fd")).map_or_else(|_| proc_status(id, "FDSize"), |found| found.count() as u64)
}
