//! Values as they are looked at to be written, whatever they are made of.

use super::words::excerpt;

/// A value that can be written as a field.
pub trait Datum: Sized {
    /// Whether numbers of enums and two's complement of big unsigned integers are taken: where values come back from a
    /// reader of this program (Lua), yes; where an author typed them, no.
    const ECHOES: bool;

    /// Shows the value.
    fn view(&self) -> View<'_, Self>;
}

/// What a [`Datum`] is.
#[derive(Debug)]
pub enum View<'d, D> {
    /// Nothing: the field is left out.
    Absent,
    /// A truth value.
    Bool(bool),
    /// An integer below zero, or any that fits.
    Signed(i64),
    /// An integer that is too big for `Signed`.
    Unsigned(u64),
    /// A number with a fraction or beyond the integers.
    Float(f64),
    /// Text or bytes.
    Text(&'d [u8]),
    /// An owned copy of text or bytes, where they cannot be borrowed.
    Copied(Vec<u8>),
    /// A list.
    List(Vec<D>),
    /// Named values in the order they were written. The name of a key that is no string is its display form.
    Map(Vec<(String, D)>),
    /// A table without entries, where lists and maps look the same.
    Empty,
    /// Something that no field can hold, by its name: `null`, `a function`.
    Other(&'static str),
}

impl<'d, D> View<'d, D> {
    /// Shows what it holds as another datum.
    pub fn map<E>(self, datum: impl Fn(D) -> E) -> View<'d, E> {
        match self {
            Self::List(items) => View::List(items.into_iter().map(datum).collect()),
            Self::Map(entries) => View::Map(entries.into_iter().map(|(name, value)| (name, datum(value))).collect()),
            Self::Absent => View::Absent,
            Self::Bool(truth) => View::Bool(truth),
            Self::Signed(number) => View::Signed(number),
            Self::Unsigned(number) => View::Unsigned(number),
            Self::Float(number) => View::Float(number),
            Self::Text(text) => View::Text(text),
            Self::Copied(text) => View::Copied(text),
            Self::Empty => View::Empty,
            Self::Other(name) => View::Other(name),
        }
    }

    /// Names what was found, with a glimpse of it.
    pub fn what(&self) -> String {
        match self {
            Self::Absent => "nothing".to_owned(),
            Self::Bool(truth) => format!("{truth}"),
            Self::Signed(number) => format!("the integer {number}"),
            Self::Unsigned(number) => format!("the integer {number}"),
            Self::Float(number) => format!("the number {number}"),
            Self::Text(text) => format!("the text \"{}\"", excerpt(&String::from_utf8_lossy(text))),
            Self::Copied(text) => format!("the text \"{}\"", excerpt(&String::from_utf8_lossy(text))),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a table".to_owned(),
            Self::Empty => "an empty table".to_owned(),
            Self::Other(name) => (*name).to_owned(),
        }
    }
}
