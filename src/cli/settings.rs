//! Settings from flags, the environment, and a `.env` file found upwards, in this precedence.
//!
//! The names are the published client's. Nothing is put into the environment, and the keys were taken out of it at the
//! start. A key is read into a [`Secret`] at once; a trailing line end of a key file is not part of the key. A line of the
//! file that is no assignment is left out and told by its number: it may belong to somebody else's program. The keys alone
//! can be read again, in the same way, as their files may be replaced while the program runs.

use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{Connection, environment::Inherited};
use crate::{
    daemon::{Administrator, Secret, Settings, TlsFiles},
    rules::{MAX_SCRIPT_BYTES, inputs::Fingerprint},
};

const DEFAULT_URL: &str = "http://localhost:50051";

/// The name of a systemd credential with the client key.
pub(super) const CREDENTIAL: &str = "olvid-client-key";

/// What was said at the start: flags, and the keys that were in the environment.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) flags: &'a Connection,
    pub(super) inherited: &'a Inherited,
}

/// Letters of a name in no folder from which on it may be a key.
const LIKE_A_KEY: usize = 20;

/// Settings, and what should be said of them.
pub(super) struct Found {
    pub(super) settings: Settings,
    pub(super) notices: Vec<String>,
    pub(super) key_files: KeyFiles,
    /// Where each key is from.
    pub(super) origins: Vec<String>,
}

/// The files that keys were read from: what to look at for new ones. What each held is taken before it is read, so that a
/// key which is written meanwhile is a change.
pub(super) type KeyFiles = BTreeMap<PathBuf, Fingerprint>;

/// What authenticates us.
pub(super) struct Keys {
    pub(super) client_key: Option<Secret>,
    pub(super) admin: Option<Administrator>,
}

/// Reads the keys again, from where [`find`] found them.
pub(super) fn keys(sources: Sources<'_>) -> Result<(Keys, KeyFiles), String> {
    let mut variables = Variables::new(sources.inherited, dotenv_path());
    let keys = variables.keys(sources.flags)?;
    Ok((keys, variables.key_files))
}

/// What is at a path that a key may be read from.
pub(super) fn held(path: &Path) -> Fingerprint {
    Fingerprint::at(path, MAX_SCRIPT_BYTES)
}

/// Finds the settings of a command that talks to the daemon.
pub(super) fn find(sources: Sources<'_>) -> Result<Found, String> {
    find_with(sources, dotenv_path())
}

/// The same with another file of variables than the `.env` that is found upwards, such as a service's.
pub(super) fn find_with(Sources { flags, inherited }: Sources<'_>, file: Option<PathBuf>) -> Result<Found, String> {
    let mut variables = Variables::new(inherited, file);
    let Keys { client_key, admin } = variables.keys(flags)?;
    let url = flags.daemon_url.clone().or_else(|| variables.get("OLVID_DAEMON_URL"));
    let tls = TlsFiles {
        server_certificate: variables.path(flags.server_certificate.as_ref(), "OLVID_SERVER_CERTIFICATE_PATH", None),
        root_certificate: variables.path(
            flags.root_certificate.as_ref(),
            "OLVID_ROOT_CERTIFICATE_PATH",
            Some("OLVID_CLIENT_TLS_CA_FILE"),
        ),
        certificate_chain: variables.path(
            flags.certificate_chain.as_ref(),
            "OLVID_CERTIFICATE_CHAIN_PATH",
            Some("OLVID_CLIENT_TLS_CERTIFICATE_FILE"),
        ),
        private_key: variables.path(
            flags.private_key.as_ref(),
            "OLVID_PRIVATE_KEY_PATH",
            Some("OLVID_CLIENT_TLS_KEY_FILE"),
        ),
    };
    let settings = Settings {
        url: url.unwrap_or_else(|| DEFAULT_URL.to_owned()),
        tls,
        client_key,
        admin,
        max_message_size: flags.max_message_size,
    };
    if settings.expose_keys() {
        let url = settings.url.rsplit('@').next().unwrap_or_default();
        let notice =
            format!("the client key goes to {url} in clear, where others on the way can read it: use https://");
        variables.notices.push(notice);
    }
    let Variables { notices, key_files, origins, .. } = variables;
    Ok(Found { settings, notices, key_files, origins })
}

/// The environment over the `.env` file, and what was found out on the way.
struct Variables<'a> {
    inherited: &'a Inherited,
    file: HashMap<String, String>,
    /// Where that file is, if there is one.
    path: Option<(PathBuf, Fingerprint)>,
    key_files: KeyFiles,
    notices: Vec<String>,
    origins: Vec<String>,
}

impl<'a> Variables<'a> {
    fn new(inherited: &'a Inherited, path: Option<PathBuf>) -> Self {
        let (mut file, mut notices) = (HashMap::new(), Vec::new());
        let path = path.map(|path| (path.clone(), held(&path)));
        if let Some((path, _)) = &path {
            // The cause may quote the line, and the line may hold a key: only its number is passed on.
            let mut bad = |what: String| notices.push(format!("`{}`: {what}", path.display()));
            match dotenvy::from_path_iter(path) {
                Err(_) => bad("it cannot be read".to_owned()),
                Ok(pairs) => {
                    for (at, pair) in pairs.enumerate() {
                        match pair {
                            Ok((name, value)) => drop(file.insert(name, value)),
                            Err(_) => bad(format!("assignment {} is not NAME=value; it is left out", at + 1)),
                        }
                    }
                }
            }
        }
        Self { inherited, file, path, key_files: KeyFiles::new(), notices, origins: Vec::new() }
    }

    /// Both keys, each by the precedence of all settings; one of them there must be.
    fn keys(&mut self, flags: &Connection) -> Result<Keys, String> {
        let client_key = match &flags.client_key_file {
            Some(path) => Some(self.key_file(path, "--client-key-file")?),
            None => self.key("OLVID_CLIENT_KEY", true)?,
        };
        let admin_key = match &flags.admin_client_key_file {
            Some(path) => Some(self.key_file(path, "--admin-client-key-file")?),
            None => self.key("OLVID_ADMIN_CLIENT_KEY", false)?,
        };
        if client_key.is_none() && admin_key.is_none() {
            // A line that was left out may be the one with the key.
            let ways = "no client key: set OLVID_CLIENT_KEY, OLVID_CLIENT_KEY_FILE or --client-key-file".to_owned();
            self.notices.insert(0, ways);
            return Err(self.notices.join("\n  "));
        }
        let identity_id = match (flags.identity_id, self.get("OLVID_IDENTITY_ID")) {
            (Some(id), _) => id,
            (None, Some(id)) => {
                id.trim().parse().map_err(|_| format!("OLVID_IDENTITY_ID is `{id}`, not a whole number"))?
            }
            (None, None) => 0,
        };
        Ok(Keys { client_key, admin: admin_key.map(|key| Administrator { key, identity_id }) })
    }

    /// A variable that is set to something.
    fn get(&self, name: &str) -> Option<String> {
        set(name).or_else(|| self.file.get(name).filter(|value| !value.is_empty()).cloned())
    }

    /// A key from a variable, or from the file that the variable with `_FILE` behind its name says: both in the
    /// environment, then what the service manager gives, then both in the `.env` file.
    fn key(&mut self, name: &str, from_service_manager: bool) -> Result<Option<Secret>, String> {
        let file = format!("{name}_FILE");
        let told = |error| format!("{name}: {error}");
        if let Some(key) = self.inherited.key(name) {
            self.origins.push(format!("{name} in the environment"));
            return key.map(Some).map_err(told);
        }
        if let Some(path) = set(&file) {
            return self.key_file(Path::new(&path), &file).map(Some);
        }
        if from_service_manager && let Some(path) = credential() {
            // The service manager sees to who may read it.
            self.origins.push(format!("the credential `{}`, which the service manager gives", path.display()));
            return self.read_key(&path, "CREDENTIALS_DIRECTORY").map(Some);
        }
        if let Some(text) = self.get(name) {
            let file = self.path.iter().map(|(path, _)| format!("{name} in `{}`", path.display()));
            self.origins.extend(file);
            self.key_files.extend(self.path.clone());
            return Secret::new(&text).map(Some).map_err(told);
        }
        self.get(&file).map(|path| self.key_file(Path::new(&path), &file)).transpose()
    }

    /// A key in a file of the user's, which this setting names.
    fn key_file(&mut self, path: &Path, named: &str) -> Result<Secret, String> {
        let key = self.read_key(path, named)?;
        let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
        self.origins.push(format!("`{}`, mode {:03o}, which {named} names", path.display(), mode & 0o777));
        if mode & 0o044 != 0 {
            let shown = path.display();
            self.notices.push(format!("`{shown}` holds a key and others can read it: chmod 600 {shown}"));
        }
        Ok(key)
    }

    fn read_key(&mut self, path: &Path, named: &str) -> Result<Secret, String> {
        self.key_files.insert(path.to_owned(), held(path));
        let text = fs::read_to_string(path).map_err(|error| {
            // It may be the key itself, set where its file is to be named.
            let shown = path.exists() || path.components().count() > 1 || path.as_os_str().len() < LIKE_A_KEY;
            let file = if shown { format!("`{}`", path.display()) } else { format!("the file that {named} names") };
            format!("cannot read the key in {file}: {error}")
        })?;
        Secret::new(&text).map_err(|error| format!("`{}`: {error}", path.display()))
    }

    fn path(&mut self, flag: Option<&PathBuf>, name: &str, documented: Option<&str>) -> Option<PathBuf> {
        let found = flag.cloned().or_else(|| self.get(name).map(PathBuf::from));
        found.or_else(|| {
            let other = documented?;
            let path = self.get(other)?;
            self.notices.push(format!("{other} is taken as {name}, the name that the published client reads"));
            Some(path.into())
        })
    }
}

/// A variable of the environment that is set to something.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The `.env` file: of the working directory, or of the nearest one above it that has one.
pub(super) fn dotenv_path() -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join(".env")).find(|path| path.is_file())
}

/// What the service manager gives, if it does.
fn credential() -> Option<PathBuf> {
    let path = Path::new(&env::var_os("CREDENTIALS_DIRECTORY")?).join(CREDENTIAL);
    path.is_file().then_some(path)
}
