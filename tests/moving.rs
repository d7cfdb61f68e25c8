//! Rules whose parameters change while their streams are busy, behind each other, or lost: on their way from one stream to
//! another nothing is lost and nothing is handled twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/host.rs"]
mod host;
#[path = "support/proxy.rs"]
mod proxy;

use std::sync::{Arc, atomic::Ordering};

use host::{Host, Setup};
use olvid_rules::{
    report::{Event, ReloadResult},
    simulator::{Options, Reply, Simulator},
};
use proxy::{Flow, Proxy, Way};
use serde_json::json;
use tokio::{sync::Notify, task::yield_now};
use tonic::Code;

const PRINT: &str = "return function(n) print(n.message.body) end";

fn rules(pattern: &str) -> String {
    format!(
        "rules:\n  - name: moving\n    subscription: message_received\n    filter: {{ body_search: '{pattern}' }}\n    \
         handler: print.lua\n"
    )
}

/// The same, with one run after another.
fn in_line(pattern: &str) -> String {
    format!("{}    order: rule\n", rules(pattern))
}

fn setup() -> Setup {
    Setup::new(&rules("^m")).file("print.lua", PRINT)
}

/// Puts a message on the bot's streams that the world does not know.
fn emit(host: &Host, body: &str) -> usize {
    let message = json!({ "message": { "discussion_id": 1, "body": body } });
    host.simulator.emit("bot", "message_received", message).unwrap()
}

/// Lets the rule move and waits for nothing.
async fn edit(host: &mut Host, rules: &str) {
    host.write("rules.yaml", rules);
    assert_eq!(host.reload().await.result, ReloadResult::Applied);
}

fn numbered(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("m{number}")).collect()
}

/// `m0` was said, then the daemon went away, then `m1` was said.
async fn with_the_daemon_away() -> Host {
    let host = setup().start().await;
    host.say("alice", "m0");
    host.until_said(1).await;
    host.simulator.refuse_subscriptions(Some((Code::Unavailable, "not now")));
    host.simulator.kill_streams(None, Code::Unavailable, "gone");
    until_lost(&host).await;
    host.say("alice", "m1");
    host
}

/// The rule moves to a stream that the daemon opens when the gate says so; `m0` was handled before, and `m1` since.
async fn with_a_stream_held_back() -> (Host, Arc<Notify>) {
    let mut host = setup().start().await;
    host.say("alice", "m0");
    host.until_said(1).await;
    let gate = Arc::new(Notify::new());
    host.simulator.script("message_received", Reply::Hold(Arc::clone(&gate)), 1);
    edit(&mut host, &rules("m")).await;
    host.say("alice", "m1");
    host.until_said(2).await;
    (host, gate)
}

async fn until_lost(host: &Host) {
    host.until(|host| host.events().iter().any(|event| matches!(event, Event::FeedLost { .. })).then_some(())).await;
}

/// The daemon takes streams again: what was said until now, and what is said then, is handled once and in order.
async fn all_are_there_when_the_daemon_is_back(host: Host) {
    host.simulator.refuse_subscriptions(None);
    assert_eq!(host.until_said(3).await, numbered(0..3));
    host.say("alice", "m3");
    assert_eq!(host.until_said(4).await, numbered(0..4));
    host.stop().await;
}

#[tokio::test]
async fn what_comes_while_the_daemon_refuses_streams_is_caught_up_by_a_rule_that_changed_meanwhile() {
    let mut host = with_the_daemon_away().await;
    edit(&mut host, &rules("m")).await;
    host.say("alice", "m2");
    all_are_there_when_the_daemon_is_back(host).await;
}

#[tokio::test]
async fn what_is_still_to_be_caught_up_goes_on_with_a_rule_over_streams_that_were_never_open() {
    let mut host = with_the_daemon_away().await;
    let refused = |host: &Host| {
        host.events().iter().filter(|event| matches!(event, Event::FeedWaiting { .. } | Event::FeedLost { .. })).count()
    };
    for pattern in ["m", "^m[0-9]"] {
        let before = refused(&host);
        edit(&mut host, &rules(pattern)).await;
        host.until(|host| (refused(host) > before).then_some(())).await;
    }
    host.say("alice", "m2");
    all_are_there_when_the_daemon_is_back(host).await;
}

#[tokio::test]
async fn what_the_old_stream_still_had_when_both_were_lost_is_caught_up() {
    let (host, gate) = with_a_stream_held_back().await;
    host.simulator.refuse_subscriptions(Some((Code::Unavailable, "not now")));
    host.simulator.drop_connections();
    gate.notify_one();
    until_lost(&host).await;
    host.say("alice", "m2");
    all_are_there_when_the_daemon_is_back(host).await;
}

#[tokio::test]
async fn what_the_old_stream_brought_before_the_new_one_stood_is_not_caught_up_later() {
    let (host, gate) = with_a_stream_held_back().await;
    gate.notify_one();
    host::in_time(host.simulator.wait_streams("bot", |open| open == 2)).await;
    host.say("alice", "m2");
    host.until_said(3).await;
    all_are_handled_once_when_the_new_stream_is_lost(host, 3).await;
}

#[tokio::test]
async fn what_goes_on_with_the_rule_from_a_stream_that_lags_behind_is_not_caught_up_later() {
    // Its queue is full, with the rest on its stream, until the command is answered.
    let stuck = "return function(n)
        if n.message.body == 'm0' then pcall(olvid.identity_get, {}) end
        print(n.message.body)
    end";
    let mut host = setup().file("rules.yaml", in_line("^m")).file("print.lua", stuck).start().await;
    let [answer, open] = [(); 2].map(|()| Arc::new(Notify::new()));
    host.simulator.script("identity_get", Reply::Hold(Arc::clone(&answer)), 1);
    for number in 0..400 {
        host.say("alice", &format!("m{number}"));
    }
    host::in_time(host.simulator.wait_recorded("identity_get", 1)).await;
    host.simulator.script("message_received", Reply::Hold(Arc::clone(&open)), 1);
    edit(&mut host, &in_line("m")).await;
    // The old stream brings it in one go with what the new one brings too.
    host.say("alice", "m400");
    open.notify_one();
    host::in_time(host.simulator.wait_streams("bot", |open| open == 2)).await;
    host.say("alice", "m401");
    answer.notify_one();
    all_are_handled_once_when_the_new_stream_is_lost(host, 402).await;
}

/// Once a rule has gone to its new stream, that is lost; so many were said until then.
async fn all_are_handled_once_when_the_new_stream_is_lost(host: Host, said: u64) {
    host::in_time(host.simulator.wait_streams("bot", |open| open == 1)).await;
    assert_eq!(host.until_said(usize::try_from(said).unwrap()).await, numbered(0..said));
    // Until what the old stream brought is not told from what the new one brings by its bytes any more.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    host.simulator.kill_streams(None, Code::Unavailable, "gone");
    host::in_time(host.simulator.wait_streams("bot", |open| open == 0)).await;
    host.say("alice", &format!("m{said}"));
    host::in_time(host.simulator.wait_streams("bot", |open| open == 1)).await;
    host.say("alice", &format!("m{}", said + 1));
    let last = format!("m{}", said + 1);
    host.until(|host| host.said().contains(&last).then_some(())).await;
    assert_eq!(host.said(), numbered(0..said + 2));
    host.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_never_quiet_lets_its_rule_go() {
    let mut host = setup().start().await;
    edit(&mut host, &rules("m")).await;
    let mut number = 0;
    let simulator = host.simulator.handle();
    let open = simulator.subscribers("bot", 2);
    let flow = async {
        // Until both streams were there and one of them is gone.
        loop {
            let message = json!({ "message": { "discussion_id": 1, "body": format!("m{number}") } });
            assert!(simulator.emit("bot", "message_received", message).unwrap() >= 1);
            number += 1;
            simulator.drained(50).await;
            yield_now().await;
            if simulator.opened("bot") == 2 && simulator.streams().len() == 1 {
                return;
            }
        }
    };
    host::in_time(async { tokio::join!(open, flow) }).await;
    let all = numbered(0..number);
    assert_eq!(host.until_said(all.len()).await, all);
    host.stop().await;
}

#[tokio::test]
async fn a_rule_that_joins_others_at_a_stream_that_is_behind_handles_nothing_twice() {
    let slow = "return function(n) sleep(0.02) end";
    let with = |pattern: &str| {
        format!(
            "{}  - {{ name: slow, subscription: message_received, filter: {{ body_search: . }}, handler: slow.lua, order: rule }}\n",
            rules(pattern)
        )
    };
    let mut host = setup().file("rules.yaml", with("^m")).file("slow.lua", slow).start().await;
    // More than the slow rule's queue takes: its stream stands still, with the rest behind it.
    let all = numbered(0..400);
    for body in &all {
        assert_eq!(emit(&host, body), 2);
    }
    assert_eq!(host.until_said(400).await, all);
    edit(&mut host, &with(".")).await;
    host::in_time(host.simulator.wait_streams("bot", |open| open == 1)).await;
    assert_eq!(emit(&host, "m400"), 1);
    assert_eq!(host.until_said(401).await, numbered(0..401));
    let said = host.stop().await.into_iter().filter(|event| matches!(event, Event::Said { .. })).count();
    assert_eq!(said, 401);
}

#[tokio::test]
async fn a_rule_whose_handler_lags_behind_may_move_again_and_again() {
    let slow = |version: &str| format!("return function(n) sleep(0.01) print(n.message.body) end -- {version}");
    let mut host = setup().file("rules.yaml", in_line("^m")).file("print.lua", slow("one")).start().await;
    // Far more than the queue takes: the rest waits on the stream, and stays there while the rule moves.
    let all = numbered(0..900);
    for body in &all[..600] {
        emit(&host, body);
    }
    for (round, pattern) in ["m", ".", "^m", "^m[0-9]"].into_iter().enumerate() {
        edit(&mut host, &in_line(pattern)).await;
        for body in &all[600 + 75 * round..675 + 75 * round] {
            emit(&host, body);
        }
        host.write("print.lua", slow(pattern));
        assert_eq!(host.reload().await.result, ReloadResult::Applied);
    }
    assert_eq!(host.until_said(900).await, all);
    host::in_time(host.simulator.wait_streams("bot", |open| open == 1)).await;
    let said = host.stop().await.into_iter().filter(|event| matches!(event, Event::Said { .. })).count();
    assert_eq!(said, 900);
}

#[tokio::test]
async fn a_stream_that_lags_behind_in_steps_loses_nothing_when_its_rule_goes() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let proxy = Proxy::start(simulator.address()).await;
    let mut host = setup().start_with(simulator, proxy.url()).await;
    host::in_time(host.simulator.subscribers("bot", 1)).await;
    // More than a stream has under way, in steps that each take longer than a silence that counts as the end.
    proxy.set(Way::Down, Flow::Slow(90_000));
    let padding = "x".repeat(90_000);
    for number in 0..8 {
        host.say("alice", &format!("m{number} {padding}"));
    }
    edit(&mut host, &rules("m")).await;
    host::in_time(host.simulator.wait_streams("bot", |open| open == 2)).await;
    host::in_time(host.simulator.wait_streams("bot", |open| open == 1)).await;
    proxy.set(Way::Down, Flow::Pass);
    host.say("alice", "m8 end");
    host.until(|host| host.said().last().is_some_and(|last| last == "m8 end").then_some(())).await;
    let said: Vec<_> = host.said().iter().map(|body| body[..2].to_owned()).collect();
    assert_eq!(said, numbered(0..9));
    host.stop().await;
}

#[tokio::test]
async fn a_rule_that_changes_before_its_stream_was_ever_open_still_starts_with_what_came_before() {
    let with = |pattern: &str| format!("{}    catch_up: true\n", rules(pattern));
    let simulator = Simulator::start(Options::default()).await.unwrap();
    simulator.refuse_subscriptions(Some((Code::Unavailable, "not now")));
    let url = simulator.url();
    let mut host = setup().file("rules.yaml", with("^m")).start_with(simulator, url).await;
    until_lost(&host).await;
    host.say("alice", "m0");
    edit(&mut host, &with("m")).await;
    host.say("alice", "m1");
    edit(&mut host, &with(".")).await;
    host.say("alice", "m2");
    all_are_there_when_the_daemon_is_back(host).await;
}

/// A rule on its way, both of whose streams were lost: the old one has still to find out, as the rule's queue is full, and
/// the new one is about to list what it missed itself.
struct BothLost {
    host: Host,
    answer: Arc<Notify>,
    list: Arc<Notify>,
}

impl BothLost {
    /// `again`: the old stream has itself taken over what another one missed.
    async fn new(again: bool) -> Self {
        let stuck = "return function(n, rule)
            while n.message.body == 'm0' and not pcall(olvid.identity_get, {}) do sleep(0.01) end
            print((rule.name == 'moving' and '' or 'joined ') .. n.message.body:match('%S+'))
        end";
        let mut host = setup().file("rules.yaml", in_line("^m")).file("print.lua", stuck).start().await;
        let [answer, list] = [(); 2].map(|()| Arc::new(Notify::new()));
        host.simulator.script("identity_get", Reply::Hold(Arc::clone(&answer)), 100);
        host.say("alice", "m0");
        host::in_time(host.simulator.wait_recorded("identity_get", 1)).await;
        // More is missed than the queue takes, and than a list has under way: the rest of it waits with the daemon.
        host.simulator.refuse_subscriptions(Some((Code::Unavailable, "not now")));
        host.simulator.kill_streams(None, Code::Unavailable, "gone");
        until_lost(&host).await;
        let padding = "x".repeat(500);
        for number in 1..1200 {
            host.say("alice", &format!("m{number} {padding}"));
        }
        if again {
            edit(&mut host, &in_line(".")).await;
        }
        host.simulator.refuse_subscriptions(None);
        host.received(200).await;
        host::in_time(host.simulator.wait_recorded("message_list", 1)).await;
        edit(&mut host, &in_line("m")).await;
        host::in_time(host.simulator.wait_streams("bot", |open| open == 2)).await;
        host.simulator.script("message_list", Reply::Hold(Arc::clone(&list)), 1);
        host.simulator.drop_connections();
        host.say("alice", "m1200");
        host::in_time(host.simulator.wait_recorded("message_list", 2)).await;
        Self { host, answer, list }
    }

    /// The old stream finds out, then the new one lists.
    async fn go_on(&self) {
        let lost = |host: &Host| host.events().iter().filter(|event| matches!(event, Event::FeedLost { .. })).count();
        let before = lost(&self.host);
        self.answer.notify_one();
        self.host.until(|host| (lost(host) > before).then_some(())).await;
        self.list.notify_one();
    }
}

#[tokio::test]
async fn what_the_old_stream_still_had_is_handled_before_what_the_new_one_is_about_to_list() {
    for again in [false, true] {
        let lost = BothLost::new(again).await;
        lost.go_on().await;
        assert_eq!(lost.host.until_said(1201).await, numbered(0..1201));
        assert_eq!(lost.host.counters().received.load(Ordering::Acquire), 1201, "what is listed twice is counted once");
        lost.host.stop().await;
    }
}

#[tokio::test]
async fn a_rule_that_joins_one_on_its_way_handles_nothing_twice_and_neither_does_that() {
    let mut lost = BothLost::new(false).await;
    let joined = in_line("m").replace("rules:\n", "").replace("moving", "joined");
    edit(&mut lost.host, &format!("{}{joined}", in_line("m"))).await;
    lost.go_on().await;
    let all = |host: &Host| {
        let said = host.said();
        let (others, own): (Vec<_>, Vec<_>) = said.into_iter().partition(|text| text.starts_with("joined"));
        (own, others)
    };
    lost.host.until(|host| (all(host).0.len() >= 1201).then_some(())).await;
    lost.host.say("alice", "m1201");
    let said = |host: &Host, text: &str| host.said().iter().any(|said| said == text);
    lost.host.until(|host| (said(host, "m1201") && said(host, "joined m1201")).then_some(())).await;
    let (mut own, others) = all(&lost.host);
    own.sort_by_key(|text| text[1..].parse::<u32>().unwrap());
    assert_eq!(own, numbered(0..1202));
    let mut once = others.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), others.len(), "{others:?}");
    lost.host.stop().await;
}

/// What the old stream still had goes along, although the daemon will not have the new one for now.
#[tokio::test]
async fn what_comes_while_the_new_stream_is_refused_for_good_is_caught_up_when_it_is_not() {
    let mut host = setup().start().await;
    host.say("alice", "m0");
    host.until_said(1).await;
    host.simulator.refuse_subscriptions(Some((Code::InvalidArgument, "not so")));
    edit(&mut host, &rules("m")).await;
    host.until(|host| host.events().iter().any(|event| matches!(event, Event::FeedRefused { .. })).then_some(())).await;
    host::in_time(host.simulator.wait_streams("bot", |open| open == 0)).await;
    host.say("alice", "m1");
    host.say("alice", "m2");
    host.simulator.refuse_subscriptions(None);
    host.reload().await;
    assert_eq!(host.until_said(3).await, numbered(0..3));
    host.say("alice", "m3");
    assert_eq!(host.until_said(4).await, numbered(0..4));
    host.stop().await;
}
