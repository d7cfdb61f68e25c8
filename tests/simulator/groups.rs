//! Groups, from the invitation to the end.

use olvid_rules::simulator::Simulator;
use serde_json::{Value as Json, json};
use tonic::Code;

use crate::{contact, discussion, names, newest, simulator};

/// A standard group of the bot with both others, to which they are invited.
fn group(simulator: &Simulator, kind: &str) -> Json {
    let ids = [contact(simulator, "bot", "alice"), contact(simulator, "bot", "bob")];
    let request = match kind {
        "standard" => json!({"name": "team", "admin_contact_ids": ids}),
        _ => json!({"name": "team", "admin_contact_ids": [ids[0]], "contact_ids": [ids[1]]}),
    };
    simulator.call("bot", &format!("group_new_{kind}_group"), &request).unwrap()["group"].clone()
}

fn accept(simulator: &Simulator, who: &str) {
    let all = simulator.call(who, "invitation_list", &json!({"filter": {"type": "group"}})).unwrap();
    simulator.call(who, "invitation_accept", &json!({"invitation_id": all[0]["id"]})).unwrap();
}

#[tokio::test]
async fn members_join_one_by_one_and_write_to_all() {
    let (simulator, _) = simulator().await;
    let (mut bots, mut hers, mut his) =
        (simulator.observe("bot").unwrap(), simulator.observe("alice").unwrap(), simulator.observe("bob").unwrap());
    let made = group(&simulator, "standard");
    assert_eq!(made["pending_members"].as_array().unwrap().len(), 2);
    assert_eq!(made["members"], json!([]));
    assert_eq!(made["type"], "TYPE_STANDARD");
    assert_eq!(names(&mut bots), ["group_new", "discussion_new"]);
    let received = hers.all();
    assert_eq!(received[0].0, "invitation_received");
    assert_eq!(received[0].1["invitation"]["status"], "STATUS_GROUP_INVITATION_WAIT_YOU_TO_ACCEPT");
    assert_eq!(received[0].1["invitation"]["display_name"], "team");

    accept(&simulator, "alice");
    let joining = ["invitation_deleted", "group_new", "discussion_new"];
    let acknowledged = ["group_pending_member_removed", "group_member_joined"];
    assert_eq!(names(&mut hers), [&joining[..], &acknowledged[..]].concat());
    assert_eq!(names(&mut bots), acknowledged);
    names(&mut his);
    accept(&simulator, "bob");
    assert_eq!(names(&mut his), [&joining[..], &acknowledged[..], &acknowledged[..]].concat());
    assert_eq!(names(&mut hers), acknowledged);

    crate::send(&simulator, "alice", "team", "to all");
    assert_eq!(newest(&simulator, "bot")["body"], "to all");
    assert_eq!(newest(&simulator, "bob")["sender_id"], contact(&simulator, "bob", "alice"));
    assert_eq!(newest(&simulator, "bob")["discussion_id"], discussion(&simulator, "bob", "team"));
    let still = simulator.call("alice", "contact_delete", &json!({"contact_id": contact(&simulator, "alice", "bot")}));
    assert_eq!(still.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_changed_group_is_seen_by_all_of_it() {
    let (simulator, _) = simulator().await;
    let id = group(&simulator, "controlled")["id"].clone();
    accept(&simulator, "alice");
    accept(&simulator, "bob");
    let mut wanted = simulator.call("bot", "group_get", &json!({"group_id": id})).unwrap()["group"].clone();
    let bob = contact(&simulator, "bot", "bob");
    (wanted["name"], wanted["description"]) = (json!("crew"), json!("all of us"));
    for member in wanted["members"].as_array_mut().unwrap() {
        if member["contact_id"] == bob {
            member["permissions"]["admin"] = json!(true);
        }
    }
    let (mut bots, mut his) = (simulator.observe("bot").unwrap(), simulator.observe("bob").unwrap());
    let updated = simulator.call("bot", "group_update", &json!({"group": wanted})).unwrap();
    assert_eq!(updated["group"], wanted);
    let common = ["group_name_updated", "discussion_title_updated", "group_description_updated"];
    assert_eq!(names(&mut bots), [&common[..], &["group_member_permissions_updated"]].concat());
    let seen = his.all();
    assert_eq!(seen[0].1["previous_name"], "team");
    assert_eq!(seen[3].0, "group_own_permissions_updated");
    assert_eq!(seen[3].1["previous_permissions"]["admin"], false);

    wanted["members"].as_array_mut().unwrap().retain(|member| member["contact_id"] != bob);
    simulator.call("bot", "group_update", &json!({"group": wanted})).unwrap();
    assert_eq!(names(&mut bots), ["group_member_left"]);
    assert_eq!(names(&mut his), ["group_deleted", "discussion_locked"]);
    let member = json!({"contact_id": bob});
    wanted["members"].as_array_mut().unwrap().push(member);
    simulator.call("bot", "group_update", &json!({"group": wanted})).unwrap();
    assert_eq!(names(&mut bots), ["group_pending_member_added"]);
    assert_eq!(names(&mut his), ["invitation_received"]);
}

#[tokio::test]
async fn permissions_count() {
    let (simulator, _) = simulator().await;
    let id = group(&simulator, "read_only")["id"].clone();
    accept(&simulator, "alice");
    accept(&simulator, "bob");
    let his = simulator.call("bob", "group_list", &json!({})).unwrap()[0].clone();
    let code = |who: &str, name: &str, request| simulator.call(who, name, &request).unwrap_err().code();
    let write = json!({"discussion_id": discussion(&simulator, "bob", "team"), "body": "x"});
    assert_eq!(code("bob", "message_send", write), Code::PermissionDenied);
    assert_eq!(code("bob", "group_disband", json!({"group_id": his["id"]})), Code::PermissionDenied);
    assert_eq!(code("bob", "group_update", json!({"group": his})), Code::PermissionDenied);
    assert_eq!(code("bot", "group_unset_photo", json!({"group_id": id})), Code::InvalidArgument);

    let alice = contact(&simulator, "bot", "alice");
    let twice = json!({"admin_contact_ids": [alice], "contact_ids": [alice]});
    assert_eq!(code("bot", "group_new_controlled_group", twice), Code::InvalidArgument);
    assert_eq!(code("bot", "group_new_standard_group", json!({"admin_contact_ids": [77]})), Code::NotFound);
    let mut hers = simulator.observe("alice").unwrap();
    simulator.call("bot", "group_disband", &json!({"group_id": id})).unwrap();
    assert_eq!(names(&mut hers), ["group_deleted", "discussion_locked"]);
}

#[tokio::test]
async fn the_last_admin_stays_and_others_may_leave() {
    let (simulator, _) = simulator().await;
    let id = group(&simulator, "controlled")["id"].clone();
    accept(&simulator, "bob");
    let his = simulator.call("bob", "group_list", &json!({})).unwrap()[0]["id"].clone();
    let mut bots = simulator.observe("bot").unwrap();
    simulator.call("bob", "group_leave", &json!({"group_id": his})).unwrap();
    assert_eq!(names(&mut bots), ["group_member_left"]);
    let declining = simulator.call("alice", "invitation_list", &json!({})).unwrap()[0]["id"].clone();
    simulator.call("alice", "invitation_decline", &json!({"invitation_id": declining})).unwrap();
    let seen = bots.all();
    assert_eq!(seen[0].0, "group_pending_member_removed");
    assert_eq!(seen[0].1["pending_member"]["declined"], true);

    let mut wanted = simulator.call("bot", "group_get", &json!({"group_id": id})).unwrap()["group"].clone();
    wanted["pending_members"] = json!([]);
    simulator.call("bot", "group_update", &json!({"group": wanted})).unwrap();
    simulator.call("bot", "group_leave", &json!({"group_id": id})).unwrap();
    assert_eq!(simulator.call("bot", "group_list", &json!({})).unwrap(), json!([]));
    let again = group(&simulator, "controlled")["id"].clone();
    let mut alone = simulator.call("bot", "group_get", &json!({"group_id": again})).unwrap()["group"].clone();
    for pending in alone["pending_members"].as_array_mut().unwrap() {
        pending["permissions"]["admin"] = json!(false);
    }
    simulator.call("bot", "group_update", &json!({"group": alone})).unwrap();
    let stays = simulator.call("bot", "group_leave", &json!({"group_id": again})).unwrap_err();
    assert_eq!(stays.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_photo_and_deleting_for_everyone_are_for_who_may() {
    let (simulator, _) = simulator().await;
    let ids = [contact(&simulator, "bot", "alice"), contact(&simulator, "bot", "bob")];
    let request = json!({
        "name": "team", "advanced_configuration": {"remote_delete": "admins"},
        "members": ids.map(|id| json!({"contact_id": id})),
    });
    let made = simulator.call("bot", "group_new_advanced_group", &request).unwrap()["group"].clone();
    assert_eq!(made["type"], "TYPE_ADVANCED");
    accept(&simulator, "alice");
    accept(&simulator, "bob");
    let mut hers = simulator.observe("alice").unwrap();
    let photo = [("team.jpg", bytes::Bytes::from_static(b"faces"))];
    let set = simulator.upload("bot", "group_set_photo", &json!({"group_id": made["id"]}), &photo).unwrap();
    assert_eq!(set["group"]["has_a_photo"], true);
    assert_eq!(names(&mut hers), ["group_photo_updated"]);
    let refused = simulator.upload("alice", "group_set_photo", &json!({"group_id": 1201}), &photo).unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    crate::send(&simulator, "bob", "team", "spam");
    let everywhere = |who: &str| json!({"message_id": newest(&simulator, who)["id"], "delete_everywhere": true});
    let refused = simulator.call("alice", "message_delete", &everywhere("alice")).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    names(&mut hers);
    simulator.call("bot", "message_delete", &everywhere("bot")).unwrap();
    assert_eq!(names(&mut hers), ["message_deleted"]);
}
