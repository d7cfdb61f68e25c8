//! The program as it is typed: what it prints where, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value as Json;

/// Runs the program to its end in a folder, with lines on its standard input.
fn typed(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_olvid-rules"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const PING: &str = "
rules:
  - name: ping
    subscription: message_received
    filter: { body_search: '^!ping' }
    handler: ping.lua
";

const HANDLER: &str =
    "return function(n) olvid.message_send{ discussion_id = n.message.discussion_id, body = 'pong' } end";

#[test]
fn a_chat_from_standard_input_ends_with_every_answer_printed() {
    let folder = folder(&[("rules.yaml", PING), ("ping.lua", HANDLER)]);
    let output = typed(folder.path(), &["dev"], "!ping\nhello\n/as bob\n!ping");
    assert_eq!(out(&output), "bot: pong\nbot: pong\n", "{}", told(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_chat_waits_for_handlers_that_are_still_at_work() {
    let slow = "return function(n) sleep(0.2) olvid.message_send{ discussion_id = n.message.discussion_id, body = 'late' } end";
    let folder = folder(&[("rules.yaml", PING), ("ping.lua", slow)]);
    assert_eq!(out(&typed(folder.path(), &["dev"], "!ping\n")), "bot: late\n");
}

#[test]
fn a_chat_shows_what_the_bot_does_and_what_goes_wrong() {
    let handler = "
        local function on_message(n)
          local m = n.message
          if m.body == 'react' then olvid.message_react{ message_id = m.id, reaction = '👍' } end
          if m.body == 'fail' then error('no luck') end
          if m.body == 'edit' then
            local sent = olvid.message_send{ discussion_id = m.discussion_id, body = 'first' }
            olvid.message_update_body{ message_id = sent.id, updated_body = 'second' }
            olvid.message_delete{ message_id = sent.id, delete_everywhere = true }
          end
        end
        return { on_message = on_message, on_group = function(n) print('group', n.group.name) end }";
    let rules = "
rules:
  - { name: all, subscription: message_received, handler: 'all.lua:on_message' }
  - { name: groups, subscription: group_new, handler: 'all.lua:on_group' }
";
    let folder = folder(&[("rules.yaml", rules), ("all.lua", handler)]);
    let input =
        "react\nfail\nedit\n/emit group_new {\"group\": {\"name\": \"ops\"}}\n/emit group_nwe\n/group Night\nedit\n";
    let output = typed(folder.path(), &["dev"], input);
    let (shown, log) = (out(&output), told(&output));
    let expected = "bot reacted 👍 to \"react\"
bot: first
bot edited \"first\": second
bot deleted \"second\"
(1 stream notified)
(made the group \"Night\")
bot: first
bot edited \"first\": second
bot deleted \"second\"
";
    assert_eq!(shown, expected, "{log}");
    assert!(log.contains("error all: no luck subscription=message_received place=all.lua:5"), "{log}");
    assert!(log.contains("groups: group\tops") || log.contains("groups: group\\tops"), "{log}");
    assert!(log.contains("group_nwe"), "{log}");
}

#[test]
fn check_tells_the_mistakes_of_rules_and_scripts_together() {
    let rules = "
rules:
  - name: broken parameters
    subscription: message_received
    filter: { bdy_search: x }
    handler: broken.lua
  - name: broken inline
    subscription: contact_new
    lua: |
      local n = ...
      n.x = = 1
";
    let folder = folder(&[("rules.yaml", rules), ("broken.lua", "return function(\n")]);
    let output = typed(folder.path(), &["check"], "");
    let log = told(&output);
    assert_eq!(output.status.code(), Some(1));
    for place in ["rules.yaml:5:15", "rules.yaml:11:7", "broken.lua:2:1"] {
        assert!(log.contains(place), "{place} in {log}");
    }
    let json = typed(folder.path(), &["check", "--format", "json"], "");
    let mistakes: Vec<Json> = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(json.status.code(), Some(1));
    assert_eq!(mistakes.len(), 3);
    assert_eq!((&mistakes[0]["line"], &mistakes[0]["column"]), (&5.into(), &15.into()));
    assert_eq!(mistakes[0]["help"], "did you mean `body_search`?");
}

#[test]
fn a_script_that_does_not_return_what_the_rule_names_is_told_with_its_functions() {
    let rules = PING.replace("ping.lua", "ping.lua:on_pnig");
    let folder = folder(&[("rules.yaml", &rules), ("ping.lua", "return { on_ping = function() end }")]);
    let output = typed(folder.path(), &["check"], "");
    assert!(told(&output).contains("`ping.lua` has no function `on_pnig`"), "{}", told(&output));
    assert!(told(&output).contains("did you mean `:on_ping`?"), "{}", told(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn commands_while_a_script_loads_are_refused_with_their_place() {
    let script = "local util = require('lib.util')\nolvid.ping()\nreturn util.handler";
    let folder = folder(&[("rules.yaml", PING), ("ping.lua", script), ("lib/util.lua", "return { handler = print }")]);
    let output = typed(folder.path(), &["check"], "");
    assert!(told(&output).contains("ping.lua:2"), "{}", told(&output));
    assert!(told(&output).contains("commands are for handlers"), "{}", told(&output));
}

#[test]
fn good_rules_are_praised_on_standard_output() {
    let folder = folder(&[("rules.yaml", PING), ("ping.lua", HANDLER)]);
    let output = typed(folder.path(), &["check", "."], "");
    assert_eq!((out(&output).as_str(), output.status.code()), ("no mistakes: 1 rule, 1 script\n", Some(0)));
    assert_eq!(out(&typed(folder.path(), &["check", "--format", "json"], "")), "[]\n");
}

#[test]
fn the_catalog_is_printed_and_a_mistaken_name_finds_the_right_one() {
    let folder = folder(&[]);
    let page = typed(folder.path(), &["catalog", "MessageReactionUpdated"], "");
    assert!(out(&page).contains("previous_reaction_filter"), "{}", out(&page));
    let mistaken = typed(folder.path(), &["catalog", "mesage_send"], "");
    assert_eq!(mistaken.status.code(), Some(2));
    assert!(told(&mistaken).contains("message_send"), "{}", told(&mistaken));
}

#[test]
fn what_keeps_the_host_from_starting_has_its_exit_code() {
    let folder = folder(&[("rules.yaml", PING), ("ping.lua", HANDLER), ("empty.key", " \n")]);
    let code = |arguments: &[&str]| typed(folder.path(), arguments, "").status.code();
    assert_eq!(code(&["run"]), Some(2), "no key");
    assert_eq!(code(&["run", "--client-key-file", "empty.key"]), Some(2), "an empty key");
    assert_eq!(code(&["run", "--client-key-file", "none.key"]), Some(2), "no such file");
    assert_eq!(code(&["run", "none.yaml", "--client-key-file", "rules.yaml"]), Some(2), "a key of several lines");
    assert_eq!(code(&["check", "none.yaml"]), Some(1), "no such rules");
    assert_eq!(code(&["simulate", "--listen", "192.0.2.1:1"]), Some(74), "an address that is not ours");
    assert_eq!(code(&["fly"]), Some(2), "no such command");
}

#[test]
fn a_rejected_start_is_told_to_machines_as_a_load_failure() {
    let folder = folder(&[("rules.yaml", "rules:\n  - nam: x\n"), ("key", "secret-of-the-bot")]);
    let output = typed(folder.path(), &["run", "--client-key-file", "key", "--log-format", "json"], "");
    assert_eq!(output.status.code(), Some(1));
    let mut lines: Vec<Json> = told(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Others can read the key's file here.
    lines.retain(|line| line["event"] != "notice");
    assert!(!lines.is_empty() && lines.iter().all(|line| line["kind"] == "load" && line["event"] == "load_rejected"));
    assert_eq!(lines[0]["place"], "rules.yaml:2:5");
    assert!(!told(&output).contains("secret-of-the-bot"));
}

#[test]
fn the_environment_is_before_the_dotenv_file_and_a_bad_line_of_it_is_told_without_its_words() {
    let files =
        [("rules.yaml", "rules: [{nam: x}]"), (".env", "OLVID_CLIENT_KEY=\nnot a line with s3cret\n"), ("key", "k")];
    let folder = folder(&files);
    let output = typed(folder.path(), &["run", "--client-key-file", "key"], "");
    assert_eq!(output.status.code(), Some(1), "the rules are looked at: {}", told(&output));
    assert!(told(&output).contains("is not NAME=value; it is left out"), "{}", told(&output));
    assert!(!told(&output).contains("s3cret"));
    let url = ["run", "--client-key-file", "key", "--daemon-url", "http://me:hunter2@host"];
    fs::write(folder.path().join("rules.yaml"), "rules: []").unwrap();
    let output = typed(folder.path(), &url, "");
    assert_eq!(output.status.code(), Some(2));
    assert!(!told(&output).contains("hunter2"), "{}", told(&output));
}

#[test]
fn a_flag_caps_what_rules_ask_for_and_says_so() {
    let rules = PING.replace("handler: ping.lua", "handler: ping.lua\n    timeout: 5m");
    let folder = folder(&[("rules.yaml", &rules), ("ping.lua", HANDLER)]);
    let output = typed(folder.path(), &["check", "--max-timeout", "1m", "--max-memory", "16MiB"], "");
    assert_eq!(output.status.code(), Some(0));
    let words = told(&output);
    assert!(
        words.contains("warning[capped]: `timeout` of 5m is more than this host allows; 1m holds instead"),
        "{words}"
    );
    assert!(words.contains("rules.yaml:7:14") && words.contains("`--max-timeout`"), "{words}");
    let refused = typed(folder.path(), &["check", "--max-memory", "16"], "");
    assert_eq!(refused.status.code(), Some(2));
    assert!(told(&refused).contains("1MiB to 4GiB; write `512KiB`"), "{}", told(&refused));
    let chat = typed(folder.path(), &["dev", "--max-timeout", "1m"], "!ping\n");
    assert_eq!(chat.status.code(), Some(0));
    assert!(out(&chat).contains("pong") && told(&chat).contains("[capped]"), "{}{}", out(&chat), told(&chat));
}
