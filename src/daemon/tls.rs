//! Which certificates prove the daemon to us, and us to the daemon.
//!
//! The files are the published client's. Where it lets one kind of trust replace another, all that is given counts here:
//! the system's roots for `https://`, and a server's or a root certificate beside them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::CallError;

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

    /// Reads the files.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, CallError> {
        let mut roots = RootCertStore::empty();
        let given = [&self.server_certificate, &self.root_certificate];
        for path in given.into_iter().flatten() {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| unusable(path, &error.to_string()))?;
            }
        }
        if roots.is_empty() {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
        }
        if roots.is_empty() {
            let advice = "name the daemon's certificate in OLVID_SERVER_CERTIFICATE_PATH";
            return Err(CallError::invalid(format!("this system trusts no certificate authority; {advice}")));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| CallError::invalid(error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match (&self.certificate_chain, &self.private_key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(chain), Some(key)) => builder
                .with_client_auth_cert(certificates(chain)?, private_key(key)?)
                .map_err(|error| unusable(chain, &error.to_string()))?,
            (Some(_), None) => return Err(CallError::invalid("a certificate chain is given without its private key")),
            (None, Some(_)) => return Err(CallError::invalid("a private key is given without its certificate chain")),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
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
    fs::read(path).map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, cause: &str) -> CallError {
    CallError::invalid(format!("cannot use `{}`: {cause}", path.display()))
}
