//! What is told as one, and in which order.

use std::sync::Mutex;

use proptest::{prelude::*, test_runner::TestRunner};
use tokio::time::advance;

use super::*;

/// A herald, and what it told.
fn herald() -> (Herald, JoinHandle<()>, Arc<Mutex<Vec<Event>>>) {
    let told = Arc::<Mutex<Vec<Event>>>::default();
    let log = Arc::clone(&told);
    let reporter = Reporter::new(vec![Box::new(move |event| log.lock().unwrap().push(event.clone()))]);
    let (herald, task) = Herald::start(reporter);
    (herald, task, told)
}

fn name(feed: u64) -> FeedName {
    FeedName { subscription: feed.to_string().into(), rules: Arc::default(), place: "".into() }
}

fn lost(cause: &str, retry_in: f64) -> Change {
    Change::Lost { cause: cause.to_owned(), retry_in }
}

fn gap(from: i64, to: i64, cause: Option<&str>) -> Change {
    let at = |second| Timestamp::from_second(second).unwrap();
    Change::Gap { from: at(from), to: at(to), cause: cause.map(str::to_owned) }
}

/// An event in short: what happened, to which feeds, and what was told of it.
fn short(event: &Event) -> (String, Vec<u64>) {
    let (what, feeds) = match event {
        Event::FeedOpened { feeds } => ("open".to_owned(), feeds),
        Event::FeedLost { feeds, cause, retry_in } => (format!("lost {cause} {retry_in}"), feeds),
        Event::FeedWaiting { feeds, cause, retry_in } => (format!("waits {cause} {retry_in}"), feeds),
        Event::FeedRefused { feeds, cause, retry_in } => (format!("refused {cause} {retry_in}"), feeds),
        Event::FeedCompleted { feeds, count } => (format!("completed {count}"), feeds),
        Event::Gap { feeds, from, to, cause } => {
            (format!("gap {} {} {}", from.as_second(), to.as_second(), cause.as_deref().unwrap_or("-")), feeds)
        }
        Event::CaughtUp { feeds, notifications } => (format!("caught up {notifications}"), feeds),
        other => panic!("{other:?}"),
    };
    (what, feeds.iter().map(|feed| feed.subscription.parse().unwrap()).collect())
}

/// Tells changes, each so many milliseconds after the one before, and returns what came of them.
async fn told(changes: Vec<(u64, u64, Change)>) -> Vec<(String, Vec<u64>)> {
    let (herald, task, told) = herald();
    for (after, feed, change) in changes {
        tokio::time::sleep(Duration::from_millis(after)).await;
        herald.tell(feed, name(feed), change).await;
    }
    drop(herald);
    task.await.unwrap();
    let told = told.lock().unwrap();
    told.iter().map(short).collect()
}

#[tokio::test(start_paused = true)]
async fn what_happens_together_for_one_cause_is_one_event_and_the_soonest_retry_counts() {
    let changes = vec![(0, 1, lost("a", 3.0)), (0, 2, lost("b", 1.0)), (0, 3, lost("a", 0.5)), (0, 4, lost("a", 2.0))];
    assert_eq!(told(changes).await, [("lost a 0.5".to_owned(), vec![1, 3, 4]), ("lost b 1".to_owned(), vec![2])]);
    let refused = |cause: &str| Change::Refused { cause: cause.to_owned(), retry_in: 9.0 };
    let waits = |cause: &str| Change::Waiting { cause: cause.to_owned(), retry_in: 9.0 };
    let changes =
        vec![(0, 1, refused("a")), (0, 2, waits("a")), (0, 3, refused("a")), (0, 4, Change::Completed { count: 2 })];
    let wanted = [("refused a 9", vec![1, 3]), ("waits a 9", vec![2]), ("completed 2", vec![4])];
    assert_eq!(told(changes).await, wanted.map(|(what, feeds)| (what.to_owned(), feeds)));
}

#[tokio::test(start_paused = true)]
async fn gaps_are_widened_and_what_was_caught_up_is_added() {
    let changes =
        vec![(0, 1, gap(5, 9, None)), (0, 2, gap(3, 8, None)), (0, 3, gap(4, 12, None)), (0, 4, gap(1, 2, Some("x")))];
    assert_eq!(told(changes).await, [("gap 3 12 -".to_owned(), vec![1, 2, 3]), ("gap 1 2 x".to_owned(), vec![4])]);
    let caught_up = |notifications| Change::CaughtUp { notifications };
    let changes = vec![(0, 1, caught_up(2)), (0, 2, caught_up(40)), (0, 1, caught_up(100))];
    assert_eq!(told(changes).await, [("caught up 42".to_owned(), vec![1, 2]), ("caught up 100".to_owned(), vec![1])]);
}

#[tokio::test(start_paused = true)]
async fn feeds_that_come_back_one_after_another_are_told_once_and_not_for_ever_later() {
    let opened = |feeds: u64, after| (0..feeds).map(|feed| (after, feed, Change::Opened)).collect();
    assert_eq!(told(opened(500, 1)).await.len(), 1, "within half a second");
    let seconds = told(opened(60, 50)).await;
    assert!((3..=4).contains(&seconds.len()), "a second each: {seconds:?}");
    assert_eq!(told(opened(3, 150)).await.len(), 3, "apart");
}

#[tokio::test(start_paused = true)]
async fn a_busy_machine_does_not_tear_apart_what_happens_together() {
    let (herald, task, told) = herald();
    for feed in 0..3 {
        herald.tell(feed, name(feed), Change::Opened).await;
        tokio::task::yield_now().await;
        // Nothing ran for longer than news waits.
        advance(LOOK * LOOKS * 2).await;
    }
    drop(herald);
    task.await.unwrap();
    assert_eq!(told.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn feeds_that_were_lost_together_are_waited_for_a_moment() {
    let all = |change: fn() -> Change| (0..4).map(move |feed| (0, feed, change()));
    let back = [(500, 2, Change::Opened), (200, 0, Change::Opened), (150, 1, Change::Opened), (140, 3, Change::Opened)];
    let told = told(all(|| lost("a", 0.5)).chain(back).collect()).await;
    let wanted = [("lost a 0.5", vec![0, 1, 2, 3]), ("open", vec![2, 0, 1, 3])];
    assert_eq!(told, wanted.map(|(what, feeds)| (what.to_owned(), feeds)));
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_stays_away_holds_nothing_up_for_long() {
    let (herald, _task, told) = herald();
    herald.tell(1, name(1), lost("a", 0.5)).await;
    herald.tell(2, name(2), lost("a", 0.5)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    herald.tell(1, name(1), Change::Opened).await;
    tokio::time::sleep(LONGEST + Duration::from_millis(1)).await;
    assert_eq!(told.lock().unwrap().len(), 2);
    tokio::time::sleep(SHORTLY).await;
    herald.tell(1, name(1), lost("b", 0.5)).await;
    tokio::time::sleep(LOOK * LOOKS + Duration::from_millis(1)).await;
    assert_eq!(told.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_all_feeds_tells_what_is_left_at_once() {
    let (herald, task, told) = herald();
    herald.tell(1, name(1), Change::Opened).await;
    let before = Instant::now();
    drop(herald);
    task.await.unwrap();
    assert_eq!((told.lock().unwrap().len(), before.elapsed()), (1, Duration::ZERO));
}

/// A change, by a number, that says which of its feed's changes it is.
fn change(kind: u8, at: usize) -> Change {
    let cause = at.to_string();
    match kind % 4 {
        0 => Change::Opened,
        1 => Change::Lost { cause: "same".to_owned(), retry_in: 1.0 },
        2 => Change::Lost { cause, retry_in: 1.0 },
        _ => gap(10, 20, None),
    }
}

#[test]
fn every_change_is_told_once_and_each_feeds_own_in_order() {
    let changes = prop::collection::vec((0_u64..40, 0_u64..5, 0_u8..4), 0..300);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let case = |changes: Vec<(u64, u64, u8)>| {
        let mut told_of = vec![Vec::new(); 5];
        let mut all = Vec::new();
        for (at, (after, feed, kind)) in changes.into_iter().enumerate() {
            let change = change(kind, at);
            let (what, _) = short(&News { change: change.clone(), feeds: Vec::new() }.event());
            told_of[usize::try_from(feed).unwrap()].push(what);
            all.push((after, feed, change));
        }
        let mut heard = vec![Vec::new(); 5];
        for (what, feeds) in runtime.block_on(told(all)) {
            for feed in feeds {
                heard[usize::try_from(feed).unwrap()].push(what.clone());
            }
        }
        prop_assert_eq!(heard, told_of);
        Ok(())
    };
    TestRunner::new(ProptestConfig::with_cases(200)).run(&changes, case).unwrap();
}
