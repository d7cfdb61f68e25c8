//! Section A: what a network does.

use std::{net::SocketAddr, thread, time::Duration};

use bytes::Bytes;
use olvid_rules::{
    daemon::{Daemon, Disposition, Secret, Settings, TlsFiles},
    schema::Catalog,
    simulator::{Options, Reply, Simulator},
};
use serde_json::json;

use crate::{
    bench::{Bench, KEY, World, rows, wait},
    front::{Certificates, Front, Kind},
    proxy::{Flow, Proxy, Way, bound, crowd},
};

type Row = (&'static str, fn(&World) -> usize);

fn play(table: &[Row]) {
    rows(
        table,
        |(name, _)| (*name).to_owned(),
        |(_, fault)| {
            let world = World::new();
            let lost = fault(&world);
            world.recovered(lost);
        },
    );
}

#[test]
fn a_connection_that_ends_is_made_again() {
    play(&[
        ("A2 no daemon for a time", |world| {
            wait(world.proxy.blackout(Duration::from_secs(1)));
            2
        }),
        ("A2 the daemon restarts", |world| {
            wait(world.simulator.stop());
            world.bench.lost(2);
            wait(world.simulator.restart()).unwrap();
            2
        }),
        ("A4 closed", |world| {
            world.proxy.close();
            2
        }),
        ("A5 reset", |world| {
            world.proxy.reset(usize::MAX);
            2
        }),
        ("A5 one of two reset", |world| {
            world.proxy.reset(1);
            world.other_goes_on();
            1
        }),
        ("A9 the daemon drains", |world| {
            world.simulator.go_away();
            world.tell();
            // Only new streams go elsewhere.
            world.proxy.reset(1);
            world.other_goes_on();
            1
        }),
        ("A12 cut in a message", |world| {
            world.proxy.set_first(Way::Down, Flow::CutAfter(40));
            world.send_both();
            world.other_goes_on();
            1
        }),
        ("A13 a byte of a frame's head is another", |world| {
            world.proxy.set_first(Way::Down, Flow::Corrupt(0));
            world.send_both();
            world.other_goes_on();
            1
        }),
    ]);
}

#[test]
fn a_connection_that_is_slow_or_held_up_loses_nothing() {
    play(&[
        ("A8 a byte a second", |world| {
            world.proxy.set_first(Way::Down, Flow::Slow(1));
            let sent = world.send_surely();
            world.first_said(&sent);
            world.proxy.set(Way::Down, Flow::Pass);
            0
        }),
        ("A6 held up for a moment", |world| {
            world.proxy.stall();
            world.send_surely();
            thread::sleep(Duration::from_secs(1));
            world.proxy.set(Way::Up, Flow::Pass);
            world.proxy.set(Way::Down, Flow::Pass);
            0
        }),
        ("A21 the host is suspended", |world| {
            world.bench.host.signal("STOP");
            world.send_surely();
            thread::sleep(Duration::from_secs(2));
            world.bench.host.signal("CONT");
            0
        }),
    ]);
}

/// Says nothing and takes nothing, as a machine that lost its power does; the host must find out by itself.
#[test]
fn a_peer_that_is_gone_without_a_word_is_noticed() {
    play(&[
        ("A6 nothing comes", |world| {
            world.proxy.set(Way::Down, Flow::Stall);
            world.bench.lost_with("no answer to a ping within 8 s");
            2
        }),
        ("A6 nothing goes", |world| {
            world.proxy.set(Way::Up, Flow::Stall);
            world.bench.lost_with("no answer to a ping within 8 s");
            2
        }),
        ("A6 neither, and messages wait", |world| {
            world.proxy.stall();
            world.send_both();
            world.bench.lost_with("no answer to a ping within 8 s");
            2
        }),
        ("A7 it takes connections and is silent", |world| {
            world.proxy.accept_silently();
            world.proxy.reset(usize::MAX);
            world.bench.lost_with("says nothing for 8 s");
            wait(world.proxy.accept());
            2
        }),
        ("A7 its queue is full", |world| {
            wait(async {
                world.proxy.refuse().await;
                let full = bound(SocketAddr::from(([127, 0, 0, 1], world.proxy.port()))).listen(1).unwrap();
                let _waiting = crowd(full.local_addr().unwrap());
                world.proxy.reset(usize::MAX);
                world.bench.lost_with("no answer within 8 s");
            });
            wait(world.proxy.accept());
            2
        }),
    ]);
}

#[test]
fn a_start_without_a_daemon_waits_for_it() {
    // A port that is free: nobody listens where a listener was.
    let (simulator, proxy) = wait(async {
        let identities = vec![("bot".to_owned(), KEY.to_owned())];
        let simulator = Simulator::start(Options { identities, ..Options::default() }).await.unwrap();
        let proxy = Proxy::start(simulator.address()).await;
        proxy.refuse().await;
        (simulator, proxy)
    });
    let bench = Bench::start(&proxy.url());
    bench.host.events("started", 1);
    assert!(bench.lost_with("cannot connect to")["message"].as_str().unwrap().contains("refused"));
    wait(proxy.accept());
    bench.opened(2);
    wait(simulator.subscribers("bot", 2));
    bench.settle();
    bench.verdict(&[]);
    // One connection for both, another was not tried.
    assert_eq!(proxy.taken(), 1);
}

#[test]
fn a_name_that_does_not_exist_is_told_and_waited_for() {
    let bench = Bench::start("http://no-such-host.invalid:1");
    bench.lost_with("`no-such-host.invalid` cannot be resolved");
    bench.settle();
    bench.verdict(&[]);
    bench.host.terminate();
    assert_eq!(bench.host.ended().0.code(), Some(0));
}

#[test]
fn more_streams_than_a_connection_takes_are_open_on_further_ones() {
    let identities = vec![("bot".to_owned(), KEY.to_owned())];
    let options = Options { identities, max_concurrent_streams: Some(5), check_ids: false, ..Options::default() };
    let (simulator, proxy) = wait(async {
        let simulator = Simulator::start(options).await.unwrap();
        let proxy = Proxy::start(simulator.address()).await;
        (simulator, proxy)
    });
    let rule = |number| {
        format!(
            "  - {{ name: r{number}, subscription: message_received, filter: {{ body_search: 'x|{number}' }}, lua: print(1) }}\n"
        )
    };
    let rules: String = (0..50).map(rule).collect();
    let bench = Bench::with(&proxy.url(), &format!("rules:\n{rules}"), &[], &[]);
    wait(simulator.subscribers("bot", 50));
    bench.opened(50);
    // Four on each: one place is kept to ask whether the daemon is there.
    assert_eq!(proxy.taken(), 13);
    simulator.emit("bot", "message_received", json!({ "message": { "body": "x" } })).unwrap();
    bench.host.events("said", 50);
}

/// What a client of its own, without the host around it, sees of each cut.
fn client(url: String, tls: TlsFiles) -> Daemon {
    let client_key = Some(Secret::new(KEY).unwrap());
    Daemon::new(Settings { url, tls, client_key, admin: None, max_message_size: 1 << 20 }).unwrap()
}

#[test]
fn a_command_under_way_notices_a_peer_that_is_gone() {
    rows(
        &[Way::Up, Way::Down],
        |way| format!("A6 a command, {way:?}"),
        |way| {
            wait(async {
                let identities = vec![("bot".to_owned(), KEY.to_owned())];
                let simulator = Simulator::start(Options { identities, ..Options::default() }).await.unwrap();
                let proxy = Proxy::start(simulator.address()).await;
                let daemon = client(proxy.url(), TlsFiles::default());
                let command = &Catalog::embedded().command("identity_get").unwrap().method;
                simulator.script("identity_get", Reply::Never, 1);
                let stalled = async {
                    simulator.wait_recorded("identity_get", 1).await;
                    proxy.set(*way, Flow::Stall);
                };
                let (answer, ()) = tokio::join!(daemon.unary(command, false, Bytes::new()), stalled);
                let error = answer.unwrap_err();
                assert!(error.message.contains("no answer to a ping within 8 s"), "{error}");
                // The next one has a connection that works.
                daemon.unary(command, false, Bytes::new()).await.unwrap();
            });
        },
    );
}

#[test]
fn no_cut_and_no_flipped_byte_makes_another_message() {
    let body = "y".repeat(150);
    let mut whole_length = None;
    wait(async {
        let identities = vec![("bot".to_owned(), KEY.to_owned())];
        let options = Options { identities, check_ids: false, ..Options::default() };
        let simulator = Simulator::start(options).await.unwrap();
        let certificates = Certificates::new();
        let front = Front::start(Kind::Tls("server"), &certificates, simulator.address()).await;
        let plain = Proxy::start(simulator.address()).await;
        let secured = Proxy::start(SocketAddr::from(([127, 0, 0, 1], front.port))).await;
        let tls = TlsFiles { root_certificate: Some(certificates.path("ca.pem")), ..TlsFiles::default() };
        let secure_url = format!("https://localhost:{}", secured.port());
        let ways = [(&plain, client(plain.url(), TlsFiles::default())), (&secured, client(secure_url, tls))];
        let method = &Catalog::embedded().subscription("message_received").unwrap().method;
        // Behind the settings' acknowledgement and the headers: what is left is the message.
        let plain_cuts = (1..200).map(|at| (&ways[0], Flow::CutAfter(at)));
        let secure_cuts = (1..240).step_by(7).map(|at| (&ways[1], Flow::CutAfter(at)));
        let secure_flips = (5..240).step_by(7).map(|at| (&ways[1], Flow::Corrupt(at)));
        for ((proxy, daemon), flow) in plain_cuts.chain(secure_cuts).chain(secure_flips) {
            let mut messages = loop {
                // The last connection may not know yet that it is over.
                let place = daemon.place().await.unwrap();
                if let Ok(messages) = daemon.subscribe(place, method, Bytes::new()).await {
                    break messages;
                }
            };
            proxy.set(Way::Down, flow);
            // Several, as a flipped length makes the reader wait for more.
            for _ in 0..5 {
                simulator.emit("bot", "message_received", json!({ "message": { "body": body } })).unwrap();
            }
            match messages.next().await {
                Ok(Some(whole)) => assert_eq!(*whole_length.get_or_insert(whole.len()), whole.len(), "{flow:?}"),
                Ok(None) => panic!("{flow:?}: it ended well"),
                Err(error) => assert_eq!(error.disposition, Disposition::Retry, "{flow:?}: {error}"),
            }
            drop(messages);
            proxy.reset(usize::MAX);
        }
    });
}
