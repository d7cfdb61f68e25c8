//! Certificates made for a test, and fronts: what stands before a daemon and ends TLS, or pretends to be one.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

/// Certificates as PEM files in a folder: `NAME.pem` with its key in `NAME.key`.
pub(crate) struct Certificates {
    folder: TempDir,
}

/// What is made: each leaf by its authority, `self` being itself.
const LEAVES: &[(&str, &str, &[&str])] = &[
    ("server", "ca", &["localhost", "127.0.0.1"]),
    ("elsewhere", "ca", &["daemon.example"]),
    ("expired", "ca", &["localhost"]),
    ("alone", "self", &["localhost"]),
    // As `openssl req -x509` makes them: an authority that is its own server.
    ("openssl", "self", &["localhost"]),
    ("client", "ca", &["bot"]),
    ("stranger", "other", &["bot"]),
];

impl Certificates {
    pub(crate) fn new() -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        let (ca, other) = (made.authority("ca"), made.authority("other"));
        for (name, by, names) in LEAVES {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
            match *name {
                "expired" => params.not_after = date_time_ymd(2001, 1, 1),
                "openssl" => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
                _ => {}
            }
            let certificate = match *by {
                "ca" => params.signed_by(&key, &ca),
                "other" => params.signed_by(&key, &other),
                _ => params.self_signed(&key),
            };
            made.write(&format!("{name}.pem"), &certificate.unwrap().pem());
            made.write(&format!("{name}.key"), &key.serialize_pem());
        }
        let twice = [fs::read_to_string(made.path("other.pem")), fs::read_to_string(made.path("ca.pem"))];
        made.write("both.pem", &twice.map(Result::unwrap).concat());
        made.write("garbage.pem", "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n");
        made.write("nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        made.write("empty.pem", "");
        made
    }

    fn authority(&self, name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        self.write(&format!("{name}.pem"), &issuer.pem());
        issuer
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server's side: its certificate, whether clients must have one of `ca`, and what it speaks.
    fn server(&self, name: &str, mutual: bool, speaks: &[&str]) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if mutual {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate("ca")).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
        let mut config = builder.with_single_cert(vec![self.certificate(name)], key).unwrap();
        config.alpn_protocols = speaks.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).unwrap()
    }
}

/// What a client meets at an address.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// TLS with the certificate of a name.
    Tls(&'static str),
    /// TLS that asks clients for a certificate too.
    Mutual(&'static str),
    /// TLS for browsers: it does not speak what gRPC needs.
    Web(&'static str),
    /// No TLS.
    Plain,
    /// Answers as a web server of old does.
    Http1,
    /// Takes connections and ends them.
    Closes,
}

/// A listener before a daemon; it is gone when dropped.
pub(crate) struct Front {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Front {
    pub(crate) async fn start(kind: Kind, certificates: &Certificates, daemon: SocketAddr) -> Self {
        let acceptor = match kind {
            Kind::Tls(name) => Some(certificates.server(name, false, &["h2"])),
            Kind::Mutual(name) => Some(certificates.server(name, true, &["h2"])),
            Kind::Web(name) => Some(certificates.server(name, false, &["http/1.1"])),
            _ => None,
        };
        let acceptor = acceptor.map(|config| TlsAcceptor::from(Arc::new(config)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&connections);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut served = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                served.spawn(serve(socket, kind, acceptor.clone(), daemon));
            }
        });
        Self { port, connections, _serving: serving }
    }

    /// How many connections were taken.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve(mut socket: TcpStream, kind: Kind, acceptor: Option<TlsAcceptor>, daemon: SocketAddr) {
    match (kind, acceptor) {
        (Kind::Closes, _) => {}
        (Kind::Http1, _) => {
            let mut request = [0; 64];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        }
        (_, Some(acceptor)) => {
            let Ok(mut stream) = acceptor.accept(socket).await else { return };
            let mut onward = TcpStream::connect(daemon).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut onward).await;
        }
        (_, None) => {
            let mut onward = TcpStream::connect(daemon).await.unwrap();
            let _ = copy_bidirectional(&mut socket, &mut onward).await;
        }
    }
}
