//! AMF3, "Action Message Format -- AMF 3" (Adobe, 2013): reading only, since all we send is
//! AMF0.
//!
//! In RTMP an AMF3 value stands behind the AMF0 marker 0x11, and its reference tables start
//! anew each time. References to strings and traits are followed, at the price of what they
//! repeat; references to objects, which can make cycles, externalizable objects, vectors and
//! dictionaries are not accepted.

use crate::amf::{Budget, Properties, Value};
use crate::amf0::{field, text};
use crate::error::Fault;
use nom::bytes::complete::take;
use nom::number::complete::{be_f64, be_u8};

/// Type markers, §3.1.
mod marker {
    pub(super) const UNDEFINED: u8 = 0x00;
    pub(super) const NULL: u8 = 0x01;
    pub(super) const FALSE: u8 = 0x02;
    pub(super) const TRUE: u8 = 0x03;
    pub(super) const INTEGER: u8 = 0x04;
    pub(super) const DOUBLE: u8 = 0x05;
    pub(super) const STRING: u8 = 0x06;
    pub(super) const XML_DOC: u8 = 0x07;
    pub(super) const DATE: u8 = 0x08;
    pub(super) const ARRAY: u8 = 0x09;
    pub(super) const OBJECT: u8 = 0x0a;
    pub(super) const XML: u8 = 0x0b;
    pub(super) const BYTE_ARRAY: u8 = 0x0c;
}

/// Decodes one value, the whole of `input`.
///
/// # Errors
/// As [`crate::amf0::decode`], or bytes are left.
pub fn decode(mut input: &[u8]) -> Result<Value, Fault> {
    let value = value(&mut input, &mut Budget::new())?;
    if input.is_empty() {
        Ok(value)
    } else {
        Err(Fault::Trailing("AMF3 value"))
    }
}

/// Decodes the value at the front of `input`, with reference tables of its own.
pub(crate) fn value(input: &mut &[u8], budget: &mut Budget) -> Result<Value, Fault> {
    Decoder {
        input,
        budget,
        strings: Vec::new(),
        traits: Vec::new(),
    }
    .value()
}

struct Decoder<'a, 'i> {
    input: &'a mut &'i [u8],
    budget: &'a mut Budget,
    strings: Vec<String>,
    traits: Vec<Traits>,
}

/// Names of an object's sealed members, §3.12.
#[derive(Clone)]
struct Traits {
    members: Vec<String>,
    dynamic: bool,
}

impl Decoder<'_, '_> {
    fn value(&mut self) -> Result<Value, Fault> {
        self.budget.value()?;
        Ok(match field(self.input, be_u8, "AMF3 marker")? {
            marker::UNDEFINED => Value::Undefined,
            marker::NULL => Value::Null,
            marker::FALSE => Value::Boolean(false),
            marker::TRUE => Value::Boolean(true),
            marker::INTEGER => {
                // 29 bits, two's complement (§3.6).
                let raw = self.u29()?;
                let sign_extended = (raw << 3).cast_signed() >> 3;
                Value::Number(f64::from(sign_extended))
            }
            marker::DOUBLE => Value::Number(field(self.input, be_f64, "double")?),
            marker::STRING => Value::String(self.string()?),
            marker::XML_DOC | marker::XML => {
                let len = self.inline_length()?;
                Value::Xml(text(self.input, len, self.budget)?)
            }
            marker::DATE => {
                self.inline_length()?;
                Value::Date(field(self.input, be_f64, "date")?)
            }
            marker::ARRAY => self.array()?,
            marker::OBJECT => Value::Object(self.object()?),
            marker::BYTE_ARRAY => {
                let len = self.inline_length()?;
                self.budget.bytes(len)?;
                Value::Bytes(field(self.input, take(len), "byte array")?.to_vec())
            }
            other => return Err(Fault::Amf3Marker(other)),
        })
    }

    /// Variable-length unsigned 29-bit integer, §1.3.1.
    fn u29(&mut self) -> Result<u32, Fault> {
        let mut value = 0;
        for _ in 0..3 {
            let byte = field(self.input, be_u8, "U29")?;
            value = value << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        let last = field(self.input, be_u8, "U29")?;
        Ok(value << 8 | u32::from(last))
    }

    /// A length whose low bit says that the content follows; a reference is refused.
    fn inline_length(&mut self) -> Result<usize, Fault> {
        let head = self.u29()?;
        if head & 1 == 0 {
            return Err(Fault::AmfReference);
        }
        Ok((head >> 1) as usize)
    }

    fn string(&mut self) -> Result<String, Fault> {
        let head = self.u29()?;
        if head & 1 == 0 {
            let known = self.strings.get((head >> 1) as usize);
            let known = known.ok_or(Fault::AmfReference)?;
            self.budget.bytes(known.len())?;
            return Ok(known.clone());
        }
        let string = text(self.input, (head >> 1) as usize, self.budget)?;
        // The empty string is never sent by reference (§1.3.2).
        if !string.is_empty() {
            self.budget.bytes(string.len())?;
            self.strings.push(string.clone());
        }
        Ok(string)
    }

    /// Names and values up to the empty name.
    fn dynamic_members(&mut self, into: &mut Properties) -> Result<(), Fault> {
        loop {
            let name = self.string()?;
            if name.is_empty() {
                return Ok(());
            }
            let value = self.value()?;
            into.push((name, value));
        }
    }

    fn array(&mut self) -> Result<Value, Fault> {
        let dense = self.inline_length()?;
        self.budget.enter()?;
        let mut associative = Properties::new();
        self.dynamic_members(&mut associative)?;
        if dense > self.input.len() {
            return Err(Fault::AmfCount(dense as u32));
        }
        let mut values = Vec::new();
        for _ in 0..dense {
            values.push(self.value()?);
        }
        self.budget.leave();
        if associative.is_empty() {
            return Ok(Value::StrictArray(values));
        }
        let numbered = values.into_iter().enumerate();
        associative.extend(numbered.map(|(i, v)| (i.to_string(), v)));
        Ok(Value::EcmaArray(associative))
    }

    fn object(&mut self) -> Result<Properties, Fault> {
        let head = self.u29()?;
        if head & 1 == 0 {
            return Err(Fault::AmfReference);
        }
        self.budget.enter()?;
        let traits = self.traits(head)?;
        let mut properties = Properties::new();
        for name in traits.members {
            let value = self.value()?;
            properties.push((name, value));
        }
        if traits.dynamic {
            self.dynamic_members(&mut properties)?;
        }
        self.budget.leave();
        Ok(properties)
    }

    /// `U29O-traits` or `U29O-traits-ref`; `head` has its low bit set.
    fn traits(&mut self, head: u32) -> Result<Traits, Fault> {
        if head & 2 == 0 {
            let known = self.traits.get((head >> 2) as usize);
            let known = known.ok_or(Fault::AmfReference)?.clone();
            for name in &known.members {
                self.budget.bytes(name.len())?;
            }
            return Ok(known);
        }
        if head & 4 != 0 {
            // An externalizable class has a format of its own.
            return Err(Fault::Amf3Marker(marker::OBJECT));
        }
        let class = self.string()?;
        drop(class);
        let mut members = Vec::new();
        for _ in 0..head >> 4 {
            self.budget.value()?;
            members.push(self.string()?);
        }
        let traits = Traits {
            members,
            dynamic: head & 8 != 0,
        };
        self.traits.push(traits.clone());
        Ok(traits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0;

    #[test]
    fn integers_are_29_bits_and_signed() {
        for (wire, n) in [
            (&b"\x04\0"[..], 0.0),
            (b"\x04\x7f", 127.0),
            (b"\x04\x81\0", 128.0),
            (b"\x04\xbf\xff\xff\xff", 268_435_455.0),
            (b"\x04\xff\xff\xff\xff", -1.0),
            (b"\x04\xc0\x80\x80\0", -268_435_456.0),
        ] {
            assert_eq!(decode(wire), Ok(Value::Number(n)), "{wire:x?}");
        }
    }

    #[test]
    fn scalars() {
        assert_eq!(decode(b"\0"), Ok(Value::Undefined));
        assert_eq!(decode(b"\x01"), Ok(Value::Null));
        assert_eq!(decode(b"\x02"), Ok(Value::Boolean(false)));
        assert_eq!(decode(b"\x03"), Ok(Value::Boolean(true)));
        assert_eq!(decode(b"\x06\x05hi"), Ok(Value::String("hi".into())));
        assert_eq!(decode(b"\x0b\x05hi"), Ok(Value::Xml("hi".into())));
        assert_eq!(decode(b"\x0c\x05hi"), Ok(Value::Bytes(b"hi".to_vec())));
        assert_eq!(
            decode(b"\x08\x01\x3f\xf0\0\0\0\0\0\0"),
            Ok(Value::Date(1.0))
        );
    }

    #[test]
    fn a_dynamic_object_behind_the_amf0_marker() {
        // {width: 640, "enc": "width"}; the second "width" is string reference 0.
        let wire = b"\x11\x0a\x0b\x01\x0bwidth\x04\x85\0\x07enc\x06\0\x01\x05";
        let values = amf0::decode(wire).unwrap();
        assert_eq!(
            values[0].property("width").unwrap().as_number(),
            Some(640.0)
        );
        assert_eq!(values[0].property("enc").unwrap().as_str(), Some("width"));
        // The switch is not sticky: AMF0 null follows.
        assert_eq!(values[1], Value::Null);
    }

    #[test]
    fn sealed_members_and_trait_references() {
        // [ {a:1} , {a:2} ] with the second object's traits by reference.
        let wire = b"\x09\x05\x01\x0a\x13\x01\x03a\x04\x01\x0a\x01\x04\x02";
        let Value::StrictArray(v) = decode(wire).unwrap() else {
            panic!("not an array")
        };
        assert_eq!(v[0].property("a").unwrap().as_number(), Some(1.0));
        assert_eq!(v[1].property("a").unwrap().as_number(), Some(2.0));
    }

    #[test]
    fn references_to_objects_and_unknown_strings_are_refused() {
        for wire in [&b"\x0a\x02"[..], b"\x09\0", b"\x06\x02", b"\x0a\x05"] {
            assert_eq!(decode(wire), Err(Fault::AmfReference), "{wire:x?}");
        }
        assert_eq!(decode(b"\x0a\x07\x01"), Err(Fault::Amf3Marker(0x0a)));
        assert_eq!(decode(b"\x0d\x01"), Err(Fault::Amf3Marker(0x0d)));
        assert_eq!(decode(b"\x01\x01"), Err(Fault::Trailing("AMF3 value")));
    }

    #[test]
    fn depth_counts_and_repeated_strings_are_limited() {
        assert_eq!(
            decode(&b"\x09\x03\x01".repeat(70_000)),
            Err(Fault::AmfDepth)
        );
        assert_eq!(
            decode(b"\x09\xff\xff\xff\xff\x01"),
            Err(Fault::AmfCount(0x0fff_ffff))
        );
        // One string of 200,000 bytes and 100 references to it.
        let mut wire = b"\x09\x81\x4b\x01\x06\x98\xb5\x01".to_vec();
        wire.extend([b'x'; 200_000]);
        wire.extend(b"\x06\0".repeat(100));
        assert_eq!(decode(&wire), Err(Fault::AmfBytes));
    }
}
