//! Invitations by link, introductions, one-to-one requests.

use serde_json::{Value as Json, json};
use tonic::Code;

use crate::{contact, names, simulator};
use olvid_rules::simulator::Simulator;

/// A simulated daemon with one more identity, whom nobody knows.
async fn with_carol() -> Simulator {
    let (simulator, _) = simulator().await;
    simulator.call("bot", "admin_identity_new", &json!({"identity_details": {"first_name": "carol"}})).unwrap();
    simulator
}

fn only_invitation(simulator: &Simulator, identity: &str) -> Json {
    let all = simulator.call(identity, "invitation_list", &json!({})).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1);
    all[0].clone()
}

#[tokio::test]
async fn an_invitation_by_link_is_accepted_and_codes_are_exchanged() {
    let simulator = with_carol().await;
    let (mut bots, mut hers) = (simulator.observe("bot").unwrap(), simulator.observe("carol").unwrap());
    let link = simulator.call("bot", "identity_get_invitation_link", &json!({})).unwrap()["invitation_link"].clone();
    let sent = simulator.call("carol", "invitation_new", &json!({"invitation_url": link})).unwrap();
    assert_eq!(sent["invitation"]["status"], "STATUS_INVITATION_WAIT_IT_TO_ACCEPT");
    assert_eq!(
        (names(&mut hers), names(&mut bots)),
        (vec!["invitation_sent".into()], vec!["invitation_received".into()])
    );

    let received = only_invitation(&simulator, "bot");
    assert_eq!(received["status"], "STATUS_INVITATION_WAIT_YOU_TO_ACCEPT");
    assert_eq!(received["display_name"], "carol");
    let accept = json!({"invitation_id": received["id"]});
    simulator.call("bot", "invitation_accept", &accept).unwrap();
    let seen = hers.all();
    assert_eq!(seen[0].1["previous_invitation_status"], "STATUS_INVITATION_WAIT_IT_TO_ACCEPT");
    assert_eq!(seen[0].1["invitation"]["status"], "STATUS_INVITATION_WAIT_YOU_FOR_SAS_EXCHANGE");
    let again = simulator.call("bot", "invitation_accept", &accept).unwrap_err();
    assert_eq!(again.code(), Code::InvalidArgument);

    let (mine, hers_shown) = (only_invitation(&simulator, "bot"), only_invitation(&simulator, "carol"));
    assert_ne!(mine["sas"], hers_shown["sas"]);
    let enter = |who: &str, invitation: &Json, sas: &Json| {
        simulator.call(who, "invitation_sas", &json!({"invitation_id": invitation["id"], "sas": sas}))
    };
    assert_eq!(enter("bot", &mine, &mine["sas"]).unwrap_err().code(), Code::InvalidArgument);
    enter("bot", &mine, &hers_shown["sas"]).unwrap();
    assert_eq!(only_invitation(&simulator, "bot")["status"], "STATUS_INVITATION_WAIT_IT_FOR_SAS_EXCHANGE");
    names(&mut bots);
    enter("carol", &hers_shown, &mine["sas"]).unwrap();
    for seen in [&mut bots, &mut hers] {
        assert_eq!(names(seen), ["invitation_deleted", "discussion_new", "contact_new"]);
    }
    crate::send(&simulator, "carol", "bot", "hello");
    assert_eq!(crate::newest(&simulator, "bot")["sender_id"], contact(&simulator, "bot", "carol"));
}

#[tokio::test]
async fn bad_links_are_refused_and_declining_ends_it_for_both() {
    let simulator = with_carol().await;
    let link =
        |who: &str| simulator.call(who, "identity_get_invitation_link", &json!({})).unwrap()["invitation_link"].clone();
    for url in [link("carol"), json!("https://example.org"), json!("")] {
        let refused = simulator.call("carol", "invitation_new", &json!({"invitation_url": url})).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    simulator.call("carol", "invitation_new", &json!({"invitation_url": link("bot")})).unwrap();
    let mut hers = simulator.observe("carol").unwrap();
    let id = only_invitation(&simulator, "bot")["id"].clone();
    simulator.call("bot", "invitation_decline", &json!({"invitation_id": id})).unwrap();
    assert_eq!(names(&mut hers), ["invitation_deleted"]);
    simulator.call("bot", "invitation_delete", &json!({"invitation_id": id})).unwrap();
    let gone = simulator.call("bot", "invitation_get", &json!({"invitation_id": id})).unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test]
async fn one_to_one_ends_and_begins_again_in_the_same_discussion() {
    let (simulator, _) = simulator().await;
    let before = crate::discussion(&simulator, "bot", "alice");
    let (mut bots, mut hers) = (simulator.observe("bot").unwrap(), simulator.observe("alice").unwrap());
    let alice = json!({"contact_id": contact(&simulator, "bot", "alice")});
    simulator.call("bot", "contact_downgrade_one_to_one_discussion", &alice).unwrap();
    assert_eq!(
        (names(&mut bots), names(&mut hers)),
        (vec!["discussion_locked".into()], vec!["discussion_locked".into()])
    );
    let again = simulator.call("bot", "contact_downgrade_one_to_one_discussion", &alice).unwrap_err();
    assert_eq!(again.code(), Code::InvalidArgument);

    let auto = json!({"identity_settings": {"invitation": {"auto_accept_one_to_one": true}}});
    simulator.call("bot", "contact_invite_to_one_to_one_discussion", &alice).unwrap();
    assert_eq!(only_invitation(&simulator, "alice")["status"], "STATUS_ONE_TO_ONE_INVITATION_WAIT_YOU_TO_ACCEPT");
    // New settings accept what already waits.
    simulator.call("alice", "settings_identity_set", &auto).unwrap();
    assert_eq!(names(&mut bots), ["invitation_sent", "invitation_deleted", "discussion_new"]);
    assert_eq!(names(&mut hers), ["invitation_received", "invitation_deleted", "discussion_new"]);
    assert_eq!(crate::discussion(&simulator, "bot", "alice"), before);
    let again = simulator.call("bot", "contact_invite_to_one_to_one_discussion", &alice).unwrap_err();
    assert_eq!(again.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn two_who_are_introduced_become_contacts_once_both_agree() {
    let (simulator, _) = simulator().await;
    let bob = contact(&simulator, "alice", "bob");
    simulator.call("alice", "contact_delete", &json!({"contact_id": bob})).unwrap();
    let (mut hers, mut his) = (simulator.observe("alice").unwrap(), simulator.observe("bob").unwrap());
    let pair = json!({
        "first_contact_id": contact(&simulator, "bot", "alice"),
        "second_contact_id": contact(&simulator, "bot", "bob"),
    });
    simulator.call("bot", "contact_introduction", &pair).unwrap();
    let invitation = only_invitation(&simulator, "alice");
    assert_eq!(invitation["status"], "STATUS_INTRODUCTION_WAIT_YOU_TO_ACCEPT");
    assert_eq!(invitation["mediator_id"], contact(&simulator, "alice", "bot"));
    assert_eq!(invitation["display_name"], "bob");
    for who in ["alice", "bob"] {
        let id = only_invitation(&simulator, who)["id"].clone();
        simulator.call(who, "invitation_accept", &json!({"invitation_id": id})).unwrap();
    }
    let hers = names(&mut hers);
    assert_eq!(hers[..2], ["invitation_received", "invitation_updated"]);
    assert_eq!(hers[2..], ["invitation_deleted", "contact_new", "discussion_new"]);
    assert_eq!(names(&mut his), ["invitation_received", "invitation_deleted", "contact_new", "discussion_new"]);
}
