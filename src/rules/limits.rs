//! What a rule's runs may use up, and what its script may touch.
//!
//! Values only, with the defaults that hold where a file says nothing, and one table of the limits from which reading,
//! capping and documenting them follow. Reading them from a file is [`terms`](super::terms)', holding scripts to them is
//! the floor above.

use std::{path::PathBuf, time::Duration};

use super::measure::Measure;

const MIB: u64 = 1 << 20;

const HOUR: u64 = 3_600_000;

/// Beyond this a rate bounds nothing.
const MOST_A_RATE: u64 = 1_000_000;

/// The bounds of one rule. They hold for every run unless the text says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Wall clock of one run, waiting included.
    pub timeout: Duration,
    /// CPU of one run, on the script's thread.
    pub cpu: Duration,
    /// Bytes of the script's VM. Of the rules that share a script, the largest counts.
    pub memory: usize,
    /// Bytes that one run may write to the log.
    pub output: usize,
    /// Lines that the rule may write to the log, a second, over all runs; ten times as many at once. 0: no bound.
    pub log_rate: u32,
    /// Commands that the rule may send, a second, over all runs; ten times as many at once. 0: no bound.
    pub command_rate: u32,
    /// Near-identical exchanges with one sender in one discussion, a minute, before the rule is silent there. 0: no bound.
    pub loop_limit: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            cpu: Duration::from_secs(1),
            memory: 64 * 1024 * 1024,
            output: 64 * 1024,
            log_rate: 3000,
            command_rate: 2000,
            loop_limit: 60,
        }
    }
}

/// What the scripts of a rule file may touch. The default: every command that the key may use, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// The commands, by their Lua names; none: all.
    pub commands: Option<Vec<String>>,
    /// Directories whose files may be read, resolved against the rule file's directory.
    pub read: Vec<PathBuf>,
    /// Directories in which files may be made.
    pub write: Vec<PathBuf>,
    /// Variables of the environment.
    pub env: Vec<String>,
}

/// One of the limits, as it is written.
pub struct Limit {
    /// Its key in rule files.
    pub key: &'static str,
    /// How it is written.
    pub measure: Measure,
    pub(super) least: u64,
    pub(super) most: u64,
    pub(super) get: fn(&Limits) -> u64,
    pub(super) set: fn(&mut Limits, u64),
}

/// Every limit, by its key.
pub static LIMITS: [Limit; 7] = [
    Limit {
        key: "timeout",
        measure: Measure::Time,
        least: 1,
        // A handler that is given longer is no handler but a program of its own.
        most: 24 * HOUR,
        get: |limits| milliseconds(limits.timeout),
        set: |limits, asked| limits.timeout = Duration::from_millis(asked),
    },
    Limit {
        key: "cpu",
        measure: Measure::Time,
        // What the clock of the limit can tell.
        least: 10,
        most: HOUR,
        get: |limits| milliseconds(limits.cpu),
        set: |limits, asked| limits.cpu = Duration::from_millis(asked),
    },
    Limit {
        key: "memory",
        measure: Measure::Size,
        // An empty VM with the libraries and what a notification needs.
        least: MIB,
        most: 4096 * MIB,
        get: |limits| limits.memory as u64,
        set: |limits, asked| limits.memory = bytes(asked),
    },
    Limit {
        key: "output",
        measure: Measure::Size,
        least: 0,
        most: 64 * MIB,
        get: |limits| limits.output as u64,
        set: |limits, asked| limits.output = bytes(asked),
    },
    Limit {
        key: "log_rate",
        measure: Measure::Rate("lines a second"),
        least: 0,
        most: MOST_A_RATE,
        get: |limits| u64::from(limits.log_rate),
        set: |limits, asked| limits.log_rate = number(asked),
    },
    Limit {
        key: "command_rate",
        measure: Measure::Rate("commands a second"),
        least: 0,
        most: MOST_A_RATE,
        get: |limits| u64::from(limits.command_rate),
        set: |limits, asked| limits.command_rate = number(asked),
    },
    Limit {
        key: "loop_limit",
        measure: Measure::Rate("exchanges a minute"),
        least: 0,
        most: MOST_A_RATE,
        get: |limits| u64::from(limits.loop_limit),
        set: |limits, asked| limits.loop_limit = number(asked),
    },
];

impl Limit {
    /// Finds a limit by its key.
    pub fn of(key: &str) -> Option<&'static Self> {
        LIMITS.iter().find(|limit| limit.key == key)
    }

    /// Reads a quantity that this limit may have, or says what it may be.
    pub fn read(&self, text: &str) -> Result<u64, String> {
        let read = self.measure.read(text).ok_or_else(|| self.measure.forms())?;
        if self.allows(read) { Ok(read) } else { Err(self.range()) }
    }

    /// What holds where nothing is said, the least and the most, as they are written.
    pub fn shown(&self) -> [String; 3] {
        [(self.get)(&Limits::default()), self.least, self.most].map(|quantity| self.measure.show(quantity))
    }

    pub(super) fn allows(&self, asked: u64) -> bool {
        (self.least..=self.most).contains(&asked)
    }

    /// What it may be, and how that is written.
    pub(super) fn range(&self) -> String {
        let (least, most) = self.ends();
        format!("{least} to {most}; {}", self.measure.forms())
    }

    /// The least and the most that it may be; that a rate may be without bound is said apart.
    pub(super) fn ends(&self) -> (String, String) {
        let least = if matches!(self.measure, Measure::Rate(_)) { 1 } else { self.least };
        (self.measure.show(least), self.measure.show(self.most))
    }

    /// Whether this is more than a cap allows; of rates, no bound is the most.
    fn exceeds(&self, asked: u64, cap: u64) -> bool {
        match self.measure {
            Measure::Rate(_) => cap != 0 && (asked == 0 || asked > cap),
            _ => asked > cap,
        }
    }
}

/// The most that any rule may ask for, whatever its file says: none of a limit where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caps(Vec<(&'static str, u64)>);

impl Caps {
    /// Takes the cap of each limit that has one, by its key.
    pub fn new(given: impl IntoIterator<Item = (&'static str, Option<u64>)>) -> Self {
        Self(given.into_iter().filter_map(|(key, cap)| Some((key, cap?))).collect())
    }

    /// The cap of a limit, where what is asked for is more.
    pub(super) fn below(&self, limit: &Limit, asked: u64) -> Option<u64> {
        let (_, cap) = self.0.iter().find(|(key, _)| *key == limit.key)?;
        limit.exceeds(asked, *cap).then_some(*cap)
    }

    /// Takes what is more down to the caps.
    pub(super) fn reduce(&self, limits: &mut Limits) {
        for limit in &LIMITS {
            if let Some(cap) = self.below(limit, (limit.get)(limits)) {
                (limit.set)(limits, cap);
            }
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn bytes(asked: u64) -> usize {
    usize::try_from(asked).unwrap_or(usize::MAX)
}

fn number(asked: u64) -> u32 {
    u32::try_from(asked).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_in_the_table_within_its_own_range() {
        let mut all = Limits::default();
        for limit in &LIMITS {
            assert!(limit.allows((limit.get)(&Limits::default())), "{}", limit.key);
            (limit.set)(&mut all, limit.most);
            assert_eq!((limit.get)(&all), limit.most, "{}", limit.key);
        }
        // Written out, so that a new limit is not forgotten in the table.
        let Limits { timeout, cpu, memory, output, log_rate, command_rate, loop_limit } = all;
        let rates = [log_rate, command_rate, loop_limit].map(u64::from);
        let most = LIMITS.iter().map(|limit| limit.most).collect::<Vec<_>>();
        assert_eq!([milliseconds(timeout), milliseconds(cpu), memory as u64, output as u64], most[..4]);
        assert_eq!(rates, most[4..]);
    }

    #[test]
    fn a_cap_takes_down_what_is_more_and_no_bound_is_the_most_of_a_rate() {
        let caps =
            Caps::new([("timeout", Some(5000)), ("log_rate", Some(10)), ("command_rate", Some(0)), ("cpu", None)]);
        let mut limits = Limits { log_rate: 0, command_rate: 0, ..Limits::default() };
        caps.reduce(&mut limits);
        let expected = Limits { timeout: Duration::from_secs(5), log_rate: 10, command_rate: 0, ..Limits::default() };
        assert_eq!(limits, expected);
        let mut less = Limits { timeout: Duration::from_secs(1), log_rate: 9, ..Limits::default() };
        caps.reduce(&mut less);
        assert_eq!((less.timeout.as_secs(), less.log_rate), (1, 9));
    }

    #[test]
    fn a_flag_is_read_as_a_key_is() {
        let read = |key: &str, text: &str| Limit::of(key).unwrap().read(text);
        assert_eq!((read("memory", "128MiB"), read("cpu", "500ms")), (Ok(128 * MIB), Ok(500)));
        assert!(read("cpu", "1ms").unwrap_err().starts_with("10ms to 1h; write `30s`"));
        assert!(read("memory", "lots").unwrap_err().contains("64MiB"));
        assert!(read("log_rate", "2000000").unwrap_err().starts_with("1 to 1000000; write so many lines a second"));
    }
}
