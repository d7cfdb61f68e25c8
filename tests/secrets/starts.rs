//! Starts that fail, commands that need no key, and what the system lets others see.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    process::Command,
};

use crate::{
    REACH, RULES,
    process::Process,
    scene::{ADMIN_KEY, KEY, Scene, assert_closed, assert_secret, printed},
};

/// A start that is refused: variables, what is in `key` and in `.env`, arguments, and a part of what is told.
struct Refused {
    variables: &'static [(&'static str, &'static [u8])],
    files: &'static [(&'static str, &'static [u8])],
    arguments: &'static [&'static str],
    told: &'static str,
}

const NONE: Refused = Refused { variables: &[], files: &[], arguments: &[], told: "" };
const GOOD: (&str, &[u8]) = ("OLVID_CLIENT_KEY", KEY.as_bytes());
const UNPRINTABLE: &str = "not visible ASCII";
const NO_HOST: &str = "write host:port";

const REFUSED: &[Refused] = &[
    // Keys with what a key cannot hold.
    Refused { variables: &[("OLVID_CLIENT_KEY", "c4n4ry-\u{e9}".as_bytes())], told: UNPRINTABLE, ..NONE },
    Refused { variables: &[("OLVID_CLIENT_KEY", b"c4n4ry\xff")], told: UNPRINTABLE, ..NONE },
    Refused { variables: &[("OLVID_CLIENT_KEY", b"c4n4ry\nc4n4ry")], told: UNPRINTABLE, ..NONE },
    Refused { variables: &[GOOD, ("OLVID_ADMIN_CLIENT_KEY", b"c4n4ry\x1b[2J")], told: UNPRINTABLE, ..NONE },
    Refused {
        files: &[("key", b"c4n4ry\nc4n4ry\n")],
        arguments: &["--client-key-file", "key"],
        told: UNPRINTABLE,
        ..NONE
    },
    Refused { files: &[("key", b"c4n4ry\xff")], arguments: &["--client-key-file", "key"], told: "valid UTF-8", ..NONE },
    Refused { files: &[(".env", b"OLVID_CLIENT_KEY='c4n4ry\xc3\xa9'\n")], told: UNPRINTABLE, ..NONE },
    Refused { files: &[(".env", b"OLVID_CLIENT_KEY c4n4ry\n")], told: "no client key", ..NONE },
    Refused { files: &[(".env", b"OLVID_CLIENT_KEY=\xff c4n4ry\n")], told: "no client key", ..NONE },
    // Addresses with a password.
    Refused { arguments: &["--daemon-url", "http://user:c4n4ry@host"], variables: &[GOOD], told: NO_HOST, ..NONE },
    Refused { arguments: &["--daemon-url", "https://c4n4ry@host:1"], variables: &[GOOD], told: NO_HOST, ..NONE },
    Refused { arguments: &["--daemon-url", "user:c4n4ry@host"], variables: &[GOOD], told: NO_HOST, ..NONE },
    Refused {
        arguments: &["--daemon-url", "ftp://user:c4n4ry@host"],
        variables: &[GOOD],
        told: "write http://",
        ..NONE
    },
    Refused { arguments: &["--daemon-url", "http://user:c4n4ry%@host/"], variables: &[GOOD], told: NO_HOST, ..NONE },
    Refused { variables: &[GOOD, ("OLVID_DAEMON_URL", b"http://user:c4n4ry@c4n4ry@host")], told: NO_HOST, ..NONE },
    Refused {
        variables: &[("OLVID_DAEMON_URL", b"")],
        files: &[(".env", b"OLVID_CLIENT_KEY=c4n4ry\nOLVID_DAEMON_URL=http://u:c4n4ry@h\n")],
        told: NO_HOST,
        ..NONE
    },
    // Files of TLS that are not what they should be: the key's among them.
    Refused {
        variables: &[GOOD],
        files: &[("key", KEY.as_bytes())],
        arguments: &["--server-certificate", "key"],
        told: "no PEM",
    },
    Refused {
        variables: &[GOOD],
        files: &[("key", b"-----BEGIN CERTIFICATE-----\nc4n4ry\n-----END CERTIFICATE-----\n")],
        arguments: &["--root-certificate", "key"],
        told: "cannot use `key`",
    },
    Refused { variables: &[GOOD], arguments: &["--private-key", "key"], told: "without its certificate chain", ..NONE },
    // What the key is not given by.
    Refused {
        variables: &[("OLVID_CLIENT_KEY_FILE", KEY.as_bytes())],
        told: "the file that OLVID_CLIENT_KEY_FILE names",
        ..NONE
    },
    Refused {
        variables: &[
            GOOD,
            ("OLVID_PRIVATE_KEY_PATH", b"-----BEGIN PRIVATE KEY-----\nc4n4ry"),
            ("OLVID_CERTIFICATE_CHAIN_PATH", b"\n-----BEGIN CERTIFICATE-----\nc4n4ry"),
        ],
        told: "name the file that holds it",
        ..NONE
    },
    Refused { arguments: &["--admin-client-key-file", ADMIN_KEY], told: "--admin-client-key-file", ..NONE },
    Refused { arguments: &["--client-key", "c4n4ry"], told: "--client-key-file", ..NONE },
    Refused { arguments: &["--client-key=c4n4ry"], told: "--client-key-file", ..NONE },
    Refused {
        variables: &[GOOD, ("OLVID_IDENTITY_ID", b"x"), ("OLVID_ADMIN_CLIENT_KEY", b"c4n4ry")],
        told: "OLVID_IDENTITY_ID",
        ..NONE
    },
];

#[test]
fn a_start_that_is_refused_tells_no_key() {
    for case in REFUSED {
        let scene = Scene::new(&[("rules.yaml", RULES), ("reach.lua", REACH)]);
        for (name, content) in case.files {
            scene.write(name, content);
        }
        let mut command = scene.command(&["run", "--log-level", "debug"]);
        command.args(case.arguments).envs(case.variables.iter().map(|(name, value)| (*name, OsStr::from_bytes(value))));
        let (code, text) = printed(&mut command);
        assert_eq!(code, Some(2), "{:?}: {text}", case.arguments);
        assert!(text.contains(case.told), "{} in {text}", case.told);
        assert_secret("what is told", text.as_bytes());
        scene.assert_nothing_left();
    }
}

/// Gives a program everything that may hold a key.
fn with_keys(command: &mut Command) -> &mut Command {
    command.env("OLVID_CLIENT_KEY", KEY).env("OLVID_ADMIN_CLIENT_KEY", ADMIN_KEY)
}

#[test]
fn no_command_tells_the_keys_that_it_is_given() {
    let scene = Scene::new(&[("rules.yaml", RULES), ("reach.lua", REACH), ("bad.yaml", "rules: [{ nam: x }]")]);
    scene.write(".env", format!("OLVID_CLIENT_KEY={KEY}\n"));
    let commands: &[(&[&str], i32)] = &[
        (&["--help"], 0),
        (&["run", "--help"], 0),
        (&["--version"], 0),
        (&["check"], 0),
        (&["check", "bad.yaml"], 1),
        (&["check", "--format", "json", "bad.yaml"], 1),
        (&["run", "bad.yaml"], 1),
        (&["run", "--log-format", "json", "bad.yaml"], 1),
        (&["catalog", "message_send"], 0),
        (&["catalog", "none"], 2),
        (&["status"], 69),
        (&["status", "--json"], 69),
        (&["reload"], 69),
        (&["doctor"], 0),
        (&["doctor", "--format", "json"], 0),
        (&["doctor", "bad.yaml"], 1),
        (&["doctor", "--daemon-url", "http://127.0.0.1:1"], 69),
        (&["simulate", "--listen", "192.0.2.1:1"], 74),
        (&["dev", "--log-level", "debug"], 0),
        (&["fly"], 2),
        (&[], 2),
    ];
    for (arguments, expected) in commands {
        let (code, text) = printed(with_keys(&mut scene.command(arguments)));
        assert_eq!(code, Some(*expected), "{arguments:?}: {text}");
        assert_secret("what is told", text.as_bytes());
    }
    scene.assert_nothing_left();
}

#[test]
fn a_host_that_cannot_connect_tells_no_key() {
    let scene = Scene::new(&[("rules.yaml", RULES), ("reach.lua", REACH)]);
    let plain = scene.simulator.url();
    // No TLS is spoken there, and nothing is there.
    for url in [plain.replace("http", "https"), "http://127.0.0.1:1".to_owned()] {
        let mut command = scene.command(&["run", "--log-level", "debug"]);
        let host = Process::start(with_keys(&mut command).env("OLVID_DAEMON_URL", url));
        host.until("the cause", |line| line.contains("cannot connect").then_some(()));
        assert_closed(&host);
        assert_secret("the status", scene.typed(&["status", "--json"]).1.as_bytes());
        host.terminate();
        assert_secret("the log", host.ended().1.join("\n").as_bytes());
    }
    scene.assert_nothing_left();
}

#[test]
fn what_the_system_shows_of_a_process_is_free_of_keys_whatever_it_does() {
    let scene = Scene::new(&[("rules.yaml", RULES), ("reach.lua", REACH)]);
    let mut command = scene.command(&["simulate", "--listen", "127.0.0.1:0"]);
    let simulated = Process::start(with_keys(&mut command).env("OLVID_ADMIN_CLIENT_KEY_OPS", KEY));
    simulated.until("its address", |line| line.contains("listening").then_some(()));
    assert_closed(&simulated);
    let (dev, input) = Process::start_with_input(with_keys(&mut scene.command(&["dev"])).env("NO_COLOR", "1"));
    std::io::Write::write_all(&mut &input, b"look\n").unwrap();
    dev.until("the handler", |line| line.contains("reached nothing").then_some(()));
    assert_closed(&dev);
    drop(input);
    assert_secret("the chat", dev.ended().1.join("\n").as_bytes());
}

/// A user of no rights; only root can act as another.
const NOBODY: u32 = 65534;

#[test]
fn the_process_is_closed_to_others_of_its_user() {
    let scene = Scene::new(&[("rules.yaml", RULES), ("reach.lua", REACH)]);
    let own = fs::metadata("/proc/self").unwrap().uid();
    let program = scene.beside("site/program");
    // By another process: a child that another test starts meanwhile would hold the file open for writing.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_olvid-rules")).arg(&program).status().unwrap();
    assert!(copied.success());
    let mut command = Command::new(&program);
    command.args(["simulate", "--listen", "127.0.0.1:0"]).env_clear().env("OLVID_CLIENT_KEY", KEY);
    if own == 0 {
        for path in [scene.beside(""), scene.path(""), program] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        command.current_dir("/").uid(NOBODY);
    }
    let host = Process::start(&mut command);
    host.until("its address", |line| line.contains("listening").then_some(()));
    // What can have its core written, and can be looked into by others of its user, belongs to that user.
    assert_eq!(fs::metadata(format!("/proc/{}/environ", host.id())).unwrap().uid(), 0);
}
