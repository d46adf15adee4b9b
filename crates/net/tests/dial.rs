//! Connections to other servers.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use bytes::Bytes;
use common::{accept, acceptor, identity, listen, run};
use std::io;
use std::time::Duration;
use tempfile::tempdir;
use weir_net::tls::{Acceptor, Connector};
use weir_net::{Dialer, Reach, Stream};

fn dialer() -> Dialer {
    let local = ["127.0.0.0/8", "::1"].map(|network| network.parse().unwrap());
    Dialer::new(Reach::new(local.to_vec()))
}

/// Sends a lot both ways: in many records, and over a key's many uses.
async fn exchange(mut client: Stream, mut server: Stream) {
    let payload = Bytes::from(common::pattern(300_000));
    for stream in [&mut client, &mut server] {
        stream.send_vectored([payload.clone()]).await.unwrap();
    }
    for stream in [&mut client, &mut server] {
        let mut got = Vec::new();
        while got.len() < payload.len() {
            got.extend_from_slice(&stream.recv().await.unwrap().unwrap());
        }
        assert!(got == payload);
    }
    client.close().await;
    assert!(server.recv().await.unwrap().is_none(), "close_notify");
}

#[test]
fn both_ends_of_tls_are_ours() {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    let trusted = Connector::of(&directory.path().join("localhost.pem")).unwrap();
    run(async {
        let (mut listener, address) = listen();
        let (serving, at) = (acceptor.clone(), address.port());
        let (done, mut served) = weir_ring::channel(1);
        weir_ring::spawn(async move {
            let server = accept(&mut listener, &serving).await;
            let _ = done.try_send(server.detach().await.unwrap());
        });
        let client = dialer()
            .dial("localhost", at, Some(&trusted))
            .await
            .unwrap();
        assert!(client.is_tls());
        let server = served.recv().await.unwrap();
        let server = weir_net::tls::TlsStream::attach(server).unwrap();
        // And the client's end moves as the server's did.
        let client = Stream::attach(client.detach().await.unwrap()).unwrap();
        exchange(client, server.into()).await;
    });
}

#[test]
fn servers_are_who_they_say_or_refused() {
    let directory = tempdir().unwrap();
    let at = |file: &str| directory.path().join(format!("{file}.pem"));
    let shown = identity(directory.path(), "shown", &["camera.test"]);
    identity(directory.path(), "other", &["localhost"]);
    let acceptor = Acceptor::load(&[shown], &[]).unwrap();
    run(async {
        let (mut listener, address) = listen();
        weir_ring::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    stream.close().await;
                }
            }
        });
        let dial = async |trusted: Connector| {
            let dialed = dialer()
                .dial("127.0.0.1", address.port(), Some(&trusted))
                .await;
            dialed.map(drop).map_err(|e| e.kind())
        };
        // The very certificate that is shown, whatever name it is for.
        assert_eq!(dial(Connector::of(&at("shown")).unwrap()).await, Ok(()));
        let refused = Err(io::ErrorKind::InvalidData);
        assert_eq!(dial(Connector::of(&at("other")).unwrap()).await, refused);
        assert_eq!(dial(Connector::system().unwrap()).await, refused);
    });
    assert!(Connector::of(&directory.path().join("shown.key")).is_err());
    assert!(Connector::of(&directory.path().join("nothing")).is_err());
}

#[test]
fn what_does_not_answer_fails_in_words() {
    run(async {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let kind = async |dialer: Dialer, host: &str| {
            let dialed = dialer.dial(host, port, None).await;
            dialed.map(drop).unwrap_err().kind()
        };
        assert_eq!(
            kind(dialer(), "127.0.0.1").await,
            io::ErrorKind::ConnectionRefused
        );
        let private = io::ErrorKind::PermissionDenied;
        assert_eq!(kind(Dialer::default(), "127.0.0.1").await, private);
        assert_eq!(kind(Dialer::default(), "localhost").await, private);
        // No name has a space in it.
        let unknown = kind(dialer(), "no such host").await;
        assert_ne!(unknown, private);
    });
}

/// One that speaks no TLS, or says nothing, is given up.
#[test]
fn a_handshake_with_nonsense_fails() {
    let directory = tempdir().unwrap();
    identity(directory.path(), "own", &["localhost"]);
    let trusted = Connector::of(&directory.path().join("own.pem")).unwrap();
    run(async {
        let (mut listener, address) = listen();
        weir_ring::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream
                .send("HTTP/1.1 400 Bad Request\r\n\r\n".into())
                .await
                .unwrap();
            let (silent, _) = listener.accept().await.unwrap();
            weir_ring::sleep(Duration::from_secs(60)).await;
            drop((stream, silent));
        });
        let dialer = dialer();
        let dialed = dialer
            .dial("127.0.0.1", address.port(), Some(&trusted))
            .await;
        assert_eq!(
            dialed.map(drop).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        let dial = dialer.dial("127.0.0.1", address.port(), Some(&trusted));
        let waited = weir_ring::timeout(Duration::from_millis(200), dial).await;
        assert!(waited.is_err(), "it can be given up at any time");
    });
}
