//! Where a transport stream is awaited: `udp://` and `rtp://`.
//!
//! There is no standard for these addresses. `udp://@GROUP:PORT` and `udp://SOURCE@GROUP:PORT` are
//! VLC's, `?sources=` is FFmpeg's; all are taken.

use crate::limits::PLACE_BYTES_MAX;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use weir_http::target::Query;
use weir_net::udp::Listening;

/// A port of this machine, or a multicast group, at which a transport stream comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// What is listened to.
    pub to: Listening,
    /// In RTP (ST 2022-2), else in plain datagrams.
    pub rtp: bool,
    /// Number of the program that is wanted; the first one's if there is none.
    pub program: Option<u16>,
}

impl Listen {
    /// Reads `udp://[SOURCE][@]HOST:PORT[?source=IP][&interface=NAME][&program=N]`, or the same with
    /// `rtp`. HOST is an address of this machine, a multicast group, or nothing, for any address.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > PLACE_BYTES_MAX {
            return Err("is too long");
        }
        let (rtp, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("udp") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("rtp") => (true, rest),
            _ => return Err("does not begin with udp:// or rtp://"),
        };
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        let (source, host) = match place.split_once('@') {
            Some(("", host)) => (None, host),
            Some((source, host)) => (Some(ip(source)?), host),
            None => (None, place),
        };
        let address = match host.strip_prefix(':') {
            Some(port) => port
                .parse()
                .ok()
                .map(|port| (Ipv6Addr::UNSPECIFIED, port).into()),
            None => host.parse().ok(),
        };
        let address: SocketAddr = address.ok_or("names no IP:PORT")?;
        if address.port() == 0 {
            return Err("has the port 0");
        }
        let mut listen = Self {
            to: Listening {
                address,
                source,
                interface: None,
            },
            rtp,
            program: None,
        };
        listen.take_query(Query::new(query))?;
        let to = &listen.to;
        match to.source {
            Some(source)
                if address.ip().is_multicast() && source.is_ipv4() != address.is_ipv4() =>
            {
                Err("has a source and a group of different families")
            }
            _ if to.interface.is_some() && !address.ip().is_multicast() => {
                Err("names an interface, but no multicast group")
            }
            _ if rtp && address.port() > u16::MAX - 4 => {
                Err("leaves no room for the ports of FEC, which are 2 and 4 higher")
            }
            _ => Ok(listen),
        }
    }

    fn take_query(&mut self, query: Query<'_>) -> Result<(), &'static str> {
        let value = |name| query.first(name).map_err(|_| "is not well encoded");
        for name in ["source", "sources"] {
            if let Some(source) = value(name)? {
                self.to.source = Some(ip(&source)?);
            }
        }
        if let Some(name) = value("interface")? {
            if name.is_empty() || name.len() > 15 || name.contains('/') {
                return Err("names no interface");
            }
            self.to.interface = Some(name.into_owned());
        }
        if let Some(program) = value("program")? {
            let number = program.parse().ok().filter(|&number| number != 0);
            self.program = Some(number.ok_or("has a program that is not 1 to 65535")?);
        }
        Ok(())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.rtp { "rtp" } else { "udp" };
        write!(f, "{scheme}://{}", self.to.address)
    }
}

fn ip(text: &str) -> Result<IpAddr, &'static str> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let ip = bare.unwrap_or(text).parse();
    ip.map_err(|_| "names a source that is no address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_write_it() {
        let plain = Listen::parse("udp://0.0.0.0:5000").unwrap();
        assert_eq!((plain.rtp, plain.program), (false, None));
        assert_eq!(plain.to_string(), "udp://0.0.0.0:5000");
        assert_eq!(Listen::parse("UDP://@0.0.0.0:5000/").unwrap(), plain);
        let any = Listen::parse("udp://:5000").unwrap();
        assert_eq!(any.to.address.to_string(), "[::]:5000");

        let group = Listen::parse("rtp://192.0.2.1@232.1.1.1:5000").unwrap();
        assert!(group.rtp);
        assert_eq!(group.to.source, Some("192.0.2.1".parse().unwrap()));
        for other in [
            "rtp://@232.1.1.1:5000?source=192.0.2.1",
            "rtp://232.1.1.1:5000?sources=192.0.2.1",
        ] {
            assert_eq!(Listen::parse(other).unwrap(), group);
        }
        let more = "udp://@[ff3e::1]:5000?source=2001:db8::1&interface=eth0&program=7";
        let more = Listen::parse(more).unwrap();
        assert_eq!(more.to.interface.as_deref(), Some("eth0"));
        assert_eq!(more.program, Some(7));
        assert_eq!(
            Listen::parse("udp://[2001:db8::1]@[ff3e::1]:5000")
                .unwrap()
                .to
                .source,
            more.to.source
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, why) in [
            ("http://1.2.3.4:5", "udp://"),
            ("udp://host.example:5000", "IP:PORT"),
            ("udp://1.2.3.4", "IP:PORT"),
            ("udp://1.2.3.4:0", "port 0"),
            ("udp://:70000", "IP:PORT"),
            ("udp://me@239.1.1.1:5000", "no address"),
            ("udp://@239.1.1.1:5000?source=::1", "families"),
            ("udp://1.2.3.4:5000?interface=eth0", "no multicast"),
            ("udp://@239.1.1.1:5000?interface=", "interface"),
            ("udp://1.2.3.4:5000?program=0", "program"),
            ("udp://1.2.3.4:5000?program=%zz", "encoded"),
            ("rtp://1.2.3.4:65532", "room"),
        ] {
            let e = Listen::parse(text).unwrap_err();
            assert!(e.contains(why), "{text}: {e}");
        }
        assert!(Listen::parse(&format!("udp://{}", "1".repeat(9000))).is_err());
    }
}
