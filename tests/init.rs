//! `init`, and what shells and readers of manuals are given: in the real program, on real files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write as _,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Output, Stdio},
};

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_olvid-rules"));
    command.args(arguments).current_dir(folder).env_clear();
    command
}

fn typed(folder: &Path, arguments: &[&str]) -> Output {
    program(folder, arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Every file below a folder, by its name.
fn files(folder: &Path) -> Vec<String> {
    fn collect(folder: &Path, below: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, below, found);
            } else {
                found.push(path.strip_prefix(below).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    collect(folder, folder, &mut found);
    found.sort();
    found
}

#[test]
fn a_project_is_made_that_passes_check_and_answers() {
    let folder = tempfile::tempdir().unwrap();
    let made = typed(folder.path(), &["init", "my bot"]);
    assert_eq!(made.status.code(), Some(0), "{}", told(&made));
    let project = folder.path().join("my bot");
    let names = files(&project);
    for name in &names {
        assert!(out(&made).contains(&format!("\n  {name} ")), "{name} in {}", out(&made));
    }
    for name in ["rules.yaml", "types/olvid.lua", ".luarc.json", ".vscode/settings.json", ".env.example", ".gitignore"]
    {
        assert!(names.iter().any(|made| made == name), "{name}");
    }
    assert!(out(&made).contains("\n  cd 'my bot'\n  olvid-rules dev "), "{}", out(&made));
    let checked = typed(&project, &["check"]);
    assert_eq!(out(&checked), "no mistakes: 2 rules, 2 scripts\n", "{}", told(&checked));
    let played = typed(&project, &["test"]);
    assert_eq!(played.status.code(), Some(0), "{}{}", out(&played), told(&played));
    assert!(out(&played).contains("3 passed"), "{}", out(&played));
    let mut chat =
        program(&project, &["dev"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    chat.stdin.take().unwrap().write_all(b"hello there\nsomething else\n").unwrap();
    assert_eq!(out(&chat.wait_with_output().unwrap()), "bot: Hello alice!\n");
}

#[test]
fn the_files_of_a_project_are_what_their_readers_take() {
    let folder = tempfile::tempdir().unwrap();
    typed(folder.path(), &["init", "."]);
    for name in files(folder.path()) {
        let text = fs::read_to_string(folder.path().join(&name)).unwrap();
        assert!(text.ends_with('\n') && !text.contains(" \n"), "{name}");
        let kind = Path::new(&name).extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        match kind {
            "json" => drop(serde_json::from_str::<serde_json::Value>(&text).unwrap()),
            "yaml" => drop(serde_yaml::from_str::<serde_yaml::Value>(&text).unwrap()),
            _ => {}
        }
    }
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read(".gitignore").lines().any(|line| line == ".env"));
    for variable in read(".env.example").lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name) {
        assert!(out(&typed(folder.path(), &["run", "--help"])).contains(variable), "{variable}");
    }
    let library: serde_json::Value = serde_json::from_str(&read(".luarc.json")).unwrap();
    assert_eq!(library["workspace.library"][0], "types");
    assert!(read(".github/workflows/rules.yaml").contains("run: olvid-rules check\n"));
}

#[test]
fn nothing_is_written_where_a_file_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("scripts")).unwrap();
    fs::write(folder.path().join("rules.yaml"), "rules: []\n").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("scripts/hello.lua")).unwrap();
    let refused = typed(folder.path(), &["init", "."]);
    assert_eq!((refused.status.code(), out(&refused).as_str()), (Some(2), ""));
    for name in ["rules.yaml", "scripts/hello.lua"] {
        assert!(told(&refused).contains(&format!("\n  ./{name}\n")), "{}", told(&refused));
    }
    assert_eq!(files(folder.path()), ["rules.yaml", "scripts/hello.lua"]);
    assert_eq!(fs::read_to_string(folder.path().join("rules.yaml")).unwrap(), "rules: []\n");
}

#[test]
fn a_second_time_makes_what_is_missing_and_refuses_what_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    typed(folder.path(), &["init", "."]);
    let before = files(folder.path());
    let again = typed(folder.path(), &["init", "."]);
    assert_eq!(
        (again.status.code(), out(&again)),
        (Some(0), ". is such a project already; nothing was changed\n".to_owned())
    );
    fs::remove_file(folder.path().join("types/lua.lua")).unwrap();
    let mended = typed(folder.path(), &["init", "."]);
    assert!(out(&mended).contains("types/lua.lua") && !out(&mended).contains("rules.yaml"), "{}", out(&mended));
    assert_eq!(files(folder.path()), before);
    let script = folder.path().join("scripts/hello.lua");
    fs::write(&script, "return print\n").unwrap();
    let refused = typed(folder.path(), &["init", "."]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        told(&refused).contains("./scripts/hello.lua") && !told(&refused).contains("rules.yaml"),
        "{}",
        told(&refused)
    );
    assert_eq!(fs::read_to_string(script).unwrap(), "return print\n");
    fs::write(folder.path().join("types/olvid.lua"), "---@meta\n\n-- Made by `olvid-rules types` 0.0.1\n").unwrap();
    let refused = typed(folder.path(), &["init", "."]);
    assert!(told(&refused).contains("; `olvid-rules types --output ./types` renews"), "{}", told(&refused));
    assert_eq!(typed(folder.path(), &["types", "--output", "./types"]).status.code(), Some(0));
    assert!(!told(&typed(folder.path(), &["init", "."])).contains("types"));
}

#[test]
fn a_place_that_is_no_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let refused = typed(folder.path(), &["init", "file"]);
    assert_eq!((refused.status.code(), told(&refused)), (Some(2), "olvid-rules: file is no folder\n".to_owned()));
    let below = typed(folder.path(), &["init", "file/bot"]);
    assert_eq!((below.status.code(), told(&below)), (Some(2), "olvid-rules: file is no folder\n".to_owned()));
    assert_eq!(files(folder.path()), ["file"]);
}

/// Whoever runs the tests: root may write everywhere, so another user is taken.
#[test]
fn a_folder_that_may_not_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let copy = folder.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_olvid-rules"), &copy).unwrap();
    let mut command = Command::new(copy);
    command.args(["init", "closed/bot"]).current_dir(folder.path()).env_clear();
    if String::from_utf8_lossy(&Command::new("id").arg("-u").output().unwrap().stdout).trim() == "0" {
        command.uid(65_534).gid(65_534);
    }
    let refused = command.output().unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(refused.status.code(), Some(74), "{}", told(&refused));
    assert!(
        told(&refused).starts_with("olvid-rules: cannot make closed/bot/rules.yaml: Permission denied"),
        "{}",
        told(&refused)
    );
    assert!(files(&closed).is_empty());
}

/// The program's commands, as its help lists them.
fn commands() -> Vec<String> {
    let help = out(&typed(Path::new("/"), &["--help"]));
    let listed = help.split_once("Commands:\n").unwrap().1.lines().take_while(|line| line.starts_with("  "));
    let names: Vec<_> = listed.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert!(names.len() > 10 && names.iter().any(|name| name == "completions"), "{names:?}");
    names
}

#[test]
fn every_shell_completes_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = typed(folder.path(), &["completions", shell]);
        assert_eq!(script.status.code(), Some(0), "{shell}");
        for word in commands().iter().map(String::as_str).chain(["max-memory", "log-format"]) {
            assert!(out(&script).contains(word), "{shell}: {word}");
        }
    }
    let unknown = typed(folder.path(), &["completions", "cmd"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(told(&unknown).contains("possible values: bash"), "{}", told(&unknown));
}

#[test]
fn bash_takes_the_script_and_completes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("completions"), typed(folder.path(), &["completions", "bash"]).stdout).unwrap();
    // Bash says which function the script made for the program.
    let asked = "source ./completions; found=$(complete -p olvid-rules); found=${found#*-F }; \
                 COMP_WORDS=(olvid-rules co); COMP_CWORD=1; ${found%% *} olvid-rules co olvid-rules; \
                 echo \"${COMPREPLY[@]}\"";
    let answer = Command::new("bash").args(["-c", asked]).current_dir(folder.path()).output().unwrap();
    assert_eq!(out(&answer), "completions\n", "{}", told(&answer));
}

#[test]
fn there_is_a_manual_page_for_the_program_and_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let written = typed(folder.path(), &["man", "pages/man1"]);
    assert_eq!(written.status.code(), Some(0), "{}", told(&written));
    let page = |name: &str| fs::read_to_string(folder.path().join("pages/man1").join(name)).unwrap();
    for command in commands().iter().filter(|command| *command != "help") {
        let own = page(&format!("olvid-rules-{command}.1"));
        assert!(own.contains(".SH NAME") && own.contains(".SH SYNOPSIS"), "{command}");
        assert!(
            page("olvid-rules.1").contains(&format!("olvid\\-rules\\-{}(1)", command.replace('-', "\\-"))),
            "{command}"
        );
    }
    assert!(page("olvid-rules-run.1").contains("OLVID_CLIENT_KEY"));
    fs::write(folder.path().join("file"), "").unwrap();
    let refused = typed(folder.path(), &["man", "file"]);
    assert_eq!(refused.status.code(), Some(74));
    assert!(told(&refused).contains("cannot write the pages to file"), "{}", told(&refused));
}
