//! What one script does to itself, and what its operator sees of it.

use super::{Site, events, status, versioned};

const RULES: &str = "rules:
  - { name: hoarder, subscription: message_received, handler: hoarder.lua, memory: 8MiB, order: rule }
  - { name: other, subscription: message_received, handler: other.lua }
";

const HOARDER: &str = "local kept = {}
return function(notification)
  if notification.message.body == 'more' then
    while true do kept[#kept + 1] = ('x'):rep(1000) .. #kept end
  end
  print('kept ' .. #kept)
end
";

#[test]
fn a_script_that_keeps_all_its_memory_is_loaded_anew_and_goes_on_without_a_loss() {
    let site = Site::new(&[("rules.yaml", RULES), ("hoarder.lua", HOARDER), ("other.lua", &versioned("one"))]);
    let host = site.begin(&[]);
    host.process.events("feed_opened", 1);
    for body in ["more", "less"] {
        site.emit(1, body);
    }
    host.process.events("script_spent", 1);
    let said = host.said(3);
    for line in ["kept 0", "one more 1", "one less 2"] {
        assert!(said.iter().any(|said| said == line), "{said:?}");
    }
    let failed = host.process.events("run_failed", 1);
    assert_eq!((&failed[0]["kind"], &failed[0]["rule"]), (&"memory".into(), &"hoarder".into()), "{failed:?}");
    assert_eq!(failed[0]["place"], "hoarder.lua:4");
    let status = status(&site);
    assert_eq!((&status["counters"]["failed"], &status["reload"]["scripts"]), (&1.into(), &["hoarder.lua"].into()));
    let log = host.stop();
    assert_eq!(events(&log, "feed_opened").len(), 1, "its stream stayed open");
}

#[test]
fn a_script_that_is_full_is_loaded_anew_though_a_mistake_stands_elsewhere() {
    let site = Site::new(&[("rules.yaml", RULES), ("hoarder.lua", HOARDER), ("other.lua", &versioned("one"))]);
    let host = site.begin(&[]);
    host.process.events("feed_opened", 1);
    site.write("rules.yaml", format!("{RULES}  - {{ name: third, subscription: no_such_thing, handler: x.lua }}\n"));
    host.process.events("reload_rejected", 1);
    for body in ["more", "less"] {
        site.emit(1, body);
    }
    host.process.events("script_replaced", 1);
    let said = host.said(3);
    assert!(said.iter().any(|said| said == "kept 0"), "{said:?}");
    let log = host.stop();
    assert_eq!(events(&log, "script_replaced")[0]["script"], "hoarder.lua");
    assert!(events(&log, "reloaded").is_empty(), "the mistake is still there");
}

#[test]
fn a_script_that_computes_for_ever_while_it_is_loaded_is_a_mistake() {
    let rules = "rules:\n  - { name: a, subscription: message_received, handler: a.lua }\n";
    let script = "local function f()\n  while true do pcall(error) end\nend\npcall(f)\n";
    let site = Site::new(&[("rules.yaml", rules), ("a.lua", script)]);
    let output = site.command(&["check", "--format", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told[0]["code"], &told[0]["line"]), (&"script-failed".into(), &2.into()), "{told:#}");
    let message = told[0]["message"].as_str().unwrap();
    // On a busy machine the wall clock is first.
    let expected = [
        "the script fails while it is loaded: it is not done after 2s of CPU",
        "the script fails while it is loaded: it is not done after 10s",
        "`a.lua` does not finish loading: it was given up after 10s",
    ];
    assert!(expected.contains(&message), "{message}");
}
