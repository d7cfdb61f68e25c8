//! A service manager, as far as a service can see of it: a socket that takes datagrams.

use std::{
    cell::RefCell,
    io::ErrorKind,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long anything may take before the test fails: far more than it needs on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Manager {
    socket: UnixDatagram,
    /// As services are told it.
    pub(crate) name: String,
    /// Every datagram so far, by its lines.
    told: RefCell<Vec<Vec<String>>>,
    _folder: Option<TempDir>,
}

impl Manager {
    /// Listens at a path.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { socket, name: path.display().to_string(), told: RefCell::default(), _folder: Some(folder) }
    }

    /// Listens at a name that is no path.
    pub(crate) fn nameless(name: &str) -> Self {
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        Self { socket, name: format!("@{name}"), told: RefCell::default(), _folder: None }
    }

    /// Takes the next datagram, if it comes within a time.
    pub(crate) fn next(&self, within: Duration) -> Option<Vec<String>> {
        self.socket.set_read_timeout(Some(within)).unwrap();
        let mut bytes = [0; 8192];
        match self.socket.recv(&mut bytes) {
            Ok(length) => {
                assert!(length <= 4096, "systemd reads no more");
                let text = str::from_utf8(&bytes[..length]).expect("a message is text");
                let lines: Vec<_> = text.lines().map(str::to_owned).collect();
                assert!(lines.iter().all(|line| line.contains('=')), "{lines:?}");
                self.told.borrow_mut().push(lines.clone());
                Some(lines)
            }
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes datagrams up to one that answers a question.
    pub(crate) fn until<T>(&self, what: &str, answer: impl Fn(&[String]) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if let Some(found) = self.next(left).and_then(|lines| answer(&lines)) {
                return found;
            }
        }
        panic!("no {what} in {:#?}", self.told.borrow());
    }

    /// Takes datagrams up to one that begins with a line, and returns the rest of that.
    pub(crate) fn expect(&self, first: &str) -> Vec<String> {
        self.until(first, |lines| (lines[0] == first).then(|| lines[1..].to_vec()))
    }

    /// Takes datagrams up to a sentence with this in it, and returns that.
    pub(crate) fn sentence(&self, part: &str) -> String {
        let sentence =
            |line: &String| line.strip_prefix("STATUS=").filter(|text| text.contains(part)).map(str::to_owned);
        self.until(part, |lines| lines.iter().find_map(sentence))
    }

    /// Takes what has come.
    pub(crate) fn drain(&self) {
        while self.next(Duration::from_millis(1)).is_some() {}
    }

    /// Every datagram that was taken so far.
    pub(crate) fn told(&self) -> Vec<Vec<String>> {
        self.told.borrow().clone()
    }
}
