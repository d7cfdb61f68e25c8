//! `completions` and `man`: what shells and readers of manuals want, from the definition of the arguments.

use std::{fs, path::Path};

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Done, exit, output};

/// Prints a shell's script of completions.
pub(super) fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    output::answer(&String::from_utf8_lossy(&script));
}

/// Writes a page for the program and one for each command.
pub(super) fn man(folder: &Path) -> Done {
    let written = fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    match written {
        Ok(()) => {
            output::answer(&format!("wrote the pages to {}; read them with `man -l`\n", folder.display()));
            Ok(())
        }
        Err(error) => output::failure(exit::IO, &format!("cannot write the pages to {}: {error}", folder.display())),
    }
}
