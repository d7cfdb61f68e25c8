//! Calls whose outcome is compared with stock Lua's, one by one: the manual's sentences, and every mistake.

use super::{ours, outcome, stock};

/// Runs every line in both; the results and the words of errors are to be the same.
fn same(lines: &str) {
    let (ours, stock) = (ours(), stock());
    let mut complaints = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let code = if line.starts_with("local ") || line.starts_with("for ") {
            line.to_owned()
        } else {
            format!("return {line}")
        };
        let (got, expected) = (outcome(&ours, &code), outcome(&stock, &code));
        if got != expected {
            complaints.push(format!("{line}\n    is {got}\n not {expected}"));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn find_and_match_find_what_stock_finds() {
    same(
        r##"
        string.find("hello world", "wor")
        string.find("hello world", "l+")
        string.find("hello world", "o", 6)
        string.find("hello world", "o", -4)
        string.find("hello world", "o", -400)
        string.find("hello world", "", 12)
        string.find("hello world", "", 13)
        string.find("hello", "", -1)
        string.find("", "")
        string.find("", "a")
        string.find("a.b", ".", 1, true)
        string.find("a.b", ".", 2, true)
        string.find("a.b", "%.")
        string.find("a+b", "+", 1, 1)
        string.find("a\0b", "\0")
        string.find("a\0b", "%z")
        string.find("a\0b", "[\0-a]+")
        string.find("abc", "b", math.mininteger)
        string.find("abc", "b", math.maxinteger)
        string.find("abc", "b", "2")
        string.find("abc", "b", 2.0)
        string.find(12345, 34)
        string.find(12.5, "%.")
        string.find("abc", "(b)(c)")
        string.find("abc", "()b()")
        string.find("abc", "((a)(b)(c))")
        string.find("key = value", "(%w+)%s*=%s*(%w+)")
        string.match("key = value", "(%w+)%s*=%s*(%w+)")
        string.match("  trim me ", "^%s*(.-)%s*$")
        string.match("2026-10-12", "(%d+)-(%d+)-(%d+)")
        string.match("abc", "^b")
        string.match("abc", "b", 2)
        string.match("abc", "^b", 2)
        string.match("abc", "c$")
        string.match("a$c", "a$c")
        string.match("a^c", "a^c")
        string.match("abc", ".-")
        string.match("abc", ".-$")
        string.match("aaab", "a-b")
        string.match("aaab", "a?a?a?a?b")
        string.match("f(a(b)c)d)", "%b()")
        string.match("((x", "%b()")
        string.match("xx", "%bxx")
        string.match("THE (quick) fox", "%f[%a]%a+%f[%A]")
        string.match("fox", "%f[\0]")
        string.match("[[x]]", "[]]+")
        string.match("a]b", "[^]]+")
        string.match("a-z", "[a%-z]+")
        string.match("a-z", "[a-]+")
        string.match("-a", "[-a]+")
        string.match("b", "[a-%z]")
        string.match("^x", "[%^x]+")
        string.match("x^", "[x^]+")
        string.match("%d", "[%%d]+")
        string.match([["it's"]], [[(["'])(.-)%1]])
        string.match("abab", "(ab)%1")
        string.match("abac", "(ab)%1")
        string.match("x", "()%1")
        string.match("\xff\xfe", "[\x80-\xff]+")
        string.match("\xe4", "%a")
        string.match("a1_ \t\n\v\f\r!~\127\1", "%a%d%p%s%s%s%s%s%s%p%p%c%c")
        string.match("a1_ \t!", "%A%W%P%S%D%U")
        string.match("deadBEEFg", "%x+")
        string.match("hELLO", "%l%u+")
        string.match(" x", "%g")
        string.match("k", "%k")
        string.match("aXb", "%y") == nil
        string.match("ab", "(a)()(b)()")
        string.match("abcdefgh", "(a)(b)(c)(d)(e)(f)(g)(h)")
        string.match(("a"):rep(32), ("(a)"):rep(32))
        select("#", string.find("a", "b"))
        select("#", string.match("a", "b"))
        select("#", string.match("a", "()a"))
        ("x"):rep(300):match(("x?"):rep(199))
        ("x"):rep(300):match((".-"):rep(10) .. "$")
    "##,
    );
}

#[test]
fn gmatch_and_gsub_do_what_stock_does() {
    same(
        r##"
        local t = {} for w in string.gmatch("one two  three", "%a+") do t[#t + 1] = w end return table.concat(t, "|")
        local t = {} for w in string.gmatch("one two", "") do t[#t + 1] = w end return #t
        local t = {} for w in string.gmatch("one two", "%a*") do t[#t + 1] = w end return table.concat(t, "|")
        local t = {} for k, v in string.gmatch("a=1, b=2", "(%w+)=(%w+)") do t[#t + 1] = k .. v end return table.concat(t, "|")
        local t = {} for p in string.gmatch("abc", "()") do t[#t + 1] = p end return table.concat(t, "|")
        local t = {} for p, q, r in string.gmatch("abc", "()(.)()") do t[#t + 1] = p .. q .. r end return table.concat(t, "|")
        local t = {} for w in string.gmatch("^a^b", "^a") do t[#t + 1] = w end return table.concat(t, "|")
        local t = {} for w in string.gmatch("hello", "l", 4) do t[#t + 1] = w end return table.concat(t, "|")
        local t = {} for w in string.gmatch("hello", "l", -2) do t[#t + 1] = w end return table.concat(t, "|")
        local t = {} for w in string.gmatch("hello", "", 6) do t[#t + 1] = w end return #t
        local t = {} for w in string.gmatch("hello", "", 7) do t[#t + 1] = w end return #t
        local t = {} for w in string.gmatch(("ab "):rep(500), "%a+") do t[#t + 1] = w end return #t, t[500]
        local t = {} for w in string.gmatch(12321, 2) do t[#t + 1] = w end return #t, t[1]
        local g = string.gmatch("a", "a") return g(), g(), g(), select("#", g())
        local g = string.gmatch("aab", "a%1*") g()
        string.gmatch("x")
        string.gsub("hello world", "o", "0")
        string.gsub("hello world", "o", "0", 1)
        string.gsub("hello world", "o", "0", 0)
        string.gsub("hello world", "o", "0", -1)
        string.gsub("hello world", "o", "0", math.mininteger)
        string.gsub("hello world", "z", "0")
        string.gsub("hello", "", "-")
        string.gsub("hello", "l*", "x")
        string.gsub("abc", "%w", "%0%0")
        string.gsub("abc", "%w", "%1%%")
        string.gsub("abc def", "(%w+) (%w+)", "%2 %1")
        string.gsub("abc", "()", "%1")
        string.gsub("abc", "^a", "x")
        string.gsub("aaa", "^a", "x")
        string.gsub("aaa", "^", "x")
        string.gsub("aaa", "$", "x")
        string.gsub("abc", "b", 5)
        string.gsub("abc", "b", 5.5)
        string.gsub(121, 1, 3)
        string.gsub("abc def", "%w+", { abc = "x", def = false })
        string.gsub("abc def", "%w+", { abc = 1, def = 2.5 })
        string.gsub("abc", "(b)(c)", { b = "x" })
        string.gsub("abc", "()b", { [2] = "x" })
        string.gsub("abc", "%w", setmetatable({}, { __index = function(_, k) return k .. k end }))
        string.gsub("abc", "%w", string.upper)
        string.gsub("abc", "%w", function() end)
        string.gsub("abc", "(a)(b)(c)", function(a, b, c, d) return c .. b .. a .. tostring(d) end)
        string.gsub("abc", "()(b)()", function(...) return select("#", ...) .. select(3, ...) end)
        string.gsub("abc", "%w", function(c) return c == "b" and "" end)
        string.gsub("abc", "^%w", function(c) return c .. c end)
        string.gsub("abc", "%w*", function(c) return "<" .. c .. ">" end)
        string.gsub("abc", "", function() return "-" end)
        string.gsub("abcabc", "%w", function(c) return "x" end, 4)
        string.gsub("abcabc", "%w", function(c) return "x" end, 0)
        string.gsub(("ab "):rep(2000), "%w+", function(c) return #c end)
        string.gsub("a,b,,c", ",", ";")
        string.gsub("$name is $age", "%$(%w+)", { name = "Lua", age = 33 })
        select("#", string.gsub("a", "a", "b"))
    "##,
    );
}

#[test]
fn mistakes_have_the_same_words_at_the_same_line() {
    same(
        r#"
        string.find("a", "%")
        string.find("a", "a%")
        string.find("a", "[")
        string.find("a", "[a")
        string.find("a", "[]")
        string.find("a", "[^]")
        string.find("a", "[a%]")
        string.find("a", "[a%")
        string.find("a", "%b")
        string.find("a", "%ba")
        string.find("a", "%f")
        string.find("a", "%fa")
        string.find("a", "(a")
        string.find("a", "a)")
        string.find("a", "(")
        string.find("a", ")")
        string.find("a", "%1")
        string.find("a", "%0")
        string.find("aa", "(a%1)")
        string.find("aa", "(a)%2")
        string.find("b", "a%")
        string.match("a", ("(a?)"):rep(33))
        string.match(("a"):rep(300), ("a?"):rep(201))
        string.match(("a"):rep(300), ("(a"):rep(33))
        string.gsub("a", "a", "%")
        string.gsub("a", "a", "%2")
        string.gsub("a", "(a)", "%9")
        string.gsub("a", "a", "%x")
        string.gsub("a", "b", "%x")
        string.gsub("a", "a", function() return {} end)
        string.gsub("a", "a", function() return print end)
        string.gsub("a", "a", { a = true })
        string.gsub("a", "(", function() end)
        string.gsub("aaa", "(a", {})
        string.gsub("a", "a", function() error("mine") end)
        string.gsub("a", "a", function() error({}) end)
        string.gsub("a", "a")
        string.gsub("a", "a", nil)
        string.gsub("a", "a", true)
        string.gsub("a", "a", "b", {})
        string.gsub("a", "a", "b", 1.5)
        string.find()
        string.find("a")
        string.find(nil, "a")
        string.find("a", nil)
        string.find({}, "a")
        string.find(setmetatable({}, { __name = "thing" }), "a")
        string.find("a", print)
        string.find("a", "a", {})
        string.find("a", "a", "x")
        string.find("a", "a", 1.5)
        string.find("a", "a", "1.5")
        string.match(true, "a")
        string.gmatch(nil, "a")
        string.gmatch("a", "a", true)
        for w in string.gmatch("a", "%") do return w end
        for w in string.gmatch("a", "(") do return w end
    "#,
    );
}

#[test]
fn mistakes_with_what_stock_does_in_the_end_have_them_too() {
    same(
        r#"
        string.rep()
        string.rep("x")
        string.rep("x", "y")
        string.rep({}, 3)
        string.rep("x", 3, {})
        string.rep("x", -1)
        string.rep("x", 3, ",")
        string.rep("ab", "2", 7)
        string.rep(12, 2.0)
        string.rep("x", 1.5)
        string.rep("x", math.maxinteger)
        string.format()
        string.format("%d", 1.5)
        string.format("%d", "x")
        string.format("%y", 1)
        string.format("%", 1)
        string.format("%10.123f", 1)
        string.format("%q", {})
        string.format("%5q", "x")
        string.format("%s %q", "a\0b", "c\nd\0")
        string.format("%s")
        string.format("%5.2f|%-5d|%x|%c|%i|%%", 1.234, 7, 255, 65, 3)
        string.format("%s", setmetatable({}, { __tostring = function() return "shown" end }))
        string.format("%s", setmetatable({}, { __tostring = function() return 1 end }))
        string.format("%s", setmetatable({}, { __tostring = function() error("mine") end }))
        string.format(5)
        os.date("%Ez", 0)
        os.date("!%Y-%m-%d %H:%M:%S", 86400)
        os.date("!*t", 0).year
        os.date("%Y", "x")
        os.date({})
        load(nil)
        load({})
        load("return 1", {})
        load("return 1", "x", {})
        load("return x", "=chunk", "t", { x = 5 })()
        load("x = 1", "=chunk", "b")
        load(function() error("mine", 0) end)
        local n = 0 return load(function() n = n + 1 return ({ "return", " 1", 2 })[n] end)()
    "#,
    );
}

#[test]
fn tables_are_changed_as_stock_changes_them() {
    same(
        r##"
        local t = { 1, 2, 3 } table.insert(t, 4) return table.concat(t, ",")
        local t = { 1, 2, 3 } table.insert(t, 1, 0) return table.concat(t, ",")
        local t = { 1, 2, 3 } table.insert(t, 4, 9) return table.concat(t, ",")
        local t = { 1, 2, 3 } table.insert(t, "2", 9) return table.concat(t, ",")
        local t = { 1, 2, 3 } table.insert(t, nil) return #t
        local t = { 1, 2, 3 } table.insert(t, 2, nil) return t[1], t[2], t[3], t[4]
        table.insert({ 1, 2, 3 }, 6, 9)
        table.insert({ 1, 2, 3 }, 0, 9)
        table.insert({ 1, 2, 3 }, -1, 9)
        table.insert({ 1, 2, 3 }, 1.5, 9)
        table.insert({ 1, 2, 3 }, "x", 9)
        table.insert({ 1, 2, 3 }, {}, 9)
        table.insert({})
        table.insert({}, 1, 2, 3)
        table.insert()
        table.insert(nil, 1)
        table.insert("x", 1)
        table.insert(5, 1, 2)
        select("#", table.insert({}, 1))
        local t = { 1, 2, 3 } local r = table.remove(t) return r, table.concat(t, ",")
        local t = { 1, 2, 3 } local r = table.remove(t, 1) return r, table.concat(t, ",")
        local t = { 1, 2, 3 } local r = table.remove(t, 4) return r, table.concat(t, ",")
        local t = { 1, 2, 3 } local r = table.remove(t, "2") return r, table.concat(t, ",")
        table.remove({})
        table.remove({ [0] = "x" })
        table.remove({}, 0)
        table.remove({ [0] = "x" }, 0)
        table.remove({ 1, 2, 3 }, 5)
        table.remove({ 1, 2, 3 }, 0)
        table.remove({ 1, 2, 3 }, -1)
        table.remove({}, "x")
        table.remove({}, 1.5)
        table.remove()
        table.remove(true)
        table.concat(table.move({ 1, 2, 3 }, 1, 3, 2), ",")
        table.concat(table.move({ 1, 2, 3 }, 2, 3, 1), ",")
        table.concat(table.move({ 1, 2, 3 }, 1, 3, 3, { 9, 9 }), ",")
        table.concat(table.move({ 1, 2, 3 }, 1, 0, 3), ",")
        table.move({}, math.mininteger, 5, 1)
        table.move({}, 0, math.maxinteger, 1)
        table.move({}, 1, math.maxinteger, 2)
        table.move({}, 1, 2, math.maxinteger)
        table.move({}, 1, 2)
        table.move({}, "x", 2, 3)
        table.move(nil, 1, 2, 3)
        table.move({}, 1, 2, 3, 4)
        table.move({}, 1, 2, 3, "x")
        #table.move("abc", 1, 3, 1, {})
        table.concat({})
        table.concat({ 1, 2.5, "x" }, ", ")
        table.concat({ 1, 2, 3 }, 0)
        table.concat({ 1, 2, 3 }, ",", 2)
        table.concat({ 1, 2, 3 }, ",", 2, 3)
        table.concat({ 1, 2, 3 }, ",", 3, 2)
        table.concat({ 1, 2, 3 }, ",", "2", 2.0)
        table.concat({ 1, 2, 3 }, ",", 1, 4)
        table.concat({ 1, {}, 3 })
        table.concat({ 1, 2 }, {})
        table.concat({ 1, 2 }, ",", "x")
        table.concat({}, "x", 1, math.maxinteger)
        table.concat()
        table.concat("x")
        table.unpack({ 1, 2, 3 })
        table.unpack({ 1, 2, 3 }, 2)
        table.unpack({ 1, 2, 3 }, 2, 5)
        table.unpack({ 1, 2, 3 }, "2", 3.0)
        table.unpack({ 1, 2, 3 }, 3, 2)
        table.unpack({}, 1, 1e8)
        table.unpack({}, math.mininteger, math.maxinteger)
        table.unpack({}, "x")
        table.unpack({}, 1.5)
        table.unpack({}, false)
        select("#", table.unpack({}, 1, 5000))
        local t = { 3, 1, 2 } table.sort(t) return table.concat(t, ",")
        local t = { "b", "a", "C" } table.sort(t) return table.concat(t, ",")
        local t = { 3, 1, 2 } table.sort(t, function(a, b) return a > b end) return table.concat(t, ",")
        local t = {} for i = 1, 1000 do t[i] = i * 7919 % 1009 end table.sort(t) return table.concat(t, ",")
        local t = {} for i = 1, 1000 do t[i] = i * 7919 % 1009 end table.sort(t, math.ult) return table.concat(t, ",")
        local t = {} for i = 1, 777 do t[i] = { i * 7919 % 1009 } end table.sort(t, function(a, b) return a[1] < b[1] end) for i = 1, 777 do t[i] = t[i][1] end return table.concat(t, ",")
        table.sort({ 1, 2 }, {})
        table.sort({ 1 }, {})
        table.sort()
        table.sort(5)
        table.sort({ 1, 2 }, function() error("mine") end)
        select("#", table.sort({}))
    "##,
    );
}

#[test]
fn metamethods_are_heeded_as_stock_heeds_them() {
    let proxy = "local real, seen = { 'c', 'a', 'b' }, {}
local t = setmetatable({}, { __len = function() return #real end,
__index = function(_, k) seen[#seen + 1] = 'r' .. k return real[k] end,
__newindex = function(_, k, v) seen[#seen + 1] = 'w' .. k real[k] = v end }) ";
    let after = " return table.concat(real, ','), table.concat(seen, ',')";
    let lines = [
        "table.insert(t, 'd')",
        "table.insert(t, 1, 'd')",
        "seen[1] = table.remove(t)",
        "seen[1] = table.remove(t, 1)",
        "table.move(t, 1, 3, 2)",
        "table.move(t, 2, 3, 1)",
        "table.move(t, 1, 2, 1, {})",
        "seen[1] = table.concat(t, '-')",
        "seen[1] = table.concat(t, '-', 2, 3)",
        "seen[1] = table.concat(t, '-', 2, 4)",
        "seen[1] = select('#', table.unpack(t))",
        "seen[1] = select('#', table.unpack(t, 2, 9))",
        "getmetatable(t).__len = function() return 1.5 end table.insert(t, 1)",
        "getmetatable(t).__len = function() return '2' end seen[1] = table.remove(t)",
        "getmetatable(t).__len = function() return 1 << 31 end table.sort(t)",
    ];
    let (ours, stock) = (ours(), stock());
    for line in lines {
        let code = proxy.replace('\n', " ") + line + after;
        assert_eq!(outcome(&ours, &code), outcome(&stock, &code), "{line}");
    }
    let sorted = proxy.replace('\n', " ") + "table.sort(t) return table.concat(real, ',')";
    assert_eq!(outcome(&ours, &sorted), outcome(&stock, &sorted));
}

#[test]
fn what_cannot_be_compared_is_told_at_the_line_that_sorts() {
    let ours = ours();
    let told = outcome(&ours, "local t = { 1, 'x', {} }\ntable.sort(t)");
    assert!(told.starts_with("false \"script:3: attempt to compare "), "{told}");
    assert_eq!(outcome(&ours, "local t = { 0/0, 1, 0/0, 2 } table.sort(t) return #t"), "true 4");
    let random = "local t = {} for i = 1, 500 do t[i] = i end table.sort(t, function() return true end) return #t";
    assert_eq!(outcome(&ours, random), "true 500");
}
