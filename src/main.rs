//! The process: does what was asked for and ends with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    olvid_rules::cli::run()
}
