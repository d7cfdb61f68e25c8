//! Places are exact: characters before them on the line, line ends and anchors do not move them.

use std::{fmt::Write, fs, os::unix::fs::symlink, path::PathBuf};

use olvid_rules::{
    diagnostic::{Diagnostic, Severity, render},
    lua::ScriptSpec,
    rules::{Handler, RuleSet},
    schema::Catalog,
};

use crate::load;

/// Loads a text and tells where its mistakes are: line, column, marked text.
fn marks(text: &str) -> Vec<(usize, usize, String)> {
    told(text.as_bytes())
        .iter()
        .filter_map(|told| told.place.as_ref())
        .map(|place| {
            let (line, column) = place.source.position(place.span.start);
            (line, column, place.source.text[place.span.clone()].to_owned())
        })
        .collect()
}

fn told(text: &[u8]) -> Vec<Diagnostic> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.yaml");
    fs::write(&path, text).unwrap();
    load(&path).1
}

fn mark(line: usize, column: usize, text: &str) -> (usize, usize, String) {
    (line, column, text.to_owned())
}

const HEAD: &str = "rules:\n  - name: a\n    subscription: message_received\n    lua: return\n";

#[test]
fn characters_of_several_bytes_before_it_count_one_column_each() {
    let text = format!("{HEAD}    filter: {{ body_search: \"😀é\", typ: \"é😀\", location: '😀' }}\n");
    assert_eq!(marks(&text), [mark(5, 34, "typ"), mark(5, 55, "'😀'")]);
    let windows = text.replace('\n', "\r\n");
    assert_eq!(marks(&windows), marks(&text));
    assert_eq!(marks(&format!("\u{feff}{text}")), marks(&text));
    assert_eq!(marks(&format!("# 😀\u{2028}# é\n{text}"))[0], mark(6, 34, "typ"));
}

#[test]
fn lists_and_tables_are_marked_where_they_start() {
    let text = format!("{HEAD}    filter: [x,\n      y]\n    count: {{ a: 1 }} # note\n");
    assert_eq!(marks(&text), [mark(5, 13, "[x,"), mark(7, 12, "{ a: 1 }")]);
    let block = format!("{HEAD}    count:\n      - 12\n      - 13\n");
    assert_eq!(marks(&block), [mark(6, 7, "- 12")]);
}

#[test]
fn values_are_marked_to_their_end_and_keys_without_their_colon() {
    let text =
        format!("{HEAD}    timeout: \"so \\\" on\" # why\n    order: it''s\n    colour : red\n    \"quoted\": 1\n");
    let expected =
        [mark(5, 14, "\"so \\\" on\""), mark(6, 12, "it''s"), mark(7, 5, "colour"), mark(8, 5, "\"quoted\"")];
    assert_eq!(marks(&text), expected);
}

#[test]
fn a_mistake_in_an_anchored_value_is_where_the_value_is_written() {
    let text = "rules:\n  - name: a\n    subscription: message_received\n    lua: &code |\n      return 1\n    \
                filter: &f { type: &t !!str inbund }\n  - name: b\n    subscription: message_sent\n    lua: *code\n    \
                filter: *f\n";
    assert_eq!(marks(text), [mark(6, 33, "inbund")]);
}

#[test]
fn a_value_that_is_not_there_is_marked_at_its_key() {
    assert_eq!(marks(&format!("{HEAD}    filter:\n    count: ~\n")), [mark(5, 5, "filter"), mark(6, 5, "count")]);
}

#[test]
fn inline_code_knows_its_line() {
    let line = |lua: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.yaml");
        fs::write(&path, format!("rules:\n  - name: a\n    subscription: contact_new\n{lua}")).unwrap();
        let (set, _) = load(&path);
        let Handler::Inline { code, line, .. } = &set.rules[0].handler else { panic!("{:?}", set.rules[0].handler) };
        // The promise is about the text: the line is that of the first line of code.
        let text = fs::read_to_string(&path).unwrap();
        let first = code.lines().next().unwrap().trim();
        assert!(text.lines().nth(line - 1).unwrap().contains(first), "{lua}: {line}");
        *line
    };
    assert_eq!(line("    lua: |\n      return 1\n"), 5);
    assert_eq!(line("    lua: |\n\n\n      return 1\n"), 5);
    assert_eq!(line("    lua: |-2 # note\n        return 1\n"), 5);
    assert_eq!(line("    lua: return 1\n"), 4);
    assert_eq!(line("    lua: 'return 1'\n"), 4);
    assert_eq!(line("    lua:\n      return 1\n"), 5);
    assert_eq!(line("    lua: &code |\n      return 1\n"), 5);
    assert_eq!(line("    lua:\n      &code\n      |\n      return 1\n"), 7);
}

#[test]
fn a_byte_that_is_no_utf_8_is_told_with_its_place() {
    let told = told(b"rules:\n  - name: caf\xe9 a\n");
    let place = told[0].place.as_ref().unwrap();
    assert_eq!((told[0].code, place.source.position(place.span.start)), ("not-utf8", (2, 14)));
    assert!(told[0].message.contains("0xe9") && told[0].message.contains("offset 20"), "{}", told[0].message);
}

#[test]
fn a_link_to_what_is_no_script_is_refused_and_nothing_of_it_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |name: &str| format!("  - {{ name: {name}, subscription: contact_new, handler: site/{name}.lua }}\n");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("site")).unwrap();
    for (name, text) in [("key", "secret of ours"), ("shared.lua", "return print"), ("site/own.lua", "return print")] {
        fs::write(at(name), text).unwrap();
    }
    for (link, to) in [("key", "key"), ("out", "shared.lua"), ("within", "site/own.lua")] {
        symlink(at(to), at(&format!("site/{link}.lua"))).unwrap();
    }
    // The rule file is linked from where the others are: what is beside it there is its own.
    fs::create_dir(at("elsewhere")).unwrap();
    fs::write(at("real.yaml"), format!("rules:\n{}{}", rule("out").replace("site/", ""), "")).unwrap();
    symlink(at("real.yaml"), at("elsewhere/rules.yaml")).unwrap();
    symlink(at("shared.lua"), at("elsewhere/out.lua")).unwrap();
    let (_, told) = load(&at("elsewhere/rules.yaml"));
    assert!(told.is_empty(), "{told:?}");

    fs::write(
        at("site/rules.yaml"),
        format!("rules:\n{}{}{}", rule("key"), rule("out"), rule("within")).replace("site/", ""),
    )
    .unwrap();
    let (set, told) = load(&at("site/rules.yaml"));
    let codes: Vec<_> = told.iter().map(|told| (told.code, told.severity)).collect();
    assert_eq!(codes, [("handler", Severity::Error), ("handler-outside", Severity::Warning)], "{told:?}");
    assert!(told[0].message.contains("is a link to") && told[0].message.contains("key`"), "{}", told[0].message);
    assert_eq!(set.rules.len(), 2);

    // Whoever changes the link afterwards has no line shown either.
    let (set, _) = load(&at("site/rules.yaml"));
    fs::remove_file(at("site/own.lua")).unwrap();
    symlink(at("key"), at("site/own.lua")).unwrap();
    let told: Vec<_> = ScriptSpec::check_all(&set).collect();
    let shown = render::human(&told, false, 120);
    assert!(shown.contains("its name does not end in `.lua`") && !shown.contains("secret"), "{shown}");
}

#[test]
fn paths_are_files_or_directories_each_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let rule = |name: &str| format!("rules:\n  - {{ name: {name}, subscription: contact_new, lua: return }}\n");
    for name in ["b.yaml", "a.yml", "c.test.yaml", ".d.yaml", "e.yaml~", "#f.yaml#", "g.txt", ".#h.yaml"] {
        fs::write(at(name), rule(&name[..1])).unwrap();
    }
    fs::create_dir(at("below.yaml")).unwrap();
    fs::write(at("below.yaml").join("i.yaml"), rule("i")).unwrap();
    std::os::unix::fs::symlink(at("b.yaml"), at("link.yaml")).unwrap();
    let names = |paths: &[PathBuf]| {
        let (set, told) = RuleSet::load(paths, Catalog::embedded());
        assert!(told.is_empty(), "{told:?}");
        set.rules.iter().map(|rule| rule.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[folder.path().to_owned()]), ["a", "b"]);
    assert_eq!(names(&[at("b.yaml"), folder.path().join("./b.yaml"), folder.path().to_owned()]), ["b", "a"]);
    assert_eq!(names(&[at("g.txt")]), ["g"]);
}

#[test]
fn paths_that_cannot_be_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let told = |path: PathBuf| {
        let (set, told) = RuleSet::load(&[path], Catalog::embedded());
        assert!(set.rules.is_empty());
        let [one] = told.as_slice() else { panic!("{told:?}") };
        assert!(one.place.is_none());
        (one.severity, one.code, one.message.clone(), one.help.clone().unwrap_or_default())
    };
    assert_eq!((told(folder.path().to_owned()).0, told(folder.path().to_owned()).1), (Severity::Warning, "no-rules"));
    fs::write(folder.path().join("rules.yaml"), "").unwrap();
    let missing = told(folder.path().join("rulse.yaml"));
    assert_eq!((missing.0, missing.1), (Severity::Error, "file-missing"));
    assert!(missing.3.contains("rules.yaml"), "{}", missing.3);
    let pipe = folder.path().join("pipe.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(told(pipe).2.contains("not a regular file"));
    assert_eq!(told(PathBuf::from("/dev/zero")).1, "file-unreadable");
    let big = folder.path().join("big.yaml");
    fs::write(&big, "#".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(told(big).1, "file-size");
}

#[test]
fn a_long_list_of_mistakes_is_cut_and_counted() {
    let mut text = "rules:\n".to_owned();
    for number in 0..5000 {
        _ = writeln!(text, "  - {{ name: r{number}, subscription: nope, lua: [] }}");
    }
    let told = told(text.as_bytes());
    assert_eq!(told.len(), 101);
    assert_eq!(told[100].message, "and 9900 more");
    assert_eq!(told[99].place.as_ref().unwrap().source.position(told[99].place.as_ref().unwrap().span.start).0, 51);
}
