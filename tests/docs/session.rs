//! A page of documentation, done as a reader does it: its files are written, its commands typed, their output compared.
//!
//! - A `yaml` or `lua` block that starts with a remark naming a file, `# rules.yaml` or `-- scripts/ping.lua`, is that
//!   file from there on.
//! - In a `console` block `$ ` starts a command, and what follows is all that it prints, errors among it. `…` stands for
//!   any text. `^C` is typed once what stands above it was printed.
//! - An `sh` block is for the reader's machine only: it must be right shell, and is not run.
//!
//! Commands run in a folder of the page's own. Where a page speaks of the daemon's default address, there is one.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::fence::{self, Block};

/// Where pages say that the daemon is.
const ADDRESS: &str = "localhost:50051";

/// Longer than anything on a page takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// Does what a page says.
pub(crate) fn follow(page: &Path, markdown: &str) {
    let folder = tempfile::tempdir().unwrap();
    let blocks = fence::all(markdown);
    let daemon = markdown.contains(ADDRESS).then(Daemon::start);
    let address = daemon.as_ref().map_or(ADDRESS, |daemon| &daemon.address);
    let mut shell = Shell { folder: folder.path(), address, exports: String::new(), code: 0 };
    for block in &blocks {
        let place = format!("{}:{}", page.display(), block.line);
        match block.language.as_str() {
            "yaml" | "lua" => write(folder.path(), block, &place),
            "console" => shell.type_all(&block.text, &place),
            "sh" => assert!(is_shell(&block.text), "{place}: this is no shell script"),
            other => panic!("{place}: nothing is known of `{other}`"),
        }
    }
    assert!(blocks.iter().any(|block| block.language == "console"), "{}", page.display());
}

fn write(folder: &Path, block: &Block, place: &str) {
    let first = block.text.lines().next().unwrap_or_default();
    let name = first.strip_prefix("# ").or_else(|| first.strip_prefix("-- ")).unwrap_or_default();
    assert!(name.ends_with(&format!(".{}", block.language)), "{place}: the first line names no file");
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, &block.text).unwrap();
}

/// What is typed into.
struct Shell<'s> {
    folder: &'s Path,
    address: &'s str,
    /// The variables that were exported.
    exports: String,
    /// How the last command ended.
    code: i32,
}

impl Shell<'_> {
    fn type_all(&mut self, text: &str, place: &str) {
        for part in format!("\n{text}").split("\n$ ").skip(1) {
            let (command, output) = part.split_once('\n').unwrap_or((part, ""));
            if command.starts_with("export ") {
                self.exports.push_str(&command.replace(ADDRESS, self.address));
                self.exports.push(';');
            } else {
                self.type_one(command, output.trim_end_matches('\n'), place);
            }
        }
    }

    fn type_one(&mut self, command: &str, expected: &str, place: &str) {
        let (before, after) = match expected.split_once("^C") {
            Some((before, after)) => (before, Some(after)),
            None => (expected, None),
        };
        // What is to be interrupted takes the place of its shell.
        let exec = if after.is_some() { "exec " } else { "" };
        let script = format!(
            "{} exec 2>&1; (exit {}); {exec}{}",
            self.exports,
            self.code,
            command.replace(ADDRESS, self.address)
        );
        let mut running = Running(self.shell(&script).stdout(Stdio::piped()).spawn().unwrap());
        let lines = lines(running.0.stdout.take().unwrap());
        let mut printed = String::new();
        if after.is_some() {
            let wanted = before.trim_end_matches('\n');
            gather(&lines, &mut printed, |printed| is_alike(wanted, printed.trim_end()));
            assert!(Command::new("kill").args(["-s", "INT", &running.0.id().to_string()]).status().unwrap().success());
        }
        gather(&lines, &mut printed, |_| false);
        self.code = running.0.wait().unwrap().code().unwrap_or(-1);
        let wanted = format!("{before}{}", after.unwrap_or_default().trim_start_matches('\n'));
        let found = printed.replace(self.address, ADDRESS);
        let (wanted, found) = (wanted.trim_end(), found.trim_end());
        assert!(is_alike(wanted, found), "{place}: $ {command}\n-- the page says\n{wanted}\n-- it prints\n{found}\n");
    }

    fn shell(&self, script: &str) -> Command {
        let mut shell = Command::new("sh");
        let program = Path::new(env!("CARGO_BIN_EXE_olvid-rules")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        shell.args(["-c", script]).current_dir(self.folder).stdin(Stdio::null());
        shell.env_clear().envs([("PATH", path.as_str()), ("HOME", "/nonexistent"), ("LC_ALL", "C.UTF-8")]);
        shell.env("TMPDIR", self.folder);
        shell
    }
}

/// Whether a script can be read; nothing of it is run.
fn is_shell(script: &str) -> bool {
    Command::new("sh").args(["-n", "-c", script]).status().unwrap().success()
}

fn lines(output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    // As many as a page shows, and far more.
    let (sender, receiver) = mpsc::sync_channel(10_000);
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Takes lines until there are no more, or what was printed is what is waited for.
fn gather(lines: &mpsc::Receiver<String>, printed: &mut String, enough: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => printed.push_str(&(line + "\n")),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it goes on, after\n{printed}"),
        }
        if enough(printed) {
            return;
        }
    }
}

/// Whether a text is the wanted one, in which `…` stands for anything within a line, or for any lines where it is all of
/// one.
fn is_alike(wanted: &str, found: &str) -> bool {
    let pieces: Vec<_> = wanted.lines().collect();
    let lines: Vec<_> = found.lines().collect();
    match (pieces.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((&"…", rest)), _) => {
            (0..=lines.len()).any(|skipped| is_alike(&rest.join("\n"), &lines[skipped..].join("\n")))
        }
        (Some((piece, rest)), Some((line, others))) => {
            is_line(piece, line) && is_alike(&rest.join("\n"), &others.join("\n"))
        }
        _ => false,
    }
}

fn is_line(wanted: &str, found: &str) -> bool {
    let Some((start, rest)) = wanted.split_once('…') else { return wanted == found };
    let Some(found) = found.strip_prefix(start) else { return false };
    found.char_indices().map(|(at, _)| at).chain([found.len()]).any(|at| is_line(rest, &found[at..]))
}

/// A process that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A daemon for the page.
struct Daemon {
    _running: Running,
    address: String,
}

impl Daemon {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_olvid-rules"));
        command.args(["simulate", "--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut running = Running(command.spawn().unwrap());
        let said = lines(running.0.stdout.take().unwrap()).recv_timeout(PATIENCE).unwrap();
        let address = said.split_once("http://").and_then(|(_, rest)| rest.split(' ').next());
        Self {
            address: address.unwrap_or_else(|| panic!("{said}")).trim_end_matches('/').to_owned(),
            _running: running,
        }
    }
}
