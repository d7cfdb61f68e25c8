//! How long somebody waits for Lua that runs at a stretch: while it is loaded, or saves or restores its state.
//!
//! Who waits holds a [`Patience`]; when that is dropped, whatever runs for it ends with an error at its next instructions.
//! Functions of the standard library are not interrupted. Handlers are not run this way: they have their `timeout`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mlua::{HookTriggers, Lua, VmState};

/// Instructions between two looks: some tens of microseconds.
const INSTRUCTIONS: u32 = 10_000;

/// Held by who waits.
#[derive(Default)]
pub(super) struct Patience(End);

/// Whether nobody waits any more.
#[derive(Clone, Default)]
pub(super) struct End(Arc<AtomicBool>);

impl Patience {
    /// What the other side looks at.
    pub(super) fn end(&self) -> End {
        self.0.clone()
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Release);
    }
}

impl End {
    pub(super) fn is_here(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Runs Lua until it ends or nobody waits for it.
    pub(super) fn guard<T>(self, lua: &Lua, body: impl FnOnce() -> mlua::Result<T>) -> mlua::Result<T> {
        lua.set_global_hook(HookTriggers::new().every_nth_instruction(INSTRUCTIONS), move |lua, _| {
            if !self.is_here() {
                return Ok(VmState::Continue);
            }
            // At each instruction from now on: a loop around `pcall` has one that no `pcall` protects.
            lua.set_global_hook(HookTriggers::new().every_nth_instruction(1), |_, _| Err(ended()))?;
            Err(ended())
        })?;
        let result = body();
        lua.remove_global_hook();
        lua.remove_hook();
        result
    }
}

fn ended() -> mlua::Error {
    mlua::Error::runtime("nobody waits for this")
}
