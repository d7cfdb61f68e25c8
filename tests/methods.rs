//! The methods of received objects, seen from the other side and in what the daemon was asked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/host.rs"]
mod host;
#[path = "methods/names.rs"]
mod names;

use std::{collections::BTreeSet, fs};

use bytes::Bytes;
use host::{Host, handler};
use olvid_rules::simulator::Reply;
use serde_json::{Value as Json, json};

/// Runs a handler's body on a message of alice.
async fn run(code: &str) -> (Host, Vec<String>) {
    let host = handler(code).start().await;
    host.say("alice", "hi");
    let said = host.done().await;
    (host, said)
}

/// The requests of one command.
fn asked(host: &Host, command: &str) -> Vec<Json> {
    host.recorded().into_iter().filter(|(name, _)| name == command).map(|(_, request)| request).collect()
}

#[tokio::test]
async fn a_message_is_replied_to_with_text_quote_files_and_lifetime() {
    let code = r#"
        local sent, none = message:reply("pong")
        print(sent.body, sent:is_outbound(), none)
        message:reply { body = "quoting", quote = true }
        message:reply("the published name", { quote_message = true })
        message:reply { body = "short", ephemerality = { read_once = true, existence_duration = 60 }, disable_link_preview = true }
        local with, attachments = message:reply { files = { { filename = "a.txt", content = "A" }, { path = "b.txt" }, "b.txt.d/c" } }
        print(with.attachments_count, #attachments, attachments[2].file_name, attachments[3].file_name)
        message:reply { body = "no files", files = {} }"#;
    let host = handler(code).file("b.txt", "B").file("b.txt.d/c", "C").permitting("{ read: [.] }").start().await;
    let mut alice = host.observe("alice");
    let asked_for = host.say("alice", "hi");
    assert_eq!(host.done().await, ["pong\ttrue\tnil", "3\t3\tb.txt\tc"]);
    assert_eq!(alice.text().await, "pong");
    for text in ["quoting", "the published name"] {
        let quoting = alice.next("message_received").await;
        assert_eq!(quoting["message"]["body"], text);
        assert_eq!(quoting["message"]["replied_message_id"], asked_for["id"]);
    }
    assert_eq!(alice.text().await, "short");
    let with = alice.next("message_received").await;
    assert_eq!(with["message"]["attachments_count"], 3);
    let sent = &asked(&host, "message_send")[3];
    assert_eq!(sent["ephemerality"], json!({ "read_once": true, "existence_duration": 60, "visibility_duration": 0 }));
    assert_eq!(sent["disable_link_preview"], true);
    assert_eq!(alice.text().await, "no files");
    assert_eq!(asked(&host, "message_send_with_attachments").len(), 1);
}

#[tokio::test]
async fn a_message_is_reacted_to_and_the_reaction_taken_back() {
    let host = handler("message:react('👍') message:react('🎉') message:remove_reaction()").start().await;
    let mut alice = host.observe("alice");
    host.say("alice", "hi");
    host.done().await;
    assert_eq!(alice.next("message_reaction_added").await["reaction"]["reaction"], "👍");
    assert_eq!(alice.next("message_reaction_updated").await["reaction"]["reaction"], "🎉");
    assert_eq!(alice.next("message_reaction_removed").await["reaction"]["reaction"], "🎉");
}

#[tokio::test]
async fn a_message_is_edited_and_deleted_here_or_everywhere() {
    let code = r#"
        local sent = message:reply("one")
        sent:edit("two")
        sent:edit { body = "three" }
        sent:edit_body("four")
        sent:delete { everywhere = true }
        message:reply("gone for all"):delete(true)
        message:reply("gone for all too"):delete { delete_everywhere = true }
        message:reply("gone here"):delete()
        message:reply("gone here too"):delete { everywhere = false }"#;
    let host = handler(code).start().await;
    let mut alice = host.observe("alice");
    host.say("alice", "hi");
    host.done().await;
    for body in ["two", "three", "four"] {
        assert_eq!(alice.next("message_body_updated").await["message"]["body"], body);
    }
    for body in ["four", "gone for all", "gone for all too"] {
        assert_eq!(alice.next("message_deleted").await["message"]["body"], body);
    }
    let everywhere: Vec<_> =
        asked(&host, "message_delete").iter().map(|request| request.get("delete_everywhere").cloned()).collect();
    assert_eq!(everywhere, [Some(json!(true)), Some(json!(true)), Some(json!(true)), None, None]);
}

#[tokio::test]
async fn a_message_knows_its_surroundings() {
    let code = r#"
        local own = message:reply { body = "x", files = { { filename = "a.txt", content = "A" } } }
        print(message:is_inbound(), message:is_outbound(), own:is_inbound(), own:is_outbound())
        print(message:is_one_to_one_message(), message:is_group_message())
        print(message:discussion().title, message:get_discussion().id == message.discussion_id)
        print(message:sender().display_name, message:get_sender_contact().id == message.sender_id, own:sender())
        print(#message:attachments(), json.encode(message:attachments()), own:get_attachments()[1].file_name)"#;
    let (_host, said) = run(code).await;
    assert_eq!(said, ["true\tfalse\tfalse\ttrue", "true\tfalse", "alice\ttrue", "alice\ttrue\tnil", "0\t[]\ta.txt"]);
}

#[tokio::test]
async fn ids_read_and_compare_as_those_of_the_published_client() {
    let code = r#"
        local again = olvid.message_get { message_id = message.id }
        local own, attachments = message:reply { body = "x", files = { { filename = "a", content = "A" } } }
        print(tostring(message.id):match("^I%d+$") ~= nil, tostring(own.id):match("^O%d+$") ~= nil)
        print(tostring(attachments[1].id):match("^O%d+$") ~= nil)
        print(again.id == message.id, rawequal(again.id, message.id), again.id ~= message.id, own.id == message.id)
        print(attachments[1].id == own.id, attachments[1].message_id == own.id, own.id == { type = own.id.type, id = own.id.id })
        print(json.encode(message.id) == json.encode { type = "TYPE_INBOUND", id = message.id.id })"#;
    let (_host, said) = run(code).await;
    assert_eq!(said, ["true\ttrue", "true", "true\tfalse\tfalse\tfalse", "false\ttrue\tfalse", "true"]);
}

#[tokio::test]
async fn a_discussion_sends_and_tells() {
    let code = r#"
        local discussion = message:discussion()
        print(discussion:send("one").body, discussion:post_message({ body = "two", reply_id = message.id }).body)
        local _, attachments = discussion:send("three", { files = { { filename = "f", content = "" } } })
        print(#attachments, discussion:is_contact_discussion(), discussion:is_group_discussion())
        print(discussion:contact().display_name, discussion:get_contact().id == discussion.contact_id, discussion:group())
        print(discussion:can_post_message())
        print(discussion:set_settings({ existence_duration = 60 }).existence_duration)
        print(discussion:get_settings().existence_duration, discussion:get_settings().read_once)
        discussion:empty_discussion()
        print(pcall(discussion.download_photo, discussion))
        discussion:contact():downgrade_one_to_one()
        discussion.contact_id = nil
        print(discussion:can_post_message())"#;
    let host = handler(code).start().await;
    let mut alice = host.observe("alice");
    let hi = host.say("alice", "hi");
    let said = host.done().await;
    assert_eq!(said[..6], ["one\ttwo", "1\ttrue\tfalse", "alice\ttrue\tnil", "true", "60", "60\tfalse"]);
    assert!(
        said[6].starts_with("false\t") && said[6].contains("olvid.discussion_download_photo: NOT_FOUND"),
        "{said:?}"
    );
    assert_eq!(said[7], "false");
    assert_eq!(alice.text().await, "one");
    assert_eq!(alice.next("message_received").await["message"]["replied_message_id"], hi["id"]);
    assert_eq!(alice.text().await, "three");
    assert_eq!(asked(&host, "discussion_empty").len(), 1);
}

#[tokio::test]
async fn a_contact_is_written_to_introduced_and_asked_for_a_discussion() {
    let code = r#"
        local alice = message:sender()
        local bob
        for contact in olvid.contact_list { filter = { display_name_search = "bob" } } do bob = contact end
        print(alice:can_send_message(), alice:send("one").body, alice:send_message({ body = "two" }).body)
        print(alice:discussion().id == message.discussion_id, alice:get_discussion().title)
        local group = olvid.group_new_standard_group { name = "g", admin_contact_ids = { alice.id, bob.id } }
        print(#alice:groups(), alice:get_groups()[1].name, json.encode(bob:groups()) ~= "[]")
        alice:introduce(bob)
        alice:introduce(bob.id)
        print(pcall(alice.invite_one_to_one, alice))
        alice:downgrade_one_to_one()
        local former = olvid.contact_get { contact_id = alice.id }
        print(pcall(former.send, former, "x"))
        print(pcall(former.downgrade_one_to_one, former))
        print(former:can_send_message(), former:invite_one_to_one().status)
        print(pcall(alice.download_photo, alice))
        group:disband()
        bob:delete()"#;
    let host = handler(code).start().await;
    let (mut alice, mut bob) = (host.observe("alice"), host.observe("bob"));
    host.say("alice", "hi");
    let said = host.done().await;
    assert_eq!(said[..3], ["true\tone\ttwo", "true\talice", "1\tg\ttrue"]);
    let place = format!("false\t{}", host.path("t.lua").canonicalize().unwrap().display());
    let mistake = |line: usize, text: &str| format!("{place}:{line}: contact:{text}");
    let expected = [
        mistake(13, "invite_one_to_one: there is a one-to-one discussion with this contact already"),
        mistake(
            16,
            "send: there is no one-to-one discussion with this contact; contact:invite_one_to_one() asks for one",
        ),
        mistake(17, "downgrade_one_to_one: there is no one-to-one discussion with this contact"),
    ];
    assert_eq!(
        said[3..6].iter().map(|line| suffix(line)).collect::<Vec<_>>(),
        expected.each_ref().map(|line| suffix(line))
    );
    assert_eq!(said[6], "false\tSTATUS_ONE_TO_ONE_INVITATION_WAIT_IT_TO_ACCEPT");
    assert!(said[7].contains("contact_download_photo: NOT_FOUND"), "{said:?}");
    assert_eq!(alice.text().await, "one");
    let pair = [host.contact("bot", "alice"), 2];
    let introductions = asked(&host, "contact_introduction");
    assert_eq!(introductions.len(), 2);
    assert!(introductions.iter().all(|one| one["first_contact_id"] == pair[0]), "{introductions:?}");
    assert_eq!(introductions[0], introductions[1]);
    // The published client's method of this name downgrades.
    assert_eq!(asked(&host, "contact_invite_to_one_to_one_discussion"), [json!({ "contact_id": pair[0] })]);
    assert_eq!(asked(&host, "contact_downgrade_one_to_one_discussion").len(), 1);
    assert_eq!(
        alice.next("discussion_locked").await["discussion"]["title"],
        "bot",
        "the downgrade is seen on the other side"
    );
    bob.next("contact_deleted").await;
}

/// A mistake from the script's file name on: how the folder is shown is not this test's business.
fn suffix(line: &str) -> &str {
    line.find("t.lua:").map_or(line, |at| &line[at..])
}

#[tokio::test]
async fn a_group_is_written_to_extended_and_left() {
    let code = r#"
        local alice = message:sender()
        local bob
        for contact in olvid.contact_list { filter = { display_name_search = "bob" } } do bob = contact end
        local group = olvid.group_new_controlled_group { name = "g" }
        local stale = olvid.group_get { group_id = group.id }
        print(group:can_send_message(), group:has_admin_permissions(), group:discussion().title)
        print(group:add_members({ alice.id }, { send_message = true }) == group, #group.pending_members)
        print(#stale:add_members(bob).pending_members, stale.pending_members[1].permissions.send_message)
        print(group:send("one").body, group:send_message { body = "two", files = { { filename = "f", content = "x" } } })
        print(group:set_photo({ filename = "p.jpg", content = "photo" }).has_a_photo, group:download_photo())
        print(group:set_photo("p.jpg").has_a_photo, group:discussion():download_photo(), group:unset_photo().has_a_photo)
        print(group:get_discussion():group().name, group:discussion():contact(), group:discussion():can_post_message())
        print(group:leave().name)
        local other = olvid.group_new_read_only_group { name = "h", admin_contact_ids = { alice.id } }
        print(other:disband().name)
        other.own_permissions.admin, other.own_permissions.send_message = false, false
        print(pcall(other.send, other, "x"))
        print(pcall(other.add_members, other, { alice }))"#;
    let host = handler(code).file("p.jpg", "from disk").permitting("{ read: [.] }").start().await;
    let mut alice = host.observe("alice");
    host.say("alice", "hi");
    // The one admin may leave only where another is: the simulated world is asked to let it pass.
    let left = json!({ "group": { "id": 1, "name": "left" } });
    host.simulator.script("group_leave", Reply::Json(left), 1);
    let said = host.done().await;
    assert_eq!(said[..3], ["true\ttrue\tg", "true\t1", "2\ttrue"]);
    assert!(said[3].starts_with("one\tMessage: "), "{said:?}");
    assert_eq!(said[4..9], ["true\tphoto", "true\tfrom disk\tfalse", "g\tnil\ttrue", "left", "h"]);
    assert!(said[9].ends_with("group:send: you may not write in this group"), "{said:?}");
    assert!(said[10].ends_with("group:add_members: you are not an admin of this group"), "{said:?}");
    assert_eq!(alice.next("invitation_received").await["invitation"]["display_name"], "g");
}

#[tokio::test]
async fn an_attachment_is_saved_under_a_harmless_name() {
    let hostile = ["../../evil.txt", "/etc/passwd", "..\\..\\boot.ini", ".bashrc", "..", "a\u{202e}b\n.txt"];
    let code = r#"
        for _, attachment in ipairs(message:attachments()) do
            print(attachment:save("in/box"))
        end
        local first = message:attachments()[1]
        print(first:save(".", "../renamed.txt"), first:save("in/box", "evil.txt"), first:download())
        print(first:is_inbound(), first:is_outbound(), first:message().id == message.id, first:get_message().body)
        for _, folder in ipairs { "..", "/tmp", "in/../..", "a/\0" } do print(pcall(first.save, first, folder)) end
        print(pcall(first.delete, first, { everywhere = true }))
        print(pcall(first.delete, first, true))
        first:delete()
        print(#message:attachments())"#;
    let host = handler(code).permitting("{ write: [.] }").start().await;
    let discussion = host.discussion("alice", "bot");
    let files: Vec<_> = hostile.iter().map(|name| (*name, Bytes::from(format!("content of {name}")))).collect();
    let metadata = json!({ "discussion_id": discussion, "body": "hi" });
    host.simulator.upload("alice", "message_send_with_attachments", &metadata, &files).unwrap();
    let said = host.done().await;
    let saved = ["evil.txt", "passwd", "boot.ini", "bashrc", "file", "a_b_.txt"].map(|name| format!("in/box/{name}"));
    assert_eq!(said[..6], saved);
    assert_eq!(said[6], "renamed.txt\tin/box/evil-1.txt\tcontent of ../../evil.txt".replace("renamed", "./renamed"));
    assert_eq!(said[7], "true\tfalse\ttrue\thi");
    for line in &said[8..12] {
        assert!(line.starts_with("false\t") && line.contains(": attachment:save: "), "{line}");
    }
    for line in &said[12..14] {
        assert!(line.contains("attachment:delete: an attachment is deleted here only"), "{line}");
    }
    assert_eq!(said[14], "5");
    let found: BTreeSet<_> = fs::read_dir(host.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), ["in", "renamed.txt", "rules.yaml", "t.lua"]);
    for (name, (_, content)) in saved.iter().zip(&files) {
        assert_eq!(fs::read(host.path(name)).unwrap(), content[..]);
    }
}

#[tokio::test]
async fn an_identity_is_changed() {
    let code = r#"
        local identity = olvid.identity_get {}
        identity:update { first_name = "Robot", company = "Works" }
        print(olvid.identity_get({}).display_name)
        identity:set_photo { filename = "p.jpg", content = "photo" }
        print(identity:download_photo())
        identity:set_photo("p.jpg")
        print(identity:download_photo(), olvid.identity_get({}).has_a_photo)
        identity:remove_photo()
        print(olvid.identity_get({}).has_a_photo)
        print(identity:set_api_key("key").permission.call)
        print(identity:set_configuration_link("https://configuration.olvid.io/#x").permission.call)"#;
    let host = handler(code).file("p.jpg", "from disk").permitting("{ read: [.] }").start().await;
    let mut alice = host.observe("alice");
    host.say("alice", "hi");
    assert_eq!(host.done().await, ["Robot (Works)", "photo", "from disk\ttrue", "false", "true", "true"]);
    assert_eq!(alice.next("contact_details_updated").await["contact"]["display_name"], "Robot (Works)");
    assert_eq!(alice.next("contact_photo_updated").await["contact"]["has_a_photo"], true);
}

#[tokio::test]
async fn an_invitation_is_answered() {
    let code = r#"
        local how = { STATUS_GROUP_INVITATION_WAIT_YOU_TO_ACCEPT = "decline", STATUS_INTRODUCTION_WAIT_YOU_TO_ACCEPT = "delete" }
        for invitation in olvid.invitation_list {} do
            local method = how[invitation.status] or "accept"
            print(method)
            invitation[method](invitation)
        end
        local left
        for invitation in olvid.invitation_list {} do left = invitation end
        print(left.status, pcall(left.enter_sas, left, "wrong"))
        left:enter_sas(message.body)
        print(olvid.invitation_get({ invitation_id = left.id }).status)"#;
    let host = handler(code).options(|options| options.identities.push(("eve".into(), "eve".into()))).start().await;
    let mut bob = host.observe("bob");
    let bot = host.contact("alice", "bot");
    host.call("alice", "group_new_standard_group", json!({ "name": "g", "admin_contact_ids": [bot] }));
    let link = host.call("bot", "identity_get_invitation_link", json!({}))["invitation_link"].clone();
    host.call("bob", "invitation_new", json!({ "invitation_url": link }));
    // The code that bob will be shown is not there before the bot accepts: a dry run on a copy of the world tells it.
    let code = {
        let twin = handler("").options(|options| options.identities.push(("eve".into(), "eve".into()))).start().await;
        let bot = twin.contact("alice", "bot");
        twin.call("alice", "group_new_standard_group", json!({ "name": "g", "admin_contact_ids": [bot] }));
        twin.call("bob", "invitation_new", json!({ "invitation_url": link }));
        let invitations = twin.call("bot", "invitation_list", json!({}));
        let id = invitations.as_array().unwrap().iter().find(|one| one["display_name"] == "bob").unwrap()["id"].clone();
        twin.call("bot", "invitation_accept", json!({ "invitation_id": id }));
        twin.call("bob", "invitation_list", json!({}))[0]["sas"].as_str().unwrap().to_owned()
    };
    host.say("alice", &code);
    let said = host.done().await;
    assert_eq!(said[..2], ["decline", "accept"]);
    assert!(said[2].starts_with("STATUS_INVITATION_WAIT_YOU_FOR_SAS_EXCHANGE\tfalse\t"), "{said:?}");
    assert!(said[2].ends_with("olvid.invitation_sas: INVALID_ARGUMENT: the code is wrong"), "{said:?}");
    assert_eq!(said[3], "STATUS_INVITATION_WAIT_IT_FOR_SAS_EXCHANGE");
    bob.next("invitation_updated").await;
}

#[tokio::test]
async fn mistakes_name_the_method_and_the_line_and_send_nothing() {
    // Each with what it is told, `message` being a received one.
    let mistakes = [
        ("message.reply('x')", "message:reply: called on a string; call it with a colon, on a Message"),
        ("message.reply{ body = 'x' }", "message:reply: called on a table; call it with a colon, on a Message"),
        ("message.reply()", "message:reply: called on nothing; call it with a colon, on a Message"),
        (
            "message.is_inbound(message.id)",
            "message:is_inbound: called on a MessageId; call it with a colon, on a Message",
        ),
        ("message:reply()", "message:reply: expected a text or a table of options, found nothing"),
        (
            "message:reply(7)",
            "message:reply: expected a text or a table of options, found a number; tostring(...) makes a text of it",
        ),
        ("message:reply(message)", "message:reply: expected a text or a table of options, found a Message"),
        ("message:reply{}", "message:reply: give a text, in `body`, or `files`"),
        ("message:reply{ files = {} }", "message:reply: give a text, in `body`, or `files`"),
        (
            "message:reply{ bdy = 'x' }",
            "message:reply: there is no option `bdy`; it takes body, disable_link_preview, ephemerality, files, quote, quote_message",
        ),
        (
            "message:reply{ 'x' }",
            "message:reply: there is no option `1`; it takes body, disable_link_preview, ephemerality, files, quote, quote_message",
        ),
        ("message:reply{ body = 7 }", "message:reply: `body` is a string, not a number"),
        ("message:reply{ body = 'x', quote = 'yes' }", "message:reply: `quote` is a boolean, not a string"),
        ("message:reply('x', true)", "message:reply: what follows the text is a table of options, not a boolean"),
        ("message:reply('x', { body = 'y' })", "message:reply: the text is given twice"),
        ("message:reply('x', {}, 1)", "message:reply: takes no further argument, found a number"),
        (
            "message:reply{ files = { 7 } }",
            "message:reply: files[1] is a path or a table such as { filename = ..., content = ... }, not a number",
        ),
        ("message:react()", "message:react: expected a reaction such as \"👍\", found nothing"),
        ("message:edit{ text = 'x' }", "message:edit: there is no option `text`; it takes body"),
        ("message:delete('everywhere')", "message:delete: expected { everywhere = true }, found a string"),
        (
            "message:delete{ evrywhere = true }",
            "message:delete: there is no option `evrywhere`; it takes delete_everywhere, everywhere",
        ),
        ("message:discussion():set_settings()", "discussion:set_settings: expected a table of settings, found nothing"),
        ("message:sender():introduce('bob')", "contact:introduce: expected a Contact or its id, found a string"),
        (
            "olvid.identity_get({}):update('Bob')",
            "identity:update: expected a table such as { first_name = ..., last_name = ... }, found a string",
        ),
        (
            "olvid.identity_get({}):set_photo()",
            "identity:set_photo: the photo is a path or a table such as { filename = ..., content = ... }, not nothing",
        ),
    ];
    let calls = mistakes.map(|(call, _)| format!("print(pcall(function() return {call} end))"));
    // What has a place must have it at the line of the call, whatever stands between: tail calls lose their caller.
    let calls = calls.map(|call| call.replace("return ", "")).join("\n");
    let (host, said) = run(&calls).await;
    for (at, ((call, told), line)) in mistakes.iter().zip(&said).enumerate() {
        assert_eq!(suffix(line), format!("t.lua:{}: {told}", at + 3), "{call}");
    }
    assert_eq!(said.len(), mistakes.len());
    let sent: BTreeSet<_> = host.recorded().into_iter().map(|(command, _)| command).collect();
    let looked_up = ["contact_get", "discussion_get", "identity_get"].map(str::to_owned);
    assert_eq!(sent, BTreeSet::from(looked_up));
}

#[tokio::test]
async fn a_refusal_comes_through_a_method_with_the_scripts_line() {
    let host = handler("\n\n  local function answer() message:reply('pong') end\n  answer()").start().await;
    host.simulator.script("message_send", Reply::Status(tonic::Code::PermissionDenied, "not you".into()), 1);
    host.say("alice", "hi");
    let failure = host.until_failed(1).await.remove(0);
    assert_eq!(failure.message, "olvid.message_send: PERMISSION_DENIED: not you");
    assert_eq!(suffix(failure.origin.place.as_deref().unwrap()), "t.lua:5");
    let frames: Vec<_> = failure.traceback.iter().map(|frame| suffix(frame)).collect();
    assert_eq!(frames, ["t.lua:5: in function `answer`", "t.lua:6: in function"]);
}
