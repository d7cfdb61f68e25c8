//! Scripts that must not start: `check` and `run` refuse them, in time and for the right reason.

use std::thread;

use serde_json::Value as Json;

use crate::{
    harness::{Complaints, PATIENCE, discussion, judge_line, site, with_program},
    script::Script,
    site::{KEY, Site},
    told::{Line, Told, cut},
};

/// What `check` says of a script: the mistakes; and what is wrong with that. A script that is refused has little time.
pub(crate) fn check(site: &Site, script: &Script) -> (Vec<String>, Option<String>) {
    let file = format!("{}.yaml", script.name);
    let default = |(key, _): &(&str, &str)| script.key(key).is_none();
    let keys: Vec<_> = [("cpu", "200ms"), ("memory", "8MiB")].into_iter().filter(default).collect();
    site.write(&file, script.rules(discussion(0), &keys));
    let mut told = Told::start(&mut site.command(&["check", "--format", "json", &file]));
    let Some((status, lines)) = told.ended(PATIENCE) else {
        return (Vec::new(), Some("`check` does not end".to_owned()));
    };
    let text: String = lines.iter().map(|line| line.text.as_str()).collect();
    let rows: Vec<Json> = serde_json::from_str(&text).unwrap_or_default();
    let mistakes: Vec<_> = rows.iter().filter_map(|row| row["message"].as_str().map(str::to_owned)).collect();
    let is_right = status.code() == Some(i32::from(!mistakes.is_empty())) && !text.contains(KEY);
    let complaint = (!is_right).then(|| format!("{status}: {}", cut(&text)));
    (mistakes, complaint)
}

/// What must be refused at the start is refused, by `check` and by `run`, each of it for its own reason.
pub(crate) fn refuse(scripts: &[Script]) {
    let site = &site();
    let refused: Vec<_> = scripts.iter().filter(|script| script.may_be_refused()).collect();
    let mut complaints = Complaints::default();
    let halves = refused.chunks(refused.len().div_ceil(2).max(1));
    thread::scope(|scope| {
        let check_all = |half: &[&Script]| half.iter().map(|script| check(site, script)).collect::<Vec<_>>();
        let all: Vec<_> = halves.map(|half| scope.spawn(move || check_all(half))).collect();
        let found = all.into_iter().flat_map(|half| half.join().unwrap());
        for (script, (mistakes, complaint)) in refused.iter().zip(found) {
            let fits = mistakes.iter().any(|mistake| script.outcome("load", mistake).is_some());
            if complaint.is_some() || !(fits || script.may_run()) {
                complaints.add(&script.name, format!("{mistakes:?} {}", complaint.unwrap_or_default()));
            }
        }
    });
    let refused: Vec<_> = refused.into_iter().filter(|script| !script.may_run()).collect();
    let files: Vec<_> = refused.iter().map(|script| format!("{}.yaml", script.name)).collect();
    let arguments =
        [&["run", "--log-format", "json"][..], &files.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    let mut told = Told::start(&mut with_program(&site.command(&arguments), "OLVID_RULES_TEST_PROGRAM"));
    let Some((status, lines)) = told.ended(PATIENCE) else {
        complaints.add("run", format!("it is not refused\n{}", told.last(10)));
        return complaints.assert_none();
    };
    if status.code() != Some(1) {
        complaints.add("run", status.to_string());
    }
    for script in refused {
        let is_told = |line: &Line| {
            let is_load = line.event["event"] == "load_rejected" && line.event["kind"] == "load";
            is_load && line.text.contains(&script.name) && script.outcome("load", line.text_of("message")).is_some()
        };
        if !lines.iter().any(is_told) {
            complaints.add(&script.name, "`run` does not tell it");
        }
    }
    for line in &lines {
        judge_line(line, &mut complaints);
    }
    complaints.assert_none();
}
