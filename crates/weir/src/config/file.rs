//! `weir.toml`.

use super::value::{
    AccessFormat, Applications, ForwardedField, HookFormat, HookUrl, InputKey, InputName,
    InputPassphrase, InputSecret, Listen, LogFormat, Networks, RemoteUrl, Sites, Span,
};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Longest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One `[[input]]`: a name under which may be published, and what opens it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputEntry {
    /// Name of the stream that the key publishes.
    pub name: InputName,
    /// `sha256:` and 64 hex digits, as `weir config key` prints.
    pub key_hash: Option<InputKey>,
    /// Keys that sign push URLs for it.
    #[serde(default)]
    pub signing_keys: Vec<InputSecret>,
    /// Keys that sign push URLs in Tencent's form.
    #[serde(default)]
    pub tencent_keys: Vec<InputSecret>,
    /// What encrypts it over SRT, for publishers and players.
    #[serde(default)]
    pub passphrase: Option<InputPassphrase>,
    /// Networks that may publish it; everybody if it is empty.
    #[serde(default)]
    pub publish_allow: Networks,
    /// Networks that may not.
    #[serde(default)]
    pub publish_deny: Networks,
    /// Networks that may play it; everybody if it is empty.
    #[serde(default)]
    pub play_allow: Networks,
    /// Networks that may not.
    #[serde(default)]
    pub play_deny: Networks,
    /// Sites whose pages may play the stream; every site if it is left out.
    #[serde(default)]
    pub allowed_origins: Option<Sites>,
    /// Other inputs that take its place, and when.
    #[serde(default)]
    pub failover: Option<FailoverEntry>,
    /// FLV: what it shows while nobody publishes.
    #[serde(default)]
    pub slate: Option<PathBuf>,
    /// For how long at most.
    #[serde(default)]
    pub slate_time: Option<Span>,
    /// Where it goes besides.
    #[serde(default)]
    pub push: Vec<PushEntry>,
}

/// `failover`: what a stream is shown from when its own input fails.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailoverEntry {
    /// Names of other inputs, the preferred first.
    pub inputs: Vec<InputName>,
    /// How long nothing may come.
    #[serde(default)]
    pub loss: Option<Span>,
    /// How long times may stand still.
    #[serde(default)]
    pub frozen: Option<Span>,
    /// How long a track may be missing.
    #[serde(default)]
    pub missing: Option<Span>,
    /// Tracks that an input must have.
    #[serde(default)]
    pub require: Vec<TrackWord>,
    /// When a preferred input is shown again.
    #[serde(default)]
    pub back: Option<BackWord>,
    /// How long it has to be healthy before that.
    #[serde(default)]
    pub stable: Option<Span>,
}

/// A kind of track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackWord {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// When a preferred input is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackWord {
    /// When the shown one fails.
    Never,
    /// When it has been healthy for a time.
    Stable,
    /// At its next keyframe.
    AtOnce,
}

/// One of `push`: a server that a stream goes to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushEntry {
    /// What it is called here.
    pub name: InputName,
    /// Where it is.
    pub url: RemoteUrl,
    /// The stream's name or key there, if that does not stand at the end of `url`.
    #[serde(default)]
    pub key: Option<String>,
    /// PEM: the certificates that are trusted instead of the system's authorities.
    #[serde(default)]
    pub tls_ca: Option<PathBuf>,
    /// Whether it is pushed to; it is if this is left out.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// One `[[pull]]`: a stream that comes from another server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullEntry {
    /// Name of the stream here.
    pub name: InputName,
    /// Where it comes from.
    pub url: RemoteUrl,
    /// Its name there, if that does not stand at the end of `url`.
    #[serde(default)]
    pub key: Option<String>,
    /// Which program of a transport stream it is; the first if this is left out.
    #[serde(default)]
    pub program: Option<std::num::NonZeroU16>,
    /// PEM: the certificates that are trusted instead of the system's authorities.
    #[serde(default)]
    pub tls_ca: Option<PathBuf>,
    /// Whether it is pulled only while somebody watches.
    #[serde(default)]
    pub on_demand: bool,
    /// How long after the last viewer it is given up.
    #[serde(default)]
    pub idle: Option<Span>,
    /// Other inputs that take its place, and when.
    #[serde(default)]
    pub failover: Option<FailoverEntry>,
    /// FLV: what it shows while nobody publishes.
    #[serde(default)]
    pub slate: Option<PathBuf>,
    /// For how long at most.
    #[serde(default)]
    pub slate_time: Option<Span>,
    /// Where it goes besides.
    #[serde(default)]
    pub push: Vec<PushEntry>,
}

/// `[access]`: networks that may publish and play, whatever an input says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessEntry {
    /// Networks that may publish; everybody if it is empty.
    #[serde(default)]
    pub publish_allow: Networks,
    /// Networks that may not.
    #[serde(default)]
    pub publish_deny: Networks,
    /// Networks that may play; everybody if it is empty.
    #[serde(default)]
    pub play_allow: Networks,
    /// Networks that may not.
    #[serde(default)]
    pub play_deny: Networks,
}

/// `[hooks]`: the program that is asked who may publish and play, and told when they are done.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HooksEntry {
    /// Asked before a stream is published.
    pub on_publish: Option<HookUrl>,
    /// Asked before a stream is played over RTMP.
    pub on_play: Option<HookUrl>,
    /// Told when a publisher is done.
    pub on_publish_done: Option<HookUrl>,
    /// Told when a player is done.
    pub on_play_done: Option<HookUrl>,
    /// Told when either is.
    pub on_done: Option<HookUrl>,
    /// How the body is written.
    pub format: Option<HookFormat>,
    /// Longest time for an answer.
    pub timeout: Option<Span>,
    /// Signs the calls.
    pub secret: Option<InputSecret>,
}

/// `[tls]`: what HTTPS and RTMPS show.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsEntry {
    /// Certificates with their keys; the first is for clients that name no host we know.
    #[serde(default)]
    pub certificates: Vec<CertificateEntry>,
}

/// A certificate and its key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateEntry {
    /// PEM: the certificate first, then its chain.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// The file as it is written: every key optional, unknown keys refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "each key is documented where Settings declares it"
)]
pub struct FileConfig {
    pub data: Option<PathBuf>,
    pub open: Option<bool>,
    pub ready_file: Option<PathBuf>,
    pub http: Option<Listen>,
    pub https: Option<Listen>,
    pub api: Option<Listen>,
    pub rtmp: Option<Listen>,
    pub rtmps: Option<Listen>,
    pub srt: Option<Listen>,
    pub srt_latency: Option<Span>,
    pub applications: Option<Applications>,
    pub workers: Option<usize>,
    pub segment: Option<Span>,
    pub part: Option<Span>,
    pub window: Option<Span>,
    pub keep: Option<Span>,
    pub grace: Option<Span>,
    pub merge: Option<Span>,
    pub log: Option<String>,
    pub log_format: Option<LogFormat>,
    pub connections_max: Option<usize>,
    pub connections_per_address_max: Option<usize>,
    pub requests_per_second: Option<usize>,
    pub trusted_proxies: Option<Networks>,
    pub forwarded_field: Option<ForwardedField>,
    pub proxy_protocol: Option<bool>,
    pub private_targets: Option<Networks>,
    pub access_log: Option<PathBuf>,
    pub access_log_format: Option<AccessFormat>,
    #[serde(default)]
    pub access: AccessEntry,
    #[serde(default)]
    pub hooks: HooksEntry,
    #[serde(default)]
    pub tls: TlsEntry,
    #[serde(default)]
    pub input: Vec<InputEntry>,
    #[serde(default)]
    pub pull: Vec<PullEntry>,
}

impl FileConfig {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// A text naming the file, and the line and key if the content is wrong.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let failed = |e: std::io::Error| format!("cannot read configuration {shown}: {e}");
        let len = std::fs::metadata(path).map_err(failed)?.len();
        if len > FILE_BYTES_MAX {
            return Err(format!("configuration {shown} is longer than 1 MiB"));
        }
        Self::parse(
            &std::fs::read_to_string(path).map_err(failed)?,
            &shown.to_string(),
        )
    }

    /// Parses the text of a file called `name`.
    ///
    /// # Errors
    /// As [`FileConfig::read`].
    pub fn parse(text: &str, name: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|e| format!("configuration {name}: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_file_line_and_key() {
        let wrong = |text| FileConfig::parse(text, "weir.toml").unwrap_err();
        let e = wrong("open = true\nsegmnt = \"4s\"\n");
        assert!(
            e.contains("weir.toml") && e.contains("line 2") && e.contains("segmnt"),
            "{e}"
        );
        let e = wrong("\n\nsegment = \"4 seconds\"\n");
        assert!(e.contains("line 3") && e.contains("500ms"), "{e}");
        let e = wrong("[[input]]\nkey_hash = \"sha256:\"\n");
        assert!(e.contains("line 2") && e.contains("64 hexa"), "{e}");
        let e = wrong("[[input]]\nname = \"a\"\nkye_hash = \"\"\n");
        assert!(e.contains("kye_hash"), "{e}");
        let e = wrong("[[input]]\nname = \"a\"\nsigning_keys = [\"short\"]\n");
        assert!(e.contains("line 3") && e.contains("16 characters"), "{e}");
    }
}
