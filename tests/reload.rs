//! Reloads of a running host: what changed is replaced, and nothing else; no notification is lost or handled twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/host.rs"]
mod host;

use host::{Host, Setup};
use olvid_rules::report::{Event, FailureKind, ReloadResult};
use serde_json::json;

const RULES: &str = "
rules:
  - name: first
    subscription: message_received
    filter: { body_search: . }
    handler: first.lua
  - name: second
    subscription: contact_new
    handler: second.lua
";

/// Says a version, the text it got and how often this VM was called.
fn versioned(version: &str) -> String {
    format!(
        "local calls = 0
        return function(notification)
            calls = calls + 1
            local message = notification.message
            print('{version} ' .. (message and message.body or 'contact') .. ' ' .. calls)
        end"
    )
}

fn setup() -> Setup {
    Setup::new(RULES).file("first.lua", versioned("one")).file("second.lua", versioned("one"))
}

/// Puts a message on the bot's streams that the world does not know.
fn emit(host: &Host, discussion: u64, body: &str) -> usize {
    let message = json!({ "message": { "discussion_id": discussion, "body": body } });
    host.simulator.emit("bot", "message_received", message).unwrap()
}

#[tokio::test]
async fn a_changed_script_takes_over_and_every_stream_stays() {
    let mut host = setup().start().await;
    emit(&host, 1, "a");
    assert_eq!(host.until_said(1).await, ["one a 1"]);
    host.write("first.lua", versioned("two"));
    let reload = host.reload().await;
    assert_eq!((reload.result, reload.generation, &reload.scripts.len()), (ReloadResult::Applied, 2, &1));
    assert_eq!((reload.kept, reload.changed.len()), (2, 0));
    emit(&host, 1, "b");
    assert_eq!(host.until_said(2).await[1], "two b 1");
    assert_eq!(host.simulator.opened("bot"), 2, "no stream was opened anew");
    host.stop().await;
}

#[tokio::test]
async fn what_was_refused_for_another_file_applies_once_that_is_mended() {
    let mut host = setup().start().await;
    let third = "  - { name: third, subscription: group_new, handler: second.lua }\n";
    host.write("rules.yaml", format!("{RULES}{third}"));
    host.write("second.lua", "return function(");
    assert_eq!(host.reload().await.result, ReloadResult::Rejected);
    host.write("second.lua", versioned("two"));
    let reload = host.reload().await;
    assert_eq!((reload.result, &reload.added[..], reload.kept), (ReloadResult::Applied, &["third".to_owned()][..], 2));
    host::in_time(host.simulator.wait_streams("bot", |open| open == 3)).await;
    assert_eq!(host.reload().await.result, ReloadResult::Unchanged);
    host.stop().await;
}

#[tokio::test]
async fn what_runs_finishes_on_the_old_code_and_what_waits_runs_on_the_new_in_order() {
    let slow = "return function(n) sleep(0.3) print('old ' .. n.message.body) end";
    let mut host = setup().file("first.lua", slow).start().await;
    for body in ["a", "b", "c"] {
        emit(&host, 7, body);
    }
    emit(&host, 8, "x");
    host.received(4).await;
    host.write("first.lua", versioned("new"));
    assert_eq!(host.reload().await.result, ReloadResult::Applied);
    let said = host.until_said(4).await;
    let of = |wanted: &[&str]| {
        said.iter().filter(|line| wanted.iter().any(|body| line.contains(body))).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of(&[" a", " b", " c"]), ["old a", "new b 1", "new c 2"], "{said:?}");
    assert_eq!(of(&[" x"]), ["old x"]);
    host.stop().await;
}

#[tokio::test]
async fn a_mistake_anywhere_changes_nothing_and_is_told_with_its_place() {
    let mut host = setup().start().await;
    host.write("first.lua", versioned("two"));
    host.write("second.lua", "return function(");
    host.write("rules.yaml", RULES.replace("body_search", "bdy_search"));
    let reload = host.reload().await;
    assert_eq!((reload.result, reload.generation), (ReloadResult::Rejected, 1));
    let codes: Vec<_> = reload.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["unknown-field", "lua-syntax"]);
    assert!(host.events().iter().any(|event| matches!(event, Event::ReloadRejected(_))));
    emit(&host, 1, "a");
    assert_eq!(host.until_said(1).await, ["one a 1"]);
    host.write("rules.yaml", RULES);
    assert_eq!(host.reload().await.result, ReloadResult::Rejected);
    host.write("second.lua", versioned("two"));
    assert_eq!(host.reload().await.result, ReloadResult::Applied);
    emit(&host, 1, "b");
    assert_eq!(host.until_said(2).await[1], "two b 1");
    assert_eq!(host.simulator.opened("bot"), 2);
    host.stop().await;
}

#[tokio::test]
async fn an_edit_that_means_the_same_restarts_nothing() {
    let mut host = setup().start().await;
    emit(&host, 1, "a");
    host.until_said(1).await;
    host.write("rules.yaml", format!("# a remark\n\n{RULES}    description: another\n"));
    let reload = host.reload().await;
    assert_eq!((reload.result, reload.generation, reload.kept), (ReloadResult::Unchanged, 1, 2));
    emit(&host, 1, "b");
    assert_eq!(host.until_said(2).await[1], "one b 2", "the VM is the same");
    assert_eq!(host.simulator.opened("bot"), 2);
    host.stop().await;
}

#[tokio::test]
async fn rules_come_and_go_without_the_others_noticing() {
    let mut host = setup().start().await;
    let more = format!(
        "{RULES}  - {{ name: third, subscription: group_new, handler: first.lua }}
  - {{ name: shared, subscription: message_received, filter: {{ body_search: . }}, handler: third.lua }}\n"
    );
    host.write("third.lua", versioned("third"));
    host.write("rules.yaml", &more);
    let reload = host.reload().await;
    assert_eq!((reload.added.clone(), reload.kept), (vec!["shared".to_owned(), "third".to_owned()], 2));
    host::in_time(host.simulator.subscribers("bot", 3)).await;
    emit(&host, 1, "a");
    let mut said = host.until_said(2).await;
    said.sort();
    assert_eq!(said, ["one a 1", "third a 1"]);
    host.write("rules.yaml", more.replace("name: first", "name: first\n    enabled: false"));
    assert_eq!(host.reload().await.removed, ["first"]);
    emit(&host, 1, "b");
    assert_eq!(host.until_said(3).await[2], "third b 2");
    assert_eq!(host.simulator.opened("bot"), 3, "the shared stream stays for the other rule");
    host.write("rules.yaml", RULES.split("  - name: second").next().unwrap());
    let reload = host.reload().await;
    assert_eq!((reload.added.clone(), reload.removed.len()), (vec!["first".to_owned()], 3));
    host::in_time(host.simulator.wait_streams("bot", |open| open == 1)).await;
    emit(&host, 1, "c");
    assert_eq!(host.until_said(4).await[3], "one c 2", "its script went on with the rule `third`");
    host.stop().await;
}

#[tokio::test]
async fn no_rules_at_all_are_a_mistake() {
    let mut host = setup().start().await;
    host.write("rules.yaml", "");
    let reload = host.reload().await;
    assert_eq!(reload.result, ReloadResult::Rejected);
    assert!(reload.diagnostics.iter().any(|diagnostic| diagnostic.message.contains("no rules are left")));
    std::fs::remove_file(host.path("rules.yaml")).unwrap();
    assert_eq!(host.reload().await.result, ReloadResult::Rejected);
    emit(&host, 1, "a");
    assert_eq!(host.until_said(1).await, ["one a 1"]);
    host.stop().await;
}

#[tokio::test]
async fn changed_parameters_open_the_new_stream_first_and_nothing_is_lost_or_doubled() {
    let script = "return function(n) print(n.message.body) end";
    // More lines than a rule may write at once.
    let rules = format!("defaults: {{ log_rate: 0 }}\n{RULES}");
    let mut host = setup().file("rules.yaml", rules.clone()).file("first.lua", script).start().await;
    let mut sent = 0_u64;
    for round in 0..10 {
        let pattern = if round % 2 == 0 { "^m" } else { "^m[0-9]" };
        host.write("rules.yaml", rules.replace("body_search: .", &format!("body_search: '{pattern}'")));
        let simulator = host.simulator.handle();
        let more = async {
            for number in sent..sent + 300 {
                let body = format!("m{number}");
                let message = json!({ "message": { "discussion_id": 1, "body": body } });
                assert!(simulator.emit("bot", "message_received", message).unwrap() >= 1, "a stream is always there");
                if number % 20 == 0 {
                    simulator.drained(50).await;
                }
                tokio::task::yield_now().await;
            }
        };
        let (reload, ()) = tokio::join!(host.reload(), more);
        assert_eq!((reload.result, reload.changed.clone()), (ReloadResult::Applied, vec!["first".to_owned()]));
        sent += 300;
    }
    let said = host.until_said(usize::try_from(sent).unwrap()).await;
    let wanted: Vec<_> = (0..sent).map(|number| format!("m{number}")).collect();
    assert!(said == wanted, "{:?}", said.iter().zip(&wanted).find(|(said, wanted)| said != wanted));
    host::in_time(host.simulator.wait_streams("bot", |open| open == 2)).await;
    assert_eq!(host.stop().await.iter().filter(|event| matches!(event, Event::Said { .. })).count(), said.len());
}

#[tokio::test]
async fn a_count_goes_on_over_other_edits_and_starts_anew_with_its_rule() {
    let rules = |count: u64, more: &str| {
        format!(
            "rules:
  - {{ name: counted, subscription: message_received, count: {count}, handler: first.lua }}
  - {{ name: other, subscription: contact_new, handler: second.lua{more} }}\n"
        )
    };
    let mut host = setup().file("rules.yaml", rules(2, "")).start().await;
    emit(&host, 1, "a");
    host.until_said(1).await;
    host.write("rules.yaml", rules(2, ", timeout: 9s"));
    host.write("first.lua", versioned("two"));
    assert_eq!(host.reload().await.changed, ["other"]);
    emit(&host, 1, "b");
    assert_eq!(host.until_said(2).await[1], "two b 1");
    host.until(|host| host.events().iter().find(|event| matches!(event, Event::FeedCompleted { .. })).cloned()).await;
    host.write("rules.yaml", rules(2, ", timeout: 8s"));
    host.reload().await;
    assert_eq!(emit(&host, 1, "c"), 0, "completed stays completed");
    host.write("rules.yaml", rules(1, ", timeout: 8s"));
    assert_eq!(host.reload().await.changed, ["counted"]);
    host::in_time(host.simulator.subscribers("bot", 2)).await;
    emit(&host, 1, "d");
    assert_eq!(host.until_said(3).await[2], "two d 2");
    host.stop().await;
}

#[tokio::test]
async fn a_rule_that_goes_to_another_script_keeps_stream_and_order() {
    let slow = "return function(n) sleep(0.2) print('old ' .. n.message.body) end";
    let mut host = setup().file("first.lua", slow).file("third.lua", versioned("new")).start().await;
    emit(&host, 1, "a");
    emit(&host, 1, "b");
    host.received(2).await;
    host.write("rules.yaml", RULES.replace("handler: first.lua", "handler: third.lua"));
    assert_eq!(host.reload().await.changed, ["first"]);
    emit(&host, 1, "c");
    assert_eq!(host.until_said(3).await, ["old a", "new b 1", "new c 2"]);
    assert_eq!(host.simulator.opened("bot"), 2);
    host.stop().await;
}

fn keeping(version: &str, save: &str, restore: &str) -> String {
    format!(
        "local M, state = {{}}, {{ seen = 0 }}
        function M.on(n) state.seen = state.seen + 1 print('{version} ' .. state.seen .. ' ' .. tostring(state.from)) end
        function M.save() {save} end
        function M.restore(value) {restore} end
        return M"
    )
}

#[tokio::test]
async fn a_script_keeps_state_over_its_reload_and_a_save_that_fails_keeps_the_script() {
    let rules = "rules:\n  - { name: keep, subscription: message_received, handler: keep.lua:on }\n";
    let good = |version: &str| keeping(version, "state.from = '{version}' return state", "state = value");
    let mut host = Setup::new(rules).file("keep.lua", good("one")).start().await;
    emit(&host, 1, "a");
    host.until_said(1).await;
    host.write("keep.lua", keeping("two", "error('not now')", "state = value"));
    assert_eq!(host.reload().await.result, ReloadResult::Applied);
    emit(&host, 1, "b");
    assert_eq!(host.until_said(2).await[1].split(' ').take(2).collect::<Vec<_>>(), ["two", "2"]);
    host.write("keep.lua", good("three"));
    let reload = host.reload().await;
    assert_eq!((reload.result, reload.diagnostics[0].code), (ReloadResult::Rejected, "script-save"));
    assert!(reload.diagnostics[0].message.contains("not now"), "{:?}", reload.diagnostics);
    emit(&host, 1, "c");
    assert!(host.until_said(3).await[2].starts_with("two 3"), "the old one goes on");
    host.stop().await;
}

#[tokio::test]
async fn a_module_that_a_handler_required_belongs_to_its_script() {
    let script = "return function(n) print(require('lib.text') .. n.message.body) end";
    let mut host = setup().file("first.lua", script).file("lib/text.lua", "return 'one '").start().await;
    emit(&host, 1, "a");
    assert_eq!(host.until_said(1).await, ["one a"]);
    host.write("lib/text.lua", "return 'two '");
    let reload = host.reload().await;
    assert_eq!((reload.result, reload.scripts.len()), (ReloadResult::Applied, 1));
    emit(&host, 1, "b");
    assert_eq!(host.until_said(2).await[1], "two b");
    host.stop().await;
}

#[tokio::test]
async fn a_rule_that_listens_to_something_else_starts_with_that() {
    let slow = "return function(n) sleep(0.2) print(n.message and n.message.body or 'a contact') end";
    let mut host = setup().file("first.lua", slow).start().await;
    emit(&host, 1, "a");
    emit(&host, 1, "b");
    host.received(2).await;
    let (before, after) = ("message_received\n    filter: { body_search: . }", "contact_new");
    host.write("rules.yaml", RULES.replacen(before, after, 1));
    assert_eq!(host.reload().await.changed, ["first"]);
    let contact = json!({ "contact": { "id": 1 } });
    host.simulator.emit("bot", "contact_new", contact).unwrap();
    let mut said = host.until_said(4).await;
    said.sort();
    assert_eq!(said, ["a", "a contact", "b", "one contact 1"], "what was accepted is handled");
    host.stop().await;
}

#[tokio::test]
async fn a_script_that_computes_for_ever_is_replaced_all_the_same() {
    let rules = RULES.replacen("handler", "timeout: 2s\n    cpu: 1m\n    handler", 1);
    let stuck = "return function(n) while true do end end";
    let mut host = setup().file("rules.yaml", rules).file("first.lua", stuck).start().await;
    emit(&host, 1, "a");
    emit(&host, 2, "b");
    emit(&host, 1, "c");
    host.received(3).await;
    host.write("first.lua", versioned("two"));
    assert_eq!(host.reload().await.result, ReloadResult::Applied);
    assert_eq!(host.until_said(1).await, ["two b 1"]);
    // What it holds up goes on once its rule's time is over.
    let failed = host.until_failed(1).await;
    assert_eq!((failed[0].kind, failed[0].origin.rule.as_deref()), (FailureKind::Timeout, Some("first")));
    host.until(|host| (host.said().last().map(String::as_str) == Some("two c 2")).then_some(())).await;
}

#[tokio::test]
async fn a_failure_that_comes_again_is_only_counted_where_a_reload_changed_nothing_between() {
    let failing = "return function(n) error('no ' .. 'reason') end";
    let mut host = setup().file("first.lua", failing).start().await;
    emit(&host, 1, "a");
    host.until_failed(1).await;
    assert_eq!(host.reload().await.result, ReloadResult::Unchanged);
    emit(&host, 1, "b");
    host.settled(2).await;
    let failed = |event| if let Event::RunFailed(failure) = event { Some(failure.repeats) } else { None };
    let told: Vec<_> = host.stop().await.into_iter().filter_map(failed).collect();
    assert_eq!(told.iter().filter(|repeats| **repeats == 0).count(), 1, "{told:?}");
}

#[tokio::test]
async fn what_a_rule_allowed_goes_with_it() {
    const SMALL: &str = "
rules:
  - { name: small, subscription: message_received, handler: first.lua, memory: 8 MiB }
";
    let large = "  - { name: large, subscription: contact_new, handler: first.lua, memory: 64 MiB }\n";
    let code = "return function(n)
        local text, all = string.rep('x', 1000000), {}
        for i = 1, 30 do all[i] = text .. i end
        print('held')
    end";
    let mut host = Setup::new(&format!("{SMALL}{large}")).file("first.lua", code).start().await;
    emit(&host, 1, "a");
    assert_eq!(host.until_said(1).await, ["held"], "a script has what the largest of its rules has");
    host.write("rules.yaml", SMALL);
    assert_eq!(host.reload().await.removed, ["large"]);
    emit(&host, 1, "b");
    assert_eq!(host.until_failed(1).await[0].kind, FailureKind::Memory);
    host.stop().await;
}
