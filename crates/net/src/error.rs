//! Why a port could not be opened.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// A listener that cannot be had, told to the operator at start.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The text is neither `IP:PORT` nor `off`.
    Address(String),
    /// Another program has the port, and kept it for
    /// [`crate::limits::BUSY_PORT_WAIT_MAX`].
    PortInUse {
        /// The address asked for.
        address: SocketAddr,
        /// The flag that sets it, without dashes.
        flag: &'static str,
    },
    /// The port may be opened by root only, or with `CAP_NET_BIND_SERVICE`.
    PortNotAllowed {
        /// The address asked for.
        address: SocketAddr,
        /// The flag that sets it, without dashes.
        flag: &'static str,
    },
    /// No interface of this machine has the address.
    NoSuchAddress {
        /// The address asked for.
        address: SocketAddr,
        /// The flag that sets it, without dashes.
        flag: &'static str,
    },
    /// None, or more than [`crate::limits::LISTENERS_MAX`] sockets were asked for.
    ListenerCount(usize),
    /// The system refused for another reason.
    Io {
        /// The address asked for.
        address: SocketAddr,
        /// The flag that sets it, without dashes.
        flag: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(text) => write!(
                f,
                "{text:?} is no address: write IP:PORT, as in 0.0.0.0:8080 or [::]:8080, or off"
            ),
            Self::PortInUse { address, flag } => write!(
                f,
                "{address} is in use by another program, perhaps a second weir; \
                 stop it, or choose another port with --{flag} IP:PORT"
            ),
            Self::PortNotAllowed { address, flag } => write!(
                f,
                "{address} needs the capability CAP_NET_BIND_SERVICE; \
                 grant it, or choose a port from 1024 on with --{flag} IP:PORT"
            ),
            Self::NoSuchAddress { address, flag } => write!(
                f,
                "this machine does not have the address of {address}; \
                 choose another with --{flag} IP:PORT"
            ),
            Self::ListenerCount(count) => write!(f, "cannot open {count} listeners on one port"),
            Self::Io {
                address,
                flag,
                error,
            } => write!(f, "cannot listen on {address} (--{flag}): {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
