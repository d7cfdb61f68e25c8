//! The client and its connections: what TLS it takes, and what its errors say. A front ends TLS before the simulated
//! daemon; each case is a kind of front, an address and the files that are given.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "tls/front.rs"]
mod front;
#[path = "support/proxy.rs"]
mod proxy;

use std::{future::Future, net::SocketAddr, time::Duration};

use bytes::Bytes;
use front::{Certificates, Front, Kind};
use futures_util::future::try_join_all;
use olvid_rules::{
    daemon::{CallError, Daemon, Disposition, Messages, Secret, SecretError, Settings, TlsFiles},
    schema::{Catalog, Method, json},
    simulator::{Options, Reply, Simulator},
};
use proxy::Proxy;
use serde_json::json;

/// How long anything may take: far more than it needs on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(1);

async fn within<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

/// Which files are given, by the names of [`Certificates`]: server, root, and ours.
#[derive(Debug, Clone, Copy, Default)]
struct Given {
    server: Option<&'static str>,
    root: Option<&'static str>,
    ours: Option<&'static str>,
}

const NONE: Given = Given { server: None, root: None, ours: None };
const CA: Given = Given { root: Some("ca.pem"), ..NONE };

fn settings(url: &str, given: Given, certificates: &Certificates) -> Settings {
    let path = |name: &str| certificates.path(name);
    let tls = TlsFiles {
        server_certificate: given.server.map(path),
        root_certificate: given.root.map(path),
        certificate_chain: given.ours.map(|name| path(&format!("{name}.pem"))),
        private_key: given.ours.map(|name| path(&format!("{name}.key"))),
    };
    let client_key = Some(Secret::new("bot").unwrap());
    Settings { url: url.to_owned(), tls, client_key, admin: None, max_message_size: 16 * 1024 * 1024 }
}

/// Asks who we are, which takes a connection and a key.
async fn subscribe(daemon: &Daemon, to: &Method) -> Result<Messages, CallError> {
    let place = daemon.place().await?;
    daemon.subscribe(place, to, Bytes::new()).await
}

async fn whoami(daemon: &Daemon) -> Result<String, CallError> {
    let method = &Catalog::embedded().command("identity_get").unwrap().method;
    let answer = within(daemon.unary(method, false, Bytes::new())).await?;
    let answer = json::from_wire(&method.output, &answer).unwrap();
    Ok(answer["identity"]["display_name"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_file_with_a_key_of_ours_is_known_by_its_content() {
    let certificates = Certificates::new();
    let given = Given { ours: Some("client"), ..CA };
    let daemon = Daemon::new(settings("https://localhost:1", given, &certificates)).unwrap();
    let read = |name: &str| std::fs::read(certificates.path(name)).unwrap();
    let (key, certificate) = (read("client.key"), read("client.pem"));
    assert!(daemon.is_key_in(&key) && daemon.is_key_in(&[certificate.clone(), key].concat()));
    assert!(!daemon.is_key_in(&certificate) && !daemon.is_key_in(&read("ca.pem")) && !daemon.is_key_in(b""));
}

/// What a caller sees at a front, by a command and by a subscription.
async fn meet(kind: Kind, scheme: &str, host: &str, given: Given) -> Result<String, [CallError; 2]> {
    let certificates = Certificates::new();
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let front = Front::start(kind, &certificates, simulator.address()).await;
    let url = format!("{scheme}{host}:{}", front.port);
    let daemon = Daemon::new(settings(&url, given, &certificates)).unwrap();
    let subscription = &Catalog::embedded().subscription("message_received").unwrap().method;
    match (whoami(&daemon).await, within(subscribe(&daemon, subscription)).await) {
        (Ok(name), Ok(mut messages)) => {
            assert_eq!(simulator.emit("bot", "message_received", json!({ "message": { "body": "hi" } })).unwrap(), 1);
            assert!(within(messages.next()).await.unwrap().is_some());
            Ok(name)
        }
        (Err(command), Err(subscription)) => {
            // Each has connections of its own; which of two ways a peer's end shows may differ.
            assert_eq!((command.code, command.disposition), (subscription.code, subscription.disposition));
            Err([command, subscription])
        }
        (command, subscription) => panic!("{command:?}, but {:?}", subscription.map(drop)),
    }
}

#[tokio::test]
async fn every_way_of_trust_leads_to_the_daemon() {
    let ours = |given: Given| Given { ours: Some("client"), ..given };
    let server = |name| Given { server: Some(name), ..NONE };
    let cases = [
        (Kind::Plain, "http://", NONE),
        (Kind::Plain, "", NONE),
        (Kind::Tls("server"), "https://", CA),
        // A file is enough to mean TLS, as for the published client.
        (Kind::Tls("server"), "", CA),
        (Kind::Tls("server"), "http://", CA),
        (Kind::Tls("server"), "https://", server("server.pem")),
        (Kind::Tls("server"), "https://", server("both.pem")),
        (Kind::Tls("alone"), "https://", server("alone.pem")),
        (Kind::Tls("openssl"), "https://", server("openssl.pem")),
        (Kind::Tls("openssl"), "https://", Given { root: Some("openssl.pem"), ..NONE }),
        // What is given adds up.
        (Kind::Tls("alone"), "https://", Given { server: Some("alone.pem"), ..CA }),
        (Kind::Tls("server"), "https://", Given { server: Some("alone.pem"), ..CA }),
        (Kind::Mutual("server"), "https://", ours(CA)),
        (Kind::Mutual("alone"), "", ours(server("alone.pem"))),
        (Kind::Tls("server"), "https://", ours(CA)),
    ];
    for (kind, scheme, given) in cases {
        let met = meet(kind, scheme, "localhost", given).await;
        assert_eq!(met.as_deref(), Ok("bot"), "{kind:?} at {scheme}localhost with {given:?}");
    }
    assert_eq!(meet(Kind::Tls("server"), "https://", "127.0.0.1", CA).await.as_deref(), Ok("bot"));
}

/// Words that say nothing to who reads them.
const VAGUE: &[&str] = &["transport error", "broken pipe", "stream closed", "h2 protocol", "client error"];

#[tokio::test]
async fn a_connection_that_cannot_be_says_why() {
    let ours = |name| Given { ours: Some(name), ..CA };
    let other = Given { root: Some("other.pem"), ..NONE };
    let pinned = Given { server: Some("alone.pem"), ..NONE };
    let cases: &[(Kind, &str, &str, Given, &[&str])] = &[
        (Kind::Tls("server"), "https://", "localhost", NONE, &["TLS", "UnknownIssuer"]),
        (Kind::Tls("server"), "https://", "localhost", other, &["TLS", "UnknownIssuer"]),
        (Kind::Tls("server"), "https://", "localhost", pinned, &["TLS", "UnknownIssuer"]),
        (Kind::Tls("openssl"), "https://", "localhost", pinned, &["TLS", "OLVID_SERVER_CERTIFICATE_PATH"]),
        (Kind::Tls("elsewhere"), "https://", "localhost", CA, &["TLS", "not valid for name", "daemon.example"]),
        (Kind::Tls("alone"), "https://", "127.0.0.1", pinned, &["TLS", "not valid for name", "localhost"]),
        (Kind::Tls("expired"), "https://", "localhost", CA, &["TLS", "expired"]),
        (Kind::Tls("server"), "http://", "localhost", NONE, &["TLS", "https://"]),
        (Kind::Plain, "https://", "localhost", CA, &["does not speak TLS", "http://"]),
        (Kind::Http1, "http://", "localhost", NONE, &["HTTP/1"]),
        (Kind::Http1, "https://", "localhost", CA, &["does not speak TLS"]),
        (Kind::Web("server"), "https://", "localhost", CA, &["TLS", "HTTP/2"]),
        (Kind::Mutual("server"), "https://", "localhost", CA, &["TLS", "certificate", "OLVID_CERTIFICATE_CHAIN_PATH"]),
        (Kind::Mutual("server"), "https://", "localhost", ours("stranger"), &["TLS", "certificate"]),
        // Closed or reset, as the network has it.
        (Kind::Closes, "http://", "localhost", NONE, &["if it speaks TLS, write https://"]),
        (Kind::Closes, "https://", "localhost", CA, &["TLS: "]),
        (Kind::Plain, "http://", "no-such-host.invalid", NONE, &["no-such-host.invalid"]),
    ];
    let mut wrong = Vec::new();
    for (kind, scheme, host, given, wanted) in cases {
        for error in meet(*kind, scheme, host, *given).await.unwrap_err() {
            let told = error.to_string();
            let start = format!("UNAVAILABLE: cannot connect to {scheme}{host}:");
            let clear = told.starts_with(&start) && wanted.iter().all(|word| told.contains(word));
            if !clear || VAGUE.iter().any(|word| told.contains(word)) || error.disposition != Disposition::Retry {
                wrong.push(format!("{kind:?} at {scheme}{host} with {given:?}: {told}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn files_that_hold_no_certificate_are_named_before_anything_is_connected() {
    let certificates = Certificates::new();
    let given = |server, root, ours| Given { server, root, ours };
    let cases = [
        (given(Some("garbage.pem"), None, None), "garbage.pem`: "),
        (given(None, Some("garbage.pem"), None), "garbage.pem`: "),
        (given(None, Some("nonsense.pem"), None), "nonsense.pem`: "),
        (given(None, Some("empty.pem"), None), "empty.pem`: it holds no PEM certificate"),
        (given(None, Some("server.key"), None), "server.key`: it holds no PEM certificate"),
        (given(None, Some("missing.pem"), None), "missing.pem`: No such file"),
        (given(None, Some("."), None), "`: Is a directory"),
        (given(None, Some("ca.pem"), Some("missing")), "missing.pem`: No such file"),
    ];
    for (given, wanted) in cases {
        let error = Daemon::new(settings("https://localhost:1", given, &certificates)).map(drop).unwrap_err();
        assert!(error.message.contains("cannot use `") && error.message.contains(wanted), "{given:?}: {error}");
        assert_eq!(error.disposition, Disposition::Permanent);
    }
    let halves = [("client.pem", "stranger.key", "stranger.key"), ("client.pem", "client.pem", "client.pem")];
    for (chain, key, wanted) in halves {
        let mut settings = settings("https://localhost:1", CA, &certificates);
        settings.tls.certificate_chain = Some(certificates.path(chain));
        settings.tls.private_key = Some(certificates.path(key));
        let error = Daemon::new(settings).map(drop).unwrap_err();
        assert!(error.message.contains(wanted), "{chain} with {key}: {error}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_big_names_the_option() {
    let certificates = Certificates::new();
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let mut settings = settings(&simulator.url(), NONE, &certificates);
    settings.max_message_size = 1000;
    let daemon = Daemon::new(settings).unwrap();
    let subscription = &Catalog::embedded().subscription("message_received").unwrap().method;
    let mut messages = within(subscribe(&daemon, subscription)).await.unwrap();
    for (length, fits) in [(900, true), (1001, false)] {
        let body = "x".repeat(length);
        simulator.emit("bot", "message_received", json!({ "message": { "body": body } })).unwrap();
        match within(messages.next()).await {
            Ok(message) => assert!(fits && message.is_some()),
            Err(error) => {
                assert!(!fits && error.message.contains("--max-message-size"), "{error}");
                assert_eq!(error.disposition, Disposition::Slower);
            }
        }
    }
    // The connection is not to blame: commands go on.
    assert_eq!(whoami(&daemon).await.as_deref(), Ok("bot"));
}

#[tokio::test]
async fn streams_beyond_the_daemons_limit_are_open_on_further_connections() {
    let certificates = Certificates::new();
    let limited = Options { max_concurrent_streams: Some(5), ..Options::default() };
    let simulator = Simulator::start(limited).await.unwrap();
    for (kind, scheme) in [(Kind::Plain, "http://"), (Kind::Tls("server"), "https://")] {
        let given = if scheme == "https://" { CA } else { NONE };
        let front = Front::start(kind, &certificates, simulator.address()).await;
        let url = format!("{scheme}localhost:{}", front.port);
        let daemon = Daemon::new(settings(&url, given, &certificates)).unwrap();
        let subscription = &Catalog::embedded().subscription("message_received").unwrap().method;
        let open = |_| subscribe(&daemon, subscription);
        let mut streams = within(try_join_all((0..50).map(open))).await.unwrap();
        within(simulator.wait_streams("bot", |open| open == 50)).await;
        // Four on each: one place is kept to ask whether the daemon is there.
        assert_eq!(front.connections(), 13);
        // More commands at once than the daemon takes on one connection; none waits for a subscription to end.
        let answers = within(try_join_all((0..20).map(|_| whoami(&daemon)))).await.unwrap();
        assert_eq!(answers, ["bot"; 20]);
        assert_eq!(front.connections(), 14);
        assert_eq!(simulator.emit("bot", "message_received", json!({})).unwrap(), 50);
        for stream in &mut streams {
            assert!(within(stream.next()).await.unwrap().is_some());
        }
        // A place that is given back is taken again.
        streams.truncate(45);
        within(simulator.wait_streams("bot", |open| open == 45)).await;
        let _again = within(try_join_all((0..5).map(open))).await.unwrap();
        assert_eq!(front.connections(), 14);
        drop(streams);
        within(simulator.wait_streams("bot", |open| open == 5)).await;
    }
}

#[tokio::test]
async fn a_connection_that_breaks_says_so() {
    let certificates = Certificates::new();
    for (kind, scheme, given) in [(Kind::Plain, "http://", NONE), (Kind::Tls("server"), "https://", CA)] {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let front = Front::start(kind, &certificates, simulator.address()).await;
        let url = format!("{scheme}localhost:{}", front.port);
        let daemon = Daemon::new(settings(&url, given, &certificates)).unwrap();
        let subscription = &Catalog::embedded().subscription("message_received").unwrap().method;
        let command = &Catalog::embedded().command("identity_get").unwrap().method;
        let mut messages = within(subscribe(&daemon, subscription)).await.unwrap();
        // An answer that does not come before the connection is gone.
        simulator.script("identity_get", Reply::Never, 1);
        let asked = daemon.clone();
        let answer = tokio::spawn(async move { asked.unary(command, false, Bytes::new()).await });
        within(simulator.wait_recorded("identity_get", 1)).await;
        simulator.drop_connections();
        let errors = [within(messages.next()).await.unwrap_err(), within(answer).await.unwrap().unwrap_err()];
        for error in errors {
            assert_eq!((error.code, error.disposition), ("UNAVAILABLE", Disposition::Retry), "{error}");
            assert!(error.message.starts_with("the connection broke: "), "{error}");
            assert!(!VAGUE.iter().any(|word| error.message.contains(word)), "{error}");
        }
        // The next call gets a new connection at once.
        assert_eq!(whoami(&daemon).await.as_deref(), Ok("bot"));
    }
}

#[tokio::test]
async fn new_keys_are_for_new_calls_and_open_streams_stay() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let daemon = Daemon::new(settings(&simulator.url(), NONE, &Certificates::new())).unwrap();
    let subscription = &Catalog::embedded().subscription("message_received").unwrap().method;
    let mut messages = within(subscribe(&daemon, subscription)).await.unwrap();
    assert_eq!(whoami(&daemon).await.as_deref(), Ok("bot"));
    daemon.set_keys(Some(Secret::new("nobody").unwrap()), None);
    let unknown = whoami(&daemon).await.unwrap_err();
    assert_eq!(unknown.disposition, Disposition::Unauthorised);
    let mut changes = daemon.changes();
    assert!(futures_util::poll!(std::pin::pin!(changes.help(&unknown))).is_pending());
    daemon.set_keys(Some(Secret::new("alice").unwrap()), None);
    within(changes.help(&unknown)).await;
    assert_eq!(whoami(&daemon).await.as_deref(), Ok("alice"));
    assert_eq!(simulator.emit("bot", "message_received", json!({ "message": { "body": "hi" } })).unwrap(), 1);
    assert!(within(messages.next()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_command_that_the_daemon_did_not_look_at_is_sent_again() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let daemon = Daemon::new(settings(&simulator.url(), NONE, &Certificates::new())).unwrap();
    assert_eq!(whoami(&daemon).await.as_deref(), Ok("bot"));
    simulator.script("identity_get", Reply::Never, 1);
    let (command, asked) = (&Catalog::embedded().command("identity_get").unwrap().method, daemon.clone());
    let _waits = tokio::spawn(async move { asked.unary(command, false, Bytes::new()).await.map(drop) });
    within(simulator.wait_recorded("identity_get", 2)).await;
    // The connection stays for what is under way, and takes nothing more.
    simulator.go_away();
    for _ in 0..20 {
        assert_eq!(whoami(&daemon).await.as_deref(), Ok("bot"));
    }
}

#[tokio::test]
async fn a_connection_of_a_caller_s_own_shows_the_same_certificate() {
    let certificates = Certificates::new();
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let front = Front::start(Kind::Mutual("server"), &certificates, simulator.address()).await;
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], front.port))).await;
    let url = format!("https://localhost:{}", proxy.port());
    let daemon = Daemon::new(settings(&url, Given { ours: Some("client"), ..CA }, &certificates)).unwrap();
    daemon.offer(1);
    let caller = daemon.dedicated().unwrap();
    let on_its_thread = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for _ in 0..1000 {
                assert_eq!(whoami(&caller).await.as_deref(), Ok("bot"));
                if proxy.open() == 2 {
                    // What passes now goes by the second.
                    let passed = proxy.without_the_first(Duration::from_secs(1), whoami(&caller)).await;
                    if passed.is_some_and(|answer| answer.as_deref() == Ok("bot")) {
                        return true;
                    }
                }
            }
            false
        })
    });
    assert!(within(on_its_thread).await.unwrap());
}

#[test]
fn a_key_is_visible_ascii_and_never_shown() {
    let cases = [
        ("", Err(SecretError::Empty)),
        (" \r\n", Err(SecretError::Empty)),
        ("clé", Err(SecretError::Letter { at: 3, letter: 'é' })),
        ("🔑", Err(SecretError::Letter { at: 1, letter: '🔑' })),
        ("a\nb", Err(SecretError::Letter { at: 2, letter: '\n' })),
        ("a\0", Err(SecretError::Letter { at: 2, letter: '\0' })),
        ("a\u{7f}b", Err(SecretError::Letter { at: 2, letter: '\u{7f}' })),
        ("6f9619ff-8b86-d011-b42d-00cf4fc964ff\r\n", Ok("Secret(…)")),
        ("~!@#$%^&*()_+ `", Ok("Secret(…)")),
    ];
    for (text, wanted) in cases {
        let made = Secret::new(text).map(|secret| format!("{secret:?}"));
        assert_eq!(made.as_deref().map_err(|error| *error), wanted, "{text:?}");
    }
}
