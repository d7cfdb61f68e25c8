//! The real program under a load: its log is read along as fast as it comes, handlers' words apart from events, and what
//! it uses of the machine can be measured.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::watch,
    time::timeout,
};

/// How long anything may take before a test fails: far more than it needs on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// How a handler's word begins that is an entry of the ledger.
const ENTRY: &[u8] = b"\"message\":\"L ";

/// One notification that was handled, as its handler told it: rule, version of the code, discussion, number, and what
/// the script had counted.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) at: Instant,
    pub(crate) rule: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) discussion: u64,
    pub(crate) number: u64,
    pub(crate) count: u64,
}

/// What was told so far.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) entries: Vec<Entry>,
    /// All other lines, with the moment they came.
    pub(crate) events: Vec<(Instant, Json)>,
    pub(crate) closed: bool,
    words: BTreeMap<String, Arc<str>>,
}

/// A running host; it is killed when dropped.
pub(crate) struct Rig {
    child: Child,
    told: Arc<Mutex<Told>>,
    changed: watch::Receiver<()>,
    socket: PathBuf,
}

/// What the host uses of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) at: Instant,
    pub(crate) kilobytes: usize,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

/// The program under test: another build than that of the tests where the variable says so.
fn program() -> OsString {
    env::var_os("OLVID_RULES_TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_olvid-rules").into())
}

impl Rig {
    /// Runs these paths below a folder against a daemon, as the bot.
    pub(crate) fn start(folder: &Path, paths: &[&str], daemon: &str) -> Self {
        let socket = folder.join("control.sock");
        let mut command = Command::new(program());
        command.args(["run", "--log-format", "json", "--control-socket"]).arg(&socket).args(paths);
        command.current_dir(folder).env_clear();
        command.env("OLVID_DAEMON_URL", daemon).env("OLVID_CLIENT_KEY", "bot");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (signal, changed) = watch::channel(());
        let told = Arc::<Mutex<Told>>::default();
        let (lines, log) = (BufReader::with_capacity(1 << 16, child.stderr.take().unwrap()), Arc::clone(&told));
        thread::spawn(move || {
            for line in lines.split(b'\n').map_while(Result::ok) {
                log.lock().unwrap().read(&line);
                signal.send_replace(());
            }
            log.lock().unwrap().closed = true;
            signal.send_replace(());
        });
        Self { child, told, changed, socket }
    }

    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// Waits until what was told answers a question; a host that ends or says nothing to it for long fails the test.
    pub(crate) async fn until<T>(&self, what: &str, mut answer: impl FnMut(&Told) -> Option<T>) -> T {
        let mut changed = self.changed.clone();
        let found = async {
            loop {
                changed.borrow_and_update();
                let (found, closed) = {
                    let told = self.told();
                    (answer(&told), told.closed)
                };
                if let Some(found) = found {
                    return found;
                }
                assert!(!closed, "the host ended before {what}; last: {}", self.last());
                // The sender ends with the log, which is told as closed.
                drop(changed.changed().await);
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("no {what}; last: {}", self.last()))
    }

    /// The last events, for the message of a failure.
    pub(crate) fn last(&self) -> String {
        let told = self.told();
        let from = told.events.len().saturating_sub(30);
        let lines: Vec<_> = told.events[from..].iter().map(|(_, event)| event.to_string()).collect();
        lines.join("\n")
    }

    /// Asks for the status over the control socket.
    pub(crate) async fn status(&self) -> Json {
        let asked = async {
            let mut client = UnixStream::connect(&self.socket).await.unwrap();
            client.write_all(b"{\"command\":\"status\"}\n").await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            serde_json::from_str(&answer).unwrap()
        };
        timeout(PATIENCE, asked).await.expect("the host answers")
    }

    pub(crate) fn usage(&self) -> Usage {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(process.join("status")).unwrap();
        let number = |name: &str| -> usize {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        // Root's only to count, as the program is closed to others; how many it has room for is for all to see.
        let descriptors = fs::read_dir(process.join("fd")).map_or_else(|_| number("FDSize:"), Iterator::count);
        Usage { at: Instant::now(), kilobytes: number("VmRSS:"), descriptors, threads: number("Threads:") }
    }

    /// Asks it to end and waits for that; it must end well. Returns what was told.
    pub(crate) async fn stopped(mut self) -> Told {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.until("end of the log", |told| told.closed.then_some(())).await;
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{}", self.last());
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Told {
    fn read(&mut self, line: &[u8]) {
        let at = Instant::now();
        if let Some(start) = line.windows(ENTRY.len()).position(|part| part == ENTRY) {
            let rest = &line[start + ENTRY.len()..];
            let words = rest.split(|byte| *byte == b'"').next().unwrap();
            let words = std::str::from_utf8(words).unwrap();
            self.note(at, words);
        } else {
            let text = String::from_utf8_lossy(line);
            self.events.push((at, serde_json::from_str(&text).unwrap_or_else(|_| Json::from(&*text))));
        }
    }

    fn note(&mut self, at: Instant, words: &str) {
        let fields: Vec<_> = words.split(' ').collect();
        let [rule, version, discussion, number, count] = fields[..] else { panic!("no entry: {words}") };
        let [discussion, number, count] = [discussion, number, count].map(|word| word.parse().unwrap());
        let (rule, version) = (self.word(rule), self.word(version));
        self.entries.push(Entry { at, rule, version, discussion, number, count });
    }

    fn word(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.words.get(word) {
            return Arc::clone(known);
        }
        let new: Arc<str> = word.into();
        self.words.insert(word.to_owned(), Arc::clone(&new));
        new
    }

    /// The events of a name, in order.
    pub(crate) fn named<'t>(&'t self, name: &'t str) -> impl Iterator<Item = &'t Json> {
        self.events.iter().map(|(_, event)| event).filter(move |event| event["event"] == name)
    }
}

/// As `sha256sum` prints it.
pub(crate) fn sha256(path: &Path) -> String {
    let content = fs::read(path).unwrap();
    hex(&Sha256::digest(content))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Asserts that the last part of a run uses no more than the one before: not that it is equal, as allocators are not.
pub(crate) fn assert_flat(usages: &[Usage]) {
    let quarter = usages.len() / 4;
    let (third, fourth) = (&usages[2 * quarter..3 * quarter], &usages[3 * quarter..]);
    let most = |part: &[Usage], of: fn(&Usage) -> usize| part.iter().map(of).max().unwrap_or_default();
    let compare = |what: &str, of: fn(&Usage) -> usize, more: usize| {
        let (before, after) = (most(third, of), most(fourth, of));
        assert!(after <= before + before / 10 + more, "{what} grows: {before}, then {after}: {usages:?}");
    };
    compare("memory", |usage| usage.kilobytes, 8 * 1024);
    compare("the number of descriptors", |usage| usage.descriptors, 8);
    compare("the number of threads", |usage| usage.threads, 8);
}

/// The value below which a share of the values lies.
pub(crate) fn percentile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "few")]
    let at = ((values.len() as f64 * share).ceil() as usize).saturating_sub(1);
    values.get(at).copied().unwrap_or_default()
}

/// Numbers that are the same for the same seed, and look like chance.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(0x9E37_79B9_7F4A_7C15))
    }

    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Milliseconds below a bound.
    pub(crate) fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(u64::try_from(self.below(usize::try_from(bound).unwrap())).unwrap())
    }
}
