//! Instructions of each step, counted under callgrind, beside those that are known.

use std::{collections::BTreeMap, env, fs, path::Path, process::Command};

use super::{TOLERANCE, work::Step};

/// Counts all steps and tells them; whether none takes too many.
pub(crate) fn compare(update: bool) -> bool {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/steps/instructions.json");
    let known: BTreeMap<String, u64> =
        if update { BTreeMap::new() } else { serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap() };
    println!("| step | known | counted | |\n| --- | --- | --- | --- |");
    let mut counted = BTreeMap::new();
    let mut wrong = 0;
    for step in Step::COUNTED {
        let (name, took) = (step.name(), instructions(step));
        if let Some(known) = known.get(&name) {
            #[expect(clippy::cast_precision_loss, reason = "a share of it is told")]
            let more = took as f64 / *known as f64 - 1.0;
            let verdict = match more {
                more if more > TOLERANCE => "TOO MANY",
                more if more < -TOLERANCE => "fewer: --update",
                _ => "",
            };
            wrong += usize::from(more > TOLERANCE);
            println!("| {name} | {known} | {took} | {:+.1} % {verdict} |", more * 100.0);
        } else {
            wrong += usize::from(!update);
            println!("| {name} | | {took} | |");
        }
        counted.insert(name, took);
    }
    if update {
        fs::write(&file, serde_json::to_string_pretty(&counted).unwrap() + "\n").unwrap();
    }
    if wrong > 0 {
        eprintln!(
            "{wrong} steps take over {:.0} % more instructions than benches/steps/instructions.json has. If that is meant: \
             cargo bench --profile counted --bench steps -- --count --update",
            TOLERANCE * 100.0
        );
    }
    wrong == 0
}

/// How often a step is counted; the least is what it takes.
const ROUNDS: usize = 3;

/// Instructions of doing a step once.
fn instructions(step: Step) -> u64 {
    let times = step.times();
    let once = || counted(step, 2 * times).saturating_sub(counted(step, times)) / times;
    (0..ROUNDS).map(|_| once()).min().unwrap_or_default()
}

/// Instructions of a process that does it so often.
fn counted(step: Step, times: u64) -> u64 {
    let out = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-instr=no"])
        .arg(format!("--callgrind-out-file={}", out.path().display()))
        .arg(env::current_exe().unwrap())
        .args(["--repeat", &step.name(), &times.to_string()])
        .output();
    let output = output.unwrap_or_else(|error| panic!("valgrind: {error}; it is in the package of that name"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = fs::read_to_string(out.path()).unwrap();
    let totals = told.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    totals.and_then(|totals| totals.split_whitespace().next()?.parse().ok()).unwrap()
}
