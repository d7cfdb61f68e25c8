//! `simulate`: the simulated daemon alone, for rules, clients and tests of all kinds.

use tokio::{runtime, signal};

use super::{Done, Simulate, exit, output};
use crate::simulator::{Options, Simulator};

pub(super) fn run(arguments: Simulate) -> Done {
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(exit::IO, &error.to_string()),
    };
    let mut options = Options { listen: arguments.listen, ..Options::default() };
    options.admin_keys = arguments.admin_key.into_iter().collect();
    if !arguments.identities.is_empty() {
        options.identities = arguments.identities;
    }
    let names: Vec<_> = options.identities.iter().map(|(name, _)| name.clone()).collect();
    runtime.block_on(async {
        let simulator = match Simulator::start(options).await {
            Ok(simulator) => simulator,
            Err(error) => return output::failure(exit::IO, &format!("cannot listen on {}: {error}", arguments.listen)),
        };
        output::answer(&format!("listening on {} as {}\n", simulator.url(), names.join(", ")));
        drop(wait_for_stop().await);
        simulator.stop().await;
        Ok(())
    })
}

async fn wait_for_stop() -> std::io::Result<()> {
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
