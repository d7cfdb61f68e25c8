//! What an operator does to the files: good edits, mistakes, and what only looks like an edit.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    rig::Dice,
    saving::{WAYS, Way, save},
    site::{self, GUESTS, MODULE, RULES, SCRIPT, Site},
};

/// Guests that are there at one time.
const MOST_GUESTS: usize = 2;

/// What a good edit is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Good {
    Script,
    Module,
    Inline,
    Received,
    Renamed,
    Pace,
    Remark,
    Invite,
    Dismiss,
    Toggle,
    /// Script, module and rules at once.
    Several,
    /// Time stamps and files that are none of ours.
    Touch,
}

const GOOD: [Good; 16] = [
    Good::Script,
    Good::Received,
    Good::Invite,
    Good::Module,
    Good::Renamed,
    Good::Toggle,
    Good::Inline,
    Good::Several,
    Good::Received,
    Good::Pace,
    Good::Dismiss,
    Good::Script,
    Good::Touch,
    Good::Remark,
    Good::Pace,
    Good::Invite,
];

/// A mistake: the file it is in, what the file says, and where it is told: that of a module is told at the script that
/// requires it, that of a script may be told at the rule that names it.
pub(crate) struct Mistake {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    pub(crate) told_at: &'static str,
    text: fn(&Site) -> String,
}

/// The version that no notification may be handled by.
pub(crate) const BAD: &str = "bad";

pub(crate) const MISTAKES: [Mistake; 14] = [
    Mistake {
        name: "a bracket is left open",
        file: RULES,
        told_at: RULES,
        text: |site| site.rules().replace("filter: {", "filter: ["),
    },
    Mistake {
        name: "an unknown key",
        file: RULES,
        told_at: RULES,
        text: |site| site.rules().replace("    timeout:", "    timeuot:"),
    },
    Mistake {
        name: "an unknown subscription",
        file: RULES,
        told_at: RULES,
        text: |site| site.rules().replace("group_name_updated", "group_name_update"),
    },
    Mistake {
        name: "an order that is none",
        file: RULES,
        told_at: RULES,
        text: |site| site.rules().replace("    order: ", "    order: un"),
    },
    Mistake {
        name: "half of the rules",
        file: RULES,
        told_at: RULES,
        text: |site| site.rules().split("_search: '").next().unwrap().to_owned(),
    },
    Mistake {
        name: "inline code that is no Lua",
        file: RULES,
        told_at: RULES,
        text: |site| site.rules().replace("local n = ...", "locale n = ..."),
    },
    Mistake {
        name: "a handler that is not there",
        file: RULES,
        told_at: RULES,
        text: |site| site.rules().replace("received.lua:on", "received.lua:off"),
    },
    Mistake {
        name: "a script that is not there",
        file: RULES,
        told_at: RULES,
        text: |site| site.rules().replace("received.lua", "recieved.lua"),
    },
    Mistake { name: "a script without its end", file: SCRIPT, told_at: SCRIPT, text: |_| half(&site::script(BAD)) },
    Mistake {
        name: "a script without the function",
        file: SCRIPT,
        told_at: RULES,
        text: |_| site::script(BAD).replace("M.on(", "M.off("),
    },
    Mistake {
        name: "a script that fails to load",
        file: SCRIPT,
        told_at: SCRIPT,
        text: |_| site::script(BAD).replace("return M\n", "error('not today')\n"),
    },
    Mistake {
        name: "a script that does not take what the former kept",
        file: SCRIPT,
        told_at: SCRIPT,
        text: |_| site::script(BAD).replace("started = value.started", "error('no')"),
    },
    Mistake { name: "a module without its end", file: MODULE, told_at: SCRIPT, text: |_| half(&site::module(BAD)) },
    Mistake { name: "a module that fails to load", file: MODULE, told_at: SCRIPT, text: |_| format!("error('{BAD}')") },
];

fn half(text: &str) -> String {
    text[..text.len() / 2].to_owned()
}

/// The good edit that comes next: all kinds in turn, each where it can be.
pub(crate) fn next_good(turn: usize, site: &Site) -> Good {
    match GOOD[turn % GOOD.len()] {
        Good::Invite if site.guests.len() >= MOST_GUESTS => Good::Dismiss,
        Good::Dismiss | Good::Toggle if site.guests.is_empty() => Good::Invite,
        good => good,
    }
}

impl Good {
    /// The files that it is in, but for guests' own.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Script => &[SCRIPT],
            Self::Module => &[MODULE],
            Self::Inline | Self::Received | Self::Renamed | Self::Pace | Self::Remark => &[RULES],
            Self::Several => &[SCRIPT, MODULE, RULES],
            Self::Invite | Self::Dismiss | Self::Toggle | Self::Touch => &[],
        }
    }

    /// Edits the site and returns what is to be saved.
    pub(crate) fn edit(self, site: &mut Site, dice: &mut Dice) -> Save {
        let mut save = Save { ways: [dice.one_of(&WAYS), Way::Renamed, Way::Renamed], ..Save::default() };
        match self {
            Self::Script => site.script += 1,
            Self::Module => site.module += 1,
            Self::Inline => site.inline += 1,
            Self::Received | Self::Renamed => site.new_pattern(usize::from(self == Self::Renamed), dice.below(100)),
            Self::Pace => site.new_pace(dice.below(3)),
            Self::Remark => site.new_remark(),
            Self::Invite => {
                let (shares, renamed) = (dice.below(2) == 0, dice.below(2) == 0);
                save.guest = Some(site.invite(shares, renamed, dice.below(100)));
            }
            Self::Dismiss => save.gone = site.guests.pop_first().map(|(number, _)| number),
            Self::Toggle => {
                let number = *site.guests.first_key_value().unwrap().0;
                site.toggle(number);
                save.guest = Some(number);
            }
            Self::Several => {
                (site.script, site.module, site.inline) = (site.script + 1, site.module + 1, site.inline + 1);
                site.new_pattern(0, dice.below(100));
                save.ways[0] = Way::Renamed;
            }
            Self::Touch => save.touch = true,
        }
        save.files.extend(self.files());
        save
    }
}

/// What is to be written, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Save {
    /// Of rules, script and module.
    files: BTreeSet<&'static str>,
    guest: Option<usize>,
    gone: Option<usize>,
    touch: bool,
    ways: [Way; 3],
}

impl Save {
    /// Saves a file that was mistaken, too.
    pub(crate) fn mend(&mut self, file: &'static str) {
        self.files.insert(file);
    }

    /// How many files change.
    fn saves(&self) -> usize {
        self.files.len() + usize::from(self.guest.is_some()) + usize::from(self.gone.is_some())
    }

    /// Whether a content changes.
    pub(crate) fn is_something(&self) -> bool {
        self.saves() > 0
    }

    /// Whether one save is all there is, so that one reload is.
    pub(crate) fn is_one(&self) -> bool {
        self.saves() == 1 && matches!(self.ways[0], Way::Renamed | Way::Linked)
    }

    pub(crate) fn write(&self, site: &Site, folder: &Path) {
        let mut ways = self.ways.into_iter();
        let mut way = || ways.next().unwrap_or(Way::Renamed);
        for file in &self.files {
            let text = match *file {
                SCRIPT => site.script(),
                MODULE => site.module(),
                _ => site.rules(),
            };
            save(way(), &folder.join(file), &text);
        }
        if let Some(number) = self.guest {
            site.save_guest(folder, number, way());
        }
        if let Some(number) = self.gone {
            fs::remove_file(Site::guest_path(folder, number)).unwrap();
        }
        if self.touch {
            for name in [RULES, SCRIPT, MODULE] {
                let path = folder.join(name);
                let same = fs::read_to_string(&path).unwrap();
                save(way(), &path, &same);
            }
            fs::write(folder.join(GUESTS).join("notes.txt"), "none of ours").unwrap();
        }
    }
}

impl Mistake {
    pub(crate) fn write(&self, site: &Site, folder: &Path, way: Way) {
        let text = (self.text)(site);
        save(way, &folder.join(self.file), &text);
    }
}
