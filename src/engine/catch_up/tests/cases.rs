//! One behaviour each.

use tonic::Code;

use super::{
    super::seen::{Cursor, REMEMBERED},
    *,
};
use crate::{schema::recovery::Mark, simulator::Reply};

fn mark(id: u64, time: u64) -> Mark {
    Mark { id, time }
}

/// A feed whose stream stands since a time.
fn open_since(time: u64) -> Seen {
    let mut seen = Seen::default();
    seen.opened(time);
    assert!(!seen.owes(), "nothing was missed before");
    seen
}

/// From when on a list is asked for after a gap now.
fn asked_since(seen: &mut Seen, now: u64) -> u64 {
    seen.opened(now);
    assert!(seen.owes());
    match seen.wanted() {
        Some(Wanted::Since(since)) => since,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_host_whose_clock_is_ahead_misses_nothing_once_a_message_came() {
    let mut seen = open_since(EPOCH + 3_600_000);
    assert!(seen.note_live(mark(1, EPOCH), EPOCH + 3_600_000));
    assert_eq!(asked_since(&mut seen, EPOCH + 3_600_000), EPOCH);
}

#[test]
fn what_was_there_before_the_first_stream_is_not_asked_for() {
    let mut seen = open_since(EPOCH);
    assert!(seen.note_live(mark(1, EPOCH + 5), EPOCH + 5));
    assert_eq!(asked_since(&mut seen, EPOCH + 10), EPOCH);
}

#[test]
fn a_stamp_from_the_future_does_not_move_the_cursor_there() {
    let mut seen = open_since(EPOCH);
    let now = EPOCH + 10 * SLACK;
    assert!(seen.note_live(mark(1, u64::MAX), now));
    assert_eq!(asked_since(&mut seen, now), now - SLACK);
    // Nor does a file that says so.
    let mut seen = Seen::default();
    seen.resume(Some(Cursor { since: u64::MAX, seen: vec![(u64::MAX, 7)] }), now);
    assert_eq!((asked_since(&mut seen, now), seen.holds(7)), (now, true));
}

#[test]
fn ids_are_bounded_and_what_is_forgotten_is_not_asked_for_again() {
    let all = REMEMBERED as u64 + 100;
    let mut seen = open_since(EPOCH);
    for id in 1..=all {
        assert!(seen.note_live(mark(id, EPOCH + id / 2), EPOCH + SLACK));
    }
    let since = asked_since(&mut seen, EPOCH + SLACK);
    for id in 1..=all {
        assert!(seen.holds(id) || EPOCH + id / 2 < since, "{id}");
    }
    assert_eq!((1..=all).filter(|id| seen.holds(*id)).count(), REMEMBERED);
}

#[test]
fn ids_that_can_come_no_more_are_dropped() {
    let mut seen = open_since(EPOCH);
    for id in 1..=10 {
        seen.note_live(mark(id, EPOCH + id * SLACK), EPOCH + id * SLACK);
    }
    assert_eq!((1..=10).filter(|id| seen.holds(*id)).collect::<Vec<_>>(), [9, 10]);
}

#[test]
fn only_what_a_command_lists_can_be_caught_up() {
    let catalog = Catalog::embedded();
    let all = catalog.subscriptions().iter().filter(|entry| CatchUp::new(entry, &Bytes::new()).is_some());
    assert_eq!(all.map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["message_received"]);
    assert!(CatchUp::new(subscription(), &parameters(&json!({ "type": "outbound" }))).is_none());
}

#[tokio::test]
async fn a_list_that_fails_is_asked_for_again_and_then_stays_owed() {
    let mut bench = Bench::plain().await;
    bench.open().await;
    bench.say("alice", "first", 0);
    bench.read(0).await;
    bench.close().await;
    bench.say("alice", "missed", 0);
    bench.simulator.script("message_list", Reply::Status(Code::Unavailable, "not now".to_owned()), 3);
    for without in [false, false, true] {
        assert!(bench.subscribe().await);
        let error = bench.list(usize::MAX).await.unwrap_err();
        assert_eq!(bench.catch_up.failed(&error), without);
        if !without {
            bench.close().await;
        }
    }
    // Long after, the stream is read without; what was missed is not lost by it.
    for body in ["later", "much later"] {
        bench.clock.advance(Duration::from_millis(3 * SLACK));
        bench.say("alice", body, 0);
    }
    bench.read(0).await;
    bench.close().await;
    bench.open().await;
    assert_eq!(bench.handed, ["first", "later", "much later", "missed"]);
}

#[tokio::test]
async fn what_is_refused_for_good_is_given_up() {
    let mut bench = Bench::plain().await;
    bench.open().await;
    bench.close().await;
    bench.say("alice", "missed", 0);
    bench.simulator.script("message_list", Reply::Status(Code::Unimplemented, "no lists".to_owned()), 1);
    assert!(bench.subscribe().await);
    let error = bench.list(usize::MAX).await.unwrap_err();
    assert!(bench.catch_up.failed(&error));
    assert_eq!(bench.catch_up.seen().wanted(), None);
}

#[tokio::test]
async fn a_page_that_is_too_big_is_given_up_and_does_not_stand_in_the_way() {
    let mut bench = Bench::new(&json!({}), 64 * 1024).await;
    bench.open().await;
    bench.say("alice", "first", 0);
    bench.read(0).await;
    bench.close().await;
    bench.say("alice", &"x".repeat(100_000), 0);
    assert!(bench.subscribe().await);
    let error = bench.list(usize::MAX).await.unwrap_err();
    assert!(bench.catch_up.failed(&error), "{error}");
    bench.clock.advance(Duration::from_millis(2 * SLACK));
    bench.say("alice", "after", 0);
    bench.read(0).await;
    bench.close().await;
    bench.say("alice", "missed", 0);
    bench.open().await;
    assert_eq!(bench.handed, ["first", "after", "missed"]);
}

#[tokio::test]
async fn a_list_of_the_unread_that_breaks_off_goes_on_by_time() {
    let mut bench = Bench::plain().await;
    bench.catch_up.resume(None, EPOCH);
    for count in 0..150 {
        bench.clock.advance(Duration::from_millis(SLACK / 10));
        bench.say("bob", &format!("{count:03}"), 0);
    }
    for batches in [0, 1] {
        assert!(bench.subscribe().await);
        bench.list(batches).await.unwrap();
        bench.close().await;
    }
    bench.restart().await;
    bench.open().await;
    assert_eq!(bench.handed, (0..150).map(|count| format!("{count:03}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_has_no_id_is_left_out_and_counted() {
    let mut bench = Bench::plain().await;
    bench.open().await;
    bench.close().await;
    let time = EPOCH + 5;
    let listed = json!({ "messages": [
        { "body": "nobody", "timestamp": time },
        { "body": "one", "timestamp": time, "id": { "id": 1 } },
        { "body": "again", "timestamp": time, "id": { "id": 1 } },
        { "body": "old", "timestamp": EPOCH - 5, "id": { "id": 2 } },
    ] });
    bench.simulator.script("message_list", Reply::Json(listed), 1);
    assert!(bench.subscribe().await);
    let mut missed = bench.catch_up.missed(true);
    let batch = missed.next_batch(&bench.catch_up, &bench.daemon).await.unwrap().unwrap();
    bench.hand_over(&batch);
    assert_eq!(missed.next_batch(&bench.catch_up, &bench.daemon).await.unwrap(), None);
    assert_eq!((bench.handed.as_slice(), missed.unreadable), (&["one".to_owned()][..], 1));
}

#[tokio::test]
async fn a_list_that_is_none_is_given_up() {
    let mut bench = Bench::plain().await;
    bench.open().await;
    bench.close().await;
    bench.simulator.script("message_list", Reply::Bytes(vec![vec![0x0a, 0x7f].into()]), 1);
    assert!(bench.subscribe().await);
    let error = bench.list(usize::MAX).await.unwrap_err();
    assert!(bench.catch_up.failed(&error), "{error}");
}

#[tokio::test]
async fn a_list_that_never_comes_is_not_waited_for_for_ever() {
    let mut bench = Bench::plain().await;
    bench.open().await;
    bench.close().await;
    bench.say("alice", "missed", 0);
    bench.simulator.script("message_list", Reply::Never, 1);
    assert!(bench.subscribe().await);
    bench.simulator.clear_recorded();
    let simulator = bench.simulator.handle();
    let stopped = async {
        simulator.wait_recorded("message_list", 1).await;
        tokio::time::pause();
    };
    let (listed, ()) = tokio::join!(bench.list(usize::MAX), stopped);
    let error = listed.unwrap_err();
    assert_eq!((error.code, error.disposition), ("DEADLINE_EXCEEDED", Disposition::Retry), "{error}");
    assert!(!bench.catch_up.failed(&error), "the stream is opened again, and the list asked for once more");
    tokio::time::resume();
    bench.close().await;
    bench.open().await;
    assert_eq!(bench.handed, ["missed"]);
}
