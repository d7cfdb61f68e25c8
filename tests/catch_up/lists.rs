//! Lists that take long, break, or cannot be had.

use std::sync::Arc;

use olvid_rules::simulator::Reply;
use tokio::sync::Notify;

use super::*;

#[tokio::test]
async fn what_comes_while_the_list_is_read_is_handled_once_and_in_order() {
    let host = setup("").start().await;
    host.say("alice", "before");
    host.until_said(1).await;
    let gate = Arc::<Notify>::default();
    host.simulator.script("message_list", Reply::Hold(Arc::clone(&gate)), 1);
    host.simulator.kill_streams(None, Code::Unavailable, "");
    host.say("alice", "missed");
    until_opened(&host, 2).await;
    in_time(host.simulator.wait_recorded("message_list", 1)).await;
    for number in 0..100 {
        host.say("alice", &format!("meanwhile {number}"));
    }
    gate.notify_one();
    assert_eq!(until_caught_up(&host, 1).await, [101]);
    host.say("alice", "after");
    let said = host.until_said(103).await;
    let meanwhile = (0..100).map(|number| format!("meanwhile {number} caught up"));
    let mut wanted = vec!["before".to_owned(), "missed caught up".to_owned()];
    wanted.extend(meanwhile.chain(["after".to_owned()]));
    assert_eq!(said, wanted);
    assert_eq!(host.stop().await.iter().filter(|event| matches!(event, Event::Said { .. })).count(), 103);
}

#[tokio::test]
async fn a_list_that_is_refused_is_told_with_its_cause_and_the_stream_goes_on_without() {
    for (code, word) in [(Code::Unimplemented, "UNIMPLEMENTED: no"), (Code::InvalidArgument, "INVALID_ARGUMENT: no")] {
        let host = setup("").start().await;
        until_open(&host).await;
        host.simulator.script("message_list", Reply::Status(code, "no".to_owned()), 1);
        host.simulator.kill_streams(None, Code::Unavailable, "");
        host.say("alice", "missed");
        let told = until_gap(&host).await;
        assert_eq!(told.len(), 1);
        assert_eq!((&told[0].0, told[0].3.as_deref()), (&vec!["one".to_owned()], Some(word)));
        assert!(told[0].1 < told[0].2);
        host.say("alice", "live");
        assert_eq!(host.until_said(1).await, ["live"]);
        assert_eq!(host.simulator.opened("bot"), 2, "the stream stays open");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_list_that_fails_for_now_is_asked_for_again_and_told_when_it_keeps_failing() {
    let host = setup("").start().await;
    until_open(&host).await;
    host.simulator.script("message_list", Reply::Status(Code::Unavailable, "not now".to_owned()), 3);
    host.simulator.kill_streams(None, Code::Unavailable, "");
    let killed = Timestamp::now();
    host.say("alice", "missed");
    let told = until_gap(&host).await;
    assert_eq!((told.len(), told[0].3.as_deref()), (1, Some("UNAVAILABLE: not now")));
    assert!(told[0].1 <= killed, "from the first loss on, not the last: {told:?}");
    host.say("alice", "live");
    assert_eq!(host.until_said(1).await, ["live"], "the stream goes on without");
    // It stays owed.
    host.simulator.kill_streams(None, Code::Unavailable, "");
    assert_eq!(until_caught_up(&host, 1).await, [1]);
    assert_eq!(host.until_said(2).await, ["live", "missed caught up"]);
    host.stop().await;
}

#[tokio::test]
async fn a_list_that_fails_once_is_had_the_next_time() {
    let host = setup("").start().await;
    until_open(&host).await;
    host.simulator.script("message_list", Reply::Status(Code::Internal, "oh".to_owned()), 1);
    host.simulator.kill_streams(None, Code::Unavailable, "");
    host.say("alice", "missed");
    assert_eq!(until_caught_up(&host, 1).await, [1]);
    assert_eq!(
        (host.until_said(1).await.as_slice(), gaps(&host).len()),
        (["missed caught up".to_owned()].as_slice(), 0)
    );
    host.stop().await;
}

/// Two rules that get every message; the handler of one waits for a command, at the message `wait`.
fn stuck() -> Setup {
    const RULES: &str = "rules:
  - { name: stuck, subscription: message_received, filter: { body_search: . }, order: rule, handler: stuck.lua }
  - { name: free, subscription: message_received, handler: free.lua }\n";
    let stuck = "return function(n)
        if n.message.body == 'wait' then pcall(olvid.identity_get, {}) end
        print('stuck ' .. n.message.body)
    end";
    Setup::new(RULES)
        .file("stuck.lua", stuck)
        .file("free.lua", "return function(n) print('free ' .. n.message.body) end")
}

/// The bodies that a rule said, in order.
fn of(said: &[String], rule: &str) -> Vec<String> {
    said.iter().filter_map(|line| line.strip_prefix(rule)?.strip_prefix(' ')).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_stuck_handler_holds_up_its_own_list_which_goes_on_where_it_was_when_it_breaks() {
    for breaks in [false, true] {
        let host = stuck().start().await;
        until_open(&host).await;
        let gate = Arc::<Notify>::default();
        host.simulator.script("identity_get", Reply::Hold(Arc::clone(&gate)), 1);
        in_time(host.simulator.stop()).await;
        host.say("alice", "wait");
        let bodies: Vec<_> = (0..900).map(|number| format!("{number} {}", "x".repeat(500))).collect();
        for body in &bodies {
            host.say("alice", body);
        }
        host.simulator.restart().await.unwrap();
        in_time(host.simulator.wait_recorded("identity_get", 1)).await;
        let wanted: Vec<_> = ["wait".to_owned()].into_iter().chain(bodies).collect();
        let freely = |host: &Host| Some(of(&host.said(), "free")).filter(|said| said.len() == wanted.len());
        assert!(host.until(freely).await == wanted, "the other rule is through");
        assert_eq!(of(&host.said(), "stuck"), [] as [String; 0]);
        if breaks {
            // The command that the handler waits for fails with it, which lets the handler go on.
            host.simulator.drop_connections();
        } else {
            gate.notify_one();
        }
        let done = |host: &Host| Some(of(&host.said(), "stuck")).filter(|said| said.len() >= wanted.len());
        assert!(host.until(done).await == wanted, "breaks {breaks}");
        assert!(host.failures().is_empty(), "{:?}", host.failures());
        let events = host.stop().await;
        assert_eq!(events.iter().filter(|event| matches!(event, Event::Said { .. })).count(), 2 * wanted.len());
    }
}
