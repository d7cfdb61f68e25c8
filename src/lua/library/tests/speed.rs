//! What the library costs beside the stock one. `cargo test --release --lib library::tests::speed -- --ignored --nocapture`

use super::{ours, stock};

const CALLS: &str = r#"
local code, n = ...
local work = load("local s, words, t = ... return function(n) for i = 1, n do " .. code .. " end end")(
  "  The quick brown fox jumps over the lazy dog, as ever.  ",
  ("word and another "):rep(64), { 5, 3, 8, 1, 9, 2, 7 })
local best = math.huge
for _ = 1, 5 do
  local begun = os.clock()
  work(n)
  best = math.min(best, os.clock() - begun)
end
return best / n * 1e9
"#;

#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "a measurement is read from the terminal")]
fn nanoseconds_of_usual_calls_beside_stock() {
    let (ours, stock) = (ours(), stock());
    let cases = [
        ("trim", "local x = s:match('^%s*(.-)%s*$')", 100_000),
        ("email match", "local x = ('write to jane.doe@example.org'):match('[%w.]+@[%w.]+%.%a+')", 100_000),
        ("two captures", "local a, b = ('key = value'):match('^(%w+)%s*=%s*(%w+)$')", 100_000),
        ("prefix", "local x = ('!ping now'):match('^!ping')", 200_000),
        ("find short", "local x = s:find('fox')", 200_000),
        ("find plain", "local x = s:find('dog,', 1, true)", 200_000),
        ("find plain 1 KB", "local x = words:find('nothing', 1, true)", 100_000),
        ("find class 1 KB", "local x = words:find('%d')", 10_000),
        ("gsub words", "local x = words:gsub('%a+', 'w')", 2_000),
        ("gsub captures", "local x = words:gsub('(%a+) (%a+)', '%2 %1')", 2_000),
        ("gsub function", "local x = words:gsub('%a+', function(w) return w end)", 2_000),
        ("gsub table", "local x = words:gsub('%a+', { word = 'x' })", 2_000),
        ("gmatch words", "for w in words:gmatch('%a+') do end", 2_000),
        ("gmatch pairs", "for k, v in words:gmatch('(%a+) (%a+)') do end", 2_000),
        ("gmatch one", "local x = s:gmatch('%a+')()", 100_000),
        ("format", "local x = ('%d %s'):format(i, 'x')", 200_000),
        ("rep", "local x = ('x'):rep(10)", 200_000),
        ("insert", "t[8] = nil table.insert(t, i)", 200_000),
        ("insert, remove", "table.insert(t, 1, i) table.remove(t, 1)", 200_000),
        ("concat", "local x = table.concat(t, ',')", 100_000),
        ("unpack", "local a, b = table.unpack(t)", 200_000),
        ("sort 7", "local t = { 5, 3, 8, 1, 9, 2, 7 } table.sort(t)", 50_000),
        ("sort 7 by", "local t = { 5, 3, 8, 1, 9, 2, 7 } table.sort(t, function(a, b) return a > b end)", 50_000),
        (
            "sort 1000 by",
            "local t = {} for i = 1, 1000 do t[i] = i * 7919 % 1009 end table.sort(t, function(a, b) return a > b end)",
            100,
        ),
    ];
    for (name, code, n) in cases {
        let time = |lua: &mlua::Lua| lua.load(CALLS).call::<f64>((code, n)).unwrap();
        let (new, old) = (time(&ours), time(&stock));
        eprintln!("{name:16} {new:9.0} ns  stock {old:9.0} ns  x{:.2}", new / old);
    }
}
