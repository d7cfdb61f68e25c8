//! The steps that need the network: from the daemon's address to the streams of the rules.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::time::timeout;

use super::{
    super::exit,
    page::{Finding, Look, Wrong},
    service::{Reach, Service},
    some,
};
use crate::{
    daemon::{CallError, Daemon, Disposition, Probe, Reached, Secured, Settings, Trusted, Untrusted},
    diagnostic::counted,
    engine::ASSUMED_OPEN,
    report::log::escaped,
    rules::{Rule, RuleSet},
    schema::{Catalog, Command},
};

/// Streams that are opened at one time.
const AT_ONCE: usize = 64;

/// A certificate that has less than this left is worth a word.
const SOON: Duration = Duration::from_hours(14 * 24);

/// Characters of what somebody else called himself.
const LONGEST_NAME: usize = 100;

/// The way to a daemon.
pub(super) struct Way {
    probe: Probe,
    daemon: Daemon,
    addresses: Vec<std::net::SocketAddr>,
    /// Whether there is a client key, and for whom the administrator acts, if there is one.
    client: bool,
    admin: Option<u64>,
}

impl Way {
    /// Reads the address and finds the host.
    pub(super) async fn new(settings: Settings) -> Look<Self> {
        let help = "OLVID_DAEMON_URL or --daemon-url is http://host:port or https://host:port";
        let bad = |error: CallError| Wrong::new(exit::USAGE, escaped(&error.message), help);
        let probe = Probe::new(&settings).map_err(bad)?;
        let client = settings.client_key.is_some();
        let admin = settings.admin.as_ref().map(|admin| admin.identity_id);
        let url = escaped(&settings.url);
        let daemon = Daemon::new(settings).map_err(bad)?;
        let addresses = probe.resolve().await.map_err(|what| {
            let help =
                "is the name right, and known to this machine? In a container, names are the container network's";
            Wrong::new(exit::UNAVAILABLE, format!("{url}: {}", escaped(&what)), help)
        })?;
        let (host, port) = probe.host();
        let mut found: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
        found.dedup();
        let found = some(&found);
        let text =
            if host == found { format!("{host}, port {port}") } else { format!("{host} is {found}, port {port}") };
        Ok((Self { probe, daemon, addresses, client, admin }, Finding::new(escaped(&text))))
    }

    /// Connects; for a service, to what its unit leaves within its reach.
    pub(super) async fn connection(&self, service: Option<&Service>) -> Look<Reached> {
        let (host, port) = self.probe.host();
        let reach = if let Some(service) = service { service.reach().await } else { Reach::default() };
        let within: Vec<_> = self.addresses.iter().copied().filter(|address| !reach.excludes(address.ip())).collect();
        if let (true, Some(address), Some(Service { unit, .. })) = (within.is_empty(), self.addresses.first(), service)
        {
            let address = address.ip().to_canonical();
            let text = format!("the service's unit keeps {address} out of its reach");
            let help = format!(
                "`sudo systemctl edit {unit}`, and write below [Service]: IPAddressAllow={address}. Then `sudo systemctl \
                 restart {unit}`. A daemon that goes by a name takes its name server, too"
            );
            return Err(Wrong::new(exit::UNAVAILABLE, text, help));
        }
        match self.probe.reach(within).await {
            Ok(reached) => {
                let address = reached.address().map_or_else(|| host.to_owned(), |address| address.to_string());
                Ok((reached, Finding::new(format!("{} takes connections", escaped(&address)))))
            }
            Err(what) => {
                let help = "is the daemon running, and is this its port? A firewall on the way refuses, or stays silent. In \
                            a container, `localhost` is the container itself";
                Err(Wrong::new(exit::UNAVAILABLE, format!("{} port {port}: {what}", escaped(host)), help))
            }
        }
    }

    /// Encrypts the connection, where the address asks for it.
    pub(super) async fn tls(&self, reached: Reached) -> Look<()> {
        let wrong = |Untrusted { what, advice }| {
            let text = String::as_str(&what);
            let help = advice.unwrap_or("see that this is the port at which the daemon serves gRPC over TLS");
            Wrong::new(exit::UNAVAILABLE, escaped(text.strip_prefix("TLS: ").unwrap_or(text)), help)
        };
        let Some(secured) = self.probe.secure(reached).await.map_err(wrong)? else {
            return Ok(((), Finding::new("none: the address begins with http://, and no certificate is named")));
        };
        let Secured { version, trusted, names, until } = secured;
        let by = match trusted {
            Trusted::Given => "a certificate that is given".to_owned(),
            Trusted::System(authorities) => format!("the {authorities} authorities that this system trusts"),
        };
        let names = if names.is_empty() { "no name that can be read".to_owned() } else { escaped(&some(&names)) };
        let until = until.and_then(|until| Timestamp::try_from(until).ok());
        let end = until.map_or_else(String::new, |until| format!(", good until {}", until.strftime("%Y-%m-%d")));
        let soon = until.filter(|until| *until < Timestamp::now() + SOON);
        let notes =
            soon.map(|_| "the daemon's certificate ends soon: have it renewed".to_owned()).into_iter().collect();
        let text = format!("TLS {version}, by {by}; the daemon's certificate is for {names}{end}");
        Ok(((), Finding { notes, ..Finding::new(text) }))
    }

    /// Asks whether what is there is a daemon.
    pub(super) async fn daemon(&self) -> Look<()> {
        let error = match self.daemon.alive().await {
            Ok(()) => return Ok(((), Finding::new("it answers"))),
            Err(error) => error,
        };
        let (text, help) = if error.retry_at.is_some() {
            let start = format!("cannot connect to {}: ", self.daemon.url());
            let cause = error.message.strip_prefix(&start).unwrap_or(&error.message).to_owned();
            (
                cause,
                "see that this is the port at which the daemon serves gRPC, and that it is reached as it wants to be: with \
                 TLS or without, with a certificate of ours or none",
            )
        } else if error.disposition == Disposition::Permanent {
            (format!("what answers is no daemon of Olvid: {error}"), "is this the port of the daemon?")
        } else {
            (error.to_string(), "the daemon is there and does not answer as it should: its own log says more")
        };
        Err(Wrong::new(exit::UNAVAILABLE, escaped(&text), help))
    }

    /// Asks whether the daemon knows the keys, and for whom they act.
    pub(super) async fn authentication(&self) -> Look<()> {
        let probes = Catalog::embedded().probes();
        let mut known = Vec::new();
        if self.client {
            self.knows(probes.key.as_deref(), false).await?;
            known.push("the client key".to_owned());
        }
        if self.admin.is_some() {
            self.knows(probes.admin_key.as_deref(), true).await?;
            known.push("the administrator's key".to_owned());
        }
        if !self.client && self.admin == Some(0) {
            let text = "the administrator's key is good, but acts for no identity, which all subscriptions need";
            let help = "set OLVID_IDENTITY_ID or --identity-id to the number of the identity, or give a client key";
            return Err(Wrong::new(exit::USAGE, text, help));
        }
        let mut text = format!("the daemon knows {}", known.join(" and "));
        if let Some(telling) = &probes.identity {
            match self.daemon.unary(&telling.command.method, false, Bytes::new()).await {
                Ok(answer) => {
                    let name = telling.read(&answer).unwrap_or_default();
                    let name: String = name.chars().take(LONGEST_NAME).collect();
                    text = format!("{text}; the host acts for `{}`", escaped(&name));
                }
                // An older daemon need not tell.
                Err(error) if error.disposition == Disposition::Permanent => {}
                Err(error) => {
                    let help = "a client key is of one identity; for an administrator's, OLVID_IDENTITY_ID names it";
                    return Err(refused(&error, "the daemon knows the key, but not for whom it acts", help));
                }
            }
        }
        Ok(((), Finding::new(text)))
    }

    async fn knows(&self, test: Option<&Command>, admin: bool) -> Result<(), Wrong> {
        let Some(test) = test else { return Ok(()) };
        let Err(error) = self.daemon.unary(&test.method, admin, Bytes::new()).await else { return Ok(()) };
        let whose = if admin { "the administrator's key" } else { "the client key" };
        let help =
            "is the key whole, this daemon's, and not removed since? Blanks around it are left out, nothing else";
        Err(refused(&error, &format!("the daemon does not take {whose}"), help))
    }

    /// Asks which version the daemon is of.
    pub(super) async fn version(&self) -> Look<()> {
        let untold = || Ok(((), Finding::new("not told: the daemon is older than the command that tells it")));
        let Some(telling) = &Catalog::embedded().probes().version else { return untold() };
        match self.daemon.unary(&telling.command.method, false, Bytes::new()).await {
            Ok(answer) => {
                let version: String = telling.read(&answer).unwrap_or_default().chars().take(LONGEST_NAME).collect();
                Ok(((), Finding::new(format!("the daemon is {}", escaped(&version)))))
            }
            Err(error) if error.disposition == Disposition::Permanent => untold(),
            Err(error) => {
                Err(refused(&error, "the daemon does not tell its version", "try again; its own log says more"))
            }
        }
    }

    /// Opens each stream of the rules, and closes it again.
    pub(super) async fn subscriptions(&self, rules: &RuleSet) -> Look<()> {
        let mut wanted = BTreeMap::<(&str, &[u8]), Vec<&Rule>>::new();
        for rule in rules.rules.iter().filter(|rule| rule.enabled) {
            wanted.entry((&rule.subscription.name, &rule.request)).or_default().push(rule);
        }
        if wanted.is_empty() {
            return Ok(((), Finding::new("no rule is enabled, so nothing is asked for")));
        }
        let all = wanted.into_values().map(|rules| async move { (self.opens(rules[0]).await, rules) });
        let looked: Vec<_> = stream::iter(all).buffered(AT_ONCE).collect().await;
        let line = |(outcome, rules): &(Result<(), CallError>, Vec<&Rule>)| {
            let names: Vec<_> = rules.iter().map(|rule| escaped(&rule.name)).collect();
            let (subscription, of) = (&rules[0].subscription.name, some(&names));
            match outcome {
                Ok(()) => (true, format!("{subscription} ({of})")),
                Err(error) => (false, format!("{subscription} ({of}, {}): {error}", rules[0].place.display())),
            }
        };
        let lines: Vec<_> = looked.iter().map(line).collect();
        let open = lines.iter().filter(|(well, _)| *well).count();
        let all = counted(lines.len(), "stream");
        let text =
            if open == lines.len() { format!("{all} can be opened") } else { format!("{open} of {all} can be opened") };
        match looked.iter().find_map(|(outcome, _)| outcome.as_ref().err()) {
            None => Ok(((), Finding { lines, ..Finding::new(text) })),
            Some(error) => Err(Wrong { text, lines, ..refused(error, "", way_out(error)) }),
        }
    }

    /// Opens a rule's stream and waits for a moment whether it is refused, as a feed does.
    async fn opens(&self, rule: &Rule) -> Result<(), CallError> {
        let place = self.daemon.place().await?;
        let opening = self.daemon.subscribe(place, &rule.subscription.method, rule.request.clone());
        // A server may keep its headers until the first notification. What it refuses it refuses at once.
        timeout(ASSUMED_OPEN, opening).await.map_or(Ok(()), |opened| opened.map(drop))
    }
}

/// What can be done about a stream that is not opened.
fn way_out(error: &CallError) -> &'static str {
    match (error.code, error.disposition) {
        ("UNIMPLEMENTED", _) => "the daemon is older than this subscription: update it, or disable the rule",
        (_, Disposition::Unauthorised) => "the key may not listen to this: give the host another one",
        (_, Disposition::Permanent) => {
            "the daemon does not take the rule's parameters: they may name what it does not have"
        }
        _ => "try again; where it stays so, the daemon's own log says more",
    }
}

/// A call that failed: refused, or not answered.
fn refused(error: &CallError, what: &str, help: &str) -> Wrong {
    let code = match error.disposition {
        Disposition::Unauthorised | Disposition::Permanent => exit::DENIED,
        _ => exit::UNAVAILABLE,
    };
    Wrong::new(code, escaped(&format!("{what}: {error}")), help)
}
