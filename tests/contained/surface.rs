//! Everything that a script can reach, compared with the list of it: `surface.txt`.

use std::{collections::BTreeSet, env, fs};

use crate::{
    harness::{PATIENCE, site, with_program},
    script::folder,
    told::{Line, Told},
};

/// Where the methods of received objects are.
const METHODS: &str = include_str!("../../src/lua/methods.lua");

const RULES: &str = "rules:
  - { name: surface, subscription: message_received, handler: surface.lua, log_rate: 0, output: 8MiB, cpu: 10s }
";

/// A module that lists every word of the methods' file.
fn words() -> String {
    let words = METHODS.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let words: BTreeSet<&str> = words.filter(|word| !word.is_empty()).collect();
    let quoted: Vec<_> = words.into_iter().map(|word| format!("\"{word}\"")).collect();
    format!("return {{ {} }}", quoted.join(", "))
}

#[test]
fn a_script_reaches_what_is_listed_and_nothing_else() {
    let site = site();
    site.write("rules.yaml", RULES);
    site.write("words.lua", words());
    let command = site.command(&["run", "--log-format", "json", "rules.yaml"]);
    let told = Told::start(&mut with_program(&command, "OLVID_RULES_TEST_PROGRAM"));
    assert!(told.until(PATIENCE, |lines| lines.iter().any(|line| line.event["event"] == "feed_opened")));
    site.emit(1, "x");
    let is_last = |line: &Line| line.event["message"] == "surface end" || line.event["event"] == "run_failed";
    assert!(told.until(PATIENCE, |lines| lines.iter().any(is_last)), "{}", told.last(10));
    let lines = told.lines();
    assert!(lines.0.iter().all(|line| line.event["event"] != "run_failed"), "{:?}", lines.0.last());
    let mut found = String::new();
    for path in lines.0.iter().filter_map(|line| line.text_of("message").strip_prefix("surface ")) {
        if path != "end" {
            found += path;
            found.push('\n');
        }
    }
    let golden = folder().join("surface.txt");
    if env::var_os("UPDATE_CONTAINED").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    let differs = |one: &str, other: &str| {
        one.lines().filter(|line| !other.lines().any(|other| other == *line)).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(
        found == expected,
        "new: {:#?}\ngone: {:#?}\nUPDATE_CONTAINED=1 accepts it",
        differs(&found, &expected),
        differs(&expected, &found)
    );
}
