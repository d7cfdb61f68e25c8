//! Threads that a test holds, as a debugger does.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{fs, thread, time::Duration};

use nix::{sys::ptrace, unistd::Pid};

/// How long a state may take to be reached.
const PATIENCE: Duration = Duration::from_mins(1);

/// The process or thread is in this state, as the kernel says it.
pub(crate) fn until_state(path: &str, state: char) {
    for _ in 0..PATIENCE.as_millis() / 5 {
        let stat = fs::read_to_string(format!("{path}/stat")).unwrap();
        if stat.rsplit_once(") ").unwrap().1.starts_with(state) {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("{path} is not in state {state}");
}

/// A thread that the test holds; let go when dropped.
pub(crate) struct Held(Pid);

impl Held {
    /// Holds the thread of a script; none where this user may not.
    pub(crate) fn script(process: u32, name: &str) -> Option<Self> {
        let tasks = format!("/proc/{process}/task");
        let is_named =
            |task: &str| fs::read_to_string(format!("{tasks}/{task}/comm")).is_ok_and(|comm| comm.trim() == name);
        let all = fs::read_dir(&tasks).unwrap().map(|task| task.unwrap().file_name().into_string().unwrap());
        let task = all.into_iter().find(|task| is_named(task)).unwrap();
        let thread = Pid::from_raw(task.parse().unwrap());
        ptrace::seize(thread, ptrace::Options::empty()).ok()?;
        ptrace::interrupt(thread).unwrap();
        until_state(&format!("{tasks}/{task}"), 't');
        Some(Self(thread))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = ptrace::detach(self.0, None);
    }
}
