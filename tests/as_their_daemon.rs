//! The host against a daemon made of the published package's own generated classes: what it asks for, what handlers see,
//! and what becomes of streams that end, break or are refused. Skipped, audibly, where there is no Python or no package
//! index.
//!
//! The daemon and its half of each story are `python/as_their_daemon.py`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/prepared.rs"]
mod prepared;
#[path = "support/process.rs"]
mod process;
#[path = "support/python.rs"]
mod python;
#[path = "as_their_daemon/requests.rs"]
mod requests;

use std::fs;

use process::{Process, assert_log, events, program};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// As `as_their_daemon.py` has them.
const KEY: &str = "conformance-client-key";
const ADMIN_KEY: &str = "conformance-admin-key";

/// A story under way: the daemon, and the host with the rules of a folder.
struct Story {
    daemon: Process,
    host: Process,
    _folder: TempDir,
}

/// What is left of a story: what the daemon printed, and the host's log.
struct Told {
    daemon: Vec<String>,
    log: Vec<String>,
}

impl Story {
    fn begin(name: &str, argument: &str, folder: TempDir, keys: &[(&str, &str)]) -> Option<Self> {
        let interpreter = python::interpreter()?;
        let daemon = Process::start(&mut process::python(&interpreter, "as_their_daemon.py", &[name, argument]));
        let port = daemon.until("port", |line| line.strip_prefix("port ").map(str::to_owned));
        let url = format!("http://127.0.0.1:{port}");
        let variables = [&[("OLVID_DAEMON_URL", url.as_str())], keys].concat();
        let host = Process::start(&mut program(folder.path(), &["run", ".", "--log-format", "json"], &variables));
        Some(Self { daemon, host, _folder: folder })
    }

    /// Waits for the daemon's side to be content, then stops the host, which must end well and not tell its keys.
    fn end(self) -> Told {
        if let Err(told) = self.daemon.waited("ok", |line| (line == "ok").then_some(())) {
            panic!("{told}\nand the host:\n{}", self.host.printed().join("\n"));
        }
        self.host.terminate();
        let (status, log) = self.host.ended();
        assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
        assert_log(&log);
        assert!(!log.iter().any(|line| line.contains(KEY) || line.contains(ADMIN_KEY)), "{}", log.join("\n"));
        assert_eq!(events(&log, "stopped").len(), 1);
        Told { daemon: self.daemon.printed(), log }
    }
}

impl Told {
    fn events(&self, name: &str) -> Vec<Json> {
        events(&self.log, name)
    }
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Tells a story with rules in one file and a client key.
fn tell(name: &str, rules: &str) -> Option<Told> {
    Some(Story::begin(name, "", folder(&[("rules.yaml", rules)]), &[("OLVID_CLIENT_KEY", KEY)])?.end())
}

const SAY: &str = "local n, rule = ...\nolvid.storage_set{ key = rule.name, value = json.encode(n) }\n";

/// How a round's rules are written, and what handles them: inline, a script, a function of a script.
fn written(round: usize, rules: Vec<serde_json::Map<String, Json>>) -> String {
    let (key, handler) = match round {
        0 => ("lua", SAY),
        1 => ("handler", "say.lua"),
        _ => ("handler", "table.lua:say"),
    };
    let with_handler = |mut rule: serde_json::Map<String, Json>| {
        rule.insert(key.into(), handler.into());
        rule
    };
    let file = json!({ "rules": rules.into_iter().map(with_handler).collect::<Vec<_>>() });
    if round == 1 { file.to_string() } else { serde_yaml::to_string(&file).unwrap() }
}

#[test]
fn all_46_are_asked_for_as_written_and_handlers_see_every_notification_as_it_is() {
    let folder = folder(&[
        ("say.lua", &format!("return function(...) {SAY} end")),
        ("table.lua", &format!("return {{ say = function(...) {SAY} end }}")),
    ]);
    let mut expected = Vec::new();
    for round in 0..requests::rounds() {
        let meant = requests::round(round);
        assert_eq!(meant.len(), 46);
        let (rules, requests): (Vec<_>, Vec<_>) = meant.into_iter().map(|meant| (meant.rule, meant.expected)).unzip();
        fs::write(folder.path().join(format!("round{round}.yaml")), written(round, rules)).unwrap();
        expected.extend(requests);
    }
    let path = folder.path().join("expected.json");
    fs::write(&path, Json::from(expected.clone()).to_string()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    let Some(story) = Story::begin("everything", &path, folder, &[("OLVID_CLIENT_KEY", KEY)]) else { return };
    let told = story.end();
    let summary = format!("{} requests and {} notifications agree", expected.len(), expected.len() * 10);
    assert!(told.daemon.contains(&summary), "{:?}", told.daemon);
    assert_eq!(process::streams(&told.events("feed_opened")), expected.len());
    for unwanted in ["run_failed", "feed_lost", "feed_refused", "feed_completed", "load_warning"] {
        assert_eq!(told.events(unwanted), [] as [Json; 0]);
    }
}

#[test]
fn what_a_handler_was_given_it_gives_back_to_the_bit() {
    let rules = "
rules:
  - name: group
    subscription: group_new
    lua: |
      local n = ...
      olvid.storage_set{ key = 'group', value = json.encode(olvid.group_update{ group = n.group }) }
  - name: bytes
    subscription: contact_new
    lua: |
      local n = ...
      local said = 'no contact'
      if n.contact then
        local bytes = olvid.contact_get_bytes_identifier{ contact_id = n.contact.id }
        olvid.message_send_location{ discussion_id = n.contact.id, latitude = 1, longitude = -1, preview_payload = bytes }
        said = tostring(#bytes)
      end
      olvid.storage_set{ key = 'bytes', value = said }
";
    let Some(told) = tell("echo", rules) else { return };
    assert_eq!(told.events("run_failed"), [] as [Json; 0]);
}

#[test]
fn bytes_that_are_no_message_fail_one_run_and_nothing_else() {
    let rules = "
rules:
  - name: any
    subscription: message_received
    order: rule
    lua: |
      local n = ...
      olvid.storage_set{ key = 'any', value = json.encode(n) }
";
    let Some(told) = tell("malformed", rules) else { return };
    let counts = told.daemon.iter().find_map(|line| line.strip_prefix("counts ")).unwrap();
    let counts: Json = serde_json::from_str(counts).unwrap();
    let count = |name: &str| counts[name].as_u64().unwrap_or_default();
    assert!(count("rejected") > 100 && count("taken") > 100, "{counts}");
    let failed = told.events("run_failed");
    let failures = count("rejected") + count("stricter") + count("no number in JSON");
    // One that came again is counted.
    let times = |event: &Json| event["repeats"].as_u64().unwrap_or(1);
    assert_eq!(failed.iter().map(times).sum::<u64>(), failures, "{counts}");
    assert!(failed.iter().all(|event| event["kind"] == "error" && event["rule"] == "any"));
    // What their classes skip and ours refuse: a known field that comes as another type.
    let foreign = |event: &&Json| event["message"].as_str().unwrap().contains("wire format of another type");
    assert!(failed.iter().filter(foreign).map(times).sum::<u64>() >= count("stricter"), "{counts}");
    assert_eq!((told.events("feed_lost").len(), told.events("feed_opened").len()), (0, 1));
}

#[test]
fn big_messages_arrive_and_too_big_ones_name_the_option() {
    let rules = "
rules:
  - name: size
    subscription: message_received
    lua: |
      local n = ...
      olvid.storage_set{ key = 'size', value = tostring(#n.message.body) }
";
    let Some(told) = tell("sizes", rules) else { return };
    let [lost] = &told.events("feed_lost")[..] else { panic!("{}", told.log.join("\n")) };
    assert!(lost["message"].as_str().unwrap().contains("--max-message-size"), "{lost}");
}

#[test]
fn a_stream_that_ends_is_opened_again_for_what_is_left_of_its_count() {
    let rules = "
rules:
  - name: counted
    subscription: message_received
    count: 3
    filter: { body_search: o }
    lua: olvid.storage_set{ key = 'counted', value = (...).message.body }
  - name: flooded
    subscription: message_sent
    count: 300
    lua: olvid.storage_set{ key = 'flooded', value = (...).message.body }
    order: rule
  - name: endless
    subscription: contact_new
    lua: olvid.storage_set{ key = 'endless', value = 'true' }
";
    let Some(told) = tell("endings", rules) else { return };
    let completed: Vec<_> = told.events("feed_completed").iter().map(|event| event["rule"].clone()).collect();
    assert_eq!(completed, ["counted", "flooded"]);
    let lost = told.events("feed_lost");
    assert_eq!(process::streams(&lost), 5, "{lost:?}");
    assert!(lost.iter().all(|event| !event["message"].as_str().unwrap().contains("transport error")), "{lost:?}");
    assert_eq!(told.events("run_failed"), [] as [Json; 0]);
}

#[test]
fn a_refused_stream_ends_neither_the_host_nor_another_stream() {
    let rules = "
rules:
  - { name: refused, subscription: message_received, lua: error('never') }
  - { name: other, subscription: contact_new, lua: \"olvid.storage_set{ key = 'other', value = 'true' }\" }
";
    let Some(told) = tell("refused", rules) else { return };
    let [refused] = &told.events("feed_refused")[..] else { panic!("{}", told.log.join("\n")) };
    assert_eq!((&refused["rule"], &refused["level"]), (&"refused".into(), &"error".into()));
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("UNAUTHENTICATED: Invalid client key"), "{message}");
}

#[test]
fn each_call_carries_the_key_that_it_needs() {
    let rules = "
rules:
  - name: keys
    subscription: contact_new
    lua: |
      local ok, told = pcall(function()
        return olvid.identity_get{}.id .. ' ' .. olvid.admin_identity_admin_get{ identity_id = 5 }.id
      end)
      olvid.storage_set{ key = 'keys', value = tostring(told) }
";
    let user = ("OLVID_CLIENT_KEY", KEY);
    let admin = [("OLVID_ADMIN_CLIENT_KEY", ADMIN_KEY), ("OLVID_IDENTITY_ID", "18446744073709551615")];
    for (given, keys) in [("client", vec![user]), ("admin", admin.to_vec()), ("both", [&[user], &admin[..]].concat())] {
        let Some(story) = Story::begin("keys", given, folder(&[("rules.yaml", rules)]), &keys) else { return };
        story.end();
    }
}
