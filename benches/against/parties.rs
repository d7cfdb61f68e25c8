//! Who is measured: processes, what they use of the machine, and the daemon beside them.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum as _;
use nix::{
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

use crate::{load::Load, readers::Reader};

/// A handler of the host, as a script.
pub(crate) struct Handler {
    pub(crate) name: &'static str,
    pub(crate) lua: &'static str,
}

pub(crate) const TRIVIAL: Handler = Handler {
    name: "trivial",
    lua: r#"return function(notification)
    if notification.message.body == "last" then olvid.message_send{ discussion_id = 1, body = "done" } end
end
"#,
};

pub(crate) const REALISTIC: Handler = Handler {
    name: "realistic",
    lua: r#"return function(notification)
    local message = notification.message
    local number, who, where, at = message.id.id, message.sender_id, message.discussion_id, message.timestamp
    local quoted, count, forwarded = message.replied_message_id, message.attachments_count, message.forwarded
    local first = message.reactions[1] and message.reactions[1].reaction
    local word = message.body:match("^!(%w+)")
    if not word and number and who and where and at and count and message.body == "last" then
        olvid.message_send{ discussion_id = 1, body = "done" }
    end
    return quoted, forwarded, first
end
"#,
};

pub(crate) const ANSWERING: Handler = Handler {
    name: "answering",
    lua: r#"return function(notification)
    olvid.message_send{ discussion_id = notification.message.discussion_id, body = "pong" }
end
"#,
};

pub(crate) const ASKED: Handler = Handler {
    name: "asked",
    lua: r#"return function(notification)
    local message = notification.message
    if message.body:sub(1, 4) == "ask " then
        olvid.message_send{ discussion_id = message.discussion_id, body = message.body }
    end
end
"#,
};

/// A party.
#[derive(Clone, Copy)]
pub(crate) enum Party<'a> {
    /// The real program with these rules, in a folder.
    Host(&'a Path),
    /// The published client with this of its handlers.
    Python(&'a Path, &'static str),
    Rust(Reader),
}

/// The program: what cargo built beside this, or another build to compare.
pub(crate) fn program() -> PathBuf {
    env::var_os("OLVID_RULES_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_olvid-rules").into()).into()
}

/// Scripts that many rules are spread over.
pub(crate) const SCRIPTS: usize = 50;

/// A file may have a megabyte.
const RULES_IN_A_FILE: usize = 1000;

/// Writes so many rules on one subscription into a folder, each with a filter of its own where that is wanted.
pub(crate) fn rules(folder: &Path, handler: &Handler, count: usize, filtered: bool) {
    let scripts = SCRIPTS.min(count);
    for script in 0..scripts {
        fs::write(folder.join(format!("handler-{script}.lua")), handler.lua).unwrap();
    }
    let numbers: Vec<_> = (0..count).collect();
    for (file, numbers) in numbers.chunks(RULES_IN_A_FILE).enumerate() {
        // Bounds that are about strangers and loops are not what is measured.
        let defaults = "defaults: { concurrency: 64, command_rate: unlimited, loop_limit: unlimited }";
        let mut text = format!("{defaults}\nrules:\n");
        for number in numbers {
            let (name, script) = (handler.name, number % scripts);
            let filter =
                if filtered { format!(", filter: {{ discussion_id: {} }}", number + 1) } else { String::new() };
            writeln!(
                text,
                "  - {{ name: {name}-{number}, subscription: message_received{filter}, handler: handler-{script}.lua }}"
            )
            .unwrap();
        }
        fs::write(folder.join(format!("rules-{file}.yaml")), text).unwrap();
    }
}

impl Party<'_> {
    fn command(self, url: &str) -> Command {
        let mut command = match self {
            Self::Host(folder) => {
                let mut command = Command::new(program());
                command.args(["run", "--log-level", "warn", "."]).current_dir(folder);
                command
            }
            Self::Python(interpreter, handler) => {
                let mut command = Command::new(interpreter);
                command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/against/client.py")).arg(handler);
                // No `.env` of the checkout is found from there.
                command.current_dir("/");
                command
            }
            Self::Rust(reader) => {
                let mut command = Command::new(env::current_exe().unwrap());
                command.arg("--reader").arg(reader.to_possible_value().unwrap().get_name()).args(["--url", url]);
                command
            }
        };
        command.env_clear().env("OLVID_DAEMON_URL", url).env("OLVID_CLIENT_KEY", "bench");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// A process that ends with the judge's interest in it.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    fn read(&self, what: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{what}", self.0.id())).unwrap_or_default()
    }

    /// CPU used so far, of threads that have ended too.
    pub(crate) fn cpu(&self) -> Duration {
        let process = Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        clock_gettime(clock_getcpuclockid(process).unwrap()).unwrap().into()
    }

    /// Waits until it has done nothing for a while; returns the CPU that it had used by then.
    pub(crate) fn at_rest(&self) -> Duration {
        let mut before = self.cpu();
        loop {
            thread::sleep(Duration::from_secs(2));
            let now = self.cpu();
            if now.saturating_sub(before) < Duration::from_millis(1) {
                return now;
            }
            before = now;
        }
    }

    /// A line of its status: kilobytes, or how often it waited.
    pub(crate) fn status(&self, name: &str) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
    }

    /// How often all of its threads were woken up.
    pub(crate) fn wakeups(&self) -> f64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0.id())).into_iter().flatten().flatten();
        let count = |path: PathBuf| {
            let status = fs::read_to_string(path.join("status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.and_then(|line| line.trim().parse::<f64>().ok()).unwrap_or_default()
        };
        threads.map(|thread| count(thread.path())).sum()
    }
}

/// The load daemon.
pub(crate) struct Daemon {
    _process: Running,
    input: ChildStdin,
    lines: BufReader<ChildStdout>,
    pub(crate) url: String,
}

/// What the daemon saw.
#[derive(Debug, Default, Clone)]
pub(crate) struct Outcome {
    pub(crate) wall: f64,
    /// Microseconds there and back.
    pub(crate) times: Vec<f64>,
}

impl Daemon {
    pub(crate) fn start(load: Load) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--daemon", &load.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut daemon = Self { _process: Running(child), input, lines: BufReader::new(output), url: String::new() };
        daemon.url = format!("http://127.0.0.1:{}", daemon.line("port"));
        daemon
    }

    /// Waits for a line, and returns what follows its first word.
    pub(crate) fn line(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the daemon ended before `{word}`");
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Waits until so many streams are open.
    pub(crate) fn opened(&mut self, streams: usize) {
        while self.line("open").parse::<usize>().unwrap() < streams {}
    }

    pub(crate) fn go(&mut self) {
        self.input.write_all(b"go\n").unwrap();
    }

    pub(crate) fn done(&mut self) -> Outcome {
        let line = self.line("done");
        let mut numbers = line.split_whitespace().map(|number| number.parse().unwrap());
        Outcome { wall: numbers.next().unwrap_or_default(), times: numbers.collect() }
    }

    pub(crate) fn join(&self, party: Party<'_>) -> Running {
        let mut command = party.command(&self.url);
        Running(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

/// One measurement.
#[derive(Debug, Default, Clone)]
pub(crate) struct Measured {
    pub(crate) cpu: f64,
    /// Kilobytes, at most.
    pub(crate) peak: f64,
    pub(crate) outcome: Outcome,
}

/// Has a party take a load.
pub(crate) fn measure(party: Party<'_>, load: Load) -> Measured {
    let mut daemon = Daemon::start(load);
    let running = daemon.join(party);
    daemon.opened(1);
    let before = running.cpu();
    daemon.go();
    let outcome = daemon.done();
    Measured { cpu: running.cpu().saturating_sub(before).as_secs_f64(), peak: running.status("VmHWM"), outcome }
}

/// From the start of a party to its first answer, in seconds.
pub(crate) fn first_answer(party: Party<'_>) -> f64 {
    let mut daemon = Daemon::start(Load::Answered { count: 1, at_once: true });
    // The notification is there as soon as the stream is.
    daemon.go();
    let since = Instant::now();
    let _running = daemon.join(party);
    daemon.done();
    since.elapsed().as_secs_f64()
}
