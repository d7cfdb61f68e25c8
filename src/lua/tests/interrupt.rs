//! Scripts that do not want to end, and what ends them; the next notification is handled all the same.

use super::{
    bench::{Bench, finish, push},
    *,
};
use crate::report::{Fate, Origin};

/// Runs a body for `attack`, then for `next`; returns what was told.
fn attacked(body: &str, limits: Limits) -> Vec<String> {
    let code = format!("local n = ...\nif n.message.body == 'next' then print('alive') return end\n{body}");
    run_within(&code, &["attack", "next"], Order::Rule, limits, Duration::from_mins(1))
}

fn short() -> Limits {
    Limits { cpu: Duration::from_millis(50), memory: 8 * 1024 * 1024, ..Limits::default() }
}

fn assert_ended(body: &str, kind: FailureKind, limits: Limits) {
    let told = attacked(body, limits);
    let name = format!("{kind:?} ");
    assert!(told[0].starts_with(&name) && told[1] == "alive @rules.yaml:3", "{body}\n{told:#?}");
}

#[test]
fn nothing_catches_the_end_of_a_run() {
    for body in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() pcall(f) while true do end end while true do pcall(f) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "xpcall(error, function() while true do end end)",
        "while true do coroutine.wrap(function() while true do end end)() end",
        "while true do local co = coroutine.create(function() while true do end end) coroutine.resume(co) end",
        "while true do pcall(coroutine.wrap(function() pcall(function() while true do end end) end)) end",
        "local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end",
        "local x <close> = setmetatable({}, { __close = function() while true do end end }) error('x')",
        "while true do pcall(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) end) end",
        "local t = setmetatable({}, { __index = function() while true do end end }) while true do pcall(function() return t.x end) end",
        "local t = setmetatable({}, { __tostring = function() while true do end end }) while true do pcall(tostring, t) end",
        "error(setmetatable({}, { __tostring = function() while true do end end }))",
        "while true do pcall(table.sort, { 3, 2, 1 }, function() while true do end end) end",
        "while true do pcall(string.gsub, 'aaa', 'a', function() while true do end end) end",
        "while true do pcall(string.match, 'x' .. (' '):rep(262144) .. 'x', '^%s*(.-)%s*$') end",
        "('a'):rep(400):find('.-.-.-.-.-b')",
        "(' '):rep(262144):gsub('%s*$', function() while true do end end)",
        "table.concat(setmetatable({}, { __index = table.concat }), '', 1, math.maxinteger)",
        "table.move({}, 1, math.maxinteger - 1, 2)",
        "table.insert(setmetatable({}, { __len = function() return 1 << 61 end }), 1, 1)",
        "table.sort({ 3, 2, 1 }, function() while true do pcall(function() while true do end end) end end)",
        "local t = setmetatable({}, { __lt = function() while true do end end }) table.sort { t, t, t }",
        "for _ in function() while true do end end do end",
        "goto again ::again:: goto again",
        "local function f() return f() end f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k + 1] end while true do pcall(function() return t[1] end) end",
        "local co co = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) coroutine.yield() end) coroutine.resume(co) while true do pcall(coroutine.close, co) end",
        "load('while true do end')()",
    ] {
        assert_ended(body, FailureKind::Cpu, short());
    }
}

#[test]
fn memory_that_is_full_ends_the_run() {
    for body in [
        "local t = {} while true do t[#t + 1] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
        "while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end",
        "local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(1000) .. #t end) end",
        "local t = {} while true do t[#t + 1] = function() return t end end",
        "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
        "return ('x'):rep(50 * 1024 * 1024)",
        "local function f() return 1 + f() end f()",
        "local function f() return 1 + f() end while true do pcall(f) end",
    ] {
        assert_ended(body, FailureKind::Memory, Limits { cpu: Duration::from_mins(1), ..short() });
    }
}

#[test]
fn garbage_is_not_memory() {
    let body = "for i = 1, 100000 do local t = { ('x'):rep(1000) .. i } end print('done')";
    let told = attacked(body, Limits { cpu: Duration::from_mins(1), ..short() });
    assert_eq!(told, ["done @rules.yaml:4", "alive @rules.yaml:3"]);
}

#[test]
fn garbage_beside_much_that_is_kept_is_not_memory_either() {
    let body = "local kept = ('x'):rep(3 * 1024 * 1024)
for i = 1, 1000000 do local t = {} end
print('done', #kept)";
    let told = attacked(body, Limits { cpu: Duration::from_mins(1), ..short() });
    assert_eq!(told, ["done\t3145728 @rules.yaml:6", "alive @rules.yaml:3"]);
}

#[test]
fn the_coroutine_of_another_run_is_nobody_s_to_touch() {
    let code = r"
local n = ...
if n.message.body == 'first' then
  kept = coroutine.running()
  sleep(0.05)
  print('first ends')
  return
end
print(coroutine.resume(kept, print), pcall(coroutine.close, kept))
print(coroutine.status(kept))";
    assert_eq!(
        said(code, &["first", "second"]),
        [
            "false\tfalse\tcannot close a running coroutine @rules.yaml:10",
            "normal @rules.yaml:11",
            "first ends @rules.yaml:7",
        ]
    );
}

#[test]
fn wall_clock_counts_while_it_computes() {
    let limits = Limits { timeout: Duration::from_millis(100), cpu: Duration::from_mins(1), ..Limits::default() };
    let told = attacked("while true do end", limits);
    assert_eq!(
        told,
        [
            "Timeout not done after 100ms: the rule's `timeout` is 100ms; raise it there, or under `defaults:`",
            "alive @rules.yaml:3"
        ]
    );
}

#[test]
fn what_was_stopped_in_one_run_can_be_neither_resumed_nor_closed_into_life() {
    let code = "local n = ...
if n.message.body == 'attack' then
  kept = coroutine.create(function()
    local x <close> = setmetatable({}, { __close = function() while true do end end })
    table.sort({ 3, 2, 1 }, function() while true do end end)
  end)
  coroutine.resume(kept)
end
print(coroutine.status(kept), coroutine.close(kept))";
    let told = run_within(code, &["attack", "next"], Order::Rule, short(), Duration::from_mins(1));
    assert!(told[0].starts_with("Cpu "), "{told:?}");
    assert_eq!(told[1], "dead\tfalse\tthe coroutine was stopped @rules.yaml:10");
}

#[test]
fn finalizers_are_refused_and_shared_tables_are_frozen() {
    for (body, expected) in [
        ("setmetatable({}, { __gc = function() end })", "`__gc` is not available"),
        ("string.format = nil", "`string` cannot be changed: `format` was to be set in it"),
        ("table.insert(string, 'x')", "`string` cannot be changed: `1` was to be set in it"),
        ("rawset(string, 'format', nil)", "`string` cannot be changed: `format` was to be set in it"),
        ("olvid.message_send = print", "`olvid` cannot be changed: `message_send` was to be set in it"),
        ("local _, rule = ... rule.name = 'x'", "`rule` cannot be changed: `name` was to be set in it"),
        ("json.array(string)", "json.array: a table with a metatable cannot be made a list"),
        ("setmetatable(json, nil)", "cannot change a protected metatable"),
    ] {
        let told = attacked(body, short());
        assert_eq!(told, [format!("Error {expected}"), "alive @rules.yaml:3".to_owned()], "{body}");
    }
    let body = "local f, s = pairs(string) print(s, type(f()), #'x', ('x'):upper(), string.len 'abc')";
    assert_eq!(attacked(body, short())[0], "nil\tstring\t1\tX\t3 @rules.yaml:4");
}

#[test]
fn coroutines_and_errors_are_lua_s_own_otherwise() {
    let code = r"
local co = coroutine.create(function(a, b)
  local c = coroutine.yield(a + b)
  local d, e = coroutine.yield(c * 2)
  return d + e
end)
print(coroutine.resume(co, 1, 2))
print(coroutine.resume(co, 10))
print(coroutine.resume(co, 3, 4))
print(coroutine.resume(co))
print(coroutine.status(co), coroutine.resume(coroutine.running()))
print(pcall(coroutine.resume, 7))
print(coroutine.close(coroutine.create(print)), pcall(coroutine.close, coroutine.running()))
local failing = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() error('y', 0) end }) error('x', 0) end)
print(coroutine.resume(failing))
print(coroutine.close(failing))
print(xpcall(function(...) return ... end, print, 1, nil, 3))
print(xpcall(error, function(e) return 'handled ' .. e end, 'x'))
print(xpcall(function() sleep(0.001) error('late', 0) end, function(e) return e end))
print(pcall(xpcall, print))
print(select('#', coroutine.resume(coroutine.create(function() return table.unpack({}, 1, 200) end))))";
    let told = said(code, &["x"]);
    let lines: Vec<_> = told.iter().map(|line| line.rsplit_once(" @").unwrap().0).collect();
    assert_eq!(
        lines,
        [
            "true\t3",
            "true\t20",
            "true\t7",
            "false\tcannot resume dead coroutine",
            "dead\tfalse\tcannot resume non-suspended coroutine",
            "false\tbad argument #1 to 'resume' (coroutine expected)",
            "true\tfalse\tcannot close a running coroutine",
            "false\tx",
            "false\ty",
            "true\t1\tnil\t3",
            "false\thandled x",
            "false\tlate",
            "false\tbad argument #2 to 'xpcall' (function expected, got no value)",
            "201",
        ]
    );
}

#[test]
fn a_loaded_chunk_is_told_as_one_whatever_it_is_called() {
    let code = r"
print(load('x = = 1', '@other.lua'))
print(load('x = = 1', '=[olvid]'))
print(load('x = = 1'))
load('error()', '@' .. ('n'):rep(1000))()";
    let told = said(code, &["x"]);
    let mistake = "unexpected symbol near '='";
    for (line, name) in told.iter().zip(["(load other.lua)", "(load [olvid])", "(load)"]) {
        assert!(line.starts_with(&format!("nil\t{name}:1: {mistake} @")), "{told:?}");
    }
    assert!(told[3].starts_with("Error ") && told[3].len() < 200, "{told:?}");
}

/// Loses a thread, lets another one go on, and has the first one come back; returns what was told, by whom it may be.
async fn given_up(by_engine: bool) -> Vec<String> {
    let code = "return function(n) if n.message.body == 'attack' then spin() end print(n.message.body) end";
    let rules =
        "rules:\n  - { name: ping, subscription: message_received, handler: ping.lua, order: rule, cpu: 50ms }\n";
    let bench = Bench::new(&[("rules.yaml", rules), ("ping.lua", code)]);
    let queue = RuleQueue::new();
    let (bell, ear) = Bell::new().unwrap();
    let ear = tokio::net::UnixStream::from_std(ear).unwrap();
    let (stuck, vm) = bench.serve_with("ping", &queue, Some(bell.clone())).await;
    push(&queue, 1, "attack").await;
    push(&queue, 1, "next").await;
    ear.readable().await.unwrap();
    assert!(stuck.is_lost() && stuck.needs_replacing() && stuck.is_news() && !stuck.is_news());
    assert_eq!((bell.lost(), bench.lines()), (1, vec![]));
    let origin = Origin { rule: None, subscription: None, script: "ping.lua".into(), place: None };
    if by_engine {
        let failure = stuck.lost_run(|| origin.clone()).unwrap();
        assert!(failure.message.contains("it was given up") && stuck.lost_run(|| origin.clone()).is_none());
    }
    // What the engine does: the queue goes to another thread, and nobody waits for this one.
    let (script, _) = bench.serve("ping", &queue).await;
    stuck.stop(Instant::now());
    assert!(!stuck.ended(Instant::now()).await);
    assert_eq!(bench.said(1).await, ["next"]);
    bench.write("come back", "");
    bench.freed(&vm).await;
    assert!(stuck.lost_run(|| origin).is_none(), "one of the two has told");
    drop(stuck);
    assert_eq!(bell.lost(), 0);
    finish(script).await;
    bench.lines()
}

#[tokio::test]
async fn a_thread_that_does_not_come_back_is_given_up_and_another_goes_on_with_its_queue() {
    let told = given_up(false).await;
    assert!(told[1].contains("not done after 50ms of CPU"), "{told:?}");
}

#[tokio::test]
async fn a_run_that_was_given_up_is_not_told_again_when_its_thread_comes_back() {
    assert_eq!(given_up(true).await, ["next"]);
}

#[tokio::test]
async fn a_vm_whose_variables_take_all_memory_asks_for_another() {
    let code = "local kept = {}
return function(n)
  if n.message.body == 'attack' then while true do kept[#kept + 1] = ('x'):rep(1000) .. #kept end end
  print(n.message.body, #kept)
end";
    let rules =
        "rules:\n  - { name: ping, subscription: message_received, handler: ping.lua, order: rule, memory: 4MiB }\n";
    let bench = Bench::new(&[("rules.yaml", rules), ("ping.lua", code)]);
    let queue = RuleQueue::new();
    let (bell, ear) = Bell::new().unwrap();
    let ear = tokio::net::UnixStream::from_std(ear).unwrap();
    let (full, _) = bench.serve_with("ping", &queue, Some(bell)).await;
    push(&queue, 1, "attack").await;
    push(&queue, 1, "next").await;
    ear.readable().await.unwrap();
    assert_eq!(full.fate(), Some(Fate::Spent));
    let (script, _) = bench.serve("ping", &queue).await;
    finish(full).await;
    let told = bench.said(2).await;
    let expected = "ping.lua:3: the script uses more than 4 MiB: the rule's `memory` is 4 MiB; raise it there, or under `defaults:`";
    assert!(told[0].ends_with(expected), "{told:?}");
    assert_eq!(told[1], "next\t0");
    finish(script).await;
}
