//! What either end says of Enhanced RTMP in `connect` and in its answer ("Enhancing
//! NetConnection connect Command").

use crate::amf::{Properties, Value};

/// `capsEx`: the peer reconnects when it is asked to.
const RECONNECT: u32 = 1;
/// `capsEx`: multitrack messages.
const MULTITRACK: u32 = 1 << 1;
/// `capsEx`: `ModEx`.
const MOD_EX: u32 = 1 << 2;
/// `capsEx`: nanosecond offsets.
const NANO_OFFSET: u32 = 1 << 3;

/// A codec's flag: it can be decoded.
const CAN_DECODE: u32 = 1;
/// A codec's flag: it can be passed on.
const CAN_FORWARD: u32 = 1 << 2;

const VIDEO: [&str; 4] = ["avc1", "hvc1", "av01", "vp09"];
const AUDIO: [&str; 6] = ["mp4a", "Opus", "fLaC", "ac-3", "ec-3", ".mp3"];

/// What a client says that it can do. A client from before Enhanced RTMP says nothing, and so
/// does OBS, whatever it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    caps_ex: u32,
    /// One bit for each codec of [`VIDEO`], then of [`AUDIO`].
    decodes: u16,
}

impl Capabilities {
    /// Reads the properties of `connect`.
    #[must_use]
    pub fn of(connect: &Value) -> Self {
        let number = |value: &Value| value.as_number().map_or(0, |n| n as u32);
        let mut decodes = 0;
        for (bit, (map, four_cc)) in codecs().enumerate() {
            let map = connect.property(map);
            let flags = |name| map.and_then(|m| m.property(name)).map_or(0, number);
            if (flags("*") | flags(four_cc)) & CAN_DECODE != 0 || is_listed(connect, four_cc) {
                decodes |= 1 << bit;
            }
        }
        Self {
            caps_ex: connect.property("capsEx").map_or(0, number),
            decodes,
        }
    }

    /// Whether the client decodes what has this `FourCC`.
    #[must_use]
    pub fn decodes(self, four_cc: [u8; 4]) -> bool {
        let bit = codecs().position(|(_, known)| known.as_bytes() == four_cc);
        bit.is_some_and(|bit| self.decodes >> bit & 1 == 1)
    }

    /// Whether it reconnects on `NetConnection.Connect.ReconnectRequest`.
    #[must_use]
    pub fn reconnects(self) -> bool {
        self.caps_ex & RECONNECT != 0
    }

    /// Whether it understands messages of several tracks.
    #[must_use]
    pub fn takes_multitrack(self) -> bool {
        self.caps_ex & MULTITRACK != 0
    }
}

/// Each codec with the map that it is in.
fn codecs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let video = VIDEO.into_iter().map(|c| ("videoFourCcInfoMap", c));
    video.chain(AUDIO.into_iter().map(|c| ("audioFourCcInfoMap", c)))
}

/// Whether `fourCcList`, of the first version, has a codec.
fn is_listed(connect: &Value, four_cc: &str) -> bool {
    let Some(Value::StrictArray(list)) = connect.property("fourCcList") else {
        return false;
    };
    let named = |v: &Value| matches!(v.as_str(), Some(name) if name == "*" || name == four_cc);
    list.iter().any(named)
}

/// What we say of ourselves in the answer to `connect`.
pub(super) fn own() -> Properties {
    properties(CAN_FORWARD, MULTITRACK | MOD_EX | NANO_OFFSET)
}

/// What we say of ourselves in `connect`: what we play we take apart, and pass on.
pub(super) fn own_as_client() -> Properties {
    let caps_ex = RECONNECT | MULTITRACK | MOD_EX | NANO_OFFSET;
    properties(CAN_DECODE | CAN_FORWARD, caps_ex)
}

fn properties(flags: u32, caps_ex: u32) -> Properties {
    let map = |codecs: &[&str]| {
        let flags = Value::Number(flags.into());
        let codecs = codecs.iter().map(|c| ((*c).to_owned(), flags.clone()));
        Value::Object(codecs.collect())
    };
    let list = codecs().map(|(_, four_cc)| Value::from(four_cc)).collect();
    vec![
        ("videoFourCcInfoMap".to_owned(), map(&VIDEO)),
        ("audioFourCcInfoMap".to_owned(), map(&AUDIO)),
        ("capsEx".to_owned(), Value::Number(caps_ex.into())),
        ("fourCcList".to_owned(), Value::StrictArray(list)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demux::is_known;
    use weir_media::TrackKind;

    fn connect(properties: &[(&str, Value)]) -> Capabilities {
        let properties = properties.iter().map(|(n, v)| ((*n).to_owned(), v.clone()));
        Capabilities::of(&Value::Object(properties.collect()))
    }

    fn map(flags: &[(&str, f64)]) -> Value {
        let flags = flags
            .iter()
            .map(|(n, v)| ((*n).to_owned(), Value::Number(*v)));
        Value::Object(flags.collect())
    }

    #[test]
    fn maps_and_the_old_list_are_read() {
        let c = connect(&[
            ("videoFourCcInfoMap", map(&[("hvc1", 1.0), ("av01", 6.0)])),
            ("audioFourCcInfoMap", map(&[("*", 7.0)])),
            ("capsEx", 3.0.into()),
        ]);
        assert!(c.decodes(*b"hvc1") && !c.decodes(*b"av01") && !c.decodes(*b"vp09"));
        assert!(c.decodes(*b"Opus") && c.decodes(*b".mp3"));
        assert!(c.reconnects() && c.takes_multitrack());
        // As ffmpeg 9 sends it.
        let list = ["av01", "vp09", "hvc1"].map(Value::from).to_vec();
        let c = connect(&[("fourCcList", Value::StrictArray(list))]);
        assert!(c.decodes(*b"vp09") && !c.decodes(*b"Opus") && !c.reconnects());
        let all = connect(&[("fourCcList", Value::StrictArray(vec!["*".into()]))]);
        assert!(all.decodes(*b"ec-3") && !all.decodes(*b"vvc1"));
    }

    #[test]
    fn who_says_nothing_can_nothing() {
        assert_eq!(connect(&[("app", "live".into())]), Capabilities::default());
        let odd = connect(&[
            ("capsEx", f64::NAN.into()),
            ("fourCcList", "hvc1".into()),
            ("videoFourCcInfoMap", 7.0.into()),
        ]);
        assert_eq!(odd, Capabilities::default());
    }

    #[test]
    fn what_we_say_is_what_we_take() {
        for (map, four_cc) in codecs() {
            let kind = match map {
                "videoFourCcInfoMap" => TrackKind::Video,
                _ => TrackKind::Audio,
            };
            let bytes = four_cc.as_bytes().try_into().unwrap();
            assert!(is_known(kind, bytes), "{four_cc}");
        }
        assert!(codecs().count() <= 16);
        assert_eq!(own().len(), 4);
    }
}
