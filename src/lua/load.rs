//! A script from its text to the functions that its rules name, or the mistakes that keep it from running.

use std::{cell::RefCell, collections::HashMap, fs, io, path::Path, rc::Rc, sync::Arc, time::Duration};

use mlua::{Function, Lua, Table, Value, chunk::ChunkMode};
use tokio::time::Instant;

use super::{
    alarm::Alarm,
    failure::{self, Frame},
    files::Files,
    host::{self, Host},
    interrupt::{Bounds, Breach, Guard},
    remarks::{inline_line, syntax_help, warnings},
    sandbox,
    script::LOADING,
    spec::{ScriptSpec, Text},
    voice::Voice,
};
use crate::{
    diagnostic::{Diagnostic, Place, Source, messages},
    report::Reporter,
    rules::{
        Handler, MAX_SCRIPT_BYTES, Rule,
        inputs::{Fingerprint, Inputs},
        is_kept_lua, is_lua,
        load::encoding,
    },
    schema::names,
};

const PRELUDE: &str = include_str!("prelude.lua");

/// CPU that a script may use at a stretch while it is loaded, or saves or restores its state.
const STRETCH: Duration = Duration::from_secs(2);

/// A script that is ready to run.
pub(super) struct Loaded {
    pub(super) lua: Lua,
    pub(super) guard: Guard,
    pub(super) host: Rc<Host>,
    /// The body of the coroutines that run handlers.
    pub(super) drive: Function,
    /// The mark of a coroutine that waits.
    pub(super) pending: Table,
    /// What the script returned; nothing for a handler in a rule file.
    pub(super) value: Value,
    /// What rules' names for functions stood for when they were first looked for.
    functions: RefCell<HashMap<Option<String>, Function>>,
    /// Finds a function of a table that the script made; metamethods of the script's may run.
    lookup: Function,
    /// Puts a table in front of another one, through which nobody can change it.
    pub(super) freeze: Function,
    /// What is certainly not as its author meant it.
    pub(super) warnings: Vec<Diagnostic>,
    /// Bytes that the VM may hold while the script runs on nobody's behalf.
    memory: usize,
    /// The text that mistakes point into.
    pub(super) source: Arc<Source>,
}

/// Loads a script on the calling thread, which is then the VM's.
pub(super) fn load(
    spec: &ScriptSpec,
    reporter: &Reporter,
    admin: bool,
    alarm: Arc<Alarm>,
) -> Result<Loaded, Vec<Diagnostic>> {
    let place = spec.place();
    let source = read(spec, place)?;
    let files = Files::new(spec.root.clone(), spec.shown_root.clone(), spec.inputs.clone()).aside(spec.aside.clone());
    let broken = |error: mlua::Error| {
        let diagnostic = Diagnostic::error("script-failed", format!("the host could not be set up: {error}"));
        vec![located(diagnostic, place)]
    };
    let lua = sandbox::new_vm().map_err(broken)?;
    let host = Host::new(&lua, Arc::clone(&spec.name), files, reporter.clone(), admin, spec.clock.clone());
    let host = host.map_err(broken)?;
    #[cfg(test)]
    super::tests::stray(&lua, &spec.root).map_err(broken)?;
    host.permits.borrow_mut().clone_from(&spec.permits);
    let guard = Guard::new(alarm).map_err(|error| broken(mlua::Error::external(error)))?;
    let prelude = set_up(&lua, &host).map_err(broken)?;
    let mut loaded = Loaded {
        guard,
        drive: prelude.raw_get("drive").map_err(broken)?,
        pending: prelude.raw_get("pending").map_err(broken)?,
        lookup: prelude.raw_get("lookup").map_err(broken)?,
        freeze: prelude.raw_get("freeze").map_err(broken)?,
        value: Value::Nil,
        functions: RefCell::default(),
        warnings: Vec::new(),
        memory: spec.memory(),
        source,
        host,
        lua,
    };
    let (text, first_line) = match &spec.text {
        Text::File { .. } => (&loaded.source.text, 1),
        Text::Inline { code, line, .. } => (code, *line),
    };
    let chunk = loaded.compile(text, first_line).map_err(|error| {
        let message = syntax_message(&error);
        let (line, message) = split_line(&message).unwrap_or((first_line, &message));
        let place = match &spec.text {
            Text::File { .. } => loaded.source.line(line),
            Text::Inline { code, line: first, place } => inline_line(place, code, *first, line),
        };
        let help = syntax_help(message).map(str::to_owned);
        vec![Diagnostic { help, ..Diagnostic::error("lua-syntax", message).at(place) }]
    })?;
    if matches!(spec.text, Text::File { .. }) {
        let name = loaded.lua.create_string(&*spec.name).map_err(broken)?;
        loaded.value = loaded.run(&chunk, Value::String(name), LOADING, "script-failed", "is loaded")?;
        check_handlers(spec, &loaded)?;
    }
    loaded.warnings = warnings(spec, &loaded, &prelude).map_err(broken)?;
    Ok(loaded)
}

/// Runs the prelude and the methods; both are ours and tested.
fn set_up(lua: &Lua, host: &Rc<Host>) -> mlua::Result<Table> {
    let functions = host::functions(lua, host)?;
    if host.clock.is_manual() {
        let clock = host.clock.clone();
        functions.raw_set("time", lua.create_function(move |_, ()| Ok(clock.now() / 1000))?)?;
    }
    let chunk =
        |text: &'static str, name: &str| lua.load(text).set_name(format!("=[{name}]")).set_mode(ChunkMode::Text);
    let prelude: Table = chunk(PRELUDE, "olvid").call(functions)?;
    let environment: Value = prelude.raw_get("methods_environment")?;
    host.set_refusal(prelude.raw_get("refusal")?);
    let methods: Table = chunk(super::METHODS, "olvid methods").call(environment)?;
    methods.for_each(|message: String, functions: Table| {
        let metatable = lua.create_table()?;
        for event in ["__tostring", "__eq"] {
            metatable.raw_set(event, functions.raw_get::<Value>(event)?)?;
            functions.raw_set(event, Value::Nil)?;
        }
        metatable.raw_set("__index", functions)?;
        metatable.raw_set("__name", message.as_str())?;
        metatable.raw_set("__metatable", false)?;
        host.converter.set_methods(message, metatable);
        Ok(())
    })?;
    Ok(prelude)
}

impl Loaded {
    /// Finds the function that handles a rule's notifications.
    pub(super) fn handler(&self, rule: &Rule) -> Result<Function, String> {
        match &rule.handler {
            Handler::Script { function, .. } => self
                .found(function.as_deref())
                .map_err(|(message, help)| format!("`{}` {message}; {help}", self.host.script)),
            // Compiled for each rule it is given for: the line that it stands in may be another one now.
            Handler::Inline { code, line, .. } => self.compile(code, *line).map_err(|error| syntax_message(&error)),
        }
    }

    fn compile(&self, text: &str, first_line: usize) -> mlua::Result<Function> {
        // A script may begin with `#!`, as the stock interpreter allows.
        let comment = if text.starts_with('#') { "--" } else { "" };
        let padded = "\n".repeat(first_line - 1) + comment + text;
        self.lua.load(padded).set_name(format!("@{}", self.host.script)).set_mode(ChunkMode::Text).into_function()
    }

    /// Calls a function of the script's at a stretch, on nobody's behalf; `when` says what an error interrupts.
    pub(super) fn run(
        &self,
        function: &Function,
        argument: Value,
        time: Duration,
        code: &'static str,
        when: &str,
    ) -> Result<Value, Vec<Diagnostic>> {
        let failed = |message: &str, line: usize| {
            let message = format!("the script fails while it {when}: {message}");
            vec![Diagnostic::error(code, message).at(self.source.line(line))]
        };
        // Where it is not the script's own line, the place is part of the message.
        let placed = |message: &str, place: Option<&str>| {
            let own = place.and_then(|place| {
                let (file, line) = place.rsplit_once(':')?;
                line.parse().ok().filter(|_| file == &*self.host.script)
            });
            match (own, place) {
                (Some(line), _) => failed(message, line),
                (None, Some(place)) => failed(&format!("{place}: {message}"), 1),
                (None, None) => failed(message, 1),
            }
        };
        let thread = self.lua.create_thread(self.drive.clone()).map_err(|error| failed(&error.to_string(), 1))?;
        let mut bounds = Bounds::new(Instant::now() + time, STRETCH, self.memory);
        self.host.voice.replace(Voice::default());
        let ended = self.guard.resume(&self.lua, &thread, (argument, function), &mut bounds);
        self.host.fall_silent();
        let values = match ended {
            Err(stopped) => {
                let place = stopped.frames.first().map(|Frame { place, .. }| place.as_str());
                return Err(placed(&self.breached(stopped.breach, time), place));
            }
            Ok(Err(error)) => return Err(failed(&failure::innermost(&error), 1)),
            Ok(Ok(values)) => values,
        };
        match values {
            (Value::Boolean(true), value) => Ok(value),
            (_, Value::Table(told)) => {
                let text = |key: &str| told.raw_get::<String>(key).unwrap_or_default();
                Err(placed(&text("message"), Some(&text("place"))))
            }
            (_, other) => Err(failed(&failure::text(&self.host, &other), 1)),
        }
    }

    fn breached(&self, breach: Breach, time: Duration) -> String {
        match breach {
            Breach::Timeout => format!("it is not done after {time:?}"),
            Breach::Cpu => format!("it is not done after {STRETCH:?} of CPU"),
            Breach::Memory => format!("it uses more than {}", size(self.memory)),
            Breach::Output => "it writes too much to the log".to_owned(),
        }
    }

    /// A function of the table that the script returned, by its name.
    pub(super) fn function(&self, name: &str) -> Option<Function> {
        if let Ok(Value::Function(function)) = self.entry(name) { Some(function) } else { None }
    }

    /// What stands under a name in the table that the script returned.
    fn entry(&self, name: &str) -> Result<Value, String> {
        let Value::Table(table) = &self.value else { return Ok(Value::Nil) };
        if table.metatable().is_none() {
            return table.raw_get(name).map_err(|error| error.to_string());
        }
        let asked = self.lua.create_sequence_from([Value::Table(table.clone())]).and_then(|asked| {
            asked.raw_set(2, name)?;
            Ok(asked)
        });
        let asked = asked.map_err(|error| error.to_string())?;
        self.run(&self.lookup, Value::Table(asked), LOADING, "script-failed", "is asked for a function")
            .map_err(|told| messages(&told))
    }

    /// The function of that name, which is looked for once: what a script's metamethods gave then stays.
    fn found(&self, name: Option<&str>) -> Result<Function, (String, String)> {
        if let Some(function) = self.functions.borrow().get(&name.map(str::to_owned)) {
            return Ok(function.clone());
        }
        let function = self.named(name)?;
        self.functions.borrow_mut().insert(name.map(str::to_owned), function.clone());
        Ok(function)
    }

    fn named(&self, name: Option<&str>) -> Result<Function, (String, String)> {
        match (&self.value, name) {
            (Value::Function(function), None) => Ok(function.clone()),
            (Value::Function(_), Some(name)) => Err((
                format!("returns a function, not a table with `{name}` in it"),
                format!("end the script with `return {{ {name} = {name} }}`, or leave `:{name}` out of the rule"),
            )),
            (Value::Table(table), Some(name)) => match self.entry(name) {
                Ok(Value::Function(function)) => Ok(function),
                Ok(Value::Nil) => Err((format!("has no function `{name}`"), choices(table, Some(name)))),
                Ok(other) => Err((
                    format!("has {} where the function `{name}` should be", other.type_name()),
                    choices(table, None),
                )),
                Err(error) => Err((format!("fails when asked for `{name}`: {error}"), String::new())),
            },
            (Value::Table(table), None) => {
                Err(("returns a table, and the rule does not say which function".to_owned(), choices(table, None)))
            }
            (Value::Nil, _) => Err((
                "returns nothing".to_owned(),
                "end the script with `return function(notification, rule) ... end`".to_owned(),
            )),
            (other, _) => {
                let message = format!("returns a {}, not a function", other.type_name());
                Err((message, "return the handler function".to_owned()))
            }
        }
    }
}

/// Bytes, as people read them.
pub(super) fn size(bytes: usize) -> String {
    const UNITS: [(usize, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes} bytes"), |(unit, name)| format!("{} {name}", bytes / unit))
}

/// Reads the text that mistakes of the script point into: its own, or the rule file's.
fn read(spec: &ScriptSpec, place: Option<&Place>) -> Result<Arc<Source>, Vec<Diagnostic>> {
    match &spec.text {
        Text::Inline { place, .. } => Ok(Arc::clone(&place.source)),
        Text::File { path, .. } => {
            let text = read_text(path, path, &spec.inputs);
            let text = text.map_err(|cause| {
                let message = format!("cannot load `{}`: {cause}", spec.name);
                vec![located(Diagnostic::error("script-unreadable", message), place)]
            })?;
            Ok(Source::new(&*spec.name, text))
        }
    }
}

/// Reads Lua text and records what it was, under the path that led to it.
pub(super) fn read_text(path: &Path, known_as: &Path, inputs: &Inputs) -> Result<String, String> {
    let read = || -> io::Result<Vec<u8>> {
        // Lines of what is read are shown: nothing is that is not called a script, whatever links lead to it.
        let is_called_so = is_lua(path);
        let path = path.canonicalize()?;
        if !is_called_so || !is_kept_lua(&path) {
            return Err(io::Error::other("it is no Lua script: its name does not end in `.lua`"));
        }
        let metadata = fs::metadata(&path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        if metadata.len() > MAX_SCRIPT_BYTES {
            return Err(io::Error::other("it is larger than 1 MiB"));
        }
        fs::read(path)
    };
    let bytes = read().map_err(|error| {
        let gone = error.kind() == io::ErrorKind::NotFound;
        inputs.add(known_as, if gone { Fingerprint::Missing } else { Fingerprint::at(path, MAX_SCRIPT_BYTES) });
        error.to_string()
    })?;
    inputs.add(known_as, Fingerprint::of(&bytes));
    if let Some(encoding) = encoding(&bytes) {
        return Err(format!("it seems to be {encoding}; save it as UTF-8"));
    }
    // A byte order mark is no text.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).map_or_else(|| bytes.clone(), <[u8]>::to_vec);
    String::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        let line = good.matches('\n').count() + 1;
        format!("it is not UTF-8 (line {line})")
    })
}

/// Finds each rule's function in what the script returned, or tells all that are missing.
fn check_handlers(spec: &ScriptSpec, loaded: &Loaded) -> Result<(), Vec<Diagnostic>> {
    let source = &loaded.source;
    let mut mistakes: Vec<Diagnostic> = Vec::new();
    for (place, name) in &spec.origins {
        if let Err((message, help)) = loaded.found(name.as_deref()) {
            let last = source.line(source.text.trim_end().lines().count().max(1));
            let diagnostic = Diagnostic::error("no-handler", format!("`{}` {message}", spec.name));
            mistakes.push(diagnostic.at(place.clone()).related(last, "the script ends here").help(help));
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
}

fn choices(table: &Table, wanted: Option<&str>) -> String {
    let pairs = table.pairs::<String, Value>().filter_map(Result::ok);
    let mut names: Vec<_> = pairs.filter(|(_, value)| value.is_function()).map(|(name, _)| name).collect();
    names.sort();
    if let Some(near) = wanted.and_then(|wanted| names::nearest(wanted, names.iter().map(String::as_str))) {
        return format!("did you mean `:{near}`?");
    }
    match names.as_slice() {
        [] => "the table it returns has no functions".to_owned(),
        _ => format!("it has {}; name one behind a colon, `script.lua:{}`", names.join(", "), names[0]),
    }
}

pub(super) fn located(diagnostic: Diagnostic, place: Option<&Place>) -> Diagnostic {
    match place {
        Some(place) => diagnostic.at(place.clone()),
        None => diagnostic,
    }
}

/// The text of a syntax error, with its chunk and line in front.
pub(super) fn syntax_message(error: &mlua::Error) -> String {
    match error {
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// Splits `chunk:line: message`, whatever Lua made of a long chunk name.
fn split_line(message: &str) -> Option<(usize, &str)> {
    message.match_indices(':').find_map(|(at, _)| {
        let (line, rest) = message[at + 1..].split_once(": ")?;
        Some((line.parse().ok()?, rest))
    })
}
