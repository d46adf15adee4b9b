//! Handshake extensions (§3.2.1.1 to §3.2.1.3).

use super::words;
use crate::error::Error;
use crate::limits::{CONFIG_STRING_BYTES_MAX, KEY_MATERIAL_BYTES_MAX, STREAM_ID_BYTES_MAX};
use bytes::{Buf, Bytes};
use nom::IResult;
use nom::bytes::complete::take;
use nom::number::complete::be_u16;

const HSREQ: u16 = 1;
const HSRSP: u16 = 2;
const KMREQ: u16 = 3;
const KMRSP: u16 = 4;
const SID: u16 = 5;
const CONGESTION: u16 = 6;
const FILTER: u16 = 7;
const GROUP: u16 = 8;

/// Bit of the extension field: an HS extension follows.
pub const HAS_HS: u16 = 1;
/// Bit of the extension field: a KM extension follows.
pub const HAS_KM: u16 = 2;
/// Bit of the extension field: another extension follows.
pub const HAS_CONFIG: u16 = 4;

/// The flags of the HS extension (§3.2.1.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SrtFlags(pub u32);

impl SrtFlags {
    /// The sender gives packets a time to be played.
    pub const TSBPDSND: u32 = 1;
    /// The receiver plays packets at their time.
    pub const TSBPDRCV: u32 = 1 << 1;
    /// Encryption is understood.
    pub const CRYPT: u32 = 1 << 2;
    /// Packets that are too late are dropped.
    pub const TLPKTDROP: u32 = 1 << 3;
    /// Losses are reported again and again.
    pub const PERIODICNAK: u32 = 1 << 4;
    /// Bit 26 of a message number means retransmitted. Must be set.
    pub const REXMITFLG: u32 = 1 << 5;
    /// A stream of bytes and not of messages.
    pub const STREAM: u32 = 1 << 6;
    /// Packet filters are understood.
    pub const PACKET_FILTER: u32 = 1 << 7;

    /// Whether all bits of `flags` are set.
    #[must_use]
    pub const fn has(self, flags: u32) -> bool {
        self.0 & flags == flags
    }
}

/// The HS extension: HSREQ of the initiator, HSRSP of the responder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HsExtension {
    /// HSREQ, or else HSRSP.
    pub request: bool,
    /// Version of the library: `major << 16 | minor << 8 | patch`.
    pub version: u32,
    /// What the sender can do.
    pub flags: SrtFlags,
    /// Receiver's latency of the end that sends this, in milliseconds.
    pub receive_delay_ms: u16,
    /// Latency that it asks of its peer, in milliseconds.
    pub send_delay_ms: u16,
}

/// Key material, with its direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmExtension {
    /// KMREQ, or else KMRSP.
    pub request: bool,
    /// A key material message, or one word that says why there is none.
    pub content: Bytes,
}

/// Membership of a bonded group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupExtension {
    /// The group at the sender's end.
    pub id: u32,
    /// 1 broadcast, 2 main and backup.
    pub kind: u8,
    /// Bit 0: message numbers are in step over the members.
    pub flags: u8,
    /// Priority of this member: the higher the better.
    pub weight: u16,
}

/// All extensions of a handshake. Each may come once; unknown types are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions {
    /// HSREQ or HSRSP.
    pub hs: Option<HsExtension>,
    /// KMREQ or KMRSP.
    pub km: Option<KmExtension>,
    /// The stream id as sent, without padding.
    pub stream_id: Option<Bytes>,
    /// Congestion controller's name: `live` if absent.
    pub congestion: Option<Bytes>,
    /// Packet filter's settings.
    pub filter: Option<Bytes>,
    /// Bonding.
    pub group: Option<GroupExtension>,
}

impl Extensions {
    /// Reads what follows the fixed part.
    ///
    /// # Errors
    /// If a length goes past the end, a content has the wrong length or comes twice.
    pub fn parse(content: &Bytes) -> Result<Self, Error> {
        let mut extensions = Self::default();
        let mut rest = content.clone();
        // Fewer bytes than a header are padding.
        while rest.len() >= 4 {
            let (kind, content) = block(&rest)
                .map(|(_, block)| block)
                .map_err(|_| Error::ExtensionLength)?;
            let content = rest.slice_ref(content);
            rest.advance(4 + content.len());
            extensions.add(kind, &content)?;
        }
        Ok(extensions)
    }

    fn add(&mut self, kind: u16, content: &Bytes) -> Result<(), Error> {
        match kind {
            HSREQ | HSRSP => once(&mut self.hs, kind, hs(kind == HSREQ, content)?),
            KMREQ | KMRSP => {
                if content.is_empty() || content.len() > KEY_MATERIAL_BYTES_MAX {
                    return Err(Error::ExtensionLength);
                }
                let km = KmExtension {
                    request: kind == KMREQ,
                    content: content.clone(),
                };
                once(&mut self.km, kind, km)
            }
            SID => once(
                &mut self.stream_id,
                kind,
                string(content, STREAM_ID_BYTES_MAX)?,
            ),
            CONGESTION => once(
                &mut self.congestion,
                kind,
                string(content, CONFIG_STRING_BYTES_MAX)?,
            ),
            FILTER => once(
                &mut self.filter,
                kind,
                string(content, CONFIG_STRING_BYTES_MAX)?,
            ),
            GROUP => once(&mut self.group, kind, group(content)?),
            _ => Ok(()),
        }
    }

    /// Bits for the extension field.
    #[must_use]
    pub fn field(&self) -> u16 {
        let config = self.stream_id.is_some()
            || self.congestion.is_some()
            || self.filter.is_some()
            || self.group.is_some();
        let bit = |present, bit| if present { bit } else { 0 };
        bit(self.hs.is_some(), HAS_HS) | bit(self.km.is_some(), HAS_KM) | bit(config, HAS_CONFIG)
    }

    /// Appends all that are present.
    pub fn write(&self, out: &mut Vec<u8>) {
        if let Some(hs) = &self.hs {
            head(out, if hs.request { HSREQ } else { HSRSP }, 12);
            out.extend_from_slice(&hs.version.to_be_bytes());
            out.extend_from_slice(&hs.flags.0.to_be_bytes());
            out.extend_from_slice(&hs.receive_delay_ms.to_be_bytes());
            out.extend_from_slice(&hs.send_delay_ms.to_be_bytes());
        }
        if let Some(km) = &self.km {
            let kind = if km.request { KMREQ } else { KMRSP };
            head(out, kind, km.content.len());
            out.extend_from_slice(&km.content);
        }
        for (kind, text) in [
            (SID, &self.stream_id),
            (CONGESTION, &self.congestion),
            (FILTER, &self.filter),
        ] {
            if let Some(text) = text {
                write_string(out, kind, text);
            }
        }
        if let Some(group) = &self.group {
            head(out, GROUP, 8);
            out.extend_from_slice(&group.id.to_be_bytes());
            out.extend_from_slice(&[group.kind, group.flags]);
            out.extend_from_slice(&group.weight.to_be_bytes());
        }
    }
}

/// Type and content of one extension.
fn block(input: &[u8]) -> IResult<&[u8], (u16, &[u8])> {
    let (input, kind) = be_u16(input)?;
    let (input, words) = be_u16(input)?;
    let (input, content) = take(usize::from(words) * 4)(input)?;
    Ok((input, (kind, content)))
}

fn once<T>(slot: &mut Option<T>, kind: u16, value: T) -> Result<(), Error> {
    if slot.replace(value).is_some() {
        return Err(Error::ExtensionTwice(kind));
    }
    Ok(())
}

fn hs(request: bool, content: &[u8]) -> Result<HsExtension, Error> {
    // Longer ones are later versions'.
    let (_, [version, flags, delays]) = words::<3>(content).map_err(|_| Error::ExtensionLength)?;
    Ok(HsExtension {
        request,
        version,
        flags: SrtFlags(flags),
        receive_delay_ms: (delays >> 16) as u16,
        send_delay_ms: delays as u16,
    })
}

fn group(content: &[u8]) -> Result<GroupExtension, Error> {
    let (_, [id, data]) = words::<2>(content).map_err(|_| Error::ExtensionLength)?;
    Ok(GroupExtension {
        id,
        kind: (data >> 24) as u8,
        flags: (data >> 16) as u8,
        weight: data as u16,
    })
}

/// Text is sent as 32-bit words with the least significant byte first, zero padded.
fn string(content: &[u8], bytes_max: usize) -> Result<Bytes, Error> {
    if content.len() > bytes_max {
        return Err(Error::ExtensionLength);
    }
    let mut text = content.to_vec();
    for word in text.chunks_exact_mut(4) {
        word.reverse();
    }
    let end = text.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1);
    text.truncate(end);
    Ok(text.into())
}

fn write_string(out: &mut Vec<u8>, kind: u16, text: &[u8]) {
    let padded = text.len().next_multiple_of(4);
    head(out, kind, padded);
    let start = out.len();
    out.extend_from_slice(text);
    out.resize(start + padded, 0);
    for word in out[start..].chunks_exact_mut(4) {
        word.reverse();
    }
}

fn head(out: &mut Vec<u8>, kind: u16, content_bytes: usize) {
    debug_assert!(content_bytes.is_multiple_of(4) && content_bytes / 4 <= usize::from(u16::MAX));
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&((content_bytes / 4) as u16).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Extensions, Error> {
        Extensions::parse(&Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn text_is_words_with_the_least_byte_first() {
        let extensions = Extensions {
            stream_id: Some(Bytes::from_static(b"abcde")),
            ..Extensions::default()
        };
        let mut out = Vec::new();
        extensions.write(&mut out);
        assert_eq!(out, b"\0\x05\0\x02dcba\0\0\0e");
        assert_eq!(parse(&out), Ok(extensions));
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        assert_eq!(
            parse(&[0, 5, 0xff, 0xff, 0, 0]),
            Err(Error::ExtensionLength)
        );
        assert_eq!(parse(&[0, 1, 0, 0]), Err(Error::ExtensionLength));
        assert_eq!(parse(&[0, 3, 0, 0]), Err(Error::ExtensionLength));
        assert_eq!(
            parse(&[0, 8, 0, 1, 0, 0, 0, 1]),
            Err(Error::ExtensionLength)
        );
        let long = |kind: u8, words: u8| [&[0, kind, 0, words][..], &[b'x'; 1024]].concat();
        assert_eq!(parse(&long(5, 129)), Err(Error::ExtensionLength));
        assert!(parse(&long(5, 128)[..516]).is_ok());
        assert_eq!(parse(&long(3, 255)[..1024]), Err(Error::ExtensionLength));
        assert_eq!(
            parse(&[0, 5, 0, 0, 0, 5, 0, 0]),
            Err(Error::ExtensionTwice(5))
        );
        assert_eq!(parse(&[0, 99, 0, 0, 1]), Ok(Extensions::default()));
    }
}
