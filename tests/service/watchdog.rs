//! The watchdog hears that all is well where it is, and nothing where it is not.

use std::time::Duration;

use crate::{
    Manager, RULES, Running, Site,
    held::{Held, until_state},
    process::{Process, events},
    service,
    site::versioned,
};

/// How often the manager wants to hear of the host.
const EVERY: Duration = Duration::from_millis(600);

const PING: &str = "WATCHDOG=1";

fn watched(site: &Site, manager: &Manager) -> Running {
    let mut command = service(site, manager, &[]);
    command.env("WATCHDOG_USEC", EVERY.as_micros().to_string());
    let host = Running { process: Process::start(&mut command) };
    manager.sentence("2 of 2 streams open");
    host
}

fn two_rules() -> String {
    format!("{RULES}  - {{ name: b, subscription: contact_new, handler: b.lua, timeout: 5s, cpu: 100ms }}\n")
}

fn two() -> Site {
    Site::new(&[("rules.yaml", &two_rules()), ("a.lua", &versioned("one")), ("b.lua", &versioned("two"))])
}

#[test]
fn it_hears_of_a_host_that_is_well_and_of_none_that_stands_still() {
    let (site, manager) = (two(), Manager::new());
    let host = watched(&site, &manager);
    for _ in 0..5 {
        manager.expect(PING);
    }
    // However busy it is.
    for number in 0..2000 {
        site.emit(number, "x");
    }
    manager.expect(PING);
    host.process.signal("STOP");
    until_state(&format!("/proc/{}", host.process.id()), 'T');
    manager.drain();
    assert_eq!(manager.next(3 * EVERY), None);
    host.process.signal("CONT");
    for _ in 0..5 {
        manager.expect(PING);
    }
    let log = host.stop();
    assert!(events(&log, "script_stalled").is_empty());
}

#[test]
fn it_hears_nothing_while_a_script_does_not_come_back() {
    let (site, manager) = (two(), Manager::new());
    let host = watched(&site, &manager);
    manager.expect(PING);
    let Some(held) = Held::script(host.process.id(), "b.lua") else {
        #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
        {
            eprintln!("skipped: it takes a privilege to hold a thread of the host");
        }
        return;
    };
    let stalled = host.process.events("script_stalled", 1).remove(0);
    assert_eq!(
        (&stalled["script"], &stalled["rules"][0], &stalled["level"]),
        (&"b.lua".into(), &"b".into(), &"error".into())
    );
    let message = stalled["message"].as_str().unwrap();
    assert!(message.starts_with("`b.lua` has made no progress for 1") && message.contains("anew"), "{message}");
    let sentence = manager.sentence("no progress of `b.lua` for 1");
    assert!(sentence.ends_with("; 2 rules, 2 of 2 streams open"), "{sentence}");
    manager.drain();
    let before = manager.told().len();
    // It speaks on, and says what is wrong; the other script works.
    manager.sentence("no progress");
    manager.sentence("no progress");
    site.emit(1, "x");
    host.until_said("one x 1");
    manager.drain();
    assert!(!manager.told()[before..].iter().any(|lines| lines.contains(&PING.to_owned())));
    // Where the rules that are there now would not start, it is better to go on with what is left.
    site.write("rules.yaml", RULES.replace("a.lua", "nothing.lua"));
    manager.expect(PING);
    site.write("rules.yaml", two_rules());
    drop(held);
    for _ in 0..5 {
        manager.expect(PING);
    }
    let log = host.stop();
    let told = events(&log, "script_stalled");
    assert_eq!(told.len(), 1, "once: {told:#?}");
}
