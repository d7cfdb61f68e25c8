//! The socket of a service manager, as `sd_notify(3)` describes it: datagrams of lines `NAME=value`.
//!
//! The crate `sd-notify` was looked at and left: it knows no abstract socket, and waits without end where the manager
//! takes nothing.

use std::{
    env,
    ffi::OsStr,
    io::ErrorKind,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// How long a manager is waited for that takes nothing. Its queue holds hundreds of messages, so it stands still then.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a service manager listens to us.
#[derive(Debug)]
pub(super) struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Manager {
    /// The one that started this process, if it wants to hear of us and can be reached in a way that we know.
    pub(super) fn of_process() -> Option<Self> {
        Self::at(&env::var_os("NOTIFY_SOCKET")?)
    }

    fn at(name: &OsStr) -> Option<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(name),
            _ => return None,
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_write_timeout(Some(PATIENCE)).ok()?;
        Some(Self { socket, address: address.ok()? })
    }

    /// Tells it all of this at once. One that is not there, or takes nothing, is no failure of ours.
    pub(super) fn tell(&self, lines: &[String]) {
        let datagram = lines.join("\n");
        // The socket is looked up each time: the manager may have made it anew.
        let send = || self.socket.send_to_addr(datagram.as_bytes(), &self.address);
        while send().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {}
    }
}

/// How often the manager expects to hear that all is well, if it does.
pub(super) fn watchdog() -> Option<Duration> {
    expected(env::var("WATCHDOG_USEC").ok().as_deref(), env::var("WATCHDOG_PID").ok().as_deref())
}

fn expected(microseconds: Option<&str>, process: Option<&str>) -> Option<Duration> {
    // Meant for another process, which has left its environment to us.
    if process.is_some_and(|id| id.parse() != Ok(process::id())) {
        return None;
    }
    let every = microseconds?.parse().ok().filter(|every| *every > 0)?;
    Some(Duration::from_micros(every))
}

/// Microseconds of the clock by which the manager tells a reload that it has asked for from one before.
pub(super) fn now() -> i128 {
    let now = clock_gettime(ClockId::Monotonic);
    i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_is_no_manager() {
        for name in ["", "notify", "vsock:2:1234", "/\0", &format!("/{}", "x".repeat(200))] {
            assert!(Manager::at(OsStr::new(name)).is_none(), "{name:?}");
        }
        // Nobody is there, and nobody is missed.
        Manager::at(OsStr::new("/nowhere/notify")).unwrap().tell(&["READY=1".to_owned()]);
        Manager::at(OsStr::new("@nowhere")).unwrap().tell(&["READY=1".to_owned()]);
    }

    #[test]
    fn a_manager_that_takes_nothing_is_not_waited_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _taken = UnixDatagram::bind(&path).unwrap();
        let manager = Manager::at(path.as_os_str()).unwrap();
        manager.socket.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
        // More than any queue holds.
        for _ in 0..2000 {
            manager.tell(&["x".repeat(1000)]);
        }
    }

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let own = process::id().to_string();
        assert_eq!(expected(Some("30000000"), None), Some(Duration::from_secs(30)));
        assert_eq!(expected(Some("30000000"), Some(&own)), Some(Duration::from_secs(30)));
        for (every, process) in [
            (None, None),
            (Some("0"), None),
            (Some("x"), None),
            (Some("-1"), None),
            (Some("1"), Some("1")),
            (Some("1"), Some("")),
        ] {
            assert_eq!(expected(every, process), None, "{every:?} {process:?}");
        }
    }
}
