//! weir and nginx as servers of the same files on the server's core.

use super::tls::Certificate;
use crate::process::Process;
use crate::server::{Addresses, NGINX, free_address, nginx_user};
use crate::{Options, Result, cores};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The one to measure.
    Weir,
    /// What it is measured beside.
    Nginx,
}

impl Kind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weir => "weir",
            Self::Nginx => "nginx",
        }
    }
}

/// A server that runs; dropping it ends it.
#[derive(Debug)]
pub struct Peer {
    /// Which it is.
    pub kind: Kind,
    /// Where it serves in the clear.
    pub http: SocketAddr,
    /// Where it serves over TLS, if it can.
    pub https: Option<SocketAddr>,
    process: Process,
}

/// Where both find what they serve, and write what they must.
#[derive(Debug)]
pub struct Place {
    /// A folder of this run.
    pub folder: PathBuf,
    /// For TLS.
    pub certificate: Certificate,
}

impl Place {
    /// weir's data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// nginx's files.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }
}

impl Peer {
    /// Starts weir with so many workers: on the server's core if it is one.
    pub fn weir(options: &Options, place: &Place, workers: usize) -> Result<Self> {
        let program = options.weir()?;
        let folder = &place.folder;
        let ready = folder.join("ready.json");
        // A ready file of an earlier one would be taken for this one's.
        let _ = fs::remove_file(&ready);
        let mut command = Command::new(&program);
        command
            .args(["serve", "--open", "--log", "warn", "--workers"])
            .arg(workers.to_string())
            .args([
                "--http",
                "127.0.0.1:0",
                "--rtmp",
                "127.0.0.1:0",
                "--api",
                "127.0.0.1:0",
            ])
            .arg("--data")
            .arg(place.data())
            .arg("--ready-file")
            .arg(&ready)
            // Not a flag: older versions do not know it.
            .env("WEIR_SRT", "off");
        if speaks_tls(&program) {
            let configuration = folder.join("weir.toml");
            let Certificate { certificate, key } = &place.certificate;
            let text = format!(
                "[tls]\ncertificates = [{{ certificate = {certificate:?}, key = {key:?} }}]\n"
            );
            fs::write(&configuration, text)
                .map_err(|e| format!("cannot write the configuration of weir: {e}"))?;
            command
                .args(["--https", "127.0.0.1:0", "--config"])
                .arg(configuration);
        }
        let log = folder.join("weir.log");
        let mut process = on_cores(workers, || Process::start(&mut command, log))?;
        process.wait(|| ready.exists())?;
        let addresses = Addresses::read(&ready)?;
        Ok(Self {
            kind: Kind::Weir,
            http: addresses.of("http").ok_or("weir names no http address")?,
            https: addresses.of("https"),
            process,
        })
    }

    /// Starts nginx with one worker on the server's core.
    pub fn nginx(place: &Place) -> Result<Self> {
        let (http, https) = (free_address()?, free_address()?);
        let folder = &place.folder;
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, nginx_configuration(http, https, place))
            .map_err(|e| format!("cannot write the configuration of nginx: {e}"))?;
        let mut command = Command::new(NGINX);
        command.arg("-c").arg(&configuration).arg("-p").arg(folder);
        command.args(["-e", "stderr"]);
        let log = folder.join("nginx.log");
        let mut process = on_cores(1, || Process::start(&mut command, log))?;
        process.wait(|| TcpStream::connect(http).is_ok())?;
        Ok(Self {
            kind: Kind::Nginx,
            http,
            https: Some(https),
            process,
        })
    }

    /// Its processes.
    pub fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }

    /// What it has logged: nothing, if all is well.
    pub fn complaints(&self) -> String {
        let text = self.process.said();
        let lines = text.lines().filter(|line| !line.contains("WARN open: "));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// What is started inherits the cores; weir's workers pin themselves to them, too.
fn on_cores<T>(workers: usize, start: impl FnOnce() -> Result<T>) -> Result<T> {
    if workers == 1 {
        cores::pin(cores::server())?;
    } else {
        cores::unpin()?;
    }
    let started = start();
    cores::pin(cores::client())?;
    started
}

/// Whether this weir has a listener for TLS.
fn speaks_tls(program: &Path) -> bool {
    let help = Command::new(program).args(["serve", "--help"]).output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--https "))
}

/// As fast as nginx can be made, with the headers that weir sends.
fn nginx_configuration(http: SocketAddr, https: SocketAddr, place: &Place) -> String {
    let Certificate { certificate, key } = &place.certificate;
    let (user, folder, root) = (nginx_user(), place.folder.display(), place.root());
    let (root, certificate, key) = (root.display(), certificate.display(), key.display());
    format!(
        "{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; use epoll; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    open_file_cache max=1000 inactive=1h;
    open_file_cache_valid 1h;
    types {{ video/mp4 m4s; application/vnd.apple.mpegurl m3u8; }}
    add_header Cache-Control \"public, max-age=31536000, immutable\";
    add_header Access-Control-Allow-Origin *;
    add_header Access-Control-Expose-Headers \"Content-Length, Content-Range, Date, ETag\";
    server {{
        listen {http} backlog=4096;
        listen {https} ssl http2 backlog=4096;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        root {root};
    }}
}}
"
    )
}
