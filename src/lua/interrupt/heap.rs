//! What the system's allocator keeps of what scripts used for once: as little as it can be told to. Only glibc's keeps
//! much.

/// Lets threads share heaps, one for each core, rather than have one each: a VM that once was large leaves its size in the
/// heap, and the next one to grow takes it from there.
pub(super) fn share() {
    #[cfg(target_env = "gnu")]
    {
        use std::{sync::Once, thread::available_parallelism};

        static SHARED: Once = Once::new();
        SHARED.call_once(|| {
            let cores = available_parallelism().map_or(2, |cores| cores.get().max(2));
            // SAFETY: has no requirements; where it is refused, all is as it was.
            unsafe { libc::mallopt(libc::M_ARENA_MAX, i32::try_from(cores).unwrap_or(i32::MAX)) };
        });
    }
}

/// Gives back to the system what is free.
pub(in super::super) fn release() {
    #[cfg(target_env = "gnu")]
    // SAFETY: has no requirements.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Bytes that the program holds of the allocator, what is free between them left out; none where it does not say. Unlike
/// the memory that the process has of the system, this comes back to where it was.
pub(in super::super) fn in_use() -> Option<u64> {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: has no requirements.
        let state = unsafe { libc::mallinfo2() };
        u64::try_from(state.uordblks.checked_add(state.hblkhd)?).ok()
    }
    #[cfg(not(target_env = "gnu"))]
    None
}
