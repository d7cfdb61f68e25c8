//! The packaged service, as its unit files in `packaging/systemd` have it: where its rules, key and variables are, and what
//! it may reach.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use ipnet::IpNet;
use tokio::{task::spawn_blocking, time::timeout};

use crate::rules::RuleSet;

const FOLDER: &str = "/etc/olvid-rules";
const RUNTIME: &str = "/run/olvid-rules";

/// For the service manager to answer: it is on this machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The service, or one of its instances.
pub(super) struct Service {
    /// Where its rules are.
    pub(super) folder: PathBuf,
    /// Its control socket.
    pub(super) control: PathBuf,
    /// What the service manager knows it by.
    pub(super) unit: String,
}

impl Service {
    /// Of the name of an instance; of the service itself where that is empty.
    pub(super) fn new(instance: &str) -> Self {
        match instance {
            "" => Self {
                folder: FOLDER.into(),
                control: Path::new(RUNTIME).join("control.sock"),
                unit: "olvid-rules.service".to_owned(),
            },
            name => Self {
                folder: Path::new(FOLDER).join(name),
                control: PathBuf::from(format!("{RUNTIME}-{name}/control.sock")),
                unit: format!("olvid-rules@{name}.service"),
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

    /// Asks the service manager what the service may reach. Without one that answers, or without such a unit, that is
    /// everything.
    pub(super) async fn reach(&self) -> Reach {
        let unit = self.unit.clone();
        let asked = spawn_blocking(move || {
            let slice = shown(&["Slice"], std::slice::from_ref(&unit));
            let slices = above(slice.trim().trim_start_matches("Slice="));
            Reach::new(&shown(&["IPAddressAllow", "IPAddressDeny"], &[slices, vec![unit]].concat()))
        });
        timeout(PATIENCE, asked).await.ok().and_then(Result::ok).unwrap_or_default()
    }
}

/// What `systemctl show` prints of these properties of units; nothing where it cannot be asked.
fn shown(properties: &[&str], units: &[String]) -> String {
    let mut command = Command::new("systemctl");
    command.arg("show").args(properties.iter().map(|property| format!("--property={property}"))).arg("--").args(units);
    let asked = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    asked.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned()).unwrap_or_default()
}

/// A slice and those that it lies in: `a-b.slice` lies in `a.slice`, and all lie in the root (systemd.slice(5)).
fn above(slice: &str) -> Vec<String> {
    let name = slice.strip_suffix(".slice").filter(|name| *name != "-").unwrap_or_default();
    let ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]).filter(|end| *end > 0);
    ends.map(|end| format!("{}.slice", &name[..end])).chain(["-.slice".to_owned()]).collect()
}

/// What the `IPAddressAllow=` and `IPAddressDeny=` of a unit and its slices come to: what is denied and not allowed too is
/// out of reach (systemd.resource-control(5)).
#[derive(Default)]
pub(super) struct Reach {
    allowed: Vec<IpNet>,
    denied: Vec<IpNet>,
}

impl Reach {
    /// Of what `systemctl show` prints of the two, for any number of units: lists of networks.
    fn new(shown: &str) -> Self {
        let net = |text: &str| text.parse().ok().or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)));
        let listed = |name: &str| {
            let lists = shown.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            lists.flat_map(str::split_whitespace).filter_map(net).collect()
        };
        Self { allowed: listed("IPAddressAllow"), denied: listed("IPAddressDeny") }
    }

    /// Whether what is sent to an address is thrown away.
    pub(super) fn excludes(&self, address: IpAddr) -> bool {
        // What is mapped into IPv6 leaves as IPv4.
        let address = address.to_canonical();
        let has = |list: &[IpNet]| list.iter().any(|net| net.contains(&address));
        has(&self.denied) && !has(&self.allowed)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Catalog;

    #[test]
    fn what_is_closed_to_others_is_found_with_the_folders_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().canonicalize().unwrap();
        let [rules, script] = ["rules.yaml", "hello.lua"].map(|name| place.join(name));
        fs::write(&rules, "rules: [{ name: a, subscription: contact_new, handler: hello.lua }]").unwrap();
        fs::write(&script, "return print").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let found = || closed(&RuleSet::load(std::slice::from_ref(&place), Catalog::embedded()).0);
        for (path, mode) in [(&rules, 0o644), (&script, 0o644), (&place, 0o755)] {
            set(path, mode);
        }
        assert_eq!(found(), None);
        for (path, mode) in [(&rules, 0o640), (&script, 0o600), (&place, 0o750), (&place, 0o754)] {
            let before = fs::metadata(path).unwrap().permissions().mode();
            set(path, mode);
            assert_eq!(found().as_ref(), Some(path));
            set(path, before);
        }
    }

    #[test]
    fn an_instance_has_a_folder_and_a_socket_of_its_own() {
        let (one, bot) = (Service::new(""), Service::new("bot"));
        assert_eq!(one.key(), Path::new("/etc/olvid-rules/client-key"));
        assert_eq!(bot.variables(), Path::new("/etc/olvid-rules/bot/environment"));
        assert_eq!(one.control, Path::new("/run/olvid-rules/control.sock"));
        assert_eq!(bot.control, Path::new("/run/olvid-rules-bot/control.sock"));
        assert_eq!((one.unit.as_str(), bot.unit.as_str()), ("olvid-rules.service", "olvid-rules@bot.service"));
    }

    #[test]
    fn what_is_denied_and_not_allowed_is_out_of_reach() {
        let excludes = |shown: &str, address: &str| Reach::new(shown).excludes(address.parse().unwrap());
        let local = "IPAddressAllow=127.0.0.0/8 ::1/128\nIPAddressDeny=0.0.0.0/0 ::/0\n";
        for (address, out) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("2001:db8::7", true),
        ] {
            assert_eq!(excludes(local, address), out, "{address}");
        }
        // What its slice allows, and what it denies.
        let slice = format!("{local}\nIPAddressAllow=192.0.2.8 2001:db8::/32\nIPAddressDeny=\n");
        assert!(!excludes(&slice, "192.0.2.8") && !excludes(&slice, "2001:db8::7") && excludes(&slice, "192.0.2.7"));
        let also = local.replace("127.0.0.0/8", "127.0.0.0/8 192.0.2.7/32");
        assert!(!excludes(&also, "192.0.2.7"));
        assert!(excludes(&also, "192.0.2.8"));
        // A unit that says nothing of it, and none at all.
        assert!(!excludes("IPAddressAllow=\nIPAddressDeny=\n", "192.0.2.7"));
        assert!(!excludes("", "192.0.2.7"));
    }

    #[test]
    fn a_slice_lies_in_those_that_its_name_begins_with() {
        assert_eq!(above("system.slice"), ["system.slice", "-.slice"]);
        assert_eq!(above("bots-chat.slice"), ["bots.slice", "bots-chat.slice", "-.slice"]);
        for none in ["-.slice", ""] {
            assert_eq!(above(none), ["-.slice"]);
        }
    }
}
