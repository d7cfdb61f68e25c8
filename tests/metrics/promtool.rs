//! Prometheus' own tool, of Debian's package.

use std::{
    env,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Returns the program, fetched on first use where it is not installed.
///
/// Where it cannot be had the tests that ask are skipped, which is said on standard error; where `CI` is set they fail
/// instead, so that nobody believes they ran.
pub(crate) fn promtool() -> Option<PathBuf> {
    match found() {
        Ok(program) => Some(program),
        Err(reason) if env::var_os("CI").is_some() => panic!("promtool cannot be had: {reason}"),
        Err(reason) => {
            #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
            {
                eprintln!("skipped: {reason}");
            }
            None
        }
    }
}

fn found() -> Result<PathBuf, String> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let installed = env::split_paths(&folders).map(|folder| folder.join("promtool")).find(|path| path.is_file());
    if let Some(installed) = installed {
        return Ok(installed);
    }
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?.join("conformance");
    let failed = |error: std::io::Error| error.to_string();
    let folder = home.join("promtool");
    fs::create_dir_all(&folder).map_err(failed)?;
    // Other test binaries may come at the same time: one fetches it, the others wait.
    let lock = File::create(folder.join("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let program = folder.join("promtool");
    if program.is_file() {
        return Ok(program);
    }
    let parts = tempfile::tempdir_in(&folder).map_err(failed)?;
    let script = "apt-get download prometheus && dpkg -x prometheus_*.deb .";
    let output = Command::new("sh").args(["-euc", script]).current_dir(parts.path()).output().map_err(failed)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
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
