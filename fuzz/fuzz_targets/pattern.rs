//! Any pattern on any subject: the results and the words of stock Lua.
//!
//! Lengths are bounded so that stock Lua comes to an end. `RUSTC_BOOTSTRAP=1 cargo fuzz run pattern --sanitizer none`
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlua::{Function, Lua, LuaString};
use olvid_rules::lua::bare::Bare;

const EVERYTHING: &str = include_str!("../../src/lua/library/tests/everything.lua");

struct Side {
    lua: Lua,
    everything: Function,
    show: Function,
}

thread_local!(static BOTH: [Side; 2] = [side(Bare::new().map(|bare| bare.lua)), side(Ok(Lua::new()))]);

fn side(lua: mlua::Result<Lua>) -> Side {
    let lua = lua.unwrap();
    let everything = lua.load(EVERYTHING).set_name("=script").into_function().unwrap();
    let show = lua.create_function(|_, text: LuaString| Ok(text.as_bytes().escape_ascii().to_string())).unwrap();
    Side { lua, everything, show }
}

impl Side {
    fn told(&self, texts: [&[u8]; 3], init: i64, most: i64) -> String {
        let [subject, pattern, by] = texts.map(|text| self.lua.create_string(text).unwrap());
        self.everything.call((&self.show, subject, pattern, init, by, most)).unwrap()
    }
}

fuzz_target!(|input: (i8, i8, &[u8], &[u8], &[u8])| {
    let (init, most, subject, pattern, by) = input;
    let repeats = pattern.iter().filter(|byte| b"*+-?".contains(byte)).count();
    // Each repetition may try every rest of the subject.
    let longest = match repeats {
        0..=1 => 500,
        2 => 100,
        3 => 40,
        4 => 20,
        _ => 8,
    };
    if repeats > 8 || pattern.len() > 300 || by.len() > 50 {
        return;
    }
    let subject = &subject[..subject.len().min(longest)];
    BOTH.with(|[ours, stock]| {
        let texts = [subject, pattern, by];
        assert_eq!(ours.told(texts, init.into(), most.into()), stock.told(texts, init.into(), most.into()));
    });
});
