//! By which connection commands go: all by one, but for a caller of many, while they are many.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use olvid_rules::{
    daemon::{CallError, Daemon, Secret, Settings},
    report::ReloadResult,
    schema::Catalog,
    simulator::{Options, Simulator},
};
use tokio::time;

use crate::{
    host::{Setup, in_time},
    proxy::{Flow, Proxy, Way},
};

/// Calls that are many, and enough for a connection to be made beside them.
const MANY: usize = 100;

/// Longer than it takes calls to be few again.
const QUIET: Duration = Duration::from_secs(31);

/// A daemon in this runtime, as a caller sees it who has a connection if need be; and what lies between.
struct Line {
    _simulator: Simulator,
    proxy: Proxy,
    caller: Daemon,
}

impl Line {
    async fn new() -> Self {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let proxy = Proxy::start(simulator.address()).await;
        let caller = Daemon::new(Settings::new(proxy.url(), Secret::new("bot").unwrap())).unwrap().dedicated();
        assert!(caller.is_dedicated());
        Self { _simulator: simulator, proxy, caller }
    }

    async fn call(&self) -> Result<Bytes, CallError> {
        let command = Catalog::embedded().command("identity_get").unwrap();
        in_time(self.caller.unary(&command.method, false, Bytes::new())).await
    }

    /// Calls until so many connections are open.
    async fn busy(&self, connections: usize) {
        let connected = async {
            while self.proxy.open() != connections {
                self.call().await.unwrap();
            }
        };
        in_time(connected).await;
    }

    async fn open(&self, connections: usize) {
        let open = async {
            while self.proxy.open() != connections {
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        in_time(open).await;
    }
}

/// Has time pass at once, while nothing is to be read.
async fn later<T>(time: Duration, what: impl Future<Output = T>) -> T {
    time::pause();
    time::advance(time).await;
    let outcome = what.await;
    time::resume();
    outcome
}

#[tokio::test]
async fn a_caller_of_many_has_a_connection_while_they_are_many() {
    let line = Line::new().await;
    for _ in 0..10 {
        line.call().await.unwrap();
    }
    assert_eq!(line.proxy.taken(), 1, "few go by the shared one");
    line.busy(2).await;
    // The shared one carries nothing any more: nobody needs it to get through.
    line.proxy.set_first(Way::Up, Flow::Stall);
    for _ in 0..MANY {
        line.call().await.unwrap();
    }
    line.proxy.set_first(Way::Up, Flow::Pass);
    later(QUIET, line.open(1)).await;
    for _ in 0..10 {
        line.call().await.unwrap();
    }
    assert_eq!(line.proxy.taken(), 2);
    line.busy(2).await;
    assert_eq!(line.proxy.taken(), 3, "many once more");
}

#[tokio::test]
async fn a_connection_that_breaks_costs_the_calls_on_it_and_is_made_again() {
    let line = Line::new().await;
    line.busy(2).await;
    line.proxy.reset(usize::MAX);
    let failed = async { while line.call().await.is_ok() {} };
    in_time(failed).await;
    while line.call().await.is_err() {}
    line.busy(2).await;
    assert_eq!(line.proxy.taken(), 4);
}

#[tokio::test]
async fn one_that_cannot_be_made_is_done_without() {
    let line = Line::new().await;
    line.call().await.unwrap();
    line.proxy.refuse().await;
    for _ in 0..MANY {
        line.call().await.unwrap();
    }
    line.proxy.accept().await;
    for _ in 0..MANY {
        line.call().await.unwrap();
    }
    assert_eq!(line.proxy.taken(), 1, "it is not tried at each call");
    later(QUIET, async {}).await;
    line.busy(2).await;
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
    in_time(async {
        while proxy.open() > 2 {
            time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    host.stop().await;
}
