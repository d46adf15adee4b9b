//! A receiver of authorisation hooks: what people write behind nginx-rtmp's `on_publish`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A call that came: its fields in order, decoded.
#[derive(Debug, Clone)]
pub struct Call(Vec<(String, String)>);

impl Call {
    /// The last field of that name, as receivers take it.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What is called: `publish`, `done`, …
    pub fn call(&self) -> &str {
        self.field("call").unwrap_or_default()
    }
}

/// The receiver; it goes with this value.
#[derive(Debug)]
pub struct Receiver {
    addr: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts one that answers each call with the status line and head that `answer` chooses,
    /// such as `302 Found\r\nLocation: other`.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start(answer: fn(&Call) -> &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (stopped, kept) = (stop.clone(), calls.clone());
        let serve = move || {
            for socket in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let _ = take(socket, &kept, answer);
            }
        };
        Self {
            addr,
            calls,
            stop,
            thread: Some(std::thread::spawn(serve)),
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// The calls so far.
    ///
    /// # Panics
    /// If the receiver did.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// How many calls of one kind came.
    pub fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|c| c.call() == call).count()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accept.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn take(
    mut socket: TcpStream,
    calls: &Mutex<Vec<Call>>,
    answer: fn(&Call) -> &'static str,
) -> io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(socket.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).map_err(io::Error::other)?;
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    let call = Call(pairs.map(|(n, v)| (decode(n), decode(v))).collect());
    let head = answer(&call);
    calls.lock().map_err(|_| io::ErrorKind::Other)?.push(call);
    write!(socket, "HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n")
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |d: &[u8]| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok();
        match (first, after.split_at_checked(2)) {
            (b'%', Some((digits, after))) if hex(digits).is_some() => {
                bytes.extend(hex(digits));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
