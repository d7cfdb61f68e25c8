//! What the host holds for a script outside of its VM: requests that are prepared or under way, and downloads that arrive.
//!
//! A script pays for it in bytes out of one purse, as large as its VM may be; what it cannot pay for is refused. A value
//! is priced before it is copied: a table may hold the same text a million times.

use std::{cell::Cell, rc::Rc};

use mlua::Value;

use super::interrupt;
use crate::daemon::{CallError, Disposition};

/// What any value costs, beyond its bytes.
const ENTRY: usize = 16;

/// Nothing that a command takes is nested so deep.
const DEEPEST: usize = 16;

/// What a script may have held.
pub(super) struct Buffers {
    most: Cell<usize>,
    held: Cell<usize>,
}

/// Bytes that are held, until it is dropped.
pub(super) struct Held {
    buffers: Rc<Buffers>,
    bytes: Cell<usize>,
}

impl Buffers {
    pub(super) fn new(most: usize) -> Rc<Self> {
        Rc::new(Self { most: Cell::new(most), held: Cell::new(0) })
    }

    /// Changes how much may be held. What is held stays.
    pub(super) fn limit(&self, most: usize) {
        self.most.set(most);
    }

    /// How much may still be held.
    pub(super) fn room(&self) -> usize {
        self.most.get().saturating_sub(self.held.get())
    }

    /// Begins to hold something that has no bytes yet.
    pub(super) fn hold(self: &Rc<Self>) -> Held {
        Held { buffers: Rc::clone(self), bytes: Cell::new(0) }
    }

    /// Says that there is no room.
    pub(super) fn exhausted(&self) -> CallError {
        let most = self.most.get();
        let message = format!("the host may hold {most} bytes for the script, as much as the rule's `memory`");
        CallError::new("RESOURCE_EXHAUSTED", message, Disposition::Slower)
    }
}

impl Held {
    /// Holds more; where there is no room, no more than before.
    pub(super) fn add(&self, bytes: usize) -> Result<(), CallError> {
        let buffers = &self.buffers;
        if bytes > buffers.room() {
            return Err(buffers.exhausted());
        }
        self.bytes.set(self.bytes.get() + bytes);
        buffers.held.set(buffers.held.get() + bytes);
        Ok(())
    }

    /// Holds a copy of a value.
    pub(super) fn add_value(&self, value: &Value) -> Result<(), CallError> {
        self.add(price(value, self.buffers.room(), 0))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let buffers = &self.buffers;
        buffers.held.set(buffers.held.get() - self.bytes.get());
    }
}

/// The bytes of a value, not looked into any further once there are more than there is room for.
fn price(value: &Value, room: usize, depth: usize) -> usize {
    match value {
        Value::String(text) => ENTRY + text.as_bytes().len(),
        Value::Table(table) if depth < DEEPEST => {
            let mut sum = ENTRY;
            for pair in table.pairs::<Value, Value>() {
                // Iterating a table that nobody changes does not fail.
                let Ok((key, value)) = pair else { break };
                sum += price(&key, room, DEEPEST) + price(&value, room.saturating_sub(sum), depth + 1);
                // A run that is to end is answered by its end, whatever is said here.
                if sum > room || interrupt::is_over() {
                    break;
                }
            }
            sum
        }
        _ => ENTRY,
    }
}

#[cfg(test)]
mod tests {
    use mlua::Lua;

    use super::*;

    #[test]
    fn what_is_let_go_can_be_held_again_and_no_more_than_that() {
        let buffers = Buffers::new(100);
        let (one, other) = (buffers.hold(), buffers.hold());
        one.add(60).unwrap();
        assert_eq!(other.add(41).unwrap_err().code, "RESOURCE_EXHAUSTED");
        other.add(40).unwrap();
        drop(one);
        assert_eq!(buffers.room(), 60);
        buffers.limit(30);
        assert_eq!(buffers.room(), 0);
        drop(other);
        assert_eq!(buffers.room(), 30);
    }

    #[test]
    fn a_value_is_priced_by_all_it_would_become_however_often_it_holds_the_same() {
        let lua = Lua::new();
        let priced = |code: &str, room: usize| price(&lua.load(code).eval().unwrap(), room, 0);
        assert_eq!(priced("return 'abcd'", 1000), ENTRY + 4);
        assert!(priced("return { body = ('x'):rep(500) }", 1000) > 500);
        let bomb = "local s, t = ('x'):rep(1000000), {} for at = 1, 1000000 do t[at] = s end return { list = t }";
        assert!(priced(bomb, 5_000_000) > 5_000_000);
        let cycle = "local t = {} for at = 1, 100 do t[at] = t end return t";
        assert!(priced(cycle, 100_000) > 100_000);
    }
}
