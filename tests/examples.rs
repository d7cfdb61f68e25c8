//! The shipped examples, `rules.yaml` and `scripts/`: what each visibly does when alice meets the bot.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/host.rs"]
mod host;

use std::fs;

use host::{Host, Watch, examples};
use serde_json::json;

async fn start() -> (Host, Watch) {
    let host = examples().start().await;
    let alice = host.observe("alice");
    (host, alice)
}

/// Nothing failed, and nobody got more than was expected: the host is stopped, so all that was to be said is said.
async fn quiet(host: Host, mut alice: Watch) {
    let simulator = host.simulator.handle();
    let events = host.stop().await;
    assert!(!events.iter().any(|event| matches!(event, olvid_rules::report::Event::RunFailed(_))), "{events:#?}");
    assert_eq!(alice.texts_so_far(), [] as [&str; 0]);
    drop(simulator);
}

#[tokio::test]
async fn each_message_is_answered_by_one_rule_at_most() {
    let (host, mut alice) = start().await;
    for (said, answered) in [
        ("!ping", "pong"),
        ("!PING please", "pong"),
        ("!echo Hello,\nworld", "Hello,\nworld"),
        ("!echo", "usage: !echo TEXT"),
        ("!pinging", "I do not know that command; !help shows those I do."),
        ("!echo_x y", "I do not know that command; !help shows those I do."),
        ("!choose", "usage: !choose A B ..."),
        ("!choose one", "one"),
        ("!roll 3d1", "1 + 1 + 1 = 3"),
        ("!roll d1", "1"),
        ("!roll 0d6", "usage: !roll 2d6"),
        ("!Roll 101d6", "usage: !roll 2d6"),
        ("!roll 99999999999999999999d6", "usage: !roll 2d6"),
    ] {
        host.say("alice", said);
        assert_eq!(alice.text().await, answered, "{said}");
    }
    for said in ["hello", "!", "!!!", "what? !ping", " !ping"] {
        host.say("alice", said);
    }
    quiet(host, alice).await;
}

#[tokio::test]
async fn help_lists_the_commands() {
    let (host, mut alice) = start().await;
    host.say("alice", "!help");
    let help = alice.text().await;
    assert!(help.starts_with("I know these commands:\n!help: shows this list\n!ping: answers pong\n"), "{help}");
    assert!(help.contains("\n!time: "), "{help}");
    host.say("alice", "!time");
    assert_eq!(alice.text().await.len(), "2025-01-01 00:00:00".len());
    host.say("alice", "!choose a b c");
    assert!(["a", "b", "c"].contains(&alice.text().await.as_str()));
    quiet(host, alice).await;
}

#[tokio::test]
async fn whoever_is_new_is_greeted() {
    let (host, mut alice) = start().await;
    let bot = host.contact("alice", "bot");
    host.call("alice", "contact_downgrade_one_to_one_discussion", json!({ "contact_id": bot }));
    host.call("alice", "contact_invite_to_one_to_one_discussion", json!({ "contact_id": bot }));
    assert_eq!(alice.text().await, "Hello! I am a bot. !help shows what I can do.");
    quiet(host, alice).await;
}

#[tokio::test]
async fn a_greeting_waits_until_messages_can_pass() {
    let (host, mut alice) = start().await;
    let contact = host.call("bot", "contact_list", json!({ "filter": { "display_name_search": "alice" } }))[0].clone();
    let mut without = contact.clone();
    without["established_channel_count"] = json!(0);
    host.simulator.script("contact_get", olvid_rules::simulator::Reply::Json(json!({ "contact": without })), 1);
    let bot = host.contact("alice", "bot");
    host.call("alice", "contact_downgrade_one_to_one_discussion", json!({ "contact_id": bot }));
    host.call("alice", "contact_invite_to_one_to_one_discussion", json!({ "contact_id": bot }));
    assert_eq!(alice.text().await, "Hello! I am a bot. !help shows what I can do.");
    let asked = host.recorded().into_iter().filter(|(command, _)| command == "contact_get").count();
    assert_eq!(asked, 2);
    quiet(host, alice).await;
}

#[tokio::test]
async fn reactions_are_logged_and_thanked_for() {
    let (host, mut alice) = start().await;
    let own = host.say("alice", "my own");
    host.say("alice", "!ping");
    let pong = alice.next("message_received").await["message"]["id"].clone();
    let react = |id, reaction| host.call("alice", "message_react", json!({ "message_id": id, "reaction": reaction }));
    react(&pong, "👍");
    let thanks = alice.next("message_received").await;
    assert_eq!(thanks["message"]["body"], "Thanks for the 👍");
    assert_eq!(thanks["message"]["replied_message_id"], pong);
    for reaction in ["🎉", ""] {
        react(&pong, reaction);
    }
    react(&own["id"], "🙂");
    let mut said = host.until_said(4).await;
    said.sort();
    assert_eq!(said, ["reaction added", "reaction added", "reaction changed", "reaction removed"]);
    quiet(host, alice).await;
}

#[tokio::test]
async fn received_files_are_kept() {
    let (host, mut alice) = start().await;
    let discussion = host.discussion("alice", "bot");
    for answered in ["Saved as received/evil.txt", "Saved as received/evil-1.txt"] {
        let files = [("../../evil.txt", "content".into())];
        let metadata = json!({ "discussion_id": discussion });
        host.simulator.upload("alice", "message_send_with_attachments", &metadata, &files).unwrap();
        assert_eq!(alice.text().await, answered);
    }
    assert_eq!(fs::read(host.path("scripts/received/evil-1.txt")).unwrap(), b"content");
    quiet(host, alice).await;
}

#[tokio::test]
async fn what_happens_in_a_group_is_told_there() {
    let (host, mut alice) = start().await;
    let (bot, bob) = (host.contact("alice", "bot"), host.contact("alice", "bob"));
    let request = json!({ "name": "ops", "admin_contact_ids": [bot, bob] });
    let group = host.call("alice", "group_new_standard_group", request)["group"].clone();
    let mut first = [alice.text().await, alice.text().await];
    first.sort();
    assert_eq!(first, ["Hello! I am a bot. !help shows what I can do.", "alice joined the group."]);

    let invitation = host.call("bob", "invitation_list", json!({}))[0]["id"].clone();
    host.call("bob", "invitation_accept", json!({ "invitation_id": invitation }));
    assert_eq!(alice.text().await, "bob joined the group.");

    let mut renamed = host.call("alice", "group_get", json!({ "group_id": group["id"] }))["group"].clone();
    renamed["name"] = json!("operations");
    host.call("alice", "group_update", json!({ "group": renamed }));
    assert_eq!(alice.text().await, "This group is now called “operations”, before “ops”.");

    let group = host.call("bob", "group_list", json!({}))[0]["id"].clone();
    host.call("bob", "group_leave", json!({ "group_id": group }));
    assert_eq!(alice.text().await, "bob left the group.");
    quiet(host, alice).await;
}
