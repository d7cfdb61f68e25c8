//! A Python interpreter with the published client, made once for all tests: the reference that this program is held to.
//!
//! It lives in `target/conformance/venv`. Without Python or its package index a test is skipped, in CI it fails.

use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// The published client: its version is the daemon's that this program is made for.
const PACKAGE: &str = "olvid-bot==2.0.1";

/// Returns the interpreter, or none where there cannot be one.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn interpreter() -> Option<PathBuf> {
    match prepared() {
        Ok(python) => Some(python),
        Err(cause) if env::var_os("CI").is_some() => panic!("no Python with {PACKAGE}: {cause}"),
        Err(cause) => {
            eprintln!("skipped: no Python with {PACKAGE}: {cause}");
            None
        }
    }
}

/// Makes the environment unless it is complete, which its last file says: what was interrupted is made anew.
fn prepared() -> io::Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder within target");
    let home = target.join("conformance");
    fs::create_dir_all(&home)?;
    // Test programs run side by side; the lock is released when the file is closed.
    let lock = File::create(home.join("lock"))?;
    lock.lock()?;
    let venv = home.join("venv");
    let (python, complete) = (venv.join("bin/python"), venv.join("complete"));
    if fs::read_to_string(&complete).is_ok_and(|package| package == PACKAGE) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]))?;
    fs::write(&complete, PACKAGE)?;
    Ok(python)
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
