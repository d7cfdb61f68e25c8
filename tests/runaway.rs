//! What rules do to others, and to themselves: bots that answer each other are stopped, one's own acts can be left out, a
//! flood of commands goes at its rate, and what the host holds for a script has a bound.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/host.rs"]
mod host;

use std::time::Duration;

use host::{Host, Setup, in_time};
use olvid_rules::{
    daemon::{Daemon, Secret, Settings, TlsFiles},
    engine::Engine,
    report::{Event, Loop, Reporter, Restrained, Trigger},
};
use serde_json::{Value as Json, json};

/// A bot that answers what looks like a bot, and one rule beside it that only listens.
const ANSWERS: &str = "
rules:
  - { name: answer, subscription: message_received, filter: { body_search: '^p[io]ng' }, handler: answer.lua }
  - { name: listen, subscription: message_received, filter: { body_search: '^p[io]ng' }, handler: listen.lua }
";

const ANSWER: &str = "
local count = 0
return function(n)
  count = count + 1
  local ok, e = pcall(n.message.reply, n.message, 'pong ' .. count)
  if not ok then print(e.code, e.sent) end
end";

const LISTEN: &str = "return function(n) if n.message.body == 'ping, listen' then print('heard') end end";

/// Another person's bot, which answers everything.
const OTHER: &str = "
rules:
  - name: other
    subscription: message_received
    loop_limit: 0
    lua: |
      count = (count or 0) + 1
      (...).message:reply('ping ' .. count .. '!')
";

/// Runs rules as somebody else on the same daemon.
async fn also(host: &Host, who: &str, rules: &str) -> Engine {
    host.write("other.yaml", rules);
    let settings = Settings {
        url: host.simulator.url(),
        tls: TlsFiles::default(),
        client_key: Some(Secret::new(who).unwrap()),
        admin: None,
        max_message_size: 64 << 20,
    };
    let mut engine = Engine::new(&Daemon::new(settings).unwrap(), &Reporter::default());
    engine.reload(&[host.path("other.yaml")], Trigger::Start).await;
    in_time(host.simulator.subscribers(who, engine.feeds())).await;
    engine
}

fn restrained(host: &Host) -> Vec<Restrained> {
    let found = |event| match event {
        Event::Restrained(_, what) => Some(what),
        _ => None,
    };
    host.events().into_iter().filter_map(found).collect()
}

async fn stopped(host: &Host) -> Loop {
    let first = |host: &Host| match restrained(host).into_iter().next() {
        Some(Restrained::LoopStopped(stopped)) => Some(stopped),
        _ => None,
    };
    host.until(first).await
}

fn sent(host: &Host, discussion: u64) -> usize {
    let filter = json!({ "type": "outbound", "discussion_id": discussion });
    host.call("bot", "message_list", json!({ "filter": filter })).as_array().unwrap().len()
}

fn rule(host: &Host, name: &str) -> Json {
    let status = host.engine.board().status();
    status["rules"].as_array().unwrap().iter().find(|rule| rule["name"] == name).unwrap().clone()
}

/// Waits until the status shows this number for a rule: a notification that is left out tells nothing.
async fn shows(host: &Host, name: &str, what: &str, number: usize) {
    let shown = async {
        while rule(host, name)[what] != number {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(shown).await;
}

#[tokio::test]
async fn two_bots_that_answer_each_other_are_stopped_and_nobody_else_is() {
    let setup = Setup::new(ANSWERS).file("answer.lua", ANSWER).file("listen.lua", LISTEN);
    let mut host = setup.start().await;
    let other = also(&host, "alice", OTHER).await;
    let (alice, bob) = (host.discussion("bot", "alice"), host.discussion("bot", "bob"));
    host.say("alice", "ping");
    let Loop { thing, id, author, count, sample, .. } = stopped(&host).await;
    assert_eq!((&*thing, id, author, count), ("discussion", alice, Some(host.contact("bot", "alice")), 61));
    assert_eq!(sample, "pong 61");
    // The answer that was one too many was not sent, and its handler was told.
    assert_eq!(host.until_said(1).await, ["RESOURCE_EXHAUSTED\tfalse"]);
    assert_eq!(sent(&host, alice), 60);
    // The other rule goes on in the same discussion, the same rule in others.
    host.say("alice", "ping, listen");
    host.until_said(2).await;
    let mut seen = host.observe("bob");
    host.say("bob", "ping");
    assert_eq!(seen.text().await, "pong 62");
    shows(&host, "answer", "left_out", 1).await;
    assert_eq!((sent(&host, alice), sent(&host, bob)), (60, 1));
    let loops = rule(&host, "answer")["loops"].clone();
    assert_eq!(
        (&loops[0]["about"], &loops[0]["left_out"], loops.as_array().unwrap().len()),
        (&json!(alice), &json!(1), 1)
    );
    // New code does not begin anew; another limit does.
    other.stop(host::PATIENCE).await;
    host.write("answer.lua", ANSWER.replace("count = 0", "count = 100"));
    host.reload().await;
    host.say("alice", "ping");
    shows(&host, "answer", "left_out", 2).await;
    host.write("rules.yaml", ANSWERS.replace("handler: answer.lua", "loop_limit: 100, handler: answer.lua"));
    host.reload().await;
    let resumed = Restrained::LoopResumed { thing: "discussion".into(), id: alice, left_out: 2 };
    host.until(|host| restrained(host).contains(&resumed).then_some(())).await;
    let mut seen = host.observe("alice");
    host.say("alice", "ping");
    assert_eq!(seen.text().await, "pong 101");
    assert_eq!(restrained(&host).len(), 2);
    host.stop().await;
}

#[tokio::test]
async fn a_rule_that_answers_itself_is_stopped() {
    let rules = "
rules:
  - name: echo
    subscription: message_sent
    loop_limit: 10
    lua: |
      local n = ...
      n.message:reply('echo: ' .. n.message.body)
";
    let host = Setup::new(rules).start().await;
    let discussion = host.discussion("bot", "alice");
    host.call("bot", "message_send", json!({ "discussion_id": discussion, "body": "hello" }));
    let stopped = stopped(&host).await;
    assert_eq!((stopped.id, stopped.author, stopped.count), (discussion, Some(0), 11));
    // What it repeats grows, and is alike all the same.
    assert!(stopped.sample.starts_with("echo: echo: echo: "), "{}", stopped.sample);
    let failure = host.until_failed(1).await.remove(0);
    assert!(failure.message.contains("RESOURCE_EXHAUSTED: the exchange goes round in circles"), "{}", failure.message);
    host.stop().await;
}

#[tokio::test]
async fn a_burst_is_answered_and_so_are_many_people_who_say_the_same() {
    const BURST: usize = 500;
    let host = Setup::new(ANSWERS).file("answer.lua", ANSWER).file("listen.lua", LISTEN).start().await;
    let alice = host.discussion("bot", "alice");
    let (mine, theirs) = (host.contact("bot", "alice"), host.contact("bot", "bob"));
    let message = |sender: u64, at: usize| json!({ "message": { "discussion_id": alice, "sender_id": sender, "body": format!("ping {at}") } });
    for at in 0..BURST {
        host.simulator.emit("bot", "message_received", message(mine, at)).unwrap();
    }
    shows(&host, "answer", "handled", BURST).await;
    for person in 0..100 {
        host.simulator.emit("bot", "message_received", message(theirs + person, 1)).unwrap();
    }
    shows(&host, "answer", "handled", BURST + 100).await;
    assert_eq!((sent(&host, alice), restrained(&host)), (BURST + 100, vec![]));
    host.stop().await;
}

#[tokio::test]
async fn what_this_identity_did_itself_is_left_out_where_a_rule_says_so() {
    let rules = "
rules:
  - { name: all, subscription: message_reaction_added, handler: say.lua }
  - { name: others, subscription: message_reaction_added, ignore_self: true, handler: say.lua }
  - { name: edited, subscription: message_body_updated, ignore_self: true, handler: say.lua }
";
    let host = Setup::new(rules)
        .file(
            "say.lua",
            "return function(n, rule) print(rule.name, (n.reaction or n.message).reaction or n.message.body) end",
        )
        .start()
        .await;
    let discussion = host.discussion("bot", "alice");
    host.call("bot", "message_send", json!({ "discussion_id": discussion, "body": "hello" }));
    let own = host.call("bot", "message_list", json!({}))[0]["id"].clone();
    host.call("bot", "message_react", json!({ "message_id": own, "reaction": "👍" }));
    host.call("bot", "message_update_body", json!({ "message_id": own, "updated_body": "changed" }));
    let theirs = host.call("alice", "message_list", json!({}))[0]["id"].clone();
    host.call("alice", "message_react", json!({ "message_id": theirs, "reaction": "🎉" }));
    let mut said = host.until_said(3).await;
    said.sort();
    assert_eq!(said, ["all\t🎉", "all\t👍", "others\t🎉"]);
    for (name, left_out, handled) in [("all", 0, 2), ("others", 1, 2), ("edited", 1, 1)] {
        shows(&host, name, "handled", handled).await;
        assert_eq!(rule(&host, name)["left_out"], left_out);
    }
    host.stop().await;
}

#[tokio::test]
async fn a_flood_of_commands_goes_at_its_rate_and_no_other_rule_waits() {
    let rules = "
rules:
  - { name: flood, subscription: message_received, filter: { body_search: '^flood' }, command_rate: 5, handler: flood.lua }
  - { name: quick, subscription: message_received, filter: { body_search: '^quick' }, handler: quick.lua }
";
    let flood = "return function() for at = 1, 100000 do olvid.ping{} end print('flooded') end";
    let quick = "return function() for at = 1, 100 do olvid.ping{} end print('quick') end";
    let host = Setup::new(rules).file("flood.lua", flood).file("quick.lua", quick).start().await;
    host.say("alice", "flood");
    host.until(|host| restrained(host).contains(&Restrained::Slowed { rate: 5 }).then_some(())).await;
    host.say("bob", "quick");
    assert_eq!(host.until_said(1).await, ["quick"]);
    assert_eq!(restrained(&host).len(), 1, "told once");
    host.stop_within(Duration::ZERO).await;
}

#[tokio::test]
async fn the_end_of_a_flood_is_told_with_how_many_commands_waited() {
    let rules = "
rules:
  - name: flood
    subscription: message_received
    command_rate: 2
    lua: for at = 1, 24 do olvid.ping{} end print('done')
";
    let host = Setup::new(rules).start().await;
    host.say("alice", "go");
    host.until_said(1).await;
    let told = host.until(|host| Some(restrained(host)).filter(|told| told.len() == 2)).await;
    let [Restrained::Slowed { rate: 2 }, Restrained::AtPace { calls }] = told[..] else { panic!("{told:?}") };
    // A machine that is slow itself fills the bucket meanwhile.
    assert!((1..=4).contains(&calls), "{calls}");
    host.stop().await;
}

#[tokio::test]
async fn what_the_host_holds_for_a_script_has_a_bound() {
    let rules = "
permissions: { read: [.] }
rules: [{ name: all, subscription: message_received, handler: all.lua }]
";
    let script = "
local function told(ok, e) print(ok, e.code, e.sent, (e.message:match('^[%a ]+'))) end
return function(n)
  local to, megabyte, files, lists = n.message.discussion_id, ('x'):rep(1 << 20), {}, {}
  for at = 1, 1000 do files[at] = { filename = 'a', content = megabyte } end
  told(pcall(olvid.message_send_with_attachments, { discussion_id = to, files = files }))
  told(pcall(olvid.message_list, { filter = { reaction_filters = files } }))
  told(pcall(olvid.message_send_with_attachments, { discussion_id = to, files = { { path = 'big' } } }))
  told(pcall(function() for at = 1, 1000 do lists[at] = olvid.message_list{} end end))
  print(#lists)
  olvid.message_send{ discussion_id = to, body = 'there is room again' }
  print('done')
end";
    let host = Setup::new(rules).file("all.lua", script).file("big", vec![0; 65 << 20]).start().await;
    host.say("alice", "go");
    let said = host.until_said(6).await;
    let refused = |why: &str| format!("false\tRESOURCE_EXHAUSTED\tfalse\t{why}");
    let (held, open) = (refused("the host may hold "), refused("the run has "));
    assert_eq!([&said[0], &said[1], &said[3], &said[4]], [&held, &held, &open, "100"]);
    assert!(said[2].starts_with("false\tINVALID_ARGUMENT\tfalse\tfiles"), "{said:?}");
    host.stop().await;
}

#[tokio::test]
async fn a_download_that_the_vm_cannot_take_is_refused_while_it_arrives() {
    let rules = "
rules:
  - name: take
    subscription: attachment_received
    memory: 4MiB
    lua: |
      local attachment = (...).attachment
      local ok, e = pcall(attachment.download, attachment)
      print(ok and #e or e.code)
";
    let host = Setup::new(rules).start().await;
    for (bytes, said) in [(1 << 20, "1048576"), (5 << 20, "RESOURCE_EXHAUSTED"), (1 << 20, "1048576")] {
        let metadata = json!({ "discussion_id": host.discussion("alice", "bot") });
        let before = host.said().len();
        host.simulator
            .upload("alice", "message_send_with_attachments", &metadata, &[("a.bin", vec![7; bytes].into())])
            .unwrap();
        assert_eq!(host.until_said(before + 1).await[before], said);
    }
    host.stop().await;
}
