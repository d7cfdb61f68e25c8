//! Functions of the base library that the end of a run depends on: Lua's own, but for keeping note of which coroutine runs,
//! and for letting nothing of a script's run where no hook acts: in finalizers, and in what was stopped.

use std::{ffi::c_int, sync::atomic::Ordering};

use mlua::{
    Function, Lua, Table,
    ffi::{self, lua_KContext, lua_State},
};

use super::{PRESENT, arm, is_over, stopped};

/// Makes the functions `resume`, `close`, `xpcall` and `setmetatable`.
pub(in super::super) fn functions(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    // SAFETY: they keep to Lua's protocol for C functions and hold nothing that needs dropping.
    unsafe {
        table.raw_set("resume", lua.create_c_function(resume)?)?;
        table.raw_set("close", lua.create_c_function(close)?)?;
        table.raw_set("xpcall", lua.create_c_function(xpcall)?)?;
        table.raw_set("setmetatable", lua.create_c_function(setmetatable)?)?;
    }
    Ok(table)
}

/// Lets a function of Lua's be entered as one of C's: a call in `return f()` then stays at its line, where an error of `f`
/// is told to be, as a function of Lua's would take the place of its caller. Nothing yields through it, as through C.
pub(in super::super) fn entered(lua: &Lua, function: Function) -> mlua::Result<Function> {
    // SAFETY: the function is on the stack, and becomes what `enter_function` finds as its first upvalue.
    unsafe { lua.exec_raw(function, |lua| ffi::lua_pushcclosure(lua, enter_function, 1)) }
}

unsafe extern "C-unwind" fn enter_function(lua: *mut lua_State) -> c_int {
    // SAFETY: as in `resume`; C functions are called with room for twenty values beside their arguments.
    unsafe {
        ffi::lua_pushvalue(lua, ffi::lua_upvalueindex(1));
        ffi::lua_insert(lua, 1);
        ffi::lua_call(lua, ffi::lua_gettop(lua) - 1, ffi::LUA_MULTRET);
        ffi::lua_gettop(lua)
    }
}

/// Says that another coroutine runs from now on.
fn enter(coroutine: *mut lua_State) {
    PRESENT.with(|present| {
        if !present.coroutine.load(Ordering::Relaxed).is_null() {
            present.enter(coroutine);
        }
        // The breach may have been told to who resumes it.
        if present.breach() != 0 {
            arm(coroutine);
        }
    });
}

/// The first argument; what is none is raised as an error.
unsafe fn coroutine(lua: *mut lua_State) -> *mut lua_State {
    // SAFETY: the caller's: a function that Lua has called.
    unsafe {
        let coroutine = ffi::lua_tothread(lua, 1);
        if coroutine.is_null() {
            ffi::luaL_argerror(lua, 1, c"coroutine expected".as_ptr());
        }
        coroutine
    }
}

/// `resume(coroutine, ...)`
unsafe extern "C-unwind" fn resume(lua: *mut lua_State) -> c_int {
    // SAFETY: the stack is used as the manual of each function says; `coroutine` is on it, and so alive.
    unsafe {
        let coroutine = coroutine(lua);
        if was_stopped(coroutine) {
            return failed(lua, STOPPED_BEFORE);
        }
        let arguments = ffi::lua_gettop(lua) - 1;
        if ffi::lua_checkstack(coroutine, arguments) == 0 {
            return failed(lua, c"too many arguments to resume");
        }
        ffi::lua_xmove(lua, coroutine, arguments);
        let mut results = 0;
        enter(coroutine);
        let status = ffi::lua_resume(coroutine, lua, arguments, &raw mut results);
        enter(lua);
        if status == ffi::LUA_YIELD && is_over() {
            // By the hook, most likely, and in the middle of anything: a mark that `was_stopped` finds.
            if ffi::lua_checkstack(coroutine, 1) != 0 {
                ffi::lua_pushlightuserdata(coroutine, stopped());
            }
            ffi::lua_pushboolean(lua, 0);
            return 1;
        }
        if status != ffi::LUA_OK && status != ffi::LUA_YIELD {
            // What stopped it stays where it is, for `close` to see.
            if ffi::lua_touserdata(coroutine, -1) == stopped() {
                ffi::lua_pushnil(lua);
            } else {
                ffi::lua_xmove(coroutine, lua, 1);
            }
            // Below the error: both may be one stack, where a coroutine resumes itself.
            ffi::lua_pushboolean(lua, 0);
            ffi::lua_insert(lua, -2);
            return 2;
        }
        if ffi::lua_checkstack(lua, results + 1) == 0 {
            ffi::lua_pop(coroutine, results);
            return failed(lua, c"too many results to resume");
        }
        ffi::lua_pushboolean(lua, 1);
        ffi::lua_xmove(coroutine, lua, results);
        results + 1
    }
}

const STOPPED_BEFORE: &std::ffi::CStr = c"the coroutine was stopped";

/// Whether a run's end ended this coroutine. It is never resumed, as it would go on where it was stopped, and not closed:
/// hooks are off in one that a hook's error ended, and what it has to close would run without bounds.
unsafe fn was_stopped(coroutine: *mut lua_State) -> bool {
    // SAFETY: the caller's: a coroutine that is alive.
    unsafe {
        ffi::lua_status(coroutine) != ffi::LUA_OK
            && ffi::lua_gettop(coroutine) > 0
            && ffi::lua_touserdata(coroutine, -1) == stopped()
    }
}

unsafe fn failed(lua: *mut lua_State, message: &std::ffi::CStr) -> c_int {
    // SAFETY: the caller's: a function of C has room for twenty values.
    unsafe {
        ffi::lua_pushboolean(lua, 0);
        ffi::lua_pushstring(lua, message.as_ptr());
    }
    2
}

/// `close(coroutine)`, of one that is suspended or dead.
unsafe extern "C-unwind" fn close(lua: *mut lua_State) -> c_int {
    // SAFETY: as in `resume`.
    unsafe {
        let coroutine = coroutine(lua);
        if was_stopped(coroutine) {
            return failed(lua, STOPPED_BEFORE);
        }
        enter(coroutine);
        let status = ffi::lua_closethread(coroutine, lua);
        enter(lua);
        if status == ffi::LUA_OK {
            ffi::lua_pushboolean(lua, 1);
            return 1;
        }
        ffi::lua_pushboolean(lua, 0);
        ffi::lua_xmove(coroutine, lua, 1);
        2
    }
}

/// `xpcall(f, handler, ...)`
unsafe extern "C-unwind" fn xpcall(lua: *mut lua_State) -> c_int {
    // SAFETY: as in `resume`.
    unsafe {
        let arguments = ffi::lua_gettop(lua);
        ffi::luaL_checktype(lua, 2, ffi::LUA_TFUNCTION);
        // A handler of C's, as every run has one, finds nothing of the script's to call in what the hook raises.
        if ffi::lua_iscfunction(lua, 2) == 0 {
            ffi::lua_pushvalue(lua, 2);
            ffi::lua_pushcclosure(lua, handle, 1);
            ffi::lua_replace(lua, 2);
        }
        ffi::lua_pushboolean(lua, 1);
        ffi::lua_pushvalue(lua, 1);
        ffi::lua_rotate(lua, 3, 2);
        let status = ffi::lua_pcallk(lua, arguments - 2, ffi::LUA_MULTRET, 2, 2, Some(finish));
        finish(lua, status, 2)
    }
}

unsafe extern "C-unwind" fn finish(lua: *mut lua_State, status: c_int, below: lua_KContext) -> c_int {
    // SAFETY: as in `resume`.
    unsafe {
        if status == ffi::LUA_OK || status == ffi::LUA_YIELD {
            return ffi::lua_gettop(lua) - c_int::try_from(below).unwrap_or_default();
        }
        ffi::lua_pushboolean(lua, 0);
        ffi::lua_pushvalue(lua, -2);
    }
    2
}

/// Calls the script's message handler, unless the run has to end: the error is then raised inside a hook, and the handler
/// would run with hooks off.
unsafe extern "C-unwind" fn handle(lua: *mut lua_State) -> c_int {
    if is_over() {
        return 1;
    }
    // SAFETY: as in `resume`.
    unsafe {
        ffi::lua_pushvalue(lua, ffi::lua_upvalueindex(1));
        ffi::lua_insert(lua, 1);
        ffi::lua_call(lua, 1, 1);
    }
    1
}

/// `setmetatable(table, metatable)`
unsafe extern "C-unwind" fn setmetatable(lua: *mut lua_State) -> c_int {
    // SAFETY: as in `resume`.
    unsafe {
        ffi::luaL_checktype(lua, 1, ffi::LUA_TTABLE);
        let kind = ffi::lua_type(lua, 2);
        if kind != ffi::LUA_TNIL && kind != ffi::LUA_TTABLE {
            return ffi::luaL_argerror(lua, 2, c"nil or table expected".as_ptr());
        }
        if ffi::luaL_getmetafield(lua, 1, c"__metatable".as_ptr()) != ffi::LUA_TNIL {
            return ffi::luaL_error(lua, c"cannot change a protected metatable".as_ptr());
        }
        if kind == ffi::LUA_TTABLE {
            // One that is added later has no effect.
            ffi::lua_pushstring(lua, c"__gc".as_ptr());
            if ffi::lua_rawget(lua, 2) != ffi::LUA_TNIL {
                return ffi::luaL_error(lua, c"`__gc` is not available".as_ptr());
            }
        }
        ffi::lua_settop(lua, 2);
        ffi::lua_setmetatable(lua, 1);
    }
    1
}
