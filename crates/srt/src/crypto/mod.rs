//! Encryption of payloads, and how its keys are agreed on and changed (§6).
//!
//! The caller makes a stream encrypting key, wraps it with a key derived from the passphrase,
//! and both ends use it, until each refreshes the one it sends with: the new key goes to the
//! peer some thousand packets ahead, under the other parity, so that packets in flight and
//! repeated ones can still be read.

mod cipher;

use crate::limits::{PACKETS_PER_KEY_MAX, PASSPHRASE_BYTES};
use crate::packet::KeyParity;
use crate::packet::key_material::{CipherMode, KeyMaterial, Keys, KmState};
use crate::seq::Seq;
use bytes::{BufMut, Bytes, BytesMut};
use cipher::{KeyBytes, StreamKey, derive_kek, unwrap, wrap};
use hmac::{Hmac, KeyInit, Mac};
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq;
use weir_media::Mono;

/// Encrypted and decrypted payloads are cut from blocks of so many bytes.
const BLOCK_BYTES: usize = 64 * 1024;

/// A peer that changes its salt makes us derive a key; at most so often.
const DERIVE_PERIOD: Duration = Duration::from_secs(1);

/// Length of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyLength {
    /// 16 bytes.
    #[default]
    Aes128,
    /// 24 bytes.
    Aes192,
    /// 32 bytes.
    Aes256,
}

impl KeyLength {
    /// 16, 24 or 32.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// From 16, 24 or 32.
    #[must_use]
    pub const fn from_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            16 => Some(Self::Aes128),
            24 => Some(Self::Aes192),
            32 => Some(Self::Aes256),
            _ => None,
        }
    }

    /// As the encryption field of a handshake has it.
    pub(crate) const fn field(self) -> u16 {
        self.bytes() as u16 / 8
    }
}

/// A secret that both ends know: 10 to 79 bytes. Never shown.
#[derive(Clone)]
pub struct Passphrase(Box<[u8]>);

impl Passphrase {
    /// `None` if it is shorter or longer.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        PASSPHRASE_BYTES
            .contains(&bytes.len())
            .then(|| Self(bytes.into()))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Random bytes that the owner drew: sequence numbers, cookies and keys are made of them.
#[derive(Clone)]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A stream of bytes that only who knows the seed can tell.
pub(crate) struct Entropy {
    mac: Hmac<sha1::Sha1>,
    drawn: u64,
}

impl Entropy {
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub(crate) fn new(seed: &Seed) -> Self {
        let mac = Hmac::new_from_slice(&seed.0).expect("any length is a key");
        Self { mac, drawn: 0 }
    }

    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(20) {
            let mut mac = self.mac.clone();
            mac.update(&self.drawn.to_be_bytes());
            self.drawn += 1;
            piece.copy_from_slice(&mac.finalize().into_bytes()[..piece.len()]);
        }
    }

    pub(crate) fn u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_be_bytes(bytes)
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

/// When a sender changes its key, in packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    /// A key is used for so many packets (`SRTO_KMREFRESHRATE`).
    pub after: u32,
    /// The next one is announced so many packets earlier (`SRTO_KMPREANNOUNCE`).
    pub announce: u32,
}

impl Default for Refresh {
    /// As libsrt has it: 2^24 and 2^12.
    fn default() -> Self {
        Self {
            after: 1 << 24,
            announce: 1 << 12,
        }
    }
}

/// The keys of one connection.
pub(crate) struct Crypto {
    passphrase: Passphrase,
    entropy: Entropy,
    length: KeyLength,
    mode: CipherMode,
    salt: [u8; 16],
    kek: KeyBytes,
    derived_at: Mono,
    receive: [Option<StreamKey>; 2],
    send: [Option<StreamKey>; 2],
    active: KeyParity,
    refresh: Refresh,
    /// Packets encrypted with the active key.
    packets: u32,
    /// The first of them, once the key has changed.
    active_since: Option<Seq>,
    announcement: Option<Announcement>,
    block: BytesMut,
}

/// A key that the peer is being told.
struct Announcement {
    content: Bytes,
    confirmed: bool,
    repeat_at: Mono,
}

impl Crypto {
    /// As the end that makes the key. Also returns the key material to be sent.
    pub(crate) fn initiate(
        passphrase: &Passphrase,
        length: KeyLength,
        refresh: Refresh,
        mut entropy: Entropy,
    ) -> (Self, Bytes) {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let kek = derive_kek(&passphrase.0, &salt, length);
        let mut crypto = Self {
            passphrase: passphrase.clone(),
            entropy,
            length,
            mode: CipherMode::Ctr,
            salt,
            kek,
            derived_at: Mono(0),
            receive: [None, None],
            send: [None, None],
            active: KeyParity::Even,
            refresh,
            packets: 0,
            active_since: None,
            announcement: None,
            block: BytesMut::new(),
        };
        let key = crypto.make_key(KeyParity::Even);
        crypto.receive[0] = StreamKey::new(&key, crypto.length, crypto.mode, crypto.salt);
        let content = crypto.material(KeyParity::Even, &key);
        (crypto, content)
    }

    /// As the end that is told the key.
    pub(crate) fn respond(
        passphrase: &Passphrase,
        material: &KeyMaterial,
        refresh: Refresh,
        entropy: Entropy,
        now: Mono,
    ) -> Result<Self, KmState> {
        let length = KeyLength::from_bytes(material.key_bytes).ok_or(KmState::BAD_SECRET)?;
        if material.mode != CipherMode::Ctr {
            return Err(KmState::BAD_CRYPTO_MODE);
        }
        let active = if material.keys.bits() & 1 != 0 {
            KeyParity::Even
        } else {
            KeyParity::Odd
        };
        let mut crypto = Self {
            passphrase: passphrase.clone(),
            entropy,
            length,
            mode: material.mode,
            salt: material.salt,
            kek: derive_kek(&passphrase.0, &material.salt, length),
            derived_at: now,
            receive: [None, None],
            send: [None, None],
            active,
            refresh,
            packets: 0,
            active_since: None,
            announcement: None,
            block: BytesMut::new(),
        };
        let keys = crypto.take_keys(material).ok_or(KmState::BAD_SECRET)?;
        let first = &keys[..length.bytes()];
        crypto.send[active.index()] = StreamKey::new(first, length, crypto.mode, crypto.salt);
        Ok(crypto)
    }

    pub(crate) fn length(&self) -> KeyLength {
        self.length
    }

    /// Makes a new key for sending.
    fn make_key(&mut self, parity: KeyParity) -> KeyBytes {
        let mut key = [0; 32];
        self.entropy.fill(&mut key);
        self.send[parity.index()] = StreamKey::new(&key, self.length, self.mode, self.salt);
        key
    }

    fn material(&self, parity: KeyParity, key: &KeyBytes) -> Bytes {
        let keys = Keys::new(parity.bits());
        let content = keys.map(|keys| {
            let material = KeyMaterial {
                keys,
                mode: self.mode,
                key_bytes: self.length.bytes(),
                salt: self.salt,
                wrapped: wrap(&self.kek, self.length, &key[..self.length.bytes()]),
            };
            material.to_bytes()
        });
        content.unwrap_or_default().into()
    }

    /// Unwraps the keys and keeps them for receiving; `None` if the passphrase does not fit.
    fn take_keys(&mut self, material: &KeyMaterial) -> Option<Vec<u8>> {
        let keys = unwrap(&self.kek, self.length, &material.wrapped)?;
        let mut rest = &keys[..];
        for parity in [KeyParity::Even, KeyParity::Odd] {
            if material.keys.bits() & parity.bits() != 0 {
                let (key, after) = rest.split_at_checked(self.length.bytes())?;
                rest = after;
                self.receive[parity.index()] =
                    StreamKey::new(key, self.length, self.mode, self.salt);
            }
        }
        Some(keys)
    }

    /// Encrypts a payload into a buffer of ours.
    pub(crate) fn encrypt(&mut self, seq: Seq, payload: &[u8]) -> (Bytes, KeyParity) {
        let mut out = copy(&mut self.block, payload);
        if let Some(key) = &self.send[self.active.index()] {
            key.apply(seq, &mut out);
        }
        self.packets = self.packets.saturating_add(1);
        (out.freeze(), self.active)
    }

    /// Decrypts a payload into a buffer of ours; `None` if its key is not known.
    pub(crate) fn decrypt(&mut self, seq: Seq, parity: KeyParity, payload: &[u8]) -> Option<Bytes> {
        let key = self.receive[parity.index()].as_ref()?;
        let mut out = copy(&mut self.block, payload);
        key.apply(seq, &mut out);
        Some(out.freeze())
    }

    /// Whether no packet may be encrypted any more, because the peer does not take a new key.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.packets >= PACKETS_PER_KEY_MAX
    }

    /// Before packet `next` is encrypted: announces the next key and changes to it. Returns key
    /// material to be sent. `oldest` is the oldest packet that may be sent again: the next key
    /// takes the place of the one before the active one, which must not be needed any more.
    pub(crate) fn advance(&mut self, oldest: Seq, next: Seq, now: Mono) -> Option<Bytes> {
        let announce_at = self.refresh.after.saturating_sub(self.refresh.announce);
        let unneeded = self.active_since.is_none_or(|seq| !oldest.is_before(seq));
        match &self.announcement {
            None if self.packets >= announce_at && unneeded => {
                let parity = self.active.other();
                let key = self.make_key(parity);
                let content = self.material(parity, &key);
                self.announcement = Some(Announcement {
                    content: content.clone(),
                    confirmed: false,
                    repeat_at: now,
                });
                Some(content)
            }
            Some(announced) if announced.confirmed && self.packets >= self.refresh.after => {
                self.announcement = None;
                self.active = self.active.other();
                self.packets = 0;
                self.active_since = Some(next);
                None
            }
            _ => None,
        }
    }

    /// When an unanswered announcement is to be repeated.
    pub(crate) fn repeat_due(&self, period: Duration) -> Option<Mono> {
        let announced = self.announcement.as_ref()?;
        (!announced.confirmed).then_some(announced.repeat_at + period)
    }

    /// The announcement, to be sent again.
    pub(crate) fn repeat(&mut self, now: Mono) -> Option<Bytes> {
        let announced = self.announcement.as_mut()?;
        announced.repeat_at = now;
        Some(announced.content.clone())
    }

    /// The peer announces a key. Returns the answer.
    pub(crate) fn handle_request(&mut self, content: &Bytes, now: Mono) -> Option<Bytes> {
        let material = KeyMaterial::parse(content).ok()?;
        if material.mode != self.mode || material.key_bytes != self.length.bytes() {
            return None;
        }
        if material.salt != self.salt {
            if now.since(self.derived_at) < DERIVE_PERIOD {
                return None;
            }
            self.derived_at = now;
            let kek = derive_kek(&self.passphrase.0, &material.salt, self.length);
            let keys = unwrap(&kek, self.length, &material.wrapped);
            return keys.and_then(|keys| {
                self.take_other_salt(&material, &keys)
                    .then(|| content.clone())
            });
        }
        self.take_keys(&material).map(|_| content.clone())
    }

    /// Keys under another salt than ours: only for receiving.
    fn take_other_salt(&mut self, material: &KeyMaterial, keys: &[u8]) -> bool {
        let mut keys = keys.chunks_exact(self.length.bytes());
        for parity in [KeyParity::Even, KeyParity::Odd] {
            if material.keys.bits() & parity.bits() != 0 {
                let Some(key) = keys.next() else {
                    return false;
                };
                self.receive[parity.index()] =
                    StreamKey::new(key, self.length, self.mode, material.salt);
            }
        }
        true
    }

    /// The peer answers an announcement.
    pub(crate) fn handle_response(&mut self, content: &[u8]) {
        if let Some(announced) = &mut self.announcement
            && announced.content[..].ct_eq(content).into()
        {
            announced.confirmed = true;
        }
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto")
            .field("length", &self.length)
            .field("active", &self.active)
            .field("packets", &self.packets)
            .finish_non_exhaustive()
    }
}

/// A copy in `block`, or in a new block if it is full.
fn copy(block: &mut BytesMut, payload: &[u8]) -> BytesMut {
    if block.capacity() < payload.len() {
        block.reserve(BLOCK_BYTES.max(payload.len()));
    }
    block.put_slice(payload);
    block.split()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entropy(n: u8) -> Entropy {
        Entropy::new(&Seed([n; 32]))
    }

    fn pair(length: KeyLength, refresh: Refresh) -> (Crypto, Crypto) {
        let passphrase = Passphrase::new("correct horse").unwrap();
        let (caller, content) = Crypto::initiate(&passphrase, length, refresh, entropy(1));
        let material = KeyMaterial::parse(&content).unwrap();
        let listener =
            Crypto::respond(&passphrase, &material, refresh, entropy(2), Mono(0)).unwrap();
        (caller, listener)
    }

    #[test]
    fn both_directions_are_encrypted_with_every_length() {
        for length in [KeyLength::Aes128, KeyLength::Aes192, KeyLength::Aes256] {
            let (mut caller, mut listener) = pair(length, Refresh::default());
            for (from, to) in [(0, 1), (1, 0)] {
                let ends = [&mut caller, &mut listener];
                let payload = vec![from as u8; 1316];
                let (sent, parity) = ends[from].encrypt(Seq::new(5), &payload);
                assert_ne!(sent, payload);
                let read = ends[to].decrypt(Seq::new(5), parity, &sent);
                assert_eq!(read.unwrap(), payload);
                let wrong = ends[to].decrypt(Seq::new(6), parity, &sent);
                assert_ne!(wrong.unwrap(), payload);
                assert!(
                    ends[to]
                        .decrypt(Seq::new(5), parity.other(), &sent)
                        .is_none()
                );
            }
        }
    }

    #[test]
    fn another_passphrase_does_not_fit() {
        let mut texts = ["correct horse", "correct house"];
        for _ in 0..2 {
            let [ours, theirs] = texts.map(|text| Passphrase::new(text).unwrap());
            let (_, content) =
                Crypto::initiate(&theirs, KeyLength::Aes256, Refresh::default(), entropy(1));
            let material = KeyMaterial::parse(&content).unwrap();
            let refused =
                Crypto::respond(&ours, &material, Refresh::default(), entropy(2), Mono(0));
            assert_eq!(refused.err(), Some(KmState::BAD_SECRET));
            texts.reverse();
        }
        assert!(Passphrase::new("too short").is_none());
        assert!(Passphrase::new(&"x".repeat(80)).is_none());
        assert_eq!(
            format!("{:?}", Passphrase::new(&"x".repeat(79)).unwrap()),
            "Passphrase(..)"
        );
    }

    #[test]
    fn another_cipher_is_told_from_another_passphrase() {
        let passphrase = Passphrase::new("correct horse").unwrap();
        let refresh = Refresh::default();
        let (_, content) = Crypto::initiate(&passphrase, KeyLength::Aes128, refresh, entropy(1));
        let mut material = KeyMaterial::parse(&content).unwrap();
        material.mode = CipherMode::Gcm;
        let material = KeyMaterial::parse(&material.to_bytes()).unwrap();
        let refused = Crypto::respond(&passphrase, &material, refresh, entropy(2), Mono(0));
        assert_eq!(refused.err(), Some(KmState::BAD_CRYPTO_MODE));
    }

    #[test]
    fn keys_change_with_announcement() {
        let refresh = Refresh {
            after: 100,
            announce: 20,
        };
        let (mut caller, mut listener) = pair(KeyLength::Aes128, refresh);
        let mut parities = Vec::new();
        for n in 0..350 {
            let seq = Seq::new(n as u32);
            if let Some(content) = caller.advance(seq, seq, Mono(n)) {
                assert_eq!(caller.packets, 80);
                let answer = listener.handle_request(&content, Mono(n)).unwrap();
                caller.handle_response(b"....");
                assert!(caller.repeat_due(Duration::ZERO).is_some());
                caller.handle_response(&answer);
                assert!(caller.repeat_due(Duration::ZERO).is_none());
            }
            let (sent, parity) = caller.encrypt(seq, b"payload");
            assert_eq!(listener.decrypt(seq, parity, &sent).unwrap(), "payload");
            if parities.last() != Some(&(parity)) {
                parities.push(parity);
            }
        }
        assert_eq!(
            parities,
            [
                KeyParity::Even,
                KeyParity::Odd,
                KeyParity::Even,
                KeyParity::Odd
            ]
        );
    }

    /// From RFC 6070 and RFC 3394: what others compute, we compute.
    #[test]
    fn derivation_and_wrapping_are_the_standards() {
        let kek = derive_kek(b"passphrase!", &[7; 16], KeyLength::Aes128);
        assert_eq!(kek[16..], [0; 16]);
        let mut kek = [0; 32];
        kek[..16].copy_from_slice(&(0..16).collect::<Vec<u8>>());
        let key: Vec<u8> = (0..16).map(|n| n * 0x11).collect();
        let wrapped = wrap(&kek, KeyLength::Aes128, &key);
        assert_eq!(
            wrapped,
            [
                0x1f, 0xa6, 0x8b, 0x0a, 0x81, 0x12, 0xb4, 0x47, 0xae, 0xf3, 0x4b, 0xd8, 0xfb, 0x5a,
                0x7b, 0x82, 0x9d, 0x3e, 0x86, 0x23, 0x71, 0xd2, 0xcf, 0xe5
            ]
        );
        assert_eq!(unwrap(&kek, KeyLength::Aes128, &wrapped).unwrap(), key);
    }
}
