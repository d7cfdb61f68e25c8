//! Stories of scripts that are replaced while notifications flow.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::{Instant, timeout};

use super::{
    super::{CREDITS, RuleQueue, ScriptKey, ScriptSpec},
    bench::{Bench, DEADLY, PATIENCE, PING, assert_all_credits_are_back, finish, message, push},
    push_all,
};

/// A handler that says what it got, and of `slow` only when the file `go.lua` is there.
fn version(name: &str) -> String {
    format!(
        "return function(n)
  local body = n.message.body
  if body == 'slow' then print('{name} started') while not pcall(require, 'go') do sleep(0.001) end end
  print('{name} ' .. body)
end"
    )
}

#[tokio::test]
async fn queued_ones_run_on_the_new_code_in_order_and_running_ones_finish_on_the_old() {
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", &version("old"))]);
    let queue = RuleQueue::new();
    let (old, old_vm) = bench.serve("ping", &queue).await;
    push(&queue, 1, "slow").await;
    push(&queue, 1, "second").await;
    bench.said(1).await;
    bench.write("ping.lua", &version("new"));
    let (new, new_vm) = bench.serve("ping", &queue).await;
    old.stop(Instant::now() + PATIENCE);
    push(&queue, 1, "third").await;
    push(&queue, 2, "beside").await;
    assert_eq!(bench.said(2).await, ["old started", "new beside"]);
    bench.write("go.lua", "");
    let all = ["old started", "new beside", "old slow", "new second", "new third"];
    assert_eq!(bench.said(5).await, all);
    assert!(old.ended(Instant::now() + PATIENCE).await);
    bench.freed(&old_vm).await;
    finish(new).await;
    bench.freed(&new_vm).await;
    assert_eq!(bench.lines(), all);
    assert_eq!(queue.counters().settled.load(Ordering::Acquire), 4);
    assert_eq!(bench.counters.settled.load(Ordering::Acquire), 4);
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_over_many_swaps_under_load() {
    const DISCUSSIONS: usize = 5;
    const EACH: usize = 300;
    let counting = "return function(n)
  if tonumber(n.message.body) % 7 == 0 then sleep(0.001) end
  print(n.message.discussion_id .. ' ' .. n.message.body)
end";
    let rules = format!("defaults: {{ log_rate: 0 }}\n{PING}");
    let bench = Bench::new(&[("rules.yaml", &rules), ("ping.lua", counting)]);
    let queue = RuleQueue::new();
    let (mut script, _) = bench.serve("ping", &queue).await;
    let feed = queue.clone();
    let pushing = tokio::spawn(async move {
        for number in 1..=EACH {
            let batch: Vec<_> = (1..=DISCUSSIONS).map(|discussion| message(discussion, &number.to_string())).collect();
            assert!(push_all(&feed, &batch, false).await);
        }
    });
    let (mut swaps, mut retired) = (0, Vec::new());
    while swaps < 20 || !pushing.is_finished() {
        let (next, vm) = bench.serve("ping", &queue).await;
        script.stop(Instant::now() + PATIENCE);
        retired.push((std::mem::replace(&mut script, next), vm));
        swaps += 1;
    }
    pushing.await.unwrap();
    finish(script).await;
    for (script, vm) in retired {
        assert!(script.ended(Instant::now() + PATIENCE).await);
        bench.freed(&vm).await;
    }
    let lines = bench.lines();
    for discussion in 1..=DISCUSSIONS {
        let prefix = format!("{discussion} ");
        let got: Vec<usize> =
            lines.iter().filter_map(|line| line.strip_prefix(&prefix)).map(|number| number.parse().unwrap()).collect();
        assert_eq!(got, (1..=EACH).collect::<Vec<_>>(), "discussion {discussion} after {swaps} swaps");
    }
    assert_eq!(lines.len(), DISCUSSIONS * EACH);
    assert_all_credits_are_back(&queue);
}

#[tokio::test]
async fn a_rule_moves_to_another_script_and_leaves_the_others_alone() {
    let rules = |of_one: &str| {
        format!(
            "rules:
  - {{ name: one, subscription: message_received, handler: {of_one} }}
  - {{ name: two, subscription: message_received, handler: a.lua }}
"
        )
    };
    let counting = |name: &str| format!("n = 0 return function(_, rule) n = n + 1 print('{name}', rule.name, n) end");
    let bench = Bench::new(&[("rules.yaml", &rules("a.lua")), ("a.lua", &counting("a")), ("b.lua", &counting("b"))]);
    let (one, two) = (RuleQueue::new(), RuleQueue::new());
    let (a, _) = bench.serve("one", &one).await;
    a.attach(&[(bench.rule("two"), two.clone())]);
    push(&one, 1, "x").await;
    bench.said(1).await;
    push(&two, 1, "x").await;
    bench.said(2).await;
    bench.write("rules.yaml", &rules("b.lua"));
    let (b, _) = bench.serve("one", &one).await;
    push(&one, 1, "x").await;
    bench.said(3).await;
    push(&two, 1, "x").await;
    assert_eq!(bench.said(4).await, ["a\tone\t1", "a\ttwo\t2", "b\tone\t1", "a\ttwo\t3"]);
    // And back, without a new VM.
    a.attach(&[(bench.rule("two"), one.clone())]);
    push(&one, 1, "x").await;
    assert_eq!(bench.said(5).await[4], "a\ttwo\t4");
    finish(a).await;
    finish(b).await;
}

#[tokio::test]
async fn what_is_put_in_before_any_script_serves_it_waits_for_the_first() {
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", "return function(n) print(n.message.body) end")]);
    let queue = RuleQueue::new();
    push(&queue, 1, "early").await;
    let (script, _) = bench.serve("ping", &queue).await;
    assert_eq!(bench.said(1).await, ["early"]);
    finish(script).await;
}

#[tokio::test]
async fn a_retired_rule_frees_a_push_that_waits_and_handles_what_was_accepted() {
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", &version("it"))]);
    let queue = RuleQueue::new();
    let (script, _) = bench.serve("ping", &queue).await;
    push(&queue, 1, "slow").await;
    let feed = queue.clone();
    let batch = vec![message(1, "x"); CREDITS + 5];
    let pushing = tokio::spawn(async move { push_all(&feed, &batch, false).await });
    bench.said(1).await;
    queue.retire();
    assert!(!pushing.await.unwrap());
    assert!(!push_all(&queue, &[message(1, "late")], false).await);
    let accepted = queue.counters().queued.load(Ordering::Acquire);
    assert!(accepted <= CREDITS as u64);
    bench.write("go.lua", "");
    bench.said(1 + usize::try_from(accepted).unwrap()).await;
    finish(script).await;
    assert_eq!(queue.counters().settled.load(Ordering::Acquire), accepted);
}

#[tokio::test]
async fn a_run_that_outlasts_its_script_s_time_holds_up_nothing() {
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", &version("old"))]);
    let queue = RuleQueue::new();
    let (old, _) = bench.serve("ping", &queue).await;
    push(&queue, 1, "slow").await;
    push(&queue, 1, "next").await;
    bench.said(1).await;
    bench.write("ping.lua", &version("new"));
    let (new, _) = bench.serve("ping", &queue).await;
    old.stop(Instant::now());
    assert_eq!(bench.said(3).await, ["old started", "abandoned", "new next"]);
    assert!(old.ended(Instant::now() + PATIENCE).await);
    finish(new).await;
    let counters = queue.counters();
    assert_eq!((counters.settled.load(Ordering::Acquire), counters.failed.load(Ordering::Acquire)), (2, 1));
    assert_eq!(bench.counters.failed.load(Ordering::Acquire), 1);
    assert_all_credits_are_back(&queue);
}

#[tokio::test]
async fn a_handler_that_never_ends_is_replaced_all_the_same() {
    let hanging = "return function(n)
  print('hanging')
  while not pcall(require, 'go') do end
  print('let go')
end";
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", hanging)]);
    let queue = RuleQueue::new();
    let (old, vm) = bench.serve("ping", &queue).await;
    push(&queue, 1, "x").await;
    push(&queue, 1, "y").await;
    bench.said(1).await;
    bench.write("ping.lua", &version("new"));
    let (new, _) = bench.serve("ping", &queue).await;
    old.stop(Instant::now());
    assert!(!old.ended(Instant::now() + Duration::from_millis(1)).await);
    assert_eq!(bench.said(2).await, ["hanging", "new y"]);
    bench.write("go.lua", "");
    bench.freed(&vm).await;
    finish(new).await;
    let counters = queue.counters();
    assert_eq!((counters.settled.load(Ordering::Acquire), counters.failed.load(Ordering::Acquire)), (2, 1));
}

#[tokio::test]
async fn a_handler_sees_whether_a_notification_was_caught_up() {
    let code = "return function(n, rule) print(n.message.body, rule.caught_up) end";
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", code)]);
    let queue = RuleQueue::new();
    let (script, _) = bench.serve("ping", &queue).await;
    assert!(push_all(&queue, &[message(1, "a")], true).await);
    assert!(push_all(&queue, &[message(1, "b")], false).await);
    finish(script).await;
    assert_eq!(bench.lines(), ["a\ttrue", "b\tfalse"]);
}

#[tokio::test]
async fn an_inline_handler_that_moved_keeps_its_globals_and_fails_at_its_new_line() {
    let rules = |comment: &str| {
        format!(
            "rules:
{comment}  - name: ping
    subscription: message_received
    lua: |
      count = (count or 0) + 1
      error('number ' .. count)
"
        )
    };
    let bench = Bench::new(&[("rules.yaml", &rules(""))]);
    let queue = RuleQueue::new();
    let (script, _) = bench.serve("ping", &queue).await;
    assert_eq!(script.key, ScriptKey::Inline("ping".to_owned()));
    push(&queue, 1, "x").await;
    bench.said(1).await;
    bench.write("rules.yaml", &rules("  # a comment\n"));
    script.update(&[bench.rule("ping")]);
    push(&queue, 1, "x").await;
    let lines = bench.said(2).await;
    assert!(lines[0].ends_with("rules.yaml:6: number 1"), "{lines:?}");
    assert!(lines[1].ends_with("rules.yaml:7: number 2"), "{lines:?}");
    finish(script).await;
}

#[tokio::test]
async fn new_settings_hold_from_the_next_run_on() {
    let rules =
        |more: &str| format!("rules:\n  - {{ name: ping, subscription: message_received, handler: ping.lua{more} }}\n");
    let bench = Bench::new(&[("rules.yaml", &rules("")), ("ping.lua", &version("it"))]);
    let queue = RuleQueue::new();
    let (script, _) = bench.serve("ping", &queue).await;
    push(&queue, 1, "slow").await;
    bench.said(1).await;
    bench.write("rules.yaml", &rules(", order: rule"));
    script.update(&[bench.rule("ping")]);
    push(&queue, 2, "waits").await;
    bench.write("rules.yaml", &rules(", order: none"));
    script.update(&[bench.rule("ping")]);
    assert_eq!(bench.said(2).await[1], "it waits");
    bench.write("go.lua", "");
    finish(script).await;
    assert_eq!(bench.lines()[2], "it slow");
}

#[tokio::test]
async fn a_lane_whose_function_is_missing_fails_each_run_and_says_so() {
    let rules = |function: &str| {
        format!("rules:\n  - {{ name: ping, subscription: message_received, handler: \"ping.lua:{function}\" }}\n")
    };
    let bench = Bench::new(&[("rules.yaml", &rules("here")), ("ping.lua", "return { here = print }")]);
    let queue = RuleQueue::new();
    let (script, _) = bench.serve("ping", &queue).await;
    bench.write("rules.yaml", &rules("heer"));
    script.update(&[bench.rule("ping")]);
    push(&queue, 1, "x").await;
    let lines = bench.said(1).await;
    assert!(lines[0].ends_with("ping.lua` has no function `heer`; did you mean `:here`?"), "{lines:?}");
    finish(script).await;
}

#[tokio::test]
async fn a_thread_that_dies_is_seen_and_another_script_goes_on() {
    let code = "return function(n) if n.message.body == 'deadly' then error('deadly', 0) end print(n.message.body) end";
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", code)]);
    let queue = RuleQueue::new();
    let (old, vm) = bench.serve("ping", &queue).await;
    push(&queue, 1, DEADLY).await;
    timeout(PATIENCE, old.died()).await.unwrap();
    bench.freed(&vm).await;
    push(&queue, 1, "next").await;
    assert!(old.is_dead() && !old.has_ended());
    let (new, _) = bench.serve("ping", &queue).await;
    assert_eq!(bench.said(1).await, ["next"]);
    assert!(old.ended(Instant::now() + PATIENCE).await);
    finish(new).await;
    let counters = queue.counters();
    assert_eq!((counters.settled.load(Ordering::Acquire), counters.failed.load(Ordering::Acquire)), (2, 1));
    assert_eq!(counters.running.load(Ordering::Acquire), 0);
    assert_all_credits_are_back(&queue);
}

#[tokio::test]
async fn a_script_that_is_let_go_ends_its_thread() {
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", "return print")]);
    let (prepared, vm) = bench.prepare("ping").await;
    drop(prepared);
    bench.freed(&vm).await;
    let (script, vm) = bench.serve("ping", &RuleQueue::new()).await;
    drop(script);
    bench.freed(&vm).await;
}

#[tokio::test(start_paused = true)]
async fn a_script_that_does_not_finish_loading_is_given_up_and_its_thread_ends() {
    // The clock stands still until nothing else is to be done: then the limit is over at once.
    let code = "while true do pcall(function() while true do end end) end";
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", code)]);
    let (Err(mistakes), vm) = bench.load("ping", None).await else { panic!("it cannot have been loaded") };
    assert_eq!(mistakes[0].code, "script-failed");
    assert!(mistakes[0].message.contains("does not finish loading"), "{}", mistakes[0].message);
    assert!(mistakes[0].place.is_some());
    tokio::time::resume();
    bench.freed(&vm).await;
}

#[test]
fn rules_that_name_one_file_in_several_ways_share_its_script() {
    let rules = "rules:
  - { name: one, subscription: message_received, handler: ./lib/../ping.lua }
  - { name: two, subscription: message_received, handler: link.lua }
";
    let bench = Bench::new(&[("rules.yaml", rules), ("ping.lua", "return print"), ("lib/x.lua", "")]);
    std::os::unix::fs::symlink("ping.lua", bench.folder.path().join("link.lua")).unwrap();
    let specs = ScriptSpec::group(&bench.rules());
    assert_eq!(specs.len(), 1);
    let path = bench.folder.path().join("ping.lua");
    assert_eq!(*specs[0].name, path.display().to_string());
    assert_eq!(specs[0].key, ScriptKey::File(path));
}

#[tokio::test]
async fn what_a_full_rule_keeps_of_its_credits_is_given_back_when_others_go_on_with_it() {
    const FULL: &str = "rules:
  - { name: ping, subscription: message_received, handler: ping.lua, order: none, concurrency: 2, log_rate: 0 }
";
    let bench = Bench::new(&[("rules.yaml", FULL), ("ping.lua", &version("old"))]);
    let queue = RuleQueue::new();
    let (old, _) = bench.serve("ping", &queue).await;
    // Ten are handled, two hold the rule's two places, and all others wait behind these.
    let mut all: Vec<_> = (0..CREDITS).map(|number| message(1, &number.to_string())).collect();
    all[10] = message(1, "slow");
    all[11] = message(1, "slow");
    assert!(push_all(&queue, &all, false).await);
    bench.said(12).await;
    let handled = || queue.counters().settled.load(Ordering::Acquire);
    assert_eq!(handled(), 10);
    // More would wait, too; but once another script goes on with the rule, it may have them.
    let mut more = std::pin::pin!(queue.push_some(&all[..1], false));
    assert!(timeout(Duration::from_millis(50), &mut more).await.is_err());
    bench.write("ping.lua", &version("new"));
    let (new, _) = bench.serve("ping", &queue).await;
    assert_eq!(timeout(PATIENCE, more).await.ok().flatten(), Some(1));
    old.stop(Instant::now() + PATIENCE);
    bench.write("go.lua", "");
    assert!(old.ended(Instant::now() + PATIENCE).await);
    finish(new).await;
    assert_eq!(handled(), CREDITS as u64 + 1);
    assert_all_credits_are_back(&queue);
}
