//! Messages, reactions, edits, deletions, attachments, locations, on both sides.

use bytes::Bytes;
use serde_json::json;
use tonic::Code;

use crate::{contact, discussion, names, newest, send, simulator, support::Client};

const DELIVERED: [&str; 4] = ["message_sent", "message_uploaded", "message_delivered", "message_read"];

#[tokio::test]
async fn what_alice_sends_arrives_at_the_bot_with_the_ids_of_the_bots_side() {
    let (simulator, _) = simulator().await;
    let (alice, bot) = (Client::connect(&simulator, "alice").await, Client::connect(&simulator, "bot").await);
    let mut hers = simulator.observe("alice").unwrap();
    let mut received = bot.subscribe("message_received", json!({})).await.unwrap();

    let to = discussion(&simulator, "alice", "bot");
    let sent = alice.call("message_send", json!({"discussion_id": to, "body": "hello"})).await.unwrap();
    let arrived = received.expect().await["message"].clone();

    assert_eq!(sent["message"]["id"]["type"], "TYPE_OUTBOUND");
    assert_eq!(sent["message"]["sender_id"], 0);
    assert_eq!(arrived["id"]["type"], "TYPE_INBOUND");
    assert_ne!(arrived["id"]["id"], sent["message"]["id"]["id"]);
    assert_eq!(arrived["sender_id"], contact(&simulator, "bot", "alice"));
    assert_eq!(arrived["discussion_id"], discussion(&simulator, "bot", "alice"));
    assert_ne!(arrived["discussion_id"], to);
    assert_eq!(arrived["body"], "hello");
    assert_eq!(arrived["timestamp"], 1_700_000_000_000_u64);
    assert_eq!(names(&mut hers), DELIVERED);
    let got = bot.call("message_get", json!({"message_id": arrived["id"]})).await.unwrap();
    assert_eq!(got["message"], arrived);
}

#[tokio::test]
async fn a_reply_points_at_each_sides_own_copy() {
    let (simulator, _) = simulator().await;
    let question = send(&simulator, "alice", "bot", "?");
    let asked = newest(&simulator, "bot");
    let to = discussion(&simulator, "bot", "alice");
    let answer = json!({"discussion_id": to, "body": "!", "reply_id": asked["id"]});
    let answer = simulator.call("bot", "message_send", &answer).unwrap();
    assert_eq!(answer["message"]["replied_message_id"], asked["id"]);
    assert_eq!(newest(&simulator, "alice")["replied_message_id"], question["id"]);

    let elsewhere = discussion(&simulator, "bot", "bob");
    let wrong = json!({"discussion_id": elsewhere, "body": "!", "reply_id": asked["id"]});
    assert_eq!(simulator.call("bot", "message_send", &wrong).unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn reactions_come_change_and_go_on_both_sides() {
    let (simulator, _) = simulator().await;
    let sent = send(&simulator, "bot", "alice", "vote");
    let (mut bots, mut hers) = (simulator.observe("bot").unwrap(), simulator.observe("alice").unwrap());
    let copy = newest(&simulator, "alice");
    for reaction in ["👍", "👍", "👎", "", ""] {
        let request = json!({"message_id": copy["id"], "reaction": reaction});
        simulator.call("alice", "message_react", &request).unwrap();
    }
    let expected = ["message_reaction_added", "message_reaction_updated", "message_reaction_removed"];
    assert_eq!(names(&mut hers), expected);
    let seen = bots.all();
    assert_eq!(seen.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expected);
    let alice = contact(&simulator, "bot", "alice");
    assert_eq!(seen[0].1["reaction"]["contact_id"], alice);
    assert_eq!(seen[0].1["message"]["reactions"][0]["reaction"], "👍");
    assert_eq!(seen[0].1["message"]["id"], sent["id"]);
    assert_eq!(seen[1].1["previous_reaction"]["reaction"], "👍");
    assert_eq!(seen[1].1["reaction"]["reaction"], "👎");
    assert_eq!(seen[2].1["message"]["reactions"], json!([]));
}

#[tokio::test]
async fn only_the_sender_edits_and_both_sides_see_it() {
    let (simulator, _) = simulator().await;
    let sent = send(&simulator, "alice", "bot", "teh");
    let copy = newest(&simulator, "bot");
    let (mut bots, mut hers) = (simulator.observe("bot").unwrap(), simulator.observe("alice").unwrap());
    let edit = |id: &serde_json::Value, body: &str| json!({"message_id": id, "updated_body": body});
    simulator.call("alice", "message_update_body", &edit(&sent["id"], "the")).unwrap();
    for seen in [bots.all(), hers.all()] {
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].0, "message_body_updated");
        assert_eq!(seen[0].1["previous_body"], "teh");
        assert_eq!(seen[0].1["message"]["body"], "the");
        assert_eq!(seen[0].1["message"]["edited_body"], true);
    }
    let refusal = |who: &str, request| simulator.call(who, "message_update_body", &request).unwrap_err().code();
    assert_eq!(refusal("bot", edit(&copy["id"], "mine")), Code::InvalidArgument);
    assert_eq!(refusal("alice", edit(&sent["id"], " ")), Code::InvalidArgument);
    assert_eq!(refusal("alice", edit(&json!({"type": "outbound", "id": 77}), "x")), Code::NotFound);
}

#[tokio::test]
async fn deleting_here_is_seen_here_and_everywhere_everywhere() {
    let (simulator, _) = simulator().await;
    let first = send(&simulator, "alice", "bot", "one");
    let second = send(&simulator, "alice", "bot", "two");
    let copy = newest(&simulator, "bot");
    let (mut bots, mut hers) = (simulator.observe("bot").unwrap(), simulator.observe("alice").unwrap());
    let delete = |id: &serde_json::Value, everywhere| json!({"message_id": id, "delete_everywhere": everywhere});

    simulator.call("alice", "message_delete", &delete(&first["id"], false)).unwrap();
    assert_eq!((names(&mut hers).len(), names(&mut bots).len()), (1, 0));
    let refused = simulator.call("bot", "message_delete", &delete(&copy["id"], true)).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    simulator.call("alice", "message_delete", &delete(&second["id"], true)).unwrap();
    let seen = bots.all();
    assert_eq!(seen[0].0, "message_deleted");
    assert_eq!(seen[0].1["message"]["body"], "two");
    let gone = simulator.call("bot", "message_get", &json!({"message_id": copy["id"]})).unwrap_err();
    assert_eq!((gone.code(), gone.message()), (Code::NotFound, "Message not found"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused() {
    let (simulator, _) = simulator().await;
    let to = discussion(&simulator, "bot", "alice");
    let code = |request| simulator.call("bot", "message_send", &request).unwrap_err().code();
    assert_eq!(code(json!({"discussion_id": to, "body": " \n"})), Code::InvalidArgument);
    assert_eq!(code(json!({"discussion_id": 7, "body": "x"})), Code::NotFound);
    let reply = json!({"type": "inbound", "id": 9});
    assert_eq!(code(json!({"discussion_id": to, "body": "x", "reply_id": reply})), Code::NotFound);
}

#[tokio::test]
async fn attachments_of_several_megabytes_arrive_byte_for_byte() {
    let (simulator, _) = simulator().await;
    let (alice, bot) = (Client::connect(&simulator, "alice").await, Client::connect(&simulator, "bot").await);
    let mut hers = simulator.observe("alice").unwrap();
    let mut received = bot.subscribe("attachment_received", json!({"filter": {"file_type": "image"}})).await.unwrap();
    let content: Vec<u8> = (0..5_300_007_u32).map(|at| (at * 7 % 251) as u8).collect();
    let files = [("photo.JPG", Bytes::from(content.clone())), ("empty.txt", Bytes::new())];
    let metadata = json!({"discussion_id": discussion(&simulator, "alice", "bot"), "body": "look"});
    let command = crate::support::command("message_send_with_attachments");
    // The frames a client sends, over the socket.
    let frames = crate::things::upload_frames(command, &metadata, &files);
    let mut answer = alice.raw(&command.method, frames).await.unwrap();
    let answer = answer.message().await.unwrap().unwrap();
    let answer = olvid_rules::schema::json::from_wire(&command.method.output, &answer).unwrap();
    assert_eq!(answer["message"]["attachments_count"], 2);
    assert_eq!(answer["attachments"][1]["size"], 0);
    let expected = ["message_sent", "attachment_uploaded", "attachment_uploaded", "message_uploaded"];
    assert_eq!(names(&mut hers)[..4], expected);

    let attachment = received.expect().await["attachment"].clone();
    assert_eq!(attachment["file_name"], "photo.JPG");
    assert_eq!(attachment["mime_type"], "image/jpeg");
    assert_eq!(attachment["size"], content.len());
    let download = &crate::support::command("attachment_download").method;
    let request = json!({"attachment_id": attachment["id"]});
    let request = olvid_rules::schema::encode::encode(&download.input, &&request, None).unwrap();
    let mut chunks = bot.raw(download, vec![request.into()]).await.unwrap();
    let (mut whole, mut count) = (Vec::new(), 0);
    while let Some(chunk) = chunks.message().await.unwrap() {
        let mut reader = olvid_rules::schema::wire::Reader::new(&download.output, &chunk);
        let Some((_, olvid_rules::schema::wire::Value::Bytes(bytes))) = reader.advance().unwrap() else { panic!() };
        whole.extend_from_slice(bytes);
        count += 1;
    }
    assert_eq!(count, 6);
    assert!(whole == content, "the content changed on its way");

    let request = json!({"attachment_id": attachment["id"]});
    bot.call("attachment_delete", request.clone()).await.unwrap();
    let gone = bot.call("attachment_get", request).await.unwrap_err();
    assert_eq!((gone.code(), gone.message()), (Code::NotFound, "Attachment not found"));
}

#[tokio::test]
async fn an_upload_that_is_not_what_it_announced_is_refused() {
    let (simulator, _) = simulator().await;
    let to = discussion(&simulator, "bot", "alice");
    let metadata = |files: serde_json::Value| json!({"metadata": {"discussion_id": to, "files": files}});
    let (payload, end) = (json!({"payload": "abc"}), json!({"file_delimiter": true}));
    let file = json!({"filename": "a", "file_size": 3});
    let wrong = [
        json!([payload]),
        json!([metadata(json!([]))]),
        json!([metadata(json!([file]))]),
        json!([metadata(json!([file])), payload]),
        json!([metadata(json!([file])), payload, payload, end]),
        json!([metadata(json!([file])), payload, end, payload, end]),
        json!([metadata(json!([file])), metadata(json!([file]))]),
        json!([metadata(json!([file, file])), payload, end, payload, end]),
    ];
    for request in wrong {
        let refused = simulator.call("bot", "message_send_with_attachments", &request).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{request}");
    }
    let right = json!([metadata(json!([file])), payload, end]);
    simulator.call("bot", "message_send_with_attachments", &right).unwrap();
}

#[tokio::test]
async fn a_message_is_unread_until_any_client_has_seen_it() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let unread = || async {
        let listed = bot.list("message_list", json!({"unread": true})).await.unwrap();
        listed.into_iter().map(|message| message["body"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    send(&simulator, "alice", "bot", "one");
    send(&simulator, "bob", "bot", "two");
    assert_eq!(unread().await, ["one", "two"]);
    assert!(unread().await.is_empty());

    let mut pings = bot.subscribe("message_received", json!({"filter": {"body_search": "^!"}})).await.unwrap();
    send(&simulator, "alice", "bot", "!ping");
    send(&simulator, "alice", "bot", "three");
    assert_eq!(pings.expect().await["message"]["body"], "!ping");
    assert_eq!(unread().await, ["three"]);
}

#[tokio::test]
async fn lists_are_oldest_first_and_over_many_pages() {
    let (simulator, clock) = simulator().await;
    for number in 0..250 {
        clock.advance(std::time::Duration::from_millis(u64::from(number % 3 == 0)));
        let from = if number % 2 == 0 { ("alice", "bot") } else { ("bot", "alice") };
        send(&simulator, from.0, from.1, &number.to_string());
    }
    let bot = Client::connect(&simulator, "bot").await;
    let listed = bot.list("message_list", json!({})).await.unwrap();
    let bodies: Vec<_> = listed.iter().map(|message| message["body"].as_str().unwrap().to_owned()).collect();
    assert_eq!(bodies, (0..250).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_place_is_sent_shared_kept_up_to_date_and_ended() {
    let (simulator, _) = simulator().await;
    let (mut bots, mut hers) = (simulator.observe("bot").unwrap(), simulator.observe("alice").unwrap());
    let to = discussion(&simulator, "alice", "bot");
    let place = |latitude: f64| json!({"discussion_id": to, "latitude": latitude, "longitude": -2.25});
    let sent = simulator.call("alice", "message_send_location", &place(48.5)).unwrap();
    assert_eq!(sent["message"]["body"], "https://maps.google.com/?q=48.50000+-2.25000");
    assert_eq!(names(&mut bots), ["message_received", "message_location_received"]);
    let sent_and = ["message_sent", "message_location_sent", "message_uploaded", "message_delivered", "message_read"];
    assert_eq!(names(&mut hers), sent_and);

    let shared = simulator.call("alice", "message_start_location_sharing", &place(1.0)).unwrap();
    let id = &shared["message"]["id"];
    let moved = json!({"message_id": id, "latitude": 2.0, "longitude": 3.0});
    simulator.call("alice", "message_update_location_sharing", &moved).unwrap();
    simulator.call("alice", "message_end_location_sharing", &json!({"message_id": id})).unwrap();
    let seen = bots.all();
    let expected = [
        "message_received",
        "message_location_sharing_start",
        "message_location_sharing_update",
        "message_location_sharing_end",
    ];
    assert_eq!(seen.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expected);
    assert_eq!(seen[2].1["previous_location"]["latitude"], 1.0);
    assert_eq!(seen[2].1["message"]["message_location"]["latitude"], 2.0);
    assert_eq!(seen[3].1["message"]["message_location"]["type"], "LOCATION_TYPE_SHARING_FINISHED");

    let code = |name: &str, request| simulator.call("alice", name, &request).unwrap_err().code();
    assert_eq!(code("message_update_location_sharing", moved), Code::InvalidArgument);
    assert_eq!(code("message_send_location", json!({"discussion_id": to})), Code::InvalidArgument);
    let half = json!({"discussion_id": to, "latitude": 1.0, "preview_filename": "a.png"});
    assert_eq!(code("message_send_location", half), Code::InvalidArgument);
}
