//! What the process and its threads use up, as the system counts it. What the system does not show is left out.

use std::time::Duration;

use procfs::{
    ProcResult, WithCurrentSystemInfo as _,
    process::{LimitValue, Process, Stat},
    ticks_per_second,
};

use crate::lua::{self, Account};

/// How often a script's CPU is read where a thread ends just then.
const TURNS: usize = 3;

/// The whole process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    pub(super) resident: u64,
    pub(super) virtual_size: u64,
    /// Of the resident memory, what is used, as far as the allocator says; none where it does not.
    pub(super) heap: Option<u64>,
    pub(super) threads: u64,
    pub(super) open_files: Option<usize>,
    pub(super) most_files: Option<u64>,
}

impl Usage {
    /// What it is now.
    pub(super) fn now() -> Option<Self> {
        Self::read().ok()
    }

    fn read() -> ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let limit = |limits: procfs::process::Limits| match limits.max_open_files.soft_limit {
            LimitValue::Value(most) => Some(most),
            LimitValue::Unlimited => None,
        };
        Ok(Self {
            cpu: cpu(&stat),
            resident: stat.rss_bytes().get(),
            virtual_size: stat.vsize,
            heap: lua::heap(),
            threads: stat.num_threads.unsigned_abs(),
            open_files: process.fd_count().ok(),
            most_files: process.limits().ok().and_then(limit),
        })
    }
}

/// What the threads of a script have used up. It does not go back: a thread that has just ended is found where it put
/// down what it used.
pub(super) fn cpu_of(account: &Account) -> Option<Duration> {
    (0..TURNS).find_map(|_| {
        let (ended, alive) = account.cpu();
        let alive: ProcResult<Duration> = alive.into_iter().map(thread).sum();
        Some(ended + alive.ok()?)
    })
}

fn thread(number: u32) -> ProcResult<Duration> {
    let number = i32::try_from(number).map_err(|_| procfs::ProcError::NotFound(None))?;
    Ok(cpu(&Process::myself()?.task_from_tid(number)?.stat()?))
}

fn cpu(stat: &Stat) -> Duration {
    // A tick is a hundredth of a second, wherever Linux runs.
    let ticks = u128::from(stat.utime + stat.stime) * 1_000_000_000 / u128::from(ticks_per_second().max(1));
    Duration::from_nanos(u64::try_from(ticks).unwrap_or(u64::MAX))
}
