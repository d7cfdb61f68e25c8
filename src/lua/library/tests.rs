//! The library beside the stock one: the same results and the same words, but for what would never end.

use std::cell::Cell;

use mlua::{HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Value, VmState};

use super::*;

mod cases;
mod random;
mod speed;

fn stock() -> Lua {
    let libraries = StdLib::COROUTINE | StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH | StdLib::OS;
    Lua::new_with(libraries, LuaOptions::default()).unwrap()
}

fn ours() -> Lua {
    let lua = stock();
    install(&lua).unwrap();
    lua
}

/// What code returns, or the words of its error, place included.
fn outcome(lua: &Lua, code: &str) -> String {
    let chunk = lua.load(format!("return pcall(function()\n{code}\nend)")).set_name("=script");
    let values: MultiValue = chunk.eval().unwrap();
    values.iter().map(shown).collect::<Vec<_>>().join(" ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => match text.to_str() {
            Ok(text) => format!("{text:?}"),
            Err(_) => text.as_bytes().escape_ascii().to_string(),
        },
        Value::Number(number) => format!("{number:?}"),
        Value::Table(_) | Value::Function(_) => value.type_name().to_owned(),
        other => other.to_string().unwrap(),
    }
}

thread_local! {
    static LOOKS: Cell<u32> = const { Cell::new(0) };
}

/// Says that the run is over at the hundredth look.
fn soon() -> bool {
    LOOKS.set(LOOKS.get() + 1);
    LOOKS.get() > 100
}

#[test]
fn what_would_take_for_ever_ends_when_the_run_is_over() {
    let lua = stock();
    install_with(&lua, soon).unwrap();
    let blanks = r"('x' .. (' '):rep(262144) .. 'x')";
    let hostile = [
        "('a'):rep(30):find(('a?'):rep(30) .. ('a'):rep(30))".to_owned(),
        "('a'):rep(400):find('.-.-.-b')".to_owned(),
        "('a'):rep(400):match('.*.*.*.*b')".to_owned(),
        format!("{blanks}:match('^%s*(.-)%s*$')"),
        format!("{blanks}:gsub('%s*$', '')"),
        format!("{blanks}:find('%s+$')"),
        format!("{blanks}:gsub('%s+$', print)"),
        "('('):rep(262144):find('%b()')".to_owned(),
        "('('):rep(262144):gsub('%b()', {})".to_owned(),
        "((('('):rep(262144):gmatch('%b()')()))".to_owned(),
        "('a'):rep(262144):find('(a*)%1b')".to_owned(),
        "('a'):rep(262144):find('[' .. ('b'):rep(262144) .. ']')".to_owned(),
        "('a'):rep(262144):find('%f[' .. ('b'):rep(262144) .. ']')".to_owned(),
        "('a'):rep(262144):gsub('()', ('%1'):rep(100000))".to_owned(),
        "('a'):rep(262144):gsub('', ('%1'):rep(100000))".to_owned(),
    ];
    for code in hostile {
        LOOKS.set(0);
        let told = outcome(&lua, &format!("return {code}"));
        assert!(told == "false \"script:2: the run is over\"" || told.contains("string too large"), "{code}: {told}");
    }
}

/// Raises at every instruction from some on, as a run that is over may; it cannot in the host's functions.
fn interrupted(code: &str) -> String {
    let lua = ours();
    let chunk = lua.load(code).set_name("=script").into_function().unwrap();
    let left = Cell::new(20_000);
    let stop = move |_: &Lua, _: &mlua::debug::Debug<'_>| {
        left.set(left.get() - 1);
        if left.get() > 0 { Ok(VmState::Continue) } else { Err(mlua::Error::runtime("interrupted")) }
    };
    lua.set_hook(HookTriggers::new().every_nth_instruction(1), stop).unwrap();
    chunk.call::<()>(()).map_or_else(|error| error.to_string(), |()| "it ended".to_owned())
}

#[test]
fn what_loops_over_a_lie_can_be_interrupted() {
    let lies = [
        "table.insert(setmetatable({}, { __len = function() return 1 << 61 end }), 1, 1)",
        "table.remove(setmetatable({}, { __len = function() return 1 << 61 end }), 1)",
        "table.sort(setmetatable({}, { __len = function() return (1 << 31) - 2 end }), rawequal)",
        "table.sort(setmetatable({}, { __len = function() return (1 << 31) - 2 end, __index = rawlen }))",
        "table.move({}, 1, math.maxinteger - 1, 2)",
        "table.move('', 1, math.maxinteger - 1, 2, {})",
        "table.move({}, 1, 1 << 40, 1, setmetatable({}, { __newindex = rawequal }))",
        "table.concat(setmetatable({}, { __index = table.concat }), '', 1, math.maxinteger)",
        "load(function() while true do end end)",
        "('a'):gsub('a', function() while true do end end)",
        "local t = {} for i = 1, 1000 do t[i] = {} end table.sort(t, function() while true do end end)",
        "local t = {} for i = 1, 1000 do t = setmetatable({}, { __index = t }) end table.unpack(t, 1, 900000)",
    ];
    for code in lies {
        let told = interrupted(code);
        assert!(told.contains("interrupted"), "{code}: {told}");
    }
}

#[test]
fn what_is_long_but_linear_simply_ends() {
    let lua = ours();
    let linear = [
        ("(('a'):rep(2 << 20)):find(('a'):rep(1 << 20) .. 'b', 1, true)", "true nil"),
        ("(('a'):rep(1 << 20)):find(('a'):rep(1 << 20))", "true 1 1048576"),
        ("#(''):rep(math.maxinteger)", "true 0"),
        ("#(''):rep(math.maxinteger, '')", "true 0"),
        ("#('ab'):rep(1 << 20, ',')", "true 3145727"),
        ("('x'):rep(1 << 40)", "false \"script:2: resulting string too large\""),
        ("('a'):rep(1 << 20):gsub('a', ('b'):rep(1 << 20))", "false \"script:2: resulting string too large\""),
        ("select(2, ('a '):rep(1 << 17):gsub('%s*', ''))", "true 131073"),
        ("#('x'):rep(1 << 18):gsub('.', function() return 'yy' end)", "true 524288"),
    ];
    for (code, expected) in linear {
        assert_eq!(outcome(&lua, &format!("return {code}")), expected, "{code}");
    }
}

#[test]
fn iterators_share_their_subject() {
    let lua = ours();
    lua.set_memory_limit(16 << 20).unwrap();
    let code = "local s, all = ('word '):rep(600000), {}
for at = 1, 1000 do all[at] = s:gmatch('%a+') all[at]() end
return #s, all[1000]()";
    assert_eq!(outcome(&lua, code), "true 3000000 \"word\"");
}

#[test]
fn nothing_yields_out_of_what_gsub_sort_and_load_call() {
    let (ours, stock) = (ours(), stock());
    for call in ["('a'):gsub('a', coroutine.yield)", "table.sort({ 2, 1 }, coroutine.yield)", "load(coroutine.yield)"] {
        let code = format!("return coroutine.resume(coroutine.create(function() return {call} end))");
        assert_eq!(outcome(&ours, &code), outcome(&stock, &code), "{call}");
    }
}

#[test]
fn limits_are_told_at_the_line_that_meets_them() {
    let lua = ours();
    let limits = [
        ("return ('%s'):rep(40000):format()", "script:2: bad argument #1 to 'format' (longer than 64 KiB)"),
        (
            "return ('%q'):format(('x'):rep(300000))",
            "script:2: bad argument #2 to 'format' (longer than 256 KiB, too long",
        ),
        ("return os.date(('x'):rep(1025))", "script:2: bad argument #1 to 'date' (longer than 1 KiB)"),
        ("return load((' '):rep(65537))", "true nil \"chunk is longer than 64 KiB\""),
        ("return load(function() return (' '):rep(1000) end)", "true nil \"chunk is longer than 64 KiB\""),
        ("return load('\\27Lua')", "true nil \"attempt to load a binary chunk (mode is 't')\""),
        ("return load('\\27Lua', 'x', 'b')", "true nil \"attempt to load a binary chunk (mode is 't')\""),
        ("return load('x =')", "true nil \"(load):1: unexpected symbol near <eof>\""),
        ("return load('return 1 + ...')(2)", "true 3"),
        ("return #('%%q %s'):format(('x'):rep(300000))", "true 300003"),
    ];
    for (code, expected) in limits {
        let told = outcome(&lua, code);
        assert!(told.contains(expected), "{code}: {told}");
    }
}

#[test]
fn no_way_leads_back_to_what_was_replaced() {
    let lua = stock();
    let function = |name: &str| lua.load(format!("return {name}")).eval::<Function>().unwrap();
    let names = "string.find string.match string.gmatch string.gsub string.rep string.format table.insert table.remove \
                 table.move table.concat table.unpack table.sort os.date load";
    let former: Vec<_> = names.split(' ').map(function).collect();
    install(&lua).unwrap();
    let mut seen = 0;
    for library in ["_G", "string", "table", "math", "utf8", "os", "coroutine"] {
        let library: Table = lua.globals().raw_get(library).unwrap();
        for pair in library.pairs::<String, Value>() {
            let (name, value) = pair.unwrap();
            assert!(!former.iter().any(|former| Value::Function(former.clone()) == value), "{name}");
            seen += 1;
        }
    }
    assert!(seen > 80, "{seen}");
    assert!(lua.load("return ('').find == string.find and ('').gsub == string.gsub").eval::<bool>().unwrap());
}
