//! A host that runs, as its operator has to do with it: keys that change, `status` and `reload`, stopping; and `dev`,
//! which is edited while one chats.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "running/contained.rs"]
mod contained;
#[path = "support/process.rs"]
mod process;
#[path = "reload_files/site.rs"]
mod site;
#[path = "running/stopping.rs"]
mod stopping;
#[path = "running/telling.rs"]
mod telling;

use std::{fs, io::Write as _, process::Command};

use olvid_rules::simulator::Reply;
use process::{Process, events};
use serde_json::{Value as Json, json};
use site::{KEY, Running, Site, emit, versioned};
use tonic::Code;

const THREE: &str = "rules:
  - { name: a, subscription: message_received, handler: a.lua }
  - { name: b, subscription: contact_new, handler: a.lua }
  - { name: c, subscription: group_new, handler: a.lua }
";

const NEW_KEY: &str = "9c1e-new-bot-key";

/// A host that has its key from a file.
fn with_key_file(site: &Site) -> Running {
    site.write("key", format!("{KEY}\n"));
    site.shell("chmod 600 key", "");
    let mut command = site.command(&["run", "--log-format", "json"]);
    command.env_remove("OLVID_CLIENT_KEY").env("OLVID_CLIENT_KEY_FILE", "key");
    Running { process: Process::start(&mut command) }
}

fn three() -> Site {
    Site::new(&[("rules.yaml", THREE), ("a.lua", &versioned("one"))])
}

/// Waits until the daemon's refusal was told, for all streams, and shown; returns when the next attempt would be.
fn refused(site: &Site, host: &Running, times: usize) -> String {
    let told = host.process.events("feed_refused", 3 * times);
    assert_eq!(told.len(), times, "once for all streams: {told:#?}");
    let last = &told[times - 1];
    assert!(last["message"].as_str().unwrap().contains("UNAUTHENTICATED: Invalid client key"), "{last}");
    let feeds = status(site)["feeds"].as_array().unwrap().clone();
    assert!(feeds.iter().all(|feed| feed["state"] == "refused"), "{feeds:#?}");
    feeds.iter().map(|feed| feed["next_try"].as_str().unwrap().to_owned()).min().unwrap()
}

#[test]
fn a_key_that_the_daemon_refuses_is_told_once_and_the_new_one_is_taken_at_once() {
    let site = three();
    let host = with_key_file(&site);
    host.process.events("feed_opened", 3);
    let daemon = site.another_daemon(&site.simulator, NEW_KEY);
    let next_try = refused(&site, &host, 1);
    // A file that is no key, or not there, changes nothing.
    for script in ["printf '%s\\n%s\\n' \"$NEW\" \"$NEW\" > key", "rm key"] {
        let before = events(&host.process.printed(), "notice").len();
        site.shell(script, NEW_KEY);
        let notices = host.process.events("notice", before + 1);
        assert!(notices[before]["message"].as_str().unwrap().starts_with("the former key goes on: "), "{notices:?}");
    }
    site.write("key", NEW_KEY);
    let opened = host.process.events("feed_opened", 6);
    assert!(opened.last().unwrap()["timestamp"].as_str().unwrap() < next_try.as_str(), "{opened:?} {next_try}");
    emit(&daemon, 1, "x");
    assert_eq!(host.said(1), ["one x 1"]);
    let log = host.stop();
    assert!(!log.iter().any(|line| line.contains(NEW_KEY)), "{}", log.join("\n"));
    assert!(events(&log, "reloaded").is_empty(), "a key is no rule");
}

#[test]
fn a_key_that_the_daemon_learns_is_tried_at_the_signal() {
    let site = three();
    let host = with_key_file(&site);
    host.process.events("feed_opened", 3);
    let stranger = site.another_daemon(&site.simulator, NEW_KEY);
    let next_try = refused(&site, &host, 1);
    // The host cannot know that it is welcome again.
    let daemon = site.another_daemon(&stranger, KEY);
    host.process.signal("HUP");
    let opened = host.process.events("feed_opened", 6);
    assert!(opened.last().unwrap()["timestamp"].as_str().unwrap() < next_try.as_str(), "{opened:?} {next_try}");
    emit(&daemon, 1, "x");
    assert_eq!(host.said(1), ["one x 1"]);
    host.stop();
}

/// The status of the only host.
fn status(site: &Site) -> Json {
    let output = site.command(&["status", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Waits for a status that is as wanted.
fn status_when(site: &Site, wanted: impl Fn(&Json) -> bool) -> Json {
    let mut last = Json::Null;
    for _ in 0..300 {
        last = status(site);
        if wanted(&last) {
            return last;
        }
    }
    panic!("{last:#}");
}

const KINDS: &str = "rules:
  - { name: open, subscription: message_received, filter: { body_search: . }, handler: a.lua }
  - { name: twin, subscription: message_received, filter: { body_search: . }, lua: error('no') }
  - { name: done, subscription: message_received, count: 2, handler: a.lua }
  - { name: refused, subscription: contact_new, handler: a.lua }
  - { name: opening, subscription: group_new, handler: a.lua }
";

/// What a file holds, by somebody else's reckoning.
fn sum(site: &Site, name: &str) -> String {
    let output = Command::new("sha256sum").arg(site.path(name)).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn the_status_is_what_runs() {
    let script = format!("require('lib.util') {}", versioned("one"));
    let site = Site::new(&[("rules.yaml", KINDS), ("a.lua", &script), ("lib/util.lua", "return 1")]);
    site.simulator.script("contact_new", Reply::Status(Code::InvalidArgument, "not so".to_owned()), 1000);
    site.simulator.script("group_new", Reply::Status(Code::Unavailable, "too busy".to_owned()), 1000);
    let host = site.begin(&[]);
    host.process.events("feed_opened", 2);
    host.process.events("feed_refused", 1);
    site.emit(1, "x");
    site.emit(1, "y");
    host.process.events("feed_completed", 1);
    let quiet = |status: &Json| status["counters"]["handled"] == 6 && feed(status, "group_new")["next_try"].is_string();
    let status = status_when(&site, quiet);
    assert_eq!(status["counters"], json!({ "received": 4, "queued": 6, "handled": 6, "failed": 2 }));
    let rule = |name: &str| status["rules"].as_array().unwrap().iter().find(|rule| rule["name"] == name).unwrap();
    let wanted = [("open", "open", 2, 0, 2), ("twin", "open", 2, 2, 3), ("done", "completed", 2, 0, 4)];
    for (name, state, handled, failed, line) in
        wanted.into_iter().chain([("refused", "refused", 0, 0, 5), ("opening", "opening", 0, 0, 6)])
    {
        let rule = rule(name);
        let found = [
            &rule["state"],
            &rule["handled"],
            &rule["failed"],
            &rule["line"],
            &rule["file"],
            &rule["queued"],
            &rule["running"],
        ];
        assert_eq!(json!(found), json!([state, handled, failed, line, "rules.yaml", 0, 0]), "{name}");
    }
    assert_eq!(status["feeds"].as_array().unwrap().len(), 4);
    let twins =
        status["feeds"].as_array().unwrap().iter().find(|feed| feed["rules"] == json!(["open", "twin"])).unwrap();
    assert_eq!(
        (&twins["state"], &twins["received"], &twins["cause"], &twins["next_try"]),
        (&json!("open"), &json!(2), &Json::Null, &Json::Null)
    );
    assert!(twins["last_notification"].as_str().unwrap() >= twins["since"].as_str().unwrap());
    let done = status["feeds"].as_array().unwrap().iter().find(|feed| feed["rules"] == json!(["done"])).unwrap();
    assert_eq!((&done["state"], &done["remaining"]), (&json!("completed"), &json!(0)));
    for (name, state, cause) in
        [("contact_new", "refused", "INVALID_ARGUMENT: not so"), ("group_new", "opening", "UNAVAILABLE: too busy")]
    {
        let feed = feed(&status, name);
        assert_eq!((&feed["state"], &feed["cause"]), (&json!(state), &json!(cause)));
        assert!(feed["next_try"].is_string());
    }
    let scripts = status["scripts"].as_array().unwrap();
    let a = scripts.iter().find(|script| script["name"] == "a.lua").unwrap();
    assert_eq!((&a["generation"], &a["rules"]), (&json!(1), &json!(["done", "open", "opening", "refused"])));
    assert_eq!(scripts.len(), 2);
    for name in ["a.lua", "lib/util.lua"] {
        let files = a["files"].as_object().unwrap();
        let held = files.iter().find(|(path, _)| path.ends_with(name)).unwrap().1;
        assert!(held.as_str().unwrap().contains(&sum(&site, name)), "{files:?}");
    }
    let files = status["files"].as_object().unwrap();
    let held = files.iter().find(|(path, _)| path.ends_with("rules.yaml")).unwrap().1;
    assert!(held.as_str().unwrap().contains(&sum(&site, "rules.yaml")), "{files:?}");
    assert_eq!(
        (&status["generation"], &status["reload"]["result"], &status["pid"]),
        (&json!(1), &json!("started"), &json!(host.process.id()))
    );
    let text = String::from_utf8(site.command(&["status"]).output().unwrap().stdout).unwrap();
    for part in [
        "5 rules, 1 of 4 streams open",
        "1 opening, 1 refused, 1 completed",
        "INVALID_ARGUMENT: not so",
        "twin (rules.yaml:3): 2 failed",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains(KEY) && !status.to_string().contains(KEY));
    // Another generation of one script, and no other.
    site.write("a.lua", versioned("two"));
    assert_eq!(host.reload(1).0, "applied");
    let status = self::status(&site);
    let generation = |name: &str| {
        let mut scripts = status["scripts"].as_array().unwrap().iter();
        scripts.find(|script| script["rules"].to_string().contains(name)).unwrap()["generation"].clone()
    };
    assert_eq!(
        (generation("\"open\""), generation("\"twin\""), &status["reload"]["scripts"]),
        (json!(2), json!(1), &json!(["a.lua"]))
    );
    assert_eq!(feed(&status, "contact_new")["state"], "refused");
    host.stop();
}

fn feed<'a>(status: &'a Json, subscription: &str) -> &'a Json {
    let mut feeds = status["feeds"].as_array().unwrap().iter();
    feeds.find(|feed| feed["subscription"] == subscription).unwrap()
}

/// Runs a command of the program to its end: its code, what it answered and what it told.
fn typed(site: &Site, arguments: &[&str]) -> (i32, String, String) {
    let output = site.command(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_reload_is_asked_for_and_its_outcome_told() {
    let site = three();
    let host = site.run(&[]);
    let (code, answer, told) = typed(&site, &["reload", "--wait"]);
    assert_eq!((code, answer.as_str(), told.as_str()), (0, "nothing changed (generation 1)\n", ""));
    site.write("a.lua", "return function(");
    let (code, answer, told) = typed(&site, &["reload", "--wait"]);
    assert_eq!((code, answer.as_str()), (1, ""), "{told}");
    assert!(told.contains("error[lua-syntax]") && told.contains("a.lua:1:"), "{told}");
    assert!(told.ends_with("rejected: the running rules stay as they are (generation 1)\n"), "{told}");
    let (code, answer, _) = typed(&site, &["reload", "--wait", "--format", "json"]);
    let outcome: Json = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (code, &outcome["result"], &outcome["diagnostics"][0]["code"]),
        (1, &json!("rejected"), &json!("lua-syntax"))
    );
    assert!(typed(&site, &["status"]).1.contains("RELOAD REJECTED"));
    site.emit(1, "x");
    assert_eq!(host.said(1), ["one x 1"]);
    site.write("a.lua", versioned("two"));
    let (code, answer, told) = typed(&site, &["reload", "--wait"]);
    assert_eq!((code, told.as_str()), (0, ""));
    // The watch may have been first.
    assert!(
        answer.starts_with("reloaded: generation 2 (0 added, 0 removed, 0 changed, 3 kept; 1 script replaced) in ")
            || answer == "nothing changed (generation 2)\n",
        "{answer}"
    );
    assert_eq!(typed(&site, &["reload"]), (0, "asked for a reload\n".to_owned(), String::new()));
    site.emit(1, "x");
    assert_eq!(host.said(2)[1], "two x 1");
    host.stop();
    let (code, answer, told) = typed(&site, &["status"]);
    assert_eq!((code, answer.as_str()), (69, ""), "{told}");
    site.shell("test -z \"$(ls ../runtime/olvid-rules)\"", "");
}

#[test]
fn the_status_is_there_while_a_script_loads() {
    let site = three();
    let host = site.run(&[]);
    // As long as a script may compute while it is loaded, nearly.
    let slow = "print('loading') local begun = os.clock() while os.clock() - begun < 1.5 do end ".to_owned();
    let slow = slow + &versioned("two");
    site.write("a.lua", slow);
    let reload = Process::start(&mut site.command(&["reload", "--wait"]));
    host.until_said("loading");
    let seen = status(&site);
    assert_eq!((&seen["generation"], &seen["rules"][0]["state"]), (&json!(1), &json!("open")));
    site.emit(1, "x");
    host.until_said("one x 1");
    let (code, printed) = reload.ended();
    assert_eq!(code.code(), Some(0), "{printed:?}");
    assert!(status(&site)["generation"].as_u64().unwrap() >= 2);
    host.stop();
}

#[test]
fn two_hosts_are_told_apart_by_their_directories() {
    let site = three();
    for name in ["other/rules.yaml", "other/a.lua"] {
        site.write(name, fs::read(site.path(name.strip_prefix("other/").unwrap())).unwrap());
    }
    let host = site.run(&[]);
    let mut command = site.command(&["run", "--log-format", "json"]);
    let other = Running { process: Process::start(command.current_dir(site.path("other"))) };
    other.process.events("feed_opened", 3);
    assert_eq!(status(&site)["pid"], host.process.id());
    let mut command = site.command(&["status", "--json"]);
    let output = command.current_dir(site.path("other")).output().unwrap();
    assert_eq!(serde_json::from_slice::<Json>(&output.stdout).unwrap()["pid"], other.process.id());
    let mut command = site.command(&["status"]);
    assert_eq!(command.current_dir("/").output().unwrap().status.code(), Some(2));
    other.stop();
    host.stop();
}

#[test]
fn dev_takes_an_edit_between_two_lines() {
    let rules = "rules:\n  - { name: a, subscription: message_received, handler: a.lua }\n";
    let answer = |text: &str| format!("return function(n) n.message:reply('{text} ' .. n.message.body) end");
    let site = Site::new(&[("rules.yaml", rules), ("a.lua", &answer("one"))]);
    let (dev, mut input) = Process::start_with_input(&mut site.command(&["dev"]));
    writeln!(input, "hello").unwrap();
    dev.until("the answer", |line| line.contains("one hello").then_some(()));
    site.write("a.lua", answer("two"));
    dev.until("the reload", |line| line.contains("reloaded in ").then_some(()));
    writeln!(input, "again").unwrap();
    dev.until("the new answer", |line| line.contains("two again").then_some(()));
    site.write("a.lua", "return function(");
    dev.until("the mistake", |line| line.contains("a.lua:1:").then_some(()));
    dev.until("the rejection", |line| line.contains("rejected").then_some(()));
    writeln!(input, "still").unwrap();
    dev.until("the answer of what runs", |line| line.contains("two still").then_some(()));
    drop(input);
    let (status, printed) = dev.ended();
    assert_eq!(status.code(), Some(0), "{}", printed.join("\n"));
}
