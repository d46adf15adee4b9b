//! The client's side of TLS, and a certificate for the servers.

use crate::Result;
use rustix::net::{RecvFlags, recv};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A self-signed certificate for 127.0.0.1 with its key, in files.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// PEM, X.509.
    pub certificate: PathBuf,
    /// PEM, PKCS #8, P-256.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes one in `folder` with the `openssl` program.
    pub fn make(folder: &Path) -> Result<Self> {
        let made = Self {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        };
        let output = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-nodes",
                "-days",
                "30",
                "-subj",
                "/CN=bench",
            ])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1"])
            // It is its own root in our client, which refuses an authority as a server.
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&made.key)
            .arg("-out")
            .arg(&made.certificate)
            .output();
        let output = output.map_err(|e| format!("cannot run openssl: {e}"))?;
        if output.status.success() {
            return Ok(made);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("openssl makes no certificate: {said}"))
    }

    /// A client that trusts this certificate alone.
    pub fn client(&self) -> Result<Arc<ClientConfig>> {
        let failed = |e: &dyn std::fmt::Display| format!("the certificate: {e}");
        let certificate =
            CertificateDer::from_pem_file(&self.certificate).map_err(|e| failed(&e))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|e| failed(&e))?;
        let config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

/// One connection's TLS.
pub struct Secure(ClientConnection);

impl Secure {
    /// Shakes hands over a socket that blocks.
    pub fn new(mut stream: &TcpStream, config: &Arc<ClientConfig>) -> Result<Self> {
        let peer = stream.peer_addr().map_err(|e| format!("no peer: {e}"))?;
        let name = ServerName::from(peer.ip());
        let mut tls = ClientConnection::new(Arc::clone(config), name)
            .map_err(|e| format!("cannot speak TLS: {e}"))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)
                .map_err(|e| format!("no TLS handshake: {e}"))?;
        }
        Ok(Self(tls))
    }

    /// Sends a request.
    pub fn send(&mut self, mut stream: &TcpStream, request: &[u8]) -> Result<()> {
        let failed = |e: std::io::Error| format!("cannot ask: {e}");
        self.0.writer().write_all(request).map_err(failed)?;
        while self.0.wants_write() {
            self.0.write_tls(&mut stream).map_err(failed)?;
        }
        Ok(())
    }

    /// Receives what there is and hands the plain bytes to `take`; returns the sum of what it
    /// returns.
    pub fn receive(
        &mut self,
        stream: &TcpStream,
        scratch: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<u64>,
    ) -> Result<u64> {
        let failed = |e: &dyn std::fmt::Display| format!("cannot receive: {e}");
        let half = (scratch.len() / 2).min(256 << 10);
        let (sealed, plain) = scratch.split_at_mut(half);
        let plain = plain.get_mut(..half).unwrap_or_default();
        let mut unread = match recv(stream, &mut *sealed, RecvFlags::empty()) {
            Ok((_, 0)) => return Err("the server closed a connection".into()),
            Ok((_, received)) => sealed.get(..received).unwrap_or_default(),
            Err(rustix::io::Errno::AGAIN) => return Ok(0),
            Err(e) => return Err(failed(&e)),
        };
        let mut taken = 0;
        while !unread.is_empty() {
            self.0.read_tls(&mut unread).map_err(|e| failed(&e))?;
            let state = self.0.process_new_packets().map_err(|e| failed(&e))?;
            let mut ready = state.plaintext_bytes_to_read();
            while ready > 0 {
                let read = self.0.reader().read(plain).map_err(|e| failed(&e))?;
                taken += take(plain.get(..read).unwrap_or_default())?;
                ready -= read;
            }
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::{Load, Target, Waiting};
    use super::*;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, Stream};
    use std::net::TcpListener;

    /// More than one record, and more than is received at a time.
    const LENGTH: usize = 700_000;

    #[test]
    fn answers_are_deciphered_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let made = Certificate::make(folder.path()).unwrap();
        let chain = vec![CertificateDer::from_pem_file(&made.certificate).unwrap()];
        let key = PrivateKeyDer::from_pem_file(&made.key).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let target = Target {
            address: listener.local_addr().unwrap(),
            path: "/x".into(),
            length: LENGTH as u64,
            tls: Some(made.client().unwrap()),
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut socket, _) = listener.accept().unwrap();
                let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
                let mut stream = Stream::new(&mut tls, &mut socket);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
                let answer = [head.as_bytes(), &vec![b'x'; LENGTH]].concat();
                let mut request = [0; 1024];
                // The client ends by a reset.
                while let Ok(1..) = stream.read(&mut request) {
                    let _ = stream.write_all(&answer).and_then(|()| stream.flush());
                }
            });
            let mut load = Load::connect(target, 1, Waiting::Sleep).unwrap();
            for _ in 0..3 {
                load.ask_all().unwrap();
                let tally = load.finish().unwrap();
                assert_eq!((tally.answers, tally.body_bytes), (1, LENGTH as u64));
            }
        });
    }
}
