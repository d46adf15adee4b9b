//! A web site of its own: another origin than weir's, with a plain page that plays HLS with
//! hls.js.

use crate::tools;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const PAGE: &[u8] = include_bytes!("../browser/page.html");

const FLV_PAGE: &[u8] = include_bytes!("../browser/flv.html");

/// The site; it goes with this value.
#[derive(Debug)]
pub struct Site {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// If hls.js and mpegts.js are not installed.
    pub fn start() -> Self {
        let script = |path| std::fs::read(tools::node_modules().join(path)).unwrap();
        let hls = script("hls.js/dist/hls.min.js");
        let mpegts = script("mpegts.js/dist/mpegts.js");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let serve = move || {
            for socket in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let _ = answer(socket, &hls, &mpegts);
            }
        };
        Self {
            addr,
            stop,
            thread: Some(std::thread::spawn(serve)),
        }
    }

    /// The page that plays `source`.
    pub fn page(&self, source: &str) -> String {
        // Of what our URLs hold, only these would end the value.
        let source = source
            .replace('?', "%3F")
            .replace('=', "%3D")
            .replace('&', "%26");
        format!("http://{}/?src={source}", self.addr)
    }

    /// The page that plays the live FLV at `source`, a URL without a query, by mpegts.js.
    pub fn flv_page(&self, source: &str) -> String {
        format!("http://{}/flv?src={source}", self.addr)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accept.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut socket: TcpStream, hls: &[u8], mpegts: &[u8]) -> std::io::Result<()> {
    socket.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    let mut lines = BufReader::new(socket.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (status, media_type, body) = match path.split('?').next().unwrap_or_default() {
        "/" => ("200 OK", "text/html; charset=utf-8", PAGE),
        "/flv" => ("200 OK", "text/html; charset=utf-8", FLV_PAGE),
        "/hls.js" => ("200 OK", "text/javascript", hls),
        "/mpegts.js" => ("200 OK", "text/javascript", mpegts),
        _ => ("404 Not Found", "text/plain", &b""[..]),
    };
    let len = body.len();
    write!(
        socket,
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len}\r\n\
         Connection: close\r\n\r\n"
    )?;
    socket.write_all(body)
}
