//! A small HTTP/1.1 client that shows everything: status, each header, the exact body.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header fields, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// Body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header field's value; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `max-age` of Cache-Control, in seconds.
    pub fn max_age(&self) -> Option<u64> {
        let fields = self.header("cache-control").split(',');
        fields
            .filter_map(|f| f.trim().strip_prefix("max-age="))
            .find_map(|n| n.parse().ok())
    }
}

/// One keep-alive connection.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Of the socket.
    pub fn open(addr: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        // Longer than the 9 s for which weir holds a first request.
        socket.set_read_timeout(Some(Duration::from_secs(15)))?;
        Ok(Self {
            reader: BufReader::new(socket),
        })
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// Of the socket, or if the answer is not HTTP.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> io::Result<Answer> {
        let host = self.reader.get_ref().peer_addr()?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        self.reader.get_mut().write_all(head.as_bytes())?;
        self.read_answer(method == "HEAD")
    }

    fn read_answer(&mut self, is_head: bool) -> io::Result<Answer> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not HTTP: {first:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
        }
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        if !is_head && status != 304 && status != 204 {
            if answer.header("transfer-encoding") == "chunked" {
                answer.body = self.chunked()?;
            } else {
                let len = answer.header("content-length").parse();
                answer.body = vec![0; len.map_err(|_| io::Error::other("no Content-Length"))?];
                self.reader.read_exact(&mut answer.body)?;
            }
        }
        Ok(answer)
    }

    fn chunked(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let len = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
            let start = body.len();
            body.resize(start + len, 0);
            self.reader.read_exact(&mut body[start..])?;
            self.line()?;
            if len == 0 {
                return Ok(body);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_string())
    }
}

/// Gets a path over a connection of its own.
///
/// # Panics
/// If there is no answer.
pub fn get(addr: SocketAddr, path: &str) -> Answer {
    request(addr, "GET", path, &[])
}

/// Sends a request over a connection of its own.
///
/// # Panics
/// If there is no answer.
pub fn request(addr: SocketAddr, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = Client::open(addr).and_then(|mut c| c.request(method, path, fields));
    answer.unwrap_or_else(|e| panic!("{method} {path}: {e}"))
}
