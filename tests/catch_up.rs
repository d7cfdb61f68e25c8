//! What came while a stream was not open: handled once and in order where the daemon can list it, told where it cannot.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/host.rs"]
mod host;
#[path = "catch_up/lists.rs"]
mod lists;
#[path = "support/process.rs"]
mod process;
#[path = "catch_up/restarts.rs"]
mod restarts;

use host::{Host, Setup, in_time};
use jiff::Timestamp;
use olvid_rules::{report::Event, simulator::Clock};
use serde_json::json;
use tonic::Code;

/// Says what it got, and whether that was caught up.
const SAY: &str = "return function(n, rule) print(n.message.body .. (rule.caught_up and ' caught up' or '')) end";

fn rules(more: &str) -> String {
    format!("rules:\n  - {{ name: one, subscription: message_received, handler: say.lua{more} }}\n")
}

fn setup(more: &str) -> Setup {
    Setup::new(&rules(more)).file("say.lua", SAY)
}

/// How many notifications were told as caught up, event by event.
fn caught_up(host: &Host) -> Vec<u64> {
    let of =
        |event: &Event| if let Event::CaughtUp { notifications, .. } = event { Some(*notifications) } else { None };
    host.events().iter().filter_map(of).collect()
}

/// The gaps that were told: which rules, from, to and why.
fn gaps(host: &Host) -> Vec<(Vec<String>, Timestamp, Timestamp, Option<String>)> {
    let of = |event: &Event| match event {
        Event::Gap { feeds, from, to, cause } => {
            let rules = feeds.iter().flat_map(|feed| feed.rules.iter().map(ToString::to_string));
            Some((rules.collect(), *from, *to, cause.clone()))
        }
        _ => None,
    };
    host.events().iter().filter_map(of).collect()
}

async fn until_caught_up(host: &Host, lists: usize) -> Vec<u64> {
    host.until(|host| Some(caught_up(host)).filter(|all| all.len() >= lists)).await
}

async fn until_gap(host: &Host) -> Vec<(Vec<String>, Timestamp, Timestamp, Option<String>)> {
    host.until(|host| Some(gaps(host)).filter(|all| !all.is_empty())).await
}

/// Waits until it is known here that streams are open: before that there is nothing to be missed.
async fn until_open(host: &Host) {
    host.until(|host| host.events().iter().find(|event| matches!(event, Event::FeedOpened { .. })).cloned()).await;
}

/// Waits until so many streams were opened since the start.
async fn until_opened(host: &Host, streams: u64) {
    let opened = async {
        while host.simulator.opened("bot") < streams {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    in_time(opened).await;
}

/// Ends the stream of a host in different ways.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Restart,
    Cut,
    Killed,
    Ended,
}

#[tokio::test]
async fn whatever_ends_a_stream_messages_sent_meanwhile_are_handled_once_and_in_order() {
    for fault in [Fault::Restart, Fault::Cut, Fault::Killed, Fault::Ended] {
        let host = setup("").start().await;
        host.say("alice", "before");
        host.until_said(1).await;
        match fault {
            Fault::Restart => in_time(host.simulator.stop()).await,
            Fault::Cut => host.simulator.drop_connections(),
            Fault::Killed => drop(host.simulator.kill_streams(None, Code::Internal, "oh")),
            Fault::Ended => drop(host.simulator.kill_streams(None, Code::Ok, "")),
        }
        in_time(host.simulator.wait_streams("bot", |open| open == 0)).await;
        for number in 0..5 {
            host.say(if number % 2 == 0 { "alice" } else { "bob" }, &format!("missed {number}"));
        }
        if let Fault::Restart = fault {
            host.simulator.restart().await.unwrap();
        }
        assert_eq!(until_caught_up(&host, 1).await, [5], "{fault:?}");
        host.say("alice", "after");
        let said = host.until_said(7).await;
        let missed = (0..5).map(|number| format!("missed {number} caught up"));
        let mut wanted: Vec<_> = ["before".to_owned()].into_iter().chain(missed).collect();
        wanted.push("after".to_owned());
        // Order is kept within a discussion, and there are two.
        let (mut all, mut owed) = (said.clone(), wanted.clone());
        all.sort();
        owed.sort();
        assert_eq!(all, owed, "{fault:?}");
        let alice = |lines: &[String]| {
            lines.iter().filter(|line| !line.contains('1') && !line.contains('3')).cloned().collect::<Vec<_>>()
        };
        assert_eq!(alice(&said), alice(&wanted), "{fault:?}");
        assert!(gaps(&host).is_empty(), "{fault:?}: {:?}", gaps(&host));
        host.stop().await;
    }
}

#[tokio::test]
async fn rules_with_conditions_get_what_meets_them() {
    // A daemon's clock that is a little ahead.
    let epoch = Clock::system().now() + 60_000;
    let rules = format!(
        "rules:
  - {{ name: some, subscription: message_received, filter: {{ body_search: '^k' }}, handler: rule.lua }}
  - {{ name: early, subscription: message_received, filter: {{ max_timestamp: {} }}, handler: rule.lua }}
  - {{ name: late, subscription: message_received, filter: {{ min_timestamp: {} }}, handler: rule.lua }}\n",
        epoch + 1000,
        epoch + 1001
    );
    let say =
        "return function(n, rule) print(rule.name .. ' ' .. n.message.body .. ' ' .. tostring(rule.caught_up)) end";
    let clock = Clock::manual(epoch);
    let (given, setup) = (clock.clone(), Setup::new(&rules).file("rule.lua", say));
    let host = setup.options(|options| options.clock = given).start().await;
    until_open(&host).await;
    clock.set(epoch + 10);
    host.say("alice", "live");
    host.until_said(1).await;
    host.simulator.kill_streams(None, Code::Unavailable, "");
    for (at, body) in [(500, "keep"), (1000, "drop"), (1001, "drop later"), (2000, "keep later")] {
        clock.set(epoch + at);
        host.say("alice", body);
    }
    let mut said = host.until_said(7).await;
    host.until(|host| (caught_up(host).iter().sum::<u64>() == 6).then_some(())).await;
    said.sort();
    let wanted = [
        "early drop true",
        "early keep true",
        "early live false",
        "late drop later true",
        "late keep later true",
        "some keep later true",
        "some keep true",
    ];
    assert_eq!(said, wanted);
    host.stop().await;
}

#[tokio::test]
async fn what_cannot_be_listed_is_told_as_one_gap() {
    let more = "
  - { name: two, subscription: group_new, handler: say.lua }
  - { name: three, subscription: message_body_updated, handler: say.lua }
  - { name: four, subscription: message_received, catch_up: true, handler: say.lua }\n";
    let start = Timestamp::now();
    let host =
        Setup::new(&(rules(", catch_up: false") + more.trim_start_matches('\n'))).file("say.lua", SAY).start().await;
    until_open(&host).await;
    in_time(host.simulator.stop()).await;
    let down = Timestamp::now();
    host.say("alice", "missed");
    host.simulator.restart().await.unwrap();
    let told = until_gap(&host).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let (mut rules, from, to, cause) = told.into_iter().next().unwrap();
    rules.sort();
    assert_eq!((rules, cause), (["one", "three", "two"].map(str::to_owned).to_vec(), None));
    assert!(start <= from && from <= down && down <= to && to <= Timestamp::now(), "{from} {to}");
    assert_eq!(until_caught_up(&host, 1).await, [1]);
    assert_eq!(host.until_said(1).await, ["missed caught up"], "by the rule that catches up, and no other");
    host.stop().await;
}

#[tokio::test]
async fn what_is_caught_up_counts() {
    let host = setup(", count: 3").start().await;
    host.say("alice", "a");
    host.until_said(1).await;
    host.simulator.kill_streams(None, Code::Unavailable, "");
    for body in ["b", "c", "d", "e", "f"] {
        host.say("alice", body);
    }
    host.until(|host| {
        host.events().iter().find(|event| matches!(event, Event::FeedCompleted { count: 3, .. })).cloned()
    })
    .await;
    assert_eq!(caught_up(&host), [2]);
    assert_eq!(host.until_said(3).await, ["a", "b caught up", "c caught up"]);
    in_time(host.simulator.wait_streams("bot", |open| open == 0)).await;
    assert_eq!(host.simulator.emit("bot", "message_received", json!({ "message": { "body": "x" } })).unwrap(), 0);
    assert_eq!(host.stop().await.iter().filter(|event| matches!(event, Event::Said { .. })).count(), 3);
}
