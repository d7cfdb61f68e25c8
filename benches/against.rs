//! Side by side, in one run: the real program, the published Python client, and clients that do the least there is to do.
//!
//! `cargo bench --bench against` measures everything and prints tables; `-- throughput`, `-- latency`, `-- idle`, `-- many`
//! a part. Rounds go A B C A B C, so that what else the machine does meets all alike; of each figure the least, the
//! median and the most are told. docs/performance.md says what the figures mean and what bounds them.
//!
//! This process is the judge. The load daemon and the Rust clients are this same program, started again in another role.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a bench that cannot measure fails")]

#[path = "against/daemon.rs"]
mod daemon;
#[path = "against/figures.rs"]
mod figures;
#[path = "against/load.rs"]
mod load;
#[path = "against/parties.rs"]
mod parties;
#[path = "against/plot.rs"]
mod plot;
#[path = "../tests/support/prepared.rs"]
mod prepared;
#[path = "../tests/support/python.rs"]
mod python;
#[path = "against/readers.rs"]
mod readers;
#[path = "against/trials.rs"]
mod trials;
#[path = "support/written.rs"]
mod written;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use load::Load;
use readers::Reader;

#[derive(Parser)]
struct Arguments {
    /// What to measure; everything without one
    #[arg(value_enum)]
    trials: Vec<Trial>,
    /// How often each is measured
    #[arg(long, default_value = "7")]
    rounds: usize,
    /// Only parties with this in their name
    #[arg(long, default_value = "")]
    only: String,
    /// How many times as many notifications: less than 1 for a quick look
    #[arg(long, default_value = "1")]
    scale: f64,
    /// Where plots go
    #[arg(long, default_value = "target/against")]
    plots: PathBuf,
    /// Serve this load as the daemon
    #[arg(long, hide = true)]
    daemon: Option<Load>,
    /// Be a client of the daemon at this address
    #[arg(long, hide = true, requires = "url")]
    reader: Option<Reader>,
    #[arg(long, hide = true)]
    url: Option<String>,
    /// What cargo passes.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trial {
    /// As fast as flow control lets the daemon send, into handlers that do nothing, read, or answer
    Throughput,
    /// At fixed rates: from when the daemon sends until it has the handler's answer
    Latency,
    /// From the start of the program to the first answer
    Start,
    /// What it takes to wait
    Idle,
    /// Up to ten thousand rules
    Many,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(load) = arguments.daemon {
        return daemon::serve(load);
    }
    if let (Some(reader), Some(url)) = (arguments.reader, &arguments.url) {
        return readers::read(reader, url);
    }
    let chosen = |trial| arguments.trials.is_empty() || arguments.trials.contains(&trial);
    let trials = trials::Trials::new(arguments.rounds, arguments.scale, &arguments.only, arguments.plots);
    for (trial, measure) in [
        (Trial::Throughput, trials::Trials::throughput as fn(&trials::Trials)),
        (Trial::Latency, trials::Trials::latency),
        (Trial::Start, trials::Trials::start),
        (Trial::Idle, trials::Trials::idle),
        (Trial::Many, trials::Trials::many),
    ] {
        if chosen(trial) {
            measure(&trials);
        }
    }
}
