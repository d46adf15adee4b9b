//! `onMetaData`, FLV §E.5: what a publisher says of its stream.
//!
//! Hints only: ffmpeg writes wrong or zero codecs and sizes, and the sequence headers are
//! the truth. Present values are finite numbers.

use crate::amf::Value;
use crate::message::Data;

/// The properties that are of use; `None` where the sender left one out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// Whether there will be pictures: `hasVideo`, or what the other properties suggest.
    pub has_video: Option<bool>,
    /// Whether there will be sound: `hasAudio`, or what the other properties suggest.
    pub has_audio: Option<bool>,
    /// Picture width in samples.
    pub width: Option<f64>,
    /// Picture height in samples.
    pub height: Option<f64>,
    /// Frames per second.
    pub frame_rate: Option<f64>,
    /// Video bit rate in kbit/s.
    pub video_data_rate: Option<f64>,
    /// Audio bit rate in kbit/s.
    pub audio_data_rate: Option<f64>,
    /// Audio samples per second.
    pub audio_sample_rate: Option<f64>,
    /// Audio channels: `audiochannels`, or 1 or 2 by `stereo`.
    pub audio_channels: Option<f64>,
    /// `CodecID`, or a `FourCC` as a number.
    pub video_codec_id: Option<f64>,
    /// `SoundFormat`, or a `FourCC` as a number.
    pub audio_codec_id: Option<f64>,
    /// The program that encodes.
    pub encoder: Option<String>,
}

impl Metadata {
    /// Name of the data message that carries it.
    pub const NAME: &str = "onMetaData";

    /// Reads a data message; `None` if it is another one, or has no properties.
    #[must_use]
    pub fn from_data(data: &Data) -> Option<Self> {
        if data.name != Self::NAME {
            return None;
        }
        let properties = data
            .values
            .iter()
            .find(|v| matches!(v, Value::Object(_) | Value::EcmaArray(_)))?;
        let number = |name: &str| {
            let value = properties.property(name)?.as_number()?;
            value.is_finite().then_some(value)
        };
        let flag = |name: &str| match properties.property(name)? {
            Value::Boolean(b) => Some(*b),
            _ => None,
        };
        let any = |names: &[&str]| {
            names
                .iter()
                .any(|n| properties.property(n).is_some_and(is_something))
        };
        let video = any(&["videocodecid", "width", "height", "videodatarate"]);
        let audio = any(&["audiocodecid", "audiosamplerate", "audiodatarate"]);
        // One kind that is described, and another that is not, says something; none
        // described says nothing.
        let implied = |this: bool, other: bool| (this || other).then_some(this);
        let by_stereo = || flag("stereo").map(|s| if s { 2.0 } else { 1.0 });
        Some(Self {
            has_video: flag("hasVideo").or(implied(video, audio)),
            has_audio: flag("hasAudio").or(implied(audio, video)),
            width: number("width"),
            height: number("height"),
            frame_rate: number("framerate"),
            video_data_rate: number("videodatarate"),
            audio_data_rate: number("audiodatarate"),
            audio_sample_rate: number("audiosamplerate"),
            audio_channels: number("audiochannels").or_else(by_stereo),
            video_codec_id: number("videocodecid"),
            audio_codec_id: number("audiocodecid"),
            encoder: properties
                .property("encoder")
                .and_then(Value::as_str)
                .map(str::to_owned),
        })
    }

    /// The data message that says this.
    #[must_use]
    pub fn to_data(&self) -> Data {
        let numbers = [
            ("width", self.width),
            ("height", self.height),
            ("framerate", self.frame_rate),
            ("videodatarate", self.video_data_rate),
            ("audiodatarate", self.audio_data_rate),
            ("audiosamplerate", self.audio_sample_rate),
            ("audiochannels", self.audio_channels),
            ("videocodecid", self.video_codec_id),
            ("audiocodecid", self.audio_codec_id),
        ];
        let flags = [("hasVideo", self.has_video), ("hasAudio", self.has_audio)];
        let numbers = numbers.map(|(n, v)| (n, v.map(Value::Number)));
        let flags = flags.map(|(n, v)| (n, v.map(Value::Boolean)));
        let encoder = self.encoder.as_deref().map(Value::from);
        let all = numbers
            .into_iter()
            .chain(flags)
            .chain([("encoder", encoder)]);
        let properties = all
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        Data {
            name: Self::NAME.to_owned(),
            values: vec![Value::EcmaArray(properties)],
        }
    }
}

/// Zero and the empty text are how encoders write "none".
fn is_something(value: &Value) -> bool {
    match value {
        Value::Number(n) => *n != 0.0,
        Value::String(s) => !s.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(properties: &[(&str, Value)]) -> Metadata {
        let properties = properties.iter().map(|(n, v)| ((*n).into(), v.clone()));
        Metadata::from_data(&Data {
            name: "onMetaData".into(),
            values: vec![Value::EcmaArray(properties.collect())],
        })
        .unwrap()
    }

    #[test]
    fn round_trip() {
        let m = Metadata {
            has_video: Some(true),
            has_audio: Some(false),
            width: Some(640.0),
            encoder: Some("weir".into()),
            ..Metadata::default()
        };
        assert_eq!(Metadata::from_data(&m.to_data()), Some(m));
    }

    #[test]
    fn kinds_are_implied() {
        let m = metadata(&[("videocodecid", 7.0.into()), ("width", 0.0.into())]);
        assert_eq!((m.has_video, m.has_audio), (Some(true), Some(false)));
        let m = metadata(&[
            ("videocodecid", "avc1".into()),
            ("audiocodecid", 10.0.into()),
        ]);
        assert_eq!((m.has_video, m.has_audio), (Some(true), Some(true)));
        let m = metadata(&[("width", 0.0.into()), ("duration", 5.0.into())]);
        assert_eq!((m.has_video, m.has_audio), (None, None));
        let m = metadata(&[("hasVideo", false.into()), ("width", 640.0.into())]);
        assert_eq!(m.has_video, Some(false));
    }

    #[test]
    fn senseless_values_are_left_out() {
        let m = metadata(&[
            ("width", f64::NAN.into()),
            ("height", "720".into()),
            ("stereo", true.into()),
        ]);
        assert_eq!((m.width, m.height), (None, None));
        assert_eq!(m.audio_channels, Some(2.0));
        let other = Data {
            name: "onTextData".into(),
            values: vec![Value::Object(vec![])],
        };
        assert_eq!(Metadata::from_data(&other), None);
    }
}
