//! `colorInfo` of Enhanced RTMP: how code values become light.

use crate::amf::Value;
use crate::message::{Data, TypeId};
use weir_media::picture::{Colour, ContentLight, Hdr, MasteringDisplay};

/// Reads the body of a metadata part; `None` if it is about something else, or cannot be read.
/// What is left out, or undefined, no longer holds.
pub(super) fn colour_info(body: &[u8]) -> Option<Hdr> {
    let data = Data::parse(TypeId::DATA_AMF0, body).ok()?;
    if data.name != "colorInfo" {
        return None;
    }
    let info = data.values.first()?;
    Some(Hdr {
        colour: info.property("colorConfig").and_then(colour),
        mastering_display: info.property("hdrMdcv").and_then(mastering_display),
        content_light: info.property("hdrCll").and_then(content_light),
    })
}

fn colour(config: &Value) -> Option<Colour> {
    let code = |name| {
        let code = number(config, name).unwrap_or(f64::from(Colour::UNSPECIFIED));
        // A cast from a float saturates.
        code as u8
    };
    let colour = Colour {
        primaries: code("colorPrimaries"),
        transfer: code("transferCharacteristics"),
        matrix: code("matrixCoefficients"),
        full_range: false,
    };
    colour.specified()
}

fn mastering_display(mdcv: &Value) -> Option<MasteringDisplay> {
    let place = |name| Some((number(mdcv, name)? * 50_000.0).round() as u16);
    let luminance = |name| Some((number(mdcv, name)? * 10_000.0).round() as u32);
    Some(MasteringDisplay {
        primaries: [
            (place("greenX")?, place("greenY")?),
            (place("blueX")?, place("blueY")?),
            (place("redX")?, place("redY")?),
        ],
        white_point: (place("whitePointX")?, place("whitePointY")?),
        luminance_max: luminance("maxLuminance")?,
        luminance_min: luminance("minLuminance")?,
    })
}

fn content_light(cll: &Value) -> Option<ContentLight> {
    Some(ContentLight {
        content_max: number(cll, "maxCLL")? as u16,
        average_max: number(cll, "maxFall")? as u16,
    })
}

fn number(object: &Value, name: &str) -> Option<f64> {
    let number = object.property(name)?.as_number()?;
    number.is_finite().then_some(number)
}

/// The body that says this: the reverse of [`colour_info`].
pub(crate) fn encode(hdr: &Hdr) -> bytes::BytesMut {
    let object = |properties: &[(&str, f64)]| {
        let properties = properties
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).into()));
        Value::Object(properties.collect())
    };
    let mut info = Vec::new();
    if let Some(c) = hdr.colour {
        let config = object(&[
            ("colorPrimaries", c.primaries.into()),
            ("transferCharacteristics", c.transfer.into()),
            ("matrixCoefficients", c.matrix.into()),
        ]);
        info.push(("colorConfig".to_owned(), config));
    }
    if let Some(light) = hdr.content_light {
        let cll = object(&[
            ("maxFall", light.average_max.into()),
            ("maxCLL", light.content_max.into()),
        ]);
        info.push(("hdrCll".to_owned(), cll));
    }
    if let Some(m) = hdr.mastering_display {
        let [green, blue, red] = m.primaries;
        let place = |v: u16| f64::from(v) / 50_000.0;
        let mdcv = object(&[
            ("redX", place(red.0)),
            ("redY", place(red.1)),
            ("greenX", place(green.0)),
            ("greenY", place(green.1)),
            ("blueX", place(blue.0)),
            ("blueY", place(blue.1)),
            ("whitePointX", place(m.white_point.0)),
            ("whitePointY", place(m.white_point.1)),
            ("maxLuminance", f64::from(m.luminance_max) / 10_000.0),
            ("minLuminance", f64::from(m.luminance_min) / 10_000.0),
        ]);
        info.push(("hdrMdcv".to_owned(), mdcv));
    }
    let data = Data {
        name: "colorInfo".into(),
        values: vec![Value::Object(info)],
    };
    data.encode(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let hdr = Hdr {
            colour: Some(Colour {
                primaries: 9,
                transfer: 16,
                matrix: 9,
                full_range: false,
            }),
            mastering_display: Some(MasteringDisplay {
                primaries: [(8500, 39_850), (6550, 2300), (35_400, 14_600)],
                white_point: (15_635, 16_450),
                luminance_max: 10_000_000,
                luminance_min: 50,
            }),
            content_light: Some(ContentLight {
                content_max: 1000,
                average_max: 400,
            }),
        };
        assert_eq!(colour_info(&encode(&hdr)), Some(hdr));
        // As ffmpeg says that it knows nothing.
        assert_eq!(colour_info(&encode(&Hdr::default())), Some(Hdr::default()));
        let empty = b"\x02\0\x09colorInfo\x03\0\x0bcolorConfig\x03\0\0\x09\0\0\x09";
        assert_eq!(colour_info(empty), Some(Hdr::default()));
    }

    #[test]
    fn other_metadata_is_nothing() {
        assert_eq!(colour_info(b"\x02\0\x05other\x03\0\0\x09"), None);
        assert_eq!(colour_info(b""), None);
        assert_eq!(colour_info(&[0xff; 40]), None);
    }
}
