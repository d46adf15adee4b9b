//! Session descriptions (RFC 8866), as far as they describe RTP that is received: addresses,
//! ports, and the formats that [`crate::depacketize`] reads.
//!
//! Not covered: offers and answers, keys, and formats other than the first of a medium.

use crate::error::Error;
use crate::limits::{SDP_BYTES_MAX, SDP_MEDIA_MAX};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::net::IpAddr;
use weir_media::aac::AacConfig;

/// What is to be received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// Its media, in their order.
    pub media: Vec<Medium>,
}

/// One RTP stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// UDP port; 0 is a medium that is not sent.
    pub port: u16,
    /// Address it is sent to: that of a multicast group, or of the receiver. `None` if it is a
    /// name, or not told.
    pub address: Option<IpAddr>,
    /// The only sender that is taken (RFC 4570).
    pub source: Option<IpAddr>,
    /// Payload type of the packets.
    pub payload_type: u8,
    /// Ticks per second of the timestamps.
    pub clock_rate: u32,
    /// What is in the packets.
    pub format: Format,
}

/// A payload format.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// MPEG transport stream.
    Ts,
    /// H.264 (RFC 6184), with the parameter sets that were told.
    H264(Vec<Bytes>),
    /// HEVC (RFC 7798), with the parameter sets that were told.
    Hevc(Vec<Bytes>),
    /// AAC (RFC 3640, mode AAC-hbr).
    Aac(AacFormat),
    /// Opus (RFC 7587).
    Opus {
        /// Two channels are to be expected.
        stereo: bool,
    },
    /// Another, by its encoding name in lower case.
    Unsupported(String),
}

/// AAC-hbr (RFC 3640 §3.3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AacFormat {
    /// From `config`.
    pub config: AacConfig,
    /// `sizeLength`, bits.
    pub size_bits: u8,
    /// `indexLength`, bits.
    pub index_bits: u8,
    /// `indexDeltaLength`, bits.
    pub index_delta_bits: u8,
}

/// A medium that is being read.
#[derive(Default)]
struct Draft<'a> {
    port: u16,
    payload_type: u8,
    address: Option<IpAddr>,
    source: Option<IpAddr>,
    /// Of the payload type: name, rate and channels.
    map: Option<&'a str>,
    parameters: &'a str,
}

impl Description {
    /// Reads a description. Lines that say nothing of reception are passed over.
    ///
    /// # Errors
    /// It is too long, no text, has too many media, a medium's line that cannot be read, or a
    /// format whose parameters are missing or out of range.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > SDP_BYTES_MAX {
            return Err(Error::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Error::Field("SDP text"))?;
        let (mut address, mut source) = (None, None);
        let mut drafts: Vec<Draft<'_>> = Vec::new();
        for line in text.lines() {
            let Some((kind, value)) = line.trim_end().split_once('=') else {
                continue;
            };
            let (address, source) = match drafts.last_mut() {
                Some(draft) => (&mut draft.address, &mut draft.source),
                None => (&mut address, &mut source),
            };
            match (kind, value.split_once(':')) {
                ("c", _) => *address = connection(value),
                ("a", Some(("source-filter", value))) => *source = filter(value),
                _ => {}
            }
            match kind {
                "m" if drafts.len() == SDP_MEDIA_MAX => return Err(Error::Field("SDP media")),
                "m" => drafts.push(Draft::parse(value)?),
                "a" => {
                    if let Some(draft) = drafts.last_mut() {
                        draft.attribute(value);
                    }
                }
                _ => {}
            }
        }
        let media = drafts.into_iter().map(|mut draft| {
            draft.address = draft.address.or(address);
            draft.source = draft.source.or(source);
            draft.finish()
        });
        Ok(Self {
            media: media.collect::<Result<_, _>>()?,
        })
    }
}

impl<'a> Draft<'a> {
    /// `m=video 5004 RTP/AVP 96`
    fn parse(value: &'a str) -> Result<Self, Error> {
        let mut words = value.split_ascii_whitespace().skip(1);
        let mut word = || words.next().ok_or(Error::Truncated("SDP m="));
        let port = word()?;
        let port = port.split('/').next().and_then(|p| p.parse().ok());
        word()?;
        let payload_type = word()?.parse().ok().filter(|t| *t < 128);
        Ok(Self {
            port: port.ok_or(Error::Field("SDP port"))?,
            payload_type: payload_type.ok_or(Error::Field("SDP payload type"))?,
            ..Self::default()
        })
    }

    /// `rtpmap:96 H264/90000`, `fmtp:96 packetization-mode=1;…`
    fn attribute(&mut self, value: &'a str) {
        let Some((name, value)) = value.split_once(':') else {
            return;
        };
        let Some((payload_type, value)) = value.trim().split_once(' ') else {
            return;
        };
        if payload_type.parse() != Ok(self.payload_type) {
            return;
        }
        match name {
            "rtpmap" => self.map = Some(value.trim()),
            "fmtp" => self.parameters = value.trim(),
            _ => {}
        }
    }

    fn finish(self) -> Result<Medium, Error> {
        // The one static payload type that is read (RFC 3551 §6).
        let known = (self.payload_type == crate::ts::PAYLOAD_TYPE).then_some("MP2T/90000");
        let map = self.map.or(known).unwrap_or_default();
        let mut parts = map.split('/');
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let rate = parts.next().and_then(|r| r.parse().ok()).unwrap_or(0);
        let format = self.format(name)?;
        if rate == 0 && !matches!(format, Format::Unsupported(_)) {
            return Err(Error::Field("SDP clock rate"));
        }
        Ok(Medium {
            port: self.port,
            address: self.address,
            source: self.source,
            payload_type: self.payload_type,
            clock_rate: rate,
            format,
        })
    }

    fn format(&self, name: String) -> Result<Format, Error> {
        Ok(match name.as_str() {
            "mp2t" => Format::Ts,
            "h264" => match self.number("packetization-mode")? {
                None | Some(0 | 1) => Format::H264(self.sets(&["sprop-parameter-sets"])?),
                Some(_) => return Err(Error::Field("packetization-mode")),
            },
            "h265" => match self.number("sprop-max-don-diff")? {
                None | Some(0) => {
                    Format::Hevc(self.sets(&["sprop-vps", "sprop-sps", "sprop-pps"])?)
                }
                Some(_) => return Err(Error::Field("sprop-max-don-diff")),
            },
            "mpeg4-generic" => Format::Aac(self.aac()?),
            "opus" => Format::Opus {
                stereo: self.parameter("sprop-stereo") == Some("1"),
            },
            _ => Format::Unsupported(name),
        })
    }

    /// Value of a format parameter.
    fn parameter(&self, name: &str) -> Option<&'a str> {
        let pairs = self.parameters.split(';').filter_map(|p| p.split_once('='));
        let mut named = pairs.filter(|(n, _)| n.trim().eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    fn number(&self, name: &'static str) -> Result<Option<u8>, Error> {
        let value = self.parameter(name).map(str::parse).transpose();
        value.map_err(|_| Error::Field(name))
    }

    /// Parameter sets in base 64, separated by commas.
    fn sets(&self, names: &[&'static str]) -> Result<Vec<Bytes>, Error> {
        let mut sets = Vec::new();
        for name in names {
            let values = self.parameter(name).into_iter().flat_map(|v| v.split(','));
            for value in values.filter(|v| !v.is_empty()) {
                let set = STANDARD.decode(value).map_err(|_| Error::Field(name))?;
                sets.push(Bytes::from(set));
            }
        }
        Ok(sets)
    }

    fn aac(&self) -> Result<AacFormat, Error> {
        let mode = self.parameter("mode").unwrap_or_default();
        if !mode.eq_ignore_ascii_case("AAC-hbr") {
            return Err(Error::Field("AAC mode"));
        }
        let config = self.parameter("config").and_then(hex);
        let config = config.ok_or(Error::Field("AAC config"))?;
        let bits = |name| {
            let bits = self.number(name)?.unwrap_or(0);
            if bits > 16 {
                return Err(Error::Field(name));
            }
            Ok(bits)
        };
        let size_bits = bits("sizeLength")?;
        if size_bits == 0 {
            return Err(Error::Field("sizeLength"));
        }
        Ok(AacFormat {
            config: AacConfig::parse(config).map_err(Error::Media)?,
            size_bits,
            index_bits: bits("indexLength")?,
            index_delta_bits: bits("indexDeltaLength")?,
        })
    }
}

/// `IN IP4 239.1.2.3/32`
fn connection(value: &str) -> Option<IpAddr> {
    let address = value.split_ascii_whitespace().nth(2)?;
    address.split('/').next()?.parse().ok()
}

/// `incl IN IP4 239.1.2.3 192.0.2.1`
fn filter(value: &str) -> Option<IpAddr> {
    let mut words = value.split_ascii_whitespace();
    (words.next()? == "incl").then_some(())?;
    words.nth(3)?.parse().ok()
}

fn hex(text: &str) -> Option<Bytes> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |b: u8| char::from(b).to_digit(16);
    let byte = |[a, b]: &[u8; 2]| Some((digit(*a)? << 4 | digit(*b)?) as u8);
    rest.is_empty().then_some(())?;
    pairs
        .iter()
        .map(byte)
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ffmpeg 5.1 writes it for two outputs, with an address and a source added.
    const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=No Name\r\nt=0 0\r\n\
        a=tool:libavformat 59.27.100\r\n\
        m=video 5004 RTP/AVP 96\r\nc=IN IP4 239.1.2.3/32\r\nb=AS:200\r\n\
        a=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2QAH6zZQFAFuwEQAAADABAAAAMDwPGDGWA=,aOvjyyLA; profile-level-id=64001F\r\n\
        a=source-filter: incl IN IP4 239.1.2.3 192.0.2.7\r\n\
        m=audio 5006 RTP/AVP 97\r\nc=IN IP4 127.0.0.1\r\n\
        a=rtpmap:97 MPEG4-GENERIC/48000/2\r\n\
        a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3; config=1190\r\n";

    #[test]
    fn what_ffmpeg_writes() {
        let description = Description::parse(SDP.as_bytes()).unwrap();
        let [video, audio] = &description.media[..] else {
            panic!("{description:?}");
        };
        assert_eq!((video.port, video.payload_type), (5004, 96));
        assert_eq!(video.clock_rate, 90_000);
        assert_eq!(video.address, "239.1.2.3".parse().ok());
        assert_eq!(video.source, "192.0.2.7".parse().ok());
        let Format::H264(sets) = &video.format else {
            panic!("{video:?}");
        };
        assert_eq!((sets.len(), sets[0][0], sets[1][0]), (2, 0x67, 0x68));
        let Format::Aac(aac) = &audio.format else {
            panic!("{audio:?}");
        };
        assert_eq!((aac.config.sample_rate, aac.config.channels), (48_000, 2));
        assert_eq!(
            (aac.size_bits, aac.index_bits, aac.index_delta_bits),
            (13, 3, 3)
        );
        assert_eq!((audio.source, audio.clock_rate), (None, 48_000));
    }

    #[test]
    fn formats_by_their_names() {
        let of = |lines: &str| {
            let text = format!("c=IN IP6 ff15::1\nm=x 1/2 RTP/AVP {lines}\n");
            Description::parse(text.as_bytes()).map(|d| d.media.into_iter().next().unwrap())
        };
        let ts = of("33").unwrap();
        assert_eq!((&ts.format, ts.clock_rate), (&Format::Ts, 90_000));
        assert_eq!(ts.address, "ff15::1".parse().ok());
        let opus = of("111\na=rtpmap:111 opus/48000/2\na=fmtp:111 sprop-stereo=1").unwrap();
        assert_eq!(opus.format, Format::Opus { stereo: true });
        let hevc = of("96\na=rtpmap:96 H265/90000\na=fmtp:96 sprop-pps=RAHA").unwrap();
        assert_eq!(
            hevc.format,
            Format::Hevc(vec![Bytes::from_static(&[0x44, 1, 0xc0])])
        );
        let other = of("0").unwrap();
        assert_eq!(other.format, Format::Unsupported(String::new()));
        for bad in [
            "",
            "200",
            "x",
            "96\na=rtpmap:96 H264/0",
            "96\na=rtpmap:96 H264/90000\na=fmtp:96 sprop-parameter-sets=!",
            "96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=2",
            "96\na=rtpmap:96 mpeg4-generic/48000\na=fmtp:96 mode=AAC-hbr; config=119",
            "96\na=rtpmap:96 mpeg4-generic/48000\na=fmtp:96 mode=AAC-hbr; config=1190",
            "96\na=rtpmap:96 mpeg4-generic/48000\na=fmtp:96 mode=AAC-lbr; config=1190",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_hold() {
        let many = "m=x 1 RTP/AVP 33\n".repeat(SDP_MEDIA_MAX + 1);
        assert_eq!(
            Description::parse(many.as_bytes()),
            Err(Error::Field("SDP media"))
        );
        let long = vec![b'a'; SDP_BYTES_MAX + 1];
        assert_eq!(Description::parse(&long), Err(Error::TooLong(long.len())));
        assert!(Description::parse(&[0xff]).is_err());
        assert_eq!(Description::parse(b""), Ok(Description::default()));
    }
}
