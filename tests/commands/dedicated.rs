//! By which connection commands go: all by one, but for a caller of many, while they are many.

use std::{future::Future, thread, time::Duration};

use bytes::Bytes;
use olvid_rules::{
    daemon::{CallError, Daemon, Secret, Settings},
    report::ReloadResult,
    schema::Catalog,
    simulator::{Options, Reply, Simulator},
};
use tokio::{runtime::Builder, sync::oneshot, time};

use crate::{
    host::{Setup, in_time},
    proxy::Proxy,
};

/// Calls that are many, and enough for a connection to be made beside them.
const MANY: usize = 70;

/// Longer than it takes calls to be few again.
const QUIET: Duration = Duration::from_secs(31);

/// A daemon in this runtime, as a caller sees it who has a connection if need be; and what lies between.
struct Line {
    simulator: Simulator,
    proxy: Proxy,
    daemon: Daemon,
    caller: Daemon,
}

impl Line {
    async fn new() -> Self {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let proxy = Proxy::start(simulator.address()).await;
        let daemon = Daemon::new(Settings::new(proxy.url(), Secret::new("bot").unwrap())).unwrap();
        assert!(daemon.dedicated().is_none(), "no place is left before there is one");
        daemon.offer(1);
        let caller = daemon.dedicated().unwrap();
        assert!(daemon.dedicated().is_none());
        Self { simulator, proxy, daemon, caller }
    }

    async fn call(&self) -> Result<Bytes, CallError> {
        in_time(ask(&self.caller)).await
    }

    /// Calls until calls go by another connection than the first.
    async fn busy(&self) {
        let connected = async {
            loop {
                for _ in 0..MANY {
                    self.call().await.unwrap();
                }
                let short = Duration::from_millis(200);
                if self.proxy.open() > 1 && self.proxy.without_the_first(short, self.call()).await.is_some() {
                    return;
                }
            }
        };
        in_time(connected).await;
    }
}

async fn ask(daemon: &Daemon) -> Result<Bytes, CallError> {
    let command = Catalog::embedded().command("identity_get").unwrap();
    daemon.unary(&command.method, false, Bytes::new()).await
}

async fn until(holds: impl Fn() -> bool) {
    in_time(async {
        while !holds() {
            time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// Has [`QUIET`] pass at once, and what then follows by itself.
async fn later(what: impl Future<Output = ()>) {
    time::pause();
    time::advance(QUIET).await;
    what.await;
    time::resume();
}

#[tokio::test]
async fn a_caller_of_many_has_a_connection_while_they_are_many() {
    let line = Line::new().await;
    for _ in 0..10 {
        line.call().await.unwrap();
    }
    assert_eq!(line.proxy.taken(), 1, "few go by the shared one");
    line.busy().await;
    later(until(|| line.proxy.open() == 1)).await;
    for _ in 0..10 {
        line.call().await.unwrap();
    }
    assert_eq!(line.proxy.taken(), 2);
    line.busy().await;
    assert_eq!(line.proxy.taken(), 3, "many once more");
}

#[tokio::test]
async fn a_connection_that_breaks_costs_the_calls_on_it_and_is_made_again() {
    let line = Line::new().await;
    line.busy().await;
    line.proxy.reset(usize::MAX);
    let failed = async { while line.call().await.is_ok() {} };
    in_time(failed).await;
    while line.call().await.is_err() {}
    for _ in 0..MANY {
        line.call().await.unwrap();
    }
    assert_eq!(line.proxy.taken(), 3, "the shared one is there; another is not tried at once");
    later(async {}).await;
    line.busy().await;
    assert_eq!(line.proxy.taken(), 4);
}

#[tokio::test]
async fn a_daemon_that_drains_both_connections_fails_no_call() {
    let line = Line::new().await;
    line.busy().await;
    // Each has a call that goes on, so that neither is closed when the daemon says farewell.
    line.simulator.script("identity_get", Reply::Never, 2);
    let (other, caller) = (line.daemon.clone(), line.caller.clone());
    let pending = [other, caller].map(|daemon| tokio::spawn(async move { ask(&daemon).await }));
    until(|| line.simulator.unplayed().is_empty()).await;
    line.simulator.go_away();
    for _ in 0..MANY {
        line.call().await.unwrap();
    }
    assert!(pending.iter().all(|call| !call.is_finished()));
    assert_eq!(line.proxy.taken(), 3);
}

#[tokio::test]
async fn one_that_cannot_be_made_is_done_without() {
    let line = Line::new().await;
    line.call().await.unwrap();
    line.proxy.refuse().await;
    for _ in 0..10 * MANY {
        line.call().await.unwrap();
    }
    line.proxy.accept().await;
    for _ in 0..MANY {
        line.call().await.unwrap();
    }
    assert_eq!(line.proxy.taken(), 1, "it is not tried at each call");
    // Though calls go on meanwhile.
    later(async {}).await;
    line.busy().await;
}

#[tokio::test]
async fn a_caller_that_stands_still_keeps_no_other_from_a_connection() {
    let line = Line::new().await;
    line.call().await.unwrap();
    line.daemon.offer(1);
    let stuck = line.daemon.dedicated().unwrap();
    // What it opens is taken and gets no word.
    line.proxy.accept_silently();
    let ((go_on, held), (stands, standing)) = (std::sync::mpsc::channel::<()>(), oneshot::channel());
    let thread = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        for _ in 0..10 * MANY {
            runtime.block_on(ask(&stuck)).unwrap();
        }
        stands.send(()).unwrap();
        assert!(held.recv().is_err());
    });
    in_time(standing).await.unwrap();
    assert_eq!(line.proxy.taken(), 2);
    line.proxy.accept().await;
    later(async {}).await;
    line.busy().await;
    drop(go_on);
    thread.join().unwrap();
}

#[tokio::test]
async fn a_script_that_answers_many_has_a_connection_until_it_ends() {
    let rules = "rules:\n  - { name: echo, subscription: message_received, loop_limit: 0, command_rate: 0, lua: \"local n = ... n.message:reply('heard')\" }\n";
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let proxy = Proxy::start(simulator.address()).await;
    let mut host = Setup::new(rules).start_with(simulator, proxy.url()).await;
    in_time(host.simulator.subscribers("bot", 1)).await;
    let mut said = 0;
    let connected = async {
        while proxy.open() < 3 {
            host.say("alice", &format!("{said}"));
            said += 1;
            host.settled(said).await;
            assert!(host.failures().is_empty(), "{:#?}", host.failures());
        }
    };
    in_time(connected).await;
    assert_eq!(proxy.taken(), 3, "for streams, for commands, and for those of the script");
    host.write("rules.yaml", "rules:\n  - { name: other, subscription: group_new, lua: return }\n");
    assert_eq!(host.reload().await.result, ReloadResult::Applied);
    until(|| proxy.open() <= 2).await;
    host.stop().await;
}
