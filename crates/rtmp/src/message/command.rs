//! Command messages, §7.1.1 and §7.2.

use super::{TypeId, values};
use crate::amf::Value;
use crate::amf0;
use crate::error::Fault;
use bytes::BytesMut;

/// A call, an answer or a status.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Procedure, `_result`, `_error` or `onStatus`.
    pub name: String,
    /// Number of the call that an answer belongs to; 0 wants no answer.
    pub transaction_id: f64,
    /// Command object: information about the call, often null.
    pub object: Value,
    /// What follows.
    pub arguments: Vec<Value>,
}

impl Command {
    /// A command to send.
    #[must_use]
    pub fn new(name: &str, transaction_id: f64, object: Value, arguments: Vec<Value>) -> Self {
        Self {
            name: name.to_owned(),
            transaction_id,
            object,
            arguments,
        }
    }

    /// Reads the body of a message of type 20 or 17. A missing transaction id is 0, a
    /// missing object null.
    ///
    /// # Errors
    /// No name, or what [`crate::amf0::decode`] refuses.
    pub fn parse(type_id: TypeId, body: &[u8]) -> Result<Self, Fault> {
        let mut values = values(type_id, body)?.into_iter();
        let Some(Value::String(name)) = values.next() else {
            return Err(Fault::NoCommandName);
        };
        Ok(Self {
            name,
            transaction_id: values.next().and_then(|v| v.as_number()).unwrap_or(0.0),
            object: values.next().unwrap_or(Value::Null),
            arguments: values.collect(),
        })
    }

    /// The body in AMF0.
    #[must_use]
    pub fn encode(&self) -> BytesMut {
        let mut out = BytesMut::with_capacity(256);
        amf0::encode(&Value::from(self.name.as_str()), &mut out);
        amf0::encode(&Value::Number(self.transaction_id), &mut out);
        amf0::encode(&self.object, &mut out);
        for argument in &self.arguments {
            amf0::encode(argument, &mut out);
        }
        out
    }

    /// Text of an argument.
    #[must_use]
    pub fn text(&self, argument: usize) -> Option<&str> {
        self.arguments.get(argument)?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_amf_versions_give_the_same_command() {
        let command = Command::new("publish", 5.0, Value::Null, vec!["key".into()]);
        let body = command.encode();
        assert_eq!(
            Command::parse(TypeId::COMMAND_AMF0, &body),
            Ok(command.clone())
        );
        let mut amf3 = vec![0];
        amf3.extend(&body);
        assert_eq!(
            Command::parse(TypeId::COMMAND_AMF3, &amf3),
            Ok(command.clone())
        );
        assert_eq!(Command::parse(TypeId::COMMAND_AMF3, &body), Ok(command));
    }

    #[test]
    fn a_command_has_a_name() {
        assert_eq!(
            Command::parse(TypeId::COMMAND_AMF0, &[]),
            Err(Fault::NoCommandName)
        );
        assert_eq!(
            Command::parse(TypeId::COMMAND_AMF0, &[5]),
            Err(Fault::NoCommandName)
        );
        let bare = Command::parse(TypeId::COMMAND_AMF0, b"\x02\0\x01x").unwrap();
        assert_eq!(bare, Command::new("x", 0.0, Value::Null, vec![]));
    }

    #[test]
    fn length_is_limited() {
        let body = vec![5; crate::limits::COMMAND_BYTES_MAX + 1];
        assert_eq!(
            Command::parse(TypeId::COMMAND_AMF0, &body),
            Err(Fault::CommandTooLong(body.len()))
        );
    }
}
