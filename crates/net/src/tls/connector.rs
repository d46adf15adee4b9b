//! What TLS connections to servers share: whom to trust.

use crate::error::Error;
use crate::tls::handshake;
use crate::tls::identity::certificates;
use crate::tls::session::Session;
use crate::tls::stream::TlsStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use weir_ring::net::TcpStream;

/// Turns connections to servers into TLS ones, and checks who the servers are. Cheap to clone;
/// clones share sessions, so that a later connection to a server is resumed.
#[derive(Clone)]
pub struct Connector(Arc<ClientConfig>);

impl Connector {
    /// Trusts the authorities that the system trusts. It reads files.
    ///
    /// # Errors
    /// [`Error::NoAuthorities`] if the system has none.
    pub fn system() -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(Error::NoAuthorities);
        }
        Self::new(roots, Vec::new())
    }

    /// Trusts the certificates in `file` (PEM) and nobody else: a server that shows one of them,
    /// under whatever name, or one that an authority among them has issued for its name. It reads
    /// the file.
    ///
    /// # Errors
    /// [`Error`], which names the file.
    pub fn of(file: &Path) -> Result<Self, Error> {
        let trusted = certificates(file)?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.iter().cloned());
        if roots.is_empty() {
            return Err(Error::Certificate(file.into()));
        }
        Self::new(roots, trusted)
    }

    fn new(roots: RootCertStore, pinned: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let authorities =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|e| Error::Tls(rustls::Error::General(e.to_string())))?;
        let verifier = Verifier {
            pinned,
            authorities,
            provider: provider.clone(),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(Error::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Does the handshake with the server that `host` names, a domain or an address. The caller
    /// gives the deadline, with [`weir_ring::timeout`].
    ///
    /// # Errors
    /// `InvalidInput` if `host` is neither; `InvalidData` with the fault of the server, such as a
    /// certificate that is not trusted; `UnexpectedEof` if it left; those of recv(2) and send(2).
    /// The connection is closed.
    pub async fn connect(&self, stream: TcpStream, host: &str) -> io::Result<TlsStream> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        let session = Session::client(self.0.clone(), name)?;
        handshake::run(stream, session).await
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// Accepts what an authority has issued, and certificates that are known themselves.
#[derive(Debug)]
struct Verifier {
    pinned: Vec<CertificateDer<'static>>,
    authorities: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // That the server has its key, which only its owner has, is shown by the signatures below.
        if self.pinned.iter().any(|known| known == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        self.authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}
