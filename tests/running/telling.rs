//! What an operator reads of what scripts say and where they fail.

use serde_json::{Value as Json, json};

use super::{Site, events, status_when};
use crate::process::assert_log;

/// The only rule, with more keys.
fn rules(keys: &str) -> String {
    format!("rules:\n  - {{ name: a, subscription: message_received, order: rule, {keys} handler: a.lua }}\n")
}

/// A host whose only rule calls a function of the notification and its rule.
fn site(keys: &str, body: &str) -> Site {
    let script = format!("return function(n, rule)\n{body}\nend\n");
    Site::new(&[("rules.yaml", &rules(keys)), ("a.lua", &script)])
}

/// Without what differs from time to time.
fn lasting(mut event: Json) -> Json {
    event.as_object_mut().unwrap().remove("timestamp");
    event
}

const HOSTILE: &str = "hi\r\n{\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"level\":\"error\",\"event\":\"run_failed\",\
                       \"message\":\"forged\"}\u{1b}[2J\u{202e}\u{9b}31m\u{200b}";

#[test]
fn a_message_forges_no_line_no_level_and_no_field() {
    let site = site("", "log.info(n.message.body, { place = n.message.body, level = 'error', [n.message.body] = 1 })");
    let host = site.begin(&[]);
    host.process.events("feed_opened", 1);
    site.emit(1, HOSTILE);
    host.process.events("said", 1);
    let log = host.stop();
    assert_log(&log);
    assert!(events(&log, "run_failed").is_empty());
    let [said] = &events(&log, "said")[..] else { panic!("{}", log.join("\n")) };
    let wanted = json!({
        "level": "info", "event": "said", "message": HOSTILE, "rule": "a", "subscription": "message_received",
        "script": "a.lua", "place": "a.lua:2",
    });
    let mut said = lasting(said.clone());
    let fields = said.as_object_mut().unwrap().remove("fields").unwrap();
    assert_eq!(said, wanted);
    assert_eq!(
        (&fields["place"], &fields["level"], fields.as_object().unwrap().len()),
        (&HOSTILE.into(), &"error".into(), 3)
    );
    let obeyed = |letter: char| letter.is_control() || "\u{200b}\u{202e}".contains(letter);
    assert!(!log.iter().any(|line| line.contains(obeyed) || line.len() > 16 * 1024), "{}", log.join("\n"));
}

#[test]
fn a_failure_names_what_its_author_needs_and_comes_again_as_a_number() {
    let body = "local function greet(who)
  error({ place = 'evil.lua:1', message = 'no ' .. who })
end
if n.message.body == 'ends' then greet('one') end
local ok = sleep(n.message.body == 'late' and 3600 or 0)
while true do end";
    let site = site("cpu: 50ms, timeout: 2s,", body);
    let host = site.begin(&[]);
    host.process.events("feed_opened", 1);
    for (number, body) in ["ends", "ends", "loops", "ends", "late", "loops"].iter().enumerate() {
        let message = json!({ "id": { "type": "TYPE_INBOUND", "id": number + 1 }, "discussion_id": 1, "body": body });
        site.simulator.emit("bot", "message_received", json!({ "message": message })).unwrap();
    }
    let failed = host.process.events("run_failed", 3);
    status_when(&site, |status| status["counters"]["failed"] == 6);
    let wanted = json!({
        "level": "error", "event": "run_failed", "kind": "error", "rule": "a", "subscription": "message_received",
        "script": "a.lua", "place": "a.lua:3", "notification": "message 1 (TYPE_INBOUND)",
        "message": "the script raised {\"message\":\"no one\",\"place\":\"evil.lua:1\"}",
        "traceback": ["a.lua:3: in function `greet`", "a.lua:5: in function"],
    });
    assert_eq!(lasting(failed[0].clone()), wanted);
    let told =
        |event: &Json| json!([event["kind"], event["limit"], event["place"], event["traceback"], event["message"]]);
    let cpu = "not done after 50ms of CPU: the rule's `cpu` is 50ms; raise it there, or under `defaults:`";
    assert_eq!(told(&failed[1]), json!(["cpu", "cpu", "a.lua:7", ["a.lua:7: in function"], cpu]));
    let late = "not done after 2s, waiting for sleep: the rule's `timeout` is 2s; raise it there, or under `defaults:`";
    assert_eq!(told(&failed[2]), json!(["timeout", "timeout", "a.lua:6", ["a.lua:6: in function"], late]));
    let log = host.stop();
    let failed = events(&log, "run_failed");
    let repeats: Vec<_> = failed.iter().map(|event| event["repeats"].as_u64().unwrap_or_default()).collect();
    assert_eq!(repeats, [0, 0, 0, 2, 1], "told at the end");
    assert!(failed[3]["message"].as_str().unwrap().ends_with(" (2 more times)") && failed[3]["kind"] == "error");
    assert_eq!(failed[3]["notification"], "message 4 (TYPE_INBOUND)", "the last of them");
}

#[test]
fn a_flood_of_lines_is_a_number_and_one_run_ends_with_its_output() {
    let body = "if n.message.body == 'flood' then for i = 1, 50 do print(i) end return end
while n.message.body == 'more' do log.debug(('x'):rep(500)) end
print('alive')";
    let site = site("log_rate: 1, output: 2KiB,", body);
    let host = site.begin(&[]);
    host.process.events("feed_opened", 1);
    for body in ["more", "flood"] {
        site.emit(1, body);
    }
    let left_out = host.process.events("lines_left_out", 1).remove(0);
    let message = "40 lines of the script were left out: the rule's `log_rate` is 1 a second; raise it there, or under \
                   `defaults:`";
    let wanted = json!({
        "level": "warn", "event": "lines_left_out", "count": 40, "message": message, "rule": "a", "script": "a.lua",
        "subscription": "message_received",
    });
    assert_eq!(lasting(left_out), wanted, "without a line that follows");
    site.emit(1, "then");
    assert_eq!(host.said(11)[10], "alive");
    let log = host.stop();
    let [failed] = &events(&log, "run_failed")[..] else { panic!("{}", log.join("\n")) };
    assert_eq!(
        (&failed["kind"], &failed["limit"], &failed["place"]),
        (&json!("output"), &json!("output"), &json!("a.lua:3"))
    );
    assert_eq!(events(&log, "lines_left_out").len(), 1);
}
