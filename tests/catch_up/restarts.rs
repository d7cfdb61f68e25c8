//! The program is stopped and started again, or killed, with messages meanwhile.

use std::{fs, thread};

use olvid_rules::simulator::{Options, Simulator};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle};

use super::{SAY, json, process::*, rules};

/// A simulated daemon on a thread of its own, and a folder with rules and a state directory.
struct Machine {
    simulator: Simulator,
    runtime: Handle,
    folder: TempDir,
}

impl Machine {
    fn new(more: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let simulator = runtime.block_on(Simulator::start(Options::default())).unwrap();
        let handle = runtime.handle().clone();
        // It ends with the test's process.
        thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("rules.yaml"), rules(more)).unwrap();
        fs::write(folder.path().join("say.lua"), SAY).unwrap();
        Self { simulator, runtime: handle, folder }
    }

    fn run(&self, arguments: &[&str]) -> Process {
        let url = self.simulator.url();
        let socket = self.folder.path().join("control");
        let variables = [("OLVID_DAEMON_URL", url.as_str()), ("OLVID_CLIENT_KEY", "bot")];
        let fixed = ["run", "--log-format", "json", "--control-socket", socket.to_str().unwrap()];
        let host = Process::start(&mut program(self.folder.path(), &[&fixed, arguments].concat(), &variables));
        host.events("feed_opened", 1);
        host
    }

    fn say(&self, body: &str) {
        let mine = self.simulator.call("alice", "discussion_list", &json!({ "filter": { "title_search": "bot" } }));
        let request = json!({ "discussion_id": mine.unwrap()[0]["id"], "body": body });
        self.simulator.call("alice", "message_send", &request).unwrap();
    }

    /// Another client takes note of everything: nothing is unread any more.
    fn read_all(&self) {
        self.simulator.call("bot", "message_list", &json!({ "unread": true })).unwrap();
    }

    fn gone(&self) {
        self.runtime.block_on(self.simulator.wait_streams("bot", |open| open == 0));
    }
}

fn said(log: &[String]) -> Vec<String> {
    events(log, "said").iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

/// Asks it to stop, and returns what was said.
fn stopped(host: Process) -> Vec<String> {
    host.terminate();
    let (status, log) = host.ended();
    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
    said(&log)
}

const KEPT: &[&str] = &["--state-directory", "state", "--catch-up"];

#[test]
fn over_a_stop_nothing_is_missed_and_nothing_doubled_whoever_else_reads() {
    for (more, arguments) in [("", KEPT), (", catch_up: true", &KEPT[..2])] {
        let machine = Machine::new(more);
        machine.say("unread");
        let host = machine.run(arguments);
        host.events("caught_up", 1);
        machine.say("live");
        host.events("said", 2);
        assert_eq!(stopped(host), ["unread caught up", "live"]);
        machine.gone();
        machine.say("away");
        machine.read_all();
        machine.say("away too");
        let host = machine.run(arguments);
        host.events("caught_up", 1);
        machine.say("back");
        host.events("said", 3);
        assert_eq!(stopped(host), ["away caught up", "away too caught up", "back"], "{more}");
        machine.gone();
        let host = machine.run(arguments);
        machine.say("again");
        host.events("said", 1);
        assert_eq!(stopped(host), ["again"], "nothing was missed");
    }
}

#[test]
fn without_a_state_directory_it_is_what_nobody_has_read() {
    let machine = Machine::new("");
    machine.say("unread");
    let host = machine.run(&["--catch-up"]);
    machine.say("live");
    host.events("said", 2);
    assert_eq!(stopped(host), ["unread caught up", "live"]);
    machine.gone();
    machine.say("read by another");
    machine.read_all();
    machine.say("away");
    let host = machine.run(&["--catch-up"]);
    machine.say("back");
    host.events("said", 2);
    assert_eq!(stopped(host), ["away caught up", "back"]);
}

#[test]
fn a_rule_that_was_not_asked_to_starts_with_what_comes() {
    for (more, arguments) in [("", &KEPT[..2]), (", catch_up: false", KEPT)] {
        let machine = Machine::new(more);
        machine.say("before");
        let host = machine.run(arguments);
        machine.say("live");
        host.events("said", 1);
        assert_eq!(stopped(host), ["live"], "{more}");
    }
}

#[test]
fn what_waits_in_a_stuck_queue_at_a_stop_is_not_handled_again() {
    let machine = Machine::new(", order: rule");
    let slow = "return function(n) sleep(0.02) print(n.message.body) end";
    fs::write(machine.folder.path().join("say.lua"), slow).unwrap();
    let bodies: Vec<_> = (0..500).map(|number| format!("m{number}")).collect();
    for body in &bodies {
        machine.say(body);
    }
    let arguments = [KEPT, &["--grace", "60"]].concat();
    let host = machine.run(&arguments);
    host.events("said", 1);
    let mut all = stopped(host);
    assert!(all.len() < bodies.len(), "it was in the middle of the list");
    machine.gone();
    fs::write(machine.folder.path().join("say.lua"), "return function(n) print(n.message.body) end").unwrap();
    let host = machine.run(&arguments);
    host.events("said", bodies.len() - all.len());
    all.extend(stopped(host));
    assert!(
        all == bodies,
        "{} of {}: {:?}",
        all.len(),
        bodies.len(),
        all.iter().zip(&bodies).find(|(is, was)| is != was)
    );
}

#[test]
fn what_a_stream_brought_and_no_queue_took_at_a_stop_is_caught_up() {
    let machine = Machine::new(", order: rule, timeout: 2m");
    fs::write(machine.folder.path().join("say.lua"), "return function(n) sleep(100) end").unwrap();
    let arguments = [KEPT, &["--grace", "1"]].concat();
    let host = machine.run(&arguments);
    let bodies: Vec<_> = (0..400).map(|number| format!("m{number}")).collect();
    for body in &bodies {
        machine.say(body);
    }
    while machine.simulator.sent("bot") < 330 {
        thread::sleep(std::time::Duration::from_millis(2));
    }
    host.terminate();
    let (_, log) = host.ended();
    let end = &events(&log, "stopped")[0];
    let words = end["message"].as_str().unwrap().split(' ');
    let accepted = words.filter_map(|word| word.parse::<usize>().ok()).sum::<usize>();
    assert!((1..bodies.len()).contains(&accepted), "{accepted}");
    machine.gone();
    fs::write(machine.folder.path().join("say.lua"), "return function(n) print(n.message.body) end").unwrap();
    let host = machine.run(&arguments);
    machine.say("end");
    let rest = [&bodies[accepted..], &["end".to_owned()]].concat();
    host.events("said", rest.len());
    assert_eq!(stopped(host), rest);
}

#[test]
fn a_host_that_is_killed_misses_nothing_and_doubles_only_what_was_not_kept_yet() {
    let machine = Machine::new("");
    let host = machine.run(KEPT);
    machine.say("kept");
    host.events("said", 1);
    // Written every few seconds.
    let file = machine.folder.path().join("state/cursors.json");
    let kept = || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let found: Json = serde_json::from_str(&text).unwrap_or_default();
        found["rules"]["one"]["seen"].as_array().is_some_and(|seen| seen.len() == 1)
    };
    while !kept() {
        thread::sleep(std::time::Duration::from_millis(20));
    }
    for number in 0..3 {
        machine.say(&format!("late {number}"));
    }
    host.events("said", 4);
    // Killed, not stopped.
    drop(host);
    machine.gone();
    machine.say("away");
    let host = machine.run(KEPT);
    host.events("caught_up", 1);
    machine.say("back");
    let after = |log: &[String]| log.last().is_some_and(|line| line == "back");
    while !after(&said(&host.printed())) {
        thread::sleep(std::time::Duration::from_millis(5));
    }
    let said = stopped(host);
    assert!(!said.iter().any(|line| line.starts_with("kept")), "{said:?}");
    let late = said.iter().filter(|line| line.starts_with("late")).count();
    assert!(late <= 3, "at most once more each: {said:?}");
    assert_eq!(said[late..], ["away caught up", "back"]);
}
