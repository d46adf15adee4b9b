//! PES packets (ISO/IEC 13818-1 §2.4.3.6): their header, and where they end.

use super::Output;
use super::track::Track;
use crate::limits::PES_BYTES_MAX;

/// Bytes up to and including `PES_packet_length`.
const START_BYTES: usize = 6;
/// Bytes up to and including `PES_header_data_length`.
const HEAD_BYTES: usize = 9;
/// The longest header.
const HEAD_BYTES_MAX: usize = HEAD_BYTES + 255;

/// When what begins in a PES packet is decoded and presented, modulo 2^33.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) pts: u64,
    pub(super) dts: u64,
}

/// A header.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    /// Its own bytes.
    bytes: usize,
    /// Bytes behind it, if that is told.
    payload: Option<usize>,
    stamp: Option<Stamp>,
}

/// What the first bytes of a PES packet are.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Head(Head),
    /// More bytes are needed.
    Partial,
    /// Nothing to be read: malformed, scrambled, or of a stream without the long header.
    Unusable,
}

/// The PES packets of one PID, on their way to a track.
#[derive(Debug)]
pub(super) struct Pes {
    track: Track,
    state: State,
    /// Lengths are not believed: some encoders write those of large pictures modulo 65,536.
    lies: bool,
}

#[derive(Debug)]
enum State {
    /// Until the next start.
    Idle,
    /// As many bytes came as were told.
    Over,
    /// The header is not whole.
    Head(Vec<u8>),
    /// Payload comes; how much is left, and how much may still come if that is not told.
    Payload { left: usize, is_told: bool },
}

impl Pes {
    pub(super) fn new(track: Track) -> Self {
        Self {
            track,
            state: State::Idle,
            lies: false,
        }
    }

    /// Packets were lost before the one at hand.
    pub(super) fn lose(&mut self, out: &mut Output<'_>) {
        // A frame may be open that an earlier PES packet began.
        self.track.lose(out);
        self.state = match self.state {
            State::Idle | State::Over | State::Head(_) => State::Idle,
            // How much is left is not known any more: the next start ends it.
            State::Payload { .. } => State::Payload {
                left: PES_BYTES_MAX,
                is_told: false,
            },
        };
    }

    /// Takes the payload of a packet.
    pub(super) fn push(
        &mut self,
        payload: &[u8],
        unit_start: bool,
        random_access: bool,
        out: &mut Output<'_>,
    ) {
        if unit_start {
            self.state = State::Head(Vec::new());
            self.start(payload, random_access, out);
            return;
        }
        match &mut self.state {
            State::Idle => {}
            State::Over => self.lies |= !payload.is_empty() && self.track.may_be_long(),
            State::Head(held) => {
                let mut held = std::mem::take(held);
                held.extend_from_slice(payload);
                self.start(&held, random_access, out);
            }
            State::Payload { .. } => self.payload(payload, out),
        }
    }

    /// The stream ends: what is open is given out.
    pub(super) fn finish(&mut self, out: &mut Output<'_>) {
        self.state = State::Idle;
        self.track.finish(out);
    }

    /// Takes the first bytes of a PES packet.
    fn start(&mut self, bytes: &[u8], random_access: bool, out: &mut Output<'_>) {
        match parse(bytes, self.track.may_be_long()) {
            Parsed::Partial if bytes.len() < HEAD_BYTES_MAX => {
                self.state = State::Head(bytes.to_vec());
            }
            Parsed::Partial | Parsed::Unusable => {
                out.stats.malformed_pes += 1;
                self.state = State::Idle;
            }
            Parsed::Head(head) => {
                let payload = bytes.get(head.bytes..).unwrap_or_default();
                let told = head.payload.filter(|_| !self.lies);
                self.state = State::Payload {
                    left: told.unwrap_or(PES_BYTES_MAX),
                    is_told: told.is_some(),
                };
                self.track.begin(head.stamp, random_access, payload, out);
                self.payload(payload, out);
            }
        }
    }

    fn payload(&mut self, payload: &[u8], out: &mut Output<'_>) {
        let State::Payload { left, is_told } = &mut self.state else {
            return;
        };
        let used = payload.len().min(*left);
        *left -= used;
        let (is_over, is_told) = (*left == 0, *is_told);
        self.track.push(&payload[..used], out);
        if is_over {
            self.state = if is_told { State::Over } else { State::Idle };
            if is_told {
                self.track.end(out);
            } else {
                // It never ends: what came of it is not believed.
                out.stats.malformed_pes += 1;
                self.track.lose(out);
            }
        }
    }
}

fn parse(bytes: &[u8], may_be_long: bool) -> Parsed {
    let start = bytes.get(..3.min(bytes.len())).unwrap_or_default();
    if !start.iter().eq([0, 0, 1].iter().take(start.len())) {
        return Parsed::Unusable;
    }
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else {
        return Parsed::Partial;
    };
    // Program stream map, padding, private_stream_2, ECM, EMM, DSM-CC, H.222.1 type E and the
    // directory have no long header (§2.4.3.7); it begins with the bits 10, and what is
    // scrambled is of no use.
    let is_short = matches!(head[3], 0xbc | 0xbe | 0xbf | 0xf0..=0xf2 | 0xf8 | 0xff);
    if is_short || head[6] & 0xf0 != 0x80 {
        return Parsed::Unusable;
    }
    let told = usize::from(u16::from_be_bytes([head[4], head[5]]));
    let bytes_of_head = HEAD_BYTES + usize::from(head[8]);
    let payload = match (told, (START_BYTES + told).checked_sub(bytes_of_head)) {
        (0, _) => None,
        // Shorter than its own header: the low 16 bits of a length that does not fit.
        (_, None) if may_be_long => None,
        (_, None) => return Parsed::Unusable,
        (_, left) => left,
    };
    let Some(whole) = bytes.get(..bytes_of_head) else {
        return Parsed::Partial;
    };
    Parsed::Head(Head {
        bytes: bytes_of_head,
        payload,
        stamp: stamp(head[7] >> 6, &whole[HEAD_BYTES..]),
    })
}

/// PTS and DTS by `PTS_DTS_flags`. What is forbidden or malformed says nothing.
fn stamp(flags: u8, optional: &[u8]) -> Option<Stamp> {
    let pts = time(optional.first_chunk()?);
    match flags {
        2 => pts.map(|pts| Stamp { pts, dts: pts }),
        3 => {
            let pts = pts?;
            let dts = optional.get(5..)?.first_chunk().and_then(time);
            Some(Stamp {
                pts,
                dts: dts.unwrap_or(pts),
            })
        }
        _ => None,
    }
}

/// 33 bits in groups of 3, 15 and 15, each followed by a marker bit.
fn time(field: &[u8; 5]) -> Option<u64> {
    let [a, b, c, d, e] = field.map(u64::from);
    let markers = a & c & e & 1;
    (markers == 1).then_some((a & 0x0e) << 29 | b << 22 | (c & 0xfe) << 14 | d << 7 | e >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pes::Header;

    #[test]
    fn reads_what_is_written() {
        for (pts, dts) in [
            (0, None),
            (900_000, Some(896_400)),
            ((1 << 33) - 1, Some(1 << 32)),
        ] {
            let header = Header::new(0xe0, 400, pts, dts);
            let mut bytes = header.as_slice().to_vec();
            let stamp = Stamp {
                pts: pts as u64,
                dts: dts.unwrap_or(pts) as u64,
            };
            let head = Head {
                bytes: bytes.len(),
                payload: Some(400 - bytes.len()),
                stamp: Some(stamp),
            };
            for n in 0..bytes.len() {
                assert_eq!(parse(&bytes[..n], false), Parsed::Partial, "{n}");
            }
            assert_eq!(parse(&bytes, false), Parsed::Head(head));
            bytes[6] |= 0x10;
            assert_eq!(parse(&bytes, false), Parsed::Unusable, "scrambled");
        }
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert_eq!(parse(&[0, 0, 2], false), Parsed::Unusable);
        assert_eq!(parse(&[0, 1], false), Parsed::Unusable);
        let short = [0, 0, 1, 0xe0, 0, 2, 0x80, 0, 0];
        assert_eq!(parse(&short, false), Parsed::Unusable);
        let Parsed::Head(head) = parse(&short, true) else {
            panic!();
        };
        assert_eq!(head.payload, None, "a length modulo 65,536");
        let padding = [0, 0, 1, 0xbe, 0, 9, 0x80, 0, 0];
        assert_eq!(parse(&padding, true), Parsed::Unusable);
        let forbidden = [0, 0, 1, 0xe0, 0, 0, 0x80, 0x40, 5, 0x21, 0, 1, 0, 1];
        let Parsed::Head(head) = parse(&forbidden, true) else {
            panic!();
        };
        assert_eq!((head.stamp, head.payload), (None, None));
    }
}
