//! Messages made from a string of bytes by reflection, so that what makes a test fail can be shrunk.
//!
//! Two ways: as a message in memory, and as wire bytes in every form that protobuf allows.

use olvid_rules::schema::encode::{put_bytes, put_number};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value, prost::bytes::Bytes};

/// Bytes that decide what is made. When they end, every choice is the first, which is the simplest.
pub(crate) struct Entropy<'e>(pub(crate) &'e [u8]);

impl Entropy<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    fn chance(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn integer(&mut self) -> u64 {
        let ends = [0, 1, 127, 128, 255, 1 << 31, u64::from(u32::MAX), 1 << 53, i64::MAX as u64, 1 << 63, u64::MAX];
        match self.below(3) {
            0 => u64::from(self.byte()),
            1 => self.pick(&ends),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn float(&mut self) -> f64 {
        let ends = [0.0, 1.5, -0.0, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324];
        if self.chance() { f64::from_bits(self.integer()) } else { self.pick(&ends) }
    }

    fn text(&mut self) -> String {
        let pieces = ["", "a", "é", "👍🏽", "\0", "\u{10ffff}", "\u{feff}", "\n", "\"\\", "مرحبا", "0123456789abcdef"];
        (0..self.below(5)).map(|_| self.pick(&pieces)).collect()
    }
}

/// Makes a message in memory.
pub(crate) fn message(from: &mut Entropy<'_>, descriptor: &MessageDescriptor) -> DynamicMessage {
    let mut made = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        if from.0.is_empty() || !from.chance() {
            continue;
        }
        let value = if field.is_list() {
            Value::List((0..from.below(4)).map(|_| value(from, &field)).collect())
        } else {
            value(from, &field)
        };
        made.set_field(&field, value);
    }
    made
}

fn value(from: &mut Entropy<'_>, field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::Bool => Value::Bool(from.chance()),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(from.integer() as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(from.integer() as i64),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(from.integer() as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(from.integer()),
        Kind::Float => Value::F32(without_sign_of_zero(field, from.float()) as f32),
        Kind::Double => Value::F64(without_sign_of_zero(field, from.float())),
        Kind::String => Value::String(from.text()),
        Kind::Bytes if from.chance() => Value::Bytes(Bytes::from(from.text())),
        Kind::Bytes => Value::Bytes((0..from.below(9)).map(|_| from.byte()).collect()),
        Kind::Enum(plan) => {
            let known: Vec<_> = plan.values().map(|value| value.number()).collect();
            Value::EnumNumber(if from.below(4) == 3 { from.integer() as i32 } else { from.pick(&known) })
        }
        Kind::Message(inner) => Value::Message(message(from, &inner)),
    }
}

/// The reference leaves `-0.0` out of the wire where a field has no presence; protobuf and this program do not.
fn without_sign_of_zero(field: &FieldDescriptor, number: f64) -> f64 {
    let small = number as f32 == 0.0;
    if small && !field.supports_presence() && !field.is_list() { 0.0 } else { number }
}

/// Makes wire bytes: fields in any order and any number of times, lists packed or not, varints longer than they need
/// be, members of a oneof one after the other, and unknown fields between.
pub(crate) fn wire(from: &mut Entropy<'_>, descriptor: &MessageDescriptor) -> Vec<u8> {
    let fields: Vec<_> = descriptor.fields().collect();
    let mut out = Vec::new();
    while !from.0.is_empty() && from.below(8) != 7 {
        match from.below(fields.len() + 1).checked_sub(1) {
            Some(index) => occurrence(from, &fields[index], &mut out),
            None => unknown(from, descriptor, 0, &mut out),
        }
    }
    out
}

fn occurrence(from: &mut Entropy<'_>, field: &FieldDescriptor, out: &mut Vec<u8>) {
    let number = field.number();
    match (field.kind(), wire_type(&field.kind())) {
        (Kind::Message(inner), _) => put_bytes(number, &wire(from, &inner), out),
        (Kind::String, _) => put_bytes(number, from.text().as_bytes(), out),
        (Kind::Bytes, _) => put_bytes(number, &(0..from.below(9)).map(|_| from.byte()).collect::<Vec<_>>(), out),
        (_, wire) if field.is_list() && from.chance() => {
            let mut packed = Vec::new();
            (0..from.below(5)).for_each(|_| scalar(from, wire, &mut packed));
            put_bytes(number, &packed, out);
        }
        (_, wire) => {
            long_varint(from, u64::from(number << 3 | wire), out);
            scalar(from, wire, out);
        }
    }
}

fn wire_type(kind: &Kind) -> u32 {
    match kind {
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => 1,
        Kind::Fixed32 | Kind::Sfixed32 | Kind::Float => 5,
        Kind::String | Kind::Bytes | Kind::Message(_) => 2,
        _ => 0,
    }
}

fn scalar(from: &mut Entropy<'_>, wire: u32, out: &mut Vec<u8>) {
    match wire {
        0 => {
            let value = from.integer();
            long_varint(from, value, out);
        }
        1 => out.extend_from_slice(&from.float().to_le_bytes()),
        _ => out.extend_from_slice(&(from.float() as f32).to_le_bytes()),
    }
}

/// Writes a varint in any length that is allowed.
fn long_varint(from: &mut Entropy<'_>, value: u64, out: &mut Vec<u8>) {
    let start = out.len();
    // Written as a field's value and its one-byte tag taken away: the program's own way to write varints.
    put_number(1, value, out);
    out.remove(start);
    if out.len() - start < 9 && from.below(4) == 3 {
        *out.last_mut().unwrap() |= 0x80;
        out.extend((0..from.below(2)).map(|_| 0x80));
        out.push(0);
    }
}

/// Writes a field that the message does not have.
fn unknown(from: &mut Entropy<'_>, descriptor: &MessageDescriptor, depth: usize, out: &mut Vec<u8>) {
    let number = [0, 17, 5_000, 200_000, (1 << 29) - 2][from.below(5)] + 1 + u32::from(from.byte() % 60);
    let number = number.min((1 << 29) - 1);
    if descriptor.get_field(number).is_some() {
        return;
    }
    match from.below(5) {
        0 => put_number(number, from.integer(), out),
        1 => put_bytes(number, from.text().as_bytes(), out),
        2 | 3 if depth < 5 => {
            tag(number, 3, out);
            (0..from.below(3)).for_each(|_| unknown(from, descriptor, depth + 1, out));
            tag(number, 4, out);
        }
        wire => {
            tag(number, if wire == 4 { 5 } else { 1 }, out);
            scalar(from, if wire == 4 { 5 } else { 1 }, out);
        }
    }
}

fn tag(number: u32, wire: u32, out: &mut Vec<u8>) {
    let start = out.len();
    put_number(1, u64::from(number << 3 | wire), out);
    out.remove(start);
}
