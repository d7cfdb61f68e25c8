//! What can be seen of a running set that does not go on.

use std::fs;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::*;
use crate::{
    daemon::{Secret, Settings, TlsFiles},
    simulator::{Options, Simulator},
};

const PATIENCE: Duration = Duration::from_mins(1);

/// A set of rules that listens to a simulated daemon.
async fn running(folder: &TempDir, rules: &str) -> (Simulator, Engine) {
    fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let settings = Settings {
        url: simulator.url(),
        tls: TlsFiles::default(),
        client_key: Some(Secret::new("bot").unwrap()),
        admin: None,
        max_message_size: 64 << 20,
    };
    let mut engine = Engine::new(&Daemon::new(settings).unwrap(), &Reporter::default());
    let started = engine.reload(&[folder.path().join("rules.yaml")], Trigger::Start).await;
    assert_eq!(started.result, ReloadResult::Started, "{:#?}", started.diagnostics);
    timeout(PATIENCE, simulator.subscribers("bot", engine.feeds())).await.unwrap();
    (simulator, engine)
}

#[tokio::test]
async fn the_script_that_stands_still_is_named_with_its_rules_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("stuck.lua"), "return function() spin() end").unwrap();
    let rules = "rules:
  - { name: one, subscription: message_received, handler: stuck.lua, cpu: 10ms }
  - { name: two, subscription: message_received, handler: stuck.lua, cpu: 10ms }
  - { name: other, subscription: message_received, lua: log.info('hi') }
";
    let (simulator, mut engine) = running(&folder, rules).await;
    let (board, now) = (Arc::clone(engine.board()), Instant::now());
    let discussions =
        simulator.call("alice", "discussion_list", &json!({ "filter": { "title_search": "bot" } })).unwrap();
    let request = json!({ "discussion_id": discussions[0]["id"], "body": "hi" });
    simulator.call("alice", "message_send", &request).unwrap();
    let runs = async {
        while engine.running.scripts.values().all(|(script, _)| !script.is_lost()) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, runs).await.unwrap();
    let hours = |hours| board.stalled(now + Duration::from_hours(hours));
    assert_eq!((hours(0), hours(1)), (vec![], vec![]));
    // The other one answers in between.
    let told = async {
        for at in 2.. {
            if let [stalled] = &hours(at)[..] {
                return stalled.clone();
            }
            sleep(Duration::from_millis(1)).await;
        }
        unreachable!("for ever is long enough")
    };
    let stalled = timeout(PATIENCE, told).await.unwrap();
    let stuck = folder.path().join("stuck.lua").display().to_string();
    assert_eq!((&stalled.script, stalled.rules.join(" ").as_str()), (&stuck, "one two"));
    // Nobody has replaced it, as a host does; the next load does.
    let reloaded = engine.reload(&[folder.path().join("rules.yaml")], Trigger::Command).await;
    assert_eq!(reloaded.scripts, [stuck], "{:#?}", reloaded.diagnostics);
    assert_eq!((hours(1_000_000), hours(1_000_000)), (vec![], vec![]));
    fs::write(folder.path().join("come back"), "").unwrap();
    engine.stop(Duration::ZERO).await;
}
