//! The published Python client in a virtual environment, made once for all tests of a checkout.

use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

/// The packages that the tests are written against: the client, and Prometheus' reader of metrics.
const PACKAGES: [&str; 2] = ["olvid-bot==2.0.1", "prometheus-client==0.26.0"];

/// Returns the interpreter of an environment with the published client, made on first use.
///
/// Without Python or the package index the tests that ask are skipped, which is said on standard error; where `CI` is
/// set they fail instead, so that nobody believes they ran.
pub(crate) fn interpreter() -> Option<PathBuf> {
    match prepared() {
        Ok(interpreter) => Some(interpreter),
        Err(reason) if env::var_os("CI").is_some() => panic!("the published client cannot be had: {reason}"),
        Err(reason) => {
            #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
            {
                eprintln!("skipped: {reason}");
            }
            None
        }
    }
}

fn prepared() -> Result<PathBuf, String> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?.join("conformance");
    std::fs::create_dir_all(&home).map_err(|error| failed("target/conformance", &error))?;
    // Other test binaries may come at the same time: one makes it, the others wait.
    let lock = File::create(home.join("lock")).map_err(|error| failed("lock", &error))?;
    lock.lock().map_err(|error| failed("lock", &error))?;
    let (venv, done) = (home.join("venv"), home.join("venv/.ready"));
    let interpreter = venv.join("bin/python");
    if std::fs::read_to_string(&done).is_ok_and(|ready| ready == PACKAGES.join(" ")) {
        return Ok(interpreter);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(&interpreter).args(install).args(PACKAGES))?;
    std::fs::write(&done, PACKAGES.join(" ")).map_err(|error| failed(".ready", &error))?;
    Ok(interpreter)
}

fn failed(what: &str, error: &std::io::Error) -> String {
    format!("{what}: {error}")
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", said.trim())) }
}
