//! The main job, end to end with real programs: `simulate` is the daemon, `run` serves the bot with the shipped rules, and
//! the published client and its command line, unmodified, are the person who writes to it. And how `run` starts and ends.
//!
//! Alice's half of the conversation is `python/alice.py`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/prepared.rs"]
mod prepared;
#[path = "support/process.rs"]
mod process;
#[path = "support/python.rs"]
mod python;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use process::{Process, assert_log, events, program};
use tempfile::TempDir;

/// What must not be in any output.
const KEY: &str = "a7e1-bot-key";

const PING: &str = "rules:\n  - { name: ping, subscription: message_received, lua: return }\n";

/// A simulated daemon, and where it is.
fn simulate(listen: &str) -> (Process, String) {
    let identity = format!("bot:{KEY}");
    let people = ["--identity", &identity, "--identity", "alice:alice-key", "--identity", "bob:bob-key"];
    let arguments = [&["simulate", "--listen", listen, "--admin-key", "admin-key"], &people[..]].concat();
    let daemon = Process::start(&mut program(Path::new("/"), &arguments, &[]));
    let url = daemon.until("address", |line| {
        let url = line.strip_prefix("listening on ")?.strip_suffix(" as bot, alice, bob")?;
        Some(url.to_owned())
    });
    (daemon, url)
}

fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    Process::start(&mut program(folder, &[&["run", "--log-format", "json"], arguments].concat(), variables))
}

/// Asks it to stop; it ends well, with a log of events that tells no key. Returns the log.
fn stopped(host: Process) -> Vec<String> {
    host.terminate();
    let (status, log) = host.ended();
    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
    assert_log(&log);
    assert_eq!((events(&log, "stopping").len(), events(&log, "stopped").len()), (1, 1), "{}", log.join("\n"));
    assert_secret(&log);
    log
}

fn assert_secret(printed: &[String]) {
    assert!(!printed.iter().any(|line| line.contains(KEY)), "{}", printed.join("\n"));
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The shipped rules and scripts, and rules for what those do not listen to.
fn shipped() -> TempDir {
    let folder = folder(&[("more.yaml", MORE)]);
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    fs::copy(home.join("rules.yaml"), folder.path().join("rules.yaml")).unwrap();
    fs::create_dir(folder.path().join("scripts")).unwrap();
    for script in fs::read_dir(home.join("scripts")).unwrap().map(|entry| entry.unwrap().path()) {
        if script.extension().is_some_and(|extension| extension == "lua") {
            fs::copy(&script, folder.path().join("scripts").join(script.file_name().unwrap())).unwrap();
        }
    }
    folder
}

const MORE: &str = r#"
rules:
  - name: edited
    subscription: message_body_updated
    filter: { type: inbound }
    lua: |
      local n = ...
      n.message:react("✏️")
      local sent = n.message:reply("was: " .. n.previous_body)
      sent:edit("it was: " .. n.previous_body)
      sent:delete{ everywhere = true }
  - name: deleted
    subscription: message_deleted
    filter: { type: inbound }
    lua: |
      local message = (...).message
      olvid.message_send{ discussion_id = message.discussion_id, body = "gone: " .. message.body }
  - name: file
    subscription: message_received
    filter: { body_search: "^send me a file$" }
    lua: |
      local bytes = {}
      for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
      local files = { { filename = "bytes.bin", content = table.concat(bytes) }, { filename = "empty.bin", content = "" } }
      (...).message:reply{ body = "here", files = files }
"#;

#[test]
fn alice_gets_her_answers() {
    let Some(interpreter) = python::interpreter() else { return };
    let (daemon, url) = simulate("127.0.0.1:0");
    let folder = shipped();
    let variables = [("OLVID_DAEMON_URL", url.as_str()), ("OLVID_CLIENT_KEY", KEY)];
    let host = run(folder.path(), &["rules.yaml", "more.yaml"], &variables);
    let feeds = host.events("started", 1)[0]["message"].as_str().unwrap().to_owned();
    let feeds =
        feeds.split(", ").find_map(|part| part.trim_end_matches('s').strip_suffix(" stream")?.parse().ok()).unwrap();
    host.events("feed_opened", feeds);
    let mut alice = process::python(&interpreter, "alice.py", &[]);
    alice.env("OLVID_DAEMON_URL", &url).env("ALICE_KEY", "alice-key").env("BOB_KEY", "bob-key");
    alice.env("OLVID_ADMIN_CLIENT_KEY", "admin-key");
    if let Err(told) = Process::start(&mut alice).waited("ok", |line| (line == "ok").then_some(())) {
        panic!("{told}\nand the bot:\n{}", host.printed().join("\n"));
    }
    let log = stopped(host);
    for unwanted in ["run_failed", "run_abandoned", "feed_lost", "feed_refused", "notice"] {
        assert!(events(&log, unwanted).is_empty(), "{}", log.join("\n"));
    }
    let said = events(&log, "said");
    let saved = said.iter().find(|event| event["message"] == "saved an attachment").unwrap();
    assert_eq!((&saved["rule"], &saved["fields"]["size"]), (&"save-attachments".into(), &1_300_007.into()), "{saved}");
    let saved = fs::read(folder.path().join("scripts").join(saved["fields"]["path"].as_str().unwrap())).unwrap();
    let photo: Vec<u8> = (0..1_300_007u32).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
    assert!(saved == photo, "{} bytes", saved.len());
    daemon.terminate();
    let (status, printed) = daemon.ended();
    assert_eq!(status.code(), Some(0));
    assert_secret(&printed);
}

#[test]
fn a_mistake_anywhere_ends_it_before_anything_runs() {
    let rule = "rules:\n  - { name: ping, subscription: message_received, ";
    let cases = [
        ("filter: { bdy_search: x }, lua: return }", "unknown-field", "./rules.yaml:2:61"),
        ("handler: broken.lua }", "syntax", "broken.lua:2"),
    ];
    for (rest, code, place) in cases {
        let text = format!("{rule}{rest}\n");
        let folder = folder(&[("rules.yaml", &text), ("broken.lua", "return function(n)\n  olvid. = 1\nend\n")]);
        // No daemon is there: none is asked.
        let variables = [("OLVID_DAEMON_URL", "http://127.0.0.1:1"), ("OLVID_CLIENT_KEY", KEY)];
        let (status, log) = run(folder.path(), &["."], &variables).ended();
        assert_eq!(status.code(), Some(1), "{}", log.join("\n"));
        assert_log(&log);
        let [rejected] = &events(&log, "load_rejected")[..] else { panic!("{}", log.join("\n")) };
        assert_eq!((&rejected["kind"], &rejected["level"]), (&"load".into(), &"error".into()));
        assert!(rejected["place"].as_str().unwrap().contains(place), "{rejected}");
        assert!(rejected["code"].as_str().unwrap().contains(code), "{rejected}");
        assert!(events(&log, "started").is_empty());
        assert_secret(&log);
    }
}

#[test]
fn a_bad_key_is_told_and_does_not_end_it() {
    let (_daemon, url) = simulate("127.0.0.1:0");
    let folder = folder(&[("rules.yaml", PING)]);
    let bad = format!("{KEY}-not");
    let variables = [("OLVID_DAEMON_URL", url.as_str()), ("OLVID_CLIENT_KEY", &bad)];
    let host = run(folder.path(), &["--log-level", "debug"], &variables);
    let [refused] = &host.events("feed_refused", 1)[..] else { panic!("{:?}", host.printed()) };
    assert!(refused["message"].as_str().unwrap().contains("UNAUTHENTICATED: Invalid client key"), "{refused}");
    assert_eq!((&refused["rule"], &refused["subscription"]), (&"ping".into(), &"message_received".into()));
    stopped(host);
}

#[test]
fn a_daemon_that_is_not_there_is_waited_for() {
    // Nothing else on this machine listens there or connects from there while the port is free.
    let own = "127.105.112.7";
    let port = TcpListener::bind((own, 0)).unwrap().local_addr().unwrap().port();
    let address = format!("{own}:{port}");
    let url = format!("http://{address}");
    let folder = folder(&[("rules.yaml", PING), ("key", &format!("{KEY}\n"))]);
    let host = run(folder.path(), &["--daemon-url", &url, "--client-key-file", "key"], &[]);
    let lost = host.events("feed_lost", 1).remove(0);
    let message = lost["message"].as_str().unwrap();
    assert!(message.contains(&format!("cannot connect to {url}: ")) && message.contains("refused"), "{message}");
    let (daemon, _) = simulate(&address);
    host.events("feed_opened", 1);
    // It goes away without a word, and comes back.
    drop(daemon);
    host.events("feed_lost", 2);
    let (_daemon, _) = simulate(&address);
    host.events("feed_opened", 2);
    stopped(host);
}

/// Usage that cannot work: variables, and what is told of them.
const USAGE: &[(&[(&str, &str)], &str)] = &[
    (&[], "no client key: set OLVID_CLIENT_KEY"),
    (&[("OLVID_CLIENT_KEY", "")], "no client key: set OLVID_CLIENT_KEY"),
    (&[("OLVID_CLIENT_KEY", "a7e1-bot-key\u{1}")], "OLVID_CLIENT_KEY: the key holds a character"),
    (&[("OLVID_CLIENT_KEY", "a7e1-bot-key-é")], "OLVID_CLIENT_KEY: the key holds a character"),
    (&[("OLVID_CLIENT_KEY_FILE", "two-lines")], "`two-lines`: the key holds a character"),
    (&[("OLVID_CLIENT_KEY_FILE", "missing")], "cannot read the key in `missing`: No such file"),
    (&[("OLVID_CLIENT_KEY", KEY), ("OLVID_IDENTITY_ID", "me")], "OLVID_IDENTITY_ID is `me`, not a whole number"),
    (&[("OLVID_CLIENT_KEY", KEY), ("OLVID_DAEMON_URL", "ftp://x")], "`ftp://x` is no address of a daemon"),
    (&[("OLVID_CLIENT_KEY", KEY), ("OLVID_PRIVATE_KEY_PATH", "two-lines")], "without its certificate chain"),
    (&[("OLVID_CLIENT_KEY", KEY), ("OLVID_ROOT_CERTIFICATE_PATH", "two-lines")], "cannot use `two-lines`"),
];

#[test]
fn usage_that_cannot_work_ends_it_with_2_and_keeps_the_keys() {
    let folder = folder(&[("rules.yaml", PING), ("two-lines", "a7e1-bot-key\na7e1-bot-key\n")]);
    for (variables, wanted) in USAGE {
        let (status, told) = run(folder.path(), &[], variables).ended();
        assert_eq!(status.code(), Some(2), "{variables:?}: {}", told.join("\n"));
        assert!(told.join("\n").contains(wanted), "{variables:?}: {}", told.join("\n"));
        assert_secret(&told);
    }
}

#[test]
fn a_key_in_a_file_of_variables_is_found_and_a_broken_one_is_not_quoted() {
    let (_daemon, url) = simulate("127.0.0.1:0");
    let good = format!("OLVID_CLIENT_KEY={KEY}\nOLVID_DAEMON_URL={url}\n");
    let folder = folder(&[("rules.yaml", PING), (".env", &good)]);
    let host = run(folder.path(), &[], &[]);
    host.events("feed_opened", 1);
    stopped(host);
    fs::write(folder.path().join(".env"), format!("OLVID_CLIENT_KEY='{KEY}\n")).unwrap();
    let (status, told) = run(folder.path(), &[], &[]).ended();
    assert_eq!(status.code(), Some(2), "{}", told.join("\n"));
    assert!(told.join("\n").contains("assignment 1 is not NAME=value"), "{}", told.join("\n"));
    assert_secret(&told);
}
