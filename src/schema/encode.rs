//! Writing wire bytes from anything that looks like a value: a YAML node, a Lua value, JSON.
//!
//! The mapping is the reading one turned around: documented field names, enums by name, a oneof by its member. Every
//! mistake is collected with its path; the caller knows what place a path has in its own world.

mod view;
mod words;

use std::fmt;

use super::{
    message::{Cardinality, Enum, Field, Kind, Message},
    names,
};
pub use view::{Datum, View};
use words::{choices, excerpt, kind_phrase, quoted};

/// One step of the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A named value.
    Key(String),
    /// An element of a list, from 0.
    Index(usize),
}

/// A value that does not fit its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The way from the encoded value to the mistaken one.
    pub path: Vec<Step>,
    /// Whether the name at the end of the path is mistaken rather than its value.
    pub at_key: bool,
    /// A short stable name of the kind of mistake.
    pub code: &'static str,
    /// What is wrong, as a lowercase fragment.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Another place that belongs to the mistake, with its caption.
    pub related: Option<(Vec<Step>, String)>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.path.iter().enumerate() {
            match step {
                Step::Key(name) if at == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{}]", index + 1)?,
            }
        }
        let separator = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{separator}{}", self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

/// A check of regular expressions, given the way to each pattern and its text; returns what is wrong with it.
pub type PatternCheck<'c> = &'c dyn Fn(&[Step], &str) -> Result<(), String>;

/// Writes a value as a message, or tells everything that keeps it from being one.
///
/// Fields are written in the order of their numbers' declaration, whatever order the value has, so that equal values
/// have equal bytes. `patterns` is asked about the text of every field that is a regular expression (`*_search`).
pub fn encode<D: Datum>(
    plan: &Message,
    datum: &D,
    patterns: Option<PatternCheck<'_>>,
) -> Result<Vec<u8>, Vec<Mismatch>> {
    let mut encoder = Encoder { path: Vec::new(), mismatches: Vec::new(), patterns, in_pattern: false };
    let mut out = Vec::new();
    encoder.message(plan, datum, &mut out);
    if encoder.mismatches.is_empty() { Ok(out) } else { Err(encoder.mismatches) }
}

/// Writes a tag and a length-delimited value: the way to put an encoded message or a chunk into another message.
pub fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(u64::from(number << 3 | 2), out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Writes a tag and a varint.
pub fn put_number(number: u32, value: u64, out: &mut Vec<u8>) {
    put_varint(u64::from(number << 3), out);
    put_varint(value, out);
}

/// Mistakes that are told of one request.
const MOST_MISMATCHES: usize = 200;

struct Encoder<'c> {
    path: Vec<Step>,
    mismatches: Vec<Mismatch>,
    patterns: Option<PatternCheck<'c>>,
    in_pattern: bool,
}

impl Encoder<'_> {
    fn message<D: Datum>(&mut self, plan: &Message, datum: &D, out: &mut Vec<u8>) {
        let entries = match datum.view() {
            View::Map(entries) => entries,
            View::Empty | View::Absent => return,
            other => {
                let help = format!(
                    "write its fields, such as `{{ {}: ... }}`",
                    plan.fields.first().map_or("", |field| &field.name)
                );
                let message = format!("expected a table of {} fields, found {}", plan.name, other.what());
                return self.wrong(message, Some(help).filter(|_| !plan.fields.is_empty()));
            }
        };
        let mut given: Vec<Option<&D>> = plan.fields.iter().map(|_| None).collect();
        for (name, value) in &entries {
            match plan.index_of(name) {
                Some(index) => given[index] = Some(value),
                None => self.unknown_field(plan, name),
            }
        }
        self.oneofs(plan, &given);
        for (field, value) in plan.fields.iter().zip(given) {
            let Some(value) = value else { continue };
            self.path.push(Step::Key(field.name.clone()));
            let outer = self.in_pattern;
            self.in_pattern |= field.name.ends_with("_search");
            self.field(field, value, out);
            self.in_pattern = outer;
            self.path.pop();
        }
    }

    fn field<D: Datum>(&mut self, field: &Field, value: &D, out: &mut Vec<u8>) {
        if field.cardinality != Cardinality::Repeated {
            return self.value(field, value, field.cardinality == Cardinality::Implicit, out);
        }
        let items = match value.view() {
            View::List(items) => items,
            View::Empty | View::Absent => return,
            other => {
                let help = format!("write a list: `{}: [...]`", field.name);
                return self
                    .wrong(format!("expected a list of {}, found {}", field.kind.name(), other.what()), Some(help));
            }
        };
        let packed = super::wire::wire_type(&field.kind) != 2;
        let mut all = Vec::new();
        for (at, item) in items.iter().enumerate() {
            self.path.push(Step::Index(at));
            let mut one = Vec::new();
            // Left out, it would shift the elements behind it.
            if matches!(item.view(), View::Absent) {
                self.wrong(format!("expected {}, found nothing", field.kind.name()), None);
            }
            self.value(field, item, false, &mut one);
            let start = if packed { varint_length(u64::from(field.number << 3)).min(one.len()) } else { 0 };
            all.extend_from_slice(&one[start..]);
            self.path.pop();
        }
        if packed && !all.is_empty() { put_bytes(field.number, &all, out) } else { out.extend_from_slice(&all) }
    }

    /// Writes one value with its tag; an implicit field leaves its default out.
    fn value<D: Datum>(&mut self, field: &Field, datum: &D, implicit: bool, out: &mut Vec<u8>) {
        let view = datum.view();
        if matches!(view, View::Absent) {
            return;
        }
        match &field.kind {
            Kind::Message(plan) => {
                let mut inner = Vec::new();
                self.message(plan, datum, &mut inner);
                put_bytes(field.number, &inner, out);
            }
            Kind::String | Kind::Bytes => self.text(field, view, implicit, out),
            Kind::Float | Kind::Double => self.float(field, &view, implicit, out),
            Kind::Bool => match view {
                View::Bool(false) if implicit => {}
                View::Bool(truth) => put_number(field.number, u64::from(truth), out),
                other => self.wrong(format!("expected true or false, found {}", other.what()), None),
            },
            Kind::Enum(plan) => {
                let number = self.enum_number(plan, &view, D::ECHOES);
                // A negative enum is ten bytes on the wire, as the sign is extended to 64 bits.
                let Some(number) = number else { return };
                if !(implicit && number == 0) {
                    put_number(field.number, i64::from(number).cast_unsigned(), out);
                }
            }
            _ => self.integer(field, &view, implicit, D::ECHOES, out),
        }
    }

    fn text<D>(&mut self, field: &Field, view: View<'_, D>, implicit: bool, out: &mut Vec<u8>) {
        let copied;
        let bytes = match view {
            View::Text(bytes) => bytes,
            View::Copied(bytes) => {
                copied = bytes;
                &copied[..]
            }
            other => {
                let scalar = matches!(other, View::Bool(_) | View::Signed(_) | View::Unsigned(_) | View::Float(_));
                let help = scalar.then(|| "put it in quotes".to_owned());
                return self.wrong(format!("expected {}, found {}", kind_phrase(&field.kind), other.what()), help);
            }
        };
        if matches!(field.kind, Kind::String) {
            match (str::from_utf8(bytes), self.patterns) {
                (Err(_), _) => return self.wrong("the text is not valid UTF-8".to_owned(), None),
                (Ok(pattern), Some(check)) if self.in_pattern => {
                    if let Err(mistake) = check(&self.path, pattern) {
                        self.push("invalid-pattern", mistake, None);
                        return;
                    }
                }
                _ => {}
            }
        }
        if !(implicit && bytes.is_empty()) {
            put_bytes(field.number, bytes, out);
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a float field holds what a float can"
    )]
    fn float<D>(&mut self, field: &Field, view: &View<'_, D>, implicit: bool, out: &mut Vec<u8>) {
        let number = match view {
            View::Float(number) => *number,
            View::Signed(number) => *number as f64,
            View::Unsigned(number) => *number as f64,
            other => return self.wrong(format!("expected a number, found {}", other.what()), None),
        };
        // Protobuf leaves out the positive zero only.
        if implicit && number.to_bits() == 0 {
            return;
        }
        let narrow = number as f32;
        if matches!(field.kind, Kind::Float) && narrow.is_infinite() && number.is_finite() {
            let help = format!("a float is at most {:e}", f32::MAX);
            self.push("out-of-range", format!("{number:e} is out of range for float"), Some(help));
        } else if matches!(field.kind, Kind::Float) {
            put_varint(u64::from(field.number << 3 | 5), out);
            out.extend_from_slice(&narrow.to_le_bytes());
        } else {
            put_varint(u64::from(field.number << 3 | 1), out);
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn integer<D>(&mut self, field: &Field, view: &View<'_, D>, implicit: bool, echoes: bool, out: &mut Vec<u8>) {
        let number = match view {
            View::Signed(number) => i128::from(*number),
            View::Unsigned(number) => i128::from(*number),
            other => {
                let quoted = matches!(other, View::Text(text) if text.iter().all(u8::is_ascii_digit));
                let help = quoted.then(|| "write it without quotes".to_owned());
                return self.wrong(format!("expected {}, found {}", kind_phrase(&field.kind), other.what()), help);
            }
        };
        let (low, high) = range(&field.kind);
        let wrapped = echoes && matches!(field.kind, Kind::Uint64 | Kind::Fixed64) && number < 0;
        if !wrapped && !(low..=high).contains(&number) {
            let message = format!("{number} is out of range for {}", field.kind.name());
            return self.push("out-of-range", message, Some(format!("a {} is {low} to {high}", field.kind.name())));
        }
        if implicit && number == 0 {
            return;
        }
        put_integer(&field.kind, field.number, number, out);
    }

    fn enum_number<D>(&mut self, plan: &Enum, view: &View<'_, D>, echoes: bool) -> Option<i32> {
        let text = match view {
            View::Text(text) => text,
            View::Copied(text) => &text[..],
            View::Signed(number) if echoes => {
                let known = i32::try_from(*number).ok();
                if known.is_none() {
                    self.push("out-of-range", format!("{number} is out of range for {}", plan.name), None);
                }
                return known;
            }
            other => {
                let help = Some(format!("one of {}", choices(plan)));
                self.wrong(format!("expected a value of {}, found {}", plan.name, other.what()), help);
                return None;
            }
        };
        let text = String::from_utf8_lossy(text);
        let number = plan.parse(&text);
        if number.is_none() {
            let help = match plan.nearest(&text) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of {}", choices(plan)),
            };
            self.push("unknown-value", format!("unknown value `{}` of {}", excerpt(&text), plan.name), Some(help));
        }
        number
    }

    fn oneofs<D>(&mut self, plan: &Message, given: &[Option<&D>]) {
        for oneof in &plan.oneofs {
            let set: Vec<_> = oneof.members.iter().filter(|member| given[**member].is_some()).collect();
            let [first, second, ..] = set.as_slice() else { continue };
            let (first, second) = (&plan.fields[**first].name, &plan.fields[**second].name);
            let key = |name: &String| [self.path.clone(), vec![Step::Key(name.clone())]].concat();
            let mismatch = Mismatch {
                path: key(second),
                at_key: true,
                code: "oneof",
                message: format!("`{second}` and `{first}` exclude each other"),
                help: Some(format!(
                    "keep one of {}",
                    quoted(oneof.members.iter().map(|at| plan.fields[*at].name.as_str()))
                )),
                related: Some((key(first), "the other one".to_owned())),
            };
            self.mismatches.push(mismatch);
        }
    }

    /// Whether as many mistakes were found as anyone reads at once: the rest is not looked into.
    fn is_full(&self) -> bool {
        self.mismatches.len() >= MOST_MISMATCHES
    }

    fn unknown_field(&mut self, plan: &Message, name: &str) {
        if self.is_full() {
            return;
        }
        let known = || plan.fields.iter().map(|field| field.name.as_str());
        let help = match names::nearest(name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if plan.fields.is_empty() => "it takes no fields".to_owned(),
            None => format!("it has {}", quoted(known())),
        };
        let path = [self.path.clone(), vec![Step::Key(name.to_owned())]].concat();
        let message = format!("unknown field `{}` of {}", excerpt(name), plan.name);
        let (code, help) = ("unknown-field", Some(help));
        self.mismatches.push(Mismatch { path, at_key: true, code, message, help, related: None });
    }

    fn wrong(&mut self, message: String, help: Option<String>) {
        self.push("wrong-type", message, help);
    }

    fn push(&mut self, code: &'static str, message: String, help: Option<String>) {
        if self.is_full() {
            return;
        }
        let path = self.path.clone();
        self.mismatches.push(Mismatch { path, at_key: false, code, message, help, related: None });
    }
}

/// The least and the greatest value of a kind of integer.
pub fn range(kind: &Kind) -> (i128, i128) {
    match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => (i32::MIN.into(), i32::MAX.into()),
        Kind::Uint32 | Kind::Fixed32 => (0, u32::MAX.into()),
        Kind::Uint64 | Kind::Fixed64 => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the caller checked the range")]
fn put_integer(kind: &Kind, number: u32, value: i128, out: &mut Vec<u8>) {
    let zigzag = |value: i64| ((value << 1) ^ (value >> 63)).cast_unsigned();
    match kind {
        Kind::Fixed32 | Kind::Sfixed32 => {
            put_varint(u64::from(number << 3 | 5), out);
            out.extend_from_slice(&(value as u32).to_le_bytes());
        }
        Kind::Fixed64 | Kind::Sfixed64 => {
            put_varint(u64::from(number << 3 | 1), out);
            out.extend_from_slice(&(value as u64).to_le_bytes());
        }
        Kind::Sint32 | Kind::Sint64 => put_number(number, zigzag(value as i64), out),
        _ => put_number(number, value as u64, out),
    }
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

fn varint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}
