//! Prometheus' own tool, of Debian's package.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::prepared::{had, prepared, run};

/// Returns the program, fetched on first use where it is not installed; none where the test is to be skipped.
pub(crate) fn promtool() -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let installed = env::split_paths(&folders).map(|folder| folder.join("promtool")).find(|path| path.is_file());
    // Of whatever version the machine's Debian has.
    installed.or_else(|| had("promtool", prepared("promtool", "of Debian", fetch)))
}

fn fetch(home: &Path) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| error.to_string();
    let parts = tempfile::tempdir_in(home).map_err(failed)?;
    let script = "apt-get download prometheus && dpkg -x prometheus_*.deb .";
    run(Command::new("sh").args(["-euc", script]).current_dir(parts.path()))?;
    let program = home.join("promtool");
    fs::rename(parts.path().join("usr/bin/promtool"), &program).map_err(failed)?;
    Ok(program)
}

/// Runs it; it must be content.
pub(crate) fn content(promtool: &Path, arguments: &[&str], input: &str) {
    let mut command = Command::new(promtool);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}
