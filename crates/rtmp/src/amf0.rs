//! AMF0, "Action Message Format -- AMF 0" (Adobe, 2007).
//!
//! Not accepted: object references, movie clips and record sets, which no encoder sends.

use crate::amf::{Budget, Properties, Value};
use crate::amf3;
use crate::error::Fault;
use bytes::{BufMut, BytesMut};
use nom::IResult;
use nom::bytes::complete::take;
use nom::number::complete::{be_f64, be_i16, be_u8, be_u16, be_u32};

/// Type markers, §2.1.
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0a;
    pub(super) const DATE: u8 = 0x0b;
    pub(super) const LONG_STRING: u8 = 0x0c;
    pub(super) const XML_DOCUMENT: u8 = 0x0f;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AVMPLUS: u8 = 0x11;
}

/// Decodes all values of a message body.
///
/// # Errors
/// Truncation, a marker that is not accepted, or a limit of [`crate::limits`].
pub fn decode(mut input: &[u8]) -> Result<Vec<Value>, Fault> {
    let mut budget = Budget::new();
    let mut values = Vec::new();
    while !input.is_empty() {
        values.push(value(&mut input, &mut budget)?);
    }
    Ok(values)
}

/// Appends one value. Text longer than 65,535 bytes becomes a long string; names of
/// properties are cut to that length. `Bytes` has no AMF0 form and becomes `undefined`.
pub fn encode(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(n) => {
            out.put_u8(marker::NUMBER);
            out.put_f64(*n);
        }
        Value::Boolean(b) => out.put_slice(&[marker::BOOLEAN, u8::from(*b)]),
        Value::String(s) => match u16::try_from(s.len()) {
            Ok(_) => {
                out.put_u8(marker::STRING);
                encode_name(s, out);
            }
            Err(_) => encode_long(marker::LONG_STRING, s, out),
        },
        Value::Object(p) => {
            out.put_u8(marker::OBJECT);
            encode_properties(p, out);
        }
        Value::Null => out.put_u8(marker::NULL),
        Value::Undefined | Value::Bytes(_) => out.put_u8(marker::UNDEFINED),
        Value::EcmaArray(p) => {
            out.put_u8(marker::ECMA_ARRAY);
            out.put_u32(u32::try_from(p.len()).unwrap_or(u32::MAX));
            encode_properties(p, out);
        }
        Value::StrictArray(v) => {
            out.put_u8(marker::STRICT_ARRAY);
            out.put_u32(u32::try_from(v.len()).unwrap_or(u32::MAX));
            v.iter().for_each(|v| encode(v, out));
        }
        Value::Date(ms) => {
            out.put_u8(marker::DATE);
            out.put_f64(*ms);
            out.put_i16(0);
        }
        Value::Xml(s) => encode_long(marker::XML_DOCUMENT, s, out),
    }
}

fn encode_name(name: &str, out: &mut BytesMut) {
    let cut = name.floor_char_boundary(usize::from(u16::MAX));
    out.put_u16(cut as u16);
    out.put_slice(&name.as_bytes()[..cut]);
}

fn encode_long(marker: u8, text: &str, out: &mut BytesMut) {
    let cut = text.floor_char_boundary(u32::MAX as usize);
    out.put_u8(marker);
    out.put_u32(cut as u32);
    out.put_slice(&text.as_bytes()[..cut]);
}

fn encode_properties(properties: &Properties, out: &mut BytesMut) {
    for (name, value) in properties {
        encode_name(name, out);
        encode(value, out);
    }
    out.put_slice(&[0, 0, marker::OBJECT_END]);
}

/// Takes one field off the front of `input`.
pub(crate) fn field<'a, T>(
    input: &mut &'a [u8],
    parser: impl FnOnce(&'a [u8]) -> IResult<&'a [u8], T>,
    name: &'static str,
) -> Result<T, Fault> {
    let (rest, value) = parser(input).map_err(|_| Fault::Truncated(name))?;
    *input = rest;
    Ok(value)
}

fn value(input: &mut &[u8], budget: &mut Budget) -> Result<Value, Fault> {
    budget.value()?;
    let marker = field(input, be_u8, "AMF0 marker")?;
    Ok(match marker {
        marker::NUMBER => Value::Number(field(input, be_f64, "number")?),
        marker::BOOLEAN => Value::Boolean(field(input, be_u8, "boolean")? != 0),
        marker::STRING => Value::String(short_string(input, budget)?),
        marker::OBJECT => Value::Object(properties(input, budget)?),
        marker::NULL => Value::Null,
        marker::UNDEFINED => Value::Undefined,
        marker::ECMA_ARRAY => {
            // The count is a hint only: encoders write 0 or a wrong one.
            field(input, be_u32, "array count")?;
            Value::EcmaArray(properties(input, budget)?)
        }
        marker::STRICT_ARRAY => strict_array(input, budget)?,
        marker::DATE => {
            let ms = field(input, be_f64, "date")?;
            // The time zone is reserved and should be 0 (§2.13).
            field(input, be_i16, "time zone")?;
            Value::Date(ms)
        }
        marker::LONG_STRING => Value::String(long_string(input, budget)?),
        marker::XML_DOCUMENT => Value::Xml(long_string(input, budget)?),
        marker::TYPED_OBJECT => {
            short_string(input, budget)?;
            Value::Object(properties(input, budget)?)
        }
        marker::AVMPLUS => amf3::value(input, budget)?,
        other => return Err(Fault::Amf0Marker(other)),
    })
}

fn short_string(input: &mut &[u8], budget: &mut Budget) -> Result<String, Fault> {
    let len = field(input, be_u16, "string length")?;
    text(input, usize::from(len), budget)
}

fn long_string(input: &mut &[u8], budget: &mut Budget) -> Result<String, Fault> {
    let len = field(input, be_u32, "string length")?;
    text(input, len as usize, budget)
}

/// `len` bytes of text.
pub(crate) fn text(input: &mut &[u8], len: usize, budget: &mut Budget) -> Result<String, Fault> {
    let bytes = field(input, take(len), "string")?;
    budget.bytes(len)?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn properties(input: &mut &[u8], budget: &mut Budget) -> Result<Properties, Fault> {
    budget.enter()?;
    let mut properties = Properties::new();
    loop {
        let name = short_string(input, budget)?;
        if name.is_empty() && input.first() == Some(&marker::OBJECT_END) {
            field(input, be_u8, "object end")?;
            break;
        }
        properties.push((name, value(input, budget)?));
    }
    budget.leave();
    Ok(properties)
}

fn strict_array(input: &mut &[u8], budget: &mut Budget) -> Result<Value, Fault> {
    let count = field(input, be_u32, "array count")?;
    // Each element has at least its marker.
    if count as usize > input.len() {
        return Err(Fault::AmfCount(count));
    }
    budget.enter()?;
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(value(input, budget)?);
    }
    budget.leave();
    Ok(Value::StrictArray(values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{AMF_DEPTH_MAX, AMF_PROPERTIES_MAX};

    fn encoded(value: &Value) -> BytesMut {
        let mut out = BytesMut::new();
        encode(value, &mut out);
        out
    }

    #[test]
    fn every_type_round_trips() {
        let nested = Value::Object(vec![
            ("n".into(), Value::Number(-1.5)),
            ("".into(), Value::Boolean(true)),
            (
                "e".into(),
                Value::EcmaArray(vec![("x".into(), Value::Null)]),
            ),
        ]);
        let all = Value::StrictArray(vec![
            nested,
            Value::String("é".into()),
            Value::String("x".repeat(70_000)),
            Value::Undefined,
            Value::Date(1e12),
            Value::Xml("<a/>".into()),
            Value::StrictArray(vec![]),
        ]);
        assert_eq!(decode(&encoded(&all)).unwrap(), [all]);
    }

    #[test]
    fn known_bytes() {
        // A property list as FMLE writes it: {"app": "live", "audioCodecs": 3191}.
        let wire = b"\x03\0\x03app\x02\0\x04live\0\x0baudioCodecs\0\x40\xa8\xee\0\0\0\0\0\0\0\x09";
        let value = decode(wire).unwrap().remove(0);
        assert_eq!(value.property("app").unwrap().as_str(), Some("live"));
        assert_eq!(
            value.property("audioCodecs").unwrap().as_number(),
            Some(3191.0)
        );
        assert_eq!(&encoded(&value)[..], wire);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let value = Value::Object(vec![
            ("a".into(), Value::StrictArray(vec![Value::Number(1.0)])),
            ("b".into(), Value::Date(0.0)),
            ("c".into(), Value::Xml("y".into())),
        ]);
        let wire = encoded(&value);
        for n in 1..wire.len() {
            assert!(decode(&wire[..n]).is_err(), "{n}");
        }
    }

    #[test]
    fn depth_is_limited() {
        // {"a": {"a": ... }} without ends, and strict arrays of one strict array.
        for unit in [&b"\x03\0\x01a"[..], b"\x0a\0\0\0\x01"] {
            assert_eq!(decode(&unit.repeat(70_000)), Err(Fault::AmfDepth));
            let fits = unit.repeat(AMF_DEPTH_MAX);
            assert_ne!(decode(&fits), Err(Fault::AmfDepth));
        }
    }

    #[test]
    fn counts_and_sizes_are_limited() {
        assert_eq!(
            decode(b"\x0a\xff\xff\xff\xff\x05"),
            Err(Fault::AmfCount(u32::MAX))
        );
        assert_eq!(
            decode(&vec![0x05; AMF_PROPERTIES_MAX + 1]),
            Err(Fault::AmfProperties)
        );
        // An ECMA array may claim anything.
        let lie = decode(b"\x08\xff\xff\xff\xff\0\x01a\x05\0\0\x09").unwrap();
        assert_eq!(lie[0].property("a"), Some(&Value::Null));
    }

    #[test]
    fn references_clips_and_record_sets_are_refused() {
        for m in [0x04, 0x07, 0x0d, 0x0e, 0x12, 0xff] {
            assert_eq!(decode(&[m, 0, 0]), Err(Fault::Amf0Marker(m)));
        }
    }
}
