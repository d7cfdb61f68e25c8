//! The end of a script that does not end: what a run may use up, and how it is stopped for good.
//!
//! Nothing here costs a run anything until it breaches a bound: no hook is set. Each script thread has a timer on its own
//! CPU clock ([`timer`]), so a busy machine gives no false alarm and an idle thread is never woken. Its signal comes on
//! the script's thread every few milliseconds of CPU and looks at the present run. Past a bound it sets a hook on the
//! running coroutine, as the stock interpreter does at Ctrl-C, and the hook yields. Nobody ever resumes what yielded so:
//! no `pcall`, no `__close` and no message handler runs in it again. Where a C function of Lua's stands between, which
//! cannot be yielded through, the hook raises an error instead, at every instruction, until it can yield.
//!
//! Memory is watched in the allocator, only while a script runs. A script that is over its limit after a full collection
//! is stopped in the same way; up to twice the limit it gets what it asked for until then, so that it is stopped at the
//! line that asked, and beyond that nothing.
//!
//! Which coroutine runs is known because scripts resume and close coroutines by functions of this module only
//! ([`base`]). The stock ones must not be reachable, nor `__gc`: hooks do not act in finalizers.
//!
//! What holds for all unsafe code here: functions that Lua calls own nothing that needs dropping while they may raise or
//! yield, as both jump over them; and the signal's handler touches atomics of its own thread and `lua_sethook`, which is
//! made to be called from handlers.
#![expect(unsafe_code, reason = "hooks that are armed from a signal, and the allocator, are Lua's C API")]

mod base;
mod bounds;
pub(super) mod heap;
pub(super) mod pages;
mod timer;

use std::{
    cell::{Cell, RefCell},
    ffi::{CStr, c_int, c_void},
    io, mem, ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, compiler_fence},
    },
    time::Duration,
};

use mlua::{
    IntoLuaMulti, Lua, Thread, Value,
    ffi::{self, lua_Alloc, lua_Debug, lua_State},
};

pub(super) use base::{entered, functions};
pub(super) use bounds::Bounds;
use timer::Timer;
pub(super) use timer::thread;

use super::{
    alarm::Alarm,
    failure::{Frame, SHOWN},
};

/// CPU between two looks at the present run. The kernel rounds it up to its own tick.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Ticks that a run which was told to end may go on for, in some function of C: then its thread is given up. With them
/// comes one for each part of its VM, as what takes longest there is a full collection, and longer on a loaded machine.
const LOST: u32 = 6;
const PART: usize = 4 << 20;

/// Ticks after which it gets no more memory: far more than the next instruction needs to be reached.
const LATE: u32 = 4;

/// Ticks after which a run in a VM of so many bytes that was told to end is given up with its thread.
fn ticks_to_loss(memory: usize) -> u32 {
    LOST + u32::try_from(memory / PART).unwrap_or(u32::MAX - LOST)
}

/// The same as CPU of the thread.
pub(super) fn given_up_after(memory: usize) -> Duration {
    TICK.saturating_mul(ticks_to_loss(memory))
}

/// What a hook that cannot yield raises. Nobody can make the same value: its address is ours.
static STOPPED: u8 = 0;

/// Which bound was breached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breach {
    /// The wall clock.
    Timeout = 1,
    /// CPU.
    Cpu,
    /// Memory.
    Memory,
    /// What it may write to the log.
    Output,
}

impl Breach {
    /// Of its number, where that is one.
    pub(super) fn of(number: u8) -> Option<Self> {
        [Self::Timeout, Self::Cpu, Self::Memory, Self::Output].into_iter().find(|breach| *breach as u8 == number)
    }
}

/// A run that was stopped. Its coroutine must not be resumed or closed.
pub(super) struct Stopped {
    pub(super) breach: Breach,
    /// The script's frames at that moment, the innermost first.
    pub(super) frames: Vec<Frame>,
    /// Whether its thread was given up meanwhile, and whether whoever did that has told of the run.
    pub(super) is_lost: bool,
    pub(super) is_told: bool,
}

/// The present run of a thread, as the signal's handler sees it.
struct Present {
    /// The coroutine that runs; null while none does.
    coroutine: AtomicPtr<lua_State>,
    /// The breach, or 0.
    breach: AtomicU8,
    /// Nanoseconds of the monotonic clock.
    deadline: AtomicU64,
    /// Nanoseconds that are left.
    cpu: AtomicU64,
    /// The thread's CPU at the last tick, and whether the run was resumed since then.
    seen: AtomicU64,
    is_fresh: AtomicBool,
    /// Ticks since the breach, and after how many the thread is given up.
    overdue: AtomicU32,
    lost: AtomicU32,
    /// Whom to tell that the thread does not come back.
    alarm: AtomicPtr<Alarm>,
}

thread_local! {
    static PRESENT: Present = const {
        Present {
            coroutine: AtomicPtr::new(ptr::null_mut()),
            breach: AtomicU8::new(0),
            deadline: AtomicU64::new(0),
            cpu: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            is_fresh: AtomicBool::new(true),
            overdue: AtomicU32::new(0),
            lost: AtomicU32::new(LOST),
            alarm: AtomicPtr::new(ptr::null_mut()),
        }
    };
    /// The frames of the run that is being stopped; not for the signal's handler.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// Whether the present run has to end: for loops of the host's own that work for a script.
pub(super) fn is_over() -> bool {
    PRESENT.with(|present| present.breach() != 0)
}

/// CPU of the calling thread.
pub(super) fn cpu() -> Duration {
    Duration::from_nanos(timer::cpu())
}

/// Ends the present run at its next instruction, if there is one.
pub(super) fn stop(breach: Breach) {
    PRESENT.with(|present| {
        let coroutine = present.coroutine.load(Ordering::Relaxed);
        if !coroutine.is_null() && present.set_breach(breach) {
            // SAFETY: a function of the host's was called by this coroutine, which is therefore alive, on this thread.
            unsafe { note_frames(coroutine) };
            arm(coroutine);
        }
    });
}

/// The script's frames of a coroutine that waits, the innermost first.
pub(super) fn frames(thread: &Thread) -> Vec<Frame> {
    // SAFETY: the handle keeps the coroutine, whose stack stands still; nothing of it is changed.
    unsafe { note_frames(thread.state()) };
    FRAMES.with(RefCell::take)
}

/// Runs the coroutines of one VM within bounds, on the VM's thread.
pub(super) struct Guard {
    watched: Box<Watched>,
    alarm: Arc<Alarm>,
    _timer: Timer,
}

impl Guard {
    /// Starts the timer of the calling thread, which is the VM's from now on.
    pub(super) fn new(alarm: Arc<Alarm>) -> io::Result<Self> {
        let watched = Watched {
            inner: Cell::new(None),
            used: Cell::new(0),
            limit: Cell::new(usize::MAX),
            refused: Cell::new((ptr::null_mut(), 0)),
        };
        heap::share();
        Ok(Self { watched: Box::new(watched), alarm, _timer: Timer::start(TICK, tick)? })
    }

    /// Says that the VM is full and stays so.
    pub(super) fn raise_spent(&self) {
        self.alarm.raise_spent();
    }

    /// Resumes a coroutine until it yields or ends, with the first two values of that, or is stopped. Bounds keep what is left.
    pub(super) fn resume(
        &self,
        lua: &Lua,
        thread: &Thread,
        arguments: impl IntoLuaMulti,
        bounds: &mut Bounds,
    ) -> Result<mlua::Result<(Value, Value)>, Stopped> {
        let yielded = PRESENT.with(|present| {
            present.begin(bounds, &self.alarm);
            let limited = Limited::new(lua, thread, &self.watched, bounds.memory);
            present.enter(thread.state());
            let yielded = thread.resume(arguments);
            present.enter(ptr::null_mut());
            drop(limited);
            bounds.cpu = present.cpu.load(Ordering::Relaxed);
            yielded
        });
        let Some(breach) = PRESENT.with(Present::end) else { return Ok(yielded) };
        let frames = FRAMES.with(RefCell::take);
        let is_lost = self.alarm.is_lost();
        Err(Stopped { breach, frames, is_lost, is_told: is_lost && !self.alarm.may_tell() })
    }
}

impl Present {
    fn breach(&self) -> u8 {
        self.breach.load(Ordering::Relaxed)
    }

    /// Says which coroutine runs from here on. The signal's handler is on the same thread: it is the compiler that must
    /// not move what is done before or after.
    fn enter(&self, coroutine: *mut lua_State) {
        compiler_fence(Ordering::SeqCst);
        self.coroutine.store(coroutine, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    fn begin(&self, bounds: &Bounds, alarm: &Arc<Alarm>) {
        self.deadline.store(bounds.deadline, Ordering::Relaxed);
        self.cpu.store(bounds.cpu, Ordering::Relaxed);
        self.lost.store(ticks_to_loss(bounds.memory), Ordering::Relaxed);
        self.is_fresh.store(true, Ordering::Relaxed);
        self.alarm.store(Arc::as_ptr(alarm).cast_mut(), Ordering::Relaxed);
    }

    /// Forgets the run; what bound it breached, if any.
    fn end(&self) -> Option<Breach> {
        self.overdue.store(0, Ordering::Relaxed);
        self.alarm.store(ptr::null_mut(), Ordering::Relaxed);
        Breach::of(self.breach.swap(0, Ordering::Relaxed))
    }

    /// Whether it is the first one.
    fn set_breach(&self, breach: Breach) -> bool {
        self.breach.compare_exchange(0, breach as u8, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Looks at the run, in the signal's handler.
    fn look(&self) {
        let coroutine = self.coroutine.load(Ordering::Relaxed);
        if coroutine.is_null() {
            return;
        }
        if self.breach() == 0 {
            let left = self.cpu.load(Ordering::Relaxed).saturating_sub(self.used());
            self.cpu.store(left, Ordering::Relaxed);
            if left == 0 {
                self.set_breach(Breach::Cpu);
            } else if timer::now() >= self.deadline.load(Ordering::Relaxed) {
                self.set_breach(Breach::Timeout);
            }
        }
        if self.breach() != 0 {
            // Again each time: the hook may have been on its way out when it was set.
            arm(coroutine);
            let overdue = self.overdue.load(Ordering::Relaxed) + 1;
            self.overdue.store(overdue, Ordering::Relaxed);
            let alarm = self.alarm.load(Ordering::Relaxed);
            if overdue == self.lost.load(Ordering::Relaxed) && !alarm.is_null() {
                // SAFETY: the guard that put it there holds it for as long as the run lasts; what the thread was at
                // must not find another error number than it left.
                unsafe {
                    let number = *libc::__errno_location();
                    (*alarm).raise_lost(self.breach());
                    *libc::__errno_location() = number;
                }
            }
        }
    }

    /// Nanoseconds of CPU to charge to the run at this tick: all since the last tick where that was its own. Otherwise one
    /// tick, which is right on the average over runs that are resumed for less, and reads no clock at each resumption.
    fn used(&self) -> u64 {
        let now = timer::cpu();
        let before = self.seen.swap(now, Ordering::Relaxed);
        if self.is_fresh.swap(false, Ordering::Relaxed) { u64::from(TICK.subsec_nanos()) } else { now - before }
    }
}

/// The signal's handler.
extern "C" fn tick(_signal: c_int) {
    PRESENT.with(Present::look);
}

/// Has the coroutine's next instruction call the hook. Once: with a deep stack, setting it takes longer than a tick.
fn arm(coroutine: *mut lua_State) {
    // SAFETY: it runs on this thread, so it is alive and nobody else touches it; made to be called from handlers.
    unsafe {
        let is_armed = ffi::lua_gethook(coroutine).is_some_and(|set| ptr::fn_addr_eq(set, hook as ffi::lua_Hook));
        if !is_armed {
            ffi::lua_sethook(coroutine, Some(hook), ffi::LUA_MASKCOUNT, 1);
        }
    }
}

/// Ends the run that breached a bound. One that is left from an earlier run takes itself away.
unsafe extern "C-unwind" fn hook(lua: *mut lua_State, _: *mut lua_Debug) {
    if !is_over() {
        // SAFETY: Lua calls the hook with the coroutine that runs.
        unsafe { ffi::lua_sethook(lua, None, 0, 0) };
        return;
    }
    // SAFETY: as above; nothing that needs dropping is held where this jumps.
    unsafe {
        note_frames(lua);
        if ffi::lua_isyieldable(lua) != 0 {
            ffi::lua_yield(lua, 0);
            return;
        }
        raise(lua);
    }
}

/// Raises what ends a run where it cannot be yielded out of.
unsafe fn raise(lua: *mut lua_State) -> c_int {
    // SAFETY: the caller's: a coroutine that runs, and nothing to be dropped. A light value needs no memory.
    unsafe {
        ffi::lua_pushlightuserdata(lua, stopped());
        ffi::lua_error(lua)
    }
}

fn stopped() -> *mut c_void {
    (&raw const STOPPED).cast_mut().cast()
}

/// Notes the script's frames, the first time.
///
/// # Safety
///
/// The coroutine must run or be suspended, or be the one that a hook or a function of ours was called from.
unsafe fn note_frames(lua: *mut lua_State) {
    FRAMES.with(|frames| {
        let Ok(mut frames) = frames.try_borrow_mut() else { return };
        if !frames.is_empty() {
            return;
        }
        let mut level = 0;
        // SAFETY: plain C data, which zeros are a value of; filled in before it is read.
        let mut found: lua_Debug = unsafe { mem::zeroed() };
        // SAFETY: the caller's; the strings are Lua's and live while the function is on the stack.
        while frames.len() < SHOWN && unsafe { ffi::lua_getstack(lua, level, &raw mut found) } != 0 {
            level += 1;
            // SAFETY: as above.
            frames.extend(unsafe {
                ffi::lua_getinfo(lua, c"Sln".as_ptr(), &raw mut found);
                let text =
                    |text: *const std::ffi::c_char| (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy());
                let (source, what, name) = (text(found.source), text(found.what), text(found.name));
                let line = usize::try_from(found.currentline).ok();
                Frame::of(source.as_deref(), line, name.as_deref(), &what.unwrap_or_default())
            });
        }
    });
}

/// The VM's allocator with a look at each request.
struct Watched {
    inner: Cell<Option<(lua_Alloc, *mut c_void)>>,
    used: Cell<usize>,
    limit: Cell<usize>,
    /// The request that was refused last: if it comes again, everything has been collected in between.
    refused: Cell<(*mut c_void, usize)>,
}

impl Watched {
    /// Whether a request is to be refused so that Lua collects and asks again.
    fn is_too_much(&self, block: *mut c_void, used: usize, size: usize) -> bool {
        // What goes on in a function of C long after the run was told to end fails where it asks for more.
        if PRESENT.with(|present| present.overdue.load(Ordering::Relaxed) > LATE) {
            return true;
        }
        if used <= self.limit.get() {
            self.refused.set((ptr::null_mut(), 0));
            return false;
        }
        if self.refused.replace((block, size)) != (block, size) {
            return true;
        }
        PRESENT.with(|present| {
            let coroutine = present.coroutine.load(Ordering::Relaxed);
            if !coroutine.is_null() {
                present.set_breach(Breach::Memory);
                arm(coroutine);
            }
        });
        false
    }
}

/// Asks the VM's own allocator, which has the limit beyond which nothing is granted.
unsafe extern "C" fn allocate(data: *mut c_void, block: *mut c_void, old: usize, new: usize) -> *mut c_void {
    // SAFETY: `data` is the `Watched` that was set together with this function and outlives it; used on its thread only.
    let watched = unsafe { &*data.cast::<Watched>() };
    let Some((inner, inner_data)) = watched.inner.get() else { return ptr::null_mut() };
    let old_size = if block.is_null() { 0 } else { old };
    let used = (watched.used.get() + new).saturating_sub(old_size);
    if new > old_size && watched.is_too_much(block, used, new) {
        return ptr::null_mut();
    }
    // SAFETY: the arguments are those that Lua gave for it.
    let granted = unsafe { inner(inner_data, block, old, new) };
    if new == 0 || !granted.is_null() {
        watched.used.set(used);
    }
    granted
}

/// Memory is limited for as long as this lives. While the host converts messages it is not: a message's size is bounded by
/// itself, and mlua's operations, of which there are some around that, are then free of a protected call each.
struct Limited<'g> {
    lua: &'g Lua,
    coroutine: *mut lua_State,
    inner: (lua_Alloc, *mut c_void),
}

impl<'g> Limited<'g> {
    fn new(lua: &'g Lua, thread: &Thread, watched: &'g Watched, limit: usize) -> Self {
        watched.used.set(lua.used_memory());
        watched.limit.set(limit);
        watched.refused.set((ptr::null_mut(), 0));
        // With a limit, mlua expects requests to fail.
        lua.set_memory_limit(limit.saturating_mul(2)).unwrap_or_default();
        let (coroutine, mut data) = (thread.state(), ptr::null_mut());
        // SAFETY: the thread is alive; the allocator is the VM's, whichever coroutine is asked, and put back on drop.
        let inner = unsafe { (ffi::lua_getallocf(coroutine, &raw mut data), data) };
        watched.inner.set(Some(inner));
        // SAFETY: as above; blocks pass through unchanged, so either allocator may free what the other made.
        unsafe { ffi::lua_setallocf(coroutine, allocate, ptr::from_ref(watched).cast_mut().cast()) };
        Self { lua, coroutine, inner }
    }
}

impl Drop for Limited<'_> {
    fn drop(&mut self) {
        // SAFETY: as in `new`.
        unsafe { ffi::lua_setallocf(self.coroutine, self.inner.0, self.inner.1) };
        self.lua.set_memory_limit(0).unwrap_or_default();
    }
}
