//! A hundred rules. One is of interest: it tells every message; the others are there as others are.

use std::{fmt::Write as _, path::Path};

use crate::saving::{Way, save};

pub(crate) const RULES: &str = "rules.yaml";
pub(crate) const SCRIPT: &str = "scripts/ledger.lua";

/// The version that nothing may be handled by.
pub(crate) const BAD: &str = "bad";

/// All of them match every text that is sent.
const PATTERNS: [&str; 4] = [".", "(?s)^", "^m", "m[0-9]+$"];

/// What the others listen to.
const KINDS: [&str; 9] = [
    "contact_new",
    "message_reaction_added",
    "group_new",
    "group_name_updated",
    "discussion_new",
    "message_body_updated",
    "message_deleted",
    "attachment_received",
    "message_received\n    filter: { body_search: '^never' }",
];

const OTHERS: usize = 99;

/// The scripts of the others.
const SCRIPTS: usize = 20;

/// What the files are to say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Site {
    pub(crate) version: usize,
    pattern: usize,
    timeout: usize,
    inline: usize,
}

impl Site {
    pub(crate) fn rules(&self) -> String {
        let (pattern, timeout) = (PATTERNS[self.pattern % PATTERNS.len()], 60 + self.timeout % 10);
        let mut rules = format!(
            "defaults: {{ log_rate: 0 }}
rules:
  - name: ledger
    subscription: message_received
    filter: {{ body_search: '{pattern}' }}
    timeout: {timeout}s
    handler: scripts/ledger.lua
  - name: inline
    subscription: contact_new
    lua: return {}
",
            self.inline
        );
        for other in 1..OTHERS {
            let (kind, script) = (KINDS[other % KINDS.len()], other % SCRIPTS);
            write!(
                rules,
                "  - name: other-{other}\n    handler: scripts/other-{script}.lua\n    subscription: {kind}\n"
            )
            .unwrap();
        }
        rules
    }

    pub(crate) fn script(&self) -> String {
        script(&format!("v{}", self.version))
    }

    pub(crate) fn save_all(&self, folder: &Path) {
        for script in 0..SCRIPTS {
            save(Way::Renamed, &folder.join(format!("scripts/other-{script}.lua")), "return function() end\n");
        }
        save(Way::Renamed, &folder.join(SCRIPT), &self.script());
        save(Way::Renamed, &folder.join(RULES), &self.rules());
    }

    pub(crate) fn new_parameters(&mut self) {
        self.pattern += 1;
    }

    pub(crate) fn new_pace(&mut self) {
        (self.timeout, self.inline) = (self.timeout + 1, self.inline + 1);
    }
}

pub(crate) fn script(version: &str) -> String {
    format!(
        "return function(notification)
  local message = notification.message
  print(('L ledger {version} %d %s 0'):format(message.discussion_id, message.body:sub(2)))
end
"
    )
}
