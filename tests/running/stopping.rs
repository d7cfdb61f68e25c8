//! How a host ends: what runs is finished, what is late is named, and nothing can hold it up.

use std::sync::Arc;

use olvid_rules::simulator::Reply;
use serde_json::json;
use tokio::sync::Notify;

use crate::{
    process::{Process, events},
    site::{Running, Site, versioned},
};

const RULES: &str = "rules:\n  - { name: a, subscription: message_received, handler: a.lua }\n";

/// SIGHUP and SIGTERM.
const HUP: u32 = 1;
const TERM: u32 = 15;

fn site(script: &str) -> Site {
    Site::new(&[("rules.yaml", RULES), ("a.lua", script)])
}

#[test]
fn what_runs_and_what_waits_is_finished() {
    let site = site("return function(n) olvid.identity_get{} print('ends ' .. n.message.body) end");
    let gate = Arc::new(Notify::new());
    site.simulator.script("identity_get", Reply::Hold(Arc::clone(&gate)), 1);
    let host = site.run(&[]);
    for body in ["a", "b", "c"] {
        site.emit(1, body);
    }
    site.emit(2, "d");
    host.said(1);
    host.process.terminate();
    host.process.events("stopping", 1);
    site.streams(1, 0);
    gate.notify_one();
    let (status, log) = host.process.ended();
    assert_eq!(status.code(), Some(0));
    let stopped = events(&log, "stopped").remove(0);
    assert_eq!(stopped["message"], "stopped after 4 notifications");
    assert_eq!(events(&log, "said").len(), 4, "{}", log.join("\n"));
    assert!(events(&log, "run_abandoned").is_empty() && events(&log, "unhandled").is_empty());
}

#[test]
fn what_is_late_is_named() {
    let site = site("return function(n) print(n.message.body) sleep(3600) end");
    let host = site.run(&["--grace", "0.3"]);
    for body in ["a", "b", "c"] {
        site.emit(1, body);
    }
    host.said(1);
    host.process.terminate();
    let (status, log) = host.process.ended();
    assert_eq!(status.code(), Some(0));
    let abandoned = events(&log, "run_abandoned");
    assert_eq!(abandoned.len(), 1, "{}", log.join("\n"));
    assert_eq!(
        (&abandoned[0]["rule"], &abandoned[0]["script"], &abandoned[0]["level"]),
        (&json!("a"), &json!("a.lua"), &json!("error"))
    );
    let unhandled = events(&log, "unhandled");
    assert_eq!(unhandled.len(), 1, "{}", log.join("\n"));
    assert!(
        unhandled[0]["rule"] == "a" && unhandled[0]["message"].as_str().unwrap().starts_with("2 "),
        "{unhandled:?}"
    );
    assert_eq!(events(&log, "stopped")[0]["unhandled"], 3);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        let site = site("return function(n) print('runs') while true do end end");
        let host = site.run(&["--grace", "3600"]);
        site.emit(1, "x");
        host.said(1);
        host.process.signal(first);
        host.process.events("stopping", 1);
        host.process.signal(second);
        let (status, log) = host.process.ended();
        assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
        assert!(events(&log, "stopped").is_empty());
    }
}

#[test]
fn a_script_that_loads_for_ever_does_not_hold_up_the_end() {
    let forever = "print('loading') while true do end";
    let site = site(forever);
    let host = site.begin(&[]);
    host.until_said("loading");
    host.process.terminate();
    let (status, log) = host.process.ended();
    assert_eq!((status.code(), events(&log, "started").len()), (Some(0), 0), "{}", log.join("\n"));
    // The same at a reload: what runs goes on until the end, and ends well.
    site.write("a.lua", versioned("one"));
    let host = site.run(&[]);
    site.write("a.lua", forever);
    host.until_said("loading");
    site.emit(1, "x");
    host.until_said("one x 1");
    let log = host.stop();
    assert!(events(&log, "reloaded").is_empty(), "{}", log.join("\n"));
}

#[test]
fn without_the_daemon_it_ends_as_well() {
    let site = site(&versioned("one"));
    site.wait(site.simulator.stop());
    let host = site.begin(&[]);
    host.process.events("feed_lost", 1);
    host.stop();
}

#[test]
fn a_hangup_at_the_start_is_a_reload_after_it() {
    let site = site(&format!("while not pcall(require, 'go') do end {}", versioned("one")));
    let host = site.begin(&[]);
    for signal in [HUP, TERM] {
        host.until_caught(signal);
    }
    host.process.signal("HUP");
    site.write("go.lua", "return true");
    host.process.events("started", 1);
    assert_eq!(host.reloads(1)[0]["trigger"], "signal");
    host.stop();
}

#[test]
fn a_host_that_nobody_reads_ends_as_well() {
    // Its log goes into a pipe that is closed.
    let site = site(&versioned("one"));
    let command = site.command(&[]);
    let program = command.get_program().to_owned();
    let script = "\"$0\" run --log-format json 2>&1 >/dev/null | head -n 1";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).arg(program).current_dir(site.path("")).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let host = Running { process: Process::start(&mut shell) };
    host.process.events("started", 1);
    site.streams(1, 1);
    site.emit(1, "x");
    let status = crate::status_when(&site, |status| status["counters"]["handled"] == 1);
    let id = status["pid"].to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(host.process.ended().0.code(), Some(0));
}
