//! Sealed records without a copy.
//!
//! rustls seals each record into memory of its own, and then copies it to where the caller wants
//! it, at any of its interfaces. At megabytes per answer that copy is a tenth of the cost. So the
//! cipher suites given to rustls are those of aws-lc-rs with one change: while [`take`] runs, a
//! record of application data is put aside as rustls made it, and rustls copies an empty one.
//! Everything else (keys, nonces, sequence numbers, key updates, alerts) stays with rustls.

use bytes::Bytes;
use rustls::crypto::cipher::{
    AeadKey, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter, OutboundOpaqueMessage,
    OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm, Tls13AeadAlgorithm,
    UnsupportedOperationError,
};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, aws_lc_rs};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, SupportedCipherSuite, Tls12CipherSuite,
    Tls13CipherSuite,
};
use std::cell::RefCell;
use std::sync::LazyLock;

thread_local! {
    /// Records put aside, in order, while [`take`] runs.
    static TAKEN: RefCell<Option<Vec<Bytes>>> = const { RefCell::new(None) };
}

/// Length of the empty record that rustls copies for each one put aside.
pub(crate) const EMPTY_RECORD_LEN: usize = 5;

/// Runs `f`, in which rustls seals application data, and returns the records it made.
pub(crate) fn take<T>(f: impl FnOnce() -> T) -> (T, Vec<Bytes>) {
    /// Ends the taking also when `f` panics, so that no later record is lost.
    struct Taking;
    impl Drop for Taking {
        fn drop(&mut self) {
            TAKEN.set(None);
        }
    }
    TAKEN.set(Some(Vec::new()));
    let taking = Taking;
    let result = f();
    let taken = TAKEN.take().unwrap_or_default();
    drop(taking);
    (result, taken)
}

/// aws-lc-rs, with cipher suites whose records can be taken.
pub(crate) fn provider() -> CryptoProvider {
    static SUITES: LazyLock<Vec<SupportedCipherSuite>> = LazyLock::new(|| {
        let suites = aws_lc_rs::DEFAULT_CIPHER_SUITES.iter();
        suites.map(|suite| takeable(*suite)).collect()
    });
    CryptoProvider {
        cipher_suites: SUITES.clone(),
        ..aws_lc_rs::default_provider()
    }
}

/// The suite with our encrypter. It lives as long as the program; there are nine.
fn takeable(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    match suite {
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: common(&suite.common),
                hkdf_provider: suite.hkdf_provider,
                aead_alg: Box::leak(Box::new(Aead13(suite.aead_alg))),
                quic: None,
            })))
        }
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: common(&suite.common),
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign: suite.sign,
                aead_alg: Box::leak(Box::new(Aead12(suite.aead_alg))),
            })))
        }
    }
}

fn common(common: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: common.confidentiality_limit,
    }
}

/// An encrypter whose records can be taken.
struct Encrypter(Box<dyn MessageEncrypter>);

impl MessageEncrypter for Encrypter {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let is_data = message.typ == ContentType::ApplicationData;
        let record = self.0.encrypt(message, sequence)?;
        TAKEN.with_borrow_mut(|taken| match taken {
            Some(taken) if is_data => {
                let (kind, version) = (record.typ, record.version);
                taken.push(record.encode().into());
                let empty = PrefixedPayload::with_capacity(0);
                Ok(OutboundOpaqueMessage::new(kind, version, empty))
            }
            _ => Ok(record),
        })
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        match TAKEN.with_borrow(Option::is_some) {
            true => 0,
            false => self.0.encrypted_payload_len(payload_len),
        }
    }
}

struct Aead13(&'static dyn Tls13AeadAlgorithm);

impl Tls13AeadAlgorithm for Aead13 {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Encrypter(self.0.encrypter(key, iv)))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        self.0.decrypter(key, iv)
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

struct Aead12(&'static dyn Tls12AeadAlgorithm);

impl Tls12AeadAlgorithm for Aead12 {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Encrypter(self.0.encrypter(key, iv, extra)))
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.0.decrypter(key, iv)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.0.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv, explicit)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}
