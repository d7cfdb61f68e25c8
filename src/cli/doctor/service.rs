//! The packaged service, as its unit files in `packaging/systemd` have it: where its rules, key and variables are.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::rules::RuleSet;

const FOLDER: &str = "/etc/olvid-rules";
const RUNTIME: &str = "/run/olvid-rules";

/// The service, or one of its instances.
pub(super) struct Service {
    /// Where its rules are.
    pub(super) folder: PathBuf,
    /// Its control socket.
    pub(super) control: PathBuf,
}

impl Service {
    /// Of the name of an instance; of the service itself where that is empty.
    pub(super) fn new(instance: &str) -> Self {
        match instance {
            "" => Self { folder: FOLDER.into(), control: Path::new(RUNTIME).join("control.sock") },
            name => Self {
                folder: Path::new(FOLDER).join(name),
                control: PathBuf::from(format!("{RUNTIME}-{name}/control.sock")),
            },
        }
    }

    /// The file with its client key, which the service manager hands over.
    pub(super) fn key(&self) -> PathBuf {
        self.folder.join("client-key")
    }

    /// The file with its variables.
    pub(super) fn variables(&self) -> PathBuf {
        self.folder.join("environment")
    }
}

/// Finds a rule file, a script or a folder on the way to one that the user of a service, made up when it starts, cannot read.
pub(super) fn closed(rules: &RuleSet) -> Option<PathBuf> {
    rules.inputs.all().into_keys().find_map(|path| {
        let path = path.canonicalize().ok()?;
        let mode = |path: &Path| fs::metadata(path).map_or(0o777, |found| found.permissions().mode());
        let way = path.ancestors().skip(1).find(|folder| mode(folder) & 0o001 == 0).map(Path::to_owned);
        let needed = if path.is_dir() { 0o005 } else { 0o004 };
        way.or_else(|| (mode(&path) & needed != needed).then_some(path))
    })
}
