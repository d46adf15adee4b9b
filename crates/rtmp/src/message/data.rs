//! Data messages, §7.1.2: metadata and events in the stream.

use super::{TypeId, values};
use crate::amf::Value;
use crate::amf0;
use crate::error::Fault;
use bytes::BytesMut;

/// A named list of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// Handler, such as `onMetaData`.
    pub name: String,
    /// What it is given.
    pub values: Vec<Value>,
}

impl Data {
    /// Reads the body of a message of type 18 or 15, or of an FLV script tag. The wrapper
    /// `@setDataFrame`, by which publishers tell the server to keep the data, is taken off.
    ///
    /// # Errors
    /// No name, or what [`crate::amf0::decode`] refuses.
    pub fn parse(type_id: TypeId, body: &[u8]) -> Result<Self, Fault> {
        let mut values = values(type_id, body)?.into_iter();
        let mut name = values.next();
        if name.as_ref().and_then(Value::as_str) == Some("@setDataFrame") {
            name = values.next();
        }
        let Some(Value::String(name)) = name else {
            return Err(Fault::NoCommandName);
        };
        Ok(Self {
            name,
            values: values.collect(),
        })
    }

    /// The body in AMF0, inside `@setDataFrame` if `set_data_frame`.
    #[must_use]
    pub fn encode(&self, set_data_frame: bool) -> BytesMut {
        let mut out = BytesMut::with_capacity(256);
        if set_data_frame {
            amf0::encode(&Value::from("@setDataFrame"), &mut out);
        }
        amf0::encode(&Value::from(self.name.as_str()), &mut out);
        for value in &self.values {
            amf0::encode(value, &mut out);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrapper_is_taken_off() {
        let data = Data {
            name: "onMetaData".into(),
            values: vec![Value::EcmaArray(vec![("width".into(), 1280.0.into())])],
        };
        for wrapped in [false, true] {
            let body = data.encode(wrapped);
            assert_eq!(Data::parse(TypeId::DATA_AMF0, &body), Ok(data.clone()));
        }
        assert_eq!(
            Data::parse(TypeId::DATA_AMF0, &[]),
            Err(Fault::NoCommandName)
        );
    }
}
