//! Faults of the network, of TLS and keys, of a daemon's answers and of what it sends, against the real program: sections A,
//! B, C and E of the fault matrix, a row each. `bench` has the oracles. Rows that are about how the program starts (B5, B7),
//! about many streams (A14) or about what is in a message (E1 to E10) have oracles of their own instead.
//!
//! Rows that cannot be produced here, or are proven elsewhere:
//! - A18 SERVFAIL and time-outs of a resolver, A20 interfaces that go down: they need namespaces of their own, with the
//!   daemon inside. A name that does not exist is here; what does not answer is A7.
//! - A19: this machine has no second address family; `daemon/transport.rs` tests the race of addresses.
//! - B1 to B4: `tests/tls.rs` has every certificate and every mistaken port; here is one of each with the program, and that
//!   they do not end it.
//! - B3, a clock that is wrong: it needs a preloaded library.
//! - B6 with a file and a signal: `tests/tls.rs` shows that new calls go under new keys; nothing reads a file again yet.
//! - E8: no message of this daemon nests itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "faults/answers.rs"]
mod answers;
#[path = "faults/bench.rs"]
mod bench;
#[path = "tls/front.rs"]
#[expect(dead_code, reason = "a part of its fronts is met here")]
mod front;
#[path = "faults/identity.rs"]
mod identity;
#[path = "faults/messages.rs"]
mod messages;
#[path = "support/process.rs"]
mod process;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/raw_server.rs"]
mod raw_server;
#[path = "faults/transport.rs"]
mod transport;
