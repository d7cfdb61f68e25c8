//! The published Python client in a virtual environment, made once for all tests of a checkout.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::prepared::{had, prepared, run};

/// The packages that the tests are written against: the client, and Prometheus' reader of metrics.
const PACKAGES: [&str; 2] = ["olvid-bot==2.0.1", "prometheus-client==0.26.0"];

/// Returns the interpreter of an environment with the published client, made on first use; none where the test is to be
/// skipped.
pub(crate) fn interpreter() -> Option<PathBuf> {
    had("the published client", prepared("python", &PACKAGES.join(" "), install))
}

fn install(home: &Path) -> Result<PathBuf, String> {
    let venv = home.join("venv");
    let interpreter = venv.join("bin/python");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(&interpreter).args(install).args(PACKAGES))?;
    Ok(interpreter)
}
