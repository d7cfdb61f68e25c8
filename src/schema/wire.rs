//! Wire bytes, read by plan: each known field once for every time it occurs, checked as strictly as `prost` checks.
//!
//! The reader allocates nothing and keeps nothing. Its caller decides what a value becomes; what protobuf asks of a
//! reader beyond that (the last scalar wins, repeated occurrences of one message merge, a member of a oneof clears the
//! others) is the caller's, with [`merged`] for the rare second one. Unknown fields are skipped, groups included.

#![expect(
    clippy::inline_always,
    reason = "a third fewer instructions to read a message: what its caller makes of a value is decided with its kind"
)]

use super::message::{Cardinality, Kind, Message};

/// Why bytes are not a message of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a value.
    #[error("the message ends inside a field")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("a varint is longer than 64 bits")]
    Varint,
    /// A tag with field number 0, a number beyond protobuf's range, or an unknown wire type.
    #[error("a field has an impossible tag")]
    Tag,
    /// A known field in the wire format of another type.
    #[error("field {0} has the wire format of another type")]
    Format(u32),
    /// A `string` that is not UTF-8.
    #[error("field {0} is not valid UTF-8")]
    Utf8(u32),
    /// Unknown groups nested beyond any sense.
    #[error("unknown groups are nested too deep")]
    Depth,
}

/// One value of a field, borrowed from the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the names say it: how a value is to be read, whatever its encoding was")]
pub enum Value<'b> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'b str),
    Bytes(&'b [u8]),
    Enum(i32),
    Message(&'b [u8]),
}

/// How deep unknown groups may nest; `prost` stops at the same depth.
const GROUP_DEPTH: u32 = 100;

/// Reads one message's fields in wire order.
#[derive(Debug, Clone)]
pub struct Reader<'p, 'b> {
    plan: &'p Message,
    bytes: &'b [u8],
    /// The rest of a packed list and the index of its field.
    packed: Option<(usize, &'b [u8])>,
}

impl<'p, 'b> Reader<'p, 'b> {
    /// Starts at the beginning of a message.
    pub fn new(plan: &'p Message, bytes: &'b [u8]) -> Self {
        Self { plan, bytes, packed: None }
    }

    /// Returns the next value with the index of its field, elements of packed lists one by one.
    #[inline(always)]
    pub fn advance(&mut self) -> Result<Option<(usize, Value<'b>)>, WireError> {
        loop {
            if let Some((index, rest)) = &mut self.packed {
                if !rest.is_empty() {
                    let field = &self.plan.fields[*index];
                    let value = scalar(&field.kind, wire_type(&field.kind), field.number, rest)?;
                    return Ok(Some((*index, value)));
                }
                self.packed = None;
            }
            if self.bytes.is_empty() {
                return Ok(None);
            }
            let (number, wire) = tag(&mut self.bytes)?;
            let Some(index) = self.plan.index_of_number(number) else {
                skip(&mut self.bytes, number, wire)?;
                continue;
            };
            let field = &self.plan.fields[index];
            if wire == LENGTH && field.cardinality == Cardinality::Repeated && wire_type(&field.kind) != LENGTH {
                self.packed = Some((index, prefixed(&mut self.bytes)?));
                continue;
            }
            let value = scalar(&field.kind, wire, field.number, &mut self.bytes)?;
            return Ok(Some((index, value)));
        }
    }
}

impl<'b> Reader<'_, 'b> {
    /// Returns the next value of one singular field. What is between is passed over, whatever it holds: a text there may be
    /// none.
    #[inline(always)]
    pub fn seek(&mut self, index: usize) -> Result<Option<Value<'b>>, WireError> {
        let field = &self.plan.fields[index];
        while !self.bytes.is_empty() {
            let (number, wire) = tag(&mut self.bytes)?;
            if number == field.number {
                return scalar(&field.kind, wire, number, &mut self.bytes).map(Some);
            }
            skip(&mut self.bytes, number, wire)?;
        }
        Ok(None)
    }
}

/// Concatenates all occurrences of a singular message field, which merges them; a sibling of its oneof starts anew.
pub fn merged(plan: &Message, bytes: &[u8], index: usize) -> Result<Vec<u8>, WireError> {
    let mut all = vec![0; bytes.len()];
    let length = merge(plan, bytes, index, &mut all)?.len();
    all.truncate(length);
    Ok(all)
}

/// The same, into a buffer that has as many bytes as there are.
pub fn merge<'a>(plan: &Message, bytes: &[u8], index: usize, all: &'a mut [u8]) -> Result<&'a [u8], WireError> {
    let mut reader = Reader::new(plan, bytes);
    let mut length = 0;
    while let Some((found, value)) = reader.advance()? {
        if let (true, Value::Message(part)) = (found == index, value) {
            let room = all.get_mut(length..).and_then(|rest| rest.get_mut(..part.len()));
            room.ok_or(WireError::Truncated)?.copy_from_slice(part);
            length += part.len();
        } else if plan.siblings(index).any(|sibling| sibling == found) {
            length = 0;
        }
    }
    all.get(..length).ok_or(WireError::Truncated)
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;
const GROUP_START: u8 = 3;
const GROUP_END: u8 = 4;
const FIXED32: u8 = 5;

/// The wire type that a single value of a kind has.
pub(super) fn wire_type(kind: &Kind) -> u8 {
    match kind {
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => FIXED64,
        Kind::Fixed32 | Kind::Sfixed32 | Kind::Float => FIXED32,
        Kind::String | Kind::Bytes | Kind::Message(_) => LENGTH,
        _ => VARINT,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "protobuf defines narrow integers as the low bits of the varint, signed ones as its two's complement"
)]
#[inline(always)]
fn scalar<'b>(kind: &Kind, wire: u8, number: u32, from: &mut &'b [u8]) -> Result<Value<'b>, WireError> {
    if wire != wire_type(kind) {
        return Err(WireError::Format(number));
    }
    Ok(match kind {
        Kind::Bool => Value::Bool(varint(from)? != 0),
        Kind::Int32 => Value::Signed(i64::from(varint(from)? as i32)),
        Kind::Int64 => Value::Signed(varint(from)? as i64),
        Kind::Sint32 => Value::Signed(i64::from(zigzag(varint(from)?) as i32)),
        Kind::Sint64 => Value::Signed(zigzag(varint(from)?)),
        Kind::Uint32 => Value::Unsigned(u64::from(varint(from)? as u32)),
        Kind::Uint64 => Value::Unsigned(varint(from)?),
        Kind::Enum(_) => Value::Enum(varint(from)? as i32),
        Kind::Fixed32 => Value::Unsigned(u64::from(u32::from_le_bytes(fixed(from)?))),
        Kind::Sfixed32 => Value::Signed(i64::from(i32::from_le_bytes(fixed(from)?))),
        Kind::Float => Value::Float(f64::from(f32::from_le_bytes(fixed(from)?))),
        Kind::Fixed64 => Value::Unsigned(u64::from_le_bytes(fixed(from)?)),
        Kind::Sfixed64 => Value::Signed(i64::from_le_bytes(fixed(from)?)),
        Kind::Double => Value::Float(f64::from_le_bytes(fixed(from)?)),
        Kind::String => Value::Text(str::from_utf8(prefixed(from)?).map_err(|_| WireError::Utf8(number))?),
        Kind::Bytes => Value::Bytes(prefixed(from)?),
        Kind::Message(_) => Value::Message(prefixed(from)?),
    })
}

#[expect(clippy::cast_possible_wrap, reason = "zigzag maps the unsigned range onto the signed one")]
fn zigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

#[inline(always)]
fn varint(from: &mut &[u8]) -> Result<u64, WireError> {
    // Tags, lengths, flags and enums mostly have one byte.
    if let [byte @ ..0x80, rest @ ..] = *from {
        *from = rest;
        return Ok(u64::from(*byte));
    }
    long_varint(from)
}

fn long_varint(from: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0u64;
    for (at, byte) in from.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            if at == 9 && *byte > 1 {
                return Err(WireError::Varint);
            }
            *from = &from[at + 1..];
            return Ok(value);
        }
    }
    Err(if from.len() < 10 { WireError::Truncated } else { WireError::Varint })
}

#[inline(always)]
fn tag(from: &mut &[u8]) -> Result<(u32, u8), WireError> {
    let key = u32::try_from(varint(from)?).map_err(|_| WireError::Tag)?;
    let (number, wire) = (key >> 3, (key & 7) as u8);
    if number == 0 || wire > FIXED32 { Err(WireError::Tag) } else { Ok((number, wire)) }
}

#[inline]
fn take<'b>(from: &mut &'b [u8], length: usize) -> Result<&'b [u8], WireError> {
    let (taken, rest) = from.split_at_checked(length).ok_or(WireError::Truncated)?;
    *from = rest;
    Ok(taken)
}

#[inline]
fn fixed<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], WireError> {
    let (taken, rest) = from.split_first_chunk().ok_or(WireError::Truncated)?;
    *from = rest;
    Ok(*taken)
}

#[inline(always)]
fn prefixed<'b>(from: &mut &'b [u8]) -> Result<&'b [u8], WireError> {
    let length = usize::try_from(varint(from)?).map_err(|_| WireError::Truncated)?;
    take(from, length)
}

#[inline]
fn skip(from: &mut &[u8], number: u32, wire: u8) -> Result<(), WireError> {
    match wire {
        VARINT => varint(from).map(drop),
        FIXED64 => take(from, 8).map(drop),
        FIXED32 => take(from, 4).map(drop),
        LENGTH => prefixed(from).map(drop),
        GROUP_START => skip_group(from, number, 0),
        _ => Err(WireError::Tag),
    }
}

fn skip_group(from: &mut &[u8], number: u32, depth: u32) -> Result<(), WireError> {
    if depth == GROUP_DEPTH {
        return Err(WireError::Depth);
    }
    loop {
        match tag(from)? {
            (end, GROUP_END) => return if end == number { Ok(()) } else { Err(WireError::Tag) },
            (inner, GROUP_START) => skip_group(from, inner, depth + 1)?,
            (inner, wire) => skip(from, inner, wire)?,
        }
    }
}
