//! Patterns, subjects and replacements that nobody thought of, in both libraries.

use mlua::{Function, Lua, LuaString};
use proptest::{collection::vec, prelude::*};

use super::{ours, stock};

const EVERYTHING: &str = include_str!("everything.lua");

struct Both {
    ours: (Lua, Function, Function),
    stock: (Lua, Function, Function),
}

impl Both {
    fn new() -> Self {
        let side = |lua: Lua| {
            let everything = lua.load(EVERYTHING).set_name("=script").into_function().unwrap();
            let show =
                lua.create_function(|_, text: LuaString| Ok(text.as_bytes().escape_ascii().to_string())).unwrap();
            (lua, everything, show)
        };
        Self { ours: side(ours()), stock: side(stock()) }
    }

    fn agree(&self, subject: &[u8], pattern: &[u8], init: i64, by: &[u8], most: i64) {
        let run = |(lua, everything, show): &(Lua, Function, Function)| {
            let text = |bytes: &[u8]| lua.create_string(bytes).unwrap();
            everything.call::<String>((show, text(subject), text(pattern), init, text(by), most)).unwrap()
        };
        let (ours, stock) = (run(&self.ours), run(&self.stock));
        let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(ours, stock, "{} {} {init} {} {most}", shown(subject), shown(pattern), shown(by));
    }
}

/// A piece of a pattern; few of the pieces repeat, so that stock Lua comes to an end.
fn piece() -> impl Strategy<Value = &'static [u8]> {
    let plain: Vec<&[u8]> = vec![
        b"a",
        b"b",
        b"ab",
        b".",
        b"%a",
        b"%d",
        b"%W",
        b"%s",
        b"[ab]",
        b"[^a]",
        b"[%a-]",
        b"[a-b]",
        b"[]]",
        b"[^]a]",
        b"%.",
        b"()",
        b"(a)",
        b"(.)",
        b"(",
        b")",
        b"%1",
        b"%2",
        b"%f[a]",
        b"%f[%W]",
        b"%f[^a]",
        b"%bab",
        b"%b()",
        b"^",
        b"$",
        b"-",
        b"+",
        b"%",
        b"[",
        b"]",
        b"%b",
        b"%f",
        b"%0",
        b"\0",
        b"\xff",
        b"[\x80-\xff]",
        b"%z",
        b"%x",
        b"%g",
    ];
    let repeats: Vec<&[u8]> =
        vec![b"a*", b".-", b"a?", b".+", b"[ab]*", b"%a-", b"(.-)", b"(a*)", b"[^b]+", b".*", b"b-", b"(b?)"];
    prop_oneof![4 => proptest::sample::select(plain), 1 => proptest::sample::select(repeats)]
}

fn subject() -> impl Strategy<Value = Vec<u8>> {
    let byte = proptest::sample::select(b"aaabbb()-. 1\0\xff]".to_vec());
    vec(byte, 0..18)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn patterns_from_their_grammar_do_as_in_stock_lua(
        pieces in vec(piece(), 0..8),
        subject in subject(),
        init in -20..20_i64,
        by in "[a%]{0,2}(%[012]){0,2}",
        most in -1..4_i64,
    ) {
        thread_local!(static BOTH: Both = Both::new());
        BOTH.with(|both| both.agree(&subject, &pieces.concat(), init, by.as_bytes(), most));
    }

    #[test]
    fn any_bytes_as_patterns_do_as_in_stock_lua(
        pattern in vec(any::<u8>(), 0..12),
        subject in vec(any::<u8>(), 0..16),
        by in vec(any::<u8>(), 0..6),
    ) {
        thread_local!(static BOTH: Both = Both::new());
        BOTH.with(|both| both.agree(&subject, &pattern, 1, &by, 2));
    }

    #[test]
    fn a_sorted_list_is_in_order_and_has_the_same_items(items in vec(-50..50_i64, 0..200)) {
        let lua = ours();
        let code = "local t = ... table.sort(t, function(a, b) return a // 4 < b // 4 end) return t";
        let sorted: Vec<i64> = lua.load(code).call(items.clone()).unwrap();
        // Those that are equal stay in order.
        let mut expected = items;
        expected.sort_by_key(|item| item.div_euclid(4));
        prop_assert_eq!(sorted, expected);
    }
}
