//! A viewer's requests: HTTP/1.1 over one connection that is kept.

use crate::Result;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest body that is taken: a segment of 10 s at 50 Mbit/s.
const BODY_MAX: u64 = 64 << 20;

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    connection: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects.
    pub fn connect(server: SocketAddr) -> Result<Self> {
        let failed = |e: std::io::Error| format!("cannot connect to {server}: {e}");
        let stream = TcpStream::connect(server).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Self {
            connection: BufReader::new(stream),
        })
    }

    /// Asks for the resource at an absolute path.
    pub fn fetch(&mut self, path: &str) -> Result<Answer> {
        let failed = |e: std::io::Error| format!("{path}: {e}");
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n");
        let stream = self.connection.get_mut();
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut line = String::new();
        self.connection.read_line(&mut line).map_err(failed)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| format!("{path}: no status in {line:?}"))?;
        let mut length = 0;
        loop {
            line.clear();
            self.connection.read_line(&mut line).map_err(failed)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                let parsed = value.trim().parse::<u64>();
                length = parsed.map_err(|e| format!("{path}: {line:?}: {e}"))?;
            }
        }
        if length > BODY_MAX {
            return Err(format!("{path}: a body of {length} bytes"));
        }
        let mut body = vec![0; length as usize];
        self.connection.read_exact(&mut body).map_err(failed)?;
        Ok(Answer { status, body })
    }
}

/// The absolute path of `uri`, which stands in the playlist at `base` (RFC 3986 §5.2).
pub fn resolve(base: &str, uri: &str) -> String {
    let mut segments: Vec<&str> = base.split('/').collect();
    segments.pop();
    for segment in uri.split('/') {
        if segment == ".." {
            segments.pop();
        } else {
            segments.push(segment);
        }
    }
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_relative_to_their_playlist() {
        let playlist = resolve("/a/manifest/video.m3u8", "../b/live/1.m3u8");
        assert_eq!(playlist, "/a/b/live/1.m3u8");
        assert_eq!(resolve(&playlist, "../../../s/k/1/0.m4s"), "/s/k/1/0.m4s");
    }

    #[test]
    fn answers_are_read_to_their_length() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let answers = [
                &b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"[..],
                b"HTTP/1.1 200 OK\r\nX: y\r\ncontent-length: 3\r\n\r\nabc",
            ];
            for answer in answers {
                let mut request = [0; 1024];
                assert!(stream.read(&mut request).unwrap() > 0);
                stream.write_all(answer).unwrap();
            }
        });
        let mut client = Client::connect(address).unwrap();
        assert_eq!(client.fetch("/x").unwrap().status, 404);
        let answer = client.fetch("/y").unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"abc"[..]));
        server.join().unwrap();
    }
}
