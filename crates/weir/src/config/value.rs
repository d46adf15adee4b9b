//! Typed values of the configuration, one parser for flag, environment and file.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use weir_api::hooks::{self, Format};
use weir_auth::key::{KeyHash, Secret};
use weir_http::forwarded::Field;
use weir_http::network::Network;
use weir_http::origin::Origins;
use weir_media::StreamName;
use weir_net::Address;
use weir_rtmp::Url;

/// Most applications; each is compared once per publish or play request.
const APPLICATIONS_MAX: usize = 64;

/// A length of time, written with a unit: `500ms`, `4s`, `15m`, `12h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => {
                return Err(format!(
                    "{text:?} is not a length of time such as 500ms, 4s or 7d"
                ));
            }
        };
        let too_long = || format!("{text:?} is longer than 100 years");
        let number: u64 = number.parse().map_err(|_| too_long())?;
        let ms = number
            .checked_mul(unit_ms)
            .filter(|&ms| ms <= 36_500 * 86_400_000);
        Ok(Self(Duration::from_millis(ms.ok_or_else(too_long)?)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1000, "s"),
            (1, "ms"),
        ];
        let fits = units
            .iter()
            .find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
        match fits {
            Some((unit, name)) => write!(f, "{}{name}", ms / unit),
            None => f.write_str("0s"),
        }
    }
}

/// Where a listener binds: `IP:PORT`, port 0 for a free one, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(pub Address);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|e: weir_net::Error| e.to_string())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line per event.
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is neither \"text\" nor \"json\"")),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// How access-log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessFormat(pub weir_serve::LogFormat);

impl FromStr for AccessFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "combined" => Ok(Self(weir_serve::LogFormat::Combined)),
            "json" => Ok(Self(weir_serve::LogFormat::Json)),
            _ => Err(format!("{text:?} is neither \"combined\" nor \"json\"")),
        }
    }
}

impl fmt::Display for AccessFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            weir_serve::LogFormat::Combined => "combined",
            weir_serve::LogFormat::Json => "json",
        })
    }
}

/// Networks, between commas: `10.0.0.0/8, 2001:db8::/32, 192.0.2.1`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks(pub Vec<Network>);

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let parsed = parts.map(|part| {
            let failed = |e: weir_http::Error| format!("{part:?}: {e}");
            part.parse().map_err(failed)
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, network) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{network}")?;
        }
        Ok(())
    }
}

/// Applications of RTMP addresses (`rtmp://HOST/APPLICATION`), between commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applications(pub Vec<String>);

impl FromStr for Applications {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
        for name in &names {
            // An application obeys the rules of a stream's name: one path segment.
            StreamName::parse(name).map_err(|e| format!("{name:?} is no application: {e}"))?;
        }
        if names.len() > APPLICATIONS_MAX {
            return Err(format!("more than {APPLICATIONS_MAX} applications"));
        }
        Ok(Self(names))
    }
}

impl fmt::Display for Applications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// The field in which trusted proxies name the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardedField(pub Field);

impl FromStr for ForwardedField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(Self(Field::XForwardedFor)),
            "forwarded" => Ok(Self(Field::Forwarded)),
            _ => Err(format!(
                "{text:?} is neither \"x-forwarded-for\" nor \"forwarded\""
            )),
        }
    }
}

impl fmt::Display for ForwardedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Field::XForwardedFor => "x-forwarded-for",
            Field::Forwarded => "forwarded",
        })
    }
}

/// Sites that may play a stream: a list of origins and hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sites(pub Origins);

impl<'de> Deserialize<'de> for Sites {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let patterns = Vec::<String>::deserialize(from)?;
        Origins::parse(&patterns)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// The address of a stream on another server, `rtmp://HOST/APP/KEY` or `rtmps://…`, whose key may
/// stand beside it, or `srt://HOST:PORT?streamid=…`; or of a port where a transport stream comes, `udp://` or `rtp://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteUrl(pub String);

/// What an address names.
#[derive(Debug, Clone)]
pub enum Place {
    /// A stream on another server, over RTMP.
    Rtmp(Url),
    /// A port where a transport stream comes.
    Listen(weir_live::Listen),
    /// A stream on another server, over SRT.
    Srt(weir_live::SrtRemote),
}

impl RemoteUrl {
    /// With the key that stands beside it, if one does.
    ///
    /// # Errors
    /// What is wrong, without the address: it is secret.
    pub fn place(&self, key: Option<&str>) -> Result<Place, String> {
        let scheme = self.0.split_once("://").map_or("", |(scheme, _)| scheme);
        let place = match scheme.to_ascii_lowercase().as_str() {
            "udp" | "rtp" if key.is_some() => Err("has no use for a key"),
            "udp" | "rtp" => weir_live::Listen::parse(&self.0).map(Place::Listen),
            "srt" => weir_live::SrtRemote::parse(&self.0, key).map(Place::Srt),
            _ => Url::parse(&self.0, key).map(Place::Rtmp),
        };
        place.map_err(|why| format!("the address {why}"))
    }
}

impl<'de> Deserialize<'de> for RemoteUrl {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let url = Self(String::deserialize(from)?);
        // Any key will do to see whether the rest is right.
        match url.place(None).or_else(|_| url.place(Some("key"))) {
            Ok(_) => Ok(url),
            Err(_) => Err(serde::de::Error::custom(
                url.place(None).err().unwrap_or_default(),
            )),
        }
    }
}

/// The name of an `[[input]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputName(pub StreamName);

impl FromStr for InputName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        StreamName::parse(text).map(Self).map_err(|e| e.to_string())
    }
}

/// The key hash of an `[[input]]`.
#[derive(Debug, Clone)]
pub struct InputKey(pub KeyHash);

impl FromStr for InputKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|e: weir_auth::error::Error| e.to_string())
    }
}

/// The SRT passphrase of an `[[input]]`.
#[derive(Debug, Clone)]
pub struct InputPassphrase(pub weir_live::srt::Passphrase);

impl<'de> Deserialize<'de> for InputPassphrase {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let parsed = weir_live::srt::Passphrase::parse(&text);
        parsed.map(Self).map_err(serde::de::Error::custom)
    }
}

/// A secret of an `[[input]]`.
#[derive(Debug, Clone)]
pub struct InputSecret(pub Secret);

impl FromStr for InputSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Secret::parse(text).map(Self).map_err(|e| e.to_string())
    }
}

/// The address of a hook.
#[derive(Debug, Clone)]
pub struct HookUrl(pub hooks::Url);

impl FromStr for HookUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

/// How calls of hooks are written.
#[derive(Debug, Clone, Copy)]
pub struct HookFormat(pub Format);

impl FromStr for HookFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "form" => Ok(Self(Format::Form)),
            "json" => Ok(Self(Format::Json)),
            _ => Err(format!("{text:?} is neither \"form\" nor \"json\"")),
        }
    }
}

/// Lets serde read a value by its `FromStr`, so that an error carries its line.
macro_rules! from_text {
    ($($name:ty),+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
from_text!(
    Span,
    Listen,
    LogFormat,
    AccessFormat,
    Networks,
    Applications,
    ForwardedField,
    InputName,
    InputKey,
    InputSecret,
    HookUrl,
    HookFormat
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_round_trip() {
        for text in ["500ms", "4s", "90s", "15m", "12h", "7d", "0s"] {
            let span: Span = text.parse().unwrap();
            let back: Span = span.to_string().parse().unwrap();
            assert_eq!(span, back, "{text}");
        }
        assert_eq!("90s".parse::<Span>().unwrap().0, Duration::from_secs(90));
    }

    #[test]
    fn networks_are_a_list() {
        let networks: Networks = " 10.0.0.0/8,2001:db8::/32 , 192.0.2.1".parse().unwrap();
        assert_eq!(networks.0.len(), 3);
        assert_eq!(networks.to_string().parse::<Networks>().unwrap(), networks);
        assert_eq!("".parse::<Networks>().unwrap(), Networks::default());
        assert!(
            "10.0.0.0/33"
                .parse::<Networks>()
                .unwrap_err()
                .contains("10.0.0.0/33")
        );
    }

    #[test]
    fn nonsense_is_named() {
        for bad in [
            "",
            "4",
            "s",
            "4 s",
            "-4s",
            "4.5s",
            "99999999999999999999s",
            "40000d",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        assert!("localhost:80".parse::<Listen>().is_err());
        assert!("127.0.0.1".parse::<Listen>().is_err());
        assert_eq!("off".parse::<Listen>().unwrap(), Listen(Address::Off));
    }
}
