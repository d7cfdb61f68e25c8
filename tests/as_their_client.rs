//! The published Python client and its command line, unmodified, against the simulated daemon. Skipped, audibly, where
//! there is no Python or no package index.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/prepared.rs"]
mod prepared;
#[path = "support/python.rs"]
mod python;

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use olvid_rules::simulator::{Options, Simulator};
use serde_json::json;
use tokio::sync::mpsc;

/// Long enough for a loaded machine to import the package.
const PATIENCE: Duration = Duration::from_mins(2);

fn command(program: impl AsRef<Path>, simulator: &Simulator) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("OLVID_DAEMON_URL", simulator.url())
        .env("OLVID_ADMIN_CLIENT_KEY", "admin")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // No `.env` of the checkout is found from here.
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Tells one story of `client.py`. When it says that it listens, it is told once its streams are open.
async fn story(name: &str) {
    let Some(interpreter) = python::interpreter() else { return };
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/client.py");
    let mut child = command(interpreter, &simulator).arg(script).arg(name).spawn().unwrap();
    let told = tokio::time::timeout(PATIENCE, listen(&mut child, &simulator)).await;
    // Whatever came of it, nothing stays behind.
    let _ = child.kill();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert_eq!(told.ok(), Some(true), "{name}: {said}");
}

/// Follows a story to its end; true where that is a good one.
async fn listen(child: &mut Child, simulator: &Simulator) -> bool {
    let mut input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (lines, mut said) = mpsc::channel(16);
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| lines.blocking_send(line)));
    while let Some(line) = said.recv().await {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["listening", who, count] => {
                simulator.subscribers(who, count.parse().unwrap()).await;
                input.write_all(b"go\n").unwrap();
            }
            ["ok"] => return true,
            _ => {}
        }
    }
    false
}

#[tokio::test]
async fn authentication() {
    story("authentication").await;
}

#[tokio::test]
async fn messages() {
    story("messages").await;
}

#[tokio::test]
async fn attachments() {
    story("attachments").await;
}

#[tokio::test]
async fn groups() {
    story("groups").await;
}

#[tokio::test]
async fn the_command_line() {
    let Some(interpreter) = python::interpreter() else { return };
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let cli = interpreter.with_file_name("olvid-cli");
    let run = async |arguments: &[&str]| {
        let mut command = command(&cli, &simulator);
        command.args(["-i", &simulator.identity_id("bot").unwrap().to_string()]).args(arguments);
        let running = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let listed = run(&["discussion", "get"]).await;
    assert!(listed.contains("alice") && listed.contains("bob"), "{listed}");
    let discussions = simulator.call("bot", "discussion_list", &json!({})).unwrap();
    let id = discussions[0]["id"].to_string();
    run(&["message", "send", &id, "from", "the", "command", "line"]).await;
    let name = discussions[0]["title"].as_str().unwrap();
    let arrived = simulator.call(name, "message_list", &json!({})).unwrap();
    assert_eq!(arrived[0]["body"], "from the command line");
    let listed = run(&["message", "get"]).await;
    assert!(listed.contains("from the command line"), "{listed}");
    let listed = run(&["identity", "get"]).await;
    assert!(listed.contains("bot"), "{listed}");
}
