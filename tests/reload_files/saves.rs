//! Ways of saving that are dangerous: unfinished files, directories that go away, volumes that are swapped, editors.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    process::Process,
    site::{Running, Site, shell, versioned},
};

/// More than the time after which a file is at rest.
const LONGER_THAN_QUIET: Duration = Duration::from_millis(400);

/// Each rule a whole one, so that what was written up to its end is a valid file.
const THREE: [&str; 3] = [
    "rules:\n  - { name: a, subscription: message_received, lua: \"print('a VERSION')\" }\n",
    "  - { name: b, subscription: message_received, lua: \"print('b VERSION')\" }\n",
    "  - { name: c, subscription: message_received, lua: \"print('c VERSION')\" }\n",
];

fn three(version: &str) -> [String; 3] {
    THREE.map(|rule| rule.replace("VERSION", version))
}

/// A way of writing a file without finishing it soon, and what becomes of it.
type Slowly = (&'static str, fn(&Path, [String; 3]), &'static [(&'static str, &'static [&'static str])]);

const SLOWLY: &[Slowly] = &[
    (
        "kept open between its rules",
        |path, rules| {
            let mut file = File::create(path).unwrap();
            for rule in rules {
                file.write_all(rule.as_bytes()).unwrap();
                thread::sleep(LONGER_THAN_QUIET);
            }
        },
        &[("applied", &[])],
    ),
    (
        "byte by byte",
        |path, rules| {
            let mut file = File::create(path).unwrap();
            for byte in rules.concat().as_bytes() {
                file.write_all(&[*byte]).unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        },
        &[("applied", &[])],
    ),
    (
        "kept open in the middle of a rule",
        |path, rules| {
            let mut file = File::create(path).unwrap();
            let text = rules.concat();
            let (first, rest) = text.split_at(120);
            file.write_all(first.as_bytes()).unwrap();
            thread::sleep(LONGER_THAN_QUIET * 2);
            file.write_all(rest.as_bytes()).unwrap();
        },
        &[("applied", &[])],
    ),
    (
        // A whole file to whoever reads it: that rules went is told, and they come back.
        "closed between its rules",
        |path, rules| {
            std::fs::write(path, &rules[0]).unwrap();
            thread::sleep(LONGER_THAN_QUIET * 3);
            let mut file = OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(rules[1..].concat().as_bytes()).unwrap();
        },
        &[("applied", &["b", "c"]), ("applied", &[])],
    ),
    (
        "closed in the middle of a rule",
        |path, rules| {
            let text = rules.concat();
            let (first, rest) = text.split_at(120);
            std::fs::write(path, first).unwrap();
            thread::sleep(LONGER_THAN_QUIET * 3);
            let mut file = OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(rest.as_bytes()).unwrap();
        },
        &[("rejected", &[]), ("applied", &[])],
    ),
];

#[test]
fn an_unfinished_file_never_becomes_active() {
    let site = Site::new(&[("rules.yaml", &three("start").concat())]);
    let host = site.run(&[]);
    let (mut number, mut said) = (0, 0);
    for (version, (name, write, outcomes)) in SLOWLY.iter().enumerate() {
        let version = version.to_string();
        let before = number;
        write(&site.path("rules.yaml"), three(&version));
        for (result, removed) in *outcomes {
            number += 1;
            let told = &host.reloads(number)[number - 1];
            assert_eq!((&told["result"], &told["removed"]), (&json!(result), &json!(removed)), "{name}");
        }
        assert_eq!(host.reloads(before).len(), number, "{name}");
        site.emit(1, "x");
        let mut found = host.said(said + 3).split_off(said);
        found.sort();
        assert_eq!(found, ["a", "b", "c"].map(|rule| format!("{rule} {version}")), "{name}");
        said += 3;
    }
    host.stop();
}

/// What is there before, and what is done: a script, what becomes of it, and the version that runs then.
type Layout = (&'static str, &'static str, &'static [(&'static str, &'static str, &'static str)]);

/// `one` and `two` are directories with a rule and its script, which fit only each other.
const LAYOUTS: &[Layout] = &[
    ("removed and copied", "cp -r one rules", &[("rm -r rules; cp -r two rules", "applied", "two")]),
    (
        "removed, and copied later",
        "cp -r one rules",
        &[("rm -r rules", "rejected", "one"), ("cp -r two rules", "applied", "two")],
    ),
    (
        "renamed away and back",
        "cp -r one rules",
        &[("mv rules gone", "rejected", "one"), ("mv gone rules", "unchanged", "one")],
    ),
    ("another renamed in", "cp -r one rules", &[("mv rules gone; mv two rules", "applied", "two")]),
    ("replaced by a link", "cp -r one rules", &[("mv rules gone; ln -s two rules", "applied", "two")]),
    (
        "a link that is swapped",
        "ln -s one rules",
        &[("ln -sfn two rules", "applied", "two"), ("ln -s one x; mv -T x rules", "applied", "one")],
    ),
    (
        "a mounted config map",
        "mkdir rules; mv one rules/..v1; ln -s ..v1 rules/..data
         for file in a.yaml hello.lua; do ln -s ..data/$file rules/$file; done",
        &[
            (
                "mv two rules/..v2; ln -s ..v2 rules/..tmp; mv -T rules/..tmp rules/..data; rm -r rules/..v1",
                "applied",
                "two",
            ),
            (
                "touch rules/..v2/unrelated; cp rules/..v2/hello.lua rules/..x; mv rules/..x rules/..v2/hello.lua; printf 'rules: [' > rules/..v2/a.yaml",
                "rejected",
                "two",
            ),
        ],
    ),
    (
        "all files deleted",
        "cp -r one rules",
        &[("rm rules/*", "rejected", "one"), ("cp two/* rules", "applied", "two")],
    ),
    (
        "all files emptied",
        "cp -r one rules",
        &[("for file in rules/*; do : > $file; done", "rejected", "one"), ("cp two/* rules", "applied", "two")],
    ),
    (
        "the script deleted",
        "cp -r one rules",
        &[("rm rules/hello.lua", "rejected", "one"), ("cp two/* rules", "applied", "two")],
    ),
    (
        "the rule before its script",
        "cp -r one rules",
        &[("cp two/a.yaml rules", "rejected", "one"), ("cp two/hello.lua rules", "applied", "two")],
    ),
];

#[test]
fn directories_come_and_go_and_the_rules_stay_until_there_are_better_ones() {
    let rule = |version| {
        format!("rules:\n  - {{ name: hello, subscription: message_received, handler: 'hello.lua:{version}' }}\n")
    };
    let script = |version| format!("return {{ {version} = function() print('{version}') end }}\n");
    let files = ["one", "two"].map(|version| {
        [(format!("{version}/a.yaml"), rule(version)), (format!("{version}/hello.lua"), script(version))]
    });
    let files: Vec<_> = files.iter().flatten().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let mut sites = Vec::new();
    for layout in LAYOUTS {
        sites.push((Site::new(&files), layout));
    }
    thread::scope(|scope| {
        for (site, (name, make, steps)) in &sites {
            scope.spawn(move || {
                site.shell(make, "");
                let host = site.run(&["rules"]);
                for (number, (script, result, version)) in (1..).zip(*steps) {
                    site.shell(script, "");
                    let (found, told) = host.reload(number);
                    assert_eq!(found, *result, "{name}: {script}: {told}");
                    assert!(found != "rejected" || !host.mistakes(number).is_empty(), "{name}: {script}");
                    site.emit(1, "x");
                    assert_eq!(host.said(number)[number - 1], *version, "{name}: {script}");
                }
                assert_eq!(host.stop().iter().filter(|line| line.contains("feed_opened")).count(), 1, "{name}");
            });
        }
    });
}

/// What editors and tools do to save `a.yaml` in a directory of rule files; their leftovers stay.
const TOOLS: &[&str] = &[
    // In place, as VS Code, nano and `cat >` do.
    "printf %s \"$NEW\" > a.yaml",
    // vim.
    ": > .a.yaml.swp; : > 4913; rm 4913; mv a.yaml a.yaml~; printf %s \"$NEW\" > a.yaml; chmod 644 a.yaml; : > .a.yaml.swx",
    // emacs.
    "ln -s me@host.1:2 .#a.yaml; printf half > '#a.yaml#'; cp a.yaml a.yaml~; printf %s \"$NEW\" > a.yaml; rm .#a.yaml",
    // An emacs that crashed: its lock stays.
    "ln -s me@host.1:2 .#a.yaml; printf %s \"$NEW\" > a.yaml",
    // JetBrains' editors.
    "printf %s \"$NEW\" > a.yaml___jb_tmp___; mv a.yaml a.yaml___jb_old___; mv a.yaml___jb_tmp___ a.yaml; rm a.yaml___jb_old___",
    // gedit, kate.
    "printf %s \"$NEW\" > .goutputstream-X1; mv .goutputstream-X1 a.yaml; : > .a.yaml.kate-swp",
    // sed and perl.
    "printf %s \"$NEW\" > ../new; sed -i.bak -e '1r ../new' -e 1,99d a.yaml || true; printf %s \"$NEW\" > x; mv x a.yaml",
    // rsync; what it left of a transfer that was cut stays.
    "printf half > .a.yaml.Qe3vX9; printf %s \"$NEW\" > .a.yaml.7hTz2b; chmod 644 .a.yaml.7hTz2b; mv .a.yaml.7hTz2b a.yaml",
    // dpkg with a changed configuration file.
    "printf %s \"$NEW\" > a.yaml.dpkg-new; ln a.yaml a.yaml.dpkg-tmp; mv a.yaml.dpkg-new a.yaml; mv a.yaml.dpkg-tmp a.yaml.dpkg-old",
    // patch with rejects.
    "cp a.yaml a.yaml.orig; printf %s \"$NEW\" > a.yaml; : > a.yaml.rej",
    // git: removed and written anew.
    "git init -q . 2>/dev/null || true; rm a.yaml; printf %s \"$NEW\" > a.yaml",
];

#[test]
fn every_editor_is_one_reload_and_its_leftovers_are_none() {
    let rule = |version: usize| {
        format!("rules:\n  - {{ name: a, subscription: message_received, lua: \"print('v{version}')\" }}\n")
    };
    let site = Site::new(&[("rules/a.yaml", &rule(0))]);
    let host = site.run(&["rules"]);
    for (number, script) in (1..).zip(TOOLS) {
        shell(&site.path("rules"), script, &rule(number));
        let (result, told) = host.reload(number);
        assert_eq!((result.as_str(), &told["generation"]), ("applied", &json!(number + 1)), "{script}");
        site.emit(1, "x");
        assert_eq!(host.said(number)[number - 1], format!("v{number}"), "{script}");
    }
    assert_eq!(site.simulator.opened("bot"), 1);
    host.stop();
}

/// More than the kernel's queue of events holds.
#[test]
fn a_storm_of_files_hides_no_save() {
    let rule = "rules:\n  - { name: a, subscription: message_received, handler: a.lua }\n";
    let site = Site::new(&[("rules/a.yaml", rule), ("rules/a.lua", &versioned("one"))]);
    let host = site.run(&["rules"]);
    for number in 0..20_000 {
        site.write(&format!("rules/noise-{}.txt", number % 500), "");
    }
    site.write("rules/a.lua", versioned("two"));
    assert_eq!(host.reload(1).0, "applied");
    site.emit(1, "x");
    assert_eq!(host.said(1), ["two x 1"]);
    assert_eq!(crate::process::events(&host.stop(), "notice").len(), 0);
}

/// The host in a namespace of its own, where limits are what the script makes them.
fn in_namespace(site: &Site, limits: &str) -> Running {
    let inner = site.command(&["run", "--log-format", "json"]);
    let mut command = Command::new("unshare");
    command.args(["-Ur", "sh", "-euc", &format!("{limits}; exec \"$0\" \"$@\"")]).arg(inner.get_program());
    command.args(inner.get_args()).current_dir(site.path("")).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // `unshare` and `sh` are found by it.
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Running { process: Process::start(&mut command) }
}

#[test]
fn without_watches_changes_are_found_by_reading_and_that_is_told_once() {
    let rule = "rules:\n  - { name: a, subscription: message_received, handler: a.lua }\n";
    let limits = ["echo 0 > /proc/sys/user/max_inotify_watches", "echo 0 > /proc/sys/user/max_inotify_instances"];
    let mut sites = Vec::new();
    for limit in limits {
        let script = versioned("one");
        sites.push((Site::new(&[("rules.yaml", rule), ("a.lua", &script), ("key", crate::site::KEY)]), limit));
    }
    thread::scope(|scope| {
        for (site, limit) in &sites {
            scope.spawn(move || {
                site.shell("chmod 600 key", "");
                let limit = format!("{limit}; unset OLVID_CLIENT_KEY; export OLVID_CLIENT_KEY_FILE=key");
                let host = in_namespace(site, &limit);
                host.process.events("feed_opened", 1);
                for number in 1..=2 {
                    let version = format!("v{number}");
                    site.write("a.lua", versioned(&version));
                    assert_eq!(host.reload(number).0, "applied", "{limit}");
                    site.emit(1, "x");
                    assert_eq!(host.said(number)[number - 1], format!("{version} x 1"), "{limit}");
                }
                let log = host.stop();
                let notices = crate::process::events(&log, "notice");
                assert_eq!(notices.len(), 1, "{limit}: {notices:#?}");
                let told = notices[0]["message"].as_str().unwrap();
                assert!(told.contains("sysctl fs.inotify.max_user_watches="), "{told}");
            });
        }
    });
}
