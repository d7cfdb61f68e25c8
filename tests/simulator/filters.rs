//! Filters of subscriptions and lists, table by table.

use olvid_rules::simulator::{Options, Simulator};
use serde_json::{Value as Json, json};
use tonic::Code;

use crate::{newest, send, simulator, support::Client};

/// Emits one notification for each request, and tells which of them let it through.
async fn passing(name: &str, notification: Json, requests: &[Json]) -> Vec<bool> {
    let options = Options { check_ids: false, ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let bot = Client::connect(&simulator, "bot").await;
    let mut open = Vec::new();
    for request in requests {
        let listening = bot.subscribe(name, request.clone()).await.unwrap_or_else(|error| panic!("{request}: {error}"));
        open.push(listening);
        simulator.subscribers("bot", open.len()).await;
    }
    simulator.emit("bot", name, notification).unwrap();
    let streams = simulator.streams();
    drop(open);
    streams.iter().map(|stream| stream.sent == 1).collect()
}

/// Each row: a request and whether the notification passes.
async fn check(name: &str, notification: Json, table: &[(Json, bool)]) {
    let requests: Vec<_> = table.iter().map(|(request, _)| request.clone()).collect();
    let passed = passing(name, notification, &requests).await;
    for ((request, expected), passed) in table.iter().zip(passed) {
        assert_eq!(passed, *expected, "{name} {request}");
    }
}

#[tokio::test]
async fn messages() {
    let message = json!({
        "id": {"type": "inbound", "id": 5}, "discussion_id": 7, "sender_id": 3, "body": "Hello world",
        "timestamp": 1000, "attachments_count": 1, "replied_message_id": {"type": "outbound", "id": 2},
        "message_location": {"type": "sharing"},
        "reactions": [{"contact_id": 0, "reaction": "a"}, {"contact_id": 3, "reaction": "b"}],
    });
    let filter = |filter: Json| json!({"filter": filter});
    check(
        "message_received",
        json!({"message": message}),
        &[
            (json!({}), true),
            (json!({"filter": {}}), true),
            (filter(json!({"type": "unspecified"})), true),
            (filter(json!({"type": "inbound"})), true),
            (filter(json!({"type": "outbound"})), false),
            (filter(json!({"discussion_id": 7})), true),
            (filter(json!({"discussion_id": 8})), false),
            (filter(json!({"sender_contact_id": 3})), true),
            (filter(json!({"sender_contact_id": 0})), false),
            (filter(json!({"body_search": ""})), true),
            (filter(json!({"body_search": "lo wo"})), true),
            (filter(json!({"body_search": "hello"})), false),
            (filter(json!({"body_search": "(?i)^hello"})), true),
            (filter(json!({"body_search": "^world"})), false),
            (filter(json!({"body_search": "(l)\\1"})), true),
            (filter(json!({"attachment": "have"})), true),
            (filter(json!({"attachment": "have_not"})), false),
            (filter(json!({"location": "have"})), true),
            (filter(json!({"location": "have_not"})), false),
            (filter(json!({"location": "is_sharing"})), true),
            (filter(json!({"location": "is_send"})), false),
            (filter(json!({"location": "is_sharing_finished"})), false),
            (filter(json!({"min_timestamp": 1000, "max_timestamp": 1000})), true),
            (filter(json!({"min_timestamp": 1001})), false),
            (filter(json!({"max_timestamp": 999})), false),
            (filter(json!({"has_reaction": "has"})), true),
            (filter(json!({"has_reaction": "has_not"})), false),
            (filter(json!({"reaction_filters": [{"reaction": "a"}, {"reaction": "b"}]})), true),
            (filter(json!({"reaction_filters": [{"reaction": "a"}, {"reaction": "c"}]})), false),
            (filter(json!({"reaction_filters": [{"reaction": "b", "reacted_by_me": true}]})), false),
            (filter(json!({"reaction_filters": [{"reaction": "b", "reacted_by_contact_id": 3}]})), true),
            (filter(json!({"reply_to_a_message": true})), true),
            (filter(json!({"do_not_reply_to_a_message": true})), false),
            (filter(json!({"replied_message_id": {"type": "outbound", "id": 2}})), true),
            (filter(json!({"replied_message_id": {"type": "inbound", "id": 2}})), false),
            (filter(json!({"type": "inbound", "discussion_id": 8})), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn reactions() {
    let notification = json!({
        "message": {"id": {"type": "outbound", "id": 5}, "body": "vote"},
        "reaction": {"contact_id": 3, "reaction": "b"}, "previous_reaction": {"contact_id": 3, "reaction": "a"},
    });
    check(
        "message_reaction_updated",
        notification,
        &[
            (json!({"message_filter": {"body_search": "vote"}}), true),
            (json!({"message_filter": {"body_search": "votes"}}), false),
            (json!({"reaction_filter": {"reaction": "b"}}), true),
            (json!({"reaction_filter": {"reaction": "a"}}), false),
            (json!({"previous_reaction_filter": {"reaction": "a"}}), true),
            (json!({"previous_reaction_filter": {"reacted_by_me": true}}), false),
            (json!({"message_ids": [{"type": "outbound", "id": 4}, {"type": "outbound", "id": 5}]}), true),
            (json!({"message_ids": [{"type": "inbound", "id": 5}]}), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn attachments() {
    let attachment = json!({
        "id": {"type": "outbound", "id": 9}, "discussion_id": 7, "message_id": {"type": "outbound", "id": 5},
        "file_name": "cat.png", "mime_type": "image/png", "size": 100,
    });
    let filter = |filter: Json| json!({"filter": filter});
    check(
        "attachment_uploaded",
        json!({"attachment": attachment}),
        &[
            (filter(json!({"file_type": "image"})), true),
            (filter(json!({"file_type": "image_video"})), true),
            (filter(json!({"file_type": "video"})), false),
            (filter(json!({"file_type": "audio"})), false),
            (filter(json!({"file_type": "link_preview"})), false),
            (filter(json!({"file_type": "not_link_preview"})), true),
            (filter(json!({"filename_search": "\\.png$", "mime_type_search": "^image"})), true),
            (filter(json!({"filename_search": "dog"})), false),
            (filter(json!({"min_size": 100, "max_size": 100})), true),
            (filter(json!({"max_size": 99})), false),
            (filter(json!({"message_id": {"type": "outbound", "id": 5}})), true),
            (filter(json!({"message_id": {"type": "outbound", "id": 6}})), false),
            (json!({"message_ids": [{"type": "outbound", "id": 5}]}), true),
            (json!({"message_ids": [{"type": "outbound", "id": 9}]}), false),
            (json!({"attachment_ids": [{"type": "outbound", "id": 9}]}), true),
            (json!({"attachment_ids": [{"type": "outbound", "id": 5}]}), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn groups_and_their_members() {
    let admin = json!({"admin": true, "send_message": true});
    let notification = json!({
        "group": {
            "id": 100_000_001, "name": "ops", "description": "on call", "type": "standard",
            "own_permissions": admin, "members": [{"contact_id": 3, "permissions": admin}, {"contact_id": 4}],
            "pending_members": [{"pending_member_id": 1, "display_name": "Eve", "declined": true}],
        },
        "member": {"contact_id": 4, "permissions": {"send_message": true}},
        "previous_permissions": admin,
    });
    let filter = |filter: Json| json!({"group_filter": filter});
    check(
        "group_member_permissions_updated",
        notification,
        &[
            (json!({"group_ids": [1, 100_000_001]}), true),
            (json!({"group_ids": [200_000_001]}), false),
            (filter(json!({"type": "standard", "empty": "is_not", "photo": "has_not", "keycloak": "is_not"})), true),
            (filter(json!({"type": "controlled"})), false),
            (filter(json!({"empty": "is"})), false),
            (filter(json!({"photo": "has"})), false),
            (filter(json!({"keycloak": "is"})), false),
            (filter(json!({"own_permissions_filter": {"admin": "is"}})), true),
            (filter(json!({"own_permissions_filter": {"change_settings": "can"}})), false),
            (filter(json!({"name_search": "^ops", "description_search": "call"})), true),
            (filter(json!({"member_filters": [{"contact_id": 3}, {"contact_id": 4}]})), true),
            (filter(json!({"member_filters": [{"contact_id": 4, "permissions": {"admin": "is"}}]})), false),
            (filter(json!({"pending_member_filters": [{"is_contact": "is_not", "has_declined": "has"}]})), true),
            (filter(json!({"pending_member_filters": [{"display_name_search": "^Bob"}]})), false),
            (json!({"member_filter": {"contact_id": 4, "permissions": {"send_message": "can"}}}), true),
            (json!({"member_filter": {"contact_id": 3}}), false),
            (json!({"previous_permission_filter": {"admin": "is", "send_message": "can"}}), true),
            (json!({"previous_permission_filter": {"admin": "is_not"}}), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_was_before() {
    let renamed = json!({"group": {"id": 2, "name": "new"}, "previous_name": "ops team"});
    check(
        "group_name_updated",
        renamed,
        &[
            (json!({"previous_name_search": "^ops"}), true),
            (json!({"previous_name_search": "new"}), false),
            (json!({"previous_name_search": "^ops", "group_filter": {"name_search": "^new$"}}), true),
        ],
    )
    .await;
    let own = json!({"group": {"id": 2}, "permissions": {"admin": true}, "previous_permissions": {}});
    check(
        "group_own_permissions_updated",
        own,
        &[
            (json!({"permissions_filter": {"admin": "is"}, "previous_permissions_filter": {"admin": "is_not"}}), true),
            (json!({"permissions_filter": {"admin": "is_not"}}), false),
            (json!({"previous_permissions_filter": {"admin": "is"}}), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn contacts_discussions_and_invitations() {
    let contact = json!({
        "id": 3, "display_name": "Ann Lee (CTO @ Acme)", "has_one_to_one_discussion": true,
        "details": {"first_name": "Ann", "last_name": "Lee", "company": "Acme", "position": "CTO"},
    });
    let filter = |filter: Json| json!({"filter": filter});
    check(
        "contact_details_updated",
        json!({"contact": contact}),
        &[
            (filter(json!({"one_to_one": "is", "photo": "has_not", "keycloak": "not_managed"})), true),
            (filter(json!({"one_to_one": "is_not"})), false),
            (filter(json!({"photo": "has"})), false),
            (filter(json!({"keycloak": "managed"})), false),
            (filter(json!({"display_name_search": "Lee"})), true),
            (filter(json!({"details_search": {"company": "^Ac", "position": "CTO"}})), true),
            (filter(json!({"details_search": {"company": "^Ac", "position": "CEO"}})), false),
            (json!({"contact_ids": [3]}), true),
            (json!({"contact_ids": [4]}), false),
        ],
    )
    .await;
    let discussion = json!({"id": 4, "title": "ops", "group_id": 0});
    check(
        "discussion_title_updated",
        json!({"discussion": discussion}),
        &[
            (filter(json!({"type": "group"})), true),
            (filter(json!({"type": "oto"})), false),
            (filter(json!({"group_id": 0})), true),
            (filter(json!({"contact_id": 0})), false),
            (filter(json!({"title_search": "^ops$"})), true),
            (json!({"discussion_ids": [4]}), true),
            (json!({"discussion_ids": [5]}), false),
        ],
    )
    .await;
    let invitation = json!({"id": 6, "status": "invitation_wait_you_to_accept", "display_name": "Ann", "timestamp": 9});
    check(
        "invitation_updated",
        json!({"invitation": invitation}),
        &[
            (filter(json!({"status": "invitation_wait_you_to_accept"})), true),
            (filter(json!({"status": "invitation_wait_it_to_accept"})), false),
            (filter(json!({"type": "invitation", "min_timestamp": 9, "max_timestamp": 9})), true),
            (filter(json!({"type": "group"})), false),
            (filter(json!({"min_timestamp": 10})), false),
            (json!({"invitation_ids": [6]}), true),
            (json!({"invitation_ids": [7]}), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_bad_pattern_is_refused_everywhere() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let bad = json!({"filter": {"body_search": "("}});
    let Err(refused) = bot.subscribe("message_received", bad.clone()).await else { panic!("it was let in") };
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(bot.list("message_list", bad).await.unwrap_err().code(), Code::InvalidArgument);
    let bad = json!({"previous_name_search": "["});
    let Err(refused) = bot.subscribe("group_name_updated", bad).await else { panic!("it was let in") };
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn ids_must_be_of_something_that_fits() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    send(&simulator, "alice", "bot", "hi");
    let inbound = newest(&simulator, "bot")["id"].clone();
    let outbound = send(&simulator, "bot", "alice", "ho")["id"].clone();
    let unknown = json!({"type": "outbound", "id": 99});
    let cases = [
        ("message_deleted", "message_ids", inbound.clone(), Code::Ok),
        ("message_deleted", "message_ids", unknown.clone(), Code::NotFound),
        ("message_uploaded", "message_ids", inbound.clone(), Code::InvalidArgument),
        ("message_uploaded", "message_ids", unknown.clone(), Code::NotFound),
        ("message_uploaded", "message_ids", outbound.clone(), Code::Ok),
        ("message_delivered", "message_ids", inbound.clone(), Code::InvalidArgument),
        ("message_read", "message_ids", inbound.clone(), Code::InvalidArgument),
        ("attachment_uploaded", "message_ids", inbound.clone(), Code::InvalidArgument),
        ("attachment_uploaded", "attachment_ids", unknown, Code::NotFound),
        ("message_location_sharing_end", "message_ids", outbound, Code::InvalidArgument),
        ("contact_deleted", "contact_ids", json!(77), Code::NotFound),
        ("group_deleted", "group_ids", json!(77), Code::NotFound),
        ("discussion_locked", "discussion_ids", json!(77), Code::NotFound),
        ("invitation_updated", "invitation_ids", json!(77), Code::NotFound),
    ];
    for (name, list, id, expected) in cases {
        let outcome = bot.subscribe(name, json!({list: [id]})).await;
        let code = outcome.err().map_or(Code::Ok, |status| status.code());
        assert_eq!(code, expected, "{name} {list}");
    }
}
