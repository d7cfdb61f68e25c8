//! Many feeds on few connections: a stuck one holds up nobody else, a server's limit on streams is kept, and a daemon that
//! restarts is not stormed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/host.rs"]
mod host;
#[path = "isolation/restart.rs"]
mod restart;

use std::{collections::BTreeSet, fmt::Write as _, sync::atomic::Ordering, time::Duration};

use host::{Setup, in_time};
use olvid_rules::report::Event;
use serde_json::json;

/// So many rules for messages, each with a stream of its own, that all listen to `all` and one to a word of its own.
fn rules(number: usize, handler: &str) -> String {
    let mut rules = "rules:\n".to_owned();
    for at in 0..number {
        let filter = format!("filter: {{ body_search: '^(all|r{at} )' }}");
        writeln!(rules, "  - {{ name: r{at}, subscription: message_received, {filter}, handler: {handler} }}").unwrap();
    }
    rules
}

fn message(body: &str) -> serde_json::Value {
    json!({ "message": { "discussion_id": 1, "body": body } })
}

/// Bodies that are larger than a stream's window by far.
const KILOBYTES: usize = 8;

#[tokio::test]
async fn feeds_whose_handlers_hang_with_full_queues_hold_up_nobody_else_on_their_connection() {
    const STUCK: usize = 20;
    const FREE: usize = 180;
    // What one takes in is bounded: its queue, a batch on the way there, and what is under way on its stream.
    const FLOOD: usize = 600;
    let mut all = rules(FREE, "free.lua");
    for at in 0..STUCK {
        let filter = format!("filter: {{ body_search: '^s{at} |^flood' }}");
        let keys = format!("name: s{at}, subscription: message_sent, {filter}, concurrency: 1, timeout: 10m");
        writeln!(all, "  - {{ {keys}, handler: stuck.lua }}").unwrap();
    }
    let host = Setup::new(&all)
        .file("free.lua", "return function(n, rule) print(rule.name .. ' ' .. n.message.body:sub(1, 12)) end")
        .file("stuck.lua", "return function() sleep(600) end")
        .start()
        .await;
    let large = "x".repeat(KILOBYTES * 1024);
    for at in 0..FLOOD {
        host.simulator.emit("bot", "message_sent", message(&format!("flood {at} {large}"))).unwrap();
    }
    let stuck = |host: &host::Host| {
        let streams = host.simulator.streams().into_iter();
        streams
            .filter(|stream| stream.subscription.name == "message_sent")
            .map(|stream| stream.waiting)
            .collect::<Vec<_>>()
    };
    // Each took what it could: the queue of its rule is full, and its stream is not read on.
    let full = |host: &host::Host| {
        let status = host.engine.board().status();
        let rules = status["rules"].as_array().unwrap().iter();
        rules.filter(|rule| rule["subscription"] == "message_sent").all(|rule| rule["received"] == 256)
    };
    let filled = async {
        while !full(&host) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(filled).await;
    for round in 0..3 {
        for at in 0..FREE {
            host.simulator.emit("bot", "message_received", message(&format!("r{at} {round} {large}"))).unwrap();
        }
    }
    host.simulator.emit("bot", "message_received", message("all")).unwrap();
    let said = host.until_said(4 * FREE).await;
    for at in 0..FREE {
        let own: Vec<_> = said.iter().filter(|line| line.starts_with(&format!("r{at} "))).collect();
        assert_eq!(own.len(), 4, "{own:?}");
        assert!(own[..3].iter().enumerate().all(|(round, line)| line.contains(&format!(" r{at} {round} "))), "{own:?}");
        assert!(own[3].ends_with(" all"), "{own:?}");
    }
    assert!(stuck(&host).iter().all(|waiting| *waiting > 0), "held at the daemon by flow control: {:?}", stuck(&host));
    assert_eq!(host.counters().settled.load(Ordering::SeqCst), (4 * FREE) as u64);
    assert_eq!(host.simulator.opened("bot"), (FREE + STUCK) as u64, "no stream was opened again");
    in_time(host.engine.stop(Duration::ZERO)).await;
}

#[tokio::test]
async fn a_server_that_takes_few_streams_on_a_connection_serves_all_feeds() {
    for (limit, feeds) in [(100, 500), (5, 50), (5, 5), (1, 3)] {
        let mut all = rules(feeds, "say.lua");
        writeln!(all, "  - {{ name: ask, subscription: contact_new, handler: ask.lua }}").unwrap();
        let host = Setup::new(&all)
            .file("say.lua", "return function(n, rule) print(rule.name) end")
            .file("ask.lua", "return function(n) print('asked ' .. olvid.identity_get{}.id) end")
            .options(|options| options.max_concurrent_streams = Some(limit))
            .start()
            .await;
        // Commands while all streams are open.
        host.simulator.emit("bot", "contact_new", json!({ "contact": { "id": 1 } })).unwrap();
        let said = host.until_said(1).await;
        assert!(said[0].starts_with("asked "), "{said:?}");
        let reached = host.simulator.emit("bot", "message_received", message("all")).unwrap();
        assert_eq!(reached, feeds);
        let said: BTreeSet<_> = host.until_said(feeds + 1).await.into_iter().skip(1).collect();
        assert_eq!(said.len(), feeds);
        let lost = host.stop().await.into_iter().find(|event| matches!(event, Event::FeedLost { .. }));
        assert!(lost.is_none(), "{lost:?}");
    }
}
