//! What the two ends of a connection agree on.

use crate::config::Config;
use crate::crypto::{Crypto, Entropy};
use crate::error::Error;
use crate::filter::{Fec, FilterSpec};
use crate::handshake::SRT_VERSION_MIN;
use crate::limits::{LATENCY_MAX, LATENCY_MIN};
use crate::packet::extension::{HsExtension, KmExtension, SrtFlags};
use crate::packet::handshake::Reason;
use crate::packet::key_material::{KeyMaterial, KmState};
use crate::packet::{Handshake, SocketId};
use crate::seq::Seq;
use bytes::Bytes;
use std::time::Duration;
use weir_media::Mono;

/// All that a connection needs to know once its handshake is done.
#[derive(Debug)]
pub(crate) struct Agreement {
    pub(crate) peer_id: SocketId,
    pub(crate) peer_version: u32,
    /// Number of our first data packet.
    pub(crate) send_first: Seq,
    /// Number of the peer's first data packet.
    pub(crate) receive_first: Seq,
    pub(crate) flow_window: u32,
    /// Largest IP packet that the peer takes, in bytes.
    pub(crate) mtu: u32,
    /// How long we hold what comes.
    pub(crate) receive_latency: Duration,
    /// How long the peer holds what we send.
    pub(crate) send_latency: Duration,
    /// Timestamp of the handshake packet that carried the peer's latency.
    pub(crate) peer_timestamp: u32,
    pub(crate) crypto: Option<Crypto>,
    pub(crate) filter: Option<Fec>,
}

/// A latency in milliseconds, as it is sent.
pub(crate) fn latency_ms(latency: Duration) -> u16 {
    let ms = latency.clamp(Duration::ZERO, LATENCY_MAX).as_millis();
    u16::try_from(ms).unwrap_or(u16::MAX)
}

/// The longer of what both ends want, within limits.
pub(crate) fn agree_latency(ours: Duration, theirs_ms: u16) -> Duration {
    ours.max(Duration::from_millis(u64::from(theirs_ms)))
        .clamp(LATENCY_MIN, LATENCY_MAX)
}

/// Whether the other end is one we can talk to.
pub(crate) fn check_peer(handshake: &Handshake) -> Result<&HsExtension, Reason> {
    if handshake.version != 5 {
        return Err(Reason::VERSION);
    }
    let hs = handshake.extensions.hs.as_ref().ok_or(Reason::ROGUE)?;
    if hs.version < SRT_VERSION_MIN {
        return Err(Reason::VERSION);
    }
    if !hs.flags.has(SrtFlags::REXMITFLG) {
        return Err(Reason::ROGUE);
    }
    if hs.flags.has(SrtFlags::STREAM) {
        return Err(Reason::MESSAGE_API);
    }
    let live = |name: &Bytes| name.is_empty() || &name[..] == b"live";
    if !handshake.extensions.congestion.as_ref().is_none_or(live) {
        return Err(Reason::CONGESTION);
    }
    if handshake.socket_id.0 == 0 {
        return Err(Reason::ROGUE);
    }
    Ok(hs)
}

/// The filter of both ends, if the peer wants one.
pub(crate) fn agree_filter(
    ours: Option<FilterSpec>,
    theirs: Option<&Bytes>,
) -> Result<Option<Fec>, Reason> {
    let Some(text) = theirs.filter(|text| !text.is_empty()) else {
        // A peer that has none is not given one.
        return if ours.is_none() {
            Ok(None)
        } else {
            Err(Reason::FILTER)
        };
    };
    let text = std::str::from_utf8(text).map_err(|_| Reason::FILTER)?;
    let theirs = FilterSpec::parse(text).ok_or(Reason::FILTER)?;
    let fec = ours.unwrap_or_default().merge(theirs);
    fec.map(Some).ok_or(Reason::FILTER)
}

/// A filter as it is sent.
pub(crate) fn filter_text(spec: FilterSpec) -> Bytes {
    spec.to_string().into()
}

/// The responder's side of the keys: what it has from here on, and what it answers.
pub(crate) fn respond_keys(
    config: &Config,
    request: Option<&KmExtension>,
    entropy: Entropy,
    now: Mono,
) -> Result<Option<(Crypto, Bytes)>, Reason> {
    let (passphrase, request) = match (&config.passphrase, request) {
        (None, None) => return Ok(None),
        (Some(passphrase), Some(request)) if request.request => (passphrase, request),
        (Some(_), Some(_)) => return Err(Reason::ROGUE),
        (None, Some(_)) | (Some(_), None) => return Err(Reason::UNSECURE),
    };
    let material = KeyMaterial::parse(&request.content).map_err(|error| match error {
        Error::Cipher => Reason::CRYPTO,
        _ => Reason::ROGUE,
    })?;
    let crypto = Crypto::respond(passphrase, &material, config.refresh, entropy, now);
    match crypto {
        Ok(crypto) => Ok(Some((crypto, request.content.clone()))),
        Err(KmState::BAD_CRYPTO_MODE) => Err(Reason::CRYPTO),
        Err(_) => Err(Reason::BAD_SECRET),
    }
}

/// The initiator's: whether the responder has taken its key.
pub(crate) fn check_key_answer(sent: &Bytes, answer: Option<&KmExtension>) -> Result<(), Reason> {
    let answer = answer.ok_or(Reason::UNSECURE)?;
    if !answer.request && answer.content == sent {
        return Ok(());
    }
    Err(match KmState::parse(&answer.content) {
        Some(KmState::BAD_SECRET) => Reason::BAD_SECRET,
        Some(KmState::BAD_CRYPTO_MODE) => Reason::CRYPTO,
        Some(_) => Reason::UNSECURE,
        None => Reason::ROGUE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{KeyLength, Passphrase, Seed};

    #[test]
    fn a_key_for_another_cipher_is_told_from_a_bad_one() {
        let passphrase = Passphrase::new("a long passphrase").unwrap();
        let config = Config {
            passphrase: Some(passphrase.clone()),
            ..Config::default()
        };
        let entropy = || Entropy::new(&Seed([1; 32]));
        let length = KeyLength::default();
        let (_, good) = Crypto::initiate(&passphrase, length, config.refresh, entropy());
        let respond = |content: Vec<u8>| {
            let request = KmExtension {
                request: true,
                content: content.into(),
            };
            let keys = respond_keys(&config, Some(&request), entropy(), Mono(0));
            keys.map(|keys| keys.is_some())
        };
        assert_eq!(respond(good.to_vec()), Ok(true));
        let mut unknown = good.to_vec();
        unknown[8] = 1;
        assert_eq!(respond(unknown), Err(Reason::CRYPTO));
        assert_eq!(respond(good[..20].to_vec()), Err(Reason::ROGUE));
    }
}
