//! Section C, what a daemon answers, and of sections A and E what no well-behaved one sends. The daemon is a script on a
//! plain socket that takes one stream on each connection: the first connection has the fault, the others are well.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use olvid_rules::schema::{Catalog, encode};

use crate::{
    bench::{Bench, RULES, content, names, rows},
    raw_server::{
        CONTINUATION, DATA, END, END_HEADERS, HEADERS, INITIAL_WINDOW, MAX_STREAMS, PING, Peer, RawServer, SETTINGS,
        block, frame, framed,
    },
};

/// What the first connection does with its stream.
type Fault = Box<dyn Fn(&mut Peer, u32) -> io::Result<()> + Send + Sync>;

/// What is told of it: the event, words of its message, and the shortest and longest pause in seconds.
struct Told {
    event: &'static str,
    words: Vec<&'static str>,
    shortest: f64,
    longest: f64,
    /// Whether the other streams of its connection would be gone too.
    with_connection: bool,
}

const LOST: &str = "feed_lost";
const REFUSED: &str = "feed_refused";

/// The first pause of a stream that is tried again.
const SOON: (f64, f64) = (0.4, 1.1);

fn soon(words: &[&'static str]) -> Told {
    Told { event: LOST, words: words.to_vec(), shortest: SOON.0, longest: SOON.1, with_connection: false }
}

fn disconnected(words: &[&'static str]) -> Told {
    Told { with_connection: true, ..soon(words) }
}

fn notification(number: u64) -> Vec<u8> {
    let method = &Catalog::embedded().subscription("message_received").unwrap().method;
    encode::encode(&method.output, &&content(number), None).unwrap_or_else(|_| panic!("it is not written"))
}

/// A daemon whose first connection has a fault. Numbers go up over all of its streams.
struct Daemon {
    server: RawServer,
    next: Arc<Mutex<u64>>,
}

impl Daemon {
    fn start(settings: &'static [(u16, u32)], fault: Fault) -> Self {
        let next = Arc::new(Mutex::new(0));
        let (number, done) = (Arc::clone(&next), AtomicBool::new(false));
        let server = RawServer::start(move |_, peer| {
            let mut mine = !done.swap(true, Ordering::AcqRel);
            let more: &[_] = if mine { settings } else { &[] };
            peer.greet(&[&[(MAX_STREAMS, 1)], more].concat())?;
            loop {
                let stream = peer.request()?;
                if mine {
                    fault(peer, stream)?;
                    mine = false;
                    continue;
                }
                peer.answer(stream)?;
                let number = {
                    let mut next = number.lock().unwrap();
                    *next += 1;
                    *next
                };
                peer.message(stream, &notification(number))?;
            }
        });
        Self { server, next }
    }

    fn sent(&self) -> u64 {
        *self.next.lock().unwrap()
    }
}

/// Plays a fault: what it makes of the stream is told as it must be, the other one goes on, and where the pause is short
/// it is open again.
fn play(fault: Fault, told: &Told) {
    let daemon = Daemon::start(&[], fault);
    let bench = Bench::alike(&daemon.server.url());
    let lost = bench.lost(1).remove(0);
    let message = lost["message"].as_str().unwrap();
    assert_eq!(lost["event"], told.event, "{message}");
    assert!(told.words.iter().all(|word| message.contains(word)), "{:?} in {message}", told.words);
    let pause = message.rsplit("in ").next().unwrap().trim_end_matches(" s");
    let pause: f64 = pause.parse().unwrap_or_else(|_| panic!("no pause in {message}"));
    assert!((told.shortest..=told.longest).contains(&pause), "{message}");
    assert!(message.chars().count() < 1000 && !message.contains('\u{1b}'), "{message}");
    let other = RULES.into_iter().find(|rule| !names(&lost, rule)).unwrap();
    bench.is_open(other);
    bench.until_said(other, 1);
    bench.settle();
    if told.longest <= SOON.1 {
        let again = RULES.into_iter().find(|rule| *rule != other).unwrap();
        bench.is_open(again);
        bench.until_said(again, 2);
        assert_eq!(daemon.sent(), 2);
        assert_eq!(daemon.server.taken(), 2 + usize::from(told.with_connection));
    }
    bench.verdict(&[(other, 1)]);
}

/// A status at once, as a refused subscription has it, or behind an answer that began.
fn status(code: i32, under_way: bool, more: &[(&'static str, &'static str)]) -> Fault {
    let (code, more) = (code.to_string(), more.to_vec());
    Box::new(move |peer, stream| {
        let head = [(":status", "200"), ("content-type", "application/grpc")];
        let end = [("grpc-status", code.as_str()), ("grpc-message", "in the%0adaemon's%1b[31m words")];
        if under_way {
            peer.headers(stream, false, &head)?;
            peer.headers(stream, true, &[&end[..], &more].concat())
        } else {
            peer.headers(stream, true, &[&head[..], &end, &more].concat())
        }
    })
}

#[test]
fn every_status_has_its_class_at_the_start_and_under_way() {
    let classes = [
        (1, "CANCELLED", LOST, SOON.0, SOON.1),
        (2, "UNKNOWN", LOST, SOON.0, SOON.1),
        (3, "INVALID_ARGUMENT", REFUSED, 60.0, 600.0),
        (4, "DEADLINE_EXCEEDED", LOST, SOON.0, SOON.1),
        (5, "NOT_FOUND", REFUSED, 60.0, 600.0),
        (6, "ALREADY_EXISTS", LOST, SOON.0, SOON.1),
        (7, "PERMISSION_DENIED", REFUSED, 30.0, 300.0),
        (8, "RESOURCE_EXHAUSTED", LOST, 5.0, 30.0),
        (9, "FAILED_PRECONDITION", LOST, 60.0, 60.0),
        (10, "ABORTED", LOST, SOON.0, SOON.1),
        (11, "OUT_OF_RANGE", LOST, 5.0, 30.0),
        (12, "UNIMPLEMENTED", REFUSED, 60.0, 600.0),
        (13, "INTERNAL", LOST, SOON.0, SOON.1),
        (14, "UNAVAILABLE", LOST, SOON.0, SOON.1),
        (15, "DATA_LOSS", LOST, SOON.0, SOON.1),
        (16, "UNAUTHENTICATED", REFUSED, 30.0, 300.0),
        (17, "UNKNOWN", LOST, SOON.0, SOON.1),
        (255, "UNKNOWN", LOST, SOON.0, SOON.1),
    ];
    let both = classes.iter().flat_map(|class| [(class, false), (class, true)]);
    rows(
        &both.collect::<Vec<_>>(),
        |((code, ..), under_way)| format!("C {code}, under way: {under_way}"),
        |((code, name, event, shortest, longest), under_way)| {
            let words = vec![*name, "in the\\ndaemon's\\u{1b}[31m words"];
            let told = Told { event, words, shortest: *shortest, longest: *longest, with_connection: false };
            play(status(*code, *under_way, &[]), &told);
        },
    );
}

/// A row that has no other input than what is sent.
type Row = (&'static str, fn(&mut Peer, u32) -> io::Result<()>, Told);

fn play_all(table: &[Row]) {
    rows(table, |(name, ..)| (*name).to_owned(), |(_, fault, told)| play(Box::new(*fault), told));
}

#[test]
fn an_end_that_is_no_status_is_told_and_the_stream_opened_again() {
    play_all(&[
        (
            "A3 the stream ends well",
            |peer, stream| {
                peer.answer(stream)?;
                peer.trailers(stream, 0, "")
            },
            soon(&["the daemon ended the stream"]),
        ),
        (
            "C no status",
            |peer, stream| {
                peer.answer(stream)?;
                peer.frame(DATA, END, stream, &[])
            },
            soon(&["UNKNOWN", "grpc-status"]),
        ),
        (
            "C 502 with a page",
            |peer, stream| {
                peer.headers(stream, false, &[(":status", "502"), ("content-type", "text/html")])?;
                peer.frame(DATA, END, stream, b"<html>\x1b[31mBad Gateway</html>")
            },
            soon(&["UNAVAILABLE", "HTTP 502"]),
        ),
        (
            "C 503 with a page that never ends",
            |peer, stream| {
                peer.headers(stream, false, &[(":status", "503"), ("content-type", "text/html")])?;
                peer.frame(DATA, 0, stream, &[b'<'; 9000])
            },
            soon(&["UNAVAILABLE", "HTTP 503"]),
        ),
        (
            "C 200 with a page",
            |peer, stream| {
                peer.headers(stream, false, &[(":status", "200"), ("content-type", "text/html")])?;
                peer.frame(DATA, END, stream, b"<html>Sign in</html>")
            },
            soon(&["UNKNOWN", "text/html"]),
        ),
        (
            "C details that cannot be read",
            |peer, stream| {
                peer.answer(stream)?;
                peer.headers(stream, true, &[("grpc-status", "13"), ("grpc-status-details-bin", "*no base64*")])
            },
            soon(&["INTERNAL"]),
        ),
        (
            "A11 INTERNAL_ERROR",
            |peer, stream| {
                peer.answer(stream)?;
                peer.reset(stream, 2)
            },
            soon(&["INTERNAL", "the daemon broke the call off"]),
        ),
        (
            "A11 CANCEL",
            |peer, stream| {
                peer.answer(stream)?;
                peer.reset(stream, 8)
            },
            soon(&["CANCELLED", "the daemon broke the call off"]),
        ),
    ]);
}

#[test]
fn a_farewell_and_frames_that_are_none_are_told_and_the_stream_opened_again() {
    play_all(&[
        (
            "A10 GOAWAY for pings",
            |peer, stream| {
                peer.answer(stream)?;
                peer.go_away(stream, 11, b"too_many_pings")?;
                peer.close()
            },
            disconnected(&["UNAVAILABLE", "our pings too frequent", "every 20 s"]),
        ),
        (
            "A10 GOAWAY for something else",
            |peer, stream| {
                peer.answer(stream)?;
                peer.go_away(stream, 2, b"out of luck")?;
                peer.close()
            },
            disconnected(&["UNAVAILABLE", "the daemon ended the connection", "out of luck"]),
        ),
        (
            "A17 a status of 8 MB",
            |peer, stream| {
                peer.answer(stream)?;
                let huge = "x".repeat(8 << 20);
                let block = block(&[("grpc-status", "13"), ("grpc-message", &huge)]);
                let mut parts = block.chunks(16 * 1024);
                peer.frame(HEADERS, END, stream, parts.next().unwrap_or_default())?;
                parts.try_for_each(|part| peer.frame(CONTINUATION, 0, stream, part))?;
                peer.frame(CONTINUATION, END_HEADERS, stream, &[])
            },
            disconnected(&["no HTTP/2"]),
        ),
        (
            "A17 headers of 60 KB",
            |peer, stream| {
                let huge = "x".repeat(6000);
                let more = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(|name| (name, huge.as_str()));
                let block = block(&[&[(":status", "200")][..], &more].concat());
                let mut parts = block.chunks(16 * 1024);
                peer.frame(HEADERS, 0, stream, parts.next().unwrap_or_default())?;
                parts.try_for_each(|part| peer.frame(CONTINUATION, 0, stream, part))?;
                peer.frame(CONTINUATION, END_HEADERS, stream, &[])
            },
            disconnected(&[]),
        ),
        (
            "E6 compressed without a name",
            |peer, stream| {
                peer.answer(stream)?;
                peer.frame(DATA, 0, stream, &[1, 0, 0, 0, 1, 7])
            },
            soon(&["INTERNAL", "compressed-flag"]),
        ),
        (
            "E6 a frame of no kind",
            |peer, stream| {
                peer.answer(stream)?;
                peer.frame(DATA, 0, stream, &[7, 0, 0, 0, 1, 7])
            },
            soon(&["INTERNAL", "compression flag"]),
        ),
        (
            "E6 a message of 4 GB",
            |peer, stream| {
                peer.answer(stream)?;
                peer.frame(DATA, 0, stream, &[0, 255, 255, 255, 255, 7])
            },
            Told {
                event: LOST,
                words: vec!["OUT_OF_RANGE", "--max-message-size"],
                shortest: 5.0,
                longest: 30.0,
                with_connection: false,
            },
        ),
        (
            "E6 half a message, and the end",
            |peer, stream| {
                peer.answer(stream)?;
                peer.frame(DATA, 0, stream, &framed(&notification(99))[..20])?;
                peer.trailers(stream, 0, "")
            },
            soon(&[]),
        ),
        (
            "E6 half a message, and a status",
            |peer, stream| {
                peer.answer(stream)?;
                peer.frame(DATA, 0, stream, &framed(&notification(99))[..20])?;
                peer.trailers(stream, 14, "gone")
            },
            soon(&[]),
        ),
    ]);
}

#[test]
fn a_daemon_that_asks_for_a_pause_gets_it() {
    let asked = |pause| {
        let fault: Fault = status(14, true, &[("grpc-retry-pushback-ms", pause)]);
        fault
    };
    let told =
        |shortest, longest| Told { event: LOST, words: vec!["UNAVAILABLE"], shortest, longest, with_connection: false };
    let table = [
        ("7000", told(7.0, 7.0)),
        ("-1", told(600.0, 600.0)),
        ("99999999999", told(600.0, 600.0)),
        ("0", told(0.5, 0.5)),
    ];
    rows(&table, |(pause, _)| format!("C pushback {pause}"), |(pause, told)| play(asked(*pause), told));
}

/// What the program must not mind: nothing is lost, so nothing is told.
fn unmoved(settings: &'static [(u16, u32)], fault: fn(&mut Peer, u32) -> io::Result<()>) {
    let daemon = Daemon::start(settings, Box::new(fault));
    let bench = Bench::alike(&daemon.server.url());
    bench.opened(2);
    bench.settle();
    // The one with the fault says 50 at its end, the other 1.
    bench.host.when("both said", |log| {
        let has = |number: &str| log.iter().any(|line| line.contains(&format!("\"{number}.")));
        (has("50") && has("1")).then_some(())
    });
    assert!(bench.host.printed().iter().all(|line| !line.contains("feed_lost")), "{:#?}", bench.host.printed());
    bench.verdict(&[]);
}

#[test]
fn what_is_odd_but_allowed_costs_nothing() {
    type Row = (&'static str, &'static [(u16, u32)], fn(&mut Peer, u32) -> io::Result<()>);
    let table: &[Row] = &[
        ("A11 REFUSED_STREAM", &[], |peer, stream| {
            peer.reset(stream, 7)?;
            let stream = peer.request()?;
            peer.answer(stream)?;
            peer.message(stream, &notification(50))
        }),
        ("A15 a window that never opens", &[(INITIAL_WINDOW, 1)], |peer, stream| {
            // The request does not get through, which does not keep this daemon from answering.
            peer.answer(stream)?;
            peer.message(stream, &notification(50))
        }),
        ("A16 empty frames", &[], |peer, stream| {
            peer.answer(stream)?;
            for _ in 0..20 {
                peer.frame(DATA, 0, stream, &[])?;
                peer.frame(PING, 0, 0, &[7; 8])?;
                peer.frame(SETTINGS, 0, 0, &[])?;
            }
            peer.message(stream, &notification(50))
        }),
        ("headers with the first message only", &[], |peer, stream| {
            thread::sleep(Duration::from_secs(3));
            peer.answer(stream)?;
            peer.message(stream, &notification(50))
        }),
        ("frames of no known type", &[], |peer, stream| {
            peer.frame(0xbe, 0xff, stream, b"grease")?;
            peer.answer(stream)?;
            peer.message(stream, &notification(50))
        }),
        ("a message byte by byte", &[], |peer, stream| {
            peer.answer(stream)?;
            framed(&notification(50)).chunks(1).try_for_each(|byte| peer.frame(DATA, 0, stream, byte))
        }),
    ];
    rows(table, |(name, ..)| (*name).to_owned(), |(_, settings, fault)| unmoved(settings, *fault));
}

/// Three hundred thousand frames that say nothing. The connection may be given up; the memory may not grow, and the other stream
/// goes on.
#[test]
fn a_flood_is_borne() {
    type Row = (&'static str, fn(&mut Peer, u32) -> io::Result<()>);
    let table: &[Row] = &[
        ("A16 DATA", |peer, stream| flood(peer, stream, &frame(DATA, 0, stream, &[]))),
        ("A16 PING", |peer, stream| flood(peer, stream, &frame(PING, 0, 0, &[7; 8]))),
        ("A16 SETTINGS", |peer, stream| flood(peer, stream, &frame(SETTINGS, 0, 0, &[]))),
    ];
    rows(
        table,
        |(name, _)| (*name).to_owned(),
        |(_, fault)| {
            let daemon = Daemon::start(&[], Box::new(*fault));
            let bench = Bench::alike(&daemon.server.url());
            bench.host.events("said", 1);
            bench.settle();
            bench.lost(1);
            for rule in RULES {
                bench.is_open(rule);
            }
            bench.host.events("said", 2);
            bench.verdict(&[]);
        },
    );
}

/// So many frames as fast as they are taken, then the end.
fn flood(peer: &mut Peer, stream: u32, frame: &[u8]) -> io::Result<()> {
    peer.answer(stream)?;
    let many = frame.repeat(10_000);
    for _ in 0..30 {
        // What is answered is read, or both sides would wait for each other.
        peer.bytes(&many)?;
        peer.drain()?;
    }
    peer.close()
}
