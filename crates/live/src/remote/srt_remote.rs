//! Addresses of streams on other servers over SRT: `srt://HOST:PORT?streamid=…`.
//!
//! They follow libsrt's tools, whose `latency` is in milliseconds; that of FFmpeg is in microseconds.

use crate::limits::{
    PLACE_BYTES_MAX, SRT_LATENCY_DEFAULT, SRT_LATENCY_MAX, SRT_LATENCY_MIN, SRT_STREAM_ID_BYTES_MAX,
};
use crate::srt::Passphrase;
use std::fmt;
use std::time::Duration;
use weir_http::target::Query;

/// A stream on another server, which weir calls. [`fmt::Display`] shows the server only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrtRemote {
    /// Name or address of the host; IPv6 without brackets.
    pub host: String,
    /// UDP port.
    pub port: u16,
    /// Stream ID; empty for none.
    pub stream_id: String,
    /// With it the connection is encrypted.
    pub passphrase: Option<Passphrase>,
    /// Length of the key in bytes: 16, 24 or 32.
    pub key_len: u8,
    /// How long packets wait for those that are sent again.
    pub latency: Duration,
    /// Number of the program that is wanted; the first one's if there is none.
    pub program: Option<u16>,
}

impl SrtRemote {
    /// Reads `srt://HOST:PORT[?streamid=…][&passphrase=…][&pbkeylen=16][&latency=MS]`. A `stream_id`
    /// may stand beside it.
    ///
    /// # Errors
    /// What is wrong, in words that do not repeat the address.
    pub fn parse(text: &str, stream_id: Option<&str>) -> Result<Self, &'static str> {
        if text.len() > PLACE_BYTES_MAX {
            return Err("is too long");
        }
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("srt") => rest,
            _ => return Err("does not begin with srt://"),
        };
        // A stream ID in the standard form begins with `#!::`; what others call a fragment is ours.
        let (place, query) = rest
            .split_once('?')
            .map_or((rest, None), |(p, q)| (p, Some(q)));
        let place = place.strip_suffix('/').unwrap_or(place);
        let (host, port) = place.rsplit_once(':').ok_or("names no HOST:PORT")?;
        let port = port.parse().ok().filter(|&port| port != 0);
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match bare {
            Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok().then_some(ip),
            None => Some(host).filter(|host| {
                let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                !host.is_empty() && host.chars().all(fits)
            }),
        };
        let mut remote = Self {
            host: host.ok_or("names no HOST:PORT")?.to_owned(),
            port: port.ok_or("names no HOST:PORT")?,
            stream_id: stream_id.unwrap_or_default().to_owned(),
            passphrase: None,
            key_len: 16,
            latency: SRT_LATENCY_DEFAULT,
            program: None,
        };
        remote.take_query(Query::new(query))?;
        if remote.stream_id.len() > SRT_STREAM_ID_BYTES_MAX {
            return Err("has a stream ID of more than 512 bytes");
        }
        Ok(remote)
    }

    fn take_query(&mut self, query: Query<'_>) -> Result<(), &'static str> {
        let value = |name| query.first(name).map_err(|_| "is not well encoded");
        if let Some(mode) = value("mode")?
            && mode != "caller"
        {
            return Err("has another mode than caller");
        }
        if let Some(id) = value("streamid")?
            && self.stream_id.is_empty()
        {
            self.stream_id = id.into_owned();
        }
        if let Some(passphrase) = value("passphrase")?.filter(|p| !p.is_empty()) {
            self.passphrase = Some(Passphrase::parse(&passphrase)?);
        }
        if let Some(len) = value("pbkeylen")? {
            self.key_len = match &*len {
                "0" | "16" => 16,
                "24" => 24,
                "32" => 32,
                _ => return Err("has a pbkeylen that is not 16, 24 or 32"),
            };
        }
        if let Some(latency) = value("latency")? {
            let latency = latency.parse().ok().map(Duration::from_millis);
            self.latency = latency
                .filter(|l| (SRT_LATENCY_MIN..=SRT_LATENCY_MAX).contains(l))
                .ok_or("has a latency outside 20 to 30000 ms")?;
        }
        Ok(())
    }
}

impl fmt::Display for SrtRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "srt://[{}]:{}", self.host, self.port),
            false => write!(f, "srt://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_what_stands_beside_it() {
        let text = "srt://host.example:9000?streamid=#!::r=cam,m=request&passphrase=not%20too%20short\
                    &pbkeylen=32&latency=500&mode=caller";
        let remote = SrtRemote::parse(text, None).unwrap();
        assert_eq!((&*remote.host, remote.port), ("host.example", 9000));
        assert_eq!(remote.stream_id, "#!::r=cam,m=request");
        let passphrase = Passphrase::parse("not too short").unwrap();
        assert_eq!(remote.passphrase, Some(passphrase));
        assert_eq!((remote.key_len, remote.latency.as_millis()), (32, 500));
        // Nothing secret is shown.
        assert_eq!(remote.to_string(), "srt://host.example:9000");
        assert!(!format!("{remote:?}").contains("short"));

        let plain = SrtRemote::parse("srt://[::1]:9000", Some("publish:key")).unwrap();
        assert_eq!(plain.to_string(), "srt://[::1]:9000");
        assert_eq!(plain.stream_id, "publish:key");
        assert_eq!((plain.key_len, plain.latency.as_millis()), (16, 120));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_address() {
        for (text, why) in [
            ("udp://h:1", "srt://"),
            ("srt://h", "HOST:PORT"),
            ("srt://h:0", "HOST:PORT"),
            ("srt://:9000", "HOST:PORT"),
            ("srt://a b:9000", "HOST:PORT"),
            ("srt://::1:9000", "HOST:PORT"),
            ("srt://h:9000?mode=listener", "mode"),
            ("srt://h:9000?passphrase=short", "10 to 79"),
            ("srt://h:9000?pbkeylen=17", "pbkeylen"),
            ("srt://h:9000?latency=120000", "latency"),
            ("srt://h:9000?streamid=%zz", "encoded"),
        ] {
            let e = SrtRemote::parse(text, None).unwrap_err();
            assert!(e.contains(why), "{text}: {e}");
        }
        assert!(SrtRemote::parse("srt://h:1", Some(&"x".repeat(513))).is_err());
    }
}
