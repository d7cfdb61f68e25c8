//! The socket of systemd's journal, by its native protocol: a datagram an entry, and what is too long for one in a file
//! that is handed over.
//!
//! The crates for it were looked at: `systemd-journal-logger` and `tracing-journald` take records of `log` and `tracing`,
//! which ours are not, and all have the socket's path built in, so that no test reaches them.

use std::{
    env,
    fs::File,
    io::{self, IoSlice, Write as _, stderr},
    mem::MaybeUninit,
    os::{
        fd::AsFd,
        unix::{fs::MetadataExt as _, net::UnixDatagram},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    io::Errno,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, sendmsg_addr},
};

/// Where the journal takes entries.
const PLACE: &str = "/run/systemd/journal/socket";

/// A way to the journal. It need not be there: it is looked for at each entry.
pub(super) struct Journal {
    socket: UnixDatagram,
    place: PathBuf,
}

impl Journal {
    /// The machine's.
    pub(super) fn open() -> io::Result<Self> {
        Self::at(Path::new(PLACE))
    }

    pub(super) fn at(place: &Path) -> io::Result<Self> {
        Ok(Self { socket: UnixDatagram::unbound()?, place: place.to_owned() })
    }

    /// Hands over an entry. Waits while the journal takes none.
    pub(super) fn send(&self, entry: &[u8]) -> io::Result<()> {
        loop {
            let sent = self.socket.send_to(entry, &self.place);
            match sent {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if [Some(Errno::MSGSIZE), Some(Errno::NOBUFS)].contains(&Errno::from_io_error(&error)) => {
                    return self.send_file(entry);
                }
                sent => return sent.map(drop),
            }
        }
    }

    /// Hands over a long entry in a file that nobody can change any more.
    fn send_file(&self, entry: &[u8]) -> io::Result<()> {
        let file = memfd_create("olvid-rules-entry", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC)?;
        let mut file = File::from(file);
        file.write_all(entry)?;
        fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
        let files = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut along = SendAncillaryBuffer::new(&mut space);
        if !along.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let address = SocketAddrUnix::new(&self.place)?;
        sendmsg_addr(&self.socket, &address, &[IoSlice::new(&[])], &mut along, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// Whether standard error goes to the journal, as `JOURNAL_STREAM` says of the service that was started with it.
pub(super) fn is_stderr() -> bool {
    env::var("JOURNAL_STREAM").is_ok_and(|stream| leads_to(&stream, stderr()))
}

/// Whether a file is the one of these numbers: device and inode.
fn leads_to(stream: &str, file: impl AsFd) -> bool {
    let Some((device, inode)) = stream.split_once(':') else { return false };
    let (Ok(device), Ok(inode)) = (device.parse::<u64>(), inode.parse::<u64>()) else { return false };
    let found = file.as_fd().try_clone_to_owned().and_then(|file| File::from(file).metadata());
    found.is_ok_and(|found| (found.dev(), found.ino()) == (device, inode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_stream_is_known_by_its_numbers() {
        let (stream, other) = UnixStream::pair().unwrap();
        let metadata = File::from(stream.as_fd().try_clone_to_owned().unwrap()).metadata().unwrap();
        let numbers = format!("{}:{}", metadata.dev(), metadata.ino());
        assert!(leads_to(&numbers, &stream) && !leads_to(&numbers, &other));
        for wrong in ["", ":", "1", "x:y", &format!("{numbers}:"), &format!("-{numbers}")] {
            assert!(!leads_to(wrong, &stream), "{wrong}");
        }
    }
}
