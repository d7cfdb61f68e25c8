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

use mlua::{IntoLua, Lua, Table, Thread, Value as LuaValue};

mod build;

use crate::schema::{
    Cardinality, Field, Kind, Message,
    encode::{Datum, View},
};
pub(super) use build::Plan;
use build::{Absent, Constant, FieldPlan, Stage};

/// The conversions of one VM.
///
/// Holds no handle on its VM, which owns it through the functions that use it: a VM that is let go must be freed.
pub(super) struct Converter {
    plans: RefCell<HashMap<*const Message, Rc<Plan>>>,
    /// Metatables by message name.
    metatables: RefCell<HashMap<String, Table>>,
    list: Table,
    /// What tables are built with: the keys, the names of enums, and the metatables.
    constants: Table,
    /// Where those of notifications are built.
    stage: Stage,
    /// Where words are among the constants.
    words: RefCell<HashMap<String, Constant>>,
}

/// The names that a table of the host's has entries under.
pub(super) fn names_in(table: &Table) -> BTreeSet<String> {
    let pairs = table.pairs::<LuaValue, LuaValue>().map_while(Result::ok);
    pairs.filter_map(|(key, _)| Some(key.as_string()?.to_string_lossy())).collect()
}

impl Converter {
    /// `list` is what lists are marked with.
    pub(super) fn new(lua: &Lua, list: Table) -> mlua::Result<Self> {
        // What marks a list is the first of them.
        let constants = lua.create_sequence_from([&list])?;
        Ok(Self {
            plans: RefCell::default(),
            metatables: RefCell::default(),
            list,
            stage: Stage::new(lua, &constants)?,
            constants,
            words: RefCell::default(),
        })
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
        build::table(lua, &self.constants, &*self.plan(message)?, bytes)
    }

    /// Makes the same the first of the values that a coroutine is resumed with, by a plan that was looked up before.
    pub(super) fn hand_over(&self, coroutine: &Thread, plan: &Plan, bytes: &[u8]) -> mlua::Result<()> {
        self.stage.hand_over(coroutine, plan, bytes)
    }

    /// Marks a table as a list.
    pub(super) fn mark_list(&self, table: &Table) -> mlua::Result<()> {
        table.set_metatable(Some(self.list.clone()))
    }

    /// Whether a table is marked as a list.
    pub(super) fn is_list(&self, table: &Table) -> bool {
        table.metatable().is_some_and(|metatable| metatable == self.list)
    }

    /// How the tables of a message are made.
    pub(super) fn plan(&self, message: &Arc<Message>) -> mlua::Result<Rc<Plan>> {
        if let Some(plan) = self.plans.borrow().get(&Arc::as_ptr(message)) {
            return Ok(Rc::clone(plan));
        }
        let fields = message.fields.iter().map(|field| self.field_plan(field)).collect::<mlua::Result<_>>()?;
        let metatable = self.metatables.borrow().get(&message.name).cloned();
        let metatable = metatable.map(|metatable| self.constant(metatable)).transpose()?;
        let plan = Rc::new(Plan { message: Arc::clone(message), fields, metatable });
        self.plans.borrow_mut().insert(Arc::as_ptr(message), Rc::clone(&plan));
        Ok(plan)
    }

    fn field_plan(&self, field: &Field) -> mlua::Result<FieldPlan> {
        let mut names = Vec::new();
        let mut inner = None;
        match &field.kind {
            Kind::Enum(plan) => {
                for value in &plan.values {
                    names.push((value.number, self.word(&value.name)?));
                }
            }
            Kind::Message(message) => inner = Some(self.plan(message)?),
            _ => {}
        }
        let absent = match (field.cardinality, &field.kind) {
            (Cardinality::Repeated, _) => Absent::List,
            (Cardinality::Optional, _) => Absent::Nothing,
            (Cardinality::Implicit, Kind::Bool) => Absent::False,
            (Cardinality::Implicit, Kind::String | Kind::Bytes) => Absent::Constant(self.word("")?),
            (Cardinality::Implicit, Kind::Float | Kind::Double) => Absent::Number,
            (Cardinality::Implicit, Kind::Enum(_)) => names
                .iter()
                .find(|(number, _)| *number == 0)
                .map_or(Absent::Integer, |(_, name)| Absent::Constant(*name)),
            (Cardinality::Implicit, _) => Absent::Integer,
        };
        Ok(FieldPlan { key: self.word(&field.name)?, absent, names, inner })
    }

    /// Where a word is among the constants.
    fn word(&self, word: &str) -> mlua::Result<Constant> {
        if let Some(place) = self.words.borrow().get(word) {
            return Ok(*place);
        }
        let place = self.constant(word)?;
        self.words.borrow_mut().insert(word.to_owned(), place);
        Ok(place)
    }

    fn constant(&self, value: impl IntoLua) -> mlua::Result<Constant> {
        self.constants.raw_push(value)?;
        Ok(Constant::try_from(self.constants.raw_len()).unwrap_or(Constant::MAX))
    }
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
