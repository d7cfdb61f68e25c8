//! The way to the daemon a step at a time, for who wants to know which step fails: what [`Daemon`] does in one.
//!
//! Each step is the connection's own code, so that what is said here is what a connection meets.

use std::{net::SocketAddr, time::SystemTime};

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::rustls::ProtocolVersion;
use tonic::Request;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::{
    CONNECT_TIMEOUT, CallError, Daemon, Settings,
    codec::RawCodec,
    error::innermost,
    tls::Trusted,
    transport::{self, Target},
    trust::Untrusted,
};
use crate::schema::Catalog;

/// An address of a daemon, with the means to go there.
pub struct Probe {
    target: Target,
}

/// A connection that stands, nothing having been said on it.
pub struct Reached {
    stream: TcpStream,
}

/// What TLS came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secured {
    /// `1.3`.
    pub version: &'static str,
    /// Whose word was taken for it.
    pub trusted: Trusted,
    /// The names and addresses that the certificate is for.
    pub names: Vec<String>,
    /// When the certificate is no longer good.
    pub until: Option<SystemTime>,
}

impl Probe {
    /// Checks the address and the files of TLS.
    pub fn new(settings: &Settings) -> Result<Self, CallError> {
        Ok(Self { target: Target::new(&settings.url, &settings.tls)? })
    }

    /// The host's name, and the port.
    pub fn host(&self) -> (&str, u16) {
        self.target.host()
    }

    /// Finds the addresses of the host's name.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        match in_time(self.target.resolve()).await? {
            Ok(addresses) if addresses.is_empty() => Err(format!("`{}` has no address", self.host().0)),
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(innermost(&error)),
        }
    }

    /// Connects to one of the addresses.
    pub async fn reach(&self, addresses: Vec<SocketAddr>) -> Result<Reached, String> {
        let stream = in_time(transport::reach(addresses)).await?.map_err(|error| innermost(&error))?;
        Ok(Reached { stream })
    }

    /// Does TLS' handshake on a connection; none where the address does not ask for TLS.
    pub async fn secure(&self, Reached { stream }: Reached) -> Result<Option<Secured>, Untrusted> {
        let Some(tls) = self.target.tls() else { return Ok(None) };
        let untold = |what| Untrusted { what, advice: None };
        let stream = in_time(tls.handshake(self.host().0, stream)).await.map_err(untold)?;
        let stream = stream.map_err(|error| match error.get_ref().and_then(|cause| cause.downcast_ref()) {
            Some(known) => Untrusted::clone(known),
            None => untold(innermost(&error)),
        })?;
        let session = stream.get_ref().1;
        let version = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            _ => "1.3",
        };
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let (names, until) = shown.map(|shown| read(shown)).unwrap_or_default();
        Ok(Some(Secured { version, trusted: tls.trusted(), names, until }))
    }
}

impl Reached {
    /// The address that took the connection.
    pub fn address(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }
}

impl Daemon {
    /// Asks whether a daemon is there, without a key. An error with a `retry_at` is one of the connection, any other is
    /// an answer.
    pub async fn alive(&self) -> Result<(), CallError> {
        let path = liveness().ok_or_else(|| CallError::internal("nothing to ask by"))?;
        let lease = self.shared.commands.lease().await?;
        match self.grpc(&lease).unary(Request::new(Bytes::new()), path, RawCodec).await {
            Ok(_) => Ok(()),
            Err(status) => Err(lease.failed(&status).await),
        }
    }
}

/// The path of the RPC to ask whether a daemon is there; its request is empty.
pub(super) fn liveness() -> Option<PathAndQuery> {
    Catalog::embedded().probes().liveness.as_ref()?.method.path.parse().ok()
}

async fn in_time<T>(step: impl Future<Output = T>) -> Result<T, String> {
    timeout(CONNECT_TIMEOUT, step).await.map_err(|_| format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))
}

/// Whom a certificate is for, and until when it is good; as far as it can be read.
fn read(certificate: &[u8]) -> (Vec<String>, Option<SystemTime>) {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Default::default() };
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default();
    let until = SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    (names.collect(), until)
}

fn address(bytes: &[u8]) -> Option<String> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
        _ => <[u8; 16]>::try_from(bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
    }
}
