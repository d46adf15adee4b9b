//! Other RTMP servers, as targets and as sources.

use crate::eventually;
use crate::process::Process;
use crate::tools;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A running server.
#[derive(Debug)]
pub struct Peer {
    /// The process.
    pub process: Process,
    /// RTMP.
    pub rtmp: SocketAddr,
    /// RTMP under TLS; port 0 where it has none.
    pub rtmps: SocketAddr,
    _home: TempDir,
}

impl Peer {
    /// nginx with its RTMP module. Streams of the application `live` may be published and played.
    ///
    /// # Panics
    /// If it does not start.
    pub fn nginx_rtmp() -> Self {
        let home = TempDir::new().unwrap();
        let rtmp = free_address();
        let user = if tools::is_root() { "user root;" } else { "" };
        let folder = home.path().display();
        let text = format!(
            "{user}
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 1024; }}
rtmp {{
    access_log off;
    server {{
        listen {rtmp};
        application live {{ live on; }}
    }}
}}
"
        );
        let file = home.path().join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let mut nginx = tools::program("nginx");
        nginx.arg("-c").arg(&file).arg("-p").arg(home.path());
        nginx.args(["-e", "stderr"]);
        Self::start(nginx, rtmp, NO_TLS, home)
    }

    /// node-media-server, with RTMPS if there is a certificate and its key.
    ///
    /// # Panics
    /// If it does not start.
    pub fn node_media_server(tls: Option<(&Path, &Path)>) -> Self {
        let home = TempDir::new().unwrap();
        let (rtmp, rtmps) = (free_address(), free_address());
        let secure = tls.map_or(String::new(), |(cert, key)| {
            format!(
                "rtmps: {{ port: {}, key: {key:?}, cert: {cert:?} }},",
                rtmps.port()
            )
        });
        let script = format!(
            "const Server = require('node-media-server');
             new Server({{ bind: '127.0.0.1', rtmp: {{ port: {} }}, {secure}
                           webadmin: {{ enable: false }}, store: {{ path: './data' }} }}, '').run();",
            rtmp.port()
        );
        let mut node = tools::program("node");
        node.arg("-e").arg(script).current_dir(home.path());
        node.env("NODE_PATH", tools::node_modules());
        Self::start(node, rtmp, if tls.is_some() { rtmps } else { NO_TLS }, home)
    }

    fn start(mut command: Command, rtmp: SocketAddr, rtmps: SocketAddr, home: TempDir) -> Self {
        let mut process = Process::spawn(&mut command);
        eventually(Duration::from_secs(20), "the peer listens", || {
            if let Some(status) = process.ended() {
                panic!("the peer ended with {status}: {}", process.tail());
            }
            TcpStream::connect(rtmp).ok()
        });
        Self {
            process,
            rtmp,
            rtmps,
            _home: home,
        }
    }

    /// The address of a stream.
    pub fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.rtmp)
    }

    /// The same under TLS.
    pub fn url_tls(&self, name: &str) -> String {
        format!("rtmps://{}/live/{name}", self.rtmps)
    }
}

const NO_TLS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// An address for a server that cannot pick one itself.
///
/// # Panics
/// If there is none.
pub fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    free.unwrap()
}
