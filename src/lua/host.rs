//! The host's side of a VM: the functions that the prelude builds the script's world from.
//!
//! Owns what a VM and its worker share: which run is current, what has been prepared to be waited for, and the
//! conversions. A function that finds a mistake returns nothing and a text; the prelude makes the error of it, so that the
//! place is the script's.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    os::unix::ffi::OsStrExt as _,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use mlua::{Function, Lua, LuaString, MetaMethod, Table, UserData, UserDataMethods, Value};

use super::{
    buffers::{Buffers, Held},
    call::{Outcome, PageStream, Pending},
    convert::Converter,
    failure,
    fault::Fault,
    files::Files,
    interrupt::{self, Breach},
    json,
    line::Line,
    permits::{self, Permit, Refused},
    seat::{Claim, Seat},
    told::{Owing, Passage},
    voice::Voice,
};
use crate::{
    clock::Clock,
    daemon::CallError,
    report::{Event, Level, Reporter},
    rules::Limits,
    schema::{Answer, Catalog, Command, Shape, names},
};

/// The longest a script may sleep at once.
const LONGEST_SLEEP: f64 = 86_400.0;

/// Why a call cannot be made where Lua's own C functions call the script back.
const NO_WAITING: &str = "cannot wait for an answer inside a sort comparator, a gsub callback or a metamethod";

/// Calls, streams and timers that the runs of one script may have under way.
const MOST_PENDING: usize = 10_000;

/// What a VM and its worker share.
pub(super) struct Host {
    pub(super) converter: Converter,
    pub(super) files: Files,
    pub(super) script: Arc<str>,
    pub(super) reporter: Reporter,
    /// Whether commands of administration exist here.
    pub(super) admin: bool,
    pub(super) clock: Clock,
    /// Who speaks: the run that is being resumed, or nobody.
    pub(super) voice: RefCell<Voice>,
    /// The permissions of all its rules' files: what holds while there is no run.
    pub(super) permits: RefCell<Vec<Permit>>,
    /// What may be held for the script outside of its VM.
    pub(super) buffers: Rc<Buffers>,
    /// What is to be told later.
    pub(super) owing: RefCell<Owing>,
    /// `pcall` and `tostring`, which describe what scripts raise.
    pub(super) tostring: [Function; 2],
    /// The metatable of refusals.
    refusal: RefCell<Option<Table>>,
    pending: RefCell<HashMap<u64, (Pending, Held)>>,
    next_ticket: Cell<u64>,
}

impl Host {
    pub(super) fn new(
        lua: &Lua,
        script: Arc<str>,
        files: Files,
        reporter: Reporter,
        admin: bool,
        clock: Clock,
    ) -> mlua::Result<Rc<Self>> {
        let list = lua.create_table()?;
        list.raw_set("__name", "list")?;
        list.raw_set("__metatable", false)?;
        Ok(Rc::new(Self {
            converter: Converter::new(lua, list)?,
            files,
            script,
            reporter,
            admin,
            clock,
            voice: RefCell::default(),
            permits: RefCell::default(),
            buffers: Buffers::new(Limits::default().memory),
            owing: RefCell::default(),
            tostring: failure::describing(lua)?,
            refusal: RefCell::default(),
            pending: RefCell::default(),
            next_ticket: Cell::new(1),
        }))
    }

    /// Forgets what was prepared and is waited for by nobody: the run that was to wait for it has ended.
    pub(super) fn forget_pending(&self) {
        self.pending.borrow_mut().clear();
    }

    /// Hands over what a coroutine said it waits for.
    pub(super) fn take_pending(&self, ticket: u64) -> Option<(Pending, Held)> {
        self.pending.borrow_mut().remove(&ticket)
    }

    /// From here on, nobody speaks for a rule. Returns what the run has said so far.
    pub(super) fn fall_silent(&self) -> usize {
        self.voice.take().said()
    }

    /// The seat of the run that is being resumed; none while the script loads, saves or restores.
    fn seat(&self) -> Option<Rc<Seat>> {
        self.voice.borrow().seat.clone()
    }

    /// Which tables are refusals, before any script runs.
    pub(super) fn set_refusal(&self, metatable: Table) {
        self.refusal.replace(Some(metatable));
    }

    /// Whether a table is a refusal, as only the host makes them.
    pub(super) fn is_refusal(&self, table: &Table) -> bool {
        self.refusal.borrow().is_some() && table.metatable() == *self.refusal.borrow()
    }

    /// Tells why a run failed, or that it did once more.
    pub(super) fn tell_failure(&self, claim: &Claim, fault: Fault) {
        let Seat { lane, generation, rule, .. } = &*claim.seat;
        let failure = fault.of(claim, &self.script);
        if self.clock.is_manual() {
            // Whoever tries a script out looks at each.
            return self.reporter.emit(&Event::RunFailed(failure));
        }
        if let Some(due) =
            lane.told.failure(*generation, failure, rule.limits.log_rate, self.clock.instant(), &self.reporter)
        {
            self.owing.borrow_mut().add(&lane.told, due);
        }
    }

    /// What came of a call, as the coroutine that waits for it is resumed with it.
    pub(super) fn answer(&self, lua: &Lua, outcome: Result<Outcome, CallError>) -> mlua::Result<Answered> {
        let value = match outcome {
            Ok(Outcome::Answer(command, bytes)) => self.unwrapped(lua, &command, &bytes)?,
            Ok(Outcome::Page(command, stream, page)) => {
                let table = lua.create_table()?;
                if let Some(bytes) = page {
                    table.raw_set("page", self.elements(lua, &command, &bytes)?)?;
                }
                table.raw_set("stream", lua.create_userdata(FetchHandle(command, stream))?)?;
                Value::Table(table)
            }
            Ok(Outcome::Content(content)) => Value::String(lua.create_string(content)?),
            Ok(Outcome::Done) => Value::Nil,
            Ok(Outcome::Refused(error)) => return refusal(lua, error, false),
            Err(error) => return refusal(lua, error, true),
        };
        Ok((true, value, Value::Nil, Value::Nil))
    }

    fn unwrapped(&self, lua: &Lua, command: &Command, bytes: &[u8]) -> mlua::Result<Value> {
        let (Shape::Unary(answer) | Shape::Upload(_, answer)) = &command.shape else { return Ok(Value::Nil) };
        let output = &command.method.output;
        let table = self.converter.table(lua, output, bytes)?;
        match answer {
            Answer::Nothing => Ok(Value::Nil),
            Answer::Field(index) => table.raw_get(output.fields[*index].name.as_str()),
            Answer::Whole => Ok(Value::Table(table)),
        }
    }

    /// A page's elements as a list; a page that carries more than the list is its own element.
    fn elements(&self, lua: &Lua, command: &Command, bytes: &[u8]) -> mlua::Result<Table> {
        let output = &command.method.output;
        let page = self.converter.table(lua, output, bytes)?;
        match &command.shape {
            Shape::List(index) => page.raw_get(output.fields[*index].name.as_str()),
            _ => lua.create_sequence_from([page]),
        }
    }

    fn hold(&self, pending: Pending, held: Held) -> Result<u64, String> {
        let mut all = self.pending.borrow_mut();
        if all.len() >= MOST_PENDING {
            return Err(format!("more than {MOST_PENDING} calls are prepared and not waited for"));
        }
        let ticket = self.next_ticket.get();
        self.next_ticket.set(ticket + 1);
        all.insert(ticket, (pending, held));
        Ok(ticket)
    }

    fn begin(&self, index: usize, arguments: Value, can_wait: bool) -> Result<u64, Refused> {
        let command = &Catalog::embedded().commands()[index];
        let Some(seat) = self.seat() else {
            let mistake = "commands are for handlers: nothing can wait while a script is loaded, saves or restores";
            return Err(mistake.to_owned().into());
        };
        permits::command(&seat.rule, &command.name)?;
        if !can_wait {
            return Err(NO_WAITING.to_owned().into());
        }
        if !matches!(arguments, Value::Nil | Value::Table(_)) {
            let form = format!("olvid.{}{{ ... }}", command.name);
            return Err(format!("expected one table of fields, {form}, found {}", arguments.type_name()).into());
        }
        let held = self.buffers.hold();
        if let Err(refusal) = held.add_value(&arguments) {
            return Ok(self.hold(Pending::Refused(Arc::clone(command), refusal), held)?);
        }
        let denied = Cell::new(None);
        let read_file = |path: &str| {
            let read = self.files.read(&[Permit::of(&seat.rule)], path, self.buffers.room());
            let content = read.map_err(|refused| {
                denied.set(refused.denied.then(|| refused.message.clone()));
                refused.message
            })?;
            held.add(content.len()).map(|()| content).map_err(|refusal| refusal.message)
        };
        let pending = Pending::prepare(command, arguments, &read_file).map_err(|mistakes| match denied.take() {
            Some(message) => Refused { message: format!("olvid.{}: {message}", command.name), denied: true },
            None => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ").into(),
        })?;
        Ok(self.hold(pending, held)?)
    }

    /// What the present run may touch, or the script where there is none.
    fn permits(&self) -> Vec<Permit> {
        match &self.voice.borrow().seat {
            Some(seat) => vec![Permit::of(&seat.rule)],
            None => self.permits.borrow().clone(),
        }
    }

    /// Finds a command; what its name most likely meant where there is none.
    fn command(&self, name: &str) -> Result<(usize, bool), String> {
        let commands = Catalog::embedded().commands();
        let found = commands.iter().position(|command| command.name == name);
        match found {
            Some(index) if commands[index].admin && !self.admin => {
                Err(format!("olvid.{name} needs an administrator's key (OLVID_ADMIN_CLIENT_KEY)"))
            }
            Some(index) => Ok((index, matches!(commands[index].shape, Shape::List(_) | Shape::Pages))),
            None => {
                let near = names::nearest(name, commands.iter().map(|command| command.name.as_str()));
                let hint = near.map_or_else(String::new, |near| format!("; did you mean olvid.{near}?"));
                Err(format!("there is no command olvid.{name}{hint}"))
            }
        }
    }

    /// Tells a line, unless there are too many of them. An error is that the run has said all that it may.
    fn say(&self, lua: &Lua, level: &str, text: &LuaString, fields: Option<&Value>) -> Result<(), String> {
        let level = match level {
            "debug" => Level::Debug,
            "warn" => Level::Warn,
            "error" => Level::Error,
            _ => Level::Info,
        };
        let line = Line::new(&self.converter, &text.as_bytes(), fields);
        let voice = self.voice.borrow();
        if !voice.spend(line.bytes) {
            interrupt::stop(Breach::Output);
            return Err("this run has written more to the log than it may".to_owned());
        }
        if let Some(seat) = &voice.seat {
            let origin = || voice.origin(&self.script, None);
            match seat.lane.told.line(level, seat.rule.limits.log_rate, self.clock.instant(), origin) {
                Passage::Open(before) => before.iter().for_each(|event| self.reporter.emit(event)),
                Passage::Shut(due) => {
                    self.owing.borrow_mut().add(&seat.lane.told, due);
                    return Ok(());
                }
            }
        }
        let origin = voice.origin(&self.script, place(lua));
        self.reporter.emit(&Event::Said { origin, level, text: line.text, fields: line.fields });
        Ok(())
    }
}

/// Makes the table of functions that the prelude is called with.
pub(super) fn functions(lua: &Lua, host: &Rc<Host>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let shared = |host: &Rc<Host>| Rc::clone(host);
    let h = shared(host);
    table.raw_set(
        "begin",
        lua.create_function(move |_, (index, given, can_wait): (usize, Value, bool)| {
            Ok(refused(h.begin(index, given, can_wait)))
        })?,
    )?;
    let h = shared(host);
    let command = move |lua: &Lua, name: Value| {
        let name = name.as_string().map(LuaString::to_string_lossy).unwrap_or_default();
        Ok(match h.command(&name) {
            Ok((index, streams)) => (Some(index), Value::Boolean(streams)),
            Err(mistake) => (None, Value::String(lua.create_string(mistake)?)),
        })
    };
    table.raw_set("command", lua.create_function(command)?)?;
    let admin = host.admin;
    let commands = move |lua: &Lua, ()| {
        let usable = Catalog::embedded().commands().iter().filter(|command| admin || !command.admin);
        lua.create_sequence_from(usable.map(|command| command.name.as_str()))
    };
    table.raw_set("commands", lua.create_function(commands)?)?;
    let h = shared(host);
    let fetch = move |_: &Lua, stream: mlua::UserDataRef<FetchHandle>| {
        let FetchHandle(command, stream) = &*stream;
        Ok(told(h.hold(Pending::Fetch(Arc::clone(command), stream.clone()), h.buffers.hold())))
    };
    table.raw_set("fetch", lua.create_function(fetch)?)?;
    let h = shared(host);
    table.raw_set("forget", lua.create_function(move |_, ticket: u64| Ok(h.take_pending(ticket).is_some()))?)?;
    let h = shared(host);
    table.raw_set(
        "sleep",
        lua.create_function(move |_, (seconds, can_wait): (Value, bool)| Ok(told(sleep(&h, &seconds, can_wait))))?,
    )?;
    for pair in interrupt::functions(lua)?.pairs::<String, Function>() {
        let (name, function) = pair?;
        table.raw_set(name, function)?;
    }
    table.raw_set("place", lua.create_function(|lua, ()| Ok(place(lua)))?)?;
    let h = shared(host);
    let log = move |lua: &Lua, (level, text, fields): (String, LuaString, Option<Value>)| {
        h.say(lua, &level, &text, fields.as_ref()).map_err(mlua::Error::runtime)
    };
    table.raw_set("log", lua.create_function(log)?)?;
    let h = shared(host);
    let encode = move |_: &Lua, value: Value| {
        Ok(told(json::encode(&h.converter, &value).map(|json| json.to_string()).map_err(|error| words(&error))))
    };
    table.raw_set("json_encode", lua.create_function(encode)?)?;
    let h = shared(host);
    let decode = move |lua: &Lua, text: Value| {
        let Value::String(text) = text else {
            return Ok((None, Some(format!("json.decode: expected text, found {}", text.type_name()))));
        };
        Ok(told(json::decode(lua, &h.converter, &text.as_bytes()).map_err(|error| words(&error))))
    };
    table.raw_set("json_decode", lua.create_function(decode)?)?;
    table.raw_set("null", Value::NULL)?;
    let h = shared(host);
    let array = move |_: &Lua, table: Table| {
        // A table with a metatable is somebody's, and the shared ones are what theirs make of them.
        if table.metatable().is_some() && !h.converter.is_list(&table) {
            return Err(mlua::Error::runtime("json.array: a table with a metatable cannot be made a list"));
        }
        h.converter.mark_list(&table).map(|()| table)
    };
    table.raw_set("array", lua.create_function(array)?)?;
    let h = shared(host);
    table.raw_set("module", lua.create_function(move |lua, name: String| Ok(told(h.files.module(lua, &name))))?)?;
    let h = shared(host);
    let may_save = move |_: &Lua, folder: LuaString| {
        Ok(refused(h.files.may_save(&h.permits(), &folder.to_string_lossy()).map(|()| true)))
    };
    table.raw_set("may_save", lua.create_function(may_save)?)?;
    let h = shared(host);
    let save = move |_: &Lua, (folder, name, content): (LuaString, LuaString, LuaString)| {
        let (folder, name) = (folder.to_string_lossy(), name.to_string_lossy());
        Ok(refused(h.files.save(&h.permits(), &folder, &name, &content.as_bytes())))
    };
    table.raw_set("save_file", lua.create_function(save)?)?;
    let h = shared(host);
    let variable = move |lua: &Lua, name: Value| {
        let name = name.as_string().map(LuaString::to_string_lossy).unwrap_or_default();
        let (value, mistake, denied) = refused(permits::variable(&h.permits(), &name));
        let value = value.flatten().map(|value| lua.create_string(value.as_bytes())).transpose()?;
        Ok((value, mistake, denied))
    };
    table.raw_set("variable", lua.create_function(variable)?)?;
    let h = shared(host);
    let variables = move |lua: &Lua, ()| lua.create_sequence_from(permits::variables(&h.permits()));
    table.raw_set("variables", lua.create_function(variables)?)?;
    table.raw_set("describe", describer(lua, host)?)?;
    Ok(table)
}

/// Makes the handler of errors: it describes them where they are raised.
pub(super) fn describer(lua: &Lua, host: &Rc<Host>) -> mlua::Result<Function> {
    let host = Rc::clone(host);
    lua.create_function(move |lua, error: Value| failure::describe(lua, &host, &error))
}

/// What a call that was waited for resumes with: `true` and its value, or `false` and why it was refused, in what words, and
/// whether it was sent.
pub(super) type Answered = (bool, Value, Value, Value);

fn refusal(lua: &Lua, error: CallError, sent: bool) -> mlua::Result<Answered> {
    let (code, words) = (lua.create_string(error.code)?, lua.create_string(error.message)?);
    Ok((false, Value::String(code), Value::String(words), Value::Boolean(sent)))
}

/// A value and nothing, or nothing and what is wrong.
fn told<T>(result: Result<T, String>) -> (Option<T>, Option<String>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(mistake) => (None, Some(mistake)),
    }
}

/// The same, and whether it is for want of a permission.
fn refused<T>(result: Result<T, Refused>) -> (Option<T>, Option<String>, bool) {
    match result {
        Ok(value) => (Some(value), None, false),
        Err(Refused { message, denied }) => (None, Some(message), denied),
    }
}

/// The words of an error that the prelude raises again, at the script's line.
fn words(error: &mlua::Error) -> String {
    failure::innermost(error)
}

fn sleep(host: &Host, seconds: &Value, can_wait: bool) -> Result<u64, String> {
    let seconds = match seconds {
        Value::Integer(seconds) => f64::from(i32::try_from(*seconds).unwrap_or(i32::MAX)),
        Value::Number(seconds) => *seconds,
        other => return Err(format!("sleep: expected seconds, found {}", other.type_name())),
    };
    if !(0.0..=LONGEST_SLEEP).contains(&seconds) {
        return Err(format!("sleep: {seconds} s is not between 0 and {LONGEST_SLEEP}"));
    }
    if host.voice.borrow().seat.is_none() {
        return Err("sleep is for handlers: nothing can wait while a script is loaded, saves or restores".to_owned());
    }
    if !can_wait {
        return Err(format!("sleep: {NO_WAITING}"));
    }
    host.hold(Pending::Sleep(Duration::from_secs_f64(seconds)), host.buffers.hold())
}

/// `script:line` of the innermost frame that is the script's own.
fn place(lua: &Lua) -> Option<String> {
    failure::frames(lua).next().map(|frame| frame.place)
}

/// A script's handle on an open stream; closed when its loop ends, or collected.
struct FetchHandle(Arc<Command>, PageStream);

impl UserData for FetchHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Close, |_, this, _: Value| {
            this.1.close();
            Ok(())
        });
    }
}
