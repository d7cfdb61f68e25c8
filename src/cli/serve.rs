//! `run`: loads, connects, serves, and stops when asked. It never ends because the daemon went away.

use std::{path::PathBuf, sync::Arc, thread, time::Duration};

use jiff::Timestamp;
use rustix::process::{Resource, getrlimit};
use serde_json::{Value as Json, json};
use tokio::{
    runtime, select,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Done, Run,
    control::{Control, Request, Serving},
    environment::Inherited,
    exit,
    host::{Host, Keyring},
    listen::Listeners,
    output,
    service::Service,
    settings::{self, KeyFiles, Sources},
};
use crate::{
    daemon::Daemon,
    engine::{Board, Cursors, Engine},
    report::{Event, ReloadResult, Reporter, Trigger, sink::Outlet},
    schema::Catalog,
};

pub(super) fn run(arguments: &Run, inherited: &Inherited) -> Done {
    let outlet = Outlet::to_stderr(arguments.logging.format());
    let outlet = match outlet {
        Ok(outlet) => outlet,
        Err(error) => return output::failure(exit::IO, &error.to_string()),
    };
    let service = Service::of_process();
    let readers = [outlet.reader(arguments.logging.least())].into_iter().chain(service.reader());
    let reporter = Reporter::new(readers.collect());
    // Over the outlet too: after what was told before, and without waiting for who reads it.
    let sources = Sources { flags: &arguments.connection, inherited };
    host(arguments, sources, &reporter, &service).map_err(|End { code, cause }| {
        if let Some(cause) = cause {
            service.failed(&cause);
            outlet.tell(&output::failed(&cause));
        }
        code
    })
}

/// Threads that read and write files, and ask for names.
const FILE_THREADS: usize = 4;

/// They do not end before the host does.
const FOR_EVER: Duration = Duration::from_hours(1_000_000);

/// Descriptors that are left to everything else, and how many there are to be for each script that may have a connection of
/// its own: it takes four, and the connection one. A script that replaces another takes a place beside it.
const DESCRIPTORS: u64 = 64;
const DESCRIPTORS_OF_SCRIPT: u64 = 8;

/// What no host needs more of.
const MOST_CONNECTIONS_OF_SCRIPTS: usize = 1000;

/// How many scripts may have a connection of their own.
fn connections_of_scripts() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let scripts = descriptors.saturating_sub(DESCRIPTORS) / DESCRIPTORS_OF_SCRIPT;
    usize::try_from(scripts).unwrap_or(usize::MAX).min(MOST_CONNECTIONS_OF_SCRIPTS)
}

/// An end with an exit code, and what is to be said of it.
struct End {
    code: u8,
    cause: Option<String>,
}

fn host(arguments: &Run, sources: Sources<'_>, reporter: &Reporter, service: &Service) -> Result<(), End> {
    let found = settings::find(sources).map_err(usage)?;
    for notice in found.notices {
        reporter.emit(&Event::Notice(notice));
    }
    // One thread for all sockets: a runtime of several costs nearly twice the CPU for each notification. Those for files
    // and names stay: where there are some, tokio waits for one of them if no other is to be had, and else it panics.
    let mut builder = runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(FILE_THREADS).thread_keep_alive(FOR_EVER);
    let runtime = builder.build().map_err(failed)?;
    drop(thread::Builder::new().spawn(|| ()).map_err(failed)?.join());
    // Until there is something to read, it makes what reading takes.
    drop(runtime.spawn_blocking(Catalog::embedded));
    let done = runtime.block_on(async {
        let daemon = Daemon::new(found.settings).map_err(|error| usage(error.message))?;
        daemon.offer(connections_of_scripts());
        serve(arguments, (sources, found.key_files), &daemon, reporter, service).await
    });
    // A resolver that hangs must not hold up the end.
    runtime.shutdown_background();
    done
}

async fn serve(
    arguments: &Run,
    (sources, key_files): (Sources<'_>, KeyFiles),
    daemon: &Daemon,
    reporter: &Reporter,
    service: &Service,
) -> Result<(), End> {
    // Before anything runs: a signal that comes early is not lost.
    let mut stops = Stops::new().map_err(failed)?;
    let hangups = signal(SignalKind::hangup()).map_err(failed)?;
    // A socket that cannot be had is told before anything is loaded.
    let listeners = Listeners::open(&arguments.listen).await;
    let listeners = listeners.map_err(|error| End { code: exit::IO, cause: Some(error.to_string()) })?;
    let paths = &arguments.rules.paths;
    let cursors = state_directory(arguments).map(|folder| Cursors::open(&folder, reporter));
    let mut engine = Engine::new(daemon, reporter).within(arguments.caps.caps());
    engine = engine.catching_up(arguments.catch_up, cursors);
    let _attending = service.attend(engine.board(), reporter);
    let status = status(arguments, Arc::clone(engine.board()), daemon.url());
    let endpoint = listeners.serve(engine.board(), Arc::clone(&status), reporter);
    let _answering = answer_quit(engine.board(), reporter).map_err(failed)?;
    let started = select! {
        // A script that never ends loading does not keep the host from ending.
        () = stops.next() => {
            service.stopping();
            return Ok(());
        }
        started = engine.reload(paths, Trigger::Start) => started,
    };
    if started.result == ReloadResult::Rejected {
        service.rejected(&started.diagnostics);
        reporter.emit(&Event::Checked { diagnostics: Arc::clone(&started.diagnostics), rejected: true });
        return Err(End { code: exit::MISTAKE, cause: None });
    }
    endpoint.runs();
    let (mut requests, _serving) = control(arguments, status, reporter).await;
    let keys = Keyring::new(sources, key_files, daemon, reporter);
    let mut host = Host::new(engine, paths, reporter).serving(hangups, service.clone());
    // Not once the daemon answers: it may be started later, and nothing that needs us can wait for that.
    service.ready();
    select! {
        () = stops.next() => {}
        () = host.follow(&mut requests, Some(keys)) => {}
    }
    service.stopping();
    endpoint.stops();
    select! {
        () = host.engine.stop(arguments.grace) => {}
        () = stops.next() => {}
    }
    Ok(())
}

/// Has SIGQUIT, which ends other programs, answered with a line of the log that says how the host is.
fn answer_quit(board: &Arc<Board>, reporter: &Reporter) -> std::io::Result<AbortOnDropHandle<()>> {
    let (mut asked, board, reporter) = (signal(SignalKind::quit())?, Arc::clone(board), reporter.clone());
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        while asked.recv().await.is_some() {
            reporter.emit(&Event::Asked(Service::sentence(&board)));
        }
    })))
}

/// Where state is kept: as the flag says, or the service manager.
fn state_directory(arguments: &Run) -> Option<PathBuf> {
    let given = || std::env::var_os("STATE_DIRECTORY").filter(|folders| !folders.is_empty());
    let first = || std::env::split_paths(&given()?).next();
    arguments.state_directory.clone().or_else(first)
}

/// Opens the control socket; a host runs without one, too.
async fn control(
    arguments: &Run,
    status: Arc<dyn Fn() -> Json + Send + Sync>,
    reporter: &Reporter,
) -> (mpsc::Receiver<Request>, Option<Serving>) {
    let control = Control::open(&arguments.control.surroundings()).await;
    match control {
        Ok(control) => {
            let (requests, serving) = control.serve(move || status());
            (requests, Some(serving))
        }
        Err(error) => {
            reporter.emit(&Event::Notice(format!("no control socket, so no `status` and no `reload`: {error}")));
            (mpsc::channel(1).1, None)
        }
    }
}

/// What a status says beside what runs: which process this is.
fn status(arguments: &Run, board: Arc<Board>, daemon: &str) -> Arc<dyn Fn() -> Json + Send + Sync> {
    let (begun, started) = (Instant::now(), Timestamp::now());
    let paths: Json = arguments.rules.paths.iter().map(|path| path.display().to_string()).collect();
    let directory = std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default();
    let process = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "started": format!("{started:.3}"),
        "directory": directory,
        "paths": paths,
        "daemon": daemon,
    });
    Arc::new(move || {
        let mut status = board.status();
        if let (Json::Object(status), Json::Object(process)) = (&mut status, process.clone()) {
            status.extend(process);
            status.insert("now".to_owned(), format!("{:.3}", Timestamp::now()).into());
            status.insert("uptime".to_owned(), begun.elapsed().as_secs_f64().into());
        }
        status
    })
}

/// The signals that ask for an end. Others that mean nothing here are not to bring it about.
struct Stops {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stops {
    fn new() -> std::io::Result<Self> {
        // These would end the host at once. Once listened to, a signal is never again the system's to act on.
        let too_large = SignalKind::from_raw(libc::SIGXFSZ);
        for ignored in [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::alarm(), too_large] {
            drop(signal(ignored)?);
        }
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn usage(mistake: String) -> End {
    End { code: exit::USAGE, cause: Some(mistake) }
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for `map_err`")]
fn failed(error: std::io::Error) -> End {
    End { code: exit::IO, cause: Some(error.to_string()) }
}
