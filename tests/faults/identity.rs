//! Section B: TLS, keys, and whom they are shown to. `tests/tls.rs` has each certificate; here are the program's answers.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path};

use olvid_rules::simulator::{Options, Simulator};

use crate::{
    bench::{Bench, KEY, rows, wait},
    front::{Certificates, Front, Kind},
    process::{Process, program},
    proxy::{Flow, Proxy, Way},
};

fn simulator() -> Simulator {
    let identities = vec![("bot".to_owned(), KEY.to_owned())];
    wait(Simulator::start(Options { identities, check_ids: false, ..Options::default() })).unwrap()
}

/// Two rules at a front, by the scheme and with the authority that is trusted.
fn at_front(kind: Kind, scheme: &str, trusted: Option<&str>) -> (Bench, Front, Simulator) {
    let (simulator, certificates) = (simulator(), Certificates::new());
    let front = wait(Front::start(kind, &certificates, simulator.address()));
    let path = trusted.map(|name| certificates.path(name).display().to_string());
    let variables: Vec<_> = path.iter().map(|path| ("OLVID_ROOT_CERTIFICATE_PATH", path.as_str())).collect();
    let url = format!("{scheme}://localhost:{}", front.port);
    let rules = "rules: [{ name: left, subscription: message_received, lua: return }]";
    let bench = Bench::with(&url, rules, &[], &variables);
    // The certificates are read when the program starts.
    bench.host.events("started", 1);
    (bench, front, simulator)
}

#[test]
fn what_is_not_trusted_is_refused_with_its_reason_and_tried_slowly() {
    type Row = (&'static str, Kind, &'static str, Option<&'static str>, &'static [&'static str]);
    let table: &[Row] = &[
        ("B1 an authority that is not known", Kind::Tls("server"), "https", Some("other.pem"), &["UnknownIssuer"]),
        ("B2 another name", Kind::Tls("elsewhere"), "https", Some("ca.pem"), &["localhost", "daemon.example"]),
        ("B3 expired", Kind::Tls("expired"), "https", Some("ca.pem"), &["expired"]),
        ("B4 http to TLS", Kind::Tls("server"), "http", None, &["https://"]),
        ("B4 https to none", Kind::Plain, "https", Some("ca.pem"), &["does not speak TLS"]),
    ];
    rows(
        table,
        |(name, ..)| (*name).to_owned(),
        |(_, kind, scheme, trusted, words)| {
            let (bench, front, _simulator) = at_front(*kind, scheme, *trusted);
            let lost = bench.lost(1).remove(0);
            let message = lost["message"].as_str().unwrap();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
            assert!(front.connections() <= 2, "{} attempts", front.connections());
            bench.settle();
            bench.verdict(&[]);
            bench.host.terminate();
            assert_eq!(bench.host.ended().0.code(), Some(0));
        },
    );
}

#[test]
fn a_cut_or_a_flipped_byte_under_tls_is_a_lost_connection() {
    rows(
        &[("A12", Flow::CutAfter(30)), ("A13", Flow::Corrupt(97)), ("A13 in a record's head", Flow::Corrupt(0))],
        |(name, _)| (*name).to_owned(),
        |(_, flow)| {
            let (simulator, certificates) = (simulator(), Certificates::new());
            let front = wait(Front::start(Kind::Tls("server"), &certificates, simulator.address()));
            let proxy = wait(Proxy::start(SocketAddr::from(([127, 0, 0, 1], front.port))));
            let ca = certificates.path("ca.pem").display().to_string();
            let rules = "rules: [{ name: left, subscription: message_received, lua: 'print((...).message.body)' }]";
            let url = format!("https://localhost:{}", proxy.port());
            let bench = Bench::with(&url, rules, &[], &[("OLVID_ROOT_CERTIFICATE_PATH", &ca)]);
            bench.opened(1);
            bench.settle();
            proxy.set(Way::Down, *flow);
            simulator.emit("bot", "message_received", crate::bench::content(1)).unwrap();
            bench.lost_with("the connection broke");
            bench.is_open("left");
            simulator.emit("bot", "message_received", crate::bench::content(2)).unwrap();
            bench.until_said("left", 2);
            bench.verdict(&[]);
        },
    );
}

/// Starts `run` with a key in a file, and returns how it ends or that it started.
fn with_key(content: &[u8], mode: u32) -> (Process, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("the.key");
    fs::write(folder.path().join("rules.yaml"), "rules: [{ name: a, subscription: contact_new, lua: return }]")
        .unwrap();
    fs::write(&key, content).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    let arguments =
        ["run", "--log-format", "json", "--client-key-file", "the.key", "--daemon-url", "http://127.0.0.1:1"];
    (Process::start(&mut program(folder.path(), &arguments, &[])), folder)
}

#[test]
fn a_key_file_is_read_as_people_write_it_and_told_where_others_can_read_it() {
    let notices = |host: &Process| -> Vec<String> {
        host.events("feed_lost", 1);
        crate::process::events(&host.printed(), "notice").iter().map(|event| event["message"].to_string()).collect()
    };
    let crlf = format!("{KEY}\r\n");
    let (host, _folder) = with_key(crlf.as_bytes(), 0o600);
    assert_eq!(notices(&host), Vec::<String>::new());
    for mode in [0o640, 0o604, 0o644] {
        let (host, _folder) = with_key(KEY.as_bytes(), mode);
        let told = notices(&host);
        assert!(told.len() == 1 && told[0].contains("chmod 600 the.key"), "{told:?}");
        assert!(!host.printed().concat().contains(KEY));
    }
    for content in [&b""[..], b" \r\n", b"two\nlines", b"\xff\xfe"] {
        let (status, printed) = with_key(content, 0o600).0.ended();
        assert_eq!(status.code(), Some(2), "{printed:?}");
        assert!(printed.concat().contains("the.key"), "{printed:?}");
    }
}

#[test]
fn a_key_that_leaves_the_machine_in_clear_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yaml"), "rules: [{ name: a, subscription: contact_new, lua: return }]")
        .unwrap();
    let told = |folder: &Path, url: &str| {
        let variables = [("OLVID_CLIENT_KEY", KEY), ("OLVID_DAEMON_URL", url)];
        let host = Process::start(&mut program(folder, &["run", "--log-format", "json"], &variables));
        host.events("feed_lost", 1);
        let printed = host.printed();
        assert!(!printed.concat().contains(KEY));
        crate::process::events(&printed, "notice")
            .iter()
            .filter(|event| event["message"].to_string().contains("in clear"))
            .count()
    };
    for (url, notices) in
        [("http://no-such-host.invalid", 1), ("http://127.0.0.1:1", 0), ("https://no-such-host.invalid", 0)]
    {
        assert_eq!(told(folder.path(), url), notices, "{url}");
    }
}
