//! `init`: a project to begin with, that passes `check` as it is.
//!
//! The files are below `src/cli/init/`, each listed in [`made`] under the name that it gets; what follows from the catalog is
//! made here. No file is ever written over.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};

use super::{Done, exit, output, types};
use crate::{rules::json_schema, scenario, schema::Catalog};

/// The folder of what editors read.
const TYPES: &str = "types";

/// A file of the project: its name, its text, and what it is for.
struct Made(PathBuf, String, &'static str);

/// Makes the project in a folder, which may be there.
pub(super) fn run(folder: &Path) -> Done {
    let files = made();
    let mut missing = Vec::new();
    let mut different = Vec::new();
    for file in &files {
        match state(&folder.join(&file.0), &file.1) {
            Ok(State::Missing) => missing.push(file),
            Ok(State::Same) => {}
            Ok(State::Different) => different.push(folder.join(&file.0)),
            Err(error) => return refused(folder, &file.0, &error),
        }
    }
    if !different.is_empty() {
        return output::failure(exit::USAGE, &in_the_way(folder, &different));
    }
    if missing.is_empty() {
        output::answer(&format!("{} is such a project already; nothing was changed\n", folder.display()));
        return Ok(());
    }
    for Made(name, text, _) in &missing {
        if let Err(error) = write(&folder.join(name), text) {
            return refused(folder, name, &error);
        }
    }
    output::answer(&told(folder, &missing));
    Ok(())
}

enum State {
    Missing,
    Same,
    Different,
}

/// How a file stands to what it is to be.
fn state(path: &Path, text: &str) -> io::Result<State> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Missing),
        Err(error) => return Err(error),
        // Neither a folder, nor a pipe that nobody writes to, nor something that is not worth reading.
        Ok(there) if !there.is_file() || there.len() != text.len() as u64 => return Ok(State::Different),
        Ok(_) => {}
    }
    Ok(if fs::read(path)? == text.as_bytes() { State::Same } else { State::Different })
}

/// Writes a file that is not there; one that has come meanwhile stays.
fn write(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

fn refused(folder: &Path, name: &Path, error: &io::Error) -> Done {
    let path = folder.join(name);
    let obstacle = path.ancestors().skip(1).find(|above| above.exists() && !above.is_dir());
    match obstacle {
        Some(file) => output::failure(exit::USAGE, &format!("{} is no folder", file.display())),
        None => output::failure(exit::IO, &format!("cannot make {}: {error}", path.display())),
    }
}

/// Every file of a project.
fn made() -> Vec<Made> {
    macro_rules! template {
        ($name:literal, $file:literal, $what:literal) => {
            Made($name.into(), include_str!(concat!("init/", $file)).to_owned(), $what)
        };
    }
    let mut files = vec![
        template!("rules.yaml", "rules.yaml", "the rules: begin here"),
        template!("scripts/hello.lua", "scripts/hello.lua", "what the first one does"),
        template!("scripts/reactions.lua", "scripts/reactions.lua", "what the second one does"),
        template!("tests/hello.test.yaml", "tests/hello.test.yaml", "what they are to do: `olvid-rules test`"),
        template!(".env.example", "env.example", "what `run` needs to know; copy it to .env"),
        template!(".gitignore", "gitignore", "keeps the key out of the repository"),
        template!(".github/workflows/rules.yaml", "workflow.yaml", "checks the project when it is pushed"),
        template!(".luarc.json", "luarc.json", "tells editors what there is of Lua"),
        template!(".emmyrc.json", "emmyrc.json", "the same for EmmyLua"),
    ];
    for (name, text) in types::files(Catalog::embedded()) {
        files.push(Made(Path::new(TYPES).join(name), text, "what scripts can reach, for editors: `olvid-rules types`"));
    }
    let schema = format!("{TYPES}/rules.schema.json");
    let what = "what rule files may say, for editors: `olvid-rules schema`";
    files.push(Made(schema.clone().into(), json_schema::document(Catalog::embedded()), what));
    let scenarios = format!("{TYPES}/scenarios.schema.json");
    let what = "what scenario files may say: `olvid-rules schema scenarios`";
    files.push(Made(scenarios.clone().into(), scenario::json_schema::document(Catalog::embedded()), what));
    let settings = settings(&schema, &scenarios);
    files.push(Made(".vscode/settings.json".into(), settings, "lets Visual Studio Code read them"));
    files.push(Made(".vscode/extensions.json".into(), extensions(), "the extensions that do"));
    files
}

fn settings(rules: &str, scenarios: &str) -> String {
    pretty(&json!({
        "search.exclude": { format!("{TYPES}/**"): true },
        "yaml.schemas": {
            format!("./{rules}"): ["rules.yaml", "*.rules.yaml"],
            format!("./{scenarios}"): ["*.test.yaml"],
        },
    }))
}

fn extensions() -> String {
    pretty(&json!({ "recommendations": ["sumneko.lua", "redhat.vscode-yaml"] }))
}

fn pretty(json: &Json) -> String {
    format!("{json:#}\n")
}

/// Which files are in the way, and what to do about it.
fn in_the_way(folder: &Path, different: &[PathBuf]) -> String {
    let names: Vec<_> = different.iter().map(|path| path.display().to_string()).collect();
    let mut text = format!(
        "nothing was made: these are there and differ from what `init` makes\n  {}\nrename them, or choose another folder",
        names.join("\n  ")
    );
    // Those of another version of this program are nobody's work.
    let types = folder.join(TYPES);
    if different.iter().any(|path| path.starts_with(&types)) {
        let _ = write!(text, "; `olvid-rules types --output {}` renews what is there for editors", quoted(&types));
    }
    text
}

/// What was made, and what to type next.
fn told(folder: &Path, files: &[&Made]) -> String {
    let names: Vec<_> = files.iter().map(|Made(name, ..)| name.display().to_string()).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let mut text = format!("made in {}:\n", folder.display());
    for (name, Made(.., what)) in names.iter().zip(files) {
        let _ = writeln!(text, "  {name:width$}  {what}");
    }
    let there = if folder == Path::new(".") { String::new() } else { format!("  cd {}\n", quoted(folder)) };
    text + "\nnow type:\n"
        + &there
        + "  olvid-rules dev      chat with the bot on a simulated daemon: say hello\n  \
           olvid-rules check    after a change; it tells every mistake\n  \
           olvid-rules test     play the scenarios of tests/\n  \
           olvid-rules run      serve it, once .env has the key\n"
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+~".contains(letter);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
