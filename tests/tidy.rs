//! The house: floors, invariants of the contract, and what keeps a file readable. Reads the sources as text.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use olvid_rules::schema::Catalog;

/// The modules by floor, from the bottom. A module uses those below its floor and itself.
const FLOORS: &[&[&str]] = &[
    &["diagnostic", "report", "clock"],
    &["schema"],
    &["daemon", "rules"],
    &["lua"],
    &["engine", "simulator"],
    &["scenario"],
    &["cli"],
];

/// Pairs on one floor that may meet: the log shows diagnostics.
const NEIGHBOURS: &[(&str, &str)] = &[("report", "diagnostic")];

/// Lines a file may have.
const LONGEST: usize = 460;

/// Where each library may be used, by module; the rest of the program is free of it.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("tonic", &["daemon", "simulator"]),
    ("mlua", &["lua"]),
    ("serde_yaml", &["rules/yaml"]),
    ("tokio_rustls", &["daemon"]),
    (
        "prost_reflect",
        &["schema/acts", "schema/catalog", "schema/comments", "schema/probes", "schema/recovery", "simulator"],
    ),
    ("h2", &["daemon"]),
    ("socket2", &["daemon"]),
    ("hyper", &["daemon", "simulator", "cli/listen"]),
    ("prometheus_client", &["cli/listen"]),
    ("procfs", &["cli/listen"]),
    ("rustix", &["cli/serve", "cli/service", "report/journal", "report/sink"]),
    ("clap", &["cli"]),
    ("rustyline", &["cli"]),
    ("notify", &["engine/watch"]),
    ("tree_sitter", &["lua/lint"]),
];

/// Modules that know neither runtime nor clock nor environment.
const PURE: &[&str] = &["schema", "rules/resolve", "diagnostic"];

/// Literals that are names of fields too, and why they may stand in these modules.
const NAMES: &[(&str, &[&str])] = &[
    // The one field whose meaning the host must know, and the ones of the upload protocol.
    ("lua/call", &["filename", "file_size"]),
    ("engine/feed", &["count"]),
    // The name by which any object of the daemon is told from others of its kind.
    ("schema/order", &["id"]),
    // Keys of the log, of the status, of error values, of rule files and of the `rule` table that handlers get.
    ("report", &["message", "timestamp", "name", "files", "count", "address", "status"]),
    // A label.
    ("cli/listen", &["version"]),
    ("engine/board", &["files", "name", "count"]),
    ("cli/serve", &["version"]),
    ("lua", &["message", "name", "place"]),
    ("rules", &["count", "name", "description", "filter"]),
    ("cli/catalog", &["count", "filename", "file_size", "name", "id", "filter"]),
    ("cli", &["name"]),
    // Also the keys of SARIF.
    ("diagnostic", &["message", "id", "name", "version"]),
    // `order: discussion` is a value of the rule key; which field that is follows by reflection.
    ("rules/terms", &["discussion"]),
    // A key of a rule file, and what may be written for one of its keys by mistake.
    ("rules/top", &["permissions"]),
    ("rules/permissions", &["files"]),
    // Words of JSON Schema, and heads of columns.
    ("rules/json_schema", &["type", "title"]),
    ("scenario/json_schema", &["type", "title", "description"]),
    ("cli/catalog", &["type", "key"]),
    ("lua/queue", &["discussion"]),
    // Words of Lua and of Rust's own: the function `type`, the key of a field that is no table, words of options.
    ("lua/sandbox", &["type"]),
    ("lua/line", &["value"]),
    // Kinds of nodes of Lua's syntax.
    ("lua/lint", &["chunk", "identifier", "value"]),
    ("cli", &["identity"]),
    // A command of the program, and what it asks a running host for.
    ("cli/control", &["status"]),
    ("cli/status", &["status"]),
    // Steps of `doctor`, and a key of its JSON.
    ("cli/doctor", &["key", "address", "version", "status"]),
    ("cli/catalog", &["value"]),
    // Keys of scenario files, and the noun by which it is found where a command is carried out.
    ("scenario", &["name", "message", "contacts", "groups", "messages", "group", "discussion"]),
    ("simulator", &["admin", "identities", "count"]),
    ("simulator/direct", &["name", "size"]),
];

/// The only modules with unsafe code: the interrupt that ends runs, what builds tables, and what takes keys out of the
/// environment.
const UNSAFE: &[&str] = &["lua/interrupt", "lua/convert/build", "cli/environment"];

/// The only places that know what messages mean: the simulated world, its filters, and the people in it.
const WORLD: &[&str] = &["simulator/world", "simulator/filters", "simulator/chat"];

struct File {
    /// Below `src/`, without `.rs`: `schema/wire`.
    module: String,
    text: String,
}

impl File {
    fn is_in(&self, module: &str) -> bool {
        self.module == module || self.module.starts_with(&format!("{module}/"))
    }

    fn floor(&self) -> Option<usize> {
        let top = self.module.split('/').next()?;
        FLOORS.iter().position(|floor| floor.contains(&top))
    }

    /// The code without comments and tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let product = self.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = product.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<File> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let module = path.strip_prefix(&root).unwrap().with_extension("").display().to_string();
        File { module, text: fs::read_to_string(path).unwrap() }
    };
    paths
        .into_iter()
        .map(read)
        .filter(|file| !file.module.ends_with("/tests") && !file.module.contains("/tests/"))
        .collect()
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn a_module_uses_what_is_below_it() {
    let mut complaints = Vec::new();
    for file in sources() {
        let Some(own) = file.floor() else { continue };
        let top = file.module.split('/').next().unwrap();
        for (line, text) in file.code() {
            for (floor, modules) in FLOORS.iter().enumerate().skip(own) {
                for module in *modules {
                    let uses =
                        text.contains(&format!("crate::{module}::")) || text.contains(&format!("crate::{module};"));
                    let nested =
                        text.trim_start().starts_with(&format!("{module}::")) && !file.text.contains("use super::");
                    let meets = *module == top || NEIGHBOURS.contains(&(top, module));
                    if (uses || nested) && !meets {
                        complaints.push(format!(
                            "src/{}.rs:{line}: floor {own} uses `{module}` of floor {floor}",
                            file.module
                        ));
                    }
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_file_opens_with_what_it_owns_and_stays_readable() {
    let mut complaints = Vec::new();
    for file in sources() {
        if !file.text.starts_with("//! ") {
            complaints.push(format!("src/{}.rs does not open with `//!`", file.module));
        }
        let lines = file.text.lines().count();
        if lines > LONGEST {
            complaints.push(format!("src/{}.rs has {lines} lines, more than {LONGEST}", file.module));
        }
        if file.module.ends_with("/mod") {
            complaints.push(format!("src/{}.rs: name it after its module", file.module));
        }
        for (line, text) in file.text.lines().enumerate().filter(|(_, text)| text.ends_with(' ')) {
            complaints.push(format!("src/{}.rs:{}: blanks at the end: {text:?}", file.module, line + 1));
        }
    }
    assert_none(&complaints);
}

#[test]
fn libraries_stay_in_their_modules() {
    let mut complaints = Vec::new();
    for file in sources() {
        for (library, modules) in LIBRARIES {
            let allowed = modules.iter().any(|module| file.is_in(module));
            for (line, text) in file.code().filter(|_| !allowed) {
                if text.contains(&format!("{library}::")) {
                    complaints.push(format!("src/{}.rs:{line}: `{library}` belongs in {modules:?}", file.module));
                }
            }
        }
        if PURE.iter().any(|module| file.is_in(module)) {
            for (line, text) in file.code() {
                for banned in ["tokio", "std::time", "std::env", "std::fs", "mlua", "tonic"] {
                    if text.contains(&format!("{banned}::")) {
                        complaints.push(format!("src/{}.rs:{line}: `{banned}` in a pure module", file.module));
                    }
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn no_olvid_name_stands_in_rust() {
    let catalog = Catalog::embedded();
    let fields = catalog.messages().flat_map(|message| message.fields.iter().map(|field| field.name.clone()));
    let messages = catalog.messages().map(|message| message.name.clone());
    let commands = catalog.commands().iter().map(|command| command.name.clone());
    let names: BTreeSet<String> = fields.chain(messages).chain(commands).collect();
    let mut complaints: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in sources().iter().filter(|file| !WORLD.iter().any(|module| file.is_in(module))) {
        let allowed: Vec<&str> = NAMES
            .iter()
            .filter(|(module, _)| file.is_in(module))
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        for (line, text) in file.code() {
            for literal in text.split('"').skip(1).step_by(2) {
                if names.contains(literal) && !allowed.contains(&literal) {
                    complaints.entry(file.module.clone()).or_default().push(format!("{line}: \"{literal}\""));
                }
            }
        }
    }
    let lines: Vec<_> =
        complaints.iter().map(|(module, found)| format!("src/{module}.rs {}", found.join(", "))).collect();
    assert_none(&lines);
}

#[test]
fn what_is_unsafe_is_in_the_modules_that_are_named() {
    let mut complaints = Vec::new();
    for file in sources().iter().filter(|file| !UNSAFE.iter().any(|module| file.is_in(module))) {
        for (line, text) in file.code() {
            // Not in texts; what lets it in by another name is an attribute on `unsafe_code`.
            let outside = text.split('"').step_by(2).collect::<Vec<_>>().join(" ");
            let words = outside.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            for word in words.filter(|word| ["unsafe", "unsafe_code"].contains(word)) {
                complaints.push(format!("src/{}.rs:{line}: `{word}` belongs in {UNSAFE:?}", file.module));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_process_ends_in_main_and_queues_have_bounds() {
    let mut complaints = Vec::new();
    for file in sources().iter().filter(|file| file.module != "main") {
        for (line, text) in file.code() {
            for banned in ["process::exit", "unbounded_channel", "todo!(", "unimplemented!(", "dbg!(", "static mut"] {
                if text.contains(banned) {
                    complaints.push(format!("src/{}.rs:{line}: `{banned}`", file.module));
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn what_security_promises_is_held_by_tests_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let promises = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    // `file::module::name`, as cargo names a test.
    let named: Vec<_> = promises.split('`').skip(1).step_by(2).filter(|text| text.contains("::")).collect();
    assert!(named.len() > 30, "{named:?}");
    let is_there = |test: &str| {
        let (modules, name) = test.rsplit_once("::").unwrap();
        let path = root.join("tests").join(modules.replace("::", "/")).with_extension("rs");
        fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("fn {name}(")))
    };
    let missing: Vec<_> = named.into_iter().filter(|test| !is_there(test)).map(str::to_owned).collect();
    assert_none(&missing);
}
