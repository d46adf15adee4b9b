//! What can go wrong with secrets, and why a publisher is turned away.

use crate::limits::{NETWORKS_MAX, SIGNING_KEYS_MAX};
use std::fmt;
use std::io;
use std::path::PathBuf;
use weir_media::StreamName;

/// A policy or a secret that cannot be used: told to the operator at start.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A key hash is not `sha256:` and 64 hexadecimal digits.
    KeyHash,
    /// A secret breaks the rule named.
    Secret(&'static str),
    /// Two inputs have this name.
    DuplicateName(StreamName),
    /// Two inputs have the same key, so that it would not tell which is meant; this is the
    /// name of the second.
    DuplicateKey(StreamName),
    /// More than [`crate::limits::INPUTS_MAX`] inputs.
    TooManyInputs,
    /// An input has neither a key nor a signing key, so that nobody could publish it.
    NoKey(StreamName),
    /// An input has more than [`crate::limits::SIGNING_KEYS_MAX`] signing keys of one form.
    TooManySigningKeys(StreamName),
    /// A list has more than [`crate::limits::NETWORKS_MAX`] networks.
    TooManyNetworks,
    /// The operating system has no randomness to give.
    Randomness,
    /// A secret file or its directory may be used by other users of the machine.
    Permissions {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be at most.
        want: u32,
    },
    /// A secret file holds no secret.
    File {
        /// The file.
        path: PathBuf,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A file operation failed.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried: `create`, `read`, `write`, …
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyHash => f.write_str("key hash is not sha256: and 64 hexadecimal digits"),
            Self::Secret(why) => write!(f, "secret {why}"),
            Self::DuplicateName(name) => write!(f, "two inputs are called {name}"),
            Self::DuplicateKey(name) => write!(f, "the key of input {name} is taken already"),
            Self::TooManyInputs => f.write_str("too many inputs"),
            Self::NoKey(name) => write!(
                f,
                "input {name} has no key_hash, signing_keys or tencent_keys: \
                 nobody could publish it"
            ),
            Self::TooManySigningKeys(name) => {
                write!(
                    f,
                    "input {name} has more than {SIGNING_KEYS_MAX} signing keys"
                )
            }
            Self::TooManyNetworks => {
                write!(f, "a list has more than {NETWORKS_MAX} networks")
            }
            Self::Randomness => f.write_str("the system gives no random bytes"),
            Self::Permissions { path, mode, want } => write!(
                f,
                "{path} has mode {mode:03o}: other users could read or replace it; \
                 run: chmod {want:03o} {path}",
                path = path.display()
            ),
            Self::File { path, why } => write!(f, "{}: {why}", path.display()),
            Self::Io { path, doing, error } => {
                write!(f, "cannot {doing} {}: {error}", path.display())
            }
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

/// Why somebody may not publish or play. Tells nothing about which names or keys exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The key opens no input, or not the one named.
    BadKey,
    /// The name cannot be one; the rule it breaks.
    BadName(&'static str),
    /// Nobody may publish: there are no inputs, and names are not open.
    NotAllowed,
    /// The signature of a signed URL is not of this stream and its keys.
    BadSignature,
    /// The signature is right, but its time is over.
    Expired,
    /// The address may not publish or play here.
    Address,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadKey => f.write_str("unknown stream key"),
            Self::BadName(why) => write!(f, "stream name {why}"),
            Self::NotAllowed => f.write_str("publishing is not allowed here"),
            Self::BadSignature => f.write_str("the signature of the URL is wrong"),
            Self::Expired => f.write_str("the signed URL has expired"),
            Self::Address => f.write_str("the address is not allowed here"),
        }
    }
}

impl std::error::Error for Refusal {}
