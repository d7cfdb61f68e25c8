//! Settings from flags, the environment, and a `.env` file found upwards, in this precedence.
//!
//! The names are the published client's. Nothing is put into the environment, and a key is read into a
//! [`Secret`] at once; a trailing line end of a key file is not part of the key. A line of the file that is no assignment
//! is left out and told by its number: it may belong to somebody else's program.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
};

use super::Connection;
use crate::daemon::{Administrator, Secret, Settings, TlsFiles};

const DEFAULT_URL: &str = "http://localhost:50051";

/// The name of a systemd credential with the client key.
const CREDENTIAL: &str = "olvid-client-key";

/// Settings, and what should be said of them.
pub(super) struct Found {
    pub(super) settings: Settings,
    pub(super) notices: Vec<String>,
}

/// Finds the settings of a command that talks to the daemon.
pub(super) fn find(flags: &Connection) -> Result<Found, String> {
    let mut variables = Variables::new();
    let client_key = match &flags.client_key_file {
        Some(path) => Some(key_file(path)?),
        None => variables.key("OLVID_CLIENT_KEY", credential)?,
    };
    let admin_key = match &flags.admin_client_key_file {
        Some(path) => Some(key_file(path)?),
        None => variables.key("OLVID_ADMIN_CLIENT_KEY", || Ok(None))?,
    };
    let identity_id = match (flags.identity_id, variables.get("OLVID_IDENTITY_ID")) {
        (Some(id), _) => id,
        (None, Some(id)) => {
            id.trim().parse().map_err(|_| format!("OLVID_IDENTITY_ID is `{id}`, not a whole number"))?
        }
        (None, None) => 0,
    };
    if client_key.is_none() && admin_key.is_none() {
        // A line that was left out may be the one with the key.
        let ways = "no client key: set OLVID_CLIENT_KEY, OLVID_CLIENT_KEY_FILE or --client-key-file".to_owned();
        variables.notices.insert(0, ways);
        return Err(variables.notices.join("\n  "));
    }
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
        admin: admin_key.map(|key| Administrator { key, identity_id }),
        max_message_size: flags.max_message_size,
    };
    Ok(Found { settings, notices: variables.notices })
}

/// The environment over the `.env` file.
struct Variables {
    file: HashMap<String, String>,
    notices: Vec<String>,
}

impl Variables {
    fn new() -> Self {
        let (mut file, mut notices) = (HashMap::new(), Vec::new());
        if let Some(path) = dotenv_path() {
            // The cause may quote the line, and the line may hold a key: only its number is passed on.
            let mut bad = |what: String| notices.push(format!("`{}`: {what}", path.display()));
            match dotenvy::from_path_iter(&path) {
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
        Self { file, notices }
    }

    /// A variable that is set to something.
    fn get(&self, name: &str) -> Option<String> {
        set(name).or_else(|| self.file.get(name).filter(|value| !value.is_empty()).cloned())
    }

    /// A key from a variable, or from the file that the variable with `_FILE` behind its name says: both in the
    /// environment, then what the service manager gives, then both in the `.env` file.
    fn key(
        &self,
        name: &str,
        given: impl FnOnce() -> Result<Option<Secret>, String>,
    ) -> Result<Option<Secret>, String> {
        let file = format!("{name}_FILE");
        let read = |text: Option<String>, path: Option<String>| match (text, path) {
            (Some(text), _) => Secret::new(&text).map(Some).map_err(|error| format!("{name}: {error}")),
            (None, Some(path)) => key_file(Path::new(&path)).map(Some),
            (None, None) => Ok(None),
        };
        if let Some(key) = read(set(name), set(&file))? {
            return Ok(Some(key));
        }
        if let Some(key) = given()? {
            return Ok(Some(key));
        }
        read(self.get(name), self.get(&file))
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

fn dotenv_path() -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join(".env")).find(|path| path.is_file())
}

fn key_file(path: &Path) -> Result<Secret, String> {
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot read the key in `{}`: {error}", path.display()))?;
    Secret::new(&text).map_err(|error| format!("`{}`: {error}", path.display()))
}

fn credential() -> Result<Option<Secret>, String> {
    let Some(folder) = env::var_os("CREDENTIALS_DIRECTORY") else { return Ok(None) };
    let path = Path::new(&folder).join(CREDENTIAL);
    if path.is_file() { key_file(&path).map(Some) } else { Ok(None) }
}
