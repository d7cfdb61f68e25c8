//! What is said of the log on the command line: its form, and the least that is told.

use clap::{Args, ValueEnum};

use super::Form;
use crate::report::{Level, log::Format};

#[derive(Args)]
#[command(next_help_heading = "Logging")]
pub(super) struct Logging {
    /// How the log is written to standard error
    #[arg(long, default_value = "human")]
    pub(super) log_format: Form,
    /// The least that is logged
    #[arg(long, default_value = "info")]
    log_level: Least,
}

#[derive(Args)]
#[command(next_help_heading = "Logging")]
pub(super) struct RunLogging {
    /// How the log is written: to standard error, or to systemd's journal with fields [default: human, or journal where
    /// standard error is the journal's]
    #[arg(long)]
    log_format: Option<LogForm>,
    /// The least that is logged
    #[arg(long, default_value = "info")]
    log_level: Least,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogForm {
    Human,
    Json,
    Journal,
}

#[derive(Clone, Copy, ValueEnum)]
enum Least {
    Debug,
    Info,
    Warn,
    Error,
}

impl Logging {
    pub(super) fn format(&self) -> Format {
        if self.log_format == Form::Json { Format::Json } else { Format::Human }
    }

    pub(super) fn least(&self) -> Level {
        self.log_level.level()
    }
}

impl RunLogging {
    pub(super) fn format(&self) -> Option<Format> {
        Some(match self.log_format? {
            LogForm::Human => Format::Human,
            LogForm::Json => Format::Json,
            LogForm::Journal => Format::Journal,
        })
    }

    pub(super) fn least(&self) -> Level {
        self.log_level.level()
    }
}

impl Least {
    fn level(self) -> Level {
        match self {
            Self::Debug => Level::Debug,
            Self::Info => Level::Info,
            Self::Warn => Level::Warn,
            Self::Error => Level::Error,
        }
    }
}
