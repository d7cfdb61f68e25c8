//! `order`: what waits for what, with thousands of notifications and handlers that take their time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/host.rs"]
mod host;

use std::sync::atomic::Ordering;

use host::Setup;
use serde_json::json;

/// Checks as it goes, and says what it has seen when the last message was handled.
const SCRIPT: &str = r"
local last, running, total, most, handled, out = {}, {}, 0, 0, 0, 0
return function(notification)
  local message = notification.message
  local discussion, number = message.discussion_id, message.timestamp
  if number ~= (last[discussion] or 0) + 1 or (running[discussion] or 0) > 0 then out = out + 1 end
  running[discussion], total = (running[discussion] or 0) + 1, total + 1
  most = math.max(most, total)
  sleep(math.random() * PAUSE)
  last[discussion], running[discussion], total, handled = number, running[discussion] - 1, total - 1, handled + 1
  if handled == COUNT then print(json.encode { out_of_order = out, at_once = most }) end
end
";

/// Sends messages round the discussions and returns what the script saw.
async fn run(order: &str, discussions: u64, messages: u64, pause: &str) -> (u64, u64) {
    let rules = format!(
        "rules:\n  - name: test\n    subscription: message_received\n    handler: t.lua\n    timeout: 1m\n{order}"
    );
    let count = discussions * messages;
    let script = SCRIPT.replace("PAUSE", pause).replace("COUNT", &count.to_string());
    let host = Setup::new(&rules).file("t.lua", script).start().await;
    for number in 1..=messages {
        for discussion in 1..=discussions {
            let message = json!({ "message": { "discussion_id": discussion, "timestamp": number } });
            host.simulator.emit("bot", "message_received", message).unwrap();
        }
    }
    let seen = host.until_said(1).await;
    host.settled(count).await;
    assert_eq!(host.counters().received.load(Ordering::Acquire), count);
    assert_eq!(host.counters().failed.load(Ordering::Acquire), 0);
    let seen: serde_json::Value = serde_json::from_str(&seen[0]).unwrap();
    (seen["out_of_order"].as_u64().unwrap(), seen["at_once"].as_u64().unwrap())
}

#[tokio::test]
async fn a_discussion_is_in_order_and_discussions_are_side_by_side() {
    let (out_of_order, at_once) = run("", 8, 1000, "0.002").await;
    assert_eq!((out_of_order, at_once), (0, 8));
}

#[tokio::test]
async fn a_rule_in_order_runs_one_at_a_time() {
    assert_eq!(run("    order: rule\n", 4, 50, "0.002").await, (0, 1));
}

#[tokio::test]
async fn without_order_as_many_run_as_concurrency_allows() {
    let (out_of_order, at_once) = run("    order: none\n    concurrency: 5\n", 2, 100, "0.01").await;
    assert_eq!(at_once, 5);
    assert!(out_of_order > 0);
}

#[tokio::test]
async fn concurrency_bounds_discussions_too() {
    assert_eq!(run("    concurrency: 3\n", 10, 20, "0.005").await, (0, 3));
}
