//! Discussions, storage, settings, identities, photos, calls.

use bytes::Bytes;
use olvid_rules::schema::{Command, Shape, encode};
use serde_json::{Value as Json, json};
use tonic::Code;

use crate::{contact, discussion, names, newest, send, simulator, support::Client};

/// The messages of an upload of several files, as a client sends them.
pub(crate) fn upload_frames(command: &Command, metadata: &Json, files: &[(&str, Bytes)]) -> Vec<Bytes> {
    let Shape::Upload(shape, _) = command.shape else { panic!("no upload") };
    let input = &command.method.input;
    let mut metadata = metadata.clone();
    let list: Vec<_> =
        files.iter().map(|(name, content)| json!({"filename": name, "file_size": content.len()})).collect();
    metadata["files"] = list.into();
    let mut first = serde_json::Map::new();
    first.insert(input.fields[shape.metadata].name.clone(), metadata);
    let mut frames = vec![Bytes::from(encode::encode(input, &&Json::Object(first), None).unwrap())];
    for (_, content) in files {
        for chunk in content.chunks(1 << 20) {
            let mut frame = Vec::new();
            encode::put_bytes(input.fields[shape.payload].number, chunk, &mut frame);
            frames.push(frame.into());
        }
        let mut frame = Vec::new();
        encode::put_number(input.fields[shape.delimiter.unwrap()].number, 1, &mut frame);
        frames.push(frame.into());
    }
    frames
}

#[tokio::test]
async fn storage_keeps_text_by_key_for_clients_and_discussions() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let id = discussion(&simulator, "bot", "alice");
    for (prefix, base) in [("storage", json!({})), ("discussion_storage", json!({"discussion_id": id}))] {
        let with = |more: Json| {
            let mut all = base.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        let call = |name: &str, request| bot.call(Box::leak(format!("{prefix}_{name}").into_boxed_str()), request);
        assert_eq!(call("get", with(json!({"key": "a"}))).await.unwrap()["value"], "");
        assert_eq!(call("set", with(json!({"key": "a", "value": "1"}))).await.unwrap()["previous_value"], "");
        assert_eq!(call("set", with(json!({"key": "a", "value": "2"}))).await.unwrap()["previous_value"], "1");
        call("set", with(json!({"key": "b", "value": "3"}))).await.unwrap();
        let filter = with(json!({"filter": {"value_search": "[23]", "key_search": "^a"}}));
        let listed = bot.list(&format!("{prefix}_list"), filter).await.unwrap();
        assert_eq!(listed, [json!({"key": "a", "value": "2"})]);
        assert_eq!(call("unset", with(json!({"key": "a"}))).await.unwrap()["previous_value"], "2");
        assert_eq!(call("get", with(json!({"key": "a"}))).await.unwrap()["value"], "");
    }
    let nowhere = json!({"discussion_id": 1, "key": "a"});
    assert_eq!(bot.call("discussion_storage_get", nowhere).await.unwrap_err().code(), Code::NotFound);
    let admin = Client::connect(&simulator, "admin").await.acting_for(simulator.identity_id("bot").unwrap());
    let refused = admin.call("discussion_storage_get", json!({"discussion_id": id, "key": "a"})).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_deleted_contact_locks_the_discussion_on_both_sides() {
    let (simulator, _) = simulator().await;
    send(&simulator, "alice", "bot", "bye");
    let id = discussion(&simulator, "bot", "alice");
    let (mut bots, mut hers) = (simulator.observe("bot").unwrap(), simulator.observe("alice").unwrap());
    let alice = contact(&simulator, "bot", "alice");
    simulator.call("bot", "contact_delete", &json!({"contact_id": alice})).unwrap();
    for seen in [&mut bots, &mut hers] {
        assert_eq!(names(seen), ["discussion_locked", "contact_deleted"]);
    }
    assert_eq!(simulator.call("bot", "discussion_list", &json!({})).unwrap().as_array().unwrap().len(), 1);
    let locked = simulator.call("bot", "discussion_locked_list", &json!({})).unwrap();
    assert_eq!(locked[0]["id"], id);
    let code = |name: &str, request| simulator.call("bot", name, &request).unwrap_err().code();
    assert_eq!(code("discussion_get", json!({"discussion_id": id})), Code::NotFound);
    assert_eq!(code("message_send", json!({"discussion_id": id, "body": "x"})), Code::NotFound);
    assert_eq!(newest(&simulator, "bot")["body"], "bye");
    simulator.call("bot", "discussion_locked_delete", &json!({"discussion_id": id})).unwrap();
    assert_eq!(names(&mut bots), ["message_deleted"]);
    assert_eq!(simulator.call("bot", "discussion_locked_list", &json!({})).unwrap(), json!([]));
}

#[tokio::test]
async fn new_details_are_seen_by_contacts() {
    let (simulator, _) = simulator().await;
    let mut bots = simulator.observe("bot").unwrap();
    let details = json!({"new_details": {"first_name": "Alice", "last_name": "Liddell", "company": "Wonderland"}});
    simulator.call("alice", "identity_update_details", &details).unwrap();
    let seen = bots.all();
    assert_eq!(seen[0].0, "contact_details_updated");
    assert_eq!(seen[0].1["contact"]["display_name"], "Alice Liddell (Wonderland)");
    assert_eq!(seen[0].1["previous_details"]["first_name"], "alice");
    assert_eq!(seen[1].0, "discussion_title_updated");
    assert_eq!(seen[1].1["previous_title"], "alice");
    assert_eq!(seen[1].1["discussion"]["title"], "Alice Liddell (Wonderland)");
    let blank = simulator.call("alice", "identity_update_details", &json!({"new_details": {"first_name": " "}}));
    assert_eq!(blank.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_photo_is_seen_by_contacts() {
    let (simulator, _) = simulator().await;
    let mut bots = simulator.observe("bot").unwrap();
    let photo = Bytes::from_static(b"a picture");
    simulator.upload("alice", "identity_set_photo", &json!({}), &[("me.jpg", photo.clone())]).unwrap();
    assert_eq!(names(&mut bots), ["contact_photo_updated"]);
    let id = contact(&simulator, "bot", "alice");
    let seen = simulator.call("bot", "contact_download_photo", &json!({"contact_id": id})).unwrap();
    assert_eq!(seen["photo"], "a picture");
    let short = json!([{"metadata": {"filename": "x", "file_size": 9}}, {"payload": "short"}]);
    let refused = simulator.call("alice", "identity_set_photo", &short).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn settings_of_a_discussion_are_shared_and_those_of_an_identity_act_at_once() {
    let (simulator, clock) = simulator().await;
    let id = discussion(&simulator, "bot", "alice");
    let mut hers = simulator.observe("alice").unwrap();
    let settings = json!({"discussion_settings": {"discussion_id": id, "existence_duration": 60}});
    simulator.call("bot", "settings_discussion_set", &settings).unwrap();
    let seen = hers.all();
    assert_eq!(seen[0].0, "discussion_settings_updated");
    assert_eq!(seen[0].1["new_settings"]["discussion_id"], discussion(&simulator, "alice", "bot"));
    assert_eq!(seen[0].1["new_settings"]["existence_duration"], 60);
    assert_eq!(seen[0].1["previous_settings"]["existence_duration"], 0);

    for body in ["old", "middle", "new"] {
        send(&simulator, "alice", "bot", body);
        clock.advance(std::time::Duration::from_mins(1));
    }
    let mut bots = simulator.observe("bot").unwrap();
    let retention = |field: &str, value: u64| json!({"identity_settings": {"message_retention": {field: value}}});
    simulator.call("bot", "settings_identity_set", &retention("existence_duration", 150)).unwrap();
    simulator.call("bot", "settings_identity_set", &retention("discussion_count", 1)).unwrap();
    let bodies: Vec<_> = bots.all().into_iter().map(|(_, seen)| seen["message"]["body"].clone()).collect();
    assert_eq!(bodies, ["old", "middle"]);
}

#[tokio::test]
async fn emptying_a_discussion_deletes_its_messages_here() {
    let (simulator, _) = simulator().await;
    send(&simulator, "alice", "bot", "one");
    send(&simulator, "bob", "bot", "two");
    let (mut bots, mut hers) = (simulator.observe("bot").unwrap(), simulator.observe("alice").unwrap());
    let id = discussion(&simulator, "bot", "alice");
    simulator.call("bot", "discussion_empty", &json!({"discussion_id": id})).unwrap();
    assert_eq!((names(&mut bots).len(), names(&mut hers).len()), (1, 0));
    assert_eq!(newest(&simulator, "bot")["body"], "two");
}

#[tokio::test]
async fn a_called_daemon_is_busy() {
    let (simulator, _) = simulator().await;
    let (mut bots, mut hers) = (simulator.observe("bot").unwrap(), simulator.observe("alice").unwrap());
    let id = discussion(&simulator, "alice", "bot");
    let call = simulator.call("alice", "call_start_discussion_call", &json!({"discussion_id": id})).unwrap();
    let seen = bots.all();
    assert_eq!(seen[0].1["call_identifier"], call["call_identifier"]);
    assert_eq!(seen[0].1["caller_display_name"], "alice");
    assert_eq!(seen[0].1["participant_id"]["contact_id"], contact(&simulator, "bot", "alice"));
    assert_eq!((seen[0].0.as_str(), seen[1].0.as_str()), ("call_incoming_call", "call_ended"));
    assert_eq!(names(&mut hers), ["call_busy", "call_ended"]);
}
