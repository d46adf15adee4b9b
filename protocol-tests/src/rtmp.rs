//! A small RTMP client of our own: publishes exact bytes, and hears what the server answers.
//! Deliberately independent of `weir-rtmp`.

use crate::flv::{self, Tag};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// AMF0 values, as far as commands have them.
#[derive(Debug, Clone, PartialEq)]
pub enum Amf {
    /// Number.
    Number(f64),
    /// Boolean.
    Bool(bool),
    /// String.
    Text(String),
    /// Object or ECMA array.
    Object(Vec<(String, Amf)>),
    /// Null or undefined.
    Null,
}

impl Amf {
    /// A string.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// Appends the value's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(n) => {
                out.push(0);
                out.extend(n.to_be_bytes());
            }
            Self::Bool(b) => out.extend([1, u8::from(*b)]),
            Self::Text(text) => {
                out.push(2);
                short_text(text, out);
            }
            Self::Object(pairs) => {
                out.push(3);
                for (key, value) in pairs {
                    short_text(key, out);
                    value.write(out);
                }
                out.extend([0, 0, 9]);
            }
            Self::Null => out.push(5),
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let marker = take(bytes, 1)?[0];
        Some(match marker {
            0 => Self::Number(f64::from_be_bytes(take(bytes, 8)?.try_into().ok()?)),
            1 => Self::Bool(take(bytes, 1)?[0] != 0),
            2 => Self::Text(read_text(bytes)?),
            3 | 8 => {
                if marker == 8 {
                    take(bytes, 4)?;
                }
                let mut pairs = Vec::new();
                loop {
                    let key = read_text(bytes)?;
                    if bytes.first() == Some(&9) {
                        take(bytes, 1)?;
                        break Self::Object(pairs);
                    }
                    pairs.push((key, Self::read(bytes)?));
                }
            }
            5 | 6 => Self::Null,
            _ => return None,
        })
    }

    fn field(&self, name: &str) -> Option<&str> {
        let Self::Object(pairs) = self else {
            return None;
        };
        pairs.iter().find_map(|(key, value)| match value {
            Self::Text(text) if key == name => Some(text.as_str()),
            _ => None,
        })
    }
}

fn short_text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(n)?;
    *bytes = rest;
    Some(head)
}

fn read_text(bytes: &mut &[u8]) -> Option<String> {
    let len = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
    String::from_utf8(take(bytes, usize::from(len))?.to_vec()).ok()
}

/// A message of the server.
#[derive(Debug, Clone)]
pub struct Message {
    /// Message type id.
    pub kind: u8,
    /// Payload.
    pub body: Vec<u8>,
}

impl Message {
    /// The values of an AMF0 command.
    pub fn command(&self) -> Vec<Amf> {
        let mut rest = &self.body[..];
        let mut values = Vec::new();
        while self.kind == 20 && !rest.is_empty() {
            match Amf::read(&mut rest) {
                Some(value) => values.push(value),
                None => break,
            }
        }
        values
    }

    /// Name of the command.
    pub fn name(&self) -> Option<String> {
        match self.command().first() {
            Some(Amf::Text(name)) => Some(name.clone()),
            _ => None,
        }
    }

    /// `code` and `level` of an `onStatus`, or of an `_error`.
    pub fn status(&self) -> Option<(String, String)> {
        let values = self.command();
        let info = values.last()?;
        Some((
            info.field("code")?.into(),
            info.field("level").unwrap_or_default().into(),
        ))
    }
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Connection {
    /// The socket, for sending what no client would.
    pub socket: TcpStream,
    out_chunk: usize,
    in_chunk: usize,
    /// Per chunk stream: length, type, extended, payload so far.
    partial: Vec<(u32, usize, u8, bool, Vec<u8>)>,
}

/// Longest wait for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

impl Connection {
    /// Connects and shakes hands.
    ///
    /// # Errors
    /// If the server does not answer as RTMP demands.
    pub fn open(addr: SocketAddr) -> io::Result<Self> {
        let mut socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(ANSWER_WAIT))?;
        socket.set_write_timeout(Some(Duration::from_secs(30)))?;
        let mut c0c1 = vec![3u8];
        c0c1.extend([0; 8]);
        c0c1.extend((0..1528u32).map(|i| (i * 7 + 1) as u8));
        socket.write_all(&c0c1)?;
        let mut answer = vec![0; 1 + 1536 + 1536];
        socket.read_exact(&mut answer)?;
        if answer[0] != 3 || answer[1537 + 8..] != c0c1[1 + 8..] {
            return Err(io::Error::other("S0 is not 3, or S2 does not echo C1"));
        }
        socket.write_all(&answer[1..1537])?;
        Ok(Self {
            socket,
            out_chunk: 128,
            in_chunk: 128,
            partial: Vec::new(),
        })
    }

    /// The server's end of an accepted connection: shakes hands.
    ///
    /// # Errors
    /// If the client does not do as RTMP demands.
    pub fn accept(mut socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.set_write_timeout(Some(Duration::from_secs(30)))?;
        let mut c0c1 = [0; 1537];
        socket.read_exact(&mut c0c1)?;
        let mut answer = vec![0; 1537];
        answer[0] = 3;
        answer.extend(&c0c1[1..]);
        socket.write_all(&answer)?;
        socket.read_exact(&mut c0c1[1..])?;
        if c0c1[0] != 3 || c0c1[1..5] != [0; 4] {
            return Err(io::Error::other("C0 is not 3, or C2 does not echo S1"));
        }
        Ok(Self {
            socket,
            out_chunk: 128,
            in_chunk: 128,
            partial: Vec::new(),
        })
    }

    /// Sends Set Chunk Size.
    ///
    /// # Errors
    /// Of the socket.
    pub fn set_chunk_size(&mut self, size: u32) -> io::Result<()> {
        self.send(2, 0, 1, 0, &size.to_be_bytes())?;
        self.out_chunk = size as usize;
        Ok(())
    }

    /// Sends one message with a full header.
    ///
    /// # Errors
    /// Of the socket.
    pub fn send(
        &mut self,
        chunk_stream: u8,
        timestamp: u32,
        kind: u8,
        message_stream: u32,
        body: &[u8],
    ) -> io::Result<()> {
        let mut out = Vec::with_capacity(body.len() + body.len() / self.out_chunk * 5 + 16);
        let extended = timestamp >= 0xff_ffff;
        out.push(chunk_stream);
        out.extend(&timestamp.min(0xff_ffff).to_be_bytes()[1..]);
        out.extend(&(body.len() as u32).to_be_bytes()[1..]);
        out.push(kind);
        out.extend(message_stream.to_le_bytes());
        for (i, piece) in body.chunks(self.out_chunk).enumerate() {
            if i > 0 {
                out.push(0xc0 | chunk_stream);
            }
            if extended {
                out.extend(timestamp.to_be_bytes());
            }
            out.extend(piece);
        }
        self.socket.write_all(&out)
    }

    /// Sends an AMF0 command.
    ///
    /// # Errors
    /// Of the socket.
    pub fn command(&mut self, message_stream: u32, values: &[Amf]) -> io::Result<()> {
        let mut body = Vec::new();
        for value in values {
            value.write(&mut body);
        }
        let chunk_stream = if message_stream == 0 { 3 } else { 8 };
        self.send(chunk_stream, 0, 20, message_stream, &body)
    }

    /// Sends `connect` the way OBS does and waits for its result.
    ///
    /// # Errors
    /// If the socket fails or the server refuses.
    pub fn connect(&mut self, app: &str) -> io::Result<()> {
        self.connect_with(app, &[])
    }

    /// The same with more properties.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub fn connect_with(&mut self, app: &str, more: &[(&str, Amf)]) -> io::Result<()> {
        let url = format!("rtmp://{}/{app}", self.socket.peer_addr()?);
        let object = [
            ("app", Amf::text(app)),
            ("type", Amf::text("nonprivate")),
            ("flashVer", Amf::text("FMLE/3.0 (compatible; FMSc/1.0)")),
            ("swfUrl", Amf::text(&url)),
            ("tcUrl", Amf::text(&url)),
        ];
        let more = more.iter().cloned();
        let object = object.into_iter().chain(more);
        let object = object.map(|(k, v)| (k.to_string(), v)).collect();
        self.command(
            0,
            &[Amf::text("connect"), Amf::Number(1.0), Amf::Object(object)],
        )?;
        self.result(1.0)?;
        Ok(())
    }

    /// Sends `createStream` and gives the message stream's id.
    ///
    /// # Errors
    /// If the socket fails or the server refuses.
    pub fn create_stream(&mut self) -> io::Result<u32> {
        self.command(0, &[Amf::text("createStream"), Amf::Number(4.0), Amf::Null])?;
        match self.result(4.0)?.command().last() {
            Some(Amf::Number(id)) => Ok(*id as u32),
            other => Err(io::Error::other(format!("createStream gave {other:?}"))),
        }
    }

    /// Plays a stream of `live` on a new message stream, up to the server's consent; its number.
    ///
    /// # Errors
    /// If the server refuses: the error's text is the code of its answer.
    pub fn play(&mut self, key: &str) -> io::Result<u32> {
        let stream = self.create_stream()?;
        let [play, key] = ["play", key].map(Amf::text);
        let values = [play, Amf::Number(0.0), Amf::Null, key, Amf::Number(-2000.0)];
        self.command(stream, &values)?;
        loop {
            let (code, level) = self.status()?;
            if level == "error" {
                return Err(io::Error::other(code));
            }
            if code == "NetStream.Play.Start" {
                return Ok(stream);
            }
        }
    }

    /// The next `count` audio and video messages, as tags without their time.
    ///
    /// # Errors
    /// As [`Connection::receive`].
    pub fn media(&mut self, count: usize) -> io::Result<Vec<Tag>> {
        let mut tags = Vec::new();
        while tags.len() < count {
            let Message { kind, body } = self.receive()?;
            if matches!(kind, flv::AUDIO | flv::VIDEO) {
                tags.push(Tag {
                    kind,
                    timestamp: 0,
                    body,
                });
            }
        }
        Ok(tags)
    }

    /// Waits for the `_result` of a transaction; its `_error` is an error with its code.
    fn result(&mut self, transaction: f64) -> io::Result<Message> {
        loop {
            let message = self.receive()?;
            if message.command().get(1) != Some(&Amf::Number(transaction)) {
                continue;
            }
            match message.name().as_deref() {
                Some("_result") => return Ok(message),
                Some("_error") => {
                    let code = message.status().map(|s| s.0);
                    return Err(io::Error::other(code.unwrap_or_else(|| "_error".into())));
                }
                _ => {}
            }
        }
    }

    /// Waits for an `onStatus`: its code and level.
    ///
    /// # Errors
    /// If none comes.
    pub fn status(&mut self) -> io::Result<(String, String)> {
        loop {
            let message = self.receive()?;
            if message.name().as_deref() == Some("onStatus") {
                return message
                    .status()
                    .ok_or_else(|| io::Error::other("onStatus has no code"));
            }
        }
    }

    /// Reads the next message.
    ///
    /// # Errors
    /// If the server closes, or stays silent for 10 s.
    pub fn receive(&mut self) -> io::Result<Message> {
        loop {
            let first = self.bytes::<1>()?[0];
            let stream = match first & 0x3f {
                0 => u32::from(self.bytes::<1>()?[0]) + 64,
                1 => u32::from(u16::from_le_bytes(self.bytes()?)) + 64,
                n => u32::from(n),
            };
            let at = match self.partial.iter().position(|p| p.0 == stream) {
                Some(at) => at,
                None => {
                    self.partial.push((stream, 0, 0, false, Vec::new()));
                    self.partial.len() - 1
                }
            };
            let format = first >> 6;
            if format < 3 {
                let time: [u8; 3] = self.bytes()?;
                self.partial[at].3 = time == [0xff; 3];
                if format < 2 {
                    let [a, b, c, kind]: [u8; 4] = self.bytes()?;
                    self.partial[at].1 = u32::from_be_bytes([0, a, b, c]) as usize;
                    self.partial[at].2 = kind;
                }
                if format == 0 {
                    self.bytes::<4>()?;
                }
            }
            if self.partial[at].3 {
                self.bytes::<4>()?;
            }
            let have = self.partial[at].4.len();
            let want = (self.partial[at].1 - have).min(self.in_chunk);
            let mut piece = vec![0; want];
            self.socket.read_exact(&mut piece)?;
            self.partial[at].4.extend(piece);
            if self.partial[at].4.len() == self.partial[at].1 {
                let body = std::mem::take(&mut self.partial[at].4);
                let message = Message {
                    kind: self.partial[at].2,
                    body,
                };
                if let (1, Ok(size)) = (message.kind, message.body[..].try_into()) {
                    self.in_chunk = u32::from_be_bytes(size) as usize;
                }
                return Ok(message);
            }
        }
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.socket.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether the server closes the connection within `limit`; what it still says is
    /// read over.
    pub fn closes_within(&mut self, limit: Duration) -> bool {
        closes_within(&mut self.socket, limit)
    }
}

/// Whether the peer of `socket` closes it within `limit`.
pub fn closes_within(socket: &mut TcpStream, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    let _ = socket.set_read_timeout(Some(Duration::from_millis(100)));
    let mut sink = [0; 4096];
    while Instant::now() < end {
        match socket.read(&mut sink) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {}
            Err(_) => return true,
        }
    }
    false
}

/// A connection that publishes.
#[derive(Debug)]
pub struct Publisher {
    /// What it publishes over.
    pub connection: Connection,
    /// Its message stream.
    pub stream: u32,
    key: String,
}

impl Publisher {
    /// Publishes to `live` the way OBS does.
    ///
    /// # Errors
    /// If the server refuses: the error's text is the code of its answer.
    pub fn start(addr: SocketAddr, key: &str) -> io::Result<Self> {
        Self::start_in(addr, "live", key)
    }

    /// The same with another application.
    ///
    /// # Errors
    /// As [`Publisher::start`].
    pub fn start_in(addr: SocketAddr, app: &str, key: &str) -> io::Result<Self> {
        Self::start_with(addr, app, key, &[])
    }

    /// The same with more properties of `connect`.
    ///
    /// # Errors
    /// As [`Publisher::start`].
    pub fn start_with(
        addr: SocketAddr,
        app: &str,
        key: &str,
        more: &[(&str, Amf)],
    ) -> io::Result<Self> {
        let mut connection = Connection::open(addr)?;
        connection.set_chunk_size(4096)?;
        connection.connect_with(app, more)?;
        let release = [
            Amf::text("releaseStream"),
            Amf::Number(2.0),
            Amf::Null,
            Amf::text(key),
        ];
        connection.command(0, &release)?;
        let announce = [
            Amf::text("FCPublish"),
            Amf::Number(3.0),
            Amf::Null,
            Amf::text(key),
        ];
        connection.command(0, &announce)?;
        let stream = connection.create_stream()?;
        let publish = ["publish", key, "live"].map(Amf::text);
        let [name, key_value, live] = publish;
        connection.command(
            stream,
            &[name, Amf::Number(5.0), Amf::Null, key_value, live],
        )?;
        let (code, _) = connection.status()?;
        if code != "NetStream.Publish.Start" {
            return Err(io::Error::other(code));
        }
        Ok(Self {
            connection,
            stream,
            key: key.into(),
        })
    }

    /// Sends one tag as it is.
    ///
    /// # Errors
    /// If the server has closed.
    pub fn send(&mut self, tag: &Tag) -> io::Result<()> {
        let chunk_stream = match tag.kind {
            flv::AUDIO => 4,
            flv::VIDEO => 6,
            _ => 5,
        };
        if tag.kind == flv::SCRIPT {
            let mut body = Vec::new();
            Amf::text("@setDataFrame").write(&mut body);
            body.extend(&tag.body);
            return self
                .connection
                .send(chunk_stream, tag.timestamp, tag.kind, self.stream, &body);
        }
        self.connection.send(
            chunk_stream,
            tag.timestamp,
            tag.kind,
            self.stream,
            &tag.body,
        )
    }

    /// Sends tags as fast as the server takes them.
    ///
    /// # Errors
    /// If the server has closed.
    pub fn send_all<'a>(&mut self, tags: impl IntoIterator<Item = &'a Tag>) -> io::Result<()> {
        tags.into_iter().try_for_each(|tag| self.send(tag))
    }

    /// Sends tags when they are due.
    ///
    /// # Errors
    /// If the server has closed.
    pub fn send_paced<'a>(&mut self, tags: impl IntoIterator<Item = &'a Tag>) -> io::Result<()> {
        let mut start = None;
        for tag in tags {
            let (begun, first) = *start.get_or_insert((Instant::now(), tag.timestamp));
            let due = Duration::from_millis(u64::from(tag.timestamp.saturating_sub(first)));
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            self.send(tag)?;
        }
        Ok(())
    }

    /// Ends as OBS does: FCUnpublish, deleteStream, close.
    pub fn finish(mut self) {
        let key = Amf::text(&self.key);
        let unpublish = [Amf::text("FCUnpublish"), Amf::Number(6.0), Amf::Null, key];
        let _ = self.connection.command(0, &unpublish);
        let stream = Amf::Number(f64::from(self.stream));
        let delete = [
            Amf::text("deleteStream"),
            Amf::Number(7.0),
            Amf::Null,
            stream,
        ];
        let _ = self.connection.command(0, &delete);
        self.vanish();
    }

    /// Ends without a word, once all that was sent has been taken: an abortive close would
    /// throw away what is still on its way.
    pub fn vanish(mut self) {
        let _ = self.connection.socket.shutdown(Shutdown::Write);
        self.connection.closes_within(Duration::from_secs(10));
    }
}

/// Publishes tags in real time from another thread, until they are all sent, the server
/// closes, or it is stopped.
#[derive(Debug)]
pub struct Background {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Background {
    /// Starts publishing.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn start(addr: SocketAddr, key: &str, tags: Vec<Tag>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicUsize::new(0));
        let mut publisher = Publisher::start(addr, key).expect("the server lets us publish");
        let (stopped, count) = (stop.clone(), sent.clone());
        let work = move || {
            let live = || !stopped.load(Ordering::Relaxed);
            let counted = |_: &&Tag| {
                count.fetch_add(1, Ordering::Relaxed);
            };
            let all = tags.iter().take_while(|_| live()).inspect(counted);
            let sent = publisher.send_paced(all);
            publisher.vanish();
            sent
        };
        Self {
            stop,
            sent,
            thread: Some(std::thread::spawn(work)),
        }
    }

    /// Tags sent so far.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Stops, as a publisher whose network is cut cleanly; gives whether the server took all
    /// until then.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    /// Waits until all tags are sent.
    pub fn join(mut self) -> io::Result<()> {
        self.thread
            .take()
            .map_or(Ok(()), |t| t.join().expect("the publisher does not panic"))
    }

    fn end(&mut self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .take()
            .map_or(Ok(()), |t| t.join().expect("the publisher does not panic"))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
