//! The keys: whatever is done, they are in nothing that the program prints, answers, writes or shows of itself.
//!
//! Every secret here holds the same canary, and so does nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "metrics/http.rs"]
mod http;
#[path = "support/process.rs"]
mod process;
#[path = "secrets/scene.rs"]
mod scene;
#[path = "reload_files/site.rs"]
mod site;
#[path = "secrets/starts.rs"]
mod starts;

use std::thread;

use http::{At, OPENMETRICS};
use olvid_rules::simulator::Reply;
use process::Process;
use scene::{ADMIN_KEY, KEY, Scene, assert_closed, assert_secret};
use tonic::Code;

const RULES: &str = "rules:
  - { name: reach, subscription: message_received, handler: reach.lua }
  - { name: other, subscription: contact_new, handler: reach.lua }
";

const REACH: &str = include_str!("secrets/reach.lua");

/// Where a host answers over HTTP, from its folder.
const ENDPOINT: &str = "unix:../runtime/http";

/// A way of giving keys: variables, files in the folder, arguments.
type Given = (Vec<(&'static str, String)>, Vec<(&'static str, String)>, Vec<&'static str>);

fn variables(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// All ways of giving keys; the identity is the bot's, for whom an administrator acts.
fn ways(identity: &str) -> Vec<Given> {
    let client = ("OLVID_CLIENT_KEY", KEY);
    let admin = [("OLVID_ADMIN_CLIENT_KEY", ADMIN_KEY), ("OLVID_IDENTITY_ID", identity)];
    let file = || vec![("key", format!("{KEY}\n"))];
    let dotenv = format!(
        "OLVID_CLIENT_KEY={KEY}\nOLVID_ADMIN_CLIENT_KEY='{ADMIN_KEY}'\nOLVID_IDENTITY_ID={identity}\nno line {KEY}\n"
    );
    vec![
        (variables(&[client]), vec![], vec![]),
        (variables(&admin), vec![], vec![]),
        (variables(&[client, admin[0], admin[1], ("OLVID_ADMIN_CLIENT_KEY_OPS", ADMIN_KEY)]), vec![], vec![]),
        // One that is set beside the file that counts.
        (variables(&[client]), file(), vec!["--client-key-file", "key"]),
        (variables(&[("OLVID_CLIENT_KEY_FILE", "key")]), file(), vec![]),
        (
            variables(&[("CREDENTIALS_DIRECTORY", "../credentials")]),
            vec![("../credentials/olvid-client-key", KEY.to_owned())],
            vec![],
        ),
        (vec![], vec![(".env", dotenv)], vec![]),
    ]
}

/// Starts a host on the scene, and waits until its streams are open: so the key was found.
fn start(scene: &Scene, given: &Given, format: &str) -> Process {
    let (variables, files, arguments) = given;
    for (name, content) in files {
        scene.write(name, content);
    }
    let mut command = scene.command(&["run", "--log-level", "debug", "--log-format", format, "--listen", ENDPOINT]);
    command.args(arguments).envs(variables.iter().map(|(name, value)| (*name, value)));
    let host = Process::start(&mut command);
    host.when("open streams", |_| (scene.simulator.streams().len() == 2).then_some(()));
    host
}

/// The keys that the host is given.
fn keys((variables, files, _): &Given) -> Vec<&'static str> {
    let texts: Vec<_> = variables.iter().chain(files).map(|(_, text)| text.as_str()).collect();
    [KEY, ADMIN_KEY].into_iter().filter(|key| texts.iter().any(|text| text.contains(key))).collect()
}

/// Does all that a host may be asked, and returns what was answered.
fn exercise(scene: &Scene, host: &Process, keys: &[&str]) -> String {
    // Whole, and where the words are cut.
    let repeats = format!("{:.<500}{}", keys.concat(), keys[0]);
    scene.simulator.script("message_react", Reply::Status(Code::Internal, repeats), 10);
    scene.say("look");
    let reached = host.until("what is reached", |line| line.contains("reached ").then(|| line.to_owned()));
    assert!(reached.contains("reached nothing"), "{reached}");
    assert!(!reached.contains("of little"), "{reached}");
    let mut answers = String::new();
    for arguments in [&["status"][..], &["status", "--json"], &["reload", "--wait", "--format", "json"]] {
        answers += &scene.typed(arguments).1;
    }
    for line in [
        "{\"command\":\"status\"}",
        "{\"command\":\"environment\"}",
        "no line",
        "{\"command\":\"reload\",\"wait\":true}",
    ] {
        answers += &scene.asked(line);
    }
    scene.write("rules.yaml", "rules:\n  - nam: x\n");
    answers += &scene.typed(&["reload", "--wait"]).1;
    scene.write("rules.yaml", RULES);
    answers += &scene.typed(&["reload", "--wait"]).1;
    let unchanged = |lines: &[String]| lines.iter().filter(|line| line.contains("nothing has changed")).count();
    answers += &pages(scene);
    let before = unchanged(&host.printed());
    host.signal("HUP");
    host.when("the reload at the signal", |lines| (unchanged(lines) > before).then_some(()));
    answers
}

/// All that the host answers over HTTP.
fn pages(scene: &Scene) -> String {
    let at = At::Socket(scene.beside("runtime/http"));
    let mut answers = String::new();
    for (method, path, accept) in [
        ("GET", "/", "*/*"),
        ("GET", "/metrics", "*/*"),
        ("GET", "/metrics", OPENMETRICS),
        ("GET", "/healthz", "*/*"),
        ("GET", "/readyz", "*/*"),
        ("GET", "/status", "*/*"),
        ("GET", "/environment", "*/*"),
        ("POST", "/status", "*/*"),
    ] {
        let answer = at.ask(method, path, accept);
        answers += &(answer.head + &answer.body);
    }
    assert!(answers.contains("olvid_rules_build_info"), "{answers}");
    answers
}

/// Takes a host through all that may happen to it.
fn live(way: usize, format: &str) {
    let scene = Scene::new(&[("rules.yaml", RULES), ("reach.lua", REACH)]);
    let given = &ways(&scene.simulator.identity_id("bot").unwrap().to_string())[way];
    let host = start(&scene, given, format);
    assert_closed(&host);
    let answers = exercise(&scene, &host, &keys(given));
    assert!(answers.contains("\"pid\"") && answers.contains("nam"), "{answers}");
    assert_secret("an answer", answers.as_bytes());
    // The key was read again at the signal, and still is the key.
    scene.simulator.drop_connections();
    host.when("new streams", |_| (scene.simulator.opened("bot") == 4).then_some(()));
    // A daemon that does not know it says so, and repeats it.
    scene.simulator.refuse_subscriptions(Some((Code::Unauthenticated, &keys(given).concat())));
    scene.simulator.drop_connections();
    host.until("the refusal", |line| line.contains("UNAUTHENTICATED").then_some(()));
    let told = pages(&scene);
    assert!(told.contains("UNAUTHENTICATED"), "{told}");
    assert_secret("what is answered over HTTP", told.as_bytes());
    assert_secret("the status", (scene.typed(&["status"]).1 + &scene.typed(&["status", "--json"]).1).as_bytes());
    assert_closed(&host);
    host.terminate();
    let (status, printed) = host.ended();
    assert_eq!(status.code(), Some(0), "{}", printed.join("\n"));
    let log = printed.join("\n");
    assert_secret("the log", log.as_bytes());
    assert!(!log.contains("the former key goes on"), "{log}");
    scene.assert_nothing_left();
}

#[test]
fn however_a_key_is_given_it_comes_out_nowhere() {
    thread::scope(|all| {
        for (way, format) in (0..7).zip(["json", "human"].into_iter().cycle()) {
            all.spawn(move || live(way, format));
        }
    });
}
