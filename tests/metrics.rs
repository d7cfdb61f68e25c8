//! `--listen`: what is measured is what happened, health is told with its causes, and what is packaged for Prometheus and
//! Grafana asks for what there is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/held.rs"]
mod held;
#[path = "metrics/http.rs"]
mod http;
#[path = "support/prepared.rs"]
mod prepared;
#[path = "support/process.rs"]
mod process;
#[path = "metrics/promtool.rs"]
mod promtool;
#[path = "support/python.rs"]
mod python;
#[path = "metrics/queries.rs"]
mod queries;
#[path = "reload_files/site.rs"]
mod site;

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    net::{TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    time::{Duration, Instant},
};

use held::Held;
use http::{Answer, At, Exposition, OPENMETRICS};
use olvid_rules::{cli::listen::metrics, simulator::Reply};
use process::events;
use serde_json::{Value as Json, json};
use site::{Running, Site};
use tonic::Code;

const RULES: &str = "rules:
  - name: answers
    subscription: message_received
    handler: answers.lua
    order: none
    cpu: 50ms
    log_rate: 1
  - { name: late, subscription: message_received, handler: late.lua, timeout: 300ms }
  - { name: other, subscription: contact_new, lua: print('new') }
  - { name: off, subscription: contact_new, enabled: false, lua: print('new') }
permissions: { commands: [message_send, discussion_get] }
";

/// Does what it is told.
const ANSWERS: &str = "return function(notification)
  local text = notification.message.body
  if text == 'error' then error('no') end
  if text == 'cpu' then while true do end end
  if text == 'denied' then olvid.identity_get() end
  if text == 'loud' then for line = 1, 15 do print(line) end end
  if text == 'answer' then olvid.message_send{ discussion_id = 1, body = 'yes' } end
  if text == 'refused' then print(pcall(olvid.message_send, { discussion_id = 1, body = 'no' })) end
end
";

/// Sleeps longer than it may.
const LATE: &str = "return function(notification)
  if notification.message.body == 'timeout' then sleep(60) end
  if notification.message.body == 'unanswered' then olvid.discussion_get{ discussion_id = 1 } end
end
";

/// A host that answers at a port of its own.
fn run(site: &Site, arguments: &[&str]) -> (Running, At) {
    let host = site.run(&[&["--listen", "127.0.0.1:0"], arguments].concat());
    let at = port(&host);
    let open = |all: &Exposition| {
        let lines = all.text.lines().filter_map(|line| line.strip_prefix("olvid_rules_streams{"));
        lines.filter_map(|line| line.split_once("state=\"open\"} ")?.1.parse::<usize>().ok()).sum()
    };
    // What the host takes for open the daemon has to know, too.
    let streams = open(&at.scrape());
    site.wait(site.simulator.subscribers("bot", streams));
    (host, at)
}

fn site() -> Site {
    Site::new(&[("rules.yaml", RULES), ("answers.lua", ANSWERS), ("late.lua", LATE)])
}

/// The port at which a host says that it answers.
fn port(host: &Running) -> At {
    let told = host.process.events("listening", 1)[0]["address"].as_str().unwrap().to_owned();
    At::Port(told.strip_prefix("http://").unwrap().to_owned())
}

/// A series of the rule that answers.
fn of(name: &str) -> String {
    format!("{name}{{rule=\"answers\",subscription=\"message_received\"}}")
}

/// The same of the one that is late.
fn late(name: &str) -> String {
    of(name).replace("answers", "late")
}

fn failed(kind: &str) -> String {
    format!("notifications_failed_total{{rule=\"answers\",subscription=\"message_received\",kind=\"{kind}\"}}")
}

#[track_caller]
fn assert_all(scraped: &Exposition, wanted: &[(&str, f64)]) {
    for (series, value) in wanted {
        assert!((scraped.at(series) - value).abs() < 1e-9, "{series} is {}, not {value}", scraped.at(series));
    }
}

/// Has all sorts of things happen to a host, and waits until they have.
fn exercise(site: &Site, at: &At) -> Exposition {
    let sent = json!({ "message": { "id": { "type": "TYPE_OUTBOUND", "id": 1 } } });
    site.simulator.script("message_send", Reply::Json(sent), 3);
    site.simulator.script("message_send", Reply::Status(Code::NotFound, "no such discussion".to_owned()), 1);
    site.simulator.script("discussion_get", Reply::Never, 1);
    let texts = ["answer", "answer", "answer", "error", "error", "cpu", "timeout", "denied", "loud", "unanswered"];
    for text in texts {
        site.emit(1, text);
    }
    // The last answer, so that it is the refused one.
    at.until("three answers", |all| all.get("commands_total{command=\"message_send\",code=\"OK\"}") == Some(3.0));
    site.emit(1, "refused");
    site.simulator.emit("bot", "contact_new", json!({ "contact": { "id": 1 } })).unwrap();
    let handled = |all: &Exposition| {
        all.get(&of("notifications_handled_total")) == Some(11.0)
            && all.get(&late("notifications_handled_total")) == Some(11.0)
            && all.get("notifications_handled_total{rule=\"other\",subscription=\"contact_new\"}") == Some(1.0)
    };
    at.until("all handled", handled)
}

#[test]
fn what_is_measured_is_what_happened() {
    let site = site();
    let (host, at) = run(&site, &[]);
    let scraped = exercise(&site, &at);
    let wanted = [
        (of("notifications_received_total"), 11.0),
        (failed("error"), 2.0),
        (failed("cpu"), 1.0),
        (failed("timeout"), 0.0),
        (failed("timeout").replace("answers", "late"), 2.0),
        (failed("denied"), 1.0),
        (failed("memory"), 0.0),
        (failed("given_up"), 0.0),
        (of("notifications_left_out_total"), 0.0),
        (of("queue_waiting"), 0.0),
        (of("queue_running"), 0.0),
        (of("run_seconds_count"), 11.0),
        (of("wait_seconds_count"), 11.0),
        (of("rule_stream_open"), 1.0),
        ("queue_limit".to_owned(), 256.0),
    ];
    assert_all(&scraped, &wanted.each_ref().map(|(series, value)| (series.as_str(), *value)));
    assert_all(
        &scraped,
        &[
            ("commands_total{command=\"message_send\",code=\"OK\"}", 3.0),
            ("commands_total{command=\"message_send\",code=\"NOT_FOUND\"}", 1.0),
            ("commands_total{command=\"discussion_get\",code=\"CANCELLED\"}", 1.0),
            ("command_seconds_count{command=\"message_send\"}", 4.0),
            ("stream_notifications_total{subscription=\"message_received\"}", 11.0),
            ("streams{subscription=\"message_received\",state=\"open\"}", 1.0),
            ("streams{subscription=\"contact_new\",state=\"refused\"}", 0.0),
            ("rules{state=\"running\"}", 3.0),
            ("rules{state=\"disabled\"}", 1.0),
            ("reloads_total{result=\"started\"}", 1.0),
            ("script_memory_limit_bytes{script=\"answers.lua\"}", 67_108_864.0),
            ("script_stalled{script=\"rules.yaml:other\"}", 0.0),
            ("files", 3.0),
            ("ready", 1.0),
        ],
    );
    let within = |bound: &str| scraped.at(&late("run_seconds_bucket").replacen('{', &format!("{{le=\"{bound}\","), 1));
    let (short, all) = (within("0.1"), within("+Inf"));
    // Those that waited took 300 ms, the others next to nothing.
    assert!(all - short >= 1.0 && short >= 1.0, "{short} of {all}");
    assert!(scraped.at(&late("run_seconds_sum")) >= 0.3);
    assert!(scraped.at("script_cpu_seconds_total{script=\"answers.lua\"}") >= 0.03, "{}", scraped.text);
    assert!(scraped.at("script_memory_bytes{script=\"answers.lua\"}") > 10_000.0);
    assert!(scraped.at(&of("log_lines_left_out_total")) >= 5.0, "ten of a rate of one are told");
    for name in ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_threads"] {
        assert!(scraped.at(name) > 0.0, "{name}");
    }
    let now = jiff::Timestamp::now().as_duration().as_secs_f64();
    for name in ["process_start_time_seconds", &of("last_notification_timestamp_seconds")] {
        assert!((now - scraped.at(name)).abs() < 600.0, "{name}");
    }
    let sum = site.command(&[]).get_current_dir().map(|folder| fs::read(folder.join("answers.lua")).unwrap()).unwrap();
    let digest = olvid_rules::rules::inputs::Fingerprint::of(&sum);
    assert_all(&scraped, &[(&format!("file_info{{path=\"answers.lua\",sha256=\"{digest}\"}}"), 1.0)]);
    host.stop();
}

#[test]
fn counts_survive_reloads_and_a_series_ends_with_its_rule() {
    let site = site();
    let (host, at) = run(&site, &[]);
    let before = exercise(&site, &at);
    site.write("answers.lua", format!("{ANSWERS}-- changed\n"));
    let after = at.until("the changed script", |all| all.get("generation") == Some(2.0));
    let kept = [of("notifications_handled_total"), of("run_seconds_count"), failed("error")];
    for series in kept.iter().map(String::as_str).chain(["commands_total{command=\"message_send\",code=\"OK\"}"]) {
        assert_all(&after, &[(series, before.at(series))]);
    }
    let cpu = "script_cpu_seconds_total{script=\"answers.lua\"}";
    assert!(after.at(cpu) >= before.at(cpu), "that of the former VM too");
    assert_all(
        &after,
        &[
            ("script_generation{script=\"answers.lua\"}", 2.0),
            ("script_generation{script=\"rules.yaml:other\"}", 1.0),
            ("reloads_total{result=\"applied\"}", 1.0),
            ("last_reload_success", 1.0),
        ],
    );
    site.write("rules.yaml", "rules:\n  - nam: x\n");
    let rejected = at.until("a rejected reload", |all| all.get("last_reload_success") == Some(0.0));
    assert_all(&rejected, &[("generation", 2.0), ("reloads_total{result=\"rejected\"}", 1.0)]);
    assert!(rejected.get("notifications_handled_total{rule=\"other\",subscription=\"contact_new\"}").is_some());
    site.write("rules.yaml", RULES.replace("- { name: other", "- { name: another"));
    let renamed = at.until("the renamed rule", |all| all.get("generation") == Some(3.0));
    assert!(!renamed.text.contains("rule=\"other\"") && !renamed.text.contains("yaml:other"), "{}", renamed.text);
    assert_all(&renamed, &[("notifications_handled_total{rule=\"another\",subscription=\"contact_new\"}", 0.0)]);
    assert_all(&renamed, &[(&of("notifications_handled_total"), 11.0)]);
    host.stop();
}

#[test]
fn a_host_is_ready_while_its_streams_are_open_and_says_what_it_waits_for() {
    let site = site();
    let (host, at) = run(&site, &["--grace", "60"]);
    let ok = |answer: &Answer| answer.status == 200 && answer.body == "ok\n";
    assert!(ok(&at.get("/readyz")) && ok(&at.get("/healthz")));
    site.simulator.drop_connections();
    let back = |all: &Exposition| {
        all.get("stream_reconnects_total{subscription=\"message_received\"}") == Some(1.0)
            && all.get("ready") == Some(1.0)
    };
    let reopened = at.until("opened streams", back);
    assert!(reopened.at("stream_failures_total{subscription=\"message_received\",code=\"UNAVAILABLE\"}") >= 1.0);
    site.simulator.refuse_subscriptions(Some((Code::Unauthenticated, "no such key")));
    site.simulator.drop_connections();
    let refused = |answer: &Answer| answer.status == 503 && answer.body.matches("no such key").count() == 2;
    let told = at.until_page("/readyz", refused).body;
    let line = "message_received (answers, late): refused: UNAUTHENTICATED: no such key; next try in ";
    assert!(told.lines().any(|told| told.starts_with(line) && told.ends_with(" s")), "{told}");
    assert!(ok(&at.get("/healthz")), "the scripts are well");
    let scraped = at.scrape();
    assert_all(&scraped, &[("ready", 0.0), (&of("rule_stream_open"), 0.0)]);
    assert_all(&scraped, &[("streams{subscription=\"message_received\",state=\"refused\"}", 1.0)]);
    assert!(scraped.at("stream_failures_total{subscription=\"contact_new\",code=\"UNAUTHENTICATED\"}") >= 1.0);
    site.simulator.refuse_subscriptions(None);
    site.write("rules.yaml", format!("{RULES}# again\n"));
    at.until_page("/readyz", ok);
    host.stop();
}

#[test]
fn a_script_that_stands_still_is_not_well() {
    let site = site();
    let (host, at) = run(&site, &[]);
    let Some(held) = Held::script(host.process.id(), "late.lua") else {
        #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
        {
            eprintln!("skipped: it takes a privilege to hold a thread of the host");
        }
        return;
    };
    let told = at.until_page("/healthz", |answer| answer.status == 503).body;
    assert!(told.starts_with("late.lua makes no progress for 1"), "{told}");
    assert!(told.ends_with(" s; these rules stand still: late\n"), "{told}");
    let stalled = |script: &str| format!("script_stalled{{script=\"{script}\"}}");
    assert_all(&at.scrape(), &[(&stalled("late.lua"), 1.0), (&stalled("answers.lua"), 0.0), ("ready", 1.0)]);
    // The others go on.
    site.emit(1, "x");
    at.until("handled", |all| all.get(&of("notifications_handled_total")) == Some(1.0));
    drop(held);
    assert_eq!(at.until_page("/healthz", |answer| answer.status == 200).body, "ok\n");
    host.stop();
}

#[test]
fn a_host_that_stops_is_not_ready() {
    let rules = "rules:\n  - { name: slow, subscription: message_received, handler: slow.lua }\n";
    let site = Site::new(&[("rules.yaml", rules), ("slow.lua", "return function() sleep(20) end")]);
    let (host, at) = run(&site, &["--grace", "2"]);
    site.emit(1, "x");
    at.until("a run", |all| all.get("queue_running{rule=\"slow\",subscription=\"message_received\"}") == Some(1.0));
    host.process.terminate();
    let stopping = at.until_page("/readyz", |answer| answer.status == 503);
    assert_eq!(stopping.body, "the host is stopping\n");
    assert_eq!((at.get("/healthz").status, at.scrape().at("ready")), (200, 0.0));
    let (status, log) = host.process.ended();
    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
}

#[test]
fn the_status_is_the_one_of_the_control_socket() {
    let site = site();
    let (host, at) = run(&site, &[]);
    exercise(&site, &at);
    let answer = at.get("/status");
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    let timeless = |text: &[u8]| {
        let mut status: Json = serde_json::from_slice(text).unwrap();
        for key in ["now", "uptime"] {
            assert!(status.as_object_mut().unwrap().remove(key).is_some());
        }
        status
    };
    let printed = site.command(&["status", "--json"]).output().unwrap();
    assert_eq!(timeless(answer.body.as_bytes()), timeless(&printed.stdout));
    host.stop();
}

#[test]
fn only_a_few_short_questions_are_listened_to() {
    let site = site();
    let (host, at) = run(&site, &[]);
    let At::Port(address) = &at else { panic!() };
    let list = at.get("/");
    assert!(list.status == 200 && list.body.contains("/metrics") && list.body.contains("/readyz"), "{list:?}");
    let nothing = at.get("/metrics/x");
    assert_eq!((nothing.status, nothing.body), (404, list.body));
    let head = at.ask("HEAD", "/metrics", OPENMETRICS);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(!head.head.contains("content-length: 0"), "{}", head.head);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let refused = at.ask(method, "/metrics", "*/*");
        assert_eq!(refused.status, 405);
        assert!(refused.head.contains("allow: GET, HEAD"), "{}", refused.head);
    }
    let plain = at.get("/metrics");
    assert!(plain.head.contains("text/plain; version=0.0.4") && !plain.body.contains("# EOF"), "{}", plain.head);
    for request in [
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(100_000)),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: x\r\n".repeat(1000)),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000)),
        "no request\r\n\r\n".to_owned(),
    ] {
        let answered = at.say(request.as_bytes()).map(|answer| answer.status);
        assert!(answered.is_none_or(|status| (400..500).contains(&status)), "{answered:?}");
    }
    // More than it serves at one time, none of which says all.
    let idle: Vec<_> = (0..20)
        .map(|_| {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
            client
        })
        .collect();
    let since = Instant::now();
    assert_eq!(at.get("/healthz").status, 200);
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    drop(idle);
    host.stop();
}

#[test]
fn a_socket_is_for_the_owner_and_the_group_and_goes_with_the_host() {
    let site = site();
    let path = site.path("http");
    // What a host left that was killed.
    drop(UnixListener::bind(&path).unwrap());
    let host = site.run(&["--listen", "unix:http", "--listen", "[::1]:0", "--listen", "0.0.0.0:0"]);
    let at = At::Socket(path.clone());
    assert_eq!(at.get("/readyz").body, "ok\n");
    assert!(at.scrape().has("olvid_rules_build_info"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let told: Vec<_> = host.process.events("listening", 3).iter().map(|event| event["address"].to_string()).collect();
    assert!(told[0].contains("unix:") && told[1].contains("http://[::1]:"), "{told:?}");
    let notices = host.process.events("notice", 1);
    assert!(notices.len() == 1 && notices[0]["message"].as_str().unwrap().contains("whoever reaches"), "{notices:?}");
    let second = site.command(&["run", "--listen", "./http"]).output().unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(74), "{told}");
    assert!(told.contains("cannot listen at unix:./http") && told.contains("serves"), "{told}");
    assert_eq!(at.get("/healthz").status, 200, "the first one goes on");
    host.stop();
    assert!(!path.exists());
}

#[test]
fn a_host_that_cannot_listen_says_so_before_it_loads_anything() {
    let site = Site::new(&[("rules.yaml", "rules:\n  - nam: x\n"), ("file", "")]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    for (address, code, cause) in [
        (port.as_str(), 74, "Address already in use"),
        ("unix:file", 74, "exists and is no socket"),
        ("unix:no/such/folder", 74, "No such file or directory"),
        ("localhost:9464", 2, "for this machine, write 127.0.0.1:9464"),
        ("somewhere", 2, "expected an address and port such as 127.0.0.1:9464"),
    ] {
        let output = site.command(&["run", "--listen", address]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{address}: {told}");
        assert!(told.contains(cause) && told.contains(address) && !told.contains("nam"), "{address}: {told}");
    }
}

#[test]
fn others_read_the_metrics_as_we_mean_them() {
    let site = site();
    let (host, at) = run(&site, &[]);
    exercise(&site, &at);
    let (open, plain) = (at.ask("GET", "/metrics", OPENMETRICS).body, at.get("/metrics").body);
    if let Some(promtool) = promtool::promtool() {
        promtool::content(&promtool, &["check", "metrics"], &plain);
    }
    if let Some(python) = python::interpreter() {
        site.write("open", &open);
        site.write("plain", &plain);
        let paths = ["open", "plain"].map(|name| site.path(name).display().to_string());
        let mut command = process::python(&python, "metrics.py", &[&paths[0], &paths[1]]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let series: usize = said.split(' ').next().unwrap().parse().unwrap();
        assert!(series > 150, "{said}");
    }
    let log = host.stop();
    assert_eq!(events(&log, "notice").len(), 0, "{}", log.join("\n"));
}

#[test]
fn what_is_packaged_asks_for_what_there_is() {
    let site = site();
    let (host, at) = run(&site, &[]);
    exercise(&site, &at);
    site.simulator.drop_connections();
    at.until("failures of streams", |all| all.has("olvid_rules_stream_failures_total"));
    let scraped = at.scrape();
    host.stop();
    let (dashboard, alerts) = (queries::dashboard(), queries::alerts());
    let mut asked = BTreeSet::new();
    for query in dashboard.iter().chain(&alerts) {
        let metrics = query.metrics();
        assert!(!metrics.is_empty() || query.expression.starts_with("up{"), "{}", query.expression);
        asked.extend(metrics);
    }
    for name in &asked {
        assert!(scraped.has(name) || scraped.has(&format!("{name}_bucket")), "no {name} in\n{}", scraped.text);
    }
    let unasked: Vec<_> = metrics::names().map(|(name, _)| name).filter(|name| !asked.contains(name)).collect();
    assert!(unasked.is_empty(), "on no dashboard and in no alert: {unasked:?}");
    assert!(dashboard.len() > 50 && alerts.len() > 10, "{} {}", dashboard.len(), alerts.len());
}

#[test]
fn the_alerts_and_the_questions_of_the_dashboard_are_what_prometheus_takes() {
    let Some(promtool) = promtool::promtool() else { return };
    let alerts = queries::path("prometheus/alerts.yaml").display().to_string();
    promtool::content(&promtool, &["check", "rules", &alerts], "");
    let tests = queries::path("prometheus/alerts.test.yaml").display().to_string();
    promtool::content(&promtool, &["test", "rules", &tests], "");
    let folder = tempfile::tempdir().unwrap();
    let rules: Vec<_> = queries::dashboard()
        .iter()
        .filter_map(queries::Query::filled_in)
        .enumerate()
        .map(|(number, expression)| json!({ "record": format!("question:{number}"), "expr": expression }))
        .collect();
    let path = folder.path().join("rules.yaml");
    fs::write(&path, json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string()).unwrap();
    promtool::content(&promtool, &["check", "rules", &path.display().to_string()], "");
}
