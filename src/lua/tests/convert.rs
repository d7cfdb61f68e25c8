//! Tables of notifications against the JSON of the same bytes, for every message, well-formed or not.
//!
//! The schema's own tests hold that JSON to `prost-reflect`; here the Lua side is held to it.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a number of JSON is the same in Lua, or the test fails; others are made from bytes of any meaning"
)]

#[path = "../../../tests/codec/generate.rs"]
mod generate;

use std::sync::Arc;

use generate::Entropy;
use mlua::{Lua, Thread, Value};
use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestRng, TestRunner},
};
use prost_reflect::{DescriptorPool, prost::Message as _};
use serde_json::Value as Json;

use super::super::{
    convert::{Converter, LuaDatum},
    sandbox,
};
use crate::schema::{Catalog, Message, catalog::DESCRIPTORS, encode, json};

fn converter(lua: &Lua) -> Converter {
    Converter::new(lua, lua.create_table().unwrap()).unwrap()
}

/// Whether a Lua value says the same as JSON. Unsigned integers beyond the signed range have the same bits.
fn same(converter: &Converter, lua: &Value, json: &Json) -> bool {
    match (lua, json) {
        (Value::Boolean(one), Json::Bool(other)) => one == other,
        (Value::Integer(one), Json::Number(other)) => {
            other.as_i64() == Some(*one) || other.as_u64() == Some(one.cast_unsigned())
        }
        (Value::Number(one), Json::Number(other)) => other.as_f64() == Some(*one),
        (Value::Number(one), Json::Null) => !one.is_finite(),
        (Value::String(one), Json::String(other)) => *one.as_bytes() == *other.as_bytes(),
        // Bytes that are no text are numbers in JSON.
        (Value::String(one), Json::Array(other)) => {
            one.as_bytes().iter().map(|byte| Json::from(*byte)).eq(other.iter().cloned())
        }
        (Value::Table(one), Json::Array(other)) => {
            let items: Vec<Value> = one.sequence_values().collect::<mlua::Result<_>>().unwrap();
            let alike = items.iter().zip(other).all(|(one, other)| same(converter, one, other));
            converter.is_list(one) && items.len() == other.len() && alike
        }
        (Value::Table(one), Json::Object(other)) => {
            let field = |(name, value): (&String, &Json)| same(converter, &one.raw_get(name.as_str()).unwrap(), value);
            one.pairs::<Value, Value>().count() == other.len() && other.iter().all(field)
        }
        _ => false,
    }
}

/// A coroutine that yields what it is resumed with.
fn echo(lua: &Lua) -> Thread {
    let echo = "local function echo(...) return echo(coroutine.yield(...)) end return echo(...)";
    lua.create_thread(lua.load(echo).into_function().unwrap()).unwrap()
}

/// A message as a coroutine is resumed with it: the first of its values, and nothing where it cannot be read.
fn handed_over(echo: &Thread, converter: &Converter, plan: &Arc<Message>, bytes: &[u8]) -> mlua::Result<Value> {
    let read = converter.hand_over(echo, &*converter.plan(plan)?, bytes);
    let (first, second, third): (Value, Value, Value) = echo.resume(7)?;
    match read {
        Ok(()) => {
            assert_eq!((second, third), (Value::Integer(7), Value::Nil));
            Ok(first)
        }
        Err(error) => {
            assert_eq!((first, second), (Value::Integer(7), Value::Nil));
            Err(error)
        }
    }
}

fn check(lua: &Lua, echo: &Thread, converter: &Converter, name: &str, bytes: &[u8]) {
    let plan = Catalog::embedded().message(name).unwrap();
    let handed_over = handed_over(echo, converter, plan, bytes);
    match (converter.table(lua, plan, bytes), json::from_wire(plan, bytes)) {
        (Ok(table), Ok(expected)) => {
            let table = Value::Table(table);
            assert!(same(converter, &handed_over.unwrap(), &expected), "{name}, as a coroutine gets it");
            assert!(same(converter, &table, &expected), "{name}: {table:#?}\n{expected:#}");
            // What was read is written, and reads the same again.
            let written = encode::encode(plan, &LuaDatum(table), None).unwrap();
            let again = Value::Table(converter.table(lua, plan, &written).unwrap());
            assert!(same(converter, &again, &expected), "{name}, written and read again: {again:#?}\n{expected:#}");
        }
        (Err(_), Err(_)) => assert!(handed_over.is_err(), "{name}: {handed_over:?}, and unreadable"),
        (table, expected) => panic!("{name}: {table:?}, but {expected:?}"),
    }
}

#[test]
fn every_message_reads_in_lua_as_in_json_and_writes_back() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let lua = sandbox::new_vm().unwrap();
    let converter = converter(&lua);
    // One for all, as handlers have: what cannot be read leaves nothing behind for what follows.
    let echo = echo(&lua);
    for plan in Catalog::embedded().messages() {
        let descriptor = pool.get_message_by_name(&plan.full_name).unwrap();
        let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(config.rng_algorithm);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let outcome = runner.run(&vec(any::<u8>(), 0..400), |entropy| {
            let mut bytes = generate::wire(&mut Entropy(&entropy), &descriptor);
            check(&lua, &echo, &converter, descriptor.full_name(), &bytes);
            let message = generate::message(&mut Entropy(&entropy), &descriptor);
            check(&lua, &echo, &converter, descriptor.full_name(), &message.encode_to_vec());
            // Cut short, and with a bit turned over.
            check(&lua, &echo, &converter, descriptor.full_name(), &bytes[..bytes.len() / 2]);
            if let Some(byte) = entropy.first().map(|at| usize::from(*at)).filter(|at| *at < bytes.len()) {
                bytes[byte] ^= 1 << (byte % 8);
                check(&lua, &echo, &converter, descriptor.full_name(), &bytes);
            }
            check(&lua, &echo, &converter, descriptor.full_name(), &entropy);
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", descriptor.full_name()));
    }
}

#[test]
fn what_lua_raises_while_a_table_is_built_is_told_and_leaves_nothing_behind() {
    let lua = sandbox::new_vm().unwrap();
    let converter = converter(&lua);
    let plan = &Catalog::embedded().subscription("message_received").unwrap().method.output;
    let text = |length: usize| {
        let body = "x".repeat(length);
        encode::encode(plan, &&serde_json::json!({ "message": { "body": body } }), None).unwrap()
    };
    let echo = echo(&lua);
    lua.set_memory_limit(lua.used_memory() + (64 << 10)).unwrap();
    let error = handed_over(&echo, &converter, plan, &text(1 << 20)).unwrap_err();
    assert_eq!(error.to_string(), "runtime error: not enough memory");
    assert!(handed_over(&echo, &converter, plan, &text(10)).unwrap().is_table());
}

#[test]
fn a_table_goes_to_a_coroutine_of_its_own_vm_that_waits() {
    let (lua, other) = (sandbox::new_vm().unwrap(), sandbox::new_vm().unwrap());
    let converter = converter(&lua);
    let plan = &Catalog::embedded().subscription("message_received").unwrap().method.output;
    let plan = converter.plan(plan).unwrap();
    let done = echo(&lua);
    done.reset(lua.load("").into_function().unwrap()).unwrap();
    done.resume::<()>(()).unwrap();
    assert!(converter.hand_over(&done, &plan, &[]).is_err());
    assert!(converter.hand_over(&echo(&other), &plan, &[]).is_err());
    assert!(converter.hand_over(&echo(&lua), &plan, &[]).is_ok());
}
