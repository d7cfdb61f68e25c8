//! What a service manager is told of a host in every phase, as systemd expects it, with the program as it is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/held.rs"]
mod held;
#[path = "service/journal.rs"]
mod journal;
#[path = "service/manager.rs"]
mod manager;
#[path = "support/process.rs"]
mod process;
#[path = "reload_files/site.rs"]
mod site;
#[path = "service/watchdog.rs"]
mod watchdog;

use std::{fs, process::Command};

use manager::Manager;
use process::{Process, events};
use site::{Running, Site, versioned};

const RULES: &str = "rules:\n  - { name: a, subscription: message_received, handler: a.lua }\n";

fn site() -> Site {
    Site::new(&[("rules.yaml", RULES), ("a.lua", &versioned("one"))])
}

/// A host as a service manager starts it.
fn service(site: &Site, manager: &Manager, arguments: &[&str]) -> Command {
    let mut command = site.command(&[&["run", "--log-format", "json"], arguments].concat());
    command.env("NOTIFY_SOCKET", &manager.name);
    command
}

fn start(mut command: Command) -> Running {
    Running { process: Process::start(&mut command) }
}

/// Microseconds of the clock that tells reloads apart.
fn now() -> u64 {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    // It has hundredths; it does not stand while the machine sleeps, which a test does not live to see.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a machine is not up for so long")]
    let microseconds = (seconds * 1e6) as u64;
    microseconds
}

/// Takes what belongs to one reload: that it begins, by when, and the sentence at its end.
fn reload(manager: &Manager) -> (u64, String) {
    let began = manager.expect("RELOADING=1");
    let [time] = &began[..] else { panic!("both in one datagram, and nothing else: {began:?}") };
    let time = time.strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    let ready = manager.until("the end of the reload", |lines| (lines[0] == "READY=1").then(|| lines.to_vec()));
    (time, ready[1].strip_prefix("STATUS=").unwrap().to_owned())
}

#[test]
fn it_is_ready_before_the_daemon_is_there_and_says_how_its_streams_do() {
    let (site, manager) = (site(), Manager::new());
    site.wait(site.simulator.stop());
    let host = start(service(&site, &manager, &[]));
    let first = manager.next(manager::PATIENCE).unwrap();
    assert_eq!(first, ["READY=1", "STATUS=0 of 1 stream open: connecting to the daemon; 1 rule"]);
    assert_eq!(events(&host.process.printed(), "feed_opened").len(), 0);
    let lost = manager.sentence("UNAVAILABLE");
    assert!(lost.starts_with("0 of 1 stream open: UNAVAILABLE: ") && lost.ends_with("; 1 rule"), "{lost}");
    manager.sentence(", next try ");
    let daemon = site.another_daemon(&site.simulator, site::KEY);
    assert_eq!(manager.sentence("1 of 1 stream open"), "1 rule, 1 of 1 stream open");
    site.wait(daemon.stop());
    manager.sentence("0 of 1 stream open: ");
    // One that does not want us: the words are the daemon's, and tell no key.
    let stranger = site.another_daemon(&daemon, "another-key");
    let refused = manager.sentence(", the daemon refuses: ");
    assert!(refused.contains("UNAUTHENTICATED: ") && !refused.contains(site::KEY), "{refused}");
    site.wait(stranger.stop());
    host.stop();
    assert!(manager.told().iter().all(|lines| !lines.contains(&"WATCHDOG=1".to_owned())), "nobody asked for it");
}

#[test]
fn every_reload_is_told_with_its_time_and_what_came_of_it() {
    let (site, manager) = (site(), Manager::nameless(&format!("olvid-rules-test-{}", std::process::id())));
    let host = start(service(&site, &manager, &[]));
    manager.expect("READY=1");
    manager.sentence("1 rule, 1 of 1 stream open");
    let asked = now();
    host.process.signal("HUP");
    let (time, sentence) = reload(&manager);
    // The clock that the test reads goes by hundredths.
    assert!(time + 10_000 >= asked && time <= now() + 10_000, "{asked} {time}");
    assert!(
        sentence.starts_with("1 rule, 1 of 1 stream open, reloaded 20") && sentence.ends_with(" UTC"),
        "{sentence}"
    );
    // A mistake: what ran goes on, and the manager is not left waiting.
    site.write("rules.yaml", RULES.replace("message_received", "message_recieved"));
    let (later, sentence) = reload(&manager);
    assert!(later > time);
    assert!(sentence.starts_with("reload failed 20"), "{sentence}");
    assert!(sentence.contains(" UTC: rules.yaml:2:30: ") && sentence.contains("message_recieved"), "{sentence}");
    assert!(sentence.ends_with("; 1 rule of before run on, 1 of 1 stream open"), "{sentence}");
    // The same by the signal, and over the control socket.
    host.process.signal("HUP");
    assert_eq!(reload(&manager).1.split(" UTC: ").nth(1), sentence.split(" UTC: ").nth(1));
    site.write("rules.yaml", format!("{RULES}  - {{ name: b, subscription: contact_new, handler: a.lua }}\n"));
    let (_, sentence) = reload(&manager);
    assert!(sentence.contains("2 rules") && sentence.contains(", reloaded 20"), "{sentence}");
    manager.sentence("2 rules, 2 of 2 streams open, reloaded 20");
    let asked = site.command(&["reload", "--wait"]).output().unwrap();
    assert_eq!(asked.status.code(), Some(0));
    reload(&manager);
    host.stop();
}

#[test]
fn many_reloads_at_once_are_told_in_pairs() {
    let (site, manager) = (site(), Manager::new());
    let host = start(service(&site, &manager, &[]));
    manager.expect("READY=1");
    for _ in 0..20 {
        host.process.signal("HUP");
    }
    reload(&manager);
    host.process.terminate();
    manager.expect("STOPPING=1");
    let phases: Vec<_> = manager.told().into_iter().map(|mut lines| lines.swap_remove(0)).collect();
    let phases: Vec<_> = phases.iter().filter(|line| !line.starts_with("STATUS=")).map(String::as_str).collect();
    assert_eq!((phases[0], phases[phases.len() - 1]), ("READY=1", "STOPPING=1"));
    // The end may come in the middle of the last.
    for pair in phases[1..phases.len() - 1].chunks(2) {
        assert_eq!(pair, &["RELOADING=1", "READY=1"][..pair.len()], "{phases:?}");
    }
    host.process.ended();
}

/// A handler that runs until a file is there.
const SLOW: &str = "return function(n) print('runs') while not pcall(require, 'go') do sleep(0.01) end end";

/// A host that was asked to stop while such a handler runs.
fn stopping() -> (Site, Manager, Running) {
    let (site, manager) = (site(), Manager::new());
    site.write("a.lua", SLOW);
    let host = start(service(&site, &manager, &["--grace", "3600"]));
    manager.sentence("1 of 1 stream open");
    site.emit(1, "x");
    host.until_said("runs");
    host.process.terminate();
    (site, manager, host)
}

#[test]
fn the_end_is_told_first_and_takes_the_time_that_it_needs() {
    let (site, manager, host) = stopping();
    let first = manager.next(manager::PATIENCE).unwrap();
    assert_eq!(first, ["STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000", "STATUS=stopping"]);
    assert_eq!(manager.sentence("stopping; "), "stopping; 1 notifications to finish");
    // Sooner than what was asked for is over, it is asked for more.
    manager.expect("EXTEND_TIMEOUT_USEC=15000000");
    site.write("go.lua", "return true");
    let (status, log) = host.process.ended();
    assert_eq!((status.code(), events(&log, "stopped").len()), (Some(0), 1), "{}", log.join("\n"));
}

#[test]
fn a_second_signal_is_not_held_up() {
    let (_site, manager, host) = stopping();
    manager.expect("STOPPING=1");
    host.process.terminate();
    let (status, log) = host.process.ended();
    assert_eq!((status.code(), events(&log, "stopped").len()), (Some(0), 0), "{}", log.join("\n"));
}

#[test]
fn a_start_that_fails_leaves_the_reason() {
    let (site, manager) = (site(), Manager::new());
    site.write("rules.yaml", RULES.replace("a.lua", "b.lua").replace("name: a", "name: a, nmae: x"));
    let (status, _) = start(service(&site, &manager, &[])).process.ended();
    assert_eq!(status.code(), Some(1));
    let said = manager.sentence("not started: ");
    assert!(said.contains("rules.yaml:2:") && said.ends_with(" (and 1 more mistake)"), "{said}");
    let mut command = service(&site, &manager, &[]);
    command.env_remove("OLVID_CLIENT_KEY").current_dir("/");
    assert_eq!(start(command).process.ended().0.code(), Some(2));
    assert!(manager.sentence("not started: ").contains("no client key: "));
    // Asked to end before it runs.
    site.write("rules.yaml", RULES);
    site.write("a.lua", format!("print('loads') while not pcall(require, 'go') do end {}", versioned("one")));
    let host = start(service(&site, &manager, &[]));
    host.until_said("loads");
    host.process.terminate();
    assert_eq!(manager.next(manager::PATIENCE).unwrap()[0], "STOPPING=1");
    host.process.ended();
    assert!(manager.told().iter().all(|lines| lines[0] != "READY=1"));
}

#[test]
fn a_manager_that_cannot_be_reached_is_no_failure() {
    for name in
        ["", "nowhere", "/nowhere/notify", "@olvid-rules-nowhere", "vsock:2:1", &format!("/{}", "x".repeat(200))]
    {
        let site = site();
        let mut command = site.command(&["run", "--log-format", "json"]);
        command.env("NOTIFY_SOCKET", name).env("WATCHDOG_USEC", "1000");
        let host = start(command);
        host.process.events("feed_opened", 1);
        host.process.signal("HUP");
        host.reloads(1);
        host.stop();
    }
    // One that was there and is gone.
    let (site, manager) = (site(), Manager::new());
    let host = start(service(&site, &manager, &[]));
    manager.expect("READY=1");
    drop(manager);
    host.process.signal("HUP");
    host.reloads(1);
    host.stop();
}

#[test]
fn no_command_but_run_speaks_to_the_manager() {
    let (site, manager) = (site(), Manager::new());
    for arguments in [&["check"][..], &["catalog"], &["status"], &["reload", "--wait"], &["test"]] {
        site.command(arguments).env("NOTIFY_SOCKET", &manager.name).output().unwrap();
    }
    assert_eq!(manager.next(std::time::Duration::from_millis(1)), None);
}
