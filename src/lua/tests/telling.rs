//! What scripts say and raise, whatever it is and however long: told within bounds.

use super::*;

/// Runs a body once and returns all that was told of it.
fn told(body: &str) -> Vec<String> {
    run_within(body, &["x"], Order::Rule, Limits::default(), Duration::from_mins(1))
}

#[test]
fn an_error_value_of_any_kind_ends_in_a_clear_text() {
    let cycle = "the script raised a table that cannot be shown (json.encode: nested deeper than 64 (does a table contain \
                 itself?))";
    let shared = "the script raised a table that cannot be shown (json.encode: more than 4 KiB of text)";
    let long = format!("{}… (9995904 bytes left out)", "x".repeat(4096));
    for (body, message) in [
        ("error()", "the script raised nil"),
        ("error(42)", "the script raised 42"),
        ("error(1.5)", "the script raised 1.5"),
        ("error(false)", "the script raised false"),
        ("error(print)", "the script raised a function"),
        ("error(coroutine.create(print))", "the script raised a thread"),
        ("error(json.null)", "the script raised json.null"),
        ("error('plain', 0)", "plain"),
        ("error('placed')", "placed"),
        ("error({ a = 1 })", r#"the script raised {"a":1}"#),
        ("local t = {} t.t = t error(t)", cycle),
        ("local t = 'x' for _ = 1, 60 do t = { t, t } end error(t)", shared),
        (
            "error({ f = print })",
            "the script raised a table that cannot be shown (json.encode: function has no JSON form)",
        ),
        ("error(setmetatable({}, { __tostring = function() return 'mine' end }))", "mine"),
        (
            "error(setmetatable({}, { __tostring = function() error('inner', 0) end }))",
            "the script raised a table whose __tostring fails: inner",
        ),
        (
            "error(setmetatable({}, { __tostring = function() error({}) end }))",
            "the script raised a table that cannot be shown",
        ),
        (
            "error(setmetatable({}, { __tostring = function() return {} end }))",
            "the script raised a table whose __tostring fails: '__tostring' must return a string",
        ),
        ("error(setmetatable({}, { __tostring = function() return ('x'):rep(10^7) end }))", &long),
        ("error(('x'):rep(10^7), 0)", &long),
        ("error(setmetatable({}, { __name = 'mine' }))", "the script raised {}"),
        ("pcall, tostring = nil, nil error(7)", "the script raised 7"),
    ] {
        assert_eq!(told(body), [format!("Error {message}")], "{body}");
    }
}

#[test]
fn a_stack_that_is_full_is_told_as_that() {
    for body in [
        "local function f(...) local a, b, c, d, e, g, h = ... return 1 + f(a, b, c, d, e, g, h) end f()",
        "local function f() string.gsub('a', 'a', f) end f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k + 1] end return t[1]",
        "local function f() return coroutine.wrap(f)() end f()",
        "error(setmetatable({}, { __tostring = function(t) return tostring(t) end }))",
    ] {
        let told = told(body);
        let [line] = &told[..] else { panic!("{body}: {told:#?}") };
        assert!(line.starts_with("Error ") && line.contains("overflow") && line.len() < 4200, "{body}: {line}");
    }
}

#[test]
fn what_is_said_is_cut_before_it_is_copied() {
    let body = "print(('x'):rep(10^7))
log.info('fields', { long = ('é'):rep(10^6), [('n'):rep(100)] = 1, odd = 0/0, f = print, [7] = '\\xff', t = { 1, { a = 'b' } } })
local many = {} for i = 1, 100 do many['f' .. i] = i end log.warn('many', many)
local deep = {} for i = 1, 100 do deep = { deep } end log.info('deep', { deep = deep })
local all = {} for i = 1, 60 do all['f' .. i] = ('x'):rep(4000) end log.info('all', all)
log.info('list', { 1, 2 }) log.info('text', 'x') log.info('rule', (select(2, ...)))";
    let (sender, lines) = mpsc::channel();
    let sender = Mutex::new(sender);
    let tell = move |event: &Event| {
        if let Event::Said { text, fields, .. } = event {
            sender.lock().unwrap().send((text.clone(), serde_json::Value::Object(fields.clone()))).unwrap();
        }
    };
    told_to(body, &["x"], Order::Rule, Limits::default(), Duration::from_mins(1), tell);
    let lines: Vec<_> = lines.iter().collect();
    assert_eq!(lines[0].0, format!("{}… (9995904 bytes left out)", "x".repeat(4096)));
    let fields = &lines[1].1;
    assert_eq!(fields["long"], format!("{}… (1995904 bytes left out)", "é".repeat(2048)));
    let named = format!("{}…", "n".repeat(64));
    assert_eq!((&fields[&named], &fields["f"], &fields["7"]), (&1.into(), &"(function)".into(), &"\u{fffd}".into()));
    assert!(fields["odd"].as_str().unwrap().ends_with("nan") || fields["odd"] == "NaN", "{fields}");
    assert_eq!(fields["t"], serde_json::json!([1, { "a": "b" }]));
    assert_eq!((lines[2].1.as_object().unwrap().len(), &lines[2].1["…"]), (65, &"more fields are left out".into()));
    assert_eq!(lines[3].1["deep"], "(json.encode: nested deeper than 64 (does a table contain itself?))");
    assert!(lines[4].1.as_object().unwrap().len() == 3 && lines[4].1["…"].is_string(), "{:?}", lines[4]);
    assert_eq!((&lines[5].1["value"], &lines[6].1["value"]), (&serde_json::json!([1, 2]), &"x".into()));
    assert_eq!(lines[7].1["name"], "test");
}

#[test]
fn more_output_than_one_run_may_write_ends_it_and_the_next_one_writes() {
    let limits = Limits { output: 100, ..Limits::default() };
    let body = "local n = ... while n.message.body == 'x' do pcall(print, ('y'):rep(40)) end print('next')";
    let told = run_within(body, &["x", "n"], Order::Rule, limits, Duration::from_mins(1));
    let line = format!("{} @rules.yaml:2", "y".repeat(40));
    let over = "Output more than 100 bytes written to the log: the rule's `output` is 100 bytes; raise it there, or under \
                `defaults:`";
    assert_eq!(told, [&line, &line, over, "next @rules.yaml:2"]);
}

#[test]
fn lines_beyond_the_rate_are_counted_and_those_that_are_not_shown_crowd_out_none() {
    let limits = Limits { log_rate: 1, ..Limits::default() };
    let body = "for i = 1, 30 do log.debug(i) end for i = 1, 30 do print(i) end";
    let told = run_within(body, &["x"], Order::Rule, limits, Duration::from_mins(1));
    assert_eq!(told.iter().filter(|line| line.ends_with(" @rules.yaml:2")).count(), 20, "{told:#?}");
    let left_out: Vec<_> = told.iter().filter(|line| line.starts_with("LinesLeftOut")).collect();
    assert_eq!(left_out.len(), 2, "{told:#?}");
    for (line, level) in left_out.iter().zip(["Debug", "Info"]) {
        assert!(line.contains(&format!("what: Lines({level}), count: 20, rate: 1")), "{line}");
    }
}

#[test]
fn a_failure_that_comes_again_is_counted_and_what_differs_is_told() {
    let body = "local n = ... error(n.message.body)";
    let told = run_within(body, &["a", "a", "b", "a"], Order::Rule, Limits::default(), Duration::from_mins(1));
    assert_eq!(told, ["Error a", "Error b", "Error a ×2"]);
}

#[test]
fn json_is_bounded_in_depth_values_and_bytes_both_ways() {
    for (body, answer) in [
        (
            "local t = {} for _ = 1, 64 do t = { t } end print(pcall(json.encode, t))",
            "json.encode: nested deeper than 64",
        ),
        (
            "local t = {} for i = 1, 10^5 do t[i] = 1 end print(pcall(json.encode, t))",
            "json.encode: more than 100000 values",
        ),
        (
            "local t = ('x'):rep(10^5) for _ = 1, 40 do t = { t, t } end print(pcall(json.encode, t))",
            "json.encode: more than 4096 KiB of text",
        ),
        ("print(pcall(json.encode, ('x'):rep(5 * 10^6)))", "json.encode: more than 4096 KiB of text"),
        ("print(pcall(json.encode, ('\\1'):rep(10^6)))", "json.encode: more than 4096 KiB of text"),
        ("print(pcall(json.encode, { 1, 2, x = 3 }))", "json.encode: a table is both a list and an object (key `x`)"),
        ("print(pcall(json.encode, { [('k'):rep(10)] = 0/0 }))", "is no JSON number"),
        ("print(pcall(json.decode, ('x'):rep(5 * 10^6)))", "json.decode: a text of more than 4 MiB"),
        ("print(pcall(json.decode, ('['):rep(65) .. (']'):rep(65)))", "json.decode: nested deeper than 64"),
        ("print(pcall(json.decode, '{\"a\":1} x'))", "json.decode: trailing characters at line 1 column 9"),
        ("print(pcall(json.decode, '{\"a\":'))", "json.decode: EOF while parsing a value at line 1 column 5"),
    ] {
        let told = told(body);
        assert!(told[0].starts_with("false\t") && told[0].contains(answer), "{body}: {told:?}");
    }
    let body = r#"local t = json.decode('{"a":{"b":[1,-2,2.5,18446744073709551615,true,null,"\\u00e9"]},"a":{"c":[]}}')
print(json.encode(t), json.encode { json.decode('[9007199254740993,1e2]') }, json.encode(select(2, ...)))
local t = {} for _ = 1, 63 do t = { t } end print(#json.encode(t), #json.encode(json.decode(('['):rep(64) .. (']'):rep(64))))
print(#json.encode(('x'):rep(4 * 2^20 - 2)), json.decode('"\\ud83d\\udc4d"'))"#;
    let rule = r#"{"caught_up":false,"file":"rules.yaml","name":"test","subscription":"message_received"}"#;
    let wanted = [
        format!("{}\t{}\t{rule} @rules.yaml:3", r#"{"a":{"c":[]}}"#, "[[9007199254740993,100.0]]"),
        "128\t128 @rules.yaml:4".to_owned(),
        "4194304\t👍 @rules.yaml:5".to_owned(),
    ];
    assert_eq!(told(body), wanted);
}
