//! A thread's timer on its own CPU clock, and the monotonic clock as a signal's handler may read it.

use std::{
    ffi::c_int,
    io, mem, ptr,
    sync::{Once, OnceLock},
    time::Duration,
};

use tokio::time::Instant;

/// A timer that sends its thread a signal, again and again, for as long as that thread uses CPU.
pub(super) struct Timer(libc::timer_t);

/// Which signal: a real-time one, as nobody else has a use for it. The system's threads take the first few.
fn signal() -> c_int {
    libc::SIGRTMIN() + 5
}

impl Timer {
    /// Starts one for the calling thread. The handler is the process's, from the first start on.
    pub(super) fn start(interval: Duration, handler: extern "C" fn(c_int)) -> io::Result<Self> {
        install(handler);
        // SAFETY: plain C data, which zeros are a value of.
        let mut event: libc::sigevent = unsafe { mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal();
        // SAFETY: has no arguments.
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        let mut timer = ptr::null_mut();
        // SAFETY: both are valid for the time of the call.
        let made = unsafe { libc::timer_create(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut event, &raw mut timer) };
        if made != 0 {
            return Err(io::Error::last_os_error());
        }
        let timer = Self(timer);
        let interval = libc::timespec { tv_sec: 0, tv_nsec: interval.subsec_nanos().into() };
        let period = libc::itimerspec { it_interval: interval, it_value: interval };
        // SAFETY: the timer is ours, and the times are valid for the time of the call.
        let set = unsafe { libc::timer_settime(timer.0, 0, &raw const period, ptr::null_mut()) };
        if set == 0 { Ok(timer) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: it was made by `start` and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}

fn install(handler: extern "C" fn(c_int)) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: plain C data, which zeros are a value of.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = handler as usize;
        // Interrupted calls go on by themselves.
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the handler does nothing but what handlers may; a signal that exists cannot be refused.
        unsafe { libc::sigaction(signal(), &raw const action, ptr::null_mut()) };
    });
}

/// Nanoseconds of the monotonic clock; safe in a signal's handler.
pub(super) fn now() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// A moment as [`now`] will call it. The clock is read the first time only.
pub(super) fn at(moment: Instant) -> u64 {
    static BEGAN: OnceLock<(Instant, u64)> = OnceLock::new();
    let (began, reading) = *BEGAN.get_or_init(|| (Instant::now(), now()));
    match moment.checked_duration_since(began) {
        Some(after) => reading.saturating_add(nanoseconds(after)),
        None => reading.saturating_sub(nanoseconds(began - moment)),
    }
}

/// As a number, as large as may be.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds of CPU of the calling thread; safe in a signal's handler.
pub(super) fn cpu() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// The system's number of the calling thread.
pub(in super::super) fn thread() -> u32 {
    // SAFETY: has no arguments, and cannot fail.
    unsafe { libc::gettid() }.cast_unsigned()
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: valid for the time of the call; a clock that exists cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
