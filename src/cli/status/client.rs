//! The other end of a control socket: finding the host that is meant, and asking it.

use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

use crate::{
    cli::{
        control::{Surroundings, user},
        exit,
    },
    report::log::escaped,
};

/// How long a host may take to answer what it need not think about.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of an answer: a thousand rules need less than a hundredth of it.
const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// A running host that answers.
#[derive(Debug)]
pub(super) struct Host {
    socket: PathBuf,
    status: Json,
    /// Who asks.
    user: u32,
}

/// Why a command has no answer: the exit code, and what the user is told.
#[derive(Debug)]
pub(in crate::cli) struct Refusal {
    pub(super) code: u8,
    pub(in crate::cli) text: String,
    /// Whether there is nobody who could answer.
    pub(super) absent: bool,
}

impl Refusal {
    fn new(code: u8, text: String) -> Self {
        Self { code, text, absent: false }
    }
}

/// What is behind a socket that is no host's that answers.
#[derive(Debug)]
enum Unanswered {
    /// Nobody listens there.
    Absent(io::Error),
    /// It is another user's.
    Denied,
    /// It is there, and something is wrong with it.
    Silent(String),
}

/// Finds the host that is meant: the one that was named, the only one, or the only one of the working directory.
pub(super) async fn find(surroundings: &Surroundings) -> Result<Host, Refusal> {
    let user = user().map_err(|error| Refusal::new(exit::IO, error.to_string()))?;
    let (mut hosts, mut denied, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    let sockets = distinct(surroundings.sockets(user));
    let request = json!({ "command": "status" });
    let answers = join_all(sockets.iter().map(|socket| ask(socket, &request, user, Some(PATIENCE)))).await;
    let mut absence = None;
    for (socket, answer) in sockets.into_iter().zip(answers) {
        match answer {
            Ok(status) => hosts.push(Host { socket, status, user }),
            Err(Unanswered::Absent(error)) => absence = Some(error),
            Err(Unanswered::Denied) => denied.push(socket),
            Err(Unanswered::Silent(how)) => silent.push((socket, how)),
        }
    }
    if silent.is_empty() && hosts.len() == 1 {
        return Ok(hosts.remove(0));
    }
    if let Some(host) = here(&mut hosts) {
        return Ok(host);
    }
    Err(match (&hosts[..], &silent[..], &denied[..]) {
        ([], [], []) => nobody(surroundings, user, absence),
        ([], [], [denied, ..]) => forbidden(denied),
        ([], [(socket, how)], _) => unanswered(socket, how),
        (hosts, silent, _) => several(hosts, silent),
    })
}

impl Host {
    /// What it answered when it was found.
    pub(super) fn status(&self) -> &Json {
        &self.status
    }

    /// The directory that it works in.
    fn directory(&self) -> Option<&str> {
        self.status["directory"].as_str()
    }

    /// Asks for something, for as long as it takes where there is no limit.
    pub(super) async fn ask(&self, request: &Json, patience: Option<Duration>) -> Result<Json, Refusal> {
        ask(&self.socket, request, self.user, patience).await.map_err(|failure| match failure {
            Unanswered::Absent(error) => unanswered(&self.socket, &error.to_string()),
            Unanswered::Denied => forbidden(&self.socket),
            Unanswered::Silent(how) => unanswered(&self.socket, &how),
        })
    }
}

/// Takes the host of the working directory, if it is the only one.
fn here(hosts: &mut Vec<Host>) -> Option<Host> {
    let here = env::current_dir().ok()?;
    let mut found = (0..hosts.len()).filter(|at| hosts[*at].directory().is_some_and(|it| here == Path::new(it)));
    let (first, second) = (found.next()?, found.next());
    second.is_none().then(|| hosts.remove(first))
}

/// Leaves out paths that lead to the same socket.
fn distinct(sockets: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let is_new = |socket: &PathBuf| match fs::metadata(socket) {
        Ok(found) => seen.insert((found.dev(), found.ino())),
        Err(_) => true,
    };
    sockets.into_iter().filter(is_new).collect()
}

async fn ask(socket: &Path, request: &Json, user: u32, patience: Option<Duration>) -> Result<Json, Unanswered> {
    let exchange = exchange(socket, request, user);
    let Some(patience) = patience else { return exchange.await };
    let late = |_| Err(Unanswered::Silent(format!("no answer within {} s", patience.as_secs())));
    timeout(patience, exchange).await.unwrap_or_else(late)
}

async fn exchange(socket: &Path, request: &Json, user: u32) -> Result<Json, Unanswered> {
    let mut stream = UnixStream::connect(socket).await.map_err(no_connection)?;
    let host = stream.peer_cred().map_err(|error| Unanswered::Silent(error.to_string()))?.uid();
    // Whoever is not listened to finds the connection closed, at whatever moment.
    drop(stream.write_all(format!("{request}\n").as_bytes()).await);
    let mut answer = Vec::new();
    drop(stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await);
    if answer.is_empty() {
        let ours = user == host || user == 0;
        let closed = || Unanswered::Silent("it closed the connection without an answer".to_owned());
        return Err(if ours { closed() } else { Unanswered::Denied });
    }
    let parsed: Json = serde_json::from_slice(&answer)
        .map_err(|error| Unanswered::Silent(format!("its answer is no JSON ({error})")))?;
    match parsed["error"].as_str() {
        Some(refusal) => Err(Unanswered::Silent(refusal.to_owned())),
        None => Ok(parsed),
    }
}

fn no_connection(error: io::Error) -> Unanswered {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Unanswered::Denied,
        // The queue of connections is full.
        io::ErrorKind::WouldBlock => Unanswered::Silent("it takes no connections".to_owned()),
        _ => Unanswered::Absent(error),
    }
}

fn nobody(surroundings: &Surroundings, user: u32, absence: Option<io::Error>) -> Refusal {
    let text = if let (Some(given), Some(error)) = (&surroundings.given, absence) {
        let given = shown(given);
        format!("no host answers at `{given}` ({error}); `olvid-rules run --control-socket {given}` starts one")
    } else {
        let places: Vec<_> = surroundings.places(user).iter().map(|place| format!("  {}\n", shown(place))).collect();
        let ways = "start one with `olvid-rules run`, or name its socket with --control-socket";
        format!("no host is running; looked at\n{}{ways}", places.concat())
    };
    Refusal { absent: true, ..Refusal::new(exit::UNAVAILABLE, text) }
}

fn forbidden(socket: &Path) -> Refusal {
    let text = format!("`{}` is for the user of its host and for root only", shown(socket));
    Refusal::new(exit::DENIED, text)
}

fn unanswered(socket: &Path, how: &str) -> Refusal {
    Refusal::new(exit::UNAVAILABLE, format!("the host at `{}`: {}", shown(socket), escaped(how)))
}

fn several(hosts: &[Host], silent: &[(PathBuf, String)]) -> Refusal {
    let mut text = "several hosts are running; name one with --control-socket:".to_owned();
    for host in hosts {
        let paths = host.status["paths"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let paths: Vec<_> = paths.map(escaped).collect();
        let directory = escaped(host.directory().unwrap_or("?"));
        // Writing to a String does not fail.
        let _ = write!(text, "\n  {}: {} in {directory}", shown(&host.socket), paths.join(" "));
    }
    for (socket, how) in silent {
        let _ = write!(text, "\n  {}: {}", shown(socket), escaped(how));
    }
    Refusal::new(exit::USAGE, text)
}

fn shown(path: &Path) -> String {
    escaped(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_that_hangs_is_told_after_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let _listener = tokio::net::UnixListener::bind(&path).unwrap();
        let refusal = find(&Surroundings::of_process(Some(&path))).await.unwrap_err();
        assert_eq!(refusal.code, exit::UNAVAILABLE);
        assert!(refusal.text.ends_with("x.sock`: no answer within 5 s"), "{}", refusal.text);
    }
}
