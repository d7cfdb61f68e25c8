//! The ways of saving, and what only looks like one.

use std::{
    fs,
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use crate::site::{NEW, OLD};

/// More than the time after which a file is at rest.
const LONGER_THAN_QUIET: Duration = Duration::from_millis(300);

fn shell(root: &Path, script: &str) {
    let status = Command::new("sh").args(["-euc", script]).current_dir(root).env("NEW", NEW).status().unwrap();
    assert!(status.success(), "{script}");
}

/// Five of them, with what comes before the first, are longer than a file may stay open that nobody writes to.
const FIFTH_OF_UNREST: Duration = Duration::from_millis(2200);

/// Writes with pauses in which a file that is not seen to be open would pass for finished.
fn in_chunks(file: File) {
    with_pauses(file, LONGER_THAN_QUIET);
}

fn with_pauses(mut file: File, pause: Duration) {
    for chunk in NEW.as_bytes().chunks(6) {
        thread::sleep(pause);
        file.write_all(chunk).unwrap();
    }
    thread::sleep(pause);
}

/// A mounted config map: the names are links through `..data`, which is swapped.
fn config_map(root: &Path) {
    fs::remove_file(root.join("rules/a.yaml")).unwrap();
    fs::create_dir(root.join("rules/..v1")).unwrap();
    fs::write(root.join("rules/..v1/a.yaml"), OLD).unwrap();
    symlink("..v1", root.join("rules/..data")).unwrap();
    symlink("..data/a.yaml", root.join("rules/a.yaml")).unwrap();
}

fn link_elsewhere(root: &Path) {
    fs::rename(root.join("rules/a.yaml"), root.join("elsewhere/real.yaml")).unwrap();
    symlink("../elsewhere/real.yaml", root.join("rules/a.yaml")).unwrap();
}

fn linked_directory(root: &Path) {
    fs::rename(root.join("rules"), root.join("elsewhere/rules")).unwrap();
    symlink("elsewhere/rules", root.join("rules")).unwrap();
}

pub(crate) fn nothing(_: &Path) {}

/// Something that is done in the directory of a test.
pub(crate) type Act = fn(&Path);

/// A way of saving: its name, what is there before, what is done, and the file that is new then, if any is.
pub(crate) type Way = (&'static str, Act, Act, Option<&'static str>);

const A: Option<&str> = Some("rules/a.yaml");

pub(crate) const WAYS: &[Way] = &[
    ("in place", nothing, |root| fs::write(root.join("rules/a.yaml"), NEW).unwrap(), A),
    ("in chunks", nothing, |root| in_chunks(File::create(root.join("rules/a.yaml")).unwrap()), A),
    (
        "in chunks, for long",
        nothing,
        |root| with_pauses(File::create(root.join("rules/a.yaml")).unwrap(), FIFTH_OF_UNREST),
        A,
    ),
    (
        "appended in chunks",
        |root| fs::write(root.join("rules/a.yaml"), "").unwrap(),
        |root| in_chunks(OpenOptions::new().append(true).open(root.join("rules/a.yaml")).unwrap()),
        A,
    ),
    (
        "new, in chunks",
        nothing,
        |root| in_chunks(File::create(root.join("rules/b.yaml")).unwrap()),
        Some("rules/b.yaml"),
    ),
    ("link's target, in chunks", link_elsewhere, |root| in_chunks(File::create(root.join("rules/a.yaml")).unwrap()), A),
    (
        "late, in chunks",
        nothing,
        |root| in_chunks(File::create(root.join("scripts/late.lua")).unwrap()),
        Some("scripts/late.lua"),
    ),
    (
        "redirected from a slow command",
        nothing,
        |root| shell(root, "(sleep 0.4; printf %s \"$NEW\") > rules/a.yaml"),
        A,
    ),
    ("renamed over", nothing, |root| shell(root, "printf %s \"$NEW\" > rules/.a.tmp; mv rules/.a.tmp rules/a.yaml"), A),
    (
        "renamed from elsewhere",
        nothing,
        |root| shell(root, "printf %s \"$NEW\" > elsewhere/x; mv elsewhere/x rules/a.yaml"),
        A,
    ),
    (
        "removed and created",
        nothing,
        |root| shell(root, "rm rules/a.yaml; sleep 0.1; printf %s \"$NEW\" > rules/a.yaml"),
        A,
    ),
    (
        "as vim does",
        nothing,
        |root| {
            shell(
                root,
                "cd rules; : > .a.yaml.swp; : > 4913; rm 4913; mv a.yaml a.yaml~; printf %s \"$NEW\" > a.yaml;
                 chmod 644 a.yaml; rm a.yaml~; rm .a.yaml.swp",
            );
        },
        A,
    ),
    (
        "as emacs does",
        nothing,
        |root| {
            shell(
                root,
                "cd rules; ln -s me@host .#a.yaml; cp a.yaml a.yaml~; printf %s \"$NEW\" > a.yaml; rm .#a.yaml",
            );
        },
        A,
    ),
    ("sed -i", nothing, |root| shell(root, "sed -i 's/old/new, and longer/' rules/a.yaml"), A),
    ("cp", nothing, |root| shell(root, "printf %s \"$NEW\" > elsewhere/x; cp elsewhere/x rules/a.yaml"), A),
    ("ln -f", nothing, |root| shell(root, "printf %s \"$NEW\" > elsewhere/x; ln -f elsewhere/x rules/a.yaml"), A),
    ("ln -sf", nothing, |root| shell(root, "printf %s \"$NEW\" > elsewhere/x; ln -sf ../elsewhere/x rules/a.yaml"), A),
    (
        "dd into the middle",
        |root| fs::write(root.join("rules/a.yaml"), NEW.replace("new", "old")).unwrap(),
        |root| shell(root, "printf new | dd of=rules/a.yaml bs=1 seek=12 conv=notrunc status=none"),
        A,
    ),
    (
        "config map",
        config_map,
        |root| {
            shell(
                root,
                "cd rules; mkdir ..v2; printf %s \"$NEW\" > ..v2/a.yaml; ln -s ..v2 ..tmp; mv -T ..tmp ..data; rm -r ..v1",
            );
        },
        A,
    ),
    ("link's target elsewhere", link_elsewhere, |root| fs::write(root.join("elsewhere/real.yaml"), NEW).unwrap(), A),
    (
        "link's target elsewhere, renamed over",
        link_elsewhere,
        |root| shell(root, "printf %s \"$NEW\" > elsewhere/x; mv elsewhere/x elsewhere/real.yaml"),
        A,
    ),
    (
        "directory removed and created",
        nothing,
        |root| shell(root, "rm -r rules; mkdir rules; printf %s \"$NEW\" > rules/a.yaml"),
        A,
    ),
    (
        "directory of modules removed and created",
        nothing,
        |root| shell(root, "rm -r scripts/lib; mkdir scripts/lib; printf %s \"$NEW\" > scripts/lib/util.lua"),
        Some("scripts/lib/util.lua"),
    ),
    (
        "directory renamed away and another renamed in",
        nothing,
        |root| shell(root, "mkdir next; printf %s \"$NEW\" > next/a.yaml; mv rules last; mv next rules"),
        A,
    ),
    (
        "directory replaced by a link",
        nothing,
        |root| shell(root, "mkdir next; printf %s \"$NEW\" > next/a.yaml; mv rules last; ln -s next rules"),
        A,
    ),
    (
        "link to a directory swapped",
        linked_directory,
        |root| shell(root, "mkdir next; printf %s \"$NEW\" > next/a.yaml; ln -sfn next rules"),
        A,
    ),
    (
        "parent renamed away and another made",
        |root| {
            shell(
                root,
                "mkdir -p elsewhere/in/deep; echo > elsewhere/in/deep/x.lua; ln -s ../elsewhere/in/deep/x.lua scripts/late.lua",
            );
        },
        |root| {
            shell(
                root,
                "mkdir -p next/deep; printf %s \"$NEW\" > next/deep/x.lua; mv elsewhere/in last; mv next elsewhere/in",
            );
        },
        Some("scripts/late.lua"),
    ),
    (
        "link on the way of a link",
        |root| {
            shell(
                root,
                "mv rules/a.yaml elsewhere/; mkdir hop; ln -s ../elsewhere/a.yaml hop/a.yaml; ln -s ../hop/a.yaml rules/a.yaml;
                 mkdir -p far/off; printf %s \"$NEW\" > far/off/a.yaml; ln -s ../far/off/a.yaml hop/x",
            );
        },
        |root| shell(root, "mv hop/x hop/a.yaml"),
        A,
    ),
    (
        "file in a linked directory",
        linked_directory,
        |root| fs::write(root.join("elsewhere/rules/a.yaml"), NEW).unwrap(),
        A,
    ),
    ("appears later", nothing, |root| fs::write(root.join("scripts/late.lua"), NEW).unwrap(), Some("scripts/late.lua")),
    (
        "appears with its directory",
        |root| fs::remove_dir_all(root.join("scripts")).unwrap(),
        |root| shell(root, "mkdir -p scripts/lib; printf %s \"$NEW\" > scripts/lib/util.lua"),
        Some("scripts/lib/util.lua"),
    ),
    ("removed", nothing, |root| fs::remove_file(root.join("rules/a.yaml")).unwrap(), None),
    ("emptied directory", nothing, |root| shell(root, "rm -r rules scripts"), None),
    ("new in the directory", nothing, |root| fs::write(root.join("rules/b.yaml"), NEW).unwrap(), Some("rules/b.yaml")),
    (
        "module below",
        nothing,
        |root| fs::write(root.join("scripts/lib/util.lua"), NEW).unwrap(),
        Some("scripts/lib/util.lua"),
    ),
    (
        "nine files, one after another",
        nothing,
        |root| shell(root, "for i in 1 2 3 4 5 6 7 8 9; do printf %s \"$NEW\" > rules/$i.yaml; sleep 0.05; done"),
        Some("rules/9.yaml"),
    ),
    (
        "from unreadable",
        |root| symlink("a.yaml", root.join("scripts/late.lua")).unwrap(),
        |root| {
            shell(root, "rm scripts/late.lua; printf %s \"$NEW\" > scripts/late.lua");
        },
        Some("scripts/late.lua"),
    ),
];

/// What changes no content: its name, and what is done.
pub(crate) const QUIETLY: &[(&str, Act)] = &[
    ("touch", |root| shell(root, "touch rules/a.yaml scripts/main.lua rules scripts")),
    ("chmod", |root| shell(root, "chmod 600 rules/a.yaml; chmod 700 rules")),
    ("backup files", |root| {
        shell(root, "cd rules; : > .a.yaml.swp; cp a.yaml a.yaml~; cp a.yaml '#a.yaml#'; : > 4913");
    }),
    ("reading", |root| shell(root, "cat rules/a.yaml scripts/main.lua > /dev/null; ls -la rules > /dev/null")),
    ("same content in place", |root| shell(root, "cat rules/a.yaml > x; cat x > rules/a.yaml")),
    ("same content, renamed over", |root| shell(root, "cp rules/a.yaml rules/.x; mv rules/.x rules/a.yaml")),
    ("changed and back", |root| shell(root, "cp rules/a.yaml x; echo no > rules/a.yaml; cp x rules/a.yaml")),
    ("away and back", |root| shell(root, "mv rules x; mv x rules")),
    ("same directory again", |root| shell(root, "cp -r rules x; rm -r rules; mv x rules")),
    ("other files", |root| shell(root, "echo x > rules/notes.txt; echo x > scripts/other.lua; mkdir rules/below")),
];
