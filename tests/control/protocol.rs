//! What a host answers, to clients of all manners.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use olvid_rules::cli::control::{CLIENTS, LONGEST_LINE, WAITING};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::*;

const STATUS: &[u8] = b"{\"command\":\"status\"}\n";
const RELOAD: &[u8] = b"{\"command\":\"reload\",\"wait\":true}\n";

#[tokio::test]
async fn each_line_has_its_answer() {
    let machine = Machine::new();
    let (mut requests, host) = machine.host("work/x.sock", json!({ "pid": 1 })).await;
    let cases: [(&[u8], &str); 12] = [
        (STATUS, "{\"pid\":1}\n"),
        (b" { \"command\": \"status\" }\r\n", "{\"pid\":1}\n"),
        (b"{\"command\":\"status\",\"wait\":true}\n", "`wait` belongs to `reload`"),
        (b"{\"command\":\"reload\"}\n", "{\"asked\":true}\n"),
        (b"{\"command\":\"stop\"}\n", "no command `stop`"),
        (b"{\"command\":\"st\x1b[31m\\n\"}\n", "error"),
        (b"{\"command\":\"reload\",\"wiat\":true}\n", "unknown field `wiat`"),
        (b"{\"command\":1}\n", "expected a line such as"),
        (b"[[[[[[\n", "expected a line such as"),
        (b"\xff\xfe\0\n", "expected a line such as"),
        (b"status\n", "expected a line such as"),
        (b"\n", ""),
    ];
    for (line, expected) in cases {
        let answer = said(host.path(), line).await;
        assert!(answer.contains(expected), "{} to {}", answer, line.escape_ascii());
        assert_eq!(answer.lines().count(), usize::from(!expected.is_empty()), "{answer}");
        assert!(!answer.contains('\x1b'), "{}", line.escape_ascii());
        if line.starts_with(b"{\"command\":\"reload\"}") {
            assert!(matches!(requests.recv().await, Some(Request::Reload(None))));
        }
    }
    assert!(requests.try_recv().is_err(), "only one of them was a reload");
}

#[tokio::test]
async fn a_line_without_an_end_is_refused_at_its_bound() {
    let machine = Machine::new();
    let (_requests, host) = machine.host("work/x.sock", json!({})).await;
    let endless = vec![b' '; 4 * LONGEST_LINE];
    assert!(said(host.path(), &endless).await.contains("at most 64 KiB"));
    let mut longest = vec![b' '; LONGEST_LINE - (STATUS.len() - 1)];
    longest.extend_from_slice(STATUS);
    assert_eq!(said(host.path(), &longest).await, "{}\n");
    longest.insert(0, b' ');
    assert!(said(host.path(), &longest).await.contains("at most 64 KiB"));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_does_not_listen_is_dropped_and_holds_nobody_up() {
    let machine = Machine::new();
    // More than the kernel takes for a client that does not read.
    let large = "x".repeat(1024 * 1024);
    let (_requests, host) = machine.host("work/x.sock", json!({ "large": large })).await;
    let mut silent = Vec::new();
    for _ in 0..CLIENTS {
        silent.push(UnixStream::connect(host.path()).await.unwrap());
    }
    // All places are taken until their time is over.
    assert!(said(host.path(), STATUS).await.len() > large.len());
    for mut stream in silent {
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
    let mut deaf = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = UnixStream::connect(host.path()).await.unwrap();
        stream.write_all(STATUS).await.unwrap();
        deaf.push(stream);
    }
    assert!(said(host.path(), STATUS).await.len() > large.len());
}

#[tokio::test]
async fn a_hundred_clients_at_once_are_all_answered() {
    let machine = Machine::new();
    let (asked, most) = (Arc::new(AtomicUsize::new(0)), 100);
    let counter = Arc::clone(&asked);
    let (_requests, host) =
        machine.open("work/x.sock").await.serve(move || counter.fetch_add(1, Ordering::Relaxed).into());
    let answers = join_all((0..most).map(|_| said(host.path(), STATUS))).await;
    let mut numbers: Vec<usize> = answers.iter().map(|answer| answer.trim_end().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..most).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_status_is_answered_while_as_many_as_may_wait_for_a_reload() {
    let machine = Machine::new();
    let (mut requests, host) = machine.host("work/x.sock", json!({})).await;
    let mut waiting = Vec::new();
    let mut outcomes = Vec::new();
    for _ in 0..WAITING {
        let mut stream = UnixStream::connect(host.path()).await.unwrap();
        stream.write_all(RELOAD).await.unwrap();
        let Some(Request::Reload(Some(outcome))) = requests.recv().await else {
            panic!("no reload that is waited for")
        };
        waiting.push(BufReader::new(stream));
        outcomes.push(outcome);
    }
    assert_eq!(said(host.path(), STATUS).await, "{}\n");
    assert!(said(host.path(), RELOAD).await.contains("busy"));
    let last = outcomes.pop().unwrap();
    for (number, outcome) in outcomes.into_iter().enumerate() {
        outcome.send(json!({ "generation": number })).unwrap();
    }
    drop(last);
    for (number, mut stream) in waiting.into_iter().enumerate() {
        let mut answer = String::new();
        stream.read_line(&mut answer).await.unwrap();
        let expected =
            if number == WAITING - 1 { "the host is stopping" } else { &format!("{{\"generation\":{number}}}\n") };
        assert!(answer.contains(expected), "{answer}");
    }
}

#[tokio::test]
async fn a_host_that_does_not_come_to_its_requests_is_busy_and_one_that_takes_none_is_stopping() {
    let machine = Machine::new();
    let (requests, host) = machine.host("work/x.sock", json!({})).await;
    let mut answers = Vec::new();
    for _ in 0..32 {
        answers.push(said(host.path(), b"{\"command\":\"reload\"}\n").await);
    }
    assert!(answers[0].contains("asked") && answers[31].contains("busy"), "{answers:?}");
    drop(requests);
    assert!(said(host.path(), RELOAD).await.contains("stopping"));
    assert_eq!(said(host.path(), STATUS).await, "{}\n");
}

#[tokio::test]
async fn the_end_of_serving_cuts_who_waits() {
    let machine = Machine::new();
    let (mut requests, host) = machine.host("work/x.sock", json!({})).await;
    let mut stream = UnixStream::connect(host.path()).await.unwrap();
    stream.write_all(RELOAD).await.unwrap();
    let asked = requests.recv().await;
    drop(host);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "");
    drop(asked);
}
