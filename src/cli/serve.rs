//! `run`: loads, connects, serves, and stops when asked. It never ends because the daemon went away.

use std::sync::Arc;

use tokio::{
    runtime, select,
    signal::unix::{SignalKind, signal},
};

use super::{Done, Run, check, exit, output, settings};
use crate::{
    daemon::Daemon,
    diagnostic::Diagnostic,
    engine::Engine,
    report::{Event, Reporter, log},
    rules::RuleSet,
    schema::Catalog,
};

pub(super) fn run(arguments: &Run) -> Done {
    let reporter = Reporter::new(vec![log::to_stderr(arguments.logging.format(), arguments.logging.least())]);
    let found = settings::find(&arguments.connection).map_err(|mistake| usage(&mistake))?;
    for notice in found.notices {
        reporter.emit(&Event::Notice(notice));
    }
    let (rules, mut diagnostics) = RuleSet::load(&arguments.rules.paths, Catalog::embedded());
    if check::is_refused(&diagnostics) {
        // The scripts' mistakes too: what is wrong is told at once.
        diagnostics.extend(check::scripts(&rules));
        return Err(rejected(&reporter, diagnostics));
    }
    if !diagnostics.is_empty() {
        reporter.emit(&Event::Checked { diagnostics: diagnostics.into(), rejected: false });
    }
    // One thread for all sockets: a runtime of several costs nearly twice the CPU for each notification.
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(&error.to_string()))?;
    let done = runtime.block_on(async {
        let daemon = Daemon::new(found.settings).map_err(|error| usage(&error.message))?;
        serve(arguments, &rules, &daemon, &reporter).await
    });
    // A resolver that hangs must not hold up the end.
    runtime.shutdown_background();
    done
}

async fn serve(arguments: &Run, rules: &RuleSet, daemon: &Daemon, reporter: &Reporter) -> Done {
    // Before anything runs: a signal that comes early is not lost.
    let mut stops = Stops::new().map_err(|error| failed(&error.to_string()))?;
    let started = select! {
        // A script that never ends loading does not keep the host from ending.
        () = stops.next() => return Ok(()),
        started = Engine::start(rules, daemon, reporter) => started,
    };
    let engine = started.map_err(|mistakes| rejected(reporter, mistakes))?;
    stops.next().await;
    select! {
        () = engine.stop(arguments.grace) => {}
        () = stops.next() => {}
    }
    Ok(())
}

/// The signals that ask for an end.
struct Stops {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stops {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn rejected(reporter: &Reporter, diagnostics: Vec<Diagnostic>) -> u8 {
    reporter.emit(&Event::Checked { diagnostics: Arc::from(diagnostics), rejected: true });
    exit::MISTAKE
}

fn usage(mistake: &str) -> u8 {
    output::failure(exit::USAGE, mistake).err().unwrap_or(exit::USAGE)
}

fn failed(cause: &str) -> u8 {
    output::failure(exit::IO, cause).err().unwrap_or(exit::IO)
}
