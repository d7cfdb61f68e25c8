//! The keys that the process was started with: taken out of its environment, and the process closed to others.
//!
//! What a variable held at the start stays readable in `/proc/PID/environ` for as long as the process runs, removed or
//! not; only writing over it helps. To start the program anew without the variables would leave the keys to be handed
//! over in some other way, and to point the system at another block (`PR_SET_MM`) takes a privilege.

#![expect(unsafe_code, reason = "both are the C library's to do; the block can be reached through a pointer only")]

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char},
    slice,
};

use crate::daemon::{Secret, SecretError};

/// Variables with a key: these, and every name that begins with the second and another `_`, one for each administrator.
const CLIENT_KEY: &[u8] = b"OLVID_CLIENT_KEY";
const ADMIN_KEY: &[u8] = b"OLVID_ADMIN_CLIENT_KEY";

/// How the name of a variable ends that holds a path.
const PATH: &[u8] = b"_FILE";

/// The keys by their variables, or why a text is none. One that is set to nothing is not set.
#[derive(Debug, Default)]
pub(super) struct Inherited(BTreeMap<Vec<u8>, Result<Secret, SecretError>>);

impl Inherited {
    /// What a variable held.
    pub(super) fn key(&self, name: &str) -> Option<Result<Secret, SecretError>> {
        self.0.get(name.as_bytes()).cloned()
    }

    /// Takes the key out of a `NAME=value`, if it is one, and leaves zeros. Of a name that is there twice the first counts.
    fn take(&mut self, entry: &mut [u8]) {
        let Some(end) = entry.iter().position(|byte| *byte == b'=') else { return };
        let (name, value) = entry.split_at_mut(end);
        let value = &mut value[1..];
        if !holds_key(name) || value.is_empty() {
            return;
        }
        let key = str::from_utf8(value).map_err(|_| SecretError::Unprintable).and_then(Secret::new);
        self.0.entry(name.to_vec()).or_insert(key);
        value.fill(0);
    }
}

fn holds_key(name: &[u8]) -> bool {
    match name.strip_prefix(ADMIN_KEY) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"_") && rest != PATH,
        None => name == CLIENT_KEY,
    }
}

unsafe extern "C" {
    /// The C library's list of the process's variables, with a null pointer at its end.
    static environ: *const *mut c_char;
}

/// Takes the keys out of the environment of the process. To be called first, while there is one thread only.
pub(super) fn take() -> Inherited {
    let mut inherited = Inherited::default();
    // SAFETY: the C library has made the list before `main`, and nothing has changed it since.
    let mut next = unsafe { environ };
    // SAFETY: it goes on up to the null pointer, and is not read beyond that.
    while let Some(entry) = unsafe { next.as_ref() }.filter(|entry| !entry.is_null()) {
        // SAFETY: an entry is a text of C. No other thread is there to read or change it, and the reference to its bytes,
        // the final zero left out, is gone before the next one is made.
        unsafe {
            let length = CStr::from_ptr(*entry).count_bytes();
            inherited.take(slice::from_raw_parts_mut(entry.cast::<u8>(), length));
            next = next.add(1);
        }
    }
    inherited
}

/// Closes the process to others of its user, debuggers too, and has no core of it written: it will hold keys.
pub(super) fn close() {
    #[cfg(target_os = "linux")]
    {
        let not: libc::c_ulong = 0;
        // SAFETY: it touches no memory of ours. With these arguments it does not fail.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, not) };
    }
}

/// Tells the time in UTC wherever the machine stands. To be called while there is one thread only.
pub(super) fn in_utc() {
    // SAFETY: no other thread is there to read the environment meanwhile.
    unsafe { std::env::set_var("TZ", "UTC0") };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(entries: &[&str]) -> (Inherited, Vec<String>) {
        let mut inherited = Inherited::default();
        let left = entries.iter().map(|entry| {
            let mut bytes = entry.as_bytes().to_vec();
            inherited.take(&mut bytes);
            String::from_utf8(bytes).unwrap().replace('\0', "0")
        });
        let left = left.collect();
        (inherited, left)
    }

    #[test]
    fn a_key_is_taken_and_zeros_are_left() {
        let (inherited, left) =
            taken(&["OLVID_CLIENT_KEY= k1 ", "OLVID_ADMIN_CLIENT_KEY=k2", "OLVID_ADMIN_CLIENT_KEY_OPS=k"]);
        assert_eq!(left, ["OLVID_CLIENT_KEY=0000", "OLVID_ADMIN_CLIENT_KEY=00", "OLVID_ADMIN_CLIENT_KEY_OPS=0"]);
        for name in ["OLVID_CLIENT_KEY", "OLVID_ADMIN_CLIENT_KEY"] {
            assert!(matches!(inherited.key(name), Some(Ok(_))), "{inherited:?}");
        }
    }

    #[test]
    fn what_is_no_key_stays() {
        let others = [
            "OLVID_CLIENT_KEY=",
            "OLVID_CLIENT_KEY",
            "",
            "=",
            "OLVID_CLIENT_KEY_FILE=/a",
            "OLVID_ADMIN_CLIENT_KEY_FILE=/b",
            "OLVID_ADMIN_CLIENT_KEYS=x",
            "MY_OLVID_CLIENT_KEY=x",
            "X=OLVID_CLIENT_KEY=x",
        ];
        let (inherited, left) = taken(&others);
        assert_eq!(left, others);
        assert!(inherited.0.is_empty(), "{inherited:?}");
    }

    #[test]
    fn a_bad_text_is_taken_too_and_the_first_of_two_counts() {
        let (inherited, left) =
            taken(&["OLVID_CLIENT_KEY=\u{e9}", "OLVID_CLIENT_KEY=good", "OLVID_ADMIN_CLIENT_KEY= "]);
        assert_eq!(left, ["OLVID_CLIENT_KEY=00", "OLVID_CLIENT_KEY=0000", "OLVID_ADMIN_CLIENT_KEY=0"]);
        assert!(matches!(inherited.key("OLVID_CLIENT_KEY"), Some(Err(SecretError::Letter { at: 1, .. }))));
        assert!(matches!(inherited.key("OLVID_ADMIN_CLIENT_KEY"), Some(Err(SecretError::Empty))));
    }
}
