//! TLS peers that break rules, and files that do: an error that says what, and no harm to others.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use bytes::Bytes;
use common::{accept, acceptor, client_config, connect, identity, join, listen, run, socket};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tempfile::tempdir;
use weir_net::Error;
use weir_net::tls::{Acceptor, Identity, Warning};

/// Has a client of raw TCP meet a handshake. What the server says of it, and what `client` gives.
fn handshake<T: Send + 'static>(
    client: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (std::io::Result<()>, T) {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    run(async {
        let (mut listener, address) = listen();
        let client = std::thread::spawn(move || client(socket(address)));
        let (stream, _) = listener.accept().await.unwrap();
        let accepted = acceptor.accept(stream).await;
        // The stream stays open as long as the client needs it.
        let given = join(client).await;
        (accepted.map(drop), given)
    })
}

/// Sends `bytes`, and reads to the end.
fn exchange(bytes: Vec<u8>) -> (std::io::Result<()>, Vec<u8>) {
    handshake(move |mut socket| {
        // The server may have had enough before all is sent.
        let _ = socket.write_all(&bytes);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        answer
    })
}

/// The description of a fatal alert that stands alone in `bytes`.
fn alert(bytes: &[u8]) -> u8 {
    match bytes {
        [21, 3, _, 0, 2, 2, description] => *description,
        other => panic!("no alert: {other:02x?}"),
    }
}

#[test]
fn http_on_the_tls_port_gets_an_alert() {
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec();
    let (accepted, answer) = exchange(request);
    let error = accepted.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(alert(&answer), 50, "decode_error");
}

#[test]
fn garbage_of_all_lengths_costs_its_connection_only() {
    for seed in 0..40_u64 {
        let garbage: Vec<u8> = (0..seed * 37)
            .map(|n| ((n + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect();
        let (accepted, _) = handshake(move |mut socket| {
            let _ = socket.write_all(&garbage);
            let _ = socket.shutdown(Shutdown::Write);
            let _ = socket.read_to_end(&mut Vec::new());
        });
        let kind = accepted.unwrap_err().kind();
        assert!(matches!(
            kind,
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof
        ));
    }
}

#[test]
fn an_oversized_record_is_refused() {
    let mut record = vec![22, 3, 1, 0x48, 1];
    record.resize(20_000, 0);
    let (accepted, answer) = exchange(record);
    assert_eq!(accepted.unwrap_err().kind(), ErrorKind::InvalidData);
    // RFC 8446 section 5.1 wants record_overflow; rustls says decode_error.
    assert_eq!(alert(&answer), 50);
}

#[test]
fn an_endless_handshake_ends() {
    // A message that claims 60,000 bytes, in fragments of 100.
    let mut bytes = vec![22, 3, 1, 0, 4, 1, 0, 0xea, 0x60];
    for _ in 0..700 {
        bytes.extend_from_slice(&[22, 3, 1, 0, 100]);
        bytes.extend_from_slice(&[0; 100]);
    }
    let (accepted, _) = exchange(bytes);
    assert_eq!(accepted.unwrap_err().kind(), ErrorKind::InvalidData);
}

#[test]
fn a_handshake_that_is_cut_is_an_end() {
    let (accepted, ()) = handshake(|mut socket| socket.write_all(&[22, 3, 1]).unwrap());
    assert_eq!(accepted.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn an_old_version_is_refused() {
    // A ClientHello of TLS 1.0 with one suite and no extension.
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 2, 0, 0x2f, 1, 0]);
    let (accepted, answer) = exchange(hello);
    assert_eq!(accepted.unwrap_err().kind(), ErrorKind::InvalidData);
    let alert = alert(&answer);
    assert!(
        matches!(alert, 40 | 70),
        "handshake_failure or protocol_version: {alert}"
    );
}

/// Cuts what is written into records of one byte where it is in the clear, and writes byte by
/// byte.
struct OneByte {
    socket: TcpStream,
    is_clear: bool,
}

impl Write for OneByte {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut rest = bytes;
        while let [kind, major, minor, high, low, after @ ..] = rest {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let (payload, after) = after.split_at(len);
            let record = &rest[..5 + len];
            rest = after;
            // ChangeCipherSpec
            self.is_clear &= *kind != 20;
            if !self.is_clear {
                record
                    .iter()
                    .try_for_each(|byte| self.socket.write_all(&[*byte]))?;
                continue;
            }
            for byte in payload {
                self.socket
                    .write_all(&[*kind, *major, *minor, 0, 1, *byte])?;
            }
        }
        assert!(rest.is_empty(), "rustls writes whole records");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Read for OneByte {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.socket.read(buffer)
    }
}

#[test]
fn a_handshake_in_single_bytes_succeeds() {
    for version in [&TLS13, &TLS12] {
        let (accepted, ()) = handshake(move |socket| {
            socket.set_nodelay(true).unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let config = Arc::new(client_config(version));
            let mut client = ClientConnection::new(config, name).unwrap();
            let mut socket = OneByte {
                socket,
                is_clear: true,
            };
            while client.is_handshaking() {
                client.complete_io(&mut socket).unwrap();
            }
        });
        accepted.unwrap();
    }
}

/// Has a client do something after its handshake, and the server receive until an error.
fn receive_error(client: impl FnOnce(common::Client) + Send + 'static) -> std::io::Error {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    run(async {
        let (mut listener, address) = listen();
        let client = std::thread::spawn(move || {
            client(connect(
                address,
                Arc::new(client_config(&TLS13)),
                "localhost",
            ));
        });
        let mut stream = accept(&mut listener, &acceptor).await;
        let error = loop {
            match stream.recv().await {
                Ok(Some(bytes)) => assert_eq!(&*bytes, b"before"),
                Ok(None) => panic!("no error"),
                Err(error) => break error,
            }
        };
        stream.close().await;
        join(client).await;
        error
    })
}

/// Ends our side without a word of TLS, and reads the rest: tickets that were never read would
/// turn the close into a reset.
fn leave(mut client: common::Client) {
    client.sock.shutdown(Shutdown::Write).unwrap();
    let _ = client.sock.read_to_end(&mut Vec::new());
}

#[test]
fn an_end_without_close_notify_is_told() {
    let error = receive_error(|mut client| {
        client.write_all(b"before").unwrap();
        leave(client);
    });
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("close_notify"));
}

#[test]
fn a_record_that_is_cut_is_told() {
    let error = receive_error(|mut client| {
        client.write_all(b"before").unwrap();
        client.sock.write_all(&[23, 3, 3, 0, 100, 1, 2, 3]).unwrap();
        leave(client);
    });
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_forged_record_comes_after_the_data_before_it() {
    let error = receive_error(|mut client| {
        client.write_all(b"before").unwrap();
        let mut record = vec![23, 3, 3, 0, 100];
        record.resize(105, 0);
        client.sock.write_all(&record).unwrap();
        // bad_record_mac
        let error = client.read(&mut [0]).unwrap_err();
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
    });
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn endless_key_updates_end() {
    let error = receive_error(|mut client| {
        for _ in 0..10_000 {
            if client.conn.refresh_traffic_keys().is_err() || client.flush().is_err() {
                return;
            }
        }
        let _ = client.read(&mut [0]);
    });
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn renegotiation_is_refused() {
    if std::process::Command::new("openssl")
        .arg("version")
        .output()
        .is_err()
    {
        eprintln!("skipped: no openssl here");
        return;
    }
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    run(async {
        let (mut listener, address) = listen();
        let client = std::thread::spawn(move || renegotiate(address));
        let mut stream = accept(&mut listener, &acceptor).await;
        let error = stream.recv().await.unwrap_err();
        assert!(error.to_string().contains("new TLS handshake"), "{error}");
        stream.close().await;
        let said = join(client).await;
        assert!(said.contains("no renegotiation"), "{said}");
    });
}

/// Asks for a new handshake with openssl, and returns what it complains of.
fn renegotiate(address: SocketAddr) -> String {
    let mut child = std::process::Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect"])
        .arg(address.to_string())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A line of data makes the server send what it has to say; `R` asks for a handshake.
    for line in [&b"R\n"[..], b"data\n", b"Q\n"] {
        std::thread::sleep(Duration::from_millis(200));
        let _ = stdin.write_all(line);
    }
    drop(stdin);
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    child.wait().unwrap();
    said
}

#[test]
fn a_dropped_send_breaks_the_stream() {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    run(async {
        let (mut listener, address) = listen();
        let client = std::thread::spawn(move || {
            connect(address, Arc::new(client_config(&TLS13)), "localhost")
        });
        let mut stream = accept(&mut listener, &acceptor).await;
        let _client = join(client).await;
        // More than the sockets hold, to a client that does not read.
        let body = Bytes::from(vec![0; 64 << 20]);
        let sent = weir_ring::timeout(Duration::from_millis(100), stream.send_vectored([body]));
        assert!(sent.await.is_err());
        let again = stream.send_vectored([Bytes::from_static(b"x")]).await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::BrokenPipe);
        stream.close().await;
    });
}

#[test]
fn no_common_protocol_is_an_alert() {
    let directory = tempdir().unwrap();
    let identity = identity(directory.path(), "localhost", &["localhost"]);
    let acceptor = Acceptor::load(&[identity], &[b"h2"]).unwrap();
    run(async {
        let (mut listener, address) = listen();
        let client = std::thread::spawn(move || {
            let mut config = client_config(&TLS13);
            config.alpn_protocols = vec![b"spdy/1".to_vec()];
            let name = ServerName::try_from("localhost").unwrap();
            let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
            let mut socket = socket(address);
            loop {
                if let Err(error) = client.complete_io(&mut socket) {
                    break error.to_string();
                }
            }
        });
        let (stream, _) = listener.accept().await.unwrap();
        let error = acceptor.accept(stream).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let said = join(client).await;
        assert!(said.contains("NoApplicationProtocol"), "{said}");
    });
}

#[test]
fn load_errors_name_the_file() {
    let directory = tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let good = identity(directory.path(), "good", &["localhost"]);
    let other = identity(directory.path(), "other", &["localhost"]);
    std::fs::write(path("empty"), "").unwrap();
    std::fs::write(path("broken"), "-----BEGIN CERTIFICATE-----\n?\n").unwrap();
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(path("junk"), junk).unwrap();
    let junk = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    std::fs::write(path("junkkey"), junk).unwrap();
    let load = |certificate: &str, key: &str| {
        let files = Identity {
            certificate: path(certificate),
            key: path(key),
        };
        Acceptor::load(&[good.clone(), files], &[]).unwrap_err()
    };
    let named = |error: Error, file: &str| {
        let text = error.to_string();
        assert!(text.contains(path(file).to_str().unwrap()), "{text}");
        error
    };
    let error = named(load("absent", "good.key"), "absent");
    assert!(matches!(error, Error::Unreadable { .. }));
    let error = named(load("empty", "good.key"), "empty");
    assert!(matches!(error, Error::NoCertificate(_)));
    for damaged in ["broken", "junk"] {
        let error = named(load(damaged, "good.key"), damaged);
        assert!(matches!(error, Error::Certificate(_)));
    }
    let error = named(load("good.pem", "good.pem"), "good.pem");
    assert!(matches!(error, Error::NoKey(_)));
    let error = named(load("good.pem", "junkkey"), "junkkey");
    assert!(matches!(error, Error::Key { .. }));
    let error = named(load("good.pem", "other.key"), "other.key");
    assert!(matches!(error, Error::KeyMismatch { .. }));
    assert!(matches!(Acceptor::load(&[], &[]), Err(Error::NoIdentity)));
    let both = [good, other];
    assert!(
        Acceptor::load(&both, &[]).is_ok(),
        "one name may stand in two"
    );
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let directory = tempdir().unwrap();
    let write = |file: &str, from: i32, to: i32, names: Vec<String>| {
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = directory.path().join(file);
        std::fs::write(&certificate, parameters.self_signed(&key).unwrap().pem()).unwrap();
        let files = Identity {
            key: directory.path().join(format!("{file}.key")),
            certificate,
        };
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    };
    let named = || vec!["localhost".to_owned()];
    let old = write("old", 2000, 2001, named());
    let new = write("new", 4000, 4001, named());
    let nameless = write("nameless", 2000, 4000, Vec::new());
    let files = [old.clone(), new.clone(), nameless.clone()];
    assert_eq!(
        Acceptor::load(&files, &[]).unwrap().warnings(),
        [
            Warning::Expired(old.certificate),
            Warning::NotYetValid(new.certificate),
            Warning::NoNames(nameless.certificate),
        ]
    );
}
