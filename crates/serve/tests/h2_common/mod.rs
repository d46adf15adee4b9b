//! What the tests of HTTP/2 share: a server on a ring of its own, and the ways to talk to it.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

pub mod client;
pub mod frames;

#[path = "../../../store/tests/common/mod.rs"]
pub mod publisher;

use publisher::{Publisher, START, config, name, now, temp_dir, wait_for};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use weir_media::{StreamName, TrackKind};
use weir_net::ConnectionLimits;
use weir_net::tls::{Acceptor, Identity};
use weir_ring::net::TcpListener;
use weir_ring::{Config, Runtime};
use weir_serve::{ALPN, Counters, Options, Server};
use weir_store::{Library, Writer};

/// A guard against hanging, far above what any test takes.
pub const GUARD: Duration = Duration::from_secs(50);

/// Parts of a published segment.
pub const PARTS: u32 = 4;

/// What the ring's thread does for a test.
enum Command {
    Publish(u64),
    Part(u32),
    End(u32),
    Discontinuity,
    Seal,
    Drain,
}

/// Where logs are.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    Disk,
    Memory,
}

/// A server on a thread of its own.
pub struct Running {
    /// Of the listener with TLS.
    pub address: SocketAddr,
    /// Of the one in the clear.
    pub plain: SocketAddr,
    pub counters: Counters,
    pub connections: ConnectionLimits,
    /// Key of the stream's broadcast.
    pub key: String,
    /// Its id.
    pub broadcast: String,
    payload: usize,
    commands: weir_ring::Sender<Command>,
    done: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
    _data: tempfile::TempDir,
}

impl Running {
    /// With a live stream `cam` of `segments` segments, whose samples have `payload` bytes: a
    /// video segment has 20 of them.
    pub fn start(segments: u64, payload: usize) -> Self {
        Self::start_in(Place::Memory, segments, payload, Options::default())
    }

    /// The same, with its logs somewhere, and other options.
    pub fn start_in(place: Place, segments: u64, payload: usize, options: Options) -> Self {
        let data = match place {
            Place::Disk => tempfile::tempdir().unwrap(),
            Place::Memory => temp_dir(),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let plain_listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let plain = plain_listener.local_addr().unwrap();
        let counters = Counters::new(1);
        let connections = ConnectionLimits::new(1000, 1000);
        let (commands, inbox) = weir_ring::channel(16);
        let (tell, done) = mpsc::sync_channel(16);
        let (ready, key) = mpsc::sync_channel(1);
        let thread = std::thread::spawn({
            let (path, counters) = (data.path().to_owned(), counters.clone());
            let connections = connections.clone();
            move || {
                let mut runtime = Runtime::new(Config::default()).expect("io_uring");
                let parts = Parts {
                    listener,
                    plain_listener,
                    counters,
                    connections,
                    options,
                    segments,
                    payload,
                };
                runtime.block_on(parts.run(&path, ready, inbox, tell));
            }
        });
        let (key, broadcast) = key.recv_timeout(GUARD).unwrap();
        Self {
            address,
            plain,
            counters,
            connections,
            key,
            broadcast,
            payload,
            commands,
            done,
            thread: Some(thread),
            _data: data,
        }
    }

    fn ask(&self, command: Command) {
        assert!(self.commands.try_send(command).is_ok());
        self.done.recv_timeout(GUARD).unwrap();
    }

    /// Publishes segments more.
    pub fn publish(&self, count: u64) {
        self.ask(Command::Publish(count));
    }

    /// Publishes one part of a segment, in both tracks.
    pub fn part(&self, part: u32) {
        self.ask(Command::Part(part));
    }

    /// Ends the segment that has so many parts.
    pub fn end(&self, parts: u32) {
        self.ask(Command::End(parts));
    }

    /// Has the next segment begin with a discontinuity.
    pub fn discontinuity(&self) {
        self.ask(Command::Discontinuity);
    }

    /// Ends the broadcast.
    pub fn seal(&self) {
        self.ask(Command::Seal);
    }

    /// Begins to drain, and waits for its end.
    pub fn drain(&self) {
        self.ask(Command::Drain);
    }

    /// Media sequence number of the segment that was published as the `index`th.
    pub fn sequence(&self, index: u64) -> u64 {
        START.media_sequence + index
    }

    /// Path of its video.
    pub fn path(&self, index: u64) -> String {
        format!("/s/{}/1/{}.m4s", self.key, self.sequence(index))
    }

    /// Its bytes.
    pub fn body(&self, index: u64) -> Vec<u8> {
        let sequence = START.media_sequence + index;
        let first = index * u64::from(PARTS);
        publisher::expected(TrackKind::Video, sequence, PARTS, first, self.payload)
    }

    /// Waits until no connection is left, and with it nothing that a connection held.
    pub fn wait_for_nobody(&self) {
        let mut waited = Duration::ZERO;
        while self.connections.open() > 0 || self.counters.connections.get() > 0 {
            std::thread::sleep(Duration::from_millis(2));
            waited += Duration::from_millis(2);
            assert!(waited < GUARD, "a connection never ends");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The thread ends with the channel.
        let (other, _) = weir_ring::channel(1);
        drop(std::mem::replace(&mut self.commands, other));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

struct Parts {
    listener: std::net::TcpListener,
    plain_listener: std::net::TcpListener,
    counters: Counters,
    connections: ConnectionLimits,
    options: Options,
    segments: u64,
    payload: usize,
}

impl Parts {
    async fn run(
        self,
        data: &Path,
        ready: mpsc::SyncSender<(String, String)>,
        mut inbox: weir_ring::Receiver<Command>,
        done: mpsc::SyncSender<()>,
    ) {
        let library = Library::open(config(data), now()).unwrap();
        let (news, to_server) = weir_ring::channel::<StreamName>(64);
        let wake = move |name| drop(news.try_send(name));
        library.register_worker(0, Box::new(wake)).unwrap();
        let options = Arc::new(self.options);
        let server = Server::new(library.clone(), 0, self.counters, options);
        server.start(to_server);
        let mut writer = Some(library.begin(&name("cam"), START, now()).unwrap());
        let mut publisher = Publisher::new(PARTS, self.payload);
        let (key, broadcast) = {
            let writer = writer.as_mut().unwrap();
            publisher.start(writer);
            publish(&mut publisher, writer, self.segments).await;
            (writer.broadcast().key(), writer.broadcast().id())
        };
        let acceptor = Acceptor::load(&[identity(data)], ALPN).unwrap();
        let listeners = [(self.listener, Some(acceptor)), (self.plain_listener, None)];
        let accepting = listeners.map(|(listener, acceptor)| {
            let mut listener = TcpListener::from_std(listener).unwrap();
            let (server, connections) = (server.clone(), self.connections.clone());
            weir_ring::spawn(async move {
                while let Ok((stream, peer)) = listener.accept().await {
                    let guard = connections.admit(peer.ip()).unwrap();
                    server.serve(stream, peer, guard, acceptor.as_ref());
                }
            })
        });
        ready.send((key, broadcast.to_string())).unwrap();
        while let Some(command) = inbox.recv().await {
            match (command, &mut writer) {
                (Command::Publish(count), Some(writer)) => {
                    publish(&mut publisher, writer, count).await;
                }
                (Command::Part(part), Some(writer)) => publisher.part(writer, part),
                (Command::End(parts), Some(writer)) => publisher.end(writer, parts),
                (Command::Discontinuity, _) => {
                    publisher.discontinuity = true;
                    publisher.discontinuity_sequence += 1;
                }
                (Command::Seal, writer) => writer.take().unwrap().seal(now()).await,
                (Command::Drain, _) => server.drain().await,
                (_, None) => panic!("the broadcast is over"),
            }
            done.send(()).unwrap();
        }
        for task in accepting {
            task.abort();
        }
        assert_eq!(weir_ring::stats().panics, 0);
    }
}

async fn publish(publisher: &mut Publisher, writer: &mut Writer, count: u64) {
    for _ in 0..count {
        publisher.segment(writer);
    }
    let last = publisher.media_sequence - 1;
    if count > 0 {
        wait_for(writer.broadcast(), |view| {
            let of = |t: &weir_store::TrackView| t.last().is_some_and(|s| s.media_sequence == last);
            view.tracks.iter().all(|t| of(t))
        })
        .await;
    }
}

/// A new certificate for `localhost`.
fn identity(directory: &Path) -> Identity {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let identity = Identity {
        certificate: directory.join("tls.pem"),
        key: directory.join("tls.key"),
    };
    std::fs::write(&identity.certificate, certified.cert.pem()).unwrap();
    std::fs::write(&identity.key, certified.signing_key.serialize_pem()).unwrap();
    identity
}

/// Connects over TLS, with `h2` by ALPN.
pub fn connect(address: SocketAddr) -> (ClientConnection, TcpStream) {
    connect_with(address, b"h2")
}

/// Connects over TLS, with a protocol by ALPN.
pub fn connect_with(address: SocketAddr, alpn: &[u8]) -> (ClientConnection, TcpStream) {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    socket.set_write_timeout(Some(GUARD)).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).unwrap();
    }
    assert_eq!(tls.alpn_protocol(), Some(alpn));
    (tls, socket)
}

/// Believes every certificate.
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
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
