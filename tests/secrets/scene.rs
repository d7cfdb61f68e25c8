//! A host whose keys are canaries, the daemon that knows them, and everywhere that they might come out.

use std::{
    fs::{self, Permissions},
    io::{ErrorKind, Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::Command,
};

use olvid_rules::simulator::{Options, Simulator};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::{
    process::{Process, program},
    site::Daemons,
};

/// What every secret of these tests holds: a part that comes out is found, too.
pub(crate) const CANARY: &str = "c4n4ry";
pub(crate) const KEY: &str = "7f3a-c4n4ry-key-of-the-bot";
pub(crate) const ADMIN_KEY: &str = "91bc-c4n4ry-key-of-the-administrator";

/// A folder with rules and a place for state, sockets and temporary files, and the daemon.
pub(crate) struct Scene {
    pub(crate) simulator: Simulator,
    folder: TempDir,
    _daemons: Daemons,
}

impl Scene {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let daemons = Daemons::new();
        let identities = [("bot", KEY), ("alice", "alice")].map(|(name, key)| (name.to_owned(), key.to_owned()));
        let admin_keys = vec![ADMIN_KEY.to_owned()];
        let simulator = daemons.start(Options { identities: identities.into(), admin_keys, ..Options::default() });
        let scene = Self { simulator, folder: tempfile::tempdir().unwrap(), _daemons: daemons };
        for folder in ["site", "runtime", "state", "credentials"] {
            fs::create_dir(scene.folder.path().join(folder)).unwrap();
        }
        for (name, content) in files {
            scene.write(name, content);
        }
        scene
    }

    /// A path beside the folder with the rules: `state`, `runtime`, `credentials`.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.beside("site").join(name)
    }

    /// Writes a file that others cannot read.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    /// The program in the folder, with nothing that says a key.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let (runtime, state) = (self.beside("runtime"), self.beside("state"));
        let mut command = program(&self.path(""), arguments, &[("RUST_BACKTRACE", "full")]);
        command.env("OLVID_DAEMON_URL", self.simulator.url()).env("XDG_RUNTIME_DIR", &runtime);
        command.env("TMPDIR", &runtime).env("STATE_DIRECTORY", state).env("HOME", runtime);
        command
    }

    /// Runs a command of the program to its end: its code and all that it printed.
    pub(crate) fn typed(&self, arguments: &[&str]) -> (Option<i32>, String) {
        printed(&mut self.command(arguments))
    }

    /// Sends a line to the only host's control socket, and returns the answer.
    pub(crate) fn asked(&self, line: &str) -> String {
        let sockets: Vec<_> = fs::read_dir(self.beside("runtime/olvid-rules")).unwrap().flatten().collect();
        assert_eq!(sockets.len(), 1);
        let mut client = UnixStream::connect(sockets[0].path()).unwrap();
        client.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends the bot a message of alice's.
    pub(crate) fn say(&self, body: &str) {
        let call = |command: &str, request: Json| self.simulator.call("alice", command, &request).unwrap();
        let id = call("discussion_list", json!({ "filter": { "title_search": "bot" } }))[0]["id"].clone();
        call("message_send", json!({ "discussion_id": id, "body": body }));
    }

    /// Asserts that no key is in what the bot has asked the daemon for, nor in any file that the host may have written.
    pub(crate) fn assert_nothing_left(&self) {
        for asked in self.simulator.recorded() {
            assert_secret(asked.command.name.as_str(), &asked.request);
        }
        for folder in ["runtime", "state"] {
            for path in files(&self.beside(folder)) {
                assert_secret(&path.display().to_string(), &fs::read(&path).unwrap());
                assert_secret("a name", path.as_os_str().as_encoded_bytes());
            }
        }
    }
}

/// Runs a program to its end: its code and all that it printed.
pub(crate) fn printed(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// Asserts that what the system shows of a process is free of keys, as far as it shows it to us.
pub(crate) fn assert_closed(process: &Process) {
    for name in ["environ", "cmdline"] {
        match fs::read(format!("/proc/{}/{name}", process.id())) {
            Ok(shown) => assert_secret(name, &shown),
            Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{name}"),
        }
    }
}

/// Asserts that a text holds no key, nor a part of one.
pub(crate) fn assert_secret(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(!text.contains(CANARY), "{what}: {text}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found
}
