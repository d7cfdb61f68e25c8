//! Standard error as a reader of events: whoever emits one never waits for whoever reads the log.
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
    log::{self, Format},
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
    text: String,
    /// Lines that came when the text was full, since the writer last took it.
    left_out: u64,
    /// Texts that were accepted since the start, and how many of them are written.
    accepted: u64,
    written: u64,
    is_closed: bool,
}

impl Outlet {
    /// Opens standard error for a log of this form. An error is that there is no thread to be had.
    pub fn to_stderr(format: Format) -> io::Result<Self> {
        Self::to(stderr(), format, log::colour())
    }

    fn to(out: impl Write + Send + 'static, format: Format, colour: bool) -> io::Result<Self> {
        let queue = Arc::new(Queue { state: Mutex::default(), filled: Condvar::new(), emptied: Condvar::new() });
        let writer = Arc::clone(&queue);
        let gap = move |lines| gap(lines, format, colour);
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.write(out, gap))?;
        Ok(Self { queue, format, colour })
    }

    /// Makes a reader of events that leaves out what is below `least`.
    pub fn reader(&self, least: Level) -> Sink {
        let (queue, format, colour) = (Arc::clone(&self.queue), self.format, self.colour);
        // One lock from the time stamp on, so that lines of several threads stand in the order of their times.
        let line = Mutex::new(String::new());
        Box::new(move |event| {
            let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
            line.clear();
            log::write(event, format, least, colour, &mut line);
            queue.accept(&line);
        })
    }

    /// Tells what is no event, after everything that was told before.
    pub fn tell(&self, text: &str) {
        self.queue.accept(text);
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.queue.drain(LAST_WORDS);
        self.queue.state().is_closed = true;
        self.queue.filled.notify_one();
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is whole: what a panic left is, too.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, text: &str) {
        let mut state = self.state();
        if text.is_empty() || state.is_closed {
            return;
        }
        // Once one is left out, all are until the writer comes: what is missing is then in one place. A text that alone
        // is too long finds an empty queue some day.
        let is_full = !state.text.is_empty() && state.text.len() + text.len() > MOST_BYTES;
        if is_full || state.left_out > 0 {
            state.left_out += 1;
            return;
        }
        state.text.push_str(text);
        state.accepted += 1;
        drop(state);
        self.filled.notify_one();
    }

    /// The writer's thread: writes until the queue is closed.
    fn write(&self, mut out: impl Write, gap: impl Fn(u64) -> String) {
        loop {
            let waits = |state: &mut State| state.text.is_empty() && !state.is_closed;
            let mut state = self.filled.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
            if state.text.is_empty() {
                return;
            }
            let (mut text, accepted) = (mem::take(&mut state.text), state.accepted);
            let left_out = mem::take(&mut state.left_out);
            drop(state);
            if left_out > 0 {
                text.push_str(&gap(left_out));
            }
            drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
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

/// The line that stands for lines that were left out; at whatever level those were.
fn gap(lines: u64, format: Format, colour: bool) -> String {
    let some = if lines == 1 { "1 entry was".to_owned() } else { format!("{lines} entries were") };
    let mut line = String::new();
    let notice = Event::Notice(format!("{some} left out of the log here, as nobody read it"));
    log::write(&notice, format, Level::Debug, colour, &mut line);
    line
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

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
        (Outlet::to(Reader { go, took }, Format::Human, false).unwrap(), let_go, taken)
    }

    /// Has the writer hold a first text, so that what follows waits in the queue.
    fn held(outlet: &Outlet) {
        outlet.tell("first\n");
        while !outlet.queue.state().text.is_empty() {
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
}
