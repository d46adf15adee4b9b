//! `onCuePoint`: data messages with a time, in which encoders pass SCTE-35 on.
//!
//! No standard says under which name the section stands, nor how deep; senders differ. What all
//! of them have is the whole section in base64 or hexadecimal, and a section has a checksum: so
//! each text of the message is tried. The time is the message's, since a section's own is on the
//! clock of the transport stream that it came from.

use crate::amf::Value;
use crate::limits::CUE_POINT_TEXTS_MAX;
use crate::message::Data;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use weir_media::limits::SCTE35_SECTION_BYTES_MAX;
use weir_media::scte35::{Section, TABLE_ID};

/// Name of the data message.
const NAME: &str = "onCuePoint";

/// The splice information section of a cue point, if it is one and has one.
#[must_use]
pub fn splice_section(data: &Data) -> Option<Vec<u8>> {
    if data.name != NAME {
        return None;
    }
    let mut budget = CUE_POINT_TEXTS_MAX;
    data.values.iter().find_map(|v| in_value(v, 2, &mut budget))
}

/// Looks into a value, and so many levels below it.
fn in_value(value: &Value, depth: u8, budget: &mut usize) -> Option<Vec<u8>> {
    match value {
        Value::String(text) if *budget > 0 => {
            *budget -= 1;
            in_text(text)
        }
        Value::Object(properties) | Value::EcmaArray(properties) if depth > 0 => properties
            .iter()
            .find_map(|(_, value)| in_value(value, depth - 1, budget)),
        _ => None,
    }
}

fn in_text(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.len() > 2 + 2 * SCTE35_SECTION_BYTES_MAX {
        return None;
    }
    let hex = text.strip_prefix("0x").unwrap_or(text);
    let bytes = in_hex(hex).or_else(|| BASE64_STANDARD.decode(text).ok())?;
    (bytes.first() == Some(&TABLE_ID) && Section::parse(&bytes).is_ok()).then_some(bytes)
}

fn in_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).map(|d| d as u8);
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SCTE 35 2023r1 §14.2.
    const BASE64: &str = "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo=";

    fn cue(properties: Vec<(&str, Value)>) -> Option<Vec<u8>> {
        let properties = properties.into_iter().map(|(n, v)| (n.into(), v));
        splice_section(&Data {
            name: NAME.into(),
            values: vec![Value::Object(properties.collect())],
        })
    }

    #[test]
    fn a_section_is_found_under_any_name_and_one_level_down() {
        let expected = BASE64_STANDARD.decode(BASE64).unwrap();
        let hex: String = expected.iter().map(|b| format!("{b:02x}")).collect();
        let name = || ("name", Value::from("break 7"));
        for text in [BASE64.to_owned(), hex.clone(), format!("0x{hex}")] {
            let value = || Value::from(text.as_str());
            let found = cue(vec![name(), ("time", 5.0.into()), ("scte35", value())]);
            assert_eq!(found.as_ref(), Some(&expected));
            let parameters = Value::EcmaArray(vec![("cue".into(), value())]);
            let found = cue(vec![name(), ("parameters", parameters)]);
            assert_eq!(found.as_ref(), Some(&expected));
        }
    }

    #[test]
    fn what_is_no_section_is_none() {
        assert_eq!(
            cue(vec![("name", "ad".into()), ("type", "event".into())]),
            None
        );
        let damaged = BASE64.replace('V', "W");
        assert_eq!(cue(vec![("cue", damaged.as_str().into())]), None);
        assert_eq!(
            cue(vec![("cue", "A".repeat(100_000).as_str().into())]),
            None
        );
        let deep = (0..40).fold(Value::from(BASE64), |v, _| {
            Value::Object(vec![("x".into(), v)])
        });
        assert_eq!(cue(vec![("cue", deep)]), None);
        let many = (0..1000)
            .map(|_| ("x".to_owned(), Value::from("/AAA")))
            .collect();
        let late = vec![("many", Value::Object(many)), ("cue", BASE64.into())];
        assert_eq!(cue(late), None);
        let data = Data {
            name: "onTextData".into(),
            values: vec![BASE64.into()],
        };
        assert_eq!(splice_section(&data), None);
    }
}
