//! A web site of its own: another origin than weir's, with plain pages that play.

use crate::tools;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const PAGE: &[u8] = include_bytes!("../browser/page.html");

const FLV_PAGE: &[u8] = include_bytes!("../browser/flv.html");

const DASH_PAGE: &[u8] = include_bytes!("../browser/dash.html");

const SHAKA_PAGE: &[u8] = include_bytes!("../browser/shaka.html");

/// Where npm's packages have their scripts, by the names of the pages for them.
const SCRIPTS: [(&str, &str); 4] = [
    ("/hls.js", "hls.js/dist/hls.min.js"),
    ("/mpegts.js", "mpegts.js/dist/mpegts.js"),
    ("/dash.js", "dashjs/dist/modern/umd/dash.all.min.js"),
    ("/shaka.js", "shaka-player/dist/shaka-player.compiled.js"),
];

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
    /// If the players are not installed.
    pub fn start() -> Self {
        let script = |path| std::fs::read(tools::node_modules().join(path)).unwrap();
        let scripts = SCRIPTS.map(|(name, path)| (name, script(path)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let serve = move || {
            for socket in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let _ = answer(socket, &scripts);
            }
        };
        Self {
            addr,
            stop,
            thread: Some(std::thread::spawn(serve)),
        }
    }

    /// The page that plays `source` by hls.js.
    pub fn page(&self, source: &str) -> String {
        self.page_of("", source)
    }

    /// The page that plays `source` by dash.js.
    pub fn dash_page(&self, source: &str) -> String {
        self.page_of("dash", source)
    }

    /// The page that plays `source` by shaka-player.
    pub fn shaka_page(&self, source: &str) -> String {
        self.page_of("shaka", source)
    }

    /// The page that plays the live FLV at `source` by mpegts.js.
    pub fn flv_page(&self, source: &str) -> String {
        self.page_of("flv", source)
    }

    fn page_of(&self, page: &str, source: &str) -> String {
        // Of what our URLs hold, only these would end the value.
        let source = source
            .replace('?', "%3F")
            .replace('=', "%3D")
            .replace('&', "%26");
        format!("http://{}/{page}?src={source}", self.addr)
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

fn answer(mut socket: TcpStream, scripts: &[(&str, Vec<u8>)]) -> std::io::Result<()> {
    socket.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    let mut lines = BufReader::new(socket.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let page = match path {
        "/" => Some(PAGE),
        "/flv" => Some(FLV_PAGE),
        "/dash" => Some(DASH_PAGE),
        "/shaka" => Some(SHAKA_PAGE),
        _ => None,
    };
    let script = scripts.iter().find(|(name, _)| *name == path);
    let (status, media_type, body) = match (page, script) {
        (Some(page), _) => ("200 OK", "text/html; charset=utf-8", page),
        (None, Some((_, script))) => ("200 OK", "text/javascript", &script[..]),
        (None, None) => ("404 Not Found", "text/plain", &b""[..]),
    };
    let len = body.len();
    write!(
        socket,
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len}\r\n\
         Connection: close\r\n\r\n"
    )?;
    socket.write_all(body)
}
