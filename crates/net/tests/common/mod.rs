//! What the TLS tests share: certificates made on the spot, a ring, and rustls clients on threads.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use weir_net::tls::{Acceptor, Identity, TlsStream};
use weir_ring::net::TcpListener;
use weir_ring::{Config, Runtime};

/// A guard against hanging, far above what any test takes.
pub const GUARD: Duration = Duration::from_secs(25);

pub type Client = StreamOwned<ClientConnection, TcpStream>;

/// Runs a future on a runtime of its own; panics instead of hanging.
pub fn run<F: Future>(future: F) -> F::Output {
    let mut runtime = Runtime::new(Config::default()).expect("io_uring");
    runtime.block_on(async {
        weir_ring::timeout(GUARD, future)
            .await
            .expect("the test hangs")
    })
}

/// A listener on a free loopback port.
pub fn listen() -> (TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (TcpListener::from_std(listener).unwrap(), address)
}

/// Waits, without blocking the ring, until a thread has finished.
pub async fn join<T>(thread: std::thread::JoinHandle<T>) -> T {
    while !thread.is_finished() {
        weir_ring::sleep(Duration::from_millis(1)).await;
    }
    thread.join().expect("a helper thread panicked")
}

/// Accepts one TLS connection.
pub async fn accept(listener: &mut TcpListener, acceptor: &Acceptor) -> TlsStream {
    let (stream, _) = listener.accept().await.unwrap();
    acceptor.accept(stream).await.unwrap()
}

/// Writes a new certificate for `names`, and its key, into `directory`.
pub fn identity(directory: &Path, file: &str, names: &[&str]) -> Identity {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let identity = Identity {
        certificate: directory.join(format!("{file}.pem")),
        key: directory.join(format!("{file}.key")),
    };
    std::fs::write(&identity.certificate, certified.cert.pem()).unwrap();
    std::fs::write(&identity.key, certified.signing_key.serialize_pem()).unwrap();
    identity
}

/// An acceptor with one certificate, for `localhost`.
pub fn acceptor(directory: &Path) -> Acceptor {
    Acceptor::load(&[identity(directory, "localhost", &["localhost"])], &[]).unwrap()
}

/// A client that takes any certificate.
pub fn client_config(version: &'static SupportedProtocolVersion) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth()
}

/// Connects, and does the handshake.
pub fn connect(address: SocketAddr, config: Arc<ClientConfig>, name: &str) -> Client {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(config, name).unwrap();
    let mut socket = socket(address);
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).unwrap();
    }
    StreamOwned::new(connection, socket)
}

/// A blocking socket that does not block for ever.
pub fn socket(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    socket.set_write_timeout(Some(GUARD)).unwrap();
    socket
}

/// Bytes that repeat nowhere near.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

/// Believes every certificate, as these tests look at them themselves.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
