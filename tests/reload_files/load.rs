//! Reloads under load: none is lost, none is in the way, and nothing is left of what was replaced.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use olvid_rules::simulator::Reply;
use serde_json::json;
use tokio::sync::Notify;

use crate::{
    process::events,
    site::{Running, Site, descriptors, emit, proc_status, reloads, versioned},
};

const RULES: &str = "rules:\n  - { name: a, subscription: message_received, handler: a.lua, timeout: 2s }\n";

/// Saves that follow each other faster than a reload.
const BURST: Duration = Duration::from_millis(40);

/// Bursts of saves, and saves of each.
const ROUNDS: usize = 10;
const SAVES: usize = 4;

/// Threads for files and names, which stay.
const FILES: u64 = 4;

const PATIENCE: Duration = Duration::from_mins(1);

/// Memory that reloads may leave in use, in kB.
const SOME: u64 = 64 * 1024;

/// Threads, open files and memory of a host.
fn resources(host: &Running) -> [u64; 3] {
    let id = host.process.id();
    [proc_status(id, "Threads"), descriptors(id), proc_status(id, "VmRSS")]
}

/// Waits until a host has no more threads and files than it had, but for those that stay.
fn back_to(host: &Running, base: [u64; 3]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = resources(host);
        if now[0] <= base[0] + FILES && now[1] <= base[1] {
            assert!(now[2] <= base[2] + SOME, "memory grew from {} to {} kB", base[2], now[2]);
            return;
        }
        assert!(Instant::now() < deadline, "of {base:?} {now:?} are left");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn many_saves_under_load_lose_nothing_and_leave_nothing() {
    let site = Site::new(&[("rules.yaml", RULES), ("a.lua", &versioned("v0"))]);
    let host = site.run(&[]);
    site.write("a.lua", versioned("warm"));
    assert_eq!(host.reload(1).0, "applied");
    let base = resources(&host);
    let ended = Arc::new(AtomicBool::new(false));
    let (simulator, over) = (site.simulator.handle(), Arc::clone(&ended));
    let sending = thread::spawn(move || {
        let mut sent = 0;
        while !over.load(Ordering::Relaxed) {
            assert_eq!(emit(&simulator, 1, &format!("m{sent}")), 1, "the stream stays open");
            sent += 1;
            thread::sleep(Duration::from_millis(2));
        }
        sent
    });
    for round in 0..ROUNDS {
        for save in 0..SAVES {
            site.write("x", versioned(&format!("v{round}.{save}")));
            std::fs::rename(site.path("x"), site.path("a.lua")).unwrap();
            thread::sleep(BURST);
        }
        host.until_said(&format!("v{round}.{} ", SAVES - 1));
    }
    ended.store(true, Ordering::Relaxed);
    let sent: usize = sending.join().unwrap();
    host.until_said(&format!("v{}.{} m{} ", ROUNDS - 1, SAVES - 1, sent - 1));
    back_to(&host, base);
    assert_eq!(site.simulator.opened("bot"), 1);
    let log = host.stop();
    let said: Vec<_> = events(&log, "said").iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect();
    let handled: Vec<_> = said.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    let wanted: Vec<_> = (0..sent).map(|number| format!("m{number}")).collect();
    assert!(handled == wanted, "{sent} were sent, {} handled", handled.len());
    let reloads = reloads(&log);
    assert!((ROUNDS + 1..=ROUNDS * SAVES + 1).contains(&reloads.len()), "{}", reloads.len());
    assert!(reloads.iter().all(|reload| reload["result"] == "applied"));
}

#[test]
fn a_storm_of_signals_is_few_reloads_and_the_next_one_counts() {
    let site = Site::new(&[("rules.yaml", RULES), ("a.lua", &versioned("one"))]);
    let host = site.run(&[]);
    site.emit(1, "before");
    host.said(1);
    let base = resources(&host);
    let storm = "i=0; while [ $i -lt 10000 ]; do kill -HUP \"$0\"; i=$((i + 1)); done";
    let status = Command::new("sh").args(["-c", storm, &host.process.id().to_string()]).status().unwrap();
    assert!(status.success());
    site.emit(1, "after");
    assert_eq!(host.said(2)[1], "one after 2", "the VM stays");
    site.write("a.lua", versioned("two"));
    host.process.signal("HUP");
    host.process.until("an applied reload", |line| line.contains("\"result\":\"applied\"").then_some(()));
    site.emit(1, "last");
    assert_eq!(host.said(3)[2], "two last 1");
    back_to(&host, base);
    let log = host.stop();
    let reloads = reloads(&log);
    assert!((2..5000).contains(&reloads.len()), "{}", reloads.len());
    assert_eq!(reloads.iter().filter(|reload| reload["result"] == "applied").count(), 1);
    assert!(reloads.iter().any(|reload| reload["trigger"] == "signal"));
}

#[test]
fn what_runs_ends_on_the_old_code_and_the_old_code_ends_with_it() {
    // Its end is the daemon's to decide; for one body it never comes.
    let script = |version: &str| {
        format!(
            "return function(n)
  print('{version} begins ' .. n.message.body)
  if n.message.body == 'stuck' then sleep(3600) end
  olvid.identity_get{{}}
  print('{version} ends ' .. n.message.body)
end"
        )
    };
    let site = Site::new(&[("rules.yaml", &RULES.replace("2s", "10s")), ("a.lua", &script("old"))]);
    let host = site.run(&[]);
    // Its connection for commands stays.
    site.emit(9, "warm");
    host.until_said("old ends warm");
    let base = resources(&host);
    let gate = Arc::new(Notify::new());
    site.simulator.script("identity_get", Reply::Hold(Arc::clone(&gate)), 2);
    for (discussion, body) in [(1, "a"), (1, "b"), (2, "c")] {
        site.emit(discussion, body);
    }
    site.emit(3, "stuck");
    host.said(2 + 3);
    site.write("a.lua", script("new"));
    assert_eq!(host.reload(1).0, "applied");
    site.emit(2, "d");
    site.emit(4, "e");
    host.until_said("new ends e");
    // Each lets one of them go.
    gate.notify_one();
    host.process.until("an end", |line| line.contains("old ends ").then_some(()));
    gate.notify_one();
    for said in ["old ends a", "new ends b", "old ends c", "new ends d"] {
        host.until_said(said);
    }
    let late = host.process.events("run_failed", 1);
    assert_eq!((&late[0]["kind"], &late[0]["rule"]), (&json!("timeout"), &json!("a")), "its timeout ends it");
    back_to(&host, base);
    let log = host.stop();
    for body in ["a", "b", "c", "d", "e"] {
        let told: Vec<_> = log.iter().filter(|line| line.contains(&format!("ends {body}\""))).collect();
        assert_eq!(told.len(), 1, "never two versions for one: {told:?}");
    }
    assert_eq!(events(&log, "run_failed").len(), 1);
}
