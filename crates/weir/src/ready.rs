//! Telling others that weir is ready: the ready file, and systemd.

use serde::Serialize;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// What the ready file holds: the process, its data, and each listener's real address
/// under its flag's name; a listener that is off is absent.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ready {
    /// Process id.
    pub pid: u32,
    /// Data directory, absolute.
    pub data: String,
    /// Playback over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Playback over HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<String>,
    /// Metrics and health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// RTMP ingest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmp: Option<String>,
    /// RTMP ingest under TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmps: Option<String>,
    /// SRT ingest and play.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srt: Option<String>,
}

impl Ready {
    /// Writes the file atomically: a reader sees all of it or nothing.
    ///
    /// # Errors
    /// If the file or its temporary twin beside it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", self.pid));
        std::fs::write(&beside, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&beside, path)
    }
}

/// Tells systemd `state` (`READY=1`, `STOPPING=1`) if it started us with `Type=notify`;
/// see sd_notify(3). Without systemd this does nothing.
pub fn notify(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let sent = UnixDatagram::unbound().and_then(|s| match socket.to_str() {
        Some(name) if name.starts_with('@') => {
            use std::os::linux::net::SocketAddrExt;
            let addr = std::os::unix::net::SocketAddr::from_abstract_name(&name[1..])?;
            s.send_to_addr(state.as_bytes(), &addr)
        }
        _ => s.send_to(state.as_bytes(), Path::new(&socket)),
    });
    if let Err(e) = sent {
        tracing::warn!("cannot notify systemd: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_what_is_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        let ready = Ready {
            pid: 7,
            data: "/d".into(),
            http: Some("127.0.0.1:41873".into()),
            ..Ready::default()
        };
        ready.write(&path).unwrap();
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(json["http"], "127.0.0.1:41873");
        assert_eq!(json["pid"], 7);
        assert!(json.get("rtmp").is_none());
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no twin is left"
        );
    }
}
