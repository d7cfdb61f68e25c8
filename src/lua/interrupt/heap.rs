//! What the process has of the system and needs no more: what the allocator keeps of what was used for once, as little as
//! it can be told to (only glibc's keeps much), and the program's own code.

use std::{
    ffi::{c_int, c_void},
    ptr, slice,
};

/// The least that the system maps.
const PAGE: usize = 4096;

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

/// Lets go of the program's code, of which starting needs most and waiting next to nothing. What is needed is there again as
/// soon as it is executed, from the file.
pub(in super::super) fn release_code() {
    // As wide as an address, on any machine.
    fn number(address: impl TryInto<usize>) -> usize {
        address.try_into().unwrap_or_default()
    }

    unsafe extern "C" fn of_program(info: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
        // SAFETY: what the C library tells of a program that is loaded is whole while it is told.
        let (base, parts) =
            unsafe { ((*info).dlpi_addr, slice::from_raw_parts((*info).dlpi_phdr, (*info).dlpi_phnum.into())) };
        let is_code = |flags| flags & (libc::PF_R | libc::PF_W | libc::PF_X) == libc::PF_R | libc::PF_X;
        for part in parts.iter().filter(|part| part.p_type == libc::PT_LOAD && is_code(part.p_flags)) {
            let begin = number(base) + number(part.p_vaddr);
            let at = begin & !(PAGE - 1);
            let length = begin + number(part.p_memsz) - at;
            // SAFETY: pages of a file that nobody may write to, and mapped for as long as the program runs: to touch them
            // brings them back as they are. A system with larger pages refuses.
            unsafe { libc::madvise(ptr::with_exposed_provenance_mut(at), length, libc::MADV_DONTNEED) };
        }
        // The program is told first, before its libraries.
        1
    }
    // SAFETY: the function is as the C library calls it, and does not unwind.
    unsafe { libc::dl_iterate_phdr(Some(of_program), ptr::null_mut()) };
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn code_that_was_let_go_of_is_there_when_it_is_executed() {
        let resident = || {
            let maps = fs::read_to_string("/proc/self/smaps").unwrap();
            let code = maps.split_once(" r-xp ").unwrap().1;
            let size = code.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
            size.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let before = resident();
        release_code();
        let after = resident();
        assert!(after < before, "{before} KiB before, {after} KiB after");
    }
}
