//! How a host ends: what runs is finished, what is late is named, and nothing can hold it up.

use std::{io::Write as _, process::Command, sync::Arc};

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
fn a_person_reads_who_is_late() {
    let site = site("return function() print('runs') while true do end end");
    site.write("rules.yaml", format!("{RULES}{}", RULES.lines().nth(1).unwrap().replace("name: a", "name: b")));
    let host = Process::start(&mut site.command(&["run", "--grace", "0.1"]));
    site.streams(1, 1);
    site.emit(1, "x");
    host.until("the run", |line| line.contains("a: runs").then_some(()));
    host.terminate();
    let (status, log) = host.ended();
    assert_eq!(status.code(), Some(0));
    for line in [
        "info  running 2 rules, 1 script, 1 stream",
        "error a: still running at the end of the grace period, in a.lua",
        "error b: 1 notifications were waiting at the end of the grace period",
    ] {
        assert!(log.iter().any(|told| told.contains(line)), "{line}\n{}", log.join("\n"));
    }
}

#[test]
fn a_signal_that_means_nothing_does_not_end_it() {
    let site = site(&versioned("one"));
    let host = site.run(&[]);
    for signal in ["USR1", "USR2", "ALRM"] {
        host.process.signal(signal);
    }
    site.emit(1, "x");
    host.until_said("one x 1");
    host.stop();
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

/// A shell script in the site's folder, with the program as `$0`.
fn shell(site: &Site, script: &str) -> Command {
    let command = site.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(command.get_program()).current_dir(site.path("")).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    shell
}

fn kill(id: &str) {
    assert!(Command::new("kill").args(["-TERM", id]).status().unwrap().success());
}

#[test]
fn a_host_that_nobody_reads_ends_as_well() {
    // Its log goes into a pipe that is closed.
    let site = site(&versioned("one"));
    let mut shell = shell(&site, "\"$0\" run --log-format json 2>&1 >/dev/null | head -n 1");
    let host = Running { process: Process::start(&mut shell) };
    host.process.events("started", 1);
    site.streams(1, 1);
    site.emit(1, "x");
    let status = crate::status_when(&site, |status| status["counters"]["handled"] == 1);
    kill(&status["pid"].to_string());
    assert_eq!(host.process.ended().0.code(), Some(0));
}

/// A host whose log goes into a pipe that nobody reads before a line comes in. What it says of itself is its exit code.
const STUCK: &str = "exec 3<&0 4>&1
{ \"$0\" run --log-format json --grace 3600 2>&1 >/dev/null </dev/null; echo \"code $?\" >&4; } |
{ read -r go <&3; cat; }";

/// Lines that are more than pipe and queue hold.
const LINES: u64 = 800;

/// Has a handler say more than anybody reads; returns the host's id once all is handled, so that nothing waits for a reader.
fn talk(site: &Site) -> String {
    site.streams(1, 1);
    for number in 0..LINES {
        site.emit(number, "x");
    }
    crate::status_when(site, |status| status["counters"]["handled"] == LINES)["pid"].to_string()
}

#[test]
fn a_log_that_nobody_reads_holds_up_nothing_and_goes_on() {
    let site = site("return function(n) print(n.message.discussion_id .. ' ' .. ('x'):rep(3500)) end");
    let (process, mut input) = Process::start_with_input(&mut shell(&site, STUCK));
    let id = talk(&site);
    site.write("a.lua", "return function(n) print('new') end");
    let reload = site.command(&["reload", "--wait"]).output().unwrap();
    assert_eq!(reload.status.code(), Some(0));
    writeln!(input, "go").unwrap();
    let notice = process.events("notice", 1).remove(0)["message"].as_str().unwrap().to_owned();
    site.emit(1, "x");
    process.until("the line after", |line| line.contains("\"message\":\"new\"").then_some(()));
    kill(&id);
    let (_, log) = process.ended();
    assert!(log.contains(&"code 0".to_owned()), "{}", log.join("\n"));
    // What is there is the beginning, then how much is missing, then the rest.
    let lines: Vec<_> = log.iter().filter(|line| *line != "code 0").cloned().collect();
    crate::process::assert_log(&lines);
    let said = events(&lines, "said");
    let numbers: Vec<_> =
        said.iter().filter_map(|said| said["message"].as_str()?.split(' ').next()?.parse::<u64>().ok()).collect();
    let left_out: u64 = notice.split(' ').next().unwrap().parse().unwrap();
    // The reload's line is among those that are missing.
    assert!(numbers.len() as u64 + left_out > LINES, "{} {notice}", numbers.len());
    assert!(events(&lines, "reloaded").is_empty() && events(&lines, "stopped").len() == 1, "{notice}");
    assert_eq!(events(&lines, "notice").len(), 1);
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_up_the_end() {
    for (script, signals) in [("", 1), ("while n.message.body == 'stay' do end", 2)] {
        let script = format!("return function(n) {script} print(('x'):rep(3500)) end");
        let site = site(&script);
        let (process, _input) = Process::start_with_input(&mut shell(&site, STUCK));
        let id = talk(&site);
        if signals == 2 {
            site.emit(1, "stay");
            crate::status_when(&site, |status| status["rules"][0]["running"] == 1);
        }
        kill(&id);
        if signals == 2 {
            // The first has been heard.
            site.streams(1, 0);
            kill(&id);
        }
        process.until("its exit code", |line| (line == "code 0").then_some(()));
    }
}
