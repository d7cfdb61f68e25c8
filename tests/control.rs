//! The control socket of a host, and the commands that speak to it: `status` and `reload`.
//!
//! The host is a control socket that is served here with a status made up; the commands are the program itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "control/commands.rs"]
mod commands;
#[path = "control/place.rs"]
mod place;
#[path = "control/protocol.rs"]
mod protocol;

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Output},
};

use olvid_rules::cli::control::{Control, Request, Serving, Surroundings};
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::mpsc,
    task::spawn_blocking,
};

/// A user who owns nothing.
const NOBODY: u32 = 65534;

/// Directories as a machine has them, and nothing of this machine's.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["session", "service", "tmp", "work", "elsewhere"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    /// A host without flags in a user's session.
    fn surroundings(&self) -> Surroundings {
        Surroundings {
            given: None,
            service: None,
            system: self.path("system"),
            session: Some(self.path("session")),
            temporary: self.path("tmp"),
        }
    }

    async fn open(&self, name: &str) -> Control {
        Control::open(&Surroundings { given: Some(self.path(name)), ..self.surroundings() }).await.unwrap()
    }

    /// Serves a status at a path.
    async fn host(&self, name: &str, status: Json) -> (mpsc::Receiver<Request>, Serving) {
        self.open(name).await.serve(move || status.clone())
    }

    /// Makes the directory in which the hosts of a session have their sockets.
    fn session(&self) -> PathBuf {
        let folder = self.path("session/olvid-rules");
        fs::create_dir(&folder).unwrap();
        folder
    }

    /// Leaves a socket that nobody listens on, as a host does that was killed.
    fn corpse(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_olvid-rules"));
        command.args(arguments).current_dir(self.path("work")).env_clear();
        command.env("XDG_RUNTIME_DIR", self.path("session")).env("TMPDIR", self.path("tmp"));
        command
    }

    async fn typed(&self, arguments: &[&str]) -> Output {
        ended(self.command(arguments)).await
    }
}

/// Runs a program to its end while the host in this thread goes on.
async fn ended(mut command: Command) -> Output {
    spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Sends bytes, and reads what comes back until the host closes the connection.
async fn said(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    // The host may have heard enough.
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8(answer).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn uid(machine: &Machine) -> u32 {
    fs::metadata(machine.root.path()).unwrap().uid()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Makes a command one of somebody else's, if this test may do so.
fn as_nobody(command: &mut Command, machine: &Machine) -> bool {
    let possible = uid(machine) == 0;
    if possible {
        command.uid(NOBODY).gid(NOBODY);
    }
    possible
}

fn feed(subscription: &str, rules: &[&str], state: &str) -> Json {
    json!({ "subscription": subscription, "rules": rules, "state": state, "since": "2026-05-01T13:59:00Z",
        "received": 7, "last_notification": null, "cause": null, "next_try": null, "remaining": null })
}

fn rule(name: &str, subscription: &str, state: &str) -> Json {
    json!({ "name": name, "subscription": subscription, "file": "rules.yaml", "line": 3, "enabled": true,
        "script": "ping.lua", "state": state, "queued": 0, "running": 0, "received": 7, "handled": 7, "failed": 0 })
}

fn outcome(result: &str, generation: u64) -> Json {
    json!({ "generation": generation, "result": result, "trigger": "command", "at": "2026-05-01T13:58:00Z", "took": 0.012,
        "added": ["new"], "removed": [], "changed": ["ping", "pong"], "kept": 43, "scripts": ["ping.lua"],
        "diagnostics": [], "text": "" })
}

/// The status of a host in a directory to which nothing has happened.
fn status(directory: &Path) -> Json {
    json!({ "version": "0.1.0", "pid": 4711, "started": "2026-05-01T12:00:00Z",
        "now": "2026-05-01T14:00:00.400Z", "uptime": 7200.4,
        "directory": directory, "paths": ["rules.yaml", "rules.d"], "daemon": "http://localhost:50051", "generation": 1,
        "reload": { "generation": 1, "result": "started", "trigger": "start", "at": "2026-05-01T12:00:00Z", "took": 0.2,
            "added": ["ping"], "removed": [], "changed": [], "kept": 0, "scripts": [], "diagnostics": [], "text": "" },
        "rules": [rule("ping", "message_received", "open")], "feeds": [feed("message_received", &["ping"], "open")],
        "scripts": [{ "name": "ping.lua", "generation": 1, "rules": ["ping"], "files": { "ping.lua": "missing" } }],
        "files": { "rules.yaml": "00ff" }, "counters": { "received": 7, "queued": 7, "handled": 7, "failed": 0 } })
}
