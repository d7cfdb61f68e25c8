//! Where control sockets are, and how one is put there and taken away.
//!
//! Nobody but its owner can ever connect to a socket: it listens only once its mode is 0600. Hosts that want the same
//! place take turns by a lock on its directory, so that a socket which refuses is a dead host's and may be removed.

use std::{
    env,
    ffi::OsStr,
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf, absolute},
    process,
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixSocket, UnixStream},
    time::sleep,
};

/// The variable that names the socket, as the flag does.
const VARIABLE: &str = "OLVID_RULES_CONTROL_SOCKET";

/// The socket's name in a directory that is one host's.
const NAME: &str = "control.sock";

/// How the names of sockets end in a directory that hosts share.
const KIND: &str = "sock";

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// Entries of a shared directory that are looked at.
const MOST_ENTRIES: usize = 1000;

/// How often, and after which pause, a directory's lock is tried. It is held for as long as a socket takes to appear.
const TURNS: usize = 100;
const BETWEEN_TURNS: Duration = Duration::from_millis(20);

/// What decides where control sockets are.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The socket that was named; then there is no other.
    pub given: Option<PathBuf>,
    /// The directory that the service manager made for this service.
    pub service: Option<PathBuf>,
    /// The directory that the service manager makes for the packaged service.
    pub system: PathBuf,
    /// The user's directory for sockets. Hosts share a directory in it.
    pub session: Option<PathBuf>,
    /// The directory for temporary files. The hosts of a user share a directory in it.
    pub temporary: PathBuf,
}

impl Surroundings {
    /// Reads the environment; a flag comes before the variable that names the socket.
    pub fn of_process(flag: Option<&Path>) -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        // systemd separates several directories by colons.
        let first =
            |list: &OsStr| list.as_bytes().split(|byte| *byte == b':').next().map(OsStr::from_bytes).map(PathBuf::from);
        Self {
            given: flag.map(Path::to_owned).or_else(|| set(VARIABLE).map(PathBuf::from)),
            service: set("RUNTIME_DIRECTORY").as_deref().and_then(first),
            system: "/run/olvid-rules".into(),
            session: set("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()),
            temporary: env::temp_dir(),
        }
    }

    /// Finds every socket that may be a host's: they need not exist. Empty or unreadable directories have none.
    pub(in crate::cli) fn sockets(&self, user: u32) -> Vec<PathBuf> {
        if let Some(given) = &self.given {
            return vec![given.clone()];
        }
        let mut found = self.single();
        for folder in self.shared(user).into_iter().filter(|folder| is_private(folder, user)) {
            found.extend(entries(&folder));
        }
        found
    }

    /// Names the places of [`sockets`](Self::sockets), for people.
    pub(in crate::cli) fn places(&self, user: u32) -> Vec<PathBuf> {
        if let Some(given) = &self.given {
            return vec![given.clone()];
        }
        let shared = self.shared(user).into_iter().map(|folder| folder.join(format!("*.{KIND}")));
        self.single().into_iter().chain(shared).collect()
    }

    fn single(&self) -> Vec<PathBuf> {
        self.service.iter().chain([&self.system]).map(|folder| folder.join(NAME)).collect()
    }

    /// Directories in which each host has a socket of its own, the preferred one first.
    fn shared(&self, user: u32) -> Vec<PathBuf> {
        let session = self.session.as_ref().map(|folder| folder.join("olvid-rules"));
        session.into_iter().chain([self.temporary.join(format!("olvid-rules-{user}"))]).collect()
    }

    /// Decides on the socket of this process, and makes its directory where that is ours to make.
    async fn own(&self, user: u32) -> io::Result<PathBuf> {
        if let Some(given) = &self.given {
            return absolute(given);
        }
        if let Some(service) = &self.service {
            return absolute(service.join(NAME));
        }
        // A variable that came along from another user's session leads to a directory that is not ours.
        let usable = |folder: &PathBuf| folder.parent().is_some_and(|above| owner(above) == Some(user));
        let shared = self.shared(user);
        let folder =
            absolute(shared.iter().find(|folder| usable(folder)).or(shared.last()).cloned().unwrap_or_default())?;
        make_private(&folder, user)?;
        sweep(&folder).await;
        Ok(folder.join(format!("{}.{KIND}", process::id())))
    }
}

/// The user whom this process acts as. Must be called within a runtime.
pub(in crate::cli) fn user() -> io::Result<u32> {
    // What a peer of ours is told of us. The owner of `/proc/self` is another where processes are not dumpable.
    let (ours, _theirs) = UnixStream::pair()?;
    Ok(ours.peer_cred()?.uid())
}

/// A socket in its place; removed when dropped, unless another one stands there by then.
#[derive(Debug)]
pub(in crate::cli) struct Placed {
    path: PathBuf,
    identity: (u64, u64),
}

impl Placed {
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // It is dead without us, and the next host removes it.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Opens the socket of this process.
pub(super) async fn open(surroundings: &Surroundings, user: u32) -> io::Result<(Placed, UnixListener)> {
    put(&surroundings.own(user).await?, 0o600).await
}

/// Opens a socket with these permissions at a path. One that a process answers on is an error; one that nobody listens on
/// any more is replaced.
pub(in crate::cli) async fn put(path: &Path, mode: u32) -> io::Result<(Placed, UnixListener)> {
    let path = absolute(path)?;
    let told = |error: io::Error| at(&path, &error);
    let folder = path.parent().unwrap_or(&path);
    let _turn = turn(folder).await.map_err(|error| at(folder, &error))?;
    clear(&path).await?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(&path).map_err(told)?;
    let placed = Placed { identity: identity(&path).map_err(told)?, path: path.clone() };
    // Until it listens, everybody is refused.
    fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(told)?;
    let listener = socket.listen(BACKLOG).map_err(told)?;
    Ok((placed, listener))
}

/// Waits for the lock on a directory; it is held for as long as the file is open.
async fn turn(folder: &Path) -> io::Result<File> {
    let lock = File::open(folder)?;
    for _ in 0..TURNS {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => sleep(BETWEEN_TURNS).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another process keeps the directory locked"))
}

/// Removes what a dead host left at a path. Anything else that stands there is an error.
async fn clear(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(path, &error)),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("`{}` exists and is no socket", path.display()),
        ));
    }
    if let Some(who) = listens(path).await {
        let text = format!("{who} serves `{}` already", path.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    fs::remove_file(path).map_err(|error| at(path, &error))
}

/// Removes what dead hosts left in a shared directory, as far as that can be done now.
async fn sweep(folder: &Path) {
    let Ok(_turn) = turn(folder).await else { return };
    for path in entries(folder) {
        drop(clear(&path).await);
    }
}

/// Tells who listens at a socket; nobody listens where the connection is refused.
async fn listens(path: &Path) -> Option<String> {
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => None,
        Err(_) => Some("another process".to_owned()),
        Ok(stream) => match stream.peer_cred().ok().and_then(|peer| peer.pid()) {
            Some(pid) => Some(format!("process {pid}")),
            None => Some("another process".to_owned()),
        },
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    let paths = found.take(MOST_ENTRIES).flatten().map(|entry| entry.path());
    let mut sockets: Vec<_> = paths.filter(|path| path.extension().is_some_and(|kind| kind == KIND)).collect();
    sockets.sort();
    sockets
}

/// Makes a directory that nobody else can enter, or finds that it is one.
fn make_private(folder: &Path, user: u32) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at(folder, &error)),
        _ => {}
    }
    if !is_private(folder, user) {
        let text = format!("`{}` is not a directory of ours", folder.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(|error| at(folder, &error))
}

/// Whether a path is a directory of the user's, and no link to one.
fn is_private(folder: &Path, user: u32) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir() && found.uid() == user)
}

fn owner(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|found| found.uid())
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}
