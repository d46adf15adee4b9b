//! Configuration: defaults, then `weir.toml`, then the environment, then flags.

mod file;
mod value;

pub use file::{
    AccessEntry, BackWord, CertificateEntry, FailoverEntry, FileConfig, HooksEntry, InputEntry,
    PullEntry, PushEntry, TrackWord,
};
pub use value::{
    AccessFormat, Applications, ForwardedField, InputName, InputSecret, Listen, LogFormat,
    Networks, Place, Span,
};

use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;
use weir_http::forwarded::Field;
use weir_hub::fanout::FanoutConfig;
use weir_hub::limits::FANOUT_MERGE_MAX;
use weir_net::limits::{CONNECTIONS_DEFAULT, CONNECTIONS_PER_ADDRESS_DEFAULT};
use weir_store::limits::WORKERS_MAX;

/// The commented reference: every key with its unit and default.
pub const REFERENCE: &str = include_str!("../../../docs/weir.toml");

/// Default of `timeout` in `[hooks]`. At most 8 s can be set: a session that waits for the answer
/// is not read from, and is closed after 10 s of silence.
pub const HOOK_TIMEOUT: Span = Span(Duration::from_secs(3));

/// Declares every setting once: its flag, environment variable, key and default.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $key:ident: $kind:ty = $default:expr, $env:literal, $metavar:literal $(, $arg:ident = $value:expr)*;)+) => {
        /// Flags of `serve` and `demo`. Every flag is also a key of `weir.toml` and an
        /// environment variable; a flag wins over the environment, that over the file.
        #[derive(Debug, Default, Clone, Args)]
        pub struct Flags {
            /// Configuration file; its keys are those of `weir config print`
            #[arg(long, env = "WEIR_CONFIG", value_name = "FILE")]
            pub config: Option<PathBuf>,
            $($(#[doc = $doc])+
            #[arg(long, env = $env, value_name = $metavar $(, $arg = $value)*)]
            pub $key: Option<$kind>,)+
        }

        /// The settings that hold, wherever they came from.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $key: $kind,)+
            /// Who may publish (`[[input]]`).
            pub inputs: Vec<InputEntry>,
            /// From where (`[access]`).
            pub access: AccessEntry,
            /// Whom to ask (`[hooks]`).
            pub hooks: HooksEntry,
            /// What is pulled (`[[pull]]`).
            pub pulls: Vec<PullEntry>,
            /// What HTTPS and RTMPS show (`[tls]`).
            pub certificates: Vec<CertificateEntry>,
        }

        impl Settings {
            /// Merges flags (environment included) over the file over the defaults.
            fn merge(flags: &Flags, file: FileConfig) -> Self {
                Self {
                    $($key: flags.$key.clone().or(file.$key).unwrap_or_else(|| $default),)+
                    inputs: file.input,
                    access: file.access,
                    hooks: file.hooks,
                    pulls: file.pull,
                    certificates: file.tls.certificates,
                }
            }
        }

        impl FileConfig {
            /// Every key of the file outside of its tables, with its default as the file writes it.
            #[cfg(test)]
            fn defaults() -> Vec<(&'static str, String)> {
                vec![$((stringify!($key), { let v: $kind = $default; text(&v) })),+]
            }
        }
    };
}

settings! {
    /// Data directory: recordings, secrets; made when missing
    data: PathBuf = PathBuf::from("weir-data"), "WEIR_DATA", "DIR";
    /// Let any key publish as a stream of that name (for first use and tests)
    open: bool = false, "WEIR_OPEN", "BOOL",
        num_args = 0..=1, require_equals = true, default_missing_value = "true";
    /// Written atomically once all listeners are bound: JSON with pid, data and addresses
    ready_file: PathBuf = PathBuf::new(), "WEIR_READY_FILE", "FILE";
    /// Playback over HTTP: IP:PORT (0 picks a free port) or off
    http: Listen = listen("[::]:8080"), "WEIR_HTTP", "ADDR";
    /// Playback over HTTPS, once the file names a certificate: IP:PORT or off
    https: Listen = listen("[::]:8443"), "WEIR_HTTPS", "ADDR";
    /// Metrics and health: IP:PORT or off; keep it on loopback
    api: Listen = listen("127.0.0.1:8081"), "WEIR_API", "ADDR";
    /// RTMP ingest: IP:PORT or off
    rtmp: Listen = listen("[::]:1935"), "WEIR_RTMP", "ADDR";
    /// RTMP ingest under TLS, once the file names a certificate: IP:PORT or off
    rtmps: Listen = listen("[::]:1936"), "WEIR_RTMPS", "ADDR";
    /// SRT ingest and play, on UDP: IP:PORT or off
    srt: Listen = listen("[::]:8890"), "WEIR_SRT", "ADDR";
    /// How long SRT connections wait for what is lost, at least, 20ms to 30s
    srt_latency: Span = Span(Duration::from_millis(120)), "WEIR_SRT_LATENCY", "TIME";
    /// Applications of rtmp://HOST/APPLICATION, between commas; all lead to the same streams
    applications: Applications = Applications(vec!["live".into()]), "WEIR_APPLICATIONS", "NAMES";
    /// Worker threads, each pinned to a core; 0 is one per core
    workers: usize = 0, "WEIR_WORKERS", "N";
    /// Target duration of a segment, 1s to 10s
    segment: Span = seconds(4), "WEIR_SEGMENT", "TIME";
    /// Target duration of a part (chunk), 100ms to 2s
    part: Span = Span(Duration::from_millis(500)), "WEIR_PART", "TIME";
    /// Length of the live playlist, at least three segments
    window: Span = seconds(60), "WEIR_WINDOW", "TIME";
    /// How long recordings are kept
    keep: Span = seconds(7 * 86_400), "WEIR_KEEP", "TIME";
    /// How long a publisher may be gone before its broadcast ends
    grace: Span = seconds(15), "WEIR_GRACE", "TIME";
    /// How long a frame may wait for others on its way to RTMP and FLV viewers; 0ms sends each at once
    merge: Span = Span(FanoutConfig::default().merge), "WEIR_MERGE", "TIME";
    /// What to log, by level or by target: error, warn, info, debug, weir_rtmp=debug,info
    log: String = "info".into(), "WEIR_LOG", "FILTER";
    /// How log lines look: text or json
    log_format: LogFormat = LogFormat::Text, "WEIR_LOG_FORMAT", "FORMAT";
    /// Connections that one worker holds; more are closed at once
    connections_max: usize = CONNECTIONS_DEFAULT, "WEIR_CONNECTIONS_MAX", "N";
    /// Connections that one worker holds for one address
    connections_per_address_max: usize = CONNECTIONS_PER_ADDRESS_DEFAULT, "WEIR_CONNECTIONS_PER_ADDRESS_MAX", "N";
    /// Requests per second that one address may send to one worker; 0 is no limit
    requests_per_second: usize = 0, "WEIR_REQUESTS_PER_SECOND", "N";
    /// Proxies whose word on the client's address is believed: networks, between commas
    trusted_proxies: Networks = Networks::default(), "WEIR_TRUSTED_PROXIES", "NETWORKS";
    /// The field they say it in: x-forwarded-for or forwarded
    forwarded_field: ForwardedField = ForwardedField(Field::XForwardedFor), "WEIR_FORWARDED_FIELD", "NAME";
    /// Connections of trusted proxies begin with a PROXY header
    proxy_protocol: bool = false, "WEIR_PROXY_PROTOCOL", "BOOL",
        num_args = 0..=1, require_equals = true, default_missing_value = "true";
    /// Private networks that pulls and pushes may go to: networks, between commas
    private_targets: Networks = Networks::default(), "WEIR_PRIVATE_TARGETS", "NETWORKS";
    /// Where HTTP requests are logged: a file, or - for standard output
    access_log: PathBuf = PathBuf::new(), "WEIR_ACCESS_LOG", "FILE";
    /// How its lines look: combined or json
    access_log_format: AccessFormat = AccessFormat(weir_serve::LogFormat::Combined), "WEIR_ACCESS_LOG_FORMAT", "FORMAT";
}

impl Settings {
    /// Reads the file that the flags name, if any, and merges.
    ///
    /// # Errors
    /// A text for the operator: which file, line and key, and what is wrong.
    pub fn load(flags: &Flags) -> Result<Self, String> {
        Self::load_over(flags, |_| {})
    }

    /// The same with other defaults: `defaults` may set what the file leaves open.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn load_over(
        flags: &Flags,
        defaults: impl FnOnce(&mut FileConfig),
    ) -> Result<Self, String> {
        let mut file = match &flags.config {
            Some(path) => FileConfig::read(path)?,
            None => FileConfig::default(),
        };
        defaults(&mut file);
        let settings = Self::merge(flags, file);
        settings.check().map_err(|e| match &flags.config {
            Some(path) => format!("configuration {}: {e}", path.display()),
            None => e,
        })?;
        if let Some(path) = flags.config.as_deref().filter(|_| settings.holds_secrets()) {
            weir_auth::secrets::require_private(path).map_err(|e| e.to_string())?;
        }
        Ok(settings)
    }

    /// Whether whoever reads the file could publish: keys are hashed there, but signing keys
    /// cannot be.
    fn holds_secrets(&self) -> bool {
        let signs = |i: &InputEntry| !(i.signing_keys.is_empty() && i.tencent_keys.is_empty());
        let encrypts = self.inputs.iter().any(|i| i.passphrase.is_some());
        self.inputs.iter().any(signs) || encrypts || self.hooks.secret.is_some()
    }

    /// Rules that one value alone cannot break.
    fn check(&self) -> Result<(), String> {
        let within = |key, span: Span, min: u64, max: u64| {
            let ms = u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
            if (min..=max).contains(&ms) {
                return Ok(());
            }
            let show = |ms| Span(Duration::from_millis(ms));
            Err(format!(
                "{key} = {span} is outside {} to {}",
                show(min),
                show(max)
            ))
        };
        within("segment", self.segment, 1000, 10_000)?;
        within("part", self.part, 100, 2000)?;
        within("window", self.window, 3000, 86_400_000)?;
        within("grace", self.grace, 0, 3_600_000)?;
        within("srt_latency", self.srt_latency, 20, 30_000)?;
        let merge_ms_max = u64::try_from(FANOUT_MERGE_MAX.as_millis()).unwrap_or(u64::MAX);
        within("merge", self.merge, 0, merge_ms_max)?;
        let timeout = self.hooks.timeout.unwrap_or(HOOK_TIMEOUT);
        within("timeout of [hooks]", timeout, 100, 8000)?;
        if self.keep.0 < Duration::from_secs(60) {
            return Err(format!("keep = {} is shorter than 1m", self.keep));
        }
        if self.window.0 < self.segment.0 * 3 {
            return Err(format!(
                "window = {} is shorter than three segments of {} (RFC 8216 §6.2.2)",
                self.window, self.segment
            ));
        }
        if self.part.0 > self.segment.0 {
            return Err(format!(
                "part = {} is longer than segment = {}",
                self.part, self.segment
            ));
        }
        if self.workers > WORKERS_MAX {
            let workers = self.workers;
            return Err(format!("workers = {workers} is more than {WORKERS_MAX}"));
        }
        if u32::try_from(self.requests_per_second).is_err() {
            return Err("requests_per_second is more than any address could send".into());
        }
        if self.proxy_protocol && self.trusted_proxies.0.is_empty() {
            let why = "proxy_protocol = true needs trusted_proxies: the networks of the proxies";
            return Err(why.into());
        }
        crate::logging::filter(self)?;
        crate::remotes::check(self)?;
        crate::slates::check(self)?;
        crate::failovers::check(self)?;
        for (key, path) in [("data", &self.data)] {
            if path.as_os_str().is_empty() {
                return Err(format!("{key} is empty"));
            }
        }
        Ok(())
    }

    /// Merges without a check, for tests.
    #[cfg(test)]
    pub fn of(flags: &Flags, file: FileConfig) -> Self {
        Self::merge(flags, file)
    }

    /// The ready file, if one was asked for.
    pub fn ready_file(&self) -> Option<&Path> {
        (!self.ready_file.as_os_str().is_empty()).then_some(self.ready_file.as_path())
    }
}

fn seconds(n: u64) -> Span {
    Span(Duration::from_secs(n))
}

/// Defaults are constants of this file; the tests parse each of them.
fn listen(text: &str) -> Listen {
    text.parse().unwrap_or(Listen(weir_net::Address::Off))
}

#[cfg(test)]
fn text(value: &dyn std::any::Any) -> String {
    if let Some(v) = value.downcast_ref::<PathBuf>() {
        format!("{:?}", v.display().to_string())
    } else if let Some(v) = value.downcast_ref::<String>() {
        format!("{v:?}")
    } else if let Some(v) = value.downcast_ref::<Listen>() {
        format!("\"{v}\"")
    } else if let Some(v) = value.downcast_ref::<Span>() {
        format!("\"{v}\"")
    } else if let Some(v) = value.downcast_ref::<LogFormat>() {
        format!("\"{v}\"")
    } else if let Some(v) = value.downcast_ref::<Networks>() {
        format!("\"{v}\"")
    } else if let Some(v) = value.downcast_ref::<Applications>() {
        format!("\"{v}\"")
    } else if let Some(v) = value.downcast_ref::<ForwardedField>() {
        format!("\"{v}\"")
    } else if let Some(v) = value.downcast_ref::<AccessFormat>() {
        format!("\"{v}\"")
    } else if let Some(v) = value.downcast_ref::<bool>() {
        v.to_string()
    } else {
        value
            .downcast_ref::<usize>()
            .map(ToString::to_string)
            .unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_names_every_key_with_its_default() {
        for (key, default) in FileConfig::defaults() {
            let line = format!("#{key} = {default}");
            assert!(
                REFERENCE.lines().any(|l| l == line),
                "docs/weir.toml lacks {line:?}"
            );
        }
    }

    #[test]
    fn the_reference_is_valid_with_every_key_set() {
        let all: String = REFERENCE
            .lines()
            .map(|l| match l.strip_prefix('#') {
                Some(key) if !key.starts_with(' ') && !key.is_empty() => format!("{key}\n"),
                _ => format!("{l}\n"),
            })
            .collect();
        let file = FileConfig::parse(&all, "docs/weir.toml").unwrap();
        let settings = Settings::merge(&Flags::default(), file);
        settings.check().unwrap();
        assert_eq!(settings.inputs.len(), 1);
        assert_eq!(settings.segment, seconds(4));
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = FileConfig::parse("segment = \"2s\"\npart = \"200ms\"", "f").unwrap();
        let flags = Flags {
            segment: Some(seconds(6)),
            ..Flags::default()
        };
        let settings = Settings::merge(&flags, file);
        assert_eq!(settings.segment, seconds(6));
        assert_eq!(settings.part, Span(Duration::from_millis(200)));
        assert_eq!(settings.grace, seconds(15));
    }

    #[test]
    fn rules_between_values_are_checked() {
        let with = |text: &str| {
            let file = FileConfig::parse(text, "f").unwrap();
            Settings::merge(&Flags::default(), file)
                .check()
                .unwrap_err()
        };
        assert!(with("segment = \"30s\"").contains("outside 1s to 10s"));
        assert!(with("window = \"10s\"").contains("three segments"));
        assert!(with("workers = 1000").contains("64"));
        assert!(with("keep = \"0s\"").contains("shorter than 1m"));
        assert!(with("proxy_protocol = true").contains("trusted_proxies"));
        assert!(with("log = \"weir=loud\"").contains("log filter"));
    }
}
