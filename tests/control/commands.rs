//! `status` and `reload` as they are typed: which host is meant, what is printed where, and the exit codes.

use super::*;

const SOCKET: &str = "work/x.sock";

/// A host to which everything happened that a person must be told of, in the words of strangers.
fn troubled() -> Json {
    let mut status = status(Path::new("/srv/\u{1b}[31mbot"));
    status["generation"] = 3.into();
    // The machine slept for an hour of them.
    status["uptime"] = 3600.4.into();
    status["reload"] = outcome("rejected", 3);
    status["reload"]["trigger"] = "files".into();
    status["reload"]["text"] = "error[yaml]: \u{1b}]0;t\u{7}no `x`\n --> rules.yaml:4:19\n".into();
    let names: Vec<String> = (0..8).map(|number| format!("rule {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut opening = feed("message_received", &names, "opening");
    opening["cause"] = "connection refused\n00:00:00 error \u{202e}forged".into();
    opening["next_try"] = "2026-05-01T14:00:12Z".into();
    let mut refused = feed("group_member_permissions_updated", &["bad"], "refused");
    refused["cause"] = format!("INVALID_ARGUMENT: {}", "long ".repeat(200)).into();
    refused["next_try"] = "2026-05-01T14:09:00Z".into();
    let done = feed("contact_new", &["once"], "completed");
    status["feeds"] = json!([feed("group_new", &["g"], "open"), opening, refused, done]);
    let mut failing = rule(&"long name ".repeat(12), "group_member_permissions_updated", "refused");
    failing["failed"] = 3.into();
    let mut full = rule("\u{1b}[2Jclear\nrunning since ever", "message_received", "opening");
    (full["queued"], full["running"], full["handled"]) = (240.into(), 16.into(), 1_234_567.into());
    let mut disabled = rule("off", "message_sent", "disabled");
    disabled["enabled"] = false.into();
    status["rules"] = json!([rule("g", "group_new", "open"), failing, full, disabled]);
    status
}

#[tokio::test]
async fn people_read_what_is_wrong_before_everything_else() {
    let quiet = |machine: &Machine| status(&machine.path("work"));
    let reloaded = |result: &str| {
        let mut status = status(Path::new("/srv/bot"));
        status["reload"] = outcome(result, 4);
        status
    };
    let machine = Machine::new();
    let mut nothing = status(Path::new("/srv/bot"));
    (nothing["rules"], nothing["feeds"]) = (json!([]), json!([]));
    let cases = [
        ("troubled", troubled()),
        ("applied", reloaded("applied")),
        ("unchanged", reloaded("unchanged")),
        ("empty", nothing),
    ];
    for (name, status) in cases {
        let (_requests, _host) = machine.host(SOCKET, status).await;
        let output = machine.typed(&["status", "--control-socket", "x.sock"]).await;
        assert_eq!((output.status.code(), told(&output).as_str()), (Some(0), ""));
        let shown = out(&output);
        assert!(!shown.chars().any(|found| (found.is_control() && found != '\n') || found == '\u{202e}'), "{shown:?}");
        insta::assert_snapshot!(name, shown);
    }
    let status = quiet(&machine);
    let (_requests, _host) = machine.host(SOCKET, status.clone()).await;
    let json = machine.typed(&["status", "--json", "--control-socket", "x.sock"]).await;
    assert_eq!(out(&json), format!("{status:#}\n"), "as the host says it");
}

#[tokio::test]
async fn the_table_of_rules_fits_a_terminal() {
    let machine = Machine::new();
    let (_requests, _host) = machine.host(SOCKET, troubled()).await;
    let shown = out(&machine.typed(&["status", "--control-socket", "x.sock"]).await);
    let table = &shown[shown.find("RULE  ").unwrap()..];
    assert_eq!(table.lines().count(), 5);
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[tokio::test]
async fn a_reload_that_is_waited_for_tells_its_outcome() {
    let machine = Machine::new();
    let mut rejected = outcome("rejected", 3);
    rejected["text"] = "error[yaml]: no `\u{1b}x`\n --> rules.yaml:4:19\n".into();
    let mut warned = outcome("applied", 4);
    warned["text"] = "warning[w]: hm\n".into();
    let applied = "reloaded: generation 4 (1 added, 0 removed, 2 changed, 43 kept; 1 script replaced) in 12 ms\n";
    let mistakes = "error[yaml]: no `\\u{1b}x`\n --> rules.yaml:4:19\n\nrejected: the running rules stay as they are (generation 3)\n";
    let cases = [
        (outcome("applied", 4), applied, "", 0),
        (warned, applied, "warning[w]: hm\n\n", 0),
        (outcome("unchanged", 4), "nothing changed (generation 4)\n", "", 0),
        (rejected, "", mistakes, 1),
    ];
    for (outcome, printed, mistakes, code) in cases {
        let (requests, host) = machine.host(SOCKET, status(&machine.path("work"))).await;
        let answering = tokio::spawn(answered(requests, outcome.clone()));
        let output = machine.typed(&["reload", "--wait", "--control-socket", "x.sock"]).await;
        assert_eq!((out(&output).as_str(), told(&output).as_str()), (printed, mistakes));
        assert_eq!(output.status.code(), Some(code));
        let json = machine.typed(&["reload", "--wait", "--format", "json", "--control-socket", "x.sock"]).await;
        assert_eq!((out(&json), told(&json).as_str()), (format!("{outcome:#}\n"), ""));
        assert_eq!(json.status.code(), Some(code));
        drop(host);
        answering.await.unwrap();
    }
}

/// Answers each reload with this outcome.
async fn answered(mut requests: mpsc::Receiver<Request>, outcome: Json) {
    while let Some(Request::Reload(waiting)) = requests.recv().await {
        waiting.unwrap().send(outcome.clone()).unwrap();
    }
}

#[tokio::test]
async fn a_reload_that_is_not_waited_for_is_asked_for() {
    let machine = Machine::new();
    let (mut requests, _host) = machine.host(SOCKET, status(&machine.path("work"))).await;
    let output = machine.typed(&["reload", "--control-socket", "x.sock"]).await;
    assert_eq!((out(&output).as_str(), output.status.code()), ("asked for a reload\n", Some(0)));
    assert!(matches!(requests.try_recv(), Ok(Request::Reload(None))));
    let json = machine.typed(&["reload", "--format", "json", "--control-socket", "x.sock"]).await;
    assert_eq!(serde_json::from_str::<Json>(&out(&json)).unwrap(), json!({ "asked": true }));
}

#[tokio::test]
async fn a_host_that_stops_meanwhile_is_told() {
    let machine = Machine::new();
    let (mut requests, host) = machine.host(SOCKET, status(&machine.path("work"))).await;
    let stopping = tokio::spawn(async move {
        let asked = requests.recv().await;
        drop(host);
        asked
    });
    let output = machine.typed(&["reload", "--wait", "--control-socket", "x.sock"]).await;
    assert!(told(&output).contains("closed the connection without an answer"), "{}", told(&output));
    assert_eq!(output.status.code(), Some(69));
    drop(stopping.await);
    let (requests, _host) = machine.host(SOCKET, status(&machine.path("work"))).await;
    drop(requests);
    let output = machine.typed(&["reload", "--wait", "--control-socket", "x.sock"]).await;
    assert!(told(&output).contains("the host is stopping"), "{}", told(&output));
    assert_eq!(output.status.code(), Some(69));
}

#[tokio::test]
async fn without_a_host_one_is_told_where_was_looked() {
    let machine = Machine::new();
    machine.session();
    machine.corpse("session/olvid-rules/1.sock");
    machine.corpse(SOCKET);
    for command in ["status", "reload"] {
        let output = machine.typed(&[command]).await;
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(69), ""));
        let text = told(&output);
        let temporary = format!("tmp/olvid-rules-{}/*.sock", uid(&machine));
        for part in [
            "no host is running",
            "/run/olvid-rules/control.sock",
            "session/olvid-rules/*.sock",
            &temporary,
            "olvid-rules run",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let given = machine.typed(&[command, "--control-socket", "x.sock"]).await;
        assert!(told(&given).contains("no host answers at `x.sock`"), "{}", told(&given));
        assert_eq!(given.status.code(), Some(69));
        let nowhere = machine.typed(&[command, "--control-socket", "nowhere/x.sock"]).await;
        assert_eq!(nowhere.status.code(), Some(69));
    }
}

#[tokio::test]
async fn a_host_is_found_wherever_it_may_be() {
    let machine = Machine::new();
    let elsewhere = status(&machine.path("elsewhere"));
    let own = Control::open(&machine.surroundings()).await.unwrap();
    machine.corpse("session/olvid-rules/1.sock");
    let (_requests, host) = own.serve(move || elsewhere.clone());
    assert_eq!(machine.typed(&["status"]).await.status.code(), Some(0), "the only one, of another directory");
    drop(host);
    let (_requests, _host) = machine.host("service/control.sock", status(&machine.path("work"))).await;
    assert_eq!(machine.typed(&["status"]).await.status.code(), Some(69));
    let service = format!("{}:/nowhere", machine.path("service").display());
    for (name, value) in
        [("RUNTIME_DIRECTORY", service.as_str()), ("OLVID_RULES_CONTROL_SOCKET", "../service/control.sock")]
    {
        let mut command = machine.command(&["status"]);
        command.env(name, value);
        assert_eq!(ended(command).await.status.code(), Some(0), "{name}");
    }
}

#[tokio::test]
async fn of_several_hosts_the_one_of_this_directory_is_meant() {
    let machine = Machine::new();
    machine.session();
    let host = |name: &'static str, folder: &str| machine.host(name, status(&machine.path(folder)));
    let (_first, _one) = host("session/olvid-rules/1.sock", "elsewhere").await;
    let (mut second, two) = host("session/olvid-rules/2.sock", "work").await;
    assert_eq!(machine.typed(&["reload"]).await.status.code(), Some(0));
    assert!(second.try_recv().is_ok(), "it was asked, and not the other");
    drop(two);
    let (_second, _two) = host("session/olvid-rules/2.sock", "tmp").await;
    let ambiguous = machine.typed(&["status"]).await;
    let text = told(&ambiguous);
    for part in ["1.sock: rules.yaml rules.d in", "2.sock: rules.yaml rules.d in", "elsewhere", "--control-socket"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(ambiguous.status.code(), Some(2));
    let named = machine.path("session/olvid-rules/2.sock");
    let named = machine.typed(&["status", "--control-socket", named.to_str().unwrap()]).await;
    assert_eq!(named.status.code(), Some(0));
}

#[tokio::test]
async fn what_answers_like_no_host_is_told() {
    let machine = Machine::new();
    let (_requests, _host) = machine.host(SOCKET, json!({ "rules": "none" })).await;
    let output = machine.typed(&["status", "--control-socket", "x.sock"]).await;
    assert!(told(&output).contains("of another version"), "{}", told(&output));
    assert_eq!(output.status.code(), Some(69));
    let listener = tokio::net::UnixListener::bind(machine.path("work/y.sock")).unwrap();
    let rubbish = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 \x1b[31m\r\n\r\n").await.unwrap();
    });
    let output = machine.typed(&["status", "--control-socket", "y.sock"]).await;
    assert!(told(&output).contains("its answer is no JSON"), "{}", told(&output));
    assert_eq!(output.status.code(), Some(69));
    rubbish.await.unwrap();
}

#[tokio::test]
async fn others_may_not_use_the_socket() {
    let machine = Machine::new();
    let (mut requests, host) = machine.host(SOCKET, status(&machine.path("work"))).await;
    fs::set_permissions(machine.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let typed = |command: &str| {
        let mut command = machine.command(&[command, "--control-socket", "x.sock"]);
        as_nobody(&mut command, &machine);
        command
    };
    // Root may open everything; others not even their own.
    if uid(&machine) != 0 {
        fs::set_permissions(host.path(), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let output = ended(typed("status")).await;
    assert!(told(&output).contains("is for the user of its host"), "{}", told(&output));
    assert_eq!(output.status.code(), Some(77));
    if uid(&machine) == 0 {
        // What the file's mode lets through, the host does not.
        fs::set_permissions(host.path(), fs::Permissions::from_mode(0o666)).unwrap();
        for command in ["status", "reload"] {
            let output = ended(typed(command)).await;
            assert_eq!((output.status.code(), out(&output).as_str()), (Some(77), ""), "{}", told(&output));
        }
    }
    assert!(requests.try_recv().is_err());
}
