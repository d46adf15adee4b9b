//! Why a port could not be opened, or a certificate not be used.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A listener that cannot be had, told to the operator at start, or when certificates are reloaded.
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
    /// This machine has no interface of that name.
    NoSuchInterface(String),
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
    /// TLS was asked for without a certificate.
    NoIdentity,
    /// A certificate or key file cannot be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file has no certificate in PEM.
    NoCertificate(PathBuf),
    /// The file's certificates are damaged.
    Certificate(PathBuf),
    /// The file has no private key in PEM.
    NoKey(PathBuf),
    /// The file's private key is damaged, or of a kind that is not supported.
    Key {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The private key is not that of the certificate.
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The system has no certificates of authorities.
    NoAuthorities,
    /// TLS cannot be set up at all.
    Tls(rustls::Error),
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
            Self::NoSuchInterface(name) => write!(f, "this machine has no interface {name:?}"),
            Self::ListenerCount(count) => write!(f, "cannot open {count} listeners on one port"),
            Self::Io {
                address,
                flag,
                error,
            } => write!(f, "cannot listen on {address} (--{flag}): {error}"),
            Self::NoIdentity => f.write_str("TLS needs a certificate: name its file and its key's"),
            Self::Unreadable { file, error } => write!(
                f,
                "cannot read {}: {error}; check the path and that weir's user may read it",
                file.display()
            ),
            Self::NoCertificate(file) => write!(
                f,
                "{} has no certificate; it must have a PEM block that begins with \
                 -----BEGIN CERTIFICATE-----",
                file.display()
            ),
            Self::Certificate(file) => write!(
                f,
                "the certificate in {} is damaged; copy or issue it again",
                file.display()
            ),
            Self::NoKey(file) => write!(
                f,
                "{} has no private key; it must have a PEM block that ends in PRIVATE KEY, \
                 not encrypted",
                file.display()
            ),
            Self::Key { file, reason } => write!(
                f,
                "cannot use the private key in {}: {reason}; RSA from 2048 bit, P-256, P-384, \
                 P-521 and Ed25519 can be used",
                file.display()
            ),
            Self::KeyMismatch { certificate, key } => write!(
                f,
                "the key in {} is not that of the first certificate in {}; \
                 name the files of one and the same certificate",
                key.display(),
                certificate.display()
            ),
            Self::NoAuthorities => f.write_str(
                "this system has no certificates of authorities, which tell genuine servers; \
                 install the package ca-certificates, or name a file of your own",
            ),
            Self::Tls(error) => write!(f, "cannot set up TLS: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } | Self::Unreadable { error, .. } => Some(error),
            Self::Tls(error) => Some(error),
            _ => None,
        }
    }
}
