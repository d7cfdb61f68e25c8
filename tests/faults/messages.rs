//! Section E: messages that are odd, and messages that are none.

use olvid_rules::simulator::{Options, Simulator};
use serde_json::{Value as Json, json};

use crate::bench::{Bench, KEY, wait};

/// Says what came, in a form that shows types and bytes.
const RULES: &str = "rules:
  - name: left
    subscription: message_received
    order: rule
    lua: |
      local message = (...).message
      local body = message and message.body or ''
      print('got', { id = message and message.id and tostring(message.id.id), kind = message and message.id and message.id.type,
        length = #body, head = body:sub(1, 20), none = message == nil })
";

const PRINT: &str = "print('got', {";

fn fields(event: &Json) -> &Json {
    &event["fields"]
}

fn start() -> (Simulator, Bench) {
    let options =
        Options { identities: vec![("bot".to_owned(), KEY.to_owned())], check_ids: false, ..Options::default() };
    let simulator = wait(Simulator::start(options)).unwrap();
    let rules = RULES.replace(PRINT, "log.info('got', {");
    let bench = Bench::with(&simulator.url(), &rules, &["--max-message-size", "3000000"], &[]);
    wait(simulator.subscribers("bot", 1));
    bench.opened(1);
    bench.settle();
    (simulator, bench)
}

/// A notification whose message has these bytes: field 1, of a length.
fn with_message(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0x0a];
    let mut length = message.len();
    while length >= 128 {
        out.push(u8::try_from(length % 128).unwrap() | 128);
        length /= 128;
    }
    out.push(u8::try_from(length).unwrap());
    [out, message.to_vec()].concat()
}

#[test]
fn odd_messages_are_handled_and_what_is_none_is_told_and_passed_over() {
    let (simulator, bench) = start();
    let emit = |message: Json| simulator.emit("bot", "message_received", json!({ "message": message })).unwrap();
    let raw = |bytes: Vec<u8>| simulator.emit("bot", "message_received", bytes).unwrap();
    let got = |times: usize| bench.host.events("said", times).pop().unwrap();
    // E7 nothing at all.
    raw(Vec::new());
    assert_eq!(fields(&got(1))["none"], true);
    // E2 a field that is not known yet, of each wire type, before one that is.
    let unknown =
        [&[0xf8, 0xf0, 0x04, 7][..], &[0xfa, 0xf0, 0x04, 2, 1, 2], &[0xf9, 0xf0, 0x04, 0, 0, 0, 0, 0, 0, 0, 0]]
            .concat();
    raw([unknown, with_message(&[])].concat());
    assert_eq!(fields(&got(2))["none"], false);
    // E9 ids beyond what a double holds, E10 texts as they are.
    emit(json!({ "id": { "id": u64::MAX, "type": "TYPE_INBOUND" }, "body": "a\0b\u{202e}\u{1b}[31m" }));
    let said = got(3);
    assert_eq!((&fields(&said)["kind"], &fields(&said)["length"]), (&json!("TYPE_INBOUND"), &json!(11)), "{said}");
    assert!(["-1", "18446744073709551615"].iter().any(|id| fields(&said)["id"] == *id), "{said}");
    emit(json!({ "body": "\n".repeat(100_000) }));
    assert_eq!(fields(&got(4))["length"], 100_000);
    emit(json!({ "body": "z".repeat(1 << 20) }));
    assert_eq!(fields(&got(5))["length"], 1 << 20);
    // E1, E5, E8: what cannot be read is told, once for each cause, and what follows is handled.
    let mangled: &[&[u8]] = &[&[0x0a, 0x7f, 1], &[0xff; 12], &[0x0b, 0x0b, 0x0b]];
    raw(vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    for (at, bytes) in mangled.iter().enumerate() {
        raw(bytes.to_vec());
        let failed = bench.host.events("run_failed", at + 1).pop().unwrap();
        assert_eq!((&failed["rule"], &failed["kind"]), (&json!("left"), &json!("error")), "{failed}");
    }
    emit(json!({ "body": "still here" }));
    assert_eq!(fields(&got(6))["head"], "still here");
    // E4: what is larger than allowed costs the stream, and names the option.
    emit(json!({ "body": "w".repeat(4_000_000) }));
    bench.lost_with("--max-message-size");
    bench.is_open("left");
    emit(json!({ "body": "and again" }));
    assert_eq!(fields(&got(7))["head"], "and again");
    let log = bench.host.printed();
    assert!(!log.iter().any(|line| line.contains('\u{1b}')), "an escape got out");
    assert_eq!(log.iter().filter(|line| line.contains("\"feed_lost\"")).count(), 1);
}
