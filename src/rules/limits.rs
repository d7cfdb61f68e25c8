//! What a rule's runs may use up, and what its script may touch.
//!
//! Values only, with the defaults that hold where a file says nothing: reading them from a file is [`keys`](super::keys)',
//! holding scripts to them is the floor above.

use std::{path::PathBuf, time::Duration};

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
            log_rate: 100,
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
