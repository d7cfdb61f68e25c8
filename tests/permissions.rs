//! What a script may touch is what its rule file says: the rest is denied before anything happens, and the denial names the
//! line that permits it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/host.rs"]
mod host;

use std::{fs, os::unix::fs::symlink};

use bytes::Bytes;
use host::{Host, Setup, handler};
use olvid_rules::report::FailureKind;
use serde_json::json;

/// The text with the temporary folder cut out.
fn plain(host: &Host, text: &str) -> String {
    text.replace(&format!("{}/", host.folder.path().display()), "")
}

/// What the handler said on a message of alice.
async fn said(host: &Host) -> Vec<String> {
    host.say("alice", "hi");
    host.done().await.iter().map(|line| plain(host, line)).collect()
}

#[tokio::test]
async fn a_command_that_is_not_permitted_is_refused_before_anything_is_sent_and_the_others_go_on() {
    let code = r#"
        local ok, e = pcall(olvid.message_send, { discussion_id = message.discussion_id, body = "x" })
        print(ok, e.code, e.command, e.sent, e.denied, tostring(e))
        print(pcall(message.reply, message, "x"))
        print(select(2, pcall(olvid.discussion_list)))
        print(pcall(olvid.message_send, { nonsense = 1 }))
        message:react("👍")"#;
    let host = handler(code).permitting("{ commands: [message_react] }").start().await;
    let mut alice = host.observe("alice");
    let lines = said(&host).await;
    let denied = "olvid.message_send is not permitted; add it to `permissions.commands` in rules.yaml";
    assert_eq!(lines[0], format!("false\tPERMISSION_DENIED\tmessage_send\tfalse\ttrue\tt.lua:4: {denied}"));
    assert!(lines[1].ends_with(denied), "{lines:?}");
    assert!(
        lines[2].ends_with("olvid.discussion_list is not permitted; add it to `permissions.commands` in rules.yaml")
    );
    assert!(lines[3].ends_with(denied), "{lines:?}");
    assert_eq!(alice.next("message_reaction_added").await["reaction"]["reaction"], "👍");
    let sent: Vec<_> = host.recorded().into_iter().map(|(command, _)| command).collect();
    assert!(sent.iter().all(|command| command == "message_react"), "{sent:?}");
}

#[tokio::test]
async fn a_run_that_ends_with_a_denial_is_told_as_denied_at_its_line() {
    for (code, told) in [
        ("\n\n  message:reply('x')", "t.lua:5: olvid.message_send is not permitted; add it to"),
        ("  print(env.HOME)", "t.lua:3: env.HOME is not permitted; add `permissions: { env: [HOME] }` to rules.yaml"),
        ("  local co = coroutine.wrap(function() return env.HOME end) co()", "t.lua:3: env.HOME is not permitted"),
    ] {
        let commands = if code.contains("reply") { "{ commands: [] }" } else { "{}" };
        let host = handler(code).permitting(commands).start().await;
        host.say("alice", "hi");
        let failure = host.until(|host| host.failures().pop()).await;
        assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
        let place = failure.origin.place.clone().unwrap();
        let line = plain(&host, &format!("{place}: {}", failure.message));
        assert!(line.starts_with(told), "{line}");
    }
}

#[tokio::test]
async fn an_error_that_only_looks_like_a_denial_is_an_error() {
    let host = handler("error({ denied = true, code = 'PERMISSION_DENIED' })").start().await;
    host.say("alice", "hi");
    assert_eq!(host.until(|host| host.failures().pop()).await.kind, FailureKind::Error);
}

#[tokio::test]
async fn a_file_is_sent_from_a_permitted_directory_and_from_no_other() {
    let code = r#"
        message:reply { files = { "../data/a.txt", { path = "link/b.txt" } } }
        local function try(path)
            local ok, e = pcall(message.reply, message, { files = { { path = path } } })
            print(ok, type(e) == "table" and e.code or e, tostring(e))
        end
        try("handler.lua")
        try("../data/out/key")
        try("../rules.yaml")
        try("/etc/passwd")
        try("../data/none.txt")
        try("../data/../secret/key")"#;
    let rules = "rules:\n  - { name: test, subscription: message_received, handler: scripts/handler.lua }\n";
    let script = format!(
        "return function(notification)\n  local message = notification.message\n{code}\n  print('done')\nend\n"
    );
    let setup = Setup::new(rules)
        .file("scripts/handler.lua", script)
        .file("data/a.txt", "A")
        .file("data/b.txt", "B")
        .file("secret/key", "K")
        .permitting("{ read: [data] }");
    let host = setup
        .change(|folder| {
            symlink(folder.join("secret"), folder.join("data/out")).unwrap();
            symlink(folder.join("data"), folder.join("scripts/link")).unwrap();
        })
        .start()
        .await;
    let mut alice = host.observe("alice");
    let lines = said(&host).await;
    assert_eq!(alice.next("message_received").await["message"]["attachments_count"], 2);
    for (line, path, add) in [
        (&lines[0], "handler.lua", "scripts"),
        (&lines[1], "../data/out/key", "data/out"),
        (&lines[2], "../rules.yaml", "."),
        (&lines[3], "/etc/passwd", "/etc"),
        (&lines[5], "../data/../secret/key", "secret"),
    ] {
        assert!(line.starts_with("false\tPERMISSION_DENIED\t"), "{line}");
        let told = format!("reading `{path}` is not permitted; add `{add}` to `permissions.read` in rules.yaml");
        assert!(line.ends_with(&told), "{line}");
    }
    assert!(lines[4].starts_with("false\tINVALID_ARGUMENT") && lines[4].contains("cannot read"), "{}", lines[4]);
}

#[tokio::test]
async fn an_attachment_is_saved_in_a_permitted_directory_and_not_even_fetched_for_another() {
    let code = r#"
        local attachment = message:attachments()[1]
        print(pcall(attachment.save, attachment, "."))
        print(pcall(attachment.save, attachment, "box/out"))
        print(pcall(attachment.save, attachment, "box/../../elsewhere"))
        print(attachment:save("box/new"))"#;
    let host = handler(code)
        .permitting("{ write: [box] }")
        .change(|folder| {
            fs::create_dir_all(folder.join("box")).unwrap();
            fs::create_dir_all(folder.join("secret")).unwrap();
            symlink(folder.join("secret"), folder.join("box/out")).unwrap();
        })
        .start()
        .await;
    let discussion = host.discussion("alice", "bot");
    let metadata = json!({ "discussion_id": discussion, "body": "hi" });
    let files = [("a.txt", Bytes::from_static(b"content"))];
    host.simulator.upload("alice", "message_send_with_attachments", &metadata, &files).unwrap();
    let lines: Vec<_> = host.done().await.iter().map(|line| plain(&host, line)).collect();
    let denied = |written: &str, add: &str| {
        let told = format!("saving to `{written}` is not permitted; add `{add}` to `permissions.write` in rules.yaml");
        format!("attachment:save: {told}")
    };
    assert!(lines[0].ends_with(&denied(".", ".")), "{lines:?}");
    assert!(lines[1].ends_with(&denied("box/out", "box/out")), "{lines:?}");
    assert!(lines[2].contains("attachment:save: saving to `box/../../elsewhere` is not permitted"), "{lines:?}");
    assert_eq!(lines[3], "box/new/a.txt");
    assert_eq!(fs::read(host.path("box/new/a.txt")).unwrap(), b"content");
    assert_eq!(fs::read_dir(host.path("secret")).unwrap().count(), 0);
    let fetched = host.recorded().into_iter().filter(|(command, _)| command == "attachment_download").count();
    assert_eq!(fetched, 1);
}

#[tokio::test]
async fn of_the_environment_a_script_sees_what_is_permitted_and_cannot_change_it() {
    let code = r#"
        print(#env.PATH > 0, env.NOT_SET_ANYWHERE)
        for name, value in pairs(env) do print(name, value == env.PATH) end
        for _, name in ipairs { "HOME", "OLVID_CLIENT_KEY", 1 } do print(pcall(function() return env[name] end)) end
        print(pcall(function() env.PATH = "x" end))
        print(pcall(rawset, env, "PATH", "x"))
        print(next(env), getmetatable(env))"#;
    let host = handler(code).permitting("{ env: [PATH, NOT_SET_ANYWHERE] }").start().await;
    let lines = said(&host).await;
    assert_eq!(lines[..2], ["true\tnil", "PATH\ttrue"]);
    let denied = "env.HOME is not permitted; add `HOME` to `permissions.env` in rules.yaml";
    assert_eq!(lines[2], format!("false\tt.lua:6: {denied}"));
    assert!(lines[3].ends_with("env.OLVID_CLIENT_KEY is a key: no script may have it"), "{lines:?}");
    assert!(lines[4].starts_with("false\t"), "{lines:?}");
    assert!(lines[5].contains("`env` cannot be changed") && lines[6].contains("`env` cannot be changed"), "{lines:?}");
    assert_eq!(lines[7], "nil\tfalse");
}

/// One script, two files: each run has its own rule's file, loading has both.
#[tokio::test]
async fn a_script_of_several_files_runs_on_each_rules_own_and_is_loaded_on_all_of_them() {
    let rules = |name: &str, rest: &str| {
        format!("rules:\n  - {{ name: {name}, subscription: message_received, handler: t.lua }}\npermissions: {rest}\n")
    };
    let script = r"
        local here, there = env.PATH, env.HOME
        return function(_, rule)
            print(rule.name, (pcall(function() return env.PATH end)), (pcall(function() return env.HOME end)))
        end";
    let host = Setup::new("")
        .file("all/one.yaml", rules("one", "{ env: [PATH] }"))
        .file("all/two.yaml", rules("two", "{ env: [HOME] }"))
        .file("all/t.lua", script)
        .rules("all")
        .start()
        .await;
    host.say("alice", "hi");
    let mut lines = host.until(|host| Some(host.said()).filter(|said| said.len() == 2)).await;
    lines.sort();
    assert_eq!(lines, ["one\ttrue\tfalse", "two\tfalse\ttrue"]);
}

#[tokio::test]
async fn permissions_that_change_hold_from_the_next_run_on_and_keep_the_script() {
    let code = "runs = (runs or 0) + 1\n  print(runs, (pcall(function() return env.PATH end)))";
    let mut host = handler(code).permitting("{ env: [PATH] }").start().await;
    host.say("alice", "hi");
    host.done().await;
    let text = fs::read_to_string(host.path("rules.yaml")).unwrap();
    host.write("rules.yaml", text.replace("env: [PATH]", "env: []"));
    host.reload().await;
    host.say("alice", "hi");
    let lines = host.until(|host| Some(host.said()).filter(|said| said.len() == 4)).await;
    assert_eq!(lines, ["1\ttrue", "done", "2\tfalse", "done"]);
}
