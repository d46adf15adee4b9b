//! What an answer over TLS costs: reading, sealing and sending, on one connection over loopback,
//! to a client that discards the records as they are.
//!
//! Figures are processor time of the ring's thread (the scheduler's count), so that other load on
//! the machine weighs less. On loopback the client's part of TCP runs within the send, and counts.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use weir_net::Stream;
use weir_net::tls::{Acceptor, Identity};
use weir_ring::fs::File;
use weir_ring::{Config, Runtime};

const HEAD: &[u8] = &[b'h'; 250];

fn answers(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let identity = identity(directory.path());
    let acceptor = Acceptor::load(std::slice::from_ref(&identity), &[]).expect("acceptor");
    let path = directory.path().join("body");
    std::fs::write(&path, vec![b'x'; 2 << 20]).expect("a file");
    let file = File::from_std(std::fs::File::open(&path).expect("a file"));

    let mut runtime = Runtime::new(Config::default()).expect("io_uring");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let client = std::thread::spawn(move || discard(address, &identity));
    let (socket, _) = listener.accept().expect("a client");
    let tcp = weir_ring::net::TcpStream::from_std;
    let mut stream = runtime.block_on(async {
        let stream = tcp(socket).expect("a stream");
        stream.set_nodelay(true).expect("nodelay");
        Stream::from(acceptor.accept(stream).await.expect("a handshake"))
    });

    let mut group = c.benchmark_group("tls");
    for len in [1 << 10, 16 << 10, 64 << 10] {
        let body = Bytes::from(vec![b'x'; len]);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("memory_{}k", len >> 10), |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(processor_time(async || {
                    for _ in 0..rounds {
                        let head = Bytes::from_static(HEAD);
                        let sent = stream.send_vectored([head, body.clone()]).await;
                        sent.expect("sent");
                    }
                }))
            });
        });
    }
    for len in [64 << 10, 512 << 10, 2 << 20] {
        group.throughput(Throughput::Bytes(len));
        group.bench_function(format!("file_{}k", len >> 10), |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(processor_time(async || {
                    for _ in 0..rounds {
                        let head = Bytes::from_static(HEAD);
                        stream.send_more(head).await.expect("held");
                        stream.sendfile(&file, 0, len).await.expect("sent");
                    }
                }))
            });
        });
    }
    group.finish();
    runtime.block_on(stream.close());
    client.join().expect("the client");
}

/// A certificate for `localhost`.
fn identity(directory: &Path) -> Identity {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let certified = certified.expect("a certificate");
    let identity = Identity {
        certificate: directory.join("certificate"),
        key: directory.join("key"),
    };
    std::fs::write(&identity.certificate, certified.cert.pem()).expect("a file");
    std::fs::write(&identity.key, certified.signing_key.serialize_pem()).expect("a file");
    identity
}

/// Does a handshake, then reads what comes until the end.
fn discard(address: SocketAddr, identity: &Identity) {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(&identity.certificate).expect("a certificate");
    roots.add(certificate).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut socket = TcpStream::connect(address).expect("a server");
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).expect("a handshake");
    }
    let mut buffer = vec![0; 1 << 20];
    while socket.read(&mut buffer).is_ok_and(|read| read > 0) {}
}

/// The processor time that this thread spends in `work`.
async fn processor_time(work: impl AsyncFnOnce()) -> Duration {
    let before = spent();
    work().await;
    spent().saturating_sub(before)
}

fn spent() -> Duration {
    // The scheduler brings the count up to date when the thread yields.
    std::thread::yield_now();
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
    let nanoseconds = line.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

criterion_group!(benches, answers);
criterion_main!(benches);
