//! Wire bytes to Lua tables and Lua values to wire bytes, both guided by the message's plan.
//!
//! Nothing stands in between: each value goes from the wire into the table it belongs to. What a field becomes is the
//! contract's: scalars without presence are always there, lists are always there, absence is nil, an enum is its name.
//! An unsigned 64-bit integer is a Lua integer with the same bits. Tables of a message that has methods get them through
//! a shared metatable; lists carry one too, so that an empty list stays a list in JSON.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
    sync::Arc,
};

use mlua::{Lua, LuaString, Table, Value as LuaValue};

use crate::schema::{
    Cardinality, Field, Kind, Message,
    encode::{Datum, View},
    wire::{self, Reader, Value},
};

/// The conversions of one VM.
///
/// Holds no handle on its VM, which owns it through the functions that use it: a VM that is let go must be freed.
pub(super) struct Converter {
    plans: RefCell<HashMap<*const Message, Rc<Plan>>>,
    /// Metatables by message name.
    metatables: RefCell<HashMap<String, Table>>,
    list: Table,
}

/// A message's plan with what this VM needs of it: its keys as Lua strings, made once.
struct Plan {
    message: Arc<Message>,
    fields: Vec<FieldPlan>,
    metatable: Option<Table>,
}

struct FieldPlan {
    key: LuaString,
    /// What stands for an absent value.
    default: LuaValue,
    /// The names of an enum's numbers.
    names: Vec<(i32, LuaString)>,
    /// The plan of a message field.
    inner: Option<Rc<Plan>>,
}

/// The names that a table of the host's has entries under.
pub(super) fn names_in(table: &Table) -> BTreeSet<String> {
    let pairs = table.pairs::<LuaValue, LuaValue>().map_while(Result::ok);
    pairs.filter_map(|(key, _)| Some(key.as_string()?.to_string_lossy())).collect()
}

/// Which fields of a message have occurred, and which more than once, a bit each.
#[derive(Default)]
struct Seen {
    once: u64,
    again: u64,
}

impl Seen {
    /// Marks a field; whether it is the first time.
    fn add(&mut self, index: usize) -> bool {
        let bit = 1 << index;
        let first = self.once & bit == 0;
        self.once |= bit;
        self.again |= if first { 0 } else { bit };
        first
    }

    fn has(&self, index: usize) -> bool {
        self.once & (1 << index) != 0
    }

    fn had(&self, index: usize) -> bool {
        self.again & (1 << index) != 0
    }
}

impl Converter {
    pub(super) fn new(list: Table) -> Self {
        Self { plans: RefCell::default(), metatables: RefCell::default(), list }
    }

    /// Gives the tables of a message type their methods; before the first conversion.
    pub(super) fn set_methods(&self, message: String, metatable: Table) {
        self.metatables.borrow_mut().insert(message, metatable);
    }

    /// The methods of each message type that has any.
    pub(super) fn methods(&self) -> mlua::Result<BTreeMap<String, BTreeSet<String>>> {
        let metatables = self.metatables.borrow();
        let methods = metatables.iter().map(|(message, metatable)| {
            let functions: Table = metatable.raw_get("__index")?;
            Ok((message.clone(), names_in(&functions)))
        });
        methods.collect()
    }

    /// Makes the table of a message.
    pub(super) fn table(&self, lua: &Lua, message: &Arc<Message>, bytes: &[u8]) -> mlua::Result<Table> {
        self.fill(lua, &*self.plan(lua, message)?, bytes)
    }

    /// Marks a table as a list.
    pub(super) fn mark_list(&self, table: &Table) -> mlua::Result<()> {
        table.set_metatable(Some(self.list.clone()))
    }

    /// Whether a table is marked as a list.
    pub(super) fn is_list(&self, table: &Table) -> bool {
        table.metatable().is_some_and(|metatable| metatable == self.list)
    }

    fn plan(&self, lua: &Lua, message: &Arc<Message>) -> mlua::Result<Rc<Plan>> {
        if let Some(plan) = self.plans.borrow().get(&Arc::as_ptr(message)) {
            return Ok(Rc::clone(plan));
        }
        let fields = message.fields.iter().map(|field| self.field_plan(lua, field)).collect::<mlua::Result<_>>()?;
        let metatable = self.metatables.borrow().get(&message.name).cloned();
        let plan = Rc::new(Plan { message: Arc::clone(message), fields, metatable });
        self.plans.borrow_mut().insert(Arc::as_ptr(message), Rc::clone(&plan));
        Ok(plan)
    }

    fn field_plan(&self, lua: &Lua, field: &Field) -> mlua::Result<FieldPlan> {
        let mut names = Vec::new();
        let mut inner = None;
        match &field.kind {
            Kind::Enum(plan) => {
                for value in &plan.values {
                    names.push((value.number, lua.create_string(&value.name)?));
                }
            }
            Kind::Message(message) => inner = Some(self.plan(lua, message)?),
            _ => {}
        }
        let default = match &field.kind {
            _ if field.cardinality != Cardinality::Implicit => LuaValue::Nil,
            Kind::Bool => LuaValue::Boolean(false),
            Kind::String | Kind::Bytes => LuaValue::String(lua.create_string("")?),
            Kind::Float | Kind::Double => LuaValue::Number(0.0),
            Kind::Enum(_) => enum_name(&names, 0),
            _ => LuaValue::Integer(0),
        };
        Ok(FieldPlan { key: lua.create_string(&field.name)?, default, names, inner })
    }

    fn fill(&self, lua: &Lua, plan: &Plan, bytes: &[u8]) -> mlua::Result<Table> {
        let message = &*plan.message;
        let table = lua.create_table_with_capacity(0, plan.fields.len())?;
        let mut seen = Seen::default();
        let mut reader = Reader::new(message, bytes);
        while let Some((index, value)) = reader.advance().map_err(mlua::Error::external)? {
            let (field, step) = (&message.fields[index], &plan.fields[index]);
            let first = seen.add(index);
            if field.cardinality == Cardinality::Repeated {
                self.append(lua, &table, step, first, value)?;
                continue;
            }
            if field.oneof.is_some() {
                for sibling in message.siblings(index).filter(|sibling| seen.has(*sibling)) {
                    table.raw_set(&plan.fields[sibling].key, LuaValue::Nil)?;
                }
            }
            // Read even where merging replaces it, as each occurrence has to be a message by itself.
            table.raw_set(&step.key, self.value(lua, step, value)?)?;
        }
        if seen.again != 0 {
            self.merge_repeated(lua, plan, bytes, &seen, &table)?;
        }
        for (index, step) in plan.fields.iter().enumerate().filter(|(index, _)| !seen.has(*index)) {
            match message.fields[index].cardinality {
                Cardinality::Implicit => table.raw_set(&step.key, &step.default)?,
                Cardinality::Repeated => table.raw_set(&step.key, self.new_list(lua)?)?,
                Cardinality::Optional => {}
            }
        }
        if let Some(metatable) = &plan.metatable {
            table.set_metatable(Some(metatable.clone()))?;
        }
        Ok(table)
    }

    /// Merges messages that occurred more than once; at the end, as at each occurrence it would cost the square.
    fn merge_repeated(&self, lua: &Lua, plan: &Plan, bytes: &[u8], seen: &Seen, table: &Table) -> mlua::Result<()> {
        for (index, step) in plan.fields.iter().enumerate().filter(|(index, _)| seen.had(*index)) {
            let singular = plan.message.fields[index].cardinality != Cardinality::Repeated;
            if singular && step.inner.is_some() && !table.raw_get::<LuaValue>(&step.key)?.is_nil() {
                let merged = wire::merged(&plan.message, bytes, index).map_err(mlua::Error::external)?;
                table.raw_set(&step.key, self.value(lua, step, Value::Message(&merged))?)?;
            }
        }
        Ok(())
    }

    fn append(&self, lua: &Lua, table: &Table, step: &FieldPlan, first: bool, value: Value<'_>) -> mlua::Result<()> {
        let list: Table = if first {
            let list = self.new_list(lua)?;
            table.raw_set(&step.key, &list)?;
            list
        } else {
            table.raw_get(&step.key)?
        };
        list.raw_set(list.raw_len() + 1, self.value(lua, step, value)?)
    }

    fn new_list(&self, lua: &Lua) -> mlua::Result<Table> {
        let list = lua.create_table()?;
        self.mark_list(&list)?;
        Ok(list)
    }

    fn value(&self, lua: &Lua, step: &FieldPlan, value: Value<'_>) -> mlua::Result<LuaValue> {
        Ok(match (value, &step.inner) {
            (Value::Bool(truth), _) => LuaValue::Boolean(truth),
            (Value::Signed(number), _) => LuaValue::Integer(number),
            (Value::Unsigned(number), _) => LuaValue::Integer(number.cast_signed()),
            (Value::Float(number), _) => LuaValue::Number(number),
            (Value::Text(text), _) => LuaValue::String(lua.create_string(text)?),
            (Value::Enum(number), _) => enum_name(&step.names, number),
            (Value::Message(bytes), Some(plan)) => LuaValue::Table(self.fill(lua, plan, bytes)?),
            (Value::Bytes(bytes) | Value::Message(bytes), _) => LuaValue::String(lua.create_string(bytes)?),
        })
    }
}

fn enum_name(names: &[(i32, LuaString)], number: i32) -> LuaValue {
    let known = names.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| LuaValue::Integer(number.into()), |(_, name)| LuaValue::String(name.clone()))
}

/// A Lua value as the encoder sees it.
pub(super) struct LuaDatum(pub(super) LuaValue);

impl Datum for LuaDatum {
    // What a handler was given it may give back: unknown enum numbers and ids beyond the signed range.
    const ECHOES: bool = true;

    fn view(&self) -> View<'_, Self> {
        match &self.0 {
            LuaValue::Nil => View::Absent,
            LuaValue::Boolean(truth) => View::Bool(*truth),
            LuaValue::Integer(number) => View::Signed(*number),
            LuaValue::Number(number) => whole(*number).map_or(View::Float(*number), View::Signed),
            LuaValue::String(text) => View::Copied(text.as_bytes().to_vec()),
            LuaValue::Table(table) => view_of_table(table),
            LuaValue::Function(_) => View::Other("a function"),
            LuaValue::Thread(_) => View::Other("a coroutine"),
            LuaValue::LightUserData(_) => View::Other("json.null"),
            _ => View::Other("userdata"),
        }
    }
}

/// The integer that a float is, as Lua converts it: 7.0 is 7, and 2^63 is none.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn whole(number: f64) -> Option<i64> {
    let fits = number.fract() == 0.0 && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    fits.then_some(number as i64)
}

fn view_of_table(table: &Table) -> View<'static, LuaDatum> {
    // The length is the script's word: with holes it may be anything, so nothing is sized by it.
    let length = table.raw_len();
    let (mut items, mut entries) = (Vec::new(), Vec::new());
    for pair in table.pairs::<LuaValue, LuaValue>() {
        // Iterating a table that nobody changes does not fail.
        let Ok((key, value)) = pair else { break };
        match key {
            LuaValue::Integer(at) if usize::try_from(at).is_ok_and(|at| (1..=length).contains(&at)) => {
                items.push((at, LuaDatum(value)));
            }
            LuaValue::String(name) => entries.push((name.to_string_lossy(), LuaDatum(value))),
            LuaValue::Integer(at) => entries.push((at.to_string(), LuaDatum(value))),
            other => entries.push((format!("a key that is a {}", other.type_name()), LuaDatum(value))),
        }
    }
    items.sort_by_key(|(at, _)| *at);
    match (items.is_empty(), entries.is_empty()) {
        (true, true) => View::Empty,
        (false, true) if items.len() == length => View::List(items.into_iter().map(|(_, value)| value).collect()),
        _ => {
            entries.extend(items.into_iter().map(|(at, value)| (at.to_string(), value)));
            // Hash order is nobody's order: mistakes are told in the same order every time.
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            View::Map(entries)
        }
    }
}
