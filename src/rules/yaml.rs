//! YAML text to a tree of [`Node`]s that know their places. The only module that touches `serde_yaml`.
//!
//! Knows no rule keys. The parser tells places only with errors, so the tree is read with a visitor that keeps each
//! scalar and then fails on purpose: the error's mark is the scalar's place, and the reading goes on behind it. A list
//! or table cannot fail without losing its rest; its place is asked for when it is needed, by reading again and failing
//! at it ([`Document::place`]). So there is no second grammar that could disagree with the parser.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    fmt,
    ops::Range,
    sync::Arc,
};

use serde::de::{self, DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Deserializer;

use super::{
    node::{Entry, Mark, Node, Value},
    scan::{self, MAX_DEPTH},
    span, syntax,
};
use crate::{
    diagnostic::{Diagnostic, Place, Source},
    schema::encode::Step,
};

/// Values and keys of one file, those that anchors multiply included: 5,000 rules have about 100,000.
const MAX_NODES: usize = 300_000;

/// Bytes of all texts of one file, those that anchors multiply included.
const MAX_TEXT: usize = 8 << 20;

/// Longer than any key that means something. The parser repeats the keys on the way to a value for each value.
const MAX_KEY: usize = 128;

/// Bytes that are read again for the places of lists and tables: more than all mistakes that are shown need in a file
/// of common size, and half a second in the biggest.
const MAX_PROBED: usize = 10 << 20;

/// A parsed file.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) source: Arc<Source>,
    pub(crate) root: Node,
    marks: Marks,
    probed: Cell<usize>,
}

/// Parses a text, or tells why there is nothing to work with. Mistakes that leave a tree are pushed to `diagnostics`.
pub(crate) fn parse(source: &Arc<Source>, diagnostics: &mut Vec<Diagnostic>) -> Result<Document, Box<Diagnostic>> {
    let place = |span: Range<usize>| Place { source: Arc::clone(source), span };
    scan::check(&source.text).map_err(|refusal| {
        let diagnostic = Diagnostic::error(refusal.code, refusal.message).at(place(refusal.span));
        Box::new(Diagnostic { help: refusal.help.map(str::to_owned), ..diagnostic })
    })?;
    let marks = Marks::new(source);
    let builder = Builder::new(source, &marks, None);
    let root = builder.read().map_err(|error| Box::new(builder.told(&error)))?;
    diagnostics.append(&mut builder.mistakes.take());
    Ok(Document { source: Arc::clone(source), root, marks, probed: Cell::new(0) })
}

impl Document {
    /// The place of a value: a scalar's text on its line, a list's or table's first characters.
    pub(crate) fn place(&self, node: &Node) -> Place {
        // Out of probes, it comes behind the mistakes whose places are known, where it is cut from what is shown.
        let end = self.source.text.len();
        let span = self.span(node).unwrap_or(end..end);
        Place { source: Arc::clone(&self.source), span }
    }

    /// The place of an entry's value, or of its key where there is no value to point at.
    pub(crate) fn value_place(&self, entry: &Entry) -> Place {
        match self.span(&entry.value) {
            Some(span) if !matches!(entry.value.value, Value::Null) => Place { source: Arc::clone(&self.source), span },
            _ => self.key_place(entry),
        }
    }

    /// The place of what a path leads to from an entry's value, or of the nearest thing on the way to it.
    pub(crate) fn place_behind(&self, entry: &Entry, path: &[Step], at_key: bool) -> Place {
        let (mut entry, mut node, mut in_list) = (entry, &entry.value, false);
        for step in path {
            match (&node.value, step) {
                (Value::Map(entries), Step::Key(name)) => {
                    let Some(found) = entries.iter().find(|entry| entry.key == *name) else { break };
                    (entry, node, in_list) = (found, &found.value, false);
                }
                (Value::List(items), Step::Index(at)) => {
                    let Some(found) = items.get(*at) else { break };
                    (node, in_list) = (found, true);
                }
                _ => break,
            }
        }
        match (at_key, in_list) {
            (true, _) => self.key_place(entry),
            (_, true) => self.place(node),
            _ => self.value_place(entry),
        }
    }

    fn span(&self, node: &Node) -> Option<Range<usize>> {
        Some(match node.mark {
            Mark::At(at) => span::scalar(&self.source.text, at, node.text()),
            Mark::Collection(number) => {
                let at = self.probe(number).or_else(|| node.inner_mark())?;
                span::collection(&self.source.text, at)
            }
        })
    }

    /// The place of a key.
    pub(crate) fn key_place(&self, entry: &Entry) -> Place {
        let span = span::scalar(&self.source.text, entry.at, Some(&entry.key));
        Place { source: Arc::clone(&self.source), span }
    }

    /// Where a scalar's own text starts, anchors and tags left behind.
    pub(super) fn text_start(&self, node: &Node) -> usize {
        match node.mark {
            Mark::At(at) => span::behind_properties(&self.source.text, at),
            Mark::Collection(_) => 0,
        }
    }

    /// The line of a byte, from 1, and the place of that line's text, or of a line below it.
    pub(super) fn line(&self, at: usize, below: usize) -> (usize, Place) {
        let line = self.marks.line_of(at) + below;
        (line, Place { source: Arc::clone(&self.source), span: self.marks.line_span(line) })
    }

    fn probe(&self, number: usize) -> Option<usize> {
        let spent = self.probed.replace(self.probed.get() + self.source.text.len());
        if spent > MAX_PROBED {
            return None;
        }
        let error = Builder::new(&self.source, &self.marks, Some(number)).read().err()?;
        self.marks.offset(&error.to_string())
    }
}

/// Turns the line and column of an error's text into a byte of the source.
#[derive(Debug)]
struct Marks {
    /// For each line, the number of its first character.
    lines: Vec<usize>,
    /// The bytes of the line feeds.
    feeds: Vec<usize>,
    /// For each 64th character, its byte.
    bytes: Vec<usize>,
    source: Arc<Source>,
}

impl Marks {
    fn new(source: &Arc<Source>) -> Self {
        let (mut lines, mut bytes, mut feeds) = (vec![0], Vec::new(), Vec::new());
        for (number, (at, found)) in source.text.char_indices().enumerate() {
            if number % 64 == 0 {
                bytes.push(at);
            }
            // What YAML 1.1, which the parser scans by, takes for a line's end. Other ends were refused.
            if matches!(found, '\n' | '\u{2028}' | '\u{2029}') {
                lines.push(number + 1);
            }
            if found == '\n' {
                feeds.push(at);
            }
        }
        Self { lines, bytes, feeds, source: Arc::clone(source) }
    }

    /// The line of a byte as people count: from 1, and at line feeds only.
    fn line_of(&self, at: usize) -> usize {
        self.feeds.partition_point(|feed| *feed < at) + 1
    }

    /// A line's text without the blanks around it.
    fn line_span(&self, line: usize) -> Range<usize> {
        let text = &self.source.text;
        let start = line.checked_sub(2).map_or(0, |before| self.feeds.get(before).map_or(text.len(), |feed| feed + 1));
        let line = text[start..].lines().next().unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        start + indent..start + indent.max(line.trim_end().len())
    }

    /// Reads ` at line 6 column 17` at the end of an error's text; an error at the very start has none.
    fn offset(&self, error: &str) -> Option<usize> {
        let Some((_, place)) = error.rsplit_once(" at line ") else { return Some(0) };
        let (line, column) = place.split_once(" column ")?;
        let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
        let number = self.lines.get(line.checked_sub(1)?)? + column.checked_sub(1)?;
        let text = &self.source.text;
        let Some(start) = self.bytes.get(number / 64).copied() else { return Some(text.len()) };
        Some(text[start..].char_indices().nth(number % 64).map_or(text.len(), |(at, _)| start + at))
    }
}

/// What is shared by all readers of one reading.
struct Builder<'m> {
    source: &'m Arc<Source>,
    marks: &'m Marks,
    nodes: Cell<usize>,
    bytes: Cell<usize>,
    collections: Cell<usize>,
    /// The collection to fail at.
    wanted: Option<usize>,
    mistakes: RefCell<Vec<Diagnostic>>,
    /// Why the reading was given up, where it was not the parser's wish.
    fault: RefCell<Option<Diagnostic>>,
}

impl<'m> Builder<'m> {
    fn new(source: &'m Arc<Source>, marks: &'m Marks, wanted: Option<usize>) -> Self {
        Self {
            source,
            marks,
            nodes: Cell::new(0),
            bytes: Cell::new(0),
            collections: Cell::new(0),
            wanted,
            mistakes: RefCell::default(),
            fault: RefCell::default(),
        }
    }

    fn read(&self) -> Result<Node, serde_yaml::Error> {
        let slot = Cell::new(None);
        let reader = Reader { builder: self, slot: &slot, depth: 0, key: false };
        let read = reader.deserialize(Deserializer::from_str(&self.source.text));
        let node = self.settle(&slot, read)?;
        // A scalar's failure hides what the parser has to say of the text behind it.
        if matches!(node.mark, Mark::At(_)) {
            Deserializer::from_str(&self.source.text).deserialize_ignored_any(IgnoredAny)?;
        }
        Ok(node)
    }

    /// Turns the failure on purpose into the scalar that it was about.
    fn settle<E: de::Error>(&self, slot: &Cell<Option<Value>>, read: Result<Node, E>) -> Result<Node, E> {
        match (read, slot.take()) {
            (Err(error), Some(value)) => match self.marks.offset(&error.to_string()) {
                Some(at) => Ok(Node { value, mark: Mark::At(at) }),
                None => Err(error),
            },
            (read, _) => read,
        }
    }

    fn give_up<E: de::Error>(&self, code: &'static str, message: String, help: Option<String>) -> E {
        let fault = Diagnostic { help, ..Diagnostic::error(code, message) };
        self.fault.borrow_mut().get_or_insert(fault);
        E::custom("given up")
    }

    /// Counts against the budget.
    fn spend<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        self.nodes.set(self.nodes.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        if self.nodes.get() <= MAX_NODES && self.bytes.get() <= MAX_TEXT {
            return Ok(());
        }
        let help = "split it into several files, or use fewer anchors".to_owned();
        Err(self.give_up("yaml-size", "the file holds more values than a rule file may".to_owned(), Some(help)))
    }

    fn collection<E: de::Error>(&self, depth: usize) -> Result<Mark, E> {
        let number = self.collections.replace(self.collections.get() + 1);
        if self.wanted == Some(number) {
            return Err(E::custom("here"));
        }
        self.spend(0)?;
        if depth >= MAX_DEPTH {
            let help = "an anchor may be used inside of itself".to_owned();
            return Err(self.give_up("yaml-depth", "lists and tables are nested too deep".to_owned(), Some(help)));
        }
        Ok(Mark::Collection(number))
    }

    /// Says what ended the reading.
    fn told(&self, error: &serde_yaml::Error) -> Diagnostic {
        let text = error.to_string();
        let at = match error.location() {
            Some(location) => location.index().min(self.source.text.len()),
            None => self.marks.offset(&text).unwrap_or(0),
        };
        match self.fault.take() {
            Some(fault) => {
                let span = span::collection(&self.source.text, at);
                fault.at(Place { source: Arc::clone(self.source), span })
            }
            None => syntax::told(self.source, &text, at),
        }
    }

    fn key_mistake(&self, key: &Entry, code: &'static str, message: String) -> Diagnostic {
        let span = span::scalar(&self.source.text, key.at, Some(&key.key));
        Diagnostic::error(code, message).at(Place { source: Arc::clone(self.source), span })
    }

    /// Keeps an entry, unless its key was given before or means what is not supported.
    fn keep(&self, entries: &mut Vec<Entry>, seen: &mut HashSet<String>, entry: Entry) {
        let mistake = if entry.key == "<<" {
            let message = "merge keys (`<<`) are not supported".to_owned();
            let help = "write the entries out, or use an anchor for a whole value: `filter: *name`";
            self.key_mistake(&entry, "merge-key", message).help(help)
        } else if seen.insert(entry.key.clone()) {
            return entries.push(entry);
        } else {
            let message = format!("the key `{}` is given twice", entry.key.escape_debug());
            let mistake = self.key_mistake(&entry, "duplicate-key", message).help("remove one of the two");
            let Some(first) = entries.iter().find(|other| other.key == entry.key) else { return };
            let span = span::scalar(&self.source.text, first.at, Some(&first.key));
            mistake.related(Place { source: Arc::clone(self.source), span }, "first given here")
        };
        self.mistakes.borrow_mut().push(mistake);
    }
}

/// Reads one value: returns a list or table, and for a scalar fails with the value in the slot.
#[derive(Clone, Copy)]
struct Reader<'b> {
    builder: &'b Builder<'b>,
    slot: &'b Cell<Option<Value>>,
    depth: usize,
    /// Whether the value is a key.
    key: bool,
}

impl Reader<'_> {
    fn keep<E: de::Error>(self, value: Value) -> Result<Node, E> {
        let bytes = if let Value::Text(text) = &value { text.len() } else { 0 };
        self.builder.spend(bytes)?;
        if self.key && bytes > MAX_KEY {
            let message = format!("a key of {bytes} bytes is longer than any that means something");
            return Err(self.builder.give_up("yaml-key", message, None));
        }
        self.slot.set(Some(value));
        Err(E::custom("here"))
    }

    fn collection<E: de::Error>(self) -> Result<Mark, E> {
        if !self.key {
            return self.builder.collection(self.depth);
        }
        let message = "a key cannot be a list or a table".to_owned();
        let help = "a text that starts with `{` or `[` needs quotes; templates such as `{{ name }}` are not filled in";
        Err(self.builder.give_up("yaml-key", message, Some(help.to_owned())))
    }

    fn entries<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<Vec<Entry>, A::Error> {
        let slot = Cell::new(None);
        let reader = Reader { slot: &slot, depth: self.depth + 1, key: false, ..self };
        let (mut entries, mut seen) = (Vec::new(), HashSet::new());
        loop {
            let key = match map.next_key_seed(Reader { key: true, ..reader }) {
                Ok(None) => return Ok(entries),
                Ok(Some(node)) => node,
                Err(error) => reader.builder.settle(&slot, Err(error))?,
            };
            let value = match map.next_value_seed(reader) {
                Ok(node) => node,
                Err(error) => reader.builder.settle(&slot, Err(error))?,
            };
            let (Mark::At(at), key) = (key.mark, key.value.key()) else { continue };
            self.builder.keep(&mut entries, &mut seen, Entry { key, value, at });
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Node;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Node, E> {
        self.keep(Value::Bool(truth))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Node, E> {
        self.keep(Value::Signed(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Node, E> {
        self.keep(i64::try_from(number).map_or(Value::Unsigned(number), Value::Signed))
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Node, E> {
        self.keep(Value::Huge)
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Node, E> {
        self.keep(Value::Huge)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Node, E> {
        self.keep(Value::Float(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        self.keep(Value::Text(text.to_owned()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        self.keep(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        self.keep(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mark = self.collection()?;
        let slot = Cell::new(None);
        let reader = Reader { slot: &slot, depth: self.depth + 1, key: false, ..self };
        let mut items = Vec::new();
        loop {
            match list.next_element_seed(reader) {
                Ok(None) => return Ok(Node { value: Value::List(items), mark }),
                Ok(Some(node)) => items.push(node),
                Err(error) => items.push(self.builder.settle(&slot, Err(error))?),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mark = self.collection()?;
        Ok(Node { value: Value::Map(self.entries(&mut map)?), mark })
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(self.builder.give_up("yaml-tag", "tags are not understood in a rule file".to_owned(), None))
    }
}
