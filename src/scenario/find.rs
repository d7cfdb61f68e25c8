//! Which files hold scenarios.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::diagnostic::Diagnostic;

/// How the name of a scenario file ends.
const ENDINGS: [&str; 2] = [".test.yaml", ".test.yml"];

/// Where scenarios are looked for beside a directory itself.
const BELOW: &str = "tests";

/// Whether a file holds scenarios, by its name.
pub fn is_scenario_file(path: &Path) -> bool {
    stem(path).is_some() && !path.is_dir()
}

/// The name without the ending.
pub(super) fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))?;
    (!stem.is_empty() && !stem.starts_with(['.', '#', '~'])).then_some(stem)
}

/// Finds scenario files: those given, and in each directory given, or in its `tests`, all of them. Nothing found is a
/// mistake.
pub fn find(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<Diagnostic>) {
    let (mut found, mut told, mut looked) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                for folder in [path.clone(), path.join(BELOW)] {
                    let there = in_folder(&folder).unwrap_or_default();
                    looked.push(format!("`{}`", folder.display()));
                    found.extend(there);
                }
            }
            Ok(_) => found.push(path.clone()),
            Err(error) => {
                let message = match error.kind() {
                    io::ErrorKind::NotFound => format!("there is no file or directory `{}`", path.display()),
                    _ => format!("`{}` cannot be read: {error}", path.display()),
                };
                told.push(Diagnostic::error("file-missing", message));
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    if found.is_empty() && told.is_empty() {
        let message = format!("there are no scenarios: no `*.test.yaml` in {}", looked.join(" or "));
        let help = "write `rules.test.yaml` beside the rules, or name the files; `olvid-rules test --help` says more";
        told.push(Diagnostic::error("no-scenarios", message).help(help));
    }
    (found, told)
}

fn in_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut found: Vec<_> =
        entries.iter().map(|entry| clean(&entry.path())).filter(|path| is_scenario_file(path)).collect();
    found.sort();
    Ok(found)
}

/// Without a `./` that nobody wrote.
fn clean(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_path_buf()
}
