//! A machine that gives less than a host would like to have: descriptors, memory, threads, room for files, somebody who
//! reads the log. It works with what there is, or says what is missing; nothing is damaged.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/process.rs"]
mod process;
#[path = "reload_files/site.rs"]
mod site;

use std::{
    fmt::Write as _,
    fs,
    io::Read as _,
    os::unix::{
        fs::PermissionsExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{Child, Command, Stdio},
};

use process::{Process, events};
use serde_json::Value as Json;
use site::{Running, Site, versioned};

const RULES: &str = "rules:\n  - { name: a, subscription: message_received, handler: a.lua }\n";

fn site() -> Site {
    Site::new(&[("rules.yaml", RULES), ("a.lua", &versioned("one"))])
}

/// A host that a shell starts, with this done first; `$0` is the program.
fn within(site: &Site, first: &str, arguments: &str) -> Command {
    let own = site.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{first}\nexec \"$0\" run --log-format json {arguments}")]).arg(own.get_program());
    shell.current_dir(site.path("")).env_clear().envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    shell
}

fn start(site: &Site, first: &str, arguments: &str) -> Running {
    Running { process: Process::start(&mut within(site, first, arguments)) }
}

/// So many rules, each with a stream and a script of its own.
fn many(rules: usize, lua: &str) -> String {
    let mut text = "rules:\n".to_owned();
    for number in 0..rules {
        let _ = writeln!(
            text,
            "  - {{ name: r{number}, subscription: message_received, filter: {{ body_search: 'x{number}|all' }}, lua: \"{lua}\" }}"
        );
    }
    text
}

#[test]
fn a_hundred_streams_take_few_descriptors() {
    let site = Site::new(&[("rules.yaml", &many(100, "print('heard')"))]);
    let host = start(&site, "ulimit -n 64", "");
    host.process.events("feed_opened", 100);
    site.emit(1, "all");
    host.said(100);
    site.write("rules.yaml", many(101, "print('heard')"));
    assert_eq!(host.reloads(1)[0]["result"], "applied");
    host.process.events("feed_opened", 101);
    host.stop();
}

#[test]
fn without_descriptors_it_says_so_and_ends() {
    let site = site();
    let (status, log) = start(&site, "ulimit -n 5", "").process.ended();
    assert!(matches!(status.code(), Some(1 | 74)), "{status} {log:#?}");
    assert!(log.iter().any(|line| line.contains("Too many open files")), "{log:#?}");
}

/// Waits until a host says of itself what is wanted.
fn until_status(site: &Site, wanted: impl Fn(&Json) -> bool) {
    let mut last = Json::Null;
    for _ in 0..2000 {
        let told = site.command(&["status", "--json"]).output().unwrap().stdout;
        last = serde_json::from_slice(&told).unwrap_or_default();
        if wanted(&last) {
            return;
        }
    }
    panic!("{last:#}");
}

/// Handlers that take all memory that they get.
fn hungry(memory: &str) -> Site {
    let body = "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end";
    let rules = format!("defaults: {{ memory: {memory} }}\n{}", many(20, body));
    Site::new(&[("rules.yaml", &rules)])
}

#[test]
fn scripts_that_want_all_memory_get_their_share_and_the_host_goes_on() {
    let site = hungry("8MiB");
    let host = start(&site, "ulimit -v 2000000", "");
    host.process.events("feed_opened", 20);
    site.emit(1, "all");
    let failed = host.process.events("run_failed", 20);
    assert!(failed.iter().all(|failed| failed["kind"] == "memory"), "{failed:#?}");
    // What fails in the same way again is counted, not told.
    for round in 2..=3 {
        site.emit(1, "all");
        until_status(&site, |status| status["counters"]["failed"] == 20 * round);
    }
    host.stop();
}

#[test]
fn limits_that_are_more_than_the_machine_has_end_it_for_its_service_manager_to_start_again() {
    let site = hungry("1GiB");
    // Its threads alone take half of it, without using it.
    let host = start(&site, "ulimit -v 2000000", "");
    host.process.events("feed_opened", 20);
    site.emit(1, "all");
    let (status, log) = host.process.ended();
    assert_eq!(status.signal(), Some(6), "{log:#?}");
    assert!(log.iter().any(|line| line.starts_with("memory allocation of ")), "{log:#?}");
}

/// A user that no other test has, whose threads are counted.
fn user(test: u32) -> String {
    let user = 60_000 + test * 1000 + std::process::id() % 1000;
    format!("setpriv --reuid={user} --regid={user} --clear-groups")
}

/// As a user with so many threads.
fn with_threads(threads: usize, user: &str) -> String {
    format!("exec {user} prlimit --nproc={threads} \"$0\" run --log-format json")
}

fn may_be_others() -> bool {
    let tried = Command::new("setpriv").args(["--reuid=65033", "--clear-groups", "true"]).output();
    let may = tried.is_ok_and(|tried| tried.status.success());
    if !may {
        #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
        {
            eprintln!("skipped: it takes root to count the threads of another user");
        }
    }
    may
}

/// Lets other users read the rules.
fn open(site: &Site) {
    fs::set_permissions(site.path(".."), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn without_threads_it_says_so_and_ends() {
    if !may_be_others() {
        return;
    }
    for (threads, code) in [(1, 74), (2, 74), (3, 1)] {
        let site = site();
        open(&site);
        let (status, log) = start(&site, &with_threads(threads, &user(1)), "").process.ended();
        assert_eq!(status.code(), Some(code), "{log:#?}");
        assert!(log.iter().any(|line| line.contains("Resource temporarily unavailable")), "{log:#?}");
        assert!(!log.iter().any(|line| line.contains("panicked")), "{log:#?}");
    }
}

/// Other processes of a user.
struct Others(Child);

impl Others {
    fn start(user: &str, count: usize) -> Self {
        let script = format!("for other in $(seq {count}); do {user} sleep 60 & done; echo; wait");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut others = Self(command.spawn().unwrap());
        others.0.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        others
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status());
        drop(self.0.wait());
    }
}

#[test]
fn a_host_that_gets_no_more_threads_goes_on() {
    if !may_be_others() {
        return;
    }
    let site = site();
    open(&site);
    let user = user(2);
    let host = start(&site, &with_threads(30, &user), "");
    host.process.events("feed_opened", 1);
    // For longer than the runtime keeps threads that have nothing to do, where it is not told to.
    std::thread::sleep(std::time::Duration::from_secs(11));
    let others = Others::start(&user, 30);
    site.write("a.lua", versioned("two"));
    let refused = host.reloads(1).remove(0);
    assert_eq!(refused["result"], "rejected", "{refused}");
    let told = |line: &String| line.contains("Resource temporarily unavailable");
    host.process.when("the cause", |lines| lines.iter().any(told).then_some(()));
    site.emit(1, "x");
    host.until_said("one x 1");
    drop(others);
    // They are gone when their parents have taken note of it, which takes a moment.
    let applied = |attempt: usize| {
        site.write("a.lua", format!("{} -- {attempt}", versioned("three")));
        host.reloads(2 + attempt)[1 + attempt]["result"] == "applied"
    };
    assert!((0..20).any(applied));
    site.emit(1, "y");
    host.until_said("three y 1");
    let log = host.stop();
    assert!(!log.iter().any(|line| line.contains("panicked")), "{log:#?}");
}

#[test]
fn a_log_that_nobody_can_have_is_done_without() {
    for closed in ["exec >&- 2>&-", "exec 2>/dev/full >/dev/full", "exec 0<&- >&- 2>&-"] {
        let site = site();
        let host = start(&site, closed, "");
        site.streams(1, 1);
        site.emit(1, "x");
        until_status(&site, |status| status["counters"]["handled"] == 1);
        let reload = site.command(&["reload", "--wait"]).output().unwrap();
        assert_eq!(reload.status.code(), Some(0), "{closed}");
        host.process.terminate();
        assert_eq!(host.process.ended().0.code(), Some(0), "{closed}");
    }
}

#[test]
fn signals_of_others_change_nothing_and_quit_tells_how_it_is() {
    let site = site();
    let host = site.run(&[]);
    for signal in ["CHLD", "WINCH", "PIPE", "USR1", "USR2", "ALRM", "XFSZ", "URG"] {
        host.process.signal(signal);
    }
    host.process.signal("QUIT");
    let told = host.process.events("status", 1).remove(0)["message"].as_str().unwrap().to_owned();
    assert_eq!(told, "1 rule, 1 of 1 stream open");
    site.emit(1, "x");
    host.until_said("one x 1");
    host.stop();
}

#[test]
fn an_odd_locale_and_time_zone_are_nothing_to_it() {
    for (locale, zone) in [("xx_YY.UTF-9", "garbage"), ("C", ":/nowhere"), ("", ""), ("\u{fffd}", "UTC+99:99:99")] {
        let site = site();
        let mut command = site.command(&["run", "--log-format", "json"]);
        command.env("LC_ALL", locale).env("LANG", locale).env("TZ", zone);
        let host = Running { process: Process::start(&mut command) };
        host.process.events("feed_opened", 1);
        site.emit(1, "é 👍");
        host.until_said("one é 👍 1");
        host.stop();
        let mut command = site.command(&["run"]);
        command.env("LC_ALL", locale).env("TZ", zone);
        let host = Process::start(&mut command);
        host.until("a line for people", |line| line.contains("info  a: stream open").then_some(()));
        host.terminate();
        assert_eq!(host.ended().0.code(), Some(0));
    }
}

const KEPT: &str = "--catch-up --state-directory state";

#[test]
fn a_state_that_cannot_be_written_is_told_and_nothing_stops_for_it() {
    // No file may grow: the same as a full disk, and as a directory that is read-only for root, too.
    let mut cases = vec![("ulimit -f 0".to_owned(), "File too large"), ("echo > state".to_owned(), "exists")];
    if may_mount() {
        let full = "head -c 16k /dev/zero > state/others || true";
        cases.push((mounted(full), "No space left on device"));
        cases.push((mounted("mount -o remount,ro state"), "Read-only file system"));
    }
    for (first, cause) in &cases {
        let site = site();
        let host = start(&site, first, KEPT);
        host.process.events("feed_opened", 1);
        site.emit(1, "x");
        host.until_said("one x 1");
        let log = host.stop();
        let told: Vec<_> =
            events(&log, "notice").iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect();
        assert!(told.iter().any(|told| told.contains("state") && told.contains(*cause)), "{first}: {told:#?}");
    }
}

/// A state directory that is a small disk of its own, after this was done.
fn mounted(then: &str) -> String {
    let within = format!("mount -t tmpfs -o size=16k none state\n{then}\nexec \"$0\" run --log-format json {KEPT}");
    format!("mkdir state\nexec unshare -m sh -ec '{within}' \"$0\"")
}

fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    let may = tried.is_ok_and(|tried| tried.status.success());
    if !may {
        #[expect(clippy::print_stderr, reason = "a skipped part must be seen")]
        {
            eprintln!("skipped: it takes root to mount a disk that is full or read-only");
        }
    }
    may
}

#[test]
fn a_host_that_is_killed_while_it_writes_leaves_a_whole_file() {
    if Command::new("strace").arg("-V").output().is_err() {
        #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
        {
            eprintln!("skipped: no strace, by which the host is killed at a call");
        }
        return;
    }
    for call in ["fsync", "fdatasync", "rename", "renameat", "renameat2"] {
        let site = site();
        let good = site.run(&["--catch-up", "--state-directory", "state"]);
        site.emit(1, "x");
        good.until_said("one x 1");
        good.stop();
        let before = fs::read_to_string(site.path("state/cursors.json")).unwrap();
        let kill = format!("set -- strace -f -qq -o /dev/null -e inject={call}:signal=KILL:when=1 \"$0\"");
        let script = format!("{kill}\nexec \"$@\" run --log-format json {KEPT}");
        let mut command = within(&site, &script, "");
        let host = Running { process: Process::start(&mut command) };
        host.process.events("feed_opened", 1);
        site.emit(2, "y");
        host.until_said("one y 1");
        // Killed at the call, or, where that is not the one which is used, at its end.
        let id: String =
            fs::read_to_string(format!("/proc/{0}/task/{0}/children", host.process.id())).unwrap_or_default();
        drop(Command::new("kill").args(["-TERM", id.trim()]).status());
        host.process.ended();
        let after = fs::read_to_string(site.path("state/cursors.json")).unwrap();
        for text in [&before, &after] {
            assert!(
                serde_json::from_str::<Json>(text).is_ok_and(|kept| kept["rules"]["a"].is_object()),
                "{call}: {text}"
            );
        }
        let again = site.run(&["--catch-up", "--state-directory", "state"]);
        let log = again.stop();
        assert!(
            events(&log, "notice").iter().all(|notice| !notice.to_string().contains("cursors")),
            "{call}: {log:#?}"
        );
    }
}
