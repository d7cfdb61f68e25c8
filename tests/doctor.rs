//! `doctor` at daemons of all kinds: the real program, what it prints of each, and the code it ends with.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "tls/front.rs"]
#[expect(dead_code, reason = "a part of its fronts is met here")]
mod front;
#[path = "support/process.rs"]
mod process;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use olvid_rules::simulator::{Options, Reply, Simulator};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::{net::TcpSocket, task::spawn_blocking, time::timeout};
use tonic::Code;

use self::{
    front::{Certificates, Front, Kind},
    process::{Process, program},
};

const KEY: &str = "c4n4ry-of-the-bot";
const ADMIN_KEY: &str = "c4n4ry-of-the-administrator";

const RULES: &str = "\
rules:
  - { name: hello, subscription: message_received, filter: { body_search: '^hello' }, lua: return }
  - { name: twin, subscription: message_received, filter: { body_search: '^hello' }, lua: return }
  - { name: groups, subscription: group_new, lua: return }
  - { name: off, subscription: contact_new, enabled: false, lua: return }
";

/// A folder with rules and a key that nobody else can read.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    key(folder.path(), KEY.as_bytes());
    folder
}

fn key(folder: &Path, content: &[u8]) {
    let path = folder.join("bot.key");
    fs::write(&path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The program at an address, with the key in its file; no host of this machine is found.
fn doctor(folder: &Path, url: &str) -> Command {
    let mut command = program(folder, &["doctor", "--client-key-file", "bot.key", "--daemon-url", url], &[]);
    command.env("XDG_RUNTIME_DIR", folder).env("TMPDIR", folder);
    command.args(["--control-socket", "host.sock"]);
    command
}

/// Runs it to its end while the daemons of the test go on.
async fn output(mut command: Command) -> Output {
    spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What was printed and the code, without what differs from run to run.
async fn told(command: Command) -> String {
    let output = output(command).await;
    let (out, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(log, "", "all is answered on standard output");
    assert!(!out.contains("c4n4ry"), "{out}");
    format!("{}exit code {}\n", steady(&out), output.status.code().unwrap())
}

/// Ports and times are numbers that differ, as do the addresses of a machine with two families of them, and how the end of
/// a peer that was refused a certificate shows.
fn steady(text: &str) -> String {
    let refused =
        text.split_once("OLVID_PRIVATE_KEY_PATH (").and_then(|(head, tail)| Some((head, tail.split_once(')')?.1)));
    let text =
        refused.map_or(text.to_owned(), |(head, rest)| format!("{head}OLVID_PRIVATE_KEY_PATH (as it says){rest}"));
    let text = text.replace("is ::1, 127.0.0.1", "is 127.0.0.1").replace("is 127.0.0.1, ::1", "is 127.0.0.1");
    let (mut steady, mut number) = (String::new(), String::new());
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        // Codes, years and parts of addresses have fewer digits than a port of a test.
        steady += if number.len() > 4 { "NNNNN" } else { &number };
        number.clear();
        steady.push(letter);
    }
    steady.trim_end_matches('\0').to_owned()
}

async fn simulator() -> Simulator {
    let identities = vec![("bot".to_owned(), KEY.to_owned()), ("alice".to_owned(), "alice".to_owned())];
    let admin_keys = vec![ADMIN_KEY.to_owned()];
    Simulator::start(Options { identities, admin_keys, ..Options::default() }).await.unwrap()
}

#[tokio::test]
async fn a_daemon_that_is_as_it_should_be() {
    let (simulator, folder) = (simulator().await, folder());
    insta::assert_snapshot!("well", told(doctor(folder.path(), &simulator.url())).await);
    // Nothing is left behind, and nothing was asked for but what changes nothing.
    simulator.subscribers("bot", 0).await;
    let asked: Vec<_> = simulator.recorded().iter().map(|asked| asked.command.reads).collect();
    assert!(!asked.is_empty() && asked.iter().all(|reads| *reads));
}

#[tokio::test]
async fn machines_get_the_same_as_one_object() {
    let (simulator, folder) = (simulator().await, folder());
    for (url, code) in [(simulator.url(), 0), ("http://127.0.0.1:1".to_owned(), 69)] {
        let mut command = doctor(folder.path(), &url);
        command.args(["--format", "json"]);
        let output = output(command).await;
        let report: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &report["exit_code"]), (Some(code), &code.into()));
        assert_eq!(report["ok"], code == 0);
        let results: Vec<_> = report["steps"].as_array().unwrap().iter().map(|step| &step["result"]).collect();
        let (ok, failed) = if code == 0 { (10, 0) } else { (4, 1) };
        let count = |result: &str| results.iter().filter(|step| **step == result).count();
        assert_eq!((count("ok"), count("failed"), count("skipped")), (ok, failed, 10 - ok - failed), "{report:#}");
        assert_eq!(report["host"]["status"], Json::Null);
    }
}

#[tokio::test]
async fn nothing_listens_or_nobody_answers() {
    let folder = folder();
    insta::assert_snapshot!("refused", told(doctor(folder.path(), "127.0.0.1:1")).await);
    // Its queue takes the connection; nobody ever looks at it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    insta::assert_snapshot!("silent", told(doctor(folder.path(), &url)).await);
}

#[tokio::test]
async fn a_machine_that_does_not_even_refuse() {
    let folder = folder();
    // One that waits in a full queue is neither refused nor taken.
    let dead = TcpSocket::new_v4().unwrap();
    dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let dead = dead.listen(1).unwrap();
    let mut waiting = Vec::new();
    let moment = std::time::Duration::from_millis(250);
    while let Ok(taken) = timeout(moment, tokio::net::TcpStream::connect(dead.local_addr().unwrap())).await {
        waiting.push(taken.unwrap());
    }
    let url = format!("http://{}", dead.local_addr().unwrap());
    let text = told(doctor(folder.path(), &url)).await;
    assert!(text.contains("FAILED  connection      127.0.0.1 port NNNNN: no answer within 8 s"), "{text}");
    assert!(text.ends_with("exit code 69\n"));
}

#[tokio::test]
async fn a_name_that_nobody_knows() {
    let folder = folder();
    let text = told(doctor(folder.path(), "http://no-such-host.invalid:1")).await;
    // The cause is in the words of the system.
    assert!(text.contains("FAILED  address         http://no-such-host.invalid:1: `no-such-host.invalid` cannot be"));
    assert!(text.contains("help: is the name right") && text.contains("connection      not looked at"), "{text}");
    assert!(text.ends_with("exit code 69\n"), "{text}");
}

#[tokio::test]
async fn tls_that_does_not_come_about() {
    let (simulator, folder, certificates) = (simulator().await, folder(), Certificates::new());
    let ca = certificates.path("ca.pem").display().to_string();
    let other = certificates.path("other.pem").display().to_string();
    let cases = [
        ("tls", Kind::Tls("server"), "https://localhost", Some(&ca)),
        ("tls_to_plain", Kind::Plain, "https://localhost", Some(&ca)),
        ("plain_to_tls", Kind::Tls("server"), "http://localhost", None),
        ("unknown_authority", Kind::Tls("server"), "https://localhost", Some(&other)),
        ("another_name", Kind::Tls("elsewhere"), "https://localhost", Some(&ca)),
        ("expired", Kind::Tls("expired"), "https://localhost", Some(&ca)),
        ("certificate_asked_for", Kind::Mutual("server"), "https://localhost", Some(&ca)),
        ("no_grpc", Kind::Http1, "http://localhost", None),
    ];
    for (name, kind, address, authority) in cases {
        let front = Front::start(kind, &certificates, simulator.address()).await;
        let mut command = doctor(folder.path(), &format!("{address}:{}", front.port));
        command.envs(authority.map(|path| ("OLVID_ROOT_CERTIFICATE_PATH", path)));
        insta::assert_snapshot!(name, told(command).await);
    }
}

#[tokio::test]
async fn keys_that_the_daemon_does_not_take() {
    let (simulator, folder) = (simulator().await, folder());
    let url = simulator.url();
    key(folder.path(), b"\"c4n4ry-of-somebody\"");
    insta::assert_snapshot!("wrong_key", told(doctor(folder.path(), &url)).await);
    let admin = |identity: Option<&str>| {
        let arguments = ["doctor", "--daemon-url", &url, "--control-socket", "host.sock"];
        let mut command = program(folder.path(), &arguments, &[("OLVID_ADMIN_CLIENT_KEY", ADMIN_KEY)]);
        command.envs(identity.map(|id| ("OLVID_IDENTITY_ID", id)));
        command
    };
    insta::assert_snapshot!("admin_for_nobody", told(admin(None)).await);
    insta::assert_snapshot!("admin_for_a_stranger", told(admin(Some("999"))).await);
    let bot = simulator.identity_id("bot").unwrap().to_string();
    let text = told(admin(Some(&bot))).await;
    assert!(text.contains("knows the administrator's key; the host acts for `bot`"), "{text}");
    assert!(text.ends_with("exit code 0\n"), "{text}");
}

#[tokio::test]
async fn a_daemon_that_refuses_a_subscription_or_is_older() {
    let (simulator, folder) = (simulator().await, folder());
    let refusal = |code: Code, words: &str| Reply::Status(code, words.to_owned());
    simulator.script("group_new", refusal(Code::Unimplemented, "no such method"), 1);
    insta::assert_snapshot!("refused_subscription", told(doctor(folder.path(), &simulator.url())).await);
    simulator.script("daemon_version", refusal(Code::Unimplemented, "no such method"), 1);
    // Headers that come with the first notification only, as the real daemon has it.
    simulator.script("message_received", Reply::Never, 1);
    let text = told(doctor(folder.path(), &simulator.url())).await;
    assert!(text.contains("ok      version         not told"), "{text}");
    assert!(text.contains("2 streams can be opened") && text.ends_with("exit code 0\n"), "{text}");
    simulator.script("group_new", refusal(Code::Unavailable, "c4n4ry-of-the-bot is at lunch"), 1);
    let text = told(doctor(folder.path(), &simulator.url())).await;
    assert!(text.contains("FAILED group_new (groups, rules.yaml:4:13): UNAVAILABLE: … is at lunch"), "{text}");
    assert!(text.ends_with("exit code 69\n"), "{text}");
}

#[tokio::test]
async fn settings_and_rules_that_keep_a_host_from_starting() {
    let folder = folder();
    let bare = |arguments: &[&str]| {
        let all = [&["doctor", "--control-socket", "host.sock"], arguments].concat();
        program(folder.path(), &all, &[("OLVID_DAEMON_URL", "http://127.0.0.1:1")])
    };
    insta::assert_snapshot!("no_key", told(bare(&[])).await);
    key(folder.path(), b"# the key\nc4n4ry\n");
    insta::assert_snapshot!("two_lines", told(bare(&["--client-key-file", "bot.key"])).await);
    key(folder.path(), KEY.as_bytes());
    let pem = ["--client-key-file", "bot.key", "--root-certificate", "rules.yaml"];
    insta::assert_snapshot!("no_certificate", told(bare(&pem)).await);
    insta::assert_snapshot!("bad_address", told(doctor(folder.path(), "ftp://localhost")).await);
    fs::write(folder.path().join("rules.yaml"), "rules:\n  - nam: x\n").unwrap();
    insta::assert_snapshot!("bad_rules", told(doctor(folder.path(), "http://127.0.0.1:1")).await);
}

#[tokio::test]
async fn a_host_that_runs_is_shown_whatever_the_rest_comes_to() {
    let (simulator, folder) = (simulator().await, folder());
    let arguments = ["run", "--log-format", "json", "--client-key-file", "bot.key", "--control-socket", "host.sock"];
    let url = simulator.url();
    let mut command = program(folder.path(), &arguments, &[("OLVID_DAEMON_URL", &url)]);
    let host = spawn_blocking(move || Process::start(&mut command)).await.unwrap();
    simulator.subscribers("bot", 2).await;
    let text = told(doctor(folder.path(), "http://127.0.0.1:1")).await;
    assert!(text.contains("FAILED  connection") && text.ends_with("exit code 69\n"), "{text}");
    assert!(text.contains("ok      host            running since ") && text.contains("4 rules (1 disabled)"), "{text}");
    assert!(text.contains(&format!("process {}", steady(&host.id().to_string()))), "{text}");
}
