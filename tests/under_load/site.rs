//! What the operator has: rules, scripts and a module, as a value that is edited and written to files.
//!
//! Two rules are there from the first to the last notification, on a stream each. Guests come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::saving::{Way, save};

pub(crate) const RULES: &str = "rules.yaml";
pub(crate) const SCRIPT: &str = "scripts/received.lua";
pub(crate) const MODULE: &str = "scripts/lib/mark.lua";

/// The directory of rule files, one a guest.
pub(crate) const GUESTS: &str = "more";

/// Guests tell of every notification whose number is divided by this.
pub(crate) const STRIDE: u64 = 8;

/// All of them match every text that is sent.
const PATTERNS: [&str; 6] = [".", "(?s)^", "^m", "m[0-9]+$", "(?i)^M[0-9]", "[0-9]"];
const TIMEOUTS: [u64; 3] = [30, 45, 60];
const CONCURRENCIES: [usize; 3] = [16, 4, 40];
const ORDERS: [&str; 2] = ["discussion", "rule"];

/// A rule that is not there all the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guest {
    /// Which subscription it has, and with which parameters.
    renamed: bool,
    pattern: &'static str,
    pub(crate) enabled: bool,
    /// New each time it is enabled, so that what it handled can be told apart.
    life: usize,
}

/// What the files are to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    patterns: [usize; 2],
    timeout: usize,
    concurrency: usize,
    order: usize,
    remark: usize,
    /// Versions: of the script, its module and the inline handler.
    pub(crate) script: usize,
    pub(crate) module: usize,
    pub(crate) inline: usize,
    pub(crate) guests: BTreeMap<usize, Guest>,
    lives: usize,
    next_guest: usize,
}

/// A stream, by what it is asked for.
pub(crate) type Stream = (bool, &'static str);

impl Site {
    pub(crate) fn new() -> Self {
        Self {
            patterns: [0, 0],
            timeout: 0,
            concurrency: 0,
            order: 0,
            remark: 0,
            script: 0,
            module: 0,
            inline: 0,
            guests: BTreeMap::new(),
            lives: 0,
            next_guest: 0,
        }
    }

    /// The streams that it needs.
    pub(crate) fn streams(&self) -> BTreeSet<Stream> {
        let own = [(false, PATTERNS[self.patterns[0]]), (true, PATTERNS[self.patterns[1]])];
        let guests = self.guests.values().filter(|guest| guest.enabled);
        own.into_iter().chain(guests.map(|guest| (guest.renamed, guest.pattern))).collect()
    }

    /// How many streams are opened when it follows another: what a rule moves to is opened anew where it was there.
    pub(crate) fn opens(&self, former: &Self) -> u64 {
        let is_another = |of: usize| self.patterns[of] != former.patterns[of];
        let moved = [false, true].into_iter().filter(|renamed| is_another(usize::from(*renamed)));
        let joined = moved.filter(|renamed| {
            let stream = (*renamed, PATTERNS[self.patterns[usize::from(*renamed)]]);
            former.streams().contains(&stream)
        });
        (self.streams().difference(&former.streams()).count() + joined.count()) as u64
    }

    /// Whether another runs the same.
    pub(crate) fn means_the_same(&self, other: &Self) -> bool {
        let running = |site: &Self| {
            let guests = site.guests.iter().filter(|(_, guest)| guest.enabled);
            let guests: Vec<_> = guests.map(|(number, guest)| (*number, guest.clone())).collect();
            Self { remark: 0, lives: 0, next_guest: 0, guests: guests.into_iter().collect(), ..site.clone() }
        };
        running(self) == running(other)
    }

    pub(crate) fn rules(&self) -> String {
        let (remark, timeout, concurrency) = (self.remark, TIMEOUTS[self.timeout], CONCURRENCIES[self.concurrency]);
        let [received, renamed] = self.patterns.map(|pattern| PATTERNS[pattern]);
        let (order, inline) = (ORDERS[self.order], self.inline);
        format!(
            "# remark {remark}
defaults: {{ log_rate: 0 }}
rules:
  - name: received
    subscription: message_received
    filter: {{ body_search: '{received}' }}
    timeout: {timeout}s
    concurrency: {concurrency}
    order: {order}
    handler: scripts/received.lua:on
  - name: renamed
    subscription: group_name_updated
    previous_name_search: '{renamed}'
    lua: |
      local n = ...
      print(('L renamed i{inline} %d %s 0'):format(n.group.id, n.previous_name:sub(2)))
"
        )
    }

    pub(crate) fn script(&self) -> String {
        script(&format!("v{}", self.script))
    }

    pub(crate) fn module(&self) -> String {
        module(&format!("m{}", self.module))
    }

    fn guest(&self, number: usize) -> String {
        let Guest { renamed, pattern, enabled, life } = &self.guests[&number];
        let (subscription, parameters, line, text) = if *renamed {
            ("group_name_updated", format!("previous_name_search: '{pattern}'"), "group.id", "previous_name")
        } else {
            (
                "message_received",
                format!("filter: {{ body_search: '{pattern}' }}"),
                "message.discussion_id",
                "message.body",
            )
        };
        format!(
            "rules:
  - name: guest-{number}
    subscription: {subscription}
    {parameters}
    enabled: {enabled}
    lua: |
      local n = ...
      local number = math.tointeger(n.{text}:sub(2))
      if number % {STRIDE} == 0 then print(('L guest-{number} {life} %d %d 0'):format(n.{line}, number)) end
"
        )
    }

    pub(crate) fn guest_path(folder: &Path, number: usize) -> PathBuf {
        folder.join(GUESTS).join(format!("guest-{number}.yaml"))
    }

    pub(crate) fn save_guest(&self, folder: &Path, number: usize, way: Way) {
        save(way, &Self::guest_path(folder, number), &self.guest(number));
    }

    pub(crate) fn save_all(&self, folder: &Path) {
        std::fs::create_dir_all(folder.join(GUESTS)).unwrap();
        save(Way::Renamed, &folder.join(MODULE), &self.module());
        save(Way::Renamed, &folder.join(SCRIPT), &self.script());
        save(Way::Renamed, &folder.join(RULES), &self.rules());
    }

    pub(crate) fn new_pattern(&mut self, of: usize, step: usize) {
        self.patterns[of] = (self.patterns[of] + 1 + step % (PATTERNS.len() - 1)) % PATTERNS.len();
    }

    pub(crate) fn new_pace(&mut self, which: usize) {
        match which % 3 {
            0 => self.timeout = (self.timeout + 1) % TIMEOUTS.len(),
            1 => self.concurrency = (self.concurrency + 1) % CONCURRENCIES.len(),
            _ => self.order = (self.order + 1) % ORDERS.len(),
        }
    }

    pub(crate) fn new_remark(&mut self) {
        self.remark += 1;
    }

    /// Adds a guest: with the parameters of a rule that is there, or with its own.
    pub(crate) fn invite(&mut self, shares: bool, renamed: bool, pattern: usize) -> usize {
        let own = PATTERNS[pattern % PATTERNS.len()];
        let pattern = if shares { PATTERNS[self.patterns[usize::from(renamed)]] } else { own };
        self.lives += 1;
        let number = self.next_guest;
        self.next_guest += 1;
        self.guests.insert(number, Guest { renamed, pattern, enabled: true, life: self.lives });
        number
    }

    pub(crate) fn toggle(&mut self, number: usize) {
        let guest = self.guests.get_mut(&number).unwrap();
        guest.enabled = !guest.enabled;
        if guest.enabled {
            self.lives += 1;
            guest.life = self.lives;
        }
    }
}

/// Some runs wait, so that code is replaced while they do.
pub(crate) fn script(version: &str) -> String {
    format!(
        "local mark = require('lib.mark')
local M, started = {{}}, 0
function M.on(notification)
  started = started + 1
  local count, message = started, notification.message
  local number = math.tointeger(message.body:sub(2))
  if number % 40 == 0 then sleep(0.004) end
  print(mark('{version}', message.discussion_id, number, count))
end
function M.save() return {{ started = started }} end
function M.restore(value) started = value.started end
return M
"
    )
}

pub(crate) fn module(version: &str) -> String {
    format!(
        "return function(version, discussion, number, count)
  return ('L received %s.{version} %d %d %d'):format(version, discussion, number, count)
end
"
    )
}
