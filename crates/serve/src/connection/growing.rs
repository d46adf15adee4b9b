//! Content that still grows (RFC 8673), served as low-latency delivery will serve it: the head by
//! [`Response`], the bytes by [`send`], waits that end when the peer leaves. Only tests have such
//! content yet.

use super::{After, Connection, gone, may_keep, read_head};
use crate::input::Input;
use crate::response::{Keep, Outgoing, Piece, Response};
use crate::send::{in_time, send};
use crate::{Counters, Options, Server};
use bytes::{Bytes, BytesMut};
use std::cell::{Cell, RefCell};
use std::io;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use weir_http::range::{Growing, Resolved, requested_growing};
use weir_http::{Head, Method, Parsed, Request, Status, Version, request};
use weir_media::{Mono, Now, Utc};
use weir_net::{ConnectionLimits, Stream};
use weir_ring::net::TcpListener;
use weir_ring::{Either, Notify};
use weir_store::{Library, LibraryConfig};

const ETAG: &str = "g";
/// A guard against hanging.
const GUARD: Duration = Duration::from_secs(25);

/// Content that grows until it ends.
struct Content {
    bytes: RefCell<Vec<u8>>,
    is_ended: Cell<bool>,
    news: Notify,
}

impl Content {
    fn append(&self, bytes: &[u8]) {
        self.bytes.borrow_mut().extend_from_slice(bytes);
        self.news.notify_all();
    }

    fn end(&self) {
        self.is_ended.set(true);
        self.news.notify_all();
    }

    fn len(&self) -> u64 {
        self.bytes.borrow().len() as u64
    }

    fn part(&self, from: u64, to: u64) -> Bytes {
        Bytes::copy_from_slice(&self.bytes.borrow()[from as usize..to as usize])
    }
}

/// How an answer goes on behind its head.
struct Rest {
    /// The next byte of the content.
    at: u64,
    is_chunked: bool,
}

fn resource(body: Vec<Piece>) -> Response {
    Response::ok("video/mp4", Keep::OneSecond, body).with_etag(format_args!("{ETAG}"))
}

/// The head of an answer, with what is there of a closed range; how it goes on, if it is open.
fn begin(server: &Server, content: &Content, request: &Request<'_>) -> (Outgoing, Option<Rest>) {
    let keep_alive = may_keep(request);
    let available = content.len();
    let mut response = resource(Vec::new());
    if content.is_ended.get() {
        let whole = vec![Piece::Memory(content.part(0, available))];
        return (
            server.finish(resource(whole), Some(request), keep_alive),
            None,
        );
    }
    let etag = response.etag;
    let range = requested_growing(request, etag.as_ref().map(|etag| etag.as_str()));
    let growing = range.map_or(Growing::Whole, |range| range.resolve_growing(available));
    let (selected, body, from) = match growing {
        Growing::Whole => (Resolved::Whole, None, Some(0)),
        Growing::Open { first, last } => (Resolved::Part { first, last }, None, Some(first)),
        Growing::Part { first, last } => {
            let part = content.part(first, last + 1);
            (Resolved::Part { first, last }, Some(part), None)
        }
        Growing::Unsatisfiable => (Resolved::Unsatisfiable, Some(Bytes::new()), None),
    };
    response.status = match selected {
        Resolved::Whole => Status::Ok,
        Resolved::Part { .. } => Status::PartialContent,
        Resolved::Unsatisfiable => Status::RangeNotSatisfiable,
    };
    // HTTP/1.0 has no chunks: the end of the connection ends the body.
    let is_chunked = request.version == Version::Http11;
    let keep_alive = keep_alive && (is_chunked || from.is_none());
    let length = matches!(selected, Resolved::Unsatisfiable).then_some(available);
    let sent = body.as_ref().map(|body| body.len() as u64);
    let mut arena = BytesMut::new();
    let date = server.date();
    let head = Head::start(&mut arena, response.status, &date);
    let mut head = response.describe(head, Some(request), (sent, length), selected);
    if from.is_some() && is_chunked {
        head = head.chunked();
    }
    head.connection(keep_alive).end();
    let has_body = request.method != Method::Head;
    let outgoing = Outgoing {
        status: response.status,
        head_len: arena.len(),
        head: arena.freeze(),
        body: body
            .filter(|_| has_body)
            .map(Piece::Memory)
            .into_iter()
            .collect(),
        keep_alive,
        corked: false,
        sent: 0,
        of: None,
    };
    let rest = from.map(|at| Rest { at, is_chunked });
    (outgoing, rest.filter(|_| has_body))
}

async fn answer(
    server: &Server,
    stream: &mut Stream,
    input: &mut Input,
    content: &Content,
    (outgoing, rest): (Outgoing, Option<Rest>),
) -> io::Result<After> {
    send(server, stream, &outgoing).await?;
    let Some(mut rest) = rest else {
        return Ok(After::of(&outgoing));
    };
    loop {
        let grown = content.news.notified();
        let available = content.len();
        if rest.at < available {
            let bytes = content.part(rest.at, available);
            rest.at = available;
            in_time(server, stream.send_vectored(rest.frame(bytes))).await?;
        } else if content.is_ended.get() {
            let end = rest.frame(Bytes::new());
            in_time(server, stream.send_vectored(end)).await?;
            return Ok(After::of(&outgoing));
        } else if let Either::Right(()) = weir_ring::select(grown, gone(stream, input)).await {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
    }
}

impl Rest {
    /// Bytes as they go out; none is the end.
    fn frame(&self, bytes: Bytes) -> Vec<Bytes> {
        match (self.is_chunked, bytes.is_empty()) {
            (false, _) => vec![bytes],
            (true, true) => vec!["0\r\n\r\n".into()],
            (true, false) => {
                let size = format!("{:x}\r\n", bytes.len());
                vec![size.into(), bytes, "\r\n".into()]
            }
        }
    }
}

impl After {
    fn of(outgoing: &Outgoing) -> Self {
        match outgoing.keep_alive {
            true => Self::Next,
            false => Self::Close,
        }
    }
}

/// Serves requests for the content until the connection is over.
async fn serve(mut connection: Connection, mut stream: Stream, content: Rc<Content>) {
    let server = connection.server.clone();
    let mut input = Input::default();
    loop {
        let head = read_head(&mut connection, &mut stream, &mut input).await;
        let Ok(Some(len)) = head else {
            return;
        };
        let head = input.bytes()[..len].to_vec();
        input.consume(len);
        input.release();
        let Ok(Parsed::Head { head: request, .. }) = request::parse(&head) else {
            return;
        };
        let begun = begin(&server, &content, &request);
        match answer(&server, &mut stream, &mut input, &content, begun).await {
            Ok(After::Next) => {}
            Ok(After::Close) => return super::linger(stream).await,
            Ok(After::Live(..)) | Err(_) => return,
        }
    }
}

/// What the client has the content do, in order.
enum Step {
    Append(&'static [u8]),
    End,
}

/// Serves content of which `0123456789` is there, while `client` runs.
fn with_client(client: impl FnOnce(SocketAddr, &dyn Fn(Step)) + Send + 'static) -> Counters {
    let mut runtime = weir_ring::Runtime::new(weir_ring::Config::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let counters = Counters::new(1);
    let now = Now {
        mono: Mono(0),
        utc: Utc(0),
    };
    let library = Library::open(LibraryConfig::new(dir.path()), now).unwrap();
    let server = Server::new(library, 0, counters.clone(), Arc::new(Options::default()));
    let content = Rc::new(Content {
        bytes: RefCell::new(b"0123456789".to_vec()),
        is_ended: Cell::new(false),
        news: Notify::new(),
    });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (steps, inbox) = channel();
    let client = std::thread::spawn(move || client(address, &|step| steps.send(step).unwrap()));
    let serving = async {
        let mut listener = TcpListener::from_std(listener).unwrap();
        let accepting = weir_ring::spawn({
            let (server, content) = (server.clone(), content.clone());
            async move {
                let limits = ConnectionLimits::new(100, 100);
                while let Ok((stream, peer)) = listener.accept().await {
                    let guard = limits.admit(peer.ip()).unwrap();
                    let peer: IpAddr = peer.ip();
                    let connection = Connection::new(server.clone(), peer, guard);
                    weir_ring::spawn(serve(connection, stream.into(), content.clone()));
                }
            }
        });
        take_steps(&inbox, &content, &client).await;
        accepting.abort();
        // A peer that left leaves nothing behind.
        while server.counters().connections.get() > 0 {
            weir_ring::sleep(Duration::from_millis(1)).await;
        }
    };
    let done = runtime.block_on(weir_ring::timeout(GUARD, serving));
    done.expect("the test hangs");
    client.join().unwrap();
    counters
}

async fn take_steps<T>(
    inbox: &Receiver<Step>,
    content: &Content,
    client: &std::thread::JoinHandle<T>,
) {
    while !client.is_finished() {
        match inbox.try_recv() {
            Ok(Step::Append(bytes)) => content.append(bytes),
            Ok(Step::End) => content.end(),
            Err(_) => weir_ring::sleep(Duration::from_millis(1)).await,
        }
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(GUARD)).unwrap();
        Self(BufReader::new(socket))
    }

    fn ask(&mut self, line: &str, fields: &str) -> String {
        let request = format!("{line}\r\nHost: h\r\n{fields}\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "{head}");
        }
        head
    }

    fn get(&mut self, fields: &str) -> String {
        self.ask("GET /x HTTP/1.1", fields)
    }

    /// The next bytes, of which there are as many.
    fn expect(&mut self, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        self.0.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }
}

fn assert_has(head: &str, expected: &[&str]) {
    for line in expected {
        assert!(head.contains(line), "{line} is not in\n{head}");
    }
}

const OPEN: &str = "Range: bytes=7-9007199254740991\r\n";
const CHUNKED: &str = "\r\nTransfer-Encoding: chunked\r\n";

#[test]
fn an_open_range_goes_on_as_the_content_does() {
    with_client(|address, then| {
        let mut client = Client::open(address);
        let head = client.get(OPEN);
        let range = "\r\nContent-Range: bytes 7-9007199254740991/*\r\n";
        assert_has(&head, &["HTTP/1.1 206 ", range, CHUNKED]);
        assert!(!head.contains("\r\nContent-Length:"), "{head}");
        client.expect("3\r\n789\r\n");
        then(Step::Append(b"abcdefghijkl"));
        client.expect("c\r\nabcdefghijkl\r\n");
        then(Step::Append(b"m"));
        client.expect("1\r\nm\r\n");
        then(Step::End);
        client.expect("0\r\n\r\n");
        // It is as long as it is now, and the connection goes on.
        let head = client.get(OPEN);
        let range = "\r\nContent-Range: bytes 7-22/23\r\n";
        assert_has(
            &head,
            &["HTTP/1.1 206 ", range, "\r\nContent-Length: 16\r\n"],
        );
        client.expect("789abcdefghijklm");
    });
}

#[test]
fn what_is_there_is_sent_at_once() {
    with_client(|address, then| {
        let mut client = Client::open(address);
        for (range, sent) in [("2-4", "234"), ("8-", "89"), ("8-100", "89")] {
            let head = client.get(&format!("Range: bytes={range}\r\n"));
            let first = &sent[..1];
            let last = &sent[sent.len() - 1..];
            let content_range = format!("\r\nContent-Range: bytes {first}-{last}/*\r\n");
            let length = format!("\r\nContent-Length: {}\r\n", sent.len());
            assert_has(&head, &["HTTP/1.1 206 ", &content_range, &length]);
            client.expect(sent);
        }
        // The byte after the last may be waited for, those after it not.
        let head = client.get("Range: bytes=11-9007199254740991\r\n");
        let expected = [
            "HTTP/1.1 416 ",
            "\r\nContent-Range: bytes */10\r\n",
            "\r\nCache-Control: no-store\r\n",
            "\r\nContent-Length: 0\r\n",
        ];
        assert_has(&head, &expected);
        // The head says how it would go on (RFC 8673 section 2.1), and nothing follows.
        let head = client.ask("HEAD /x HTTP/1.1", OPEN);
        assert_has(&head, &["HTTP/1.1 206 ", CHUNKED]);
        let head = client.get("Range: bytes=10-9007199254740991\r\n");
        assert_has(&head, &["HTTP/1.1 206 ", CHUNKED]);
        then(Step::Append(b"x"));
        client.expect("1\r\nx\r\n");
        then(Step::End);
        client.expect("0\r\n\r\n");
    });
}

#[test]
fn the_whole_grows_too_and_a_condition_must_hold() {
    with_client(|address, then| {
        let mut other = Client::open(address);
        let mut old = Client::open(address);
        let mut clients = [
            ("", "a\r\n0123456789\r\n"),
            ("If-Range: \"other\"\r\n", "a\r\n0123456789\r\n"),
        ]
        .map(|(condition, there)| {
            let mut client = Client::open(address);
            let fields = match condition {
                "" => String::new(),
                condition => format!("{OPEN}{condition}"),
            };
            assert_has(&client.get(&fields), &["HTTP/1.1 200 ", CHUNKED]);
            client.expect(there);
            client
        });
        let head = other.get(&format!("{OPEN}If-Range: \"{ETAG}\"\r\n"));
        assert_has(&head, &["HTTP/1.1 206 ", CHUNKED]);
        other.expect("3\r\n789\r\n");
        // Who knows no chunks reads to the end of the connection.
        let head = old.ask("GET /x HTTP/1.0", "Connection: keep-alive\r\n");
        assert_has(&head, &["HTTP/1.1 200 ", "\r\nConnection: close\r\n"]);
        assert!(!head.contains("chunked") && !head.contains("\r\nContent-Length:"));
        old.expect("0123456789");
        then(Step::Append(b"ab"));
        for client in clients.iter_mut().chain([&mut other]) {
            client.expect("2\r\nab\r\n");
        }
        then(Step::End);
        for client in clients.iter_mut().chain([&mut other]) {
            client.expect("0\r\n\r\n");
        }
        let mut rest = String::new();
        old.0.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "ab");
    });
}

#[test]
fn a_peer_that_leaves_is_not_waited_for() {
    let counters = with_client(|address, _| {
        for _ in 0..3 {
            let mut client = Client::open(address);
            client.get(OPEN);
            client.expect("3\r\n789\r\n");
        }
    });
    // All are gone, and the content goes on.
    assert_eq!(counters.connections.get(), 0);
}
