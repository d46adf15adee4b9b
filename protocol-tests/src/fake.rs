//! An RTMP server of our own that says what the test wants: as a source or a target that breaks the
//! rules.

use crate::flv::{self, Tag};
use crate::rtmp::{Amf, Connection};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A listening fake. It serves until the test ends.
#[derive(Debug, Clone)]
pub struct Fake {
    /// Where it listens.
    pub at: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Fake {
    /// Calls `serve` with each connection and its number, from 0, on a thread of its own.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start(
        serve: impl Fn(TcpStream, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (serve, count) = (Arc::new(serve), accepted.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let serve = serve.clone();
                // That a client leaves is the test's doing.
                std::thread::spawn(move || serve(stream, number).ok());
            }
        });
        Self { at, accepted }
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The address of a stream.
    pub fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.at)
    }
}

/// Waits for a command, and gives its transaction.
fn wait_for(connection: &mut Connection, name: &str) -> io::Result<f64> {
    loop {
        let command = connection.receive()?.command();
        if command.first() == Some(&Amf::text(name)) {
            return match command.get(1) {
                Some(Amf::Number(transaction)) => Ok(*transaction),
                _ => Err(io::Error::other("no transaction")),
            };
        }
    }
}

fn object(pairs: &[(&str, &str)]) -> Amf {
    let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), Amf::text(v)));
    Amf::Object(pairs.collect())
}

/// Handshake, and the answer to `connect`.
///
/// # Errors
/// If the client does not do its part.
pub fn connected(socket: TcpStream) -> io::Result<Connection> {
    let mut connection = Connection::accept(socket)?;
    let transaction = wait_for(&mut connection, "connect")?;
    let success = object(&[
        ("level", "status"),
        ("code", "NetConnection.Connect.Success"),
    ]);
    connection.command(
        0,
        &[
            Amf::text("_result"),
            Amf::Number(transaction),
            Amf::Null,
            success,
        ],
    )?;
    Ok(connection)
}

/// The same, but sends the client to another application.
///
/// # Errors
/// If the client does not do its part.
pub fn redirected(socket: TcpStream, to: &str) -> io::Result<()> {
    let mut connection = Connection::accept(socket)?;
    let transaction = wait_for(&mut connection, "connect")?;
    let elsewhere = Amf::Object(vec![
        ("code".into(), Amf::Number(302.0)),
        ("redirect".into(), Amf::text(to)),
    ]);
    let rejected = Amf::Object(vec![
        ("level".into(), Amf::text("error")),
        ("code".into(), Amf::text("NetConnection.Connect.Rejected")),
        ("ex".into(), elsewhere),
    ]);
    connection.command(
        0,
        &[
            Amf::text("_error"),
            Amf::Number(transaction),
            Amf::Null,
            rejected,
        ],
    )?;
    // Until the client leaves.
    while connection.receive().is_ok() {}
    Ok(())
}

/// Goes on until `verb`, `publish` or `play`, is answered with `code`.
///
/// # Errors
/// If the client does not do its part.
pub fn answered(socket: TcpStream, verb: &str, code: &str, level: &str) -> io::Result<Connection> {
    let mut connection = connected(socket)?;
    let transaction = wait_for(&mut connection, "createStream")?;
    let id = Amf::Number(1.0);
    connection.command(
        0,
        &[
            Amf::text("_result"),
            Amf::Number(transaction),
            Amf::Null,
            id,
        ],
    )?;
    wait_for(&mut connection, verb)?;
    status(&mut connection, 1, &[("level", level), ("code", code)])?;
    Ok(connection)
}

/// Sends an `onStatus`.
///
/// # Errors
/// Of the socket.
pub fn status(connection: &mut Connection, stream: u32, pairs: &[(&str, &str)]) -> io::Result<()> {
    let values = [
        Amf::text("onStatus"),
        Amf::Number(0.0),
        Amf::Null,
        object(pairs),
    ];
    connection.command(stream, &values)
}

/// Serves a player with tags at their pace.
///
/// # Errors
/// Of the socket.
pub fn play(connection: &mut Connection, tags: &[Tag]) -> io::Result<()> {
    let began = std::time::Instant::now();
    for tag in tags.iter().filter(|tag| tag.kind != flv::SCRIPT) {
        let due = std::time::Duration::from_millis(tag.timestamp.into());
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let chunk_stream = if tag.kind == flv::AUDIO { 4 } else { 6 };
        connection.send(chunk_stream, tag.timestamp, tag.kind, 1, &tag.body)?;
    }
    Ok(())
}
