//! A daemon that restarts, seen through a proxy that counts who connects.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use olvid_rules::{
    daemon::{Daemon, Secret, Settings, TlsFiles},
    engine::Engine,
    report::{Event, FeedName, Reporter, Trigger},
    simulator::{Options, Simulator},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{in_time, message, rules};

/// Passes connections on and counts them, those for which nobody is there included.
struct Proxy {
    address: SocketAddr,
    connects: Arc<AtomicUsize>,
    changed: watch::Receiver<()>,
    _serving: JoinSet<()>,
}

impl Proxy {
    async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connects) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let (signal, changed) = watch::channel(());
        let counted = Arc::clone(&connects);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut passing = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                signal.send_replace(());
                passing.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(to).await {
                        drop(copy_bidirectional(&mut near, &mut far).await);
                    }
                });
            }
        });
        Self { address, connects, changed, _serving: serving }
    }

    fn connects(&self) -> usize {
        self.connects.load(Ordering::SeqCst)
    }

    async fn until(&mut self, connects: usize) {
        in_time(async {
            while self.connects() < connects {
                self.changed.changed().await.unwrap();
            }
        })
        .await;
    }
}

type Told = Arc<Mutex<Vec<Event>>>;

/// What was told of streams that were lost, could not be reached, were opened, and of what they missed: how many streams
/// by each record.
fn records(told: &Told, of: impl Fn(&Event) -> Option<&Arc<[FeedName]>>) -> Vec<usize> {
    told.lock().unwrap().iter().filter_map(|event| of(event).map(|feeds| feeds.len())).collect()
}

fn opened(event: &Event) -> Option<&Arc<[FeedName]>> {
    if let Event::FeedOpened { feeds } = event { Some(feeds) } else { None }
}

fn lost(event: &Event) -> Option<&Arc<[FeedName]>> {
    if let Event::FeedLost { feeds, .. } = event { Some(feeds) } else { None }
}

fn waiting(event: &Event) -> Option<&Arc<[FeedName]>> {
    if let Event::FeedWaiting { feeds, .. } = event { Some(feeds) } else { None }
}

fn caught_up(event: &Event) -> Option<&Arc<[FeedName]>> {
    if let Event::CaughtUp { feeds, .. } = event { Some(feeds) } else { None }
}

const FEEDS: usize = 500;

#[tokio::test]
async fn a_daemon_that_restarts_sees_few_connects_and_one_attempt_a_feed_and_all_is_told_once() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let mut proxy = Proxy::start(simulator.address()).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), rules(FEEDS, "say.lua")).unwrap();
    std::fs::write(folder.path().join("say.lua"), "return function(n, rule) print(rule.name) end").unwrap();
    let settings = Settings {
        url: format!("http://{}", proxy.address),
        tls: TlsFiles::default(),
        client_key: Some(Secret::new("bot").unwrap()),
        admin: None,
        max_message_size: 64 << 20,
    };
    let (told, (signal, mut changed)) = (Told::default(), watch::channel(()));
    let log = Arc::clone(&told);
    let reporter = Reporter::new(vec![Box::new(move |event| {
        log.lock().unwrap().push(event.clone());
        signal.send_replace(());
    })]);
    let mut engine = Engine::new(&Daemon::new(settings).unwrap(), &reporter);
    engine.reload(&[folder.path().join("rules.yaml")], Trigger::Start).await;
    let mut until = async |of: fn(&Event) -> Option<&Arc<[FeedName]>>, feeds: usize| {
        let enough = async {
            while records(&told, of).iter().sum::<usize>() < feeds {
                changed.changed().await.unwrap();
            }
        };
        in_time(enough).await;
    };
    until(opened, FEEDS).await;
    let streams = proxy.connects();
    assert!(streams <= 2, "256 streams a connection: {streams} connections");

    in_time(simulator.stop()).await;
    until(lost, FEEDS).await;
    // Some attempts that find nobody there.
    proxy.until(streams + 3).await;
    let missed = serde_json::json!({ "filter": { "title_search": "bot" } });
    let mine = simulator.call("alice", "discussion_list", &missed).unwrap();
    let missed = serde_json::json!({ "discussion_id": mine[0]["id"], "body": "all" });
    simulator.call("alice", "message_send", &missed).unwrap();
    simulator.restart().await.unwrap();
    until(opened, 2 * FEEDS).await;
    until(caught_up, FEEDS).await;
    in_time(simulator.subscribers("bot", FEEDS)).await;

    // Attempts on the way, then two connections for the streams and as many more for what is listed meanwhile.
    let connects = proxy.connects() - streams;
    assert!(connects <= 3 + 3 + 4, "{connects} connects");
    assert_eq!(simulator.opened("bot"), 2 * FEEDS as u64, "one attempt a feed");
    assert_eq!(simulator.emit("bot", "message_received", message("all")).unwrap(), FEEDS);
    let all = async {
        while told.lock().unwrap().iter().filter(|event| matches!(event, Event::Said { .. })).count() < 2 * FEEDS {
            tokio::task::yield_now().await;
        }
    };
    in_time(all).await;
    // Each stream's changes once. On a loaded machine five hundred streams take longer than news waits: a few records.
    let of_each = [records(&told, lost), records(&told, waiting), records(&told, opened), records(&told, caught_up)];
    assert_eq!(of_each.each_ref().map(|told| told.iter().sum::<usize>()), [FEEDS, FEEDS, 2 * FEEDS, FEEDS]);
    assert!(of_each.iter().all(|told| told.len() <= 6), "{of_each:?}");
    engine.stop(std::time::Duration::from_secs(10)).await;
}
