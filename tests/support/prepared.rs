//! Programs of others that tests hold ours to, made once for all tests of a checkout, below `target/conformance`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What was made. Where it cannot be had the tests that ask are skipped, which is said on standard error; where `CI` is set they
/// fail instead, so that nobody believes they ran.
pub(crate) fn had(what: &str, made: Result<PathBuf, String>) -> Option<PathBuf> {
    match made {
        Ok(program) => Some(program),
        Err(reason) if env::var_os("CI").is_some() => panic!("{what} cannot be had: {reason}"),
        Err(reason) => {
            #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
            {
                eprintln!("skipped: {what}: {reason}");
            }
            None
        }
    }
}

/// Makes a program in a folder of its own unless this version is there. Other tests may come at the same time: one makes
/// it, the others wait.
pub(crate) fn prepared(
    name: &str,
    version: &str,
    make: fn(&Path) -> Result<PathBuf, String>,
) -> Result<PathBuf, String> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?.join("conformance");
    let home = home.join(name);
    fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    let lock = fs::File::create(home.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let ready = home.join(".ready");
    if let Ok(there) = fs::read_to_string(&ready)
        && let Some((known, program)) = there.split_once('\0')
        && known == version
        && Path::new(program).exists()
    {
        return Ok(program.into());
    }
    let program = make(&home)?;
    fs::write(&ready, format!("{version}\0{}", program.display())).map_err(|error| error.to_string())?;
    Ok(program)
}

/// Runs a command to its end; what it says on standard error is why it failed.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", said.trim())) }
}
