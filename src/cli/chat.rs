//! The prompt of `dev`: lines from a terminal with history and completion, or from standard input.
//!
//! Reading blocks, so it has a thread of its own; a line is asked for only once the last one has been dealt with.

use std::{
    borrow::Cow,
    env, fs,
    io::{BufRead as _, IsTerminal as _, stdin, stdout},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rustyline::{
    Context, Editor, ExternalPrinter as _, Helper,
    completion::{Completer, FilenameCompleter, Pair},
    highlight::Highlighter,
    hint::Hinter,
    history::DefaultHistory,
    validate::Validator,
};
use tokio::sync::mpsc;

use super::output;
use crate::{schema::Catalog, simulator::chat::COMMANDS};

/// Prints a block of text above the prompt.
pub(super) type Printer = Arc<dyn Fn(String) + Send + Sync>;

/// Where lines come from and where text goes.
pub(super) struct Prompt {
    /// Whether a person sits in front of it.
    pub(super) is_terminal: bool,
    /// For what the chat shows.
    pub(super) shown: Printer,
    /// For what the log says.
    pub(super) logged: Printer,
    asks: std::sync::mpsc::Sender<String>,
    lines: mpsc::Receiver<String>,
}

impl Prompt {
    /// Starts reading.
    pub(super) fn start(people: Vec<String>) -> Self {
        let (asks, asked) = std::sync::mpsc::channel::<String>();
        // One line at a time: the next is read when it is asked for.
        let (send, lines) = mpsc::channel(1);
        let is_terminal = stdin().is_terminal() && stdout().is_terminal();
        if let Some((editor, printer)) = is_terminal.then(|| terminal(people)).flatten() {
            thread::spawn(move || read_terminal(editor, &asked, &send));
            return Self { is_terminal, shown: Arc::clone(&printer), logged: printer, asks, lines };
        }
        thread::spawn(move || {
            let mut input = stdin().lock();
            while asked.recv().is_ok() {
                let mut line = Vec::new();
                match input.read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) if send.blocking_send(String::from_utf8_lossy(&line).into_owned()).is_err() => return,
                    Ok(_) => {}
                }
            }
        });
        let shown = Arc::new(|text: String| output::answer(&text));
        let logged = Arc::new(|text: String| output::tell(&text));
        Self { is_terminal: false, shown, logged, asks, lines }
    }

    /// Asks for a line. The answer comes from [`next`](Self::next).
    pub(super) fn ask(&self, prompt: String) {
        // A reader that has ended says so through `next`.
        self.asks.send(prompt).unwrap_or_default();
    }

    /// Waits for the line that was asked for; none at the end of input.
    pub(super) async fn next(&mut self) -> Option<String> {
        self.lines.recv().await
    }
}

type Line = Editor<Words, DefaultHistory>;

fn terminal(people: Vec<String>) -> Option<(Line, Printer)> {
    let mut editor = Line::new().ok()?;
    editor.set_helper(Some(Words { people, files: FilenameCompleter::new() }));
    if let Some(path) = history() {
        // The first time there is none.
        drop(editor.load_history(&path));
    }
    let printer = Mutex::new(editor.create_external_printer().ok()?);
    let print = move |text: String| {
        let done = printer.lock().unwrap_or_else(PoisonError::into_inner).print(text.clone());
        if done.is_err() {
            output::answer(&text);
        }
    };
    Some((editor, Arc::new(print)))
}

fn read_terminal(mut editor: Line, asked: &std::sync::mpsc::Receiver<String>, send: &mpsc::Sender<String>) {
    while let Ok(prompt) = asked.recv() {
        // The end of input, Ctrl-C, or a terminal that went away: all of them end the chat.
        let Ok(line) = editor.readline(&prompt) else { break };
        drop(editor.add_history_entry(&line));
        if send.blocking_send(line).is_err() {
            break;
        }
    }
    if let Some(path) = history() {
        drop(path.parent().map(fs::create_dir_all));
        drop(editor.save_history(&path));
    }
}

fn history() -> Option<PathBuf> {
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME").map(PathBuf::from)?;
        Some(home.join(".local/state"))
    });
    Some(state?.join("olvid-rules").join("dev-history"))
}

/// Completes commands, people, subscriptions and paths.
struct Words {
    people: Vec<String>,
    files: FilenameCompleter,
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..at];
        let among = |start: usize, words: Vec<&str>| {
            let fitting = words.into_iter().filter(|word| word.starts_with(&before[start..]));
            let pairs = fitting.map(|word| Pair { display: word.to_owned(), replacement: format!("{word} ") });
            Ok((start, pairs.collect()))
        };
        match before.split_once(' ') {
            None if before.starts_with('/') => among(0, COMMANDS.iter().map(|(name, ..)| *name).collect()),
            Some(("/as", _)) => among(4, self.people.iter().map(String::as_str).collect()),
            Some(("/file", _)) => self.files.complete(line, at, context),
            Some(("/emit", rest)) if !rest.contains(' ') => {
                among(6, Catalog::embedded().subscriptions().iter().map(|entry| entry.name.as_str()).collect())
            }
            _ => Ok((at, Vec::new())),
        }
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if env::var_os("NO_COLOR").is_some() { prompt.into() } else { format!("\x1b[1m{prompt}\x1b[0m").into() }
    }
}

impl Validator for Words {}

impl Helper for Words {}
