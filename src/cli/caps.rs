//! The flags that cap what rules may ask for, read as the keys of rules are.

use clap::Args;

use crate::rules::{Caps, Limit};

/// What no rule gets more of, whatever its file says.
#[derive(Args)]
#[command(next_help_heading = "Limits of all rules")]
pub(super) struct Flags {
    /// The longest `timeout`, such as 30s or 5m
    #[arg(long = "max-timeout", value_name = "TIME", value_parser = read("timeout"))]
    timeout: Option<u64>,
    /// The most `cpu`, such as 500ms
    #[arg(long = "max-cpu", value_name = "TIME", value_parser = read("cpu"))]
    cpu: Option<u64>,
    /// The most `memory`, such as 64MiB
    #[arg(long = "max-memory", value_name = "SIZE", value_parser = read("memory"))]
    memory: Option<u64>,
    /// The most `output`, such as 64KiB
    #[arg(long = "max-output", value_name = "SIZE", value_parser = read("output"))]
    output: Option<u64>,
    /// The highest `log_rate`, in lines a second
    #[arg(long = "max-log-rate", value_name = "NUMBER", value_parser = read("log_rate"))]
    log_rate: Option<u64>,
    /// The highest `command_rate`, in commands a second
    #[arg(long = "max-command-rate", value_name = "NUMBER", value_parser = read("command_rate"))]
    command_rate: Option<u64>,
}

impl Flags {
    pub(super) fn caps(&self) -> Caps {
        Caps::new([
            ("timeout", self.timeout),
            ("cpu", self.cpu),
            ("memory", self.memory),
            ("output", self.output),
            ("log_rate", self.log_rate),
            ("command_rate", self.command_rate),
        ])
    }
}

fn read(key: &'static str) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| Limit::of(key).map_or_else(|| Err(String::new()), |limit| limit.read(text))
}
