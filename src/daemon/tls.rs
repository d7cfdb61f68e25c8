//! Which certificates prove the daemon to us, and us to the daemon.
//!
//! The files are the published client's. What is given is trusted, a server's and a root certificate beside each other;
//! where none is given, the system's roots are.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, Error, RootCertStore,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        sign::CertifiedKey,
    },
};

use super::{
    CallError,
    trust::{self, Ours, Trust},
};

/// Certificates in files; all of them PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The daemon's own certificate, trusted as it is.
    pub server_certificate: Option<PathBuf>,
    /// The authority that signed the daemon's certificate.
    pub root_certificate: Option<PathBuf>,
    /// Our certificate, with what leads to its authority behind it.
    pub certificate_chain: Option<PathBuf>,
    /// The key of our certificate.
    pub private_key: Option<PathBuf>,
}

impl TlsFiles {
    /// Whether any file is given: then even an address without `https://` is spoken to over TLS.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// A line of the private key that stands in no other file.
    pub(super) fn line_of_key(&self) -> Option<Vec<u8>> {
        let text = fs::read(self.private_key.as_ref()?).ok()?;
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        // The first ones say of which kind a key is, the last one may be short.
        lines.filter(|line| !line.starts_with(b"-")).max_by_key(|line| line.len()).map(<[u8]>::to_vec)
    }

    /// Whether each file that is given can be used.
    pub fn check(&self) -> Result<(), CallError> {
        if self.any() { self.read().map(drop) } else { Ok(()) }
    }

    /// Reads the files.
    pub(super) fn read(&self) -> Result<Tls, CallError> {
        let (mut roots, mut given) = (RootCertStore::empty(), Vec::new());
        for path in [&self.server_certificate, &self.root_certificate].into_iter().flatten() {
            for certificate in certificates(path)? {
                roots.add(certificate.clone()).map_err(|error| unusable(path, &error.to_string()))?;
                given.push(certificate);
            }
        }
        let of_system = roots.is_empty();
        if of_system {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
        }
        if roots.is_empty() {
            let advice = "name the daemon's certificate in OLVID_SERVER_CERTIFICATE_PATH";
            return Err(CallError::invalid(format!("this system trusts no certificate authority; {advice}")));
        }
        let authorities = roots.len();
        let provider = Arc::new(ring::default_provider());
        let ours = Arc::new(Ours::new(self.ours(&provider)?));
        let trust = Trust::new(roots, given, &provider).map_err(|error| CallError::invalid(error.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| CallError::invalid(error.to_string()))?
            .dangerous() // as rustls calls every verifier that is not its own
            .with_custom_certificate_verifier(Arc::new(trust))
            .with_client_cert_resolver(Arc::<Ours>::clone(&ours));
        config.alpn_protocols = vec![b"h2".to_vec()];
        let trusted = if of_system { Trusted::System(authorities) } else { Trusted::Given };
        Ok(Tls { connector: TlsConnector::from(Arc::new(config)), ours, trusted })
    }

    fn ours(&self, provider: &CryptoProvider) -> Result<Option<CertifiedKey>, CallError> {
        let (chain, key) = match (&self.certificate_chain, &self.private_key) {
            (None, None) => return Ok(None),
            (Some(chain), Some(key)) => (chain, key),
            (Some(_), None) => return Err(CallError::invalid("a certificate chain is given without its private key")),
            (None, Some(_)) => return Err(CallError::invalid("a private key is given without its certificate chain")),
        };
        let made = CertifiedKey::from_der(certificates(chain)?, private_key(key)?, provider);
        made.map(Some).map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                unusable(key, &format!("it is not the key of the certificate in `{}`", chain.display()))
            }
            error => unusable(key, &error.to_string()),
        })
    }
}

/// The client's side of TLS, ready for connections.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    ours: Arc<Ours>,
    trusted: Trusted,
}

/// Whose word is taken for who the daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trusted {
    /// The certificates in the files that are given.
    Given,
    /// So many authorities of this system.
    System(usize),
}

impl Tls {
    pub(super) async fn handshake(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let stream = self.connector.connect(name, stream).await;
        stream.map_err(|error| io::Error::other(trust::explain(&error)))
    }

    pub(super) fn trusted(&self) -> Trusted {
        self.trusted
    }

    /// Puts into words why a server ended a connection before it said anything.
    pub(super) fn explain(&self, cause: &str) -> String {
        self.ours.explain(cause)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CallError> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unusable(path, "it holds no PEM certificate")),
        Err(error) => Err(unusable(path, &error.to_string())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, CallError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| unusable(path, &error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, CallError> {
    if path.as_os_str().as_encoded_bytes().trim_ascii_start().starts_with(b"-----BEGIN") {
        // Not shown: it may be a private key.
        return Err(CallError::invalid(
            "where a PEM file is to be named, its text is given: name the file that holds it",
        ));
    }
    fs::read(path).map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, cause: &str) -> CallError {
    CallError::invalid(format!("cannot use `{}`: {cause}", path.display()))
}
