//! The steps of a notification by themselves: bytes to tables and back, from a queue through a handler, rules from a file.
//!
//! `cargo bench --bench steps` measures their time with criterion. Time differs from machine to machine and from run to run;
//! the number of instructions hardly does: `-- --count` counts them under callgrind, and fails where a step takes more than
//! [`TOLERANCE`] more than benches/steps/instructions.json has. `-- --count --update` writes that file anew.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a bench that cannot measure fails")]

#[path = "steps/count.rs"]
mod count;
#[path = "steps/work.rs"]
mod work;
#[path = "support/written.rs"]
mod written;

use std::process::ExitCode;

use clap::Parser;
use criterion::Criterion;

use work::Step;

/// By which part more instructions a step may take than it is known to.
const TOLERANCE: f64 = 0.05;

#[derive(Parser)]
struct Arguments {
    /// Count instructions and compare them with those that are known
    #[arg(long)]
    count: bool,
    /// What was counted is what is known from here on
    #[arg(long, requires = "count")]
    update: bool,
    /// Do a step so many times, for whoever counts
    #[arg(long, hide = true, num_args = 2, value_names = ["STEP", "TIMES"])]
    repeat: Vec<String>,
}

fn main() -> ExitCode {
    // What criterion is asked for it reads itself.
    let ours = std::env::args().any(|argument| ["--count", "--repeat", "--update"].contains(&argument.as_str()));
    if !ours {
        let mut criterion = Criterion::default().configure_from_args();
        for step in Step::all() {
            let mut work = step.prepare();
            criterion.bench_function(&step.name(), |bench| bench.iter(&mut work));
        }
        criterion.final_summary();
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse_from(std::env::args().filter(|argument| argument != "--bench"));
    if let [step, times] = &*arguments.repeat {
        let mut work = Step::named(step).prepare();
        (0..times.parse().unwrap()).for_each(|_| work());
        return ExitCode::SUCCESS;
    }
    if count::compare(arguments.update) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
