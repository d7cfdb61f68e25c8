//! Standard error, or the journal, as a reader of events: whoever emits one never waits for whoever reads the log.
//!
//! Owns a queue with a bound and the thread that writes. Where nobody reads, lines are left out once the queue is full;
//! how many is told where they would have stood, as soon as somebody reads again. A reader that went away is not our
//! failure.

use std::{
    io::{self, Write, stderr},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    Event, Level, Sink,
    journal::{self, Journal},
    log::{self, Buffers, Form, Format, Record},
};

/// Bytes that wait to be written, while as many are with the writer: some thousand lines.
const MOST_BYTES: usize = 1024 * 1024;

/// How long the end of the program may be held up by lines that nobody takes.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where the log goes. Dropped, it waits for what was told before to be written, but no longer than a second.
pub struct Outlet {
    queue: Arc<Queue>,
    format: Format,
    colour: bool,
}

struct Queue {
    state: Mutex<State>,
    /// Something is to be written, or nothing will be any more.
    filled: Condvar,
    /// Something was written.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Texts,
    /// Texts that came when there was no room, since the writer last took what waits.
    left_out: u64,
    /// Texts that were accepted since the start, and how many of them are written.
    accepted: u64,
    written: u64,
    is_closed: bool,
}

/// Texts that are to be written, and for a journal the entry of each, which is told instead.
#[derive(Default)]
struct Texts {
    text: String,
    entries: Vec<u8>,
    /// Where each text and its entry end; only for a journal.
    ends: Vec<(usize, usize)>,
}

/// Where the writer writes to.
struct Out<W> {
    text: W,
    journal: Option<Journal>,
}

impl Outlet {
    /// Opens standard error, or the journal, for a log of this form; without one, of the form that suits standard error.
    /// An error is that there is no thread or no socket to be had.
    pub fn to_stderr(format: Option<Format>) -> io::Result<Self> {
        let fitting = || if journal::is_stderr() { Format::Journal } else { Format::Human };
        let format = format.unwrap_or_else(fitting);
        let journal = if format == Format::Journal { Some(Journal::open()?) } else { None };
        Self::to(Out { text: stderr(), journal }, format, log::colour())
    }

    fn to(out: Out<impl Write + Send + 'static>, format: Format, colour: bool) -> io::Result<Self> {
        let queue = Arc::new(Queue { state: Mutex::default(), filled: Condvar::new(), emptied: Condvar::new() });
        let writer = Arc::clone(&queue);
        let gap = move |texts, waiting: &mut Texts| gap(texts, format, colour, waiting);
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.write(out, gap))?;
        Ok(Self { queue, format, colour })
    }

    /// Makes a reader of events that leaves out what is below `least`.
    pub fn reader(&self, least: Level) -> Sink {
        let (queue, form) = (Arc::clone(&self.queue), Form { format: self.format, least, colour: self.colour });
        // One lock from the time stamp on, so that lines of several threads stand in the order of their times.
        let buffers = Mutex::default();
        Box::new(move |event| {
            let mut buffers = buffers.lock().unwrap_or_else(PoisonError::into_inner);
            form.entries(event, &mut buffers, |entry, text| queue.accept(entry, text));
        })
    }

    /// Tells that the program ends for a cause that is no event, after everything that was told before.
    pub fn tell(&self, text: &str) {
        let mut entry = Vec::new();
        if self.format == Format::Journal {
            Record::failed(text.trim_end()).journal(text.trim_end(), &mut entry);
        }
        self.queue.accept(&entry, text);
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.queue.drain(LAST_WORDS);
        self.queue.state().is_closed = true;
        self.queue.filled.notify_one();
    }
}

impl Texts {
    fn push(&mut self, entry: &[u8], text: &str) {
        self.text.push_str(text);
        if !entry.is_empty() {
            self.entries.extend(entry);
            self.ends.push((self.text.len(), self.entries.len()));
        }
    }

    fn len(&self) -> usize {
        self.text.len() + self.entries.len()
    }
}

impl<W: Write> Out<W> {
    /// Writes all. What the journal does not take is written as text: it may be away, and be there again for the next.
    fn write(&mut self, texts: &Texts) {
        let Some(journal) = &self.journal else { return self.print(&texts.text) };
        let (mut text, mut entry) = (0, 0);
        for (end_of_text, end_of_entry) in texts.ends.iter().copied() {
            if journal.send(&texts.entries[entry..end_of_entry]).is_err() {
                // Printing needs no journal.
                drop(self.text.write_all(&texts.text.as_bytes()[text..end_of_text]));
            }
            (text, entry) = (end_of_text, end_of_entry);
        }
        drop(self.text.flush());
    }

    fn print(&mut self, text: &str) {
        drop(self.text.write_all(text.as_bytes()).and_then(|()| self.text.flush()));
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is whole: what a panic left is, too.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a text and, for a journal, its entry.
    fn accept(&self, entry: &[u8], text: &str) {
        let mut state = self.state();
        if text.is_empty() || state.is_closed {
            return;
        }
        // Once one is left out, all are until the writer comes: what is missing is then in one place. A text that alone
        // is too long finds an empty queue some day.
        let is_full = state.waiting.len() > 0 && state.waiting.len() + text.len() + entry.len() > MOST_BYTES;
        if is_full || state.left_out > 0 {
            state.left_out += 1;
            return;
        }
        state.waiting.push(entry, text);
        state.accepted += 1;
        drop(state);
        self.filled.notify_one();
    }

    /// The writer's thread: writes until the queue is closed.
    fn write(&self, mut out: Out<impl Write>, gap: impl Fn(u64, &mut Texts)) {
        loop {
            let waits = |state: &mut State| state.waiting.len() == 0 && !state.is_closed;
            let mut state = self.filled.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
            if state.waiting.len() == 0 {
                return;
            }
            let (mut texts, accepted) = (mem::take(&mut state.waiting), state.accepted);
            let left_out = mem::take(&mut state.left_out);
            drop(state);
            if left_out > 0 {
                gap(left_out, &mut texts);
            }
            out.write(&texts);
            self.state().written = accepted;
            self.emptied.notify_all();
        }
    }

    /// Waits until what is accepted now is written; false when that takes longer than this.
    fn drain(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut state = self.state();
        let accepted = state.accepted;
        while state.written < accepted {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Adds the line that stands for texts that were left out; at whatever level those were.
fn gap(texts: u64, format: Format, colour: bool, waiting: &mut Texts) {
    let some = if texts == 1 { "1 entry was".to_owned() } else { format!("{texts} entries were") };
    let notice = Event::Notice(format!("{some} left out of the log here, as nobody read it"));
    let form = Form { format, least: Level::Debug, colour };
    form.entries(&notice, &mut Buffers::default(), |entry, text| waiting.push(entry, text));
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixDatagram, sync::mpsc};

    use super::*;

    /// A reader that takes a text when it is let, and passes on what it took.
    struct Reader {
        go: mpsc::Receiver<()>,
        took: mpsc::SyncSender<String>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            self.go.recv().map_err(gone)?;
            self.took.send(String::from_utf8(bytes.to_vec()).unwrap()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An outlet, what lets its reader take a text, and what that took.
    fn outlet() -> (Outlet, mpsc::Sender<()>, mpsc::Receiver<String>) {
        let ((let_go, go), (took, taken)) = (mpsc::channel(), mpsc::sync_channel(64));
        let out = Out { text: Reader { go, took }, journal: None };
        (Outlet::to(out, Format::Human, false).unwrap(), let_go, taken)
    }

    /// Has the writer hold a first text, so that what follows waits in the queue.
    fn held(outlet: &Outlet) {
        outlet.tell("first\n");
        while outlet.queue.state().waiting.len() > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn what_nobody_reads_is_counted_where_it_would_have_stood() {
        let (outlet, go, taken) = outlet();
        held(&outlet);
        let line = format!("{}\n", "x".repeat(1023));
        let fitting = MOST_BYTES / line.len();
        for _ in 0..fitting + 3 {
            outlet.tell(&line);
        }
        // What is short enough for the rest comes later than what was left out.
        outlet.tell("y\n");
        go.send(()).unwrap();
        assert_eq!(taken.recv().unwrap(), "first\n");
        go.send(()).unwrap();
        let second = taken.recv().unwrap();
        let (lines, gap) = second.split_at(fitting * line.len());
        assert!(lines == line.repeat(fitting), "all that fitted, in order");
        assert!(gap.ends_with("warn  4 entries were left out of the log here, as nobody read it\n"), "{gap}");
        assert_eq!(gap.lines().count(), 1);
        go.send(()).unwrap();
        outlet.tell("third\n");
        assert_eq!(taken.recv().unwrap(), "third\n");
    }

    #[test]
    fn a_text_beyond_the_bound_is_told_whole_and_alone() {
        let (outlet, go, taken) = outlet();
        held(&outlet);
        let long = "x".repeat(2 * MOST_BYTES);
        outlet.tell(&long);
        outlet.tell("y\n");
        go.send(()).unwrap();
        go.send(()).unwrap();
        assert_eq!(taken.recv().unwrap(), "first\n");
        let second = taken.recv().unwrap();
        assert!(second.starts_with(&long) && second.contains(" 1 entry was left out"));
    }

    #[test]
    fn the_end_waits_for_what_was_told_and_not_for_ever() {
        let (outlet, go, taken) = outlet();
        held(&outlet);
        outlet.tell("second\n");
        assert!(!outlet.queue.drain(Duration::from_millis(1)));
        for _ in 0..2 {
            go.send(()).unwrap();
        }
        drop(outlet);
        assert_eq!(taken.iter().collect::<Vec<_>>(), ["first\n", "second\n"], "then the writer ends");
    }

    #[test]
    fn a_reader_that_went_away_holds_up_nothing() {
        let (outlet, go, _taken) = outlet();
        drop(go);
        outlet.tell("first\n");
        assert!(outlet.queue.drain(Duration::from_mins(1)));
    }

    #[test]
    fn what_is_told_after_the_end_is_nowhere() {
        let (outlet, go, taken) = outlet();
        let reader = outlet.reader(Level::Info);
        drop(go);
        drop(outlet);
        reader(&Event::Notice("late".to_owned()));
        assert!(taken.iter().next().is_none());
    }

    /// A journal in a folder, what it took, and what was printed instead.
    fn in_journal(folder: &std::path::Path) -> (Outlet, mpsc::Receiver<String>) {
        let ((let_go, go), (took, taken)) = (mpsc::channel(), mpsc::sync_channel(64));
        (0..64).for_each(|_| let_go.send(()).unwrap());
        let journal = Journal::at(&folder.join("journal")).unwrap();
        let out = Out { text: Reader { go, took }, journal: Some(journal) };
        (Outlet::to(out, Format::Journal, false).unwrap(), taken)
    }

    #[test]
    fn a_journal_that_goes_away_is_done_without_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("journal");
        let (outlet, printed) = in_journal(folder.path());
        let reader = outlet.reader(Level::Info);
        let tell = |text: &str| {
            reader(&Event::Notice(text.to_owned()));
            assert!(outlet.queue.drain(Duration::from_mins(1)));
        };
        let entry = |journal: &UnixDatagram| {
            let mut bytes = [0; 4096];
            let length = journal.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        };
        let journal = UnixDatagram::bind(&place).unwrap();
        tell("one");
        assert_eq!(entry(&journal), "MESSAGE=one\nPRIORITY=4\nSYSLOG_IDENTIFIER=olvid-rules\nEVENT=notice\n");
        drop(journal);
        tell("two");
        assert!(printed.recv().unwrap().ends_with("warn  two\n"));
        std::fs::remove_file(&place).unwrap();
        tell("three");
        assert!(printed.recv().unwrap().ends_with("warn  three\n"));
        let journal = UnixDatagram::bind(&place).unwrap();
        tell("four");
        assert!(entry(&journal).starts_with("MESSAGE=four\n"));
        outlet.tell("olvid-rules: no client key\n");
        assert!(entry(&journal).starts_with("MESSAGE=olvid-rules: no client key\nPRIORITY=3\n"));
        assert!(printed.try_recv().is_err());
    }

    #[test]
    fn an_entry_that_is_too_long_for_a_message_comes_as_a_file() {
        use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
        let folder = tempfile::tempdir().unwrap();
        let journal = UnixDatagram::bind(folder.path().join("journal")).unwrap();
        let sender = Journal::at(&folder.path().join("journal")).unwrap();
        let entry = format!("MESSAGE={}\n", "x".repeat(3 << 20));
        sender.send(entry.as_bytes()).unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut along = RecvAncillaryBuffer::new(&mut space);
        let got = recvmsg(&journal, &mut [io::IoSliceMut::new(&mut [0; 16])], &mut along, RecvFlags::empty()).unwrap();
        assert_eq!(got.bytes, 0);
        let Some(RecvAncillaryMessage::ScmRights(mut files)) = along.drain().next() else { panic!("no file") };
        let file = std::fs::File::from(files.next().unwrap());
        let mut found = vec![0; entry.len() + 1];
        let length = std::os::unix::fs::FileExt::read_at(&file, &mut found, 0).unwrap();
        assert!(found[..length] == *entry.as_bytes());
        assert!((&file).write_all(b"x").is_err(), "it is sealed");
    }
}
