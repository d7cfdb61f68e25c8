//! Live streams: count, order, slow readers, scripted answers, broken connections.

use std::{io::ErrorKind, sync::Arc, time::Duration};

use olvid_rules::simulator::{CAPACITY, Options, Reply, Simulator};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio::sync::Notify;
use tonic::Code;

use crate::{send, simulator, support::Client};

fn text(body: &str) -> serde_json::Value {
    json!({"message": {"body": body}})
}

#[tokio::test]
async fn count_counts_what_matches() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let request = json!({"count": 2, "filter": {"body_search": "^!"}});
    let mut listening = bot.subscribe("message_received", request).await.unwrap();
    let mut endless = bot.subscribe("message_received", json!({"count": 0})).await.unwrap();
    for body in ["!1", "2", "!3", "!4"] {
        send(&simulator, "alice", "bot", body);
    }
    assert_eq!(listening.expect().await["message"]["body"], "!1");
    assert_eq!(listening.expect().await["message"]["body"], "!3");
    assert!(listening.next().await.unwrap().is_none());
    for body in ["!1", "2", "!3", "!4"] {
        assert_eq!(endless.expect().await["message"]["body"], body);
    }
    assert_eq!(simulator.streams().len(), 1);
}

#[tokio::test]
async fn a_closed_stream_is_no_longer_live() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let one = bot.subscribe("message_received", json!({})).await.unwrap();
    let other = bot.subscribe("contact_new", json!({})).await.unwrap();
    simulator.subscribers("bot", 2).await;
    drop(one);
    simulator.wait_streams("bot", |open| open == 1).await;
    assert_eq!(simulator.streams()[0].subscription.name, "contact_new");
    drop(other);
    simulator.wait_streams("bot", |open| open == 0).await;
}

#[tokio::test]
async fn a_slow_reader_loses_nothing_and_holds_up_nobody() {
    let (simulator, _) = simulator().await;
    let slow = Client::connect(&simulator, "bot").await;
    let mut lagging = slow.subscribe("message_received", json!({})).await.unwrap();
    let mut quick = slow.subscribe("message_sent", json!({})).await.unwrap();
    let body = "x".repeat(1000);
    for number in 0..10_000 {
        simulator.emit("bot", "message_received", text(&format!("{number} {body}"))).unwrap();
    }
    simulator.emit("bot", "message_sent", text("at once")).unwrap();
    assert_eq!(quick.expect().await["message"]["body"], "at once");
    for number in 0..10_000 {
        let seen = lagging.expect().await;
        assert!(seen["message"]["body"].as_str().unwrap().starts_with(&format!("{number} ")));
    }
    simulator.drained(0).await;
    assert_eq!(simulator.sent("bot"), 10_001);
}

#[tokio::test]
async fn a_reader_too_far_behind_is_told() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let mut listening = bot.subscribe("message_received", json!({})).await.unwrap();
    let notification = bytes::Bytes::from(vec![0x0a, 0x00]);
    // Nobody reads while this runs: the test has one thread.
    for _ in 0..=CAPACITY {
        simulator.emit("bot", "message_received", notification.clone()).unwrap();
    }
    let mut read = 0;
    let failed = loop {
        match listening.next().await {
            Ok(Some(_)) => read += 1,
            Ok(None) => panic!("it ended quietly"),
            Err(status) => break status,
        }
    };
    assert_eq!((failed.code(), read), (Code::ResourceExhausted, CAPACITY));
}

#[tokio::test]
async fn commands_are_recorded_and_may_be_answered_by_script() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    simulator.script("message_send", Reply::Status(Code::Internal, "no".to_owned()), 2);
    simulator.script("message_send", Reply::Json(json!({"message": {"body": "made up"}})), 1);
    let request = json!({"discussion_id": 1, "body": "x"});
    for _ in 0..2 {
        let refused = bot.call("message_send", request.clone()).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::Internal, "no"));
    }
    assert_eq!(bot.call("message_send", request.clone()).await.unwrap()["message"]["body"], "made up");
    assert_eq!(bot.call("message_send", request).await.unwrap_err().code(), Code::NotFound);
    let recorded = simulator.wait_recorded("message_send", 4).await;
    assert_eq!(recorded.len(), 4);
    assert_eq!((recorded[0].identity.as_str(), recorded[0].time), ("bot", 1_700_000_000_000));
    assert_eq!(recorded[0].json()["body"], "x");

    let gate = Arc::new(Notify::new());
    simulator.script("ping", Reply::Hold(Arc::clone(&gate)), 1);
    let held = tokio::spawn({
        let bot = bot.clone();
        async move { bot.call("ping", json!({})).await }
    });
    simulator.wait_recorded("ping", 1).await;
    bot.call("identity_get", json!({})).await.unwrap();
    assert!(!held.is_finished());
    gate.notify_one();
    held.await.unwrap().unwrap();

    simulator.script("ping", Reply::Never, 1);
    let never = tokio::time::timeout(Duration::from_millis(50), bot.call("ping", json!({}))).await;
    assert!(never.is_err());
}

#[tokio::test]
async fn streams_are_killed_and_refused_on_demand() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let mut listening = bot.subscribe("message_received", json!({})).await.unwrap();
    simulator.emit("bot", "message_received", text("last")).unwrap();
    assert_eq!(simulator.kill_streams(Some("alice"), Code::Internal, "x"), 0);
    assert_eq!(simulator.kill_streams(None, Code::Unavailable, "gone"), 1);
    assert_eq!(listening.expect().await["message"]["body"], "last");
    assert_eq!(listening.next().await.unwrap_err().code(), Code::Unavailable);

    simulator.refuse_subscriptions(Some((Code::Unavailable, "not now")));
    let Err(refused) = bot.subscribe("message_received", json!({})).await else { panic!("it was let in") };
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "not now"));
    simulator.refuse_subscriptions(None);
    simulator.script("message_received", Reply::Status(Code::PermissionDenied, "once".to_owned()), 1);
    assert!(bot.subscribe("message_received", json!({})).await.is_err());
    bot.subscribe("message_received", json!({})).await.unwrap();
}

#[tokio::test]
async fn it_comes_back_at_the_same_address_with_the_same_world() {
    let (simulator, _) = simulator().await;
    let address = simulator.address();
    let bot = Client::connect(&simulator, "bot").await;
    let mut listening = bot.subscribe("message_received", json!({})).await.unwrap();
    send(&simulator, "alice", "bot", "before");
    simulator.stop().await;
    assert_eq!(listening.expect().await["message"]["body"], "before");
    assert_eq!(listening.next().await.unwrap_err().code(), Code::Unavailable);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let other = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let taken = other.bind(&address.into()).map_err(|error| error.kind());
    assert_eq!(taken, Err(ErrorKind::AddrInUse), "no other process is given the port");
    send(&simulator, "alice", "bot", "meanwhile");
    simulator.restart().await.unwrap();
    assert_eq!(simulator.address(), address);
    let bot = Client::connect(&simulator, "bot").await;
    let unread = bot.list("message_list", json!({"unread": true})).await.unwrap();
    assert_eq!(unread.len(), 1);
    assert_eq!(unread[0]["body"], "meanwhile");
}

#[tokio::test]
async fn connections_may_be_cut_or_asked_to_leave() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let mut listening = bot.subscribe("message_received", json!({})).await.unwrap();
    simulator.drop_connections();
    assert!(listening.next().await.is_err());
    simulator.wait_streams("bot", |open| open == 0).await;

    let bot = Client::connect(&simulator, "bot").await;
    let mut listening = bot.subscribe("message_received", json!({})).await.unwrap();
    simulator.go_away();
    simulator.emit("bot", "message_received", text("still here")).unwrap();
    assert_eq!(listening.expect().await["message"]["body"], "still here");
    Client::connect(&simulator, "bot").await.call("ping", json!({})).await.unwrap();
    simulator.emit("bot", "message_received", text("and here")).unwrap();
    assert_eq!(listening.expect().await["message"]["body"], "and here");
}

#[tokio::test]
async fn a_limit_of_streams_holds() {
    let options = Options { max_concurrent_streams: Some(2), ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let bot = Client::connect(&simulator, "bot").await;
    let _one = bot.subscribe("message_received", json!({})).await.unwrap();
    let two = bot.subscribe("message_received", json!({})).await.unwrap();
    let third = tokio::spawn({
        let bot = bot.clone();
        async move { bot.call("ping", json!({})).await }
    });
    let waits = tokio::time::timeout(Duration::from_millis(50), simulator.wait_recorded("ping", 1)).await;
    assert!(waits.is_err());
    drop(two);
    third.await.unwrap().unwrap();
}
