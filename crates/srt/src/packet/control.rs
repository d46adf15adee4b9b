//! Control packets (§3.2).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |1|         Control Type        |            Subtype            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                   Type-specific Information                   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::data::header;
use super::{HEADER_BYTES, Handshake, LossList, SocketId, Words, words};
use crate::error::Error;
use crate::limits::KEY_MATERIAL_BYTES_MAX;
use crate::seq::Seq;
use bytes::Bytes;

const HANDSHAKE: u16 = 0;
const KEEP_ALIVE: u16 = 1;
const ACK: u16 = 2;
const NAK: u16 = 3;
const CONGESTION_WARNING: u16 = 4;
const SHUTDOWN: u16 = 5;
const ACKACK: u16 = 6;
const DROP_REQUEST: u16 = 7;
const PEER_ERROR: u16 = 8;
const USER: u16 = 0x7fff;

const SUBTYPE_KMREQ: u16 = 3;
const SUBTYPE_KMRSP: u16 = 4;

/// What a full acknowledgement tells (§3.2.4). A light one has only `next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Its own number, to be named in the ACKACK; 0 for a light one.
    pub number: u32,
    /// All packets before this one have arrived or are given up.
    pub next: Seq,
    /// The rest, unless it is light.
    pub report: Option<AckReport>,
}

/// The part of an acknowledgement that describes the link as the receiver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckReport {
    /// Round-trip time, in microseconds.
    pub rtt_us: u32,
    /// Its variance, in microseconds.
    pub rtt_variance_us: u32,
    /// Packets that the receiver has room for.
    pub available_packets: u32,
    /// What arrives, in packets a second; 0 if not told.
    pub packets_per_s: u32,
    /// Estimated capacity of the link, in packets a second; 0 if not told.
    pub capacity_packets_per_s: u32,
    /// What arrives, in bytes a second; 0 if not told.
    pub bytes_per_s: u32,
}

/// A control packet by its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// §3.2.1.
    Handshake(Box<Handshake>),
    /// §3.2.3.
    KeepAlive,
    /// §3.2.4.
    Ack(Ack),
    /// §3.2.5.
    Nak(LossList),
    /// §3.2.6.
    CongestionWarning,
    /// §3.2.7.
    Shutdown,
    /// §3.2.8: the number of the ACK it answers.
    AckAck(u32),
    /// §3.2.9: packets that will not come any more.
    DropRequest {
        /// Message they belong to; 0 if several.
        message: u32,
        /// First of them.
        first: Seq,
        /// Last of them.
        last: Seq,
    },
    /// §3.2.10: its code.
    PeerError(u32),
    /// §3.2.2: new keys, or the answer to them.
    KeyMaterial {
        /// KMREQ, or else KMRSP.
        request: bool,
        /// A key material message, or one word that says why there is none.
        content: Bytes,
    },
    /// A type that nobody has defined; passed over.
    Unknown(u16),
}

/// One control packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPacket {
    /// When it was sent, in microseconds since its sender's start, wrapping.
    pub timestamp: u32,
    /// Whom it is for.
    pub destination: SocketId,
    /// The rest.
    pub body: Control,
}

impl ControlPacket {
    pub(super) fn parse(words: Words, content: Bytes) -> Result<Self, Error> {
        let [kind, info, timestamp, destination] = words.0;
        Ok(Self {
            timestamp,
            destination: SocketId(destination),
            body: Control::parse(kind, info, content)?,
        })
    }
}

impl Control {
    fn parse(kind: u32, info: u32, content: Bytes) -> Result<Self, Error> {
        let subtype = kind as u16;
        Ok(match (kind >> 16) as u16 & 0x7fff {
            HANDSHAKE => Self::Handshake(Box::new(Handshake::parse(&content)?)),
            KEEP_ALIVE => Self::KeepAlive,
            ACK => Self::Ack(ack(info, &content)?),
            NAK => Self::Nak(LossList(content)),
            CONGESTION_WARNING => Self::CongestionWarning,
            SHUTDOWN => Self::Shutdown,
            ACKACK => Self::AckAck(info),
            DROP_REQUEST => {
                let (_, [first, last]) =
                    words::<2>(&content).map_err(|_| Error::Truncated("drop request"))?;
                Self::DropRequest {
                    message: info,
                    first: Seq::new(first),
                    last: Seq::new(last),
                }
            }
            PEER_ERROR => Self::PeerError(info),
            USER if matches!(subtype, SUBTYPE_KMREQ | SUBTYPE_KMRSP) => {
                if content.len() > KEY_MATERIAL_BYTES_MAX || content.len() < 4 {
                    return Err(Error::KeyMaterial);
                }
                Self::KeyMaterial {
                    request: subtype == SUBTYPE_KMREQ,
                    content,
                }
            }
            unknown => Self::Unknown(unknown),
        })
    }

    /// Control type and subtype, and the type-specific word.
    fn header_words(&self) -> (u16, u16, u32) {
        match self {
            Self::Handshake(_) => (HANDSHAKE, 0, 0),
            Self::KeepAlive => (KEEP_ALIVE, 0, 0),
            Self::Ack(ack) => (ACK, 0, ack.number),
            Self::Nak(_) => (NAK, 0, 0),
            Self::CongestionWarning => (CONGESTION_WARNING, 0, 0),
            Self::Shutdown => (SHUTDOWN, 0, 0),
            Self::AckAck(number) => (ACKACK, 0, *number),
            Self::DropRequest { message, .. } => (DROP_REQUEST, 0, *message),
            Self::PeerError(code) => (PEER_ERROR, 0, *code),
            Self::KeyMaterial { request, .. } => {
                let subtype = if *request {
                    SUBTYPE_KMREQ
                } else {
                    SUBTYPE_KMRSP
                };
                (USER, subtype, 0)
            }
            Self::Unknown(kind) => (*kind, 0, 0),
        }
    }

    /// The header of a packet with this body.
    #[must_use]
    pub fn header(&self, timestamp: u32, destination: SocketId) -> [u8; HEADER_BYTES] {
        let (kind, subtype, info) = self.header_words();
        let first = 1 << 31 | u32::from(kind) << 16 | u32::from(subtype);
        header([first, info, timestamp, destination.0])
    }

    /// Appends what follows the header.
    pub fn write_content(&self, out: &mut Vec<u8>) {
        match self {
            Self::Handshake(handshake) => handshake.write(out),
            Self::Ack(ack) => {
                let (words, n) = ack_words(ack);
                for word in &words[..n] {
                    out.extend_from_slice(&word.to_be_bytes());
                }
            }
            Self::Nak(losses) => out.extend_from_slice(&losses.0),
            Self::DropRequest { first, last, .. } => {
                out.extend_from_slice(&first.value().to_be_bytes());
                out.extend_from_slice(&last.value().to_be_bytes());
            }
            Self::KeyMaterial { content, .. } => out.extend_from_slice(content),
            Self::KeepAlive
            | Self::CongestionWarning
            | Self::Shutdown
            | Self::AckAck(_)
            | Self::PeerError(_)
            | Self::Unknown(_) => {}
        }
    }
}

fn ack(number: u32, content: &[u8]) -> Result<Ack, Error> {
    let short = |_| Error::Truncated("acknowledgement");
    let (rest, [next]) = words::<1>(content).map_err(short)?;
    let report = match words::<3>(rest) {
        Ok((rest, [rtt_us, rtt_variance_us, available_packets])) => {
            // Older peers leave the rates out.
            let rates = words::<3>(rest).map_or([0; 3], |(_, rates)| rates);
            Some(AckReport {
                rtt_us,
                rtt_variance_us,
                available_packets,
                packets_per_s: rates[0],
                capacity_packets_per_s: rates[1],
                bytes_per_s: rates[2],
            })
        }
        Err(_) => None,
    };
    Ok(Ack {
        number,
        next: Seq::new(next),
        report,
    })
}

/// The words of an acknowledgement, and how many of them count.
fn ack_words(ack: &Ack) -> ([u32; 7], usize) {
    let next = ack.next.value();
    match &ack.report {
        None => ([next, 0, 0, 0, 0, 0, 0], 1),
        Some(r) => (
            [
                next,
                r.rtt_us,
                r.rtt_variance_us,
                r.available_packets,
                r.packets_per_s,
                r.capacity_packets_per_s,
                r.bytes_per_s,
            ],
            7,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Packet;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let report = AckReport {
            rtt_us: 40_000,
            rtt_variance_us: 300,
            available_packets: 8000,
            packets_per_s: 9500,
            capacity_packets_per_s: 90_000,
            bytes_per_s: 12_500_000,
        };
        let ack = |number, report| {
            Control::Ack(Ack {
                number,
                next: Seq::new(5),
                report,
            })
        };
        let bodies = [
            Control::KeepAlive,
            ack(0, None),
            ack(9, Some(report)),
            Control::Nak(LossList(Bytes::from_static(&[0, 0, 0, 1]))),
            Control::CongestionWarning,
            Control::Shutdown,
            Control::AckAck(9),
            Control::DropRequest {
                message: 3,
                first: Seq::new(0x7fff_ffff),
                last: Seq::new(2),
            },
            Control::PeerError(4000),
            Control::KeyMaterial {
                request: true,
                content: Bytes::from_static(&[0; 64]),
            },
            Control::KeyMaterial {
                request: false,
                content: Bytes::from_static(&[0, 0, 0, 4]),
            },
            Control::Unknown(0x7f0f),
        ];
        for body in bodies {
            let mut datagram = body.header(77, SocketId(8)).to_vec();
            body.write_content(&mut datagram);
            let packet = ControlPacket {
                timestamp: 77,
                destination: SocketId(8),
                body,
            };
            let read = Packet::parse(Bytes::from(datagram));
            assert_eq!(read, Ok(Packet::Control(packet)));
        }
    }

    #[test]
    fn an_acknowledgement_without_rates_is_read() {
        let mut datagram = ack_packet(4);
        datagram.extend_from_slice(&[0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8]);
        let Ok(Packet::Control(packet)) = Packet::parse(datagram.into()) else {
            panic!("no control packet");
        };
        let Control::Ack(ack) = packet.body else {
            panic!("no acknowledgement");
        };
        assert_eq!(ack.next, Seq::new(5));
        assert_eq!(ack.report.unwrap().available_packets, 8);
        assert_eq!(
            Packet::parse(ack_packet(4).into()),
            Err(Error::Truncated("acknowledgement"))
        );
    }

    fn ack_packet(number: u32) -> Vec<u8> {
        header([0x8002_0000, number, 0, 0]).to_vec()
    }
}
