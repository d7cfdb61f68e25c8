//! Stories of what a script keeps when its next version takes over.

use serde_json::json;
use tokio::time::Instant;

use super::{
    super::RuleQueue,
    bench::{Bench, PATIENCE, PING, finish, push},
};

/// A script with a counter that `M.save` and `M.restore` keep.
fn counting(save: &str, restore: &str) -> String {
    format!(
        "local M, count = {{}}, 0
function M.on(n)
  count = count + 1
  print(n.message.body, count)
end
function M.save() {save} end
function M.restore(value) {restore} end
return M"
    )
}

fn bench(script: &str) -> Bench {
    Bench::new(&[("rules.yaml", &PING.replace("ping.lua", "ping.lua:on")), ("ping.lua", script)])
}

#[tokio::test]
async fn a_script_keeps_its_state_and_runs_nothing_between_save_and_the_swap() {
    let script = counting("return { count = count, big = math.maxinteger }", "count = value.count print(value.big)");
    let bench = bench(&script);
    let queue = RuleQueue::new();
    let (old, _) = bench.serve("ping", &queue).await;
    push(&queue, 1, "a").await;
    bench.said(1).await;
    let state = old.save().await.unwrap().unwrap();
    assert_eq!(state, json!({ "count": 1, "big": i64::MAX }));
    push(&queue, 1, "b").await;
    let (new, _) = bench.prepare("ping").await;
    new.restore(state).await.unwrap();
    let new = new.start();
    new.attach(&[(bench.rule("ping"), queue.clone())]);
    old.stop(Instant::now() + PATIENCE);
    assert_eq!(bench.said(3).await, ["a\t1", "9223372036854775807", "b\t2"]);
    assert!(old.ended(Instant::now() + PATIENCE).await);
    finish(new).await;
}

#[tokio::test]
async fn a_pause_ends_with_resume_and_what_waited_is_handled() {
    let bench = bench(&counting("return json.null", ""));
    let queue = RuleQueue::new();
    let (script, _) = bench.serve("ping", &queue).await;
    assert_eq!(script.save().await.unwrap(), Some(json!(null)));
    push(&queue, 1, "a").await;
    // Answered behind the push: it was not handled.
    assert_eq!(script.save().await.unwrap(), Some(json!(null)));
    assert!(bench.lines().is_empty());
    script.resume();
    assert_eq!(bench.said(1).await, ["a\t1"]);
    finish(script).await;
}

#[tokio::test]
async fn a_save_that_fails_says_where_and_keeps_the_script_going() {
    for (save, told) in [
        ("error('not now')", "the script fails while it saves its state: not now"),
        ("return print", "returns cannot be kept: function has no JSON form"),
        ("sleep(1)", "nothing can wait while a script is loaded, saves or restores"),
        ("return { [1] = 1, x = 2 }", "a table is both a list and an object"),
    ] {
        let bench = bench(&counting(save, ""));
        let queue = RuleQueue::new();
        let (script, _) = bench.serve("ping", &queue).await;
        let mistakes = script.save().await.unwrap_err();
        assert_eq!(mistakes[0].code, "script-save");
        assert!(mistakes[0].message.contains(told), "{}", mistakes[0].message);
        if save.starts_with("error") {
            let place = mistakes[0].place.as_ref().unwrap();
            assert!(place.display().ends_with("ping.lua:6:1"), "{}", place.display());
        }
        push(&queue, 1, "a").await;
        assert_eq!(bench.said(1).await, ["a\t1"]);
        finish(script).await;
    }
}

#[tokio::test]
async fn a_save_that_never_answers_is_ended_and_the_script_goes_on() {
    let bench = bench(&counting("while true do end", ""));
    let queue = RuleQueue::new();
    let (script, _) = bench.serve("ping", &queue).await;
    // The clock stands still until nothing else is to be done: then the limit is over at once.
    tokio::time::pause();
    let mistakes = script.save().await.unwrap_err();
    tokio::time::resume();
    assert!(mistakes[0].message.ends_with("does not save its state within 5s"), "{}", mistakes[0].message);
    push(&queue, 1, "a").await;
    assert_eq!(bench.said(1).await, ["a\t1"]);
    finish(script).await;
}

#[tokio::test]
async fn a_restore_that_fails_is_a_mistake_at_its_line() {
    let bench = bench(&counting("", "\nerror('of another version')"));
    let (new, vm) = bench.prepare("ping").await;
    let mistakes = new.restore(json!({ "x": [1, 2] })).await.unwrap_err();
    assert_eq!(mistakes[0].code, "script-failed");
    assert_eq!(mistakes[0].message, "the script fails while it restores its state: of another version");
    assert!(mistakes[0].place.as_ref().unwrap().display().ends_with("ping.lua:8:1"));
    drop(new);
    bench.freed(&vm).await;
}

#[tokio::test]
async fn a_script_without_save_and_restore_keeps_nothing() {
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", "return print")]);
    let (old, _) = bench.serve("ping", &RuleQueue::new()).await;
    assert_eq!(old.save().await.unwrap(), None);
    finish(old).await;
    let (new, _) = bench.prepare("ping").await;
    new.restore(json!(1)).await.unwrap();
}
