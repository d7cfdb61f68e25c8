//! Whom TLS trusts, and what it can say when that fails.
//!
//! A certificate that is given is trusted as it is, as the published client's TLS does: be it its own authority, as
//! `openssl req -x509` makes them, or signed by one that is not given. Its name and its dates still count. Whether the
//! server asked for a certificate of ours is noted: with TLS 1.3 a server refuses a client after the handshake, and what
//! it says of that is easily lost.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_rustls::rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        ResolvesClientCert, VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    sign::CertifiedKey,
};

/// Trusts authorities, and certificates that were given as they are.
#[derive(Debug)]
pub(super) struct Trust {
    authorities: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl Trust {
    pub(super) fn new(
        roots: RootCertStore,
        given: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        Ok(Self { authorities: builder.build()?, given })
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match checked {
            // Its dates were looked at before its issuer. An authority as a server is among the other errors.
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
                if self.given.iter().any(|given| given == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Our certificate, where there is one, and whether a server asked for it.
pub(super) struct Ours {
    certificate: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Ours {
    pub(super) fn new(certificate: Option<CertifiedKey>) -> Self {
        Self { certificate: certificate.map(Arc::new), asked: AtomicBool::new(false) }
    }

    /// Puts into words why a server ended a connection whose handshake was done.
    pub(super) fn explain(&self, cause: &str) -> String {
        match (self.asked.load(Ordering::Relaxed), &self.certificate) {
            (false, _) => format!("TLS: {cause}"),
            (true, None) => format!(
                "TLS: the server asks for a certificate of ours: set OLVID_CERTIFICATE_CHAIN_PATH and \
                 OLVID_PRIVATE_KEY_PATH ({cause})"
            ),
            (true, Some(_)) => format!("TLS: the server did not go on when it had our certificate ({cause})"),
        }
    }
}

impl fmt::Debug for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ours(…)")
    }
}

impl ResolvesClientCert for Ours {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certificate.clone()
    }

    fn has_certs(&self) -> bool {
        self.certificate.is_some()
    }
}

/// A failed handshake in words, and what can be done, where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untrusted {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub advice: Option<&'static str>,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        self.advice.iter().try_for_each(|advice| write!(f, ": {advice}"))
    }
}

impl std::error::Error for Untrusted {}

/// Puts a failed handshake into words.
pub(super) fn explain(error: &io::Error) -> Untrusted {
    let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()) else {
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "TLS: the server closed the connection during the handshake".to_owned(),
            _ => format!("TLS: {error}"),
        };
        return Untrusted { what, advice: None };
    };
    let (what, advice) = match cause {
        Error::InvalidMessage(_) => (
            "the server does not speak TLS".to_owned(),
            "for a daemon without it write http:// and name no certificates",
        ),
        Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            let what = "TLS: the server does not speak HTTP/2, which gRPC needs".to_owned();
            return Untrusted { what, advice: None };
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)) => (
            format!("TLS: {cause}"),
            "name the daemon's certificate in OLVID_SERVER_CERTIFICATE_PATH, or that of its authority in \
             OLVID_ROOT_CERTIFICATE_PATH",
        ),
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => (format!("TLS: {cause}"), "name the daemon in OLVID_DAEMON_URL as its certificate does"),
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => (format!("TLS: {cause}"), "give the daemon a certificate that is good now, or set this machine's clock"),
        _ => return Untrusted { what: format!("TLS: {cause}"), advice: None },
    };
    Untrusted { what, advice: Some(advice) }
}
