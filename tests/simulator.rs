//! The simulated daemon over a real socket: what each action causes on both sides, and what a test may do to it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

#[path = "simulator/access.rs"]
mod access;
#[path = "simulator/catalog.rs"]
mod catalog;
#[path = "simulator/contacts.rs"]
mod contacts;
#[path = "simulator/filters.rs"]
mod filters;
#[path = "simulator/groups.rs"]
mod groups;
#[path = "simulator/messages.rs"]
mod messages;
#[path = "simulator/streams.rs"]
mod streams;
#[path = "simulator/things.rs"]
mod things;

use olvid_rules::simulator::{Clock, Observation, Options, Simulator};
use serde_json::{Value as Json, json};

/// A simulated daemon at noon of no particular day.
async fn simulator() -> (Simulator, Clock) {
    let clock = Clock::manual(1_700_000_000_000);
    let options = Options { clock: clock.clone(), ..Options::default() };
    (Simulator::start(options).await.unwrap(), clock)
}

/// The discussion of one identity with another.
fn discussion(simulator: &Simulator, identity: &str, title: &str) -> u64 {
    let found = simulator.call(identity, "discussion_list", &json!({"filter": {"title_search": format!("^{title}$")}}));
    found.unwrap()[0]["id"].as_u64().unwrap()
}

/// The contact that one identity has for another.
fn contact(simulator: &Simulator, identity: &str, name: &str) -> u64 {
    let filter = json!({"filter": {"display_name_search": format!("^{name}")}});
    simulator.call(identity, "contact_list", &filter).unwrap()[0]["id"].as_u64().unwrap()
}

/// The names of what an identity was notified of.
fn names(seen: &mut Observation) -> Vec<String> {
    seen.all().into_iter().map(|(name, _)| name).collect()
}

/// Sends a text from one to another and returns the sender's copy.
fn send(simulator: &Simulator, from: &str, to: &str, body: &str) -> Json {
    let request = json!({"discussion_id": discussion(simulator, from, to), "body": body});
    simulator.call(from, "message_send", &request).unwrap()["message"].clone()
}

/// The newest message of an identity.
fn newest(simulator: &Simulator, identity: &str) -> Json {
    let all = simulator.call(identity, "message_list", &json!({})).unwrap();
    all.as_array().unwrap().last().unwrap().clone()
}
