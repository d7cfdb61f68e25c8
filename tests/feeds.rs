//! A feed as it is seen from outside: its state, why it is so, until when, and that each change is told once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/host.rs"]
mod host;
#[path = "support/proxy.rs"]
mod proxy;

use std::{sync::Arc, time::Duration};

use host::{Host, PATIENCE, Setup, in_time};
use jiff::Timestamp;
use olvid_rules::{
    daemon::Secret,
    report::{Event, FeedName, ReloadResult},
    simulator::{Options, Reply, Simulator},
};
use proxy::{Flow, Proxy, Way};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;
use tonic::Code;

const ONE: &str = "rules:\n  - { name: one, subscription: contact_new, handler: say.lua }\n";

const MORE: &str = "  - { name: two, subscription: group_new, handler: say.lua }
  - { name: three, subscription: discussion_new, handler: say.lua }
  - { name: four, subscription: invitation_received, handler: say.lua }\n";

fn setup(rules: &str) -> Setup {
    Setup::new(rules).file("say.lua", "return function(_, rule) print(rule.name) end")
}

/// One rule for messages with such a body.
fn searching(pattern: &str, script: &str) -> String {
    let filter = format!("filter: {{ body_search: '{pattern}' }}");
    format!("rules:\n  - {{ name: one, subscription: message_received, {filter}, handler: {script} }}\n")
}

/// What the status says of a rule's feed.
fn feed(host: &Host, rule: &str) -> Json {
    let status = host.engine.board().status();
    let feeds = status["feeds"].as_array().unwrap().iter();
    feeds.clone().find(|feed| feed["rules"].as_array().unwrap().contains(&json!(rule))).cloned().unwrap()
}

/// Waits until the status says of a rule's feed what is asked for.
async fn until(host: &Host, rule: &str, holds: impl Fn(&Json) -> bool) -> Json {
    let found = async {
        loop {
            let feed = feed(host, rule);
            if holds(&feed) {
                return feed;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("{:#}\n{:#?}", feed(host, rule), host.events()))
}

async fn until_state(host: &Host, rule: &str, state: &str) -> Json {
    until(host, rule, |feed| feed["state"] == state).await
}

/// Seconds from now on until the next try.
fn next_try(feed: &Json) -> f64 {
    let at: Timestamp = feed["next_try"].as_str().unwrap_or_else(|| panic!("{feed:#}")).parse().unwrap();
    at.duration_since(Timestamp::now()).as_secs_f64()
}

fn contact(host: &Host) {
    let reached = host.simulator.emit("bot", "contact_new", json!({ "contact": { "id": 1 } }));
    assert_eq!(reached.unwrap(), 1);
}

/// What was told of a rule's feed, in order, each with its cause.
fn told(host: &Host, rule: &str) -> Vec<String> {
    let of = |event: &Event| {
        let (what, feeds) = match event {
            Event::FeedOpened { feeds } => ("opened".to_owned(), feeds),
            Event::FeedLost { feeds, cause, .. } => (format!("lost {cause}"), feeds),
            Event::FeedWaiting { feeds, cause, .. } => (format!("waits {cause}"), feeds),
            Event::FeedRefused { feeds, cause, .. } => (format!("refused {cause}"), feeds),
            Event::FeedCompleted { feeds, count } => (format!("completed {count}"), feeds),
            _ => return None,
        };
        feeds.iter().any(|feed| feed.rules.iter().any(|name| **name == *rule)).then_some(what)
    };
    host.events().iter().filter_map(of).collect()
}

/// Waits until so much was told of a rule's feed.
async fn until_told(host: &Host, rule: &str, changes: usize) -> Vec<String> {
    host.until(|host| Some(told(host, rule)).filter(|told| told.len() >= changes)).await
}

/// The feeds that an event names, where it is one of those asked for.
fn named<'e>(events: &'e [Event], pick: impl Fn(&'e Event) -> Option<&'e Arc<[FeedName]>>) -> Vec<&'e Arc<[FeedName]>> {
    events.iter().filter_map(pick).collect()
}

#[tokio::test]
async fn an_open_one_shows_since_when_and_what_came() {
    let host = setup(ONE).start().await;
    let before = until_state(&host, "one", "open").await;
    assert_eq!((&before["subscription"], &before["received"]), (&json!("contact_new"), &json!(0)));
    for absent in ["cause", "next_try", "last_notification", "remaining"] {
        assert_eq!(before[absent], Json::Null, "{absent}");
    }
    contact(&host);
    host.until_said(1).await;
    let after = feed(&host, "one");
    assert_eq!((&after["received"], &after["since"]), (&json!(1), &before["since"]));
    let [since, last] = ["since", "last_notification"].map(|key| after[key].as_str().unwrap().parse::<Timestamp>());
    assert!(since.unwrap() <= last.unwrap());
    assert_eq!(until_told(&host, "one", 1).await, ["opened"]);
    host.stop().await;
}

#[tokio::test]
async fn a_lost_one_shows_cause_and_next_try_and_each_change_is_told_once() {
    let host = setup(ONE).start().await;
    until_told(&host, "one", 1).await;
    host.simulator.refuse_subscriptions(Some((Code::Unavailable, "busy")));
    assert_eq!(host.simulator.kill_streams(None, Code::Cancelled, "enough"), 1);
    let lost = until(&host, "one", |feed| feed["cause"] == "CANCELLED: enough").await;
    assert_eq!(lost["state"], "opening");
    assert!(next_try(&lost) <= 1.0, "{lost:#}");
    // Two more attempts, which fail the same way.
    let mut tries = vec![json!("UNAVAILABLE: busy"), Json::Null];
    for _ in 0..2 {
        let known = |feed: &Json| feed["cause"] == tries[0] && feed["next_try"] != Json::Null;
        let waiting = until(&host, "one", |feed| known(feed) && !tries.contains(&feed["next_try"])).await;
        assert_eq!(waiting["since"], lost["since"], "it is the same outage");
        tries.push(waiting["next_try"].clone());
    }
    host.simulator.refuse_subscriptions(None);
    until_state(&host, "one", "open").await;
    let changes = until_told(&host, "one", 4).await;
    assert_eq!(changes, ["opened", "lost CANCELLED: enough", "waits UNAVAILABLE: busy", "opened"]);
    contact(&host);
    host.until_said(1).await;
    host.stop().await;
}

#[tokio::test]
async fn what_is_refused_names_its_rule_and_is_tried_again_at_a_reload() {
    let mut host = setup(ONE).start().await;
    let refusals = [
        ("two", "group_new", Code::InvalidArgument, "INVALID_ARGUMENT", 3),
        ("three", "discussion_new", Code::Unimplemented, "UNIMPLEMENTED", 4),
        ("four", "invitation_received", Code::NotFound, "NOT_FOUND", 5),
    ];
    for (_, subscription, code, ..) in refusals {
        host.simulator.script(subscription, Reply::Status(code, format!("no {subscription}\n")), 1);
    }
    host.write("rules.yaml", format!("{ONE}{MORE}"));
    assert_eq!(host.reload().await.result, ReloadResult::Applied);
    for (rule, subscription, _, code, line) in refusals {
        let refused = until_state(&host, rule, "refused").await;
        let cause = format!("{code}: no {subscription}\\n");
        assert_eq!(refused["cause"], cause, "the daemon's words, on one line");
        assert!((200.0..=300.0).contains(&next_try(&refused)), "{refused:#}");
        assert_eq!(until_told(&host, rule, 1).await, [format!("refused {cause}")]);
        let events = host.events();
        let refused = named(&events, |event| match event {
            Event::FeedRefused { feeds, cause: told, .. } if *told == cause => Some(feeds),
            _ => None,
        });
        assert!(refused[0][0].place.contains(&format!("rules.yaml:{line}:")), "{refused:?}");
    }
    contact(&host);
    assert_eq!(host.until_said(1).await, ["one"], "the others do not notice");
    assert_eq!(host.reload().await.result, ReloadResult::Unchanged);
    for (rule, ..) in refusals {
        until_state(&host, rule, "open").await;
        assert_eq!(until_told(&host, rule, 2).await[1], "opened");
    }
    assert_eq!(host.simulator.opened("bot"), 4);
    host.stop().await;
}

#[tokio::test]
async fn a_key_that_is_refused_is_told_once_for_all_and_tried_at_once_when_it_changes() {
    let host = setup(&format!("{ONE}{MORE}")).start().await;
    for (code, word) in [(Code::Unauthenticated, "UNAUTHENTICATED"), (Code::PermissionDenied, "PERMISSION_DENIED")] {
        let before = host.events().len();
        host.simulator.refuse_subscriptions(Some((code, "Invalid client key")));
        host.simulator.kill_streams(None, code, "Invalid client key");
        for rule in ["one", "two", "three", "four"] {
            let refused = until_state(&host, rule, "refused").await;
            assert_eq!(refused["cause"], format!("{word}: Invalid client key"));
            assert!(next_try(&refused) <= 30.0);
        }
        let refused = |host: &Host| {
            let events = host.events();
            let refused = named(&events[before..], |event| match event {
                Event::FeedRefused { feeds, .. } => Some(feeds),
                _ => None,
            });
            refused.iter().map(|feeds| feeds.len()).collect::<Vec<_>>()
        };
        host.until(|host| (refused(host).iter().sum::<usize>() == 4).then_some(())).await;
        assert_eq!(refused(&host), [4], "{:#?}", host.events());
        host.simulator.refuse_subscriptions(None);
        let changed = Timestamp::now();
        host.daemon.set_keys(Some(Secret::new("bot").unwrap()), None);
        for rule in ["one", "two", "three", "four"] {
            let open = until_state(&host, rule, "open").await;
            let since: Timestamp = open["since"].as_str().unwrap().parse().unwrap();
            assert!(since.duration_since(changed).as_secs_f64() < 15.0, "sooner than the pause");
        }
        host.until(|host| (!told(host, "four").is_empty() && told(host, "four").last()? == "opened").then_some(()))
            .await;
    }
    host.stop().await;
}

#[tokio::test]
async fn what_the_daemon_asks_for_decides_the_pause() {
    let mut host = setup(ONE).start().await;
    host.simulator.script("group_new", Reply::Status(Code::ResourceExhausted, "less".to_owned()), 1);
    host.simulator.script("discussion_new", Reply::Status(Code::FailedPrecondition, "later".to_owned()), 1);
    host.write("rules.yaml", format!("{ONE}{MORE}"));
    host.reload().await;
    let slower = until(&host, "two", |feed| feed["cause"] == "RESOURCE_EXHAUSTED: less").await;
    assert!((2.0..=5.0).contains(&next_try(&slower)), "{slower:#}");
    let later = until(&host, "three", |feed| feed["cause"] == "FAILED_PRECONDITION: later").await;
    assert!((40.0..=60.0).contains(&next_try(&later)), "{later:#}");
    assert_eq!((&slower["state"], &later["state"]), (&json!("opening"), &json!("opening")));
    host.reload().await;
    until_state(&host, "three", "open").await;
    host.stop().await;
}

#[tokio::test]
async fn a_stream_that_ends_before_its_count_goes_on_with_what_remains() {
    let host = setup(&ONE.replace("contact_new", "contact_new, count: 3")).start().await;
    contact(&host);
    host.until_said(1).await;
    assert_eq!(feed(&host, "one")["remaining"], 2);
    assert_eq!(host.simulator.kill_streams(None, Code::Ok, ""), 1);
    let lost = until(&host, "one", |feed| feed["state"] == "opening").await;
    assert_eq!(lost["cause"], "OK: the daemon ended the stream");
    until_state(&host, "one", "open").await;
    contact(&host);
    host.until_said(2).await;
    host.simulator.kill_streams(None, Code::Cancelled, "");
    until(&host, "one", |feed| feed["state"] == "opening").await;
    until_state(&host, "one", "open").await;
    contact(&host);
    let completed = until_state(&host, "one", "completed").await;
    assert_eq!((&completed["received"], &completed["remaining"]), (&json!(3), &json!(0)));
    let changes = until_told(&host, "one", 6).await;
    assert_eq!(
        (changes[1].as_str(), changes[3].as_str()),
        ("lost OK: the daemon ended the stream", "lost CANCELLED: ")
    );
    assert_eq!(changes[5], "completed 3");
    assert_eq!((host.until_said(3).await.len(), host.simulator.streams().len()), (3, 0));
    host.stop().await;
}

#[tokio::test]
async fn a_server_that_keeps_its_headers_counts_as_open() {
    let mut host = setup(ONE).start().await;
    let gate = Arc::<Notify>::default();
    host.simulator.script("group_new", Reply::Hold(Arc::clone(&gate)), 1);
    host.simulator.script("discussion_new", Reply::Hold(Arc::clone(&gate)), 1);
    host.write("rules.yaml", format!("{ONE}{MORE}"));
    host.reload().await;
    for rule in ["two", "three"] {
        until_state(&host, rule, "open").await;
        assert_eq!(until_told(&host, rule, 1).await, ["opened"]);
    }
    assert_eq!(host.simulator.opened("bot"), 2, "the headers of two are still kept");
    host.simulator.refuse_subscriptions(None);
    gate.notify_waiters();
    in_time(host.simulator.subscribers("bot", 4)).await;
    host.simulator.emit("bot", "group_new", json!({ "group": { "id": 1 } })).unwrap();
    assert_eq!(host.until_said(1).await, ["two"]);
    assert_eq!(told(&host, "two"), ["opened"], "once");
    host.stop().await;
}

#[tokio::test]
async fn new_parameters_take_over_from_a_busy_stream_that_shares_nothing_with_them() {
    let rules = |pattern: &str| searching(pattern, "body.lua");
    let body = "return function(n) print(n.message.body) end";
    let mut host = Setup::new(&rules("^a")).file("body.lua", body).start().await;
    let simulator = host.simulator.handle();
    let emit = move |body: &str| {
        let message = json!({ "message": { "discussion_id": 1, "body": body } });
        simulator.emit("bot", "message_received", message).unwrap()
    };
    host.write("rules.yaml", rules("^b"));
    host.reload().await;
    in_time(host.simulator.subscribers("bot", 2)).await;
    let mut sent = 0;
    let busy = async {
        while emit("b") + emit(&format!("a{sent}")) == 2 {
            sent += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // As long as both streams are there.
    in_time(busy).await;
    emit("b last");
    let said = host.until(|host| Some(host.said()).filter(|said| said.iter().any(|line| line == "b last"))).await;
    let old: Vec<_> = said.iter().filter(|line| line.starts_with('a')).collect();
    let before_the_end = old.iter().enumerate().all(|(at, line)| **line == format!("a{at}"));
    assert!(before_the_end, "{old:?}");
    let new = said.iter().filter(|line| line.starts_with('b')).count();
    assert!(new > sent, "nothing of the new stream is missing: {new} of {}", sent + 2);
    host.stop().await;
}

#[tokio::test]
async fn what_a_stream_brought_and_no_queue_took_is_among_what_was_not_handled() {
    let rules =
        "rules:\n  - { name: slow, subscription: message_received, order: rule, timeout: 2m, handler: t.lua }\n";
    let host = Setup::new(rules).file("t.lua", "return function(n) sleep(100) end").start().await;
    for number in 0..400 {
        let message = json!({ "message": { "discussion_id": 1, "body": format!("m{number}") } });
        host.simulator.emit("bot", "message_received", message).unwrap();
    }
    // Its queue takes 256: then it stands still with what it holds.
    let received = |host: &Host| host.engine.board().status()["feeds"][0]["received"].as_u64().unwrap();
    while received(&host) <= 256 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let received = received(&host);
    let events = host.stop_within(Duration::from_millis(50)).await;
    let end = |event: &Event| match event {
        Event::Stopped { handled, unhandled } => Some(handled + unhandled),
        _ => None,
    };
    assert_eq!(events.iter().find_map(end), Some(received));
    let named = |event: &Event| match event {
        Event::Unhandled { origin, count } if origin.rule.as_deref() == Some("slow") => Some(*count as u64),
        _ => None,
    };
    // One was running.
    assert_eq!(events.iter().filter_map(named).sum::<u64>(), received - 1);
}

#[tokio::test]
async fn a_key_that_is_replaced_during_an_attempt_is_tried_at_once() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let proxy = Proxy::start(simulator.address()).await;
    let mut host = setup(ONE).start_with(simulator, proxy.url()).await;
    until_state(&host, "one", "open").await;
    host.simulator.script("group_new", Reply::Status(Code::Unauthenticated, "who?".to_owned()), 1);
    proxy.set(Way::Down, Flow::Stall);
    host.write("rules.yaml", format!("{ONE}{}", MORE.lines().next().unwrap()));
    host.reload().await;
    // For want of an answer.
    until_state(&host, "two", "open").await;
    host.daemon.set_keys(Some(Secret::new("bot").unwrap()), None);
    let answered = Timestamp::now();
    proxy.set(Way::Down, Flow::Pass);
    in_time(host.simulator.subscribers("bot", 2)).await;
    let since = Timestamp::now().duration_since(answered).as_secs_f64();
    assert!(since < 15.0, "sooner than the pause: {since}");
    host.stop().await;
}

#[tokio::test]
async fn a_rule_whose_new_stream_cannot_be_opened_shows_the_old_one_that_serves_it() {
    let rules = |pattern: &str| searching(pattern, "say.lua");
    let mut host = setup(&rules("a")).start().await;
    until_state(&host, "one", "open").await;
    host.simulator.refuse_subscriptions(Some((Code::Unavailable, "not now")));
    host.write("rules.yaml", rules("b"));
    host.reload().await;
    let feeds = |host: &Host| {
        let status = host.engine.board().status();
        let of = |what: &str| -> Vec<String> {
            status[what].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect()
        };
        (of("rules"), of("feeds"), status["feeds"][0]["cause"] != Json::Null)
    };
    let both = ["opening", "open"].map(str::to_owned).to_vec();
    let open = vec!["open".to_owned()];
    while !feeds(&host).2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(feeds(&host), (open.clone(), both, true));
    host.simulator.refuse_subscriptions(None);
    in_time(host.simulator.wait_streams("bot", |open| open == 1)).await;
    while feeds(&host).1.len() > 1 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(feeds(&host), (open.clone(), open, false));
    host.stop().await;
}
