//! Whether scripts make progress, as who asks now and then is told.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    super::{Bell, RuleQueue, Script, patience},
    bench::{Bench, DEADLY, PATIENCE, PING, finish, push},
    *,
};

/// Says what came; `attack` is not come back from until the file is there, and does not even ring a bell.
const SPINS: &str = "return function(n) if n.message.body == 'attack' then spin() end print(n.message.body) end";

const HOUR: Duration = Duration::from_hours(1);

/// Waits until the thread has answered what it was asked.
async fn answered(script: &Script) {
    let answer = async {
        while script.pulse().is_asked() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answer).await.expect("the thread answers");
}

#[tokio::test]
async fn one_that_waits_answers_whenever_it_is_asked() {
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", SPINS)]);
    let (script, _) = bench.serve("ping", &RuleQueue::new()).await;
    let now = Instant::now();
    for hours in 0..5 {
        assert_eq!(script.pulse().stalled(Duration::ZERO, now + hours * HOUR), None);
        answered(&script).await;
    }
    let pulse = Arc::clone(script.pulse());
    finish(script).await;
    for hours in 5..10 {
        assert_eq!(pulse.stalled(Duration::ZERO, now + hours * HOUR), None, "an end that was asked for is no stall");
    }
}

#[tokio::test]
async fn one_that_has_much_to_do_answers_between_two_runs() {
    let code = "while not pcall(require, 'go') do sleep(0) end";
    let rules = format!(
        "rules:\n  - {{ name: ping, subscription: message_received, timeout: 2m, cpu: 1m, lua: \"{code}\" }}\n"
    );
    let bench = Bench::new(&[("rules.yaml", &rules)]);
    let queue = RuleQueue::new();
    let (script, _) = bench.serve("ping", &queue).await;
    for discussion in 0..50 {
        push(&queue, discussion, "x").await;
    }
    for _ in 0..5 {
        assert_eq!(script.pulse().stalled(Duration::ZERO, Instant::now()), None);
        answered(&script).await;
    }
    bench.write("go.lua", "");
    finish(script).await;
}

#[tokio::test]
async fn one_that_does_not_come_back_is_told_at_the_second_look_beyond_its_patience() {
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", SPINS)]);
    let queue = RuleQueue::new();
    let (script, _) = bench.serve("ping", &queue).await;
    let (pulse, now) = (script.pulse(), Instant::now());
    push(&queue, 1, "before").await;
    bench.said(1).await;
    push(&queue, 1, "attack").await;
    bench.until_running(&queue).await;
    let patience = Duration::from_secs(40);
    let at = |seconds| pulse.stalled(patience, now + Duration::from_secs(seconds));
    assert_eq!([0, 10, 40, 41, 41].map(at), [None; 5], "it may still come back; or the process stood still meanwhile");
    assert_eq!(at(45), Some(Duration::from_secs(45)));
    bench.write("come back", "");
    bench.said(2).await;
    answered(&script).await;
    assert_eq!([60, 3600].map(at), [None; 2]);
    finish(script).await;
}

#[tokio::test]
async fn one_whose_thread_died_or_was_given_up_is_told_unless_it_is_replaced() {
    let code = "return function(n) if n.message.body == 'deadly' then error('deadly', 0) end spin() end";
    let rules = "rules:\n  - { name: ping, subscription: message_received, handler: ping.lua, cpu: 50ms }\n";
    let bench = Bench::new(&[("rules.yaml", rules), ("ping.lua", code)]);
    let (died, lost) = (RuleQueue::new(), RuleQueue::new());
    let (bell, ear) = Bell::new().unwrap();
    let ear = tokio::net::UnixStream::from_std(ear).unwrap();
    let (dead, _) = bench.serve("ping", &died).await;
    let (stuck, _) = bench.serve_with("ping", &lost, Some(bell)).await;
    push(&died, 1, DEADLY).await;
    push(&lost, 1, "attack").await;
    tokio::time::timeout(PATIENCE, dead.died()).await.unwrap();
    ear.readable().await.unwrap();
    let now = Instant::now();
    for script in [&dead, &stuck] {
        let looks = [0, 1, 2].map(|hours| script.pulse().stalled(Duration::from_secs(10), now + hours * HOUR));
        assert_eq!(looks, [None, None, Some(2 * HOUR)]);
    }
    bench.write("come back", "");
}

#[test]
fn patience_is_what_the_longest_run_may_take_on_a_busy_machine() {
    let milliseconds = |limits: &[Limits]| patience(limits.iter()).as_millis();
    let limits = Limits::default();
    assert_eq!(milliseconds(&[]), 10_000, "the time to be loaded in");
    assert_eq!(
        milliseconds(std::slice::from_ref(&limits)),
        36_600,
        "30 times 1 s of CPU, and 22 ticks until it is given up"
    );
    let waits = Limits { timeout: Duration::from_hours(24), ..limits.clone() };
    assert_eq!(milliseconds(&[waits]), 36_600, "to wait is no run that does not come back");
    let computes = Limits { cpu: HOUR, timeout: Duration::from_mins(2), ..limits.clone() };
    assert_eq!(milliseconds(&[limits, computes]), 126_600, "no longer than its time, and the longest of all rules");
    assert_eq!(milliseconds(&[Limits { cpu: Duration::from_millis(10), ..Limits::default() }]), 10_000);
}
