//! Certificates and keys as files (PEM, RFC 7468).

use crate::error::Error;
use crate::limits::PEM_BYTES_MAX;
use crate::tls::certificate::Facts;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A certificate chain and its private key, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// PEM: the certificate first, then those between it and a root that clients know.
    pub certificate: PathBuf,
    /// PEM: the private key of the first certificate, as PKCS#8, SEC1 or PKCS#1, not encrypted.
    pub key: PathBuf,
}

/// Something about a certificate that the operator should know, and that does not stop weir.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Its time is over: clients will refuse it.
    Expired(PathBuf),
    /// Its time has not begun: clients will refuse it.
    NotYetValid(PathBuf),
    /// It names no domain, so that only clients that ask for none of the others get it, and most
    /// of them refuse it.
    NoNames(PathBuf),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(file) => write!(
                f,
                "the certificate in {} has expired; clients refuse it until it is renewed",
                file.display()
            ),
            Self::NotYetValid(file) => write!(
                f,
                "the certificate in {} is not valid yet; check it and this machine's clock",
                file.display()
            ),
            Self::NoNames(file) => write!(
                f,
                "the certificate in {} has no subject alternative name; have it issued for the \
                 domain that clients use",
                file.display()
            ),
        }
    }
}

/// An identity, read and checked.
pub(crate) struct Loaded {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) names: Vec<String>,
    pub(crate) warnings: Vec<Warning>,
}

impl Identity {
    pub(crate) fn load(&self, provider: &CryptoProvider, now: SystemTime) -> Result<Loaded, Error> {
        let chain = certificates(&self.certificate)?;
        let facts = chain.first().and_then(|leaf| Facts::read(leaf));
        let facts = facts.ok_or_else(|| Error::Certificate(self.certificate.clone()))?;
        let key = private_key(&self.key)?;
        let signing_key = provider.key_provider.load_private_key(key);
        let signing_key = signing_key.map_err(|error| Error::Key {
            file: self.key.clone(),
            reason: error.to_string(),
        })?;
        let key = CertifiedKey::new(chain, signing_key);
        match key.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(Error::KeyMismatch {
                    certificate: self.certificate.clone(),
                    key: self.key.clone(),
                });
            }
            Err(_) => return Err(Error::Certificate(self.certificate.clone())),
        }
        let file = || self.certificate.clone();
        let mut warnings = Vec::new();
        if facts.not_after < now {
            warnings.push(Warning::Expired(file()));
        }
        if facts.not_before > now {
            warnings.push(Warning::NotYetValid(file()));
        }
        if facts.names.is_empty() {
            warnings.push(Warning::NoNames(file()));
        }
        Ok(Loaded {
            key: Arc::new(key),
            names: facts.names,
            warnings,
        })
    }
}

/// The certificates in a file: at least one.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(Error::NoCertificate(file.to_owned())),
        Ok(found) => Ok(found),
        Err(_) => Err(Error::Certificate(file.to_owned())),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let pem = read(file)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        pem::Error::NoItemsFound => Error::NoKey(file.to_owned()),
        error => Error::Key {
            file: file.to_owned(),
            reason: error.to_string(),
        },
    })
}

/// Reads a file up to [`PEM_BYTES_MAX`], so that a wrong path, as of a device, cannot fill memory.
fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |error| Error::Unreadable {
        file: file.to_owned(),
        error,
    };
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(unreadable)?;
    let mut bounded = opened.take(PEM_BYTES_MAX + 1);
    bounded.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}
