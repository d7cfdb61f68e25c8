//! A message's table, built on Lua's stack in one protected call.
//!
//! Through handles, each key and each value is moved between stacks three times, and is counted. Here a key is pushed from
//! a table of constants, the value from the wire, and both are stored. A third fewer instructions for a table, and a fifth
//! for all of a notification (docs/performance.md). The unsafe code is here and holds to three rules:
//!
//! - Lua's errors, for want of memory or of stack, jump over the frames of this file up to the protected call: nothing in
//!   them needs to be dropped. Plans are borrowed, buffers are Lua's.
//! - Nothing panics: an index that leads nowhere is a field that is left out.
//! - Each function says what it leaves on the stack, and asks for the slots that it uses.

#![expect(unsafe_code, reason = "Lua's own functions, in one protected call: the rules above")]

use std::{ffi::c_int, ptr, rc::Rc, slice, sync::Arc};

use mlua::{
    Lua, Table, Thread,
    ffi::{self, lua_Integer, lua_State},
};

use crate::schema::{
    Cardinality, Message,
    wire::{self, Reader, Value, WireError},
};

/// A message's plan with what a VM has of it: the places of its words among the VM's constants.
pub(in super::super) struct Plan {
    pub(super) message: Arc<Message>,
    /// In the order of the message's.
    pub(super) fields: Vec<FieldPlan>,
    /// What the table gets its methods by.
    pub(super) metatable: Option<Constant>,
}

pub(super) struct FieldPlan {
    pub(super) key: Constant,
    pub(super) absent: Absent,
    /// The names of an enum's numbers.
    pub(super) names: Vec<(i32, Constant)>,
    /// The plan of a message field.
    pub(super) inner: Option<Rc<Plan>>,
}

/// A place in a VM's table of constants.
pub(super) type Constant = lua_Integer;

/// Where what marks a list is among the constants of every VM.
const LIST: Constant = 1;

/// What stands for a field that did not occur.
#[derive(Clone, Copy)]
pub(super) enum Absent {
    Nothing,
    False,
    Integer,
    Number,
    List,
    Constant(Constant),
}

/// Slots of the stack that one message needs: its table, the list under way, a key, a value, and what a value is made with.
const SLOTS: c_int = 8;

/// Where the constants are on the stack.
const CONSTANTS: c_int = 1;

/// Tables of what handlers are called with: built by Lua's own calls on the VM's main stack, and moved from there to the
/// coroutine that is about to run. By mlua's, a handle on the table is made, pushed and dropped for each.
pub(super) struct Stage {
    /// The VM's main state.
    main: *mut lua_State,
    /// Where the constants are in Lua's registry, which keeps them.
    constants: c_int,
}

impl Stage {
    pub(super) fn new(lua: &Lua, constants: &Table) -> mlua::Result<Self> {
        let mut stage = Self { main: ptr::null_mut(), constants: ffi::LUA_NOREF };
        // SAFETY: the constants are on the stack, and taken off it. The main state lives as long as the VM.
        unsafe {
            lua.exec_raw::<()>(constants, |state| {
                stage.constants = ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX);
                ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_MAINTHREAD);
                stage.main = ffi::lua_tothread(state, -1);
                ffi::lua_settop(state, 0);
            })?;
        }
        Ok(stage)
    }

    /// Puts the table of a message on the stack of a coroutine of this VM's that waits to be resumed: mlua resumes it with what
    /// is there already, and then what it is given. Where that fails, nothing is put there.
    pub(super) fn hand_over(&self, coroutine: &Thread, plan: &Plan, bytes: &[u8]) -> mlua::Result<()> {
        // Of a VM that is gone, mlua panics here.
        if !coroutine.is_resumable() {
            return Err(mlua::Error::CoroutineUnresumable);
        }
        let (main, coroutine) = (self.main, coroutine.state());
        let mut asked = Asked { plan, bytes, wrong: None };
        // SAFETY: the coroutine's VM is alive and, once that was looked at, the one that this was made of. Slots are asked for;
        // what is raised is caught by Lua's protected call, which leaves one value in the place of the function and its two.
        unsafe {
            if ffi::lua_checkstack(coroutine, 1) == 0 {
                return Err(mlua::Error::StackError);
            }
            ffi::lua_rawgeti(coroutine, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_MAINTHREAD);
            let is_ours = ffi::lua_tothread(coroutine, -1) == main;
            ffi::lua_pop(coroutine, 1);
            if !is_ours {
                return Err(mlua::Error::MismatchedRegistryKey);
            }
            if ffi::lua_checkstack(main, SLOTS) == 0 {
                return Err(mlua::Error::StackError);
            }
            ffi::lua_pushcfunction(main, build);
            ffi::lua_rawgeti(main, ffi::LUA_REGISTRYINDEX, self.constants.into());
            ffi::lua_pushlightuserdata(main, (&raw mut asked).cast());
            if ffi::lua_pcall(main, 2, 1, 0) == ffi::LUA_OK && asked.wrong.is_none() {
                ffi::lua_xmove(main, coroutine, 1);
                return Ok(());
            }
            let mut length = 0;
            let text = ffi::lua_tolstring(main, -1, &raw mut length).cast::<u8>();
            let text = if text.is_null() { &[] } else { slice::from_raw_parts(text, length) };
            let raised = String::from_utf8_lossy(text).into_owned();
            ffi::lua_pop(main, 1);
            Err(asked.wrong.map_or(mlua::Error::RuntimeError(raised), mlua::Error::external))
        }
    }
}

/// What [`build`] is called with.
struct Asked<'a> {
    plan: &'a Plan,
    bytes: &'a [u8],
    wrong: Option<WireError>,
}

/// `build(constants, asked)`: the message's table, or nil.
unsafe extern "C-unwind" fn build(state: *mut lua_State) -> c_int {
    // SAFETY: called by `hand_over` only, which waits for it.
    unsafe {
        let asked = &mut *ffi::lua_touserdata(state, -1).cast::<Asked<'_>>();
        ffi::lua_settop(state, CONSTANTS);
        if let Err(error) = message(state, asked.plan, asked.bytes) {
            asked.wrong = Some(error);
            ffi::lua_pushnil(state);
        }
    }
    1
}

/// Builds the table of a message.
pub(super) fn table(lua: &Lua, constants: &Table, plan: &Plan, bytes: &[u8]) -> mlua::Result<Table> {
    let mut wrong = None;
    // SAFETY: the closure keeps to the rules above. It leaves a table in the place of the constants, or nothing.
    let built: Option<Table> = unsafe {
        lua.exec_raw(constants, |state| match message(state, plan, bytes) {
            Ok(()) => ffi::lua_replace(state, CONSTANTS),
            Err(error) => {
                wrong = Some(error);
                ffi::lua_settop(state, 0);
            }
        })?
    };
    built.ok_or_else(|| mlua::Error::external(wrong.unwrap_or(WireError::Truncated)))
}

/// Which fields of a message have occurred, and which more than once, a bit each.
#[derive(Default)]
struct Seen {
    once: u64,
    again: u64,
}

impl Seen {
    /// Marks a field; whether it is the first time.
    fn add(&mut self, index: usize) -> bool {
        let bit = 1 << index;
        let first = self.once & bit == 0;
        self.once |= bit;
        self.again |= if first { 0 } else { bit };
        first
    }

    fn has(&self, index: usize) -> bool {
        self.once & (1 << index) != 0
    }

    fn had(&self, index: usize) -> bool {
        self.again & (1 << index) != 0
    }
}

/// Pushes the table of a message. With an error, some of it is left.
///
/// # Safety
///
/// As for all here: the state runs in a protected call whose first value is the table of constants that the plan is of.
unsafe fn message(state: *mut lua_State, plan: &Plan, bytes: &[u8]) -> Result<(), WireError> {
    let fields = &*plan.message.fields;
    let mut seen = Seen::default();
    // The field whose list is under way, and how much is in it.
    let mut list = (usize::MAX, 0);
    // SAFETY: the caller's, with slots for all that is pushed at a time.
    unsafe {
        ffi::luaL_checkstack(state, SLOTS, ptr::null());
        ffi::lua_createtable(state, 0, c_int::try_from(fields.len()).unwrap_or(0));
        let table = ffi::lua_gettop(state);
        ffi::lua_pushnil(state);
        let mut reader = Reader::new(&plan.message, bytes);
        while let Some((index, found)) = reader.advance()? {
            let (Some(field), Some(step)) = (fields.get(index), plan.fields.get(index)) else { continue };
            let first = seen.add(index);
            if field.cardinality == Cardinality::Repeated {
                if list.0 != index {
                    list = (index, find_list(state, step, table, first));
                }
                list.1 += 1;
                value(state, step, found)?;
                ffi::lua_rawseti(state, table + 1, list.1);
                continue;
            }
            if field.oneof.is_some() {
                for sibling in plan.message.siblings(index).filter(|sibling| seen.has(*sibling)) {
                    let Some(step) = plan.fields.get(sibling) else { continue };
                    constant(state, step.key);
                    ffi::lua_pushnil(state);
                    ffi::lua_rawset(state, table);
                }
            }
            constant(state, step.key);
            // Read even where merging replaces it, as each occurrence has to be a message by itself.
            value(state, step, found)?;
            ffi::lua_rawset(state, table);
        }
        if seen.again != 0 {
            merge_repeated(state, plan, bytes, &seen, table)?;
        }
        for (index, step) in plan.fields.iter().enumerate() {
            if !seen.has(index) && !matches!(step.absent, Absent::Nothing) {
                constant(state, step.key);
                absent(state, step.absent);
                ffi::lua_rawset(state, table);
            }
        }
        ffi::lua_settop(state, table);
        if let Some(metatable) = plan.metatable {
            constant(state, metatable);
            ffi::lua_setmetatable(state, table);
        }
    }
    Ok(())
}

/// Puts a field's list into the slot above the table. Returns how much is in it.
unsafe fn find_list(state: *mut lua_State, step: &FieldPlan, table: c_int, is_new: bool) -> lua_Integer {
    // SAFETY: the caller's; three slots are used and given back.
    unsafe {
        constant(state, step.key);
        if is_new {
            absent(state, Absent::List);
            ffi::lua_copy(state, -1, table + 1);
            ffi::lua_rawset(state, table);
            return 0;
        }
        ffi::lua_rawget(state, table);
        ffi::lua_replace(state, table + 1);
        lua_Integer::try_from(ffi::lua_rawlen(state, table + 1)).unwrap_or(lua_Integer::MAX)
    }
}

/// Merges messages that occurred more than once; at the end, as at each occurrence it would cost the square.
unsafe fn merge_repeated(
    state: *mut lua_State,
    plan: &Plan,
    bytes: &[u8],
    seen: &Seen,
    table: c_int,
) -> Result<(), WireError> {
    for (index, step) in plan.fields.iter().enumerate().filter(|(index, _)| seen.had(*index)) {
        let is_list = plan.message.fields.get(index).is_none_or(|field| field.cardinality == Cardinality::Repeated);
        let Some(inner) = step.inner.as_ref().filter(|_| !is_list) else { continue };
        // SAFETY: the caller's; the buffer is Lua's, as large as it was asked for, all of it written before it is read, and on
        // the stack for as long as it is borrowed.
        unsafe {
            constant(state, step.key);
            if ffi::lua_rawget(state, table) != ffi::LUA_TNIL {
                let buffer = ffi::lua_newuserdatauv(state, bytes.len(), 0).cast::<u8>();
                ptr::write_bytes(buffer, 0, bytes.len());
                let merged = wire::merge(&plan.message, bytes, index, slice::from_raw_parts_mut(buffer, bytes.len()))?;
                constant(state, step.key);
                message(state, inner, merged)?;
                ffi::lua_rawset(state, table);
            }
            ffi::lua_settop(state, table + 1);
        }
    }
    Ok(())
}

/// Pushes a value.
unsafe fn value(state: *mut lua_State, step: &FieldPlan, value: Value<'_>) -> Result<(), WireError> {
    // SAFETY: the caller's; the texts are copied.
    unsafe {
        match (value, &step.inner) {
            (Value::Bool(truth), _) => ffi::lua_pushboolean(state, truth.into()),
            (Value::Signed(number), _) => ffi::lua_pushinteger(state, number),
            (Value::Unsigned(number), _) => ffi::lua_pushinteger(state, number.cast_signed()),
            (Value::Float(number), _) => ffi::lua_pushnumber(state, number),
            (Value::Text(text), _) => text_of(state, text.as_bytes()),
            (Value::Enum(number), _) => match step.names.iter().find(|(known, _)| *known == number) {
                Some((_, name)) => constant(state, *name),
                None => ffi::lua_pushinteger(state, number.into()),
            },
            (Value::Message(bytes), Some(plan)) => message(state, plan, bytes)?,
            (Value::Bytes(bytes) | Value::Message(bytes), _) => text_of(state, bytes),
        }
    }
    Ok(())
}

/// Pushes a text.
unsafe fn text_of(state: *mut lua_State, bytes: &[u8]) {
    // SAFETY: the caller's; Lua copies it.
    unsafe { ffi::lua_pushlstring(state, bytes.as_ptr().cast(), bytes.len()) };
}

/// Pushes what stands for a field that did not occur.
unsafe fn absent(state: *mut lua_State, absent: Absent) {
    // SAFETY: the caller's, with two slots.
    unsafe {
        match absent {
            Absent::Nothing => ffi::lua_pushnil(state),
            Absent::False => ffi::lua_pushboolean(state, 0),
            Absent::Integer => ffi::lua_pushinteger(state, 0),
            Absent::Number => ffi::lua_pushnumber(state, 0.0),
            Absent::Constant(place) => constant(state, place),
            Absent::List => {
                ffi::lua_createtable(state, 0, 0);
                constant(state, LIST);
                ffi::lua_setmetatable(state, -2);
            }
        }
    }
}

/// Pushes a constant.
unsafe fn constant(state: *mut lua_State, place: Constant) {
    // SAFETY: the caller's, with one slot.
    unsafe { ffi::lua_rawgeti(state, CONSTANTS, place) };
}
