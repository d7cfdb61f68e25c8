//! Notifications of two kinds at a steady rate, each with a number, the numbers of a discussion rising.

use std::{
    cell::Cell,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use olvid_rules::{
    schema::{
        Catalog, Kind, Message,
        encode::{put_bytes, put_number},
    },
    simulator::Simulator,
};

/// Discussions, and groups.
pub(crate) const LINES: u64 = 60;

/// What is sent at one time on each stream.
const BURST: u64 = 10;

/// More than this is not put on streams that are not read so fast: the rate is what the machine can do then.
const WAITING: usize = 4000;

/// What was sent on each of the two streams so far.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) numbers: Cell<u64>,
    pub(crate) stop: Cell<bool>,
    pub(crate) longest_pause: Cell<Duration>,
}

/// A message type, and the numbers of its fields.
fn field<'m>(message: &'m Message, name: &str) -> (u32, &'m Kind) {
    let field = message.field(name).unwrap_or_else(|| panic!("no {name}"));
    (field.number, &field.kind)
}

fn inner<'m>(message: &'m Message, name: &str) -> (u32, &'m Message) {
    let (number, Kind::Message(plan)) = field(message, name) else { panic!("{name} is no message") };
    (number, plan)
}

pub(crate) fn discussion(number: u64) -> u64 {
    // Neighbours in time are of different lines, and the same line comes twice in a row at times.
    1 + (number * 7 / 3) % LINES
}

pub(crate) fn received(number: u64) -> Bytes {
    let output = &Catalog::embedded().subscription("message_received").unwrap().method.output;
    let (outer, message) = inner(output, "message");
    let (id, id_plan) = inner(message, "id");
    let (mut id_bytes, mut bytes, mut all) = (Vec::new(), Vec::new(), Vec::new());
    put_number(field(id_plan, "type").0, 1, &mut id_bytes);
    put_number(field(id_plan, "id").0, number + 1, &mut id_bytes);
    put_bytes(id, &id_bytes, &mut bytes);
    put_number(field(message, "discussion_id").0, discussion(number), &mut bytes);
    put_bytes(field(message, "body").0, format!("m{number}").as_bytes(), &mut bytes);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    put_number(field(message, "timestamp").0, u64::try_from(now).unwrap(), &mut bytes);
    put_bytes(outer, &bytes, &mut all);
    all.into()
}

pub(crate) fn renamed(number: u64) -> Bytes {
    let output = &Catalog::embedded().subscription("group_name_updated").unwrap().method.output;
    let (outer, group) = inner(output, "group");
    let (mut bytes, mut all) = (Vec::new(), Vec::new());
    put_number(field(group, "id").0, discussion(number), &mut bytes);
    put_bytes(field(group, "name").0, b"a group", &mut bytes);
    put_bytes(outer, &bytes, &mut all);
    put_bytes(field(output, "previous_name").0, format!("m{number}").as_bytes(), &mut all);
    all.into()
}

/// Sends until it is told to stop.
pub(crate) async fn flow(simulator: &Simulator, rate: u64, sent: &Sent) {
    let mut tick = tokio::time::interval(Duration::from_secs(BURST) / u32::try_from(rate).unwrap());
    while !sent.stop.get() {
        tick.tick().await;
        for _ in 0..BURST {
            let number = sent.numbers.get();
            for (name, bytes) in [("message_received", received(number)), ("group_name_updated", renamed(number))] {
                let reached = simulator.emit("bot", name, bytes).unwrap();
                assert!(reached >= 1, "no stream of {name} was open for {number}");
            }
            sent.numbers.set(number + 1);
        }
        let before = Instant::now();
        simulator.drained(WAITING).await;
        sent.longest_pause.set(sent.longest_pause.get().max(before.elapsed()));
    }
}
