//! The pages of the program's own file that the process holds.

use std::{
    ffi::{c_int, c_void},
    ptr, slice,
};

/// The least that the system maps.
const PAGE: usize = 4096;

/// Lets go of the program's code, of which starting needs most and waiting next to nothing. What is needed is there again as
/// soon as it is executed, from the file.
pub(in super::super) fn release() {
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
            // brings them back as they are. A system with larger pages refuses, or takes what is on the same pages of the
            // same file.
            unsafe { libc::madvise(ptr::with_exposed_provenance_mut(at), length, libc::MADV_DONTNEED) };
        }
        // The program is told first, before its libraries.
        1
    }
    // SAFETY: the function is as the C library calls it, and does not unwind.
    unsafe { libc::dl_iterate_phdr(Some(of_program), ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn code_that_is_let_go_of_is_not_resident_and_can_be_executed() {
        let resident = || {
            let maps = fs::read_to_string("/proc/self/smaps").unwrap();
            let code = maps.split_once(" r-xp ").unwrap().1;
            let size = code.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
            size.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        // Other tests execute meanwhile what was let go of.
        let is_less = (0..10).any(|_| {
            let before = resident();
            release();
            resident() < before
        });
        assert!(is_less);
    }
}
