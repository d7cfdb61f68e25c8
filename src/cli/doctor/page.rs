//! What was looked at, as it is printed: a line for each step as soon as it is known, or one JSON object at the end.

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, stdout},
};

use serde_json::{Value as Json, json};

use super::super::{
    output,
    status::{Refusal, brief},
};

/// Columns of a step's name, and of what a line begins with where there is no terminal.
const NAME: usize = 16;
const MARK: usize = 8;

/// What a step came to.
pub(super) type Look<T> = Result<(T, Finding), Wrong>;

/// A step that is as it should be.
#[derive(Default)]
pub(super) struct Finding {
    /// What was found.
    pub(super) text: String,
    /// What else is worth knowing: it need not be wrong.
    pub(super) notes: Vec<String>,
    /// Parts of the step, and whether each is well.
    pub(super) lines: Vec<(bool, String)>,
}

/// The first step that is not.
pub(super) struct Wrong {
    /// What the program ends with.
    pub(super) code: u8,
    /// What is wrong.
    pub(super) text: String,
    /// What to do.
    pub(super) help: String,
    /// Parts of the step, and whether each is well.
    pub(super) lines: Vec<(bool, String)>,
}

impl Finding {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

impl Wrong {
    pub(super) fn new(code: u8, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, text: text.into(), help: help.into(), lines: Vec::new() }
    }
}

/// What is printed.
pub(super) struct Report {
    names: &'static [&'static str],
    json: bool,
    marks: Marks,
    steps: Vec<Json>,
    host: Json,
}

/// What lines begin with: well, wrong, neither.
#[derive(Clone, Copy)]
struct Marks {
    well: &'static str,
    wrong: &'static str,
    none: &'static str,
    width: usize,
}

impl Report {
    /// Of steps by these names, in this order.
    pub(super) fn new(names: &'static [&'static str], json: bool) -> Self {
        let marks = if stdout().is_terminal() {
            Marks { well: "✓", wrong: "✗", none: "·", width: 2 }
        } else {
            Marks { well: "ok", wrong: "FAILED", none: "-", width: MARK }
        };
        Self { names, json, marks, steps: Vec::new(), host: Json::Null }
    }

    /// Takes what the next step came to; what is wrong is a code.
    pub(super) fn take<T>(&mut self, look: Look<T>) -> Result<T, u8> {
        match look {
            Ok((value, Finding { text, notes, lines })) => {
                self.step("ok", &text, &lines, &notes, None);
                Ok(value)
            }
            Err(Wrong { code, text, help, lines }) => {
                self.step("failed", &text, &lines, &[], Some(&help));
                Err(code)
            }
        }
    }

    /// Says of all further steps that they were not looked at.
    pub(super) fn rest(&mut self) {
        while self.steps.len() < self.names.len() {
            self.step("skipped", "not looked at", &[], &[], None);
        }
    }

    /// Says whether a host is running, by what it answered.
    pub(super) fn host(&mut self, host: Result<Option<&Json>, &Refusal>) {
        let (mark, text) = match &host {
            Ok(Some(status)) => (self.marks.well, brief(status)),
            Ok(None) => (self.marks.none, "no host is running that this user can ask".to_owned()),
            Err(refusal) => (self.marks.none, refusal.text.clone()),
        };
        let mut lines = text.trim_end().lines().filter(|line| !line.is_empty());
        let mut out = self.line(mark, "host", lines.next().unwrap_or_default());
        lines.for_each(|line| self.below(line, &mut out));
        self.print(&out);
        let status = host.ok().flatten().cloned().unwrap_or_default();
        self.host = json!({ "text": text.trim_end(), "status": status });
    }

    /// Prints what is printed at the end.
    pub(super) fn end(self, failed: Option<u8>) {
        if self.json {
            let code = failed.unwrap_or_default();
            let all = json!({ "ok": failed.is_none(), "exit_code": code, "steps": self.steps, "host": self.host });
            output::answer(&format!("{all:#}\n"));
        }
    }

    fn step(&mut self, result: &str, text: &str, lines: &[(bool, String)], notes: &[String], help: Option<&str>) {
        let name = self.names.get(self.steps.len()).copied().unwrap_or_default();
        let mark = |well: bool| if well { self.marks.well } else { self.marks.wrong };
        let mut out = match result {
            "skipped" => self.line(self.marks.none, name, text),
            result => self.line(mark(result == "ok"), name, text),
        };
        for (well, line) in lines {
            self.below(&format!("{} {line}", mark(*well)), &mut out);
        }
        for note in notes {
            self.below(&format!("note: {note}"), &mut out);
        }
        if let Some(help) = help {
            self.below(&format!("help: {help}"), &mut out);
        }
        self.print(&out);
        let lines: Vec<_> = lines.iter().map(|(well, text)| json!({ "ok": well, "text": text })).collect();
        self.steps.push(
            json!({ "step": name, "result": result, "text": text, "parts": lines, "notes": notes, "help": help }),
        );
    }

    fn line(&self, mark: &str, name: &str, text: &str) -> String {
        let mut text = text.lines();
        let first = text.next().unwrap_or_default();
        let mut out = format!("{mark:width$}{name:NAME$}{first}\n", width = self.marks.width);
        text.for_each(|line| self.below(line.trim_start(), &mut out));
        out
    }

    fn below(&self, text: &str, out: &mut String) {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{:width$}{text}", "", width = self.marks.width + NAME);
    }

    fn print(&self, text: &str) {
        if !self.json {
            output::answer(text);
        }
    }
}
