//! Where to listen, as the operator writes it: `IP:PORT` or `off`.

use crate::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// A listener's address, or that there is no such listener. Port 0 lets the system choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// No listener.
    Off,
    /// A listener here. `[::]` takes IPv4 too.
    At(SocketAddr),
}

impl Address {
    /// The address to bind, if any.
    #[must_use]
    pub const fn socket(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::At)
            .map_err(|_| Error::Address(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for text in ["off", "127.0.0.1:0", "[::]:8080", "[fe80::1%2]:65535"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!(Address::Off.socket(), None);
    }

    #[test]
    fn refuses_with_an_example() {
        for text in [
            "",
            "Off",
            "8080",
            ":8080",
            "localhost:80",
            "[::]",
            "1.2.3.4:65536",
            "::1:80:",
        ] {
            let message = text.parse::<Address>().unwrap_err().to_string();
            assert!(message.contains("[::]:8080"), "{message}");
        }
    }
}
