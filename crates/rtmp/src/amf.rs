//! A value of AMF, whichever version it came in.

use crate::error::Fault;
use crate::limits::{AMF_DEPTH_MAX, AMF_PROPERTIES_MAX, COMMAND_BYTES_MAX};

/// Named values in the order in which they came; names may repeat.
pub type Properties = Vec<(String, Value)>;

/// A decoded value. Text that is not UTF-8 has its faulty bytes replaced.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Any number; AMF3 integers are widened.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text, long or short.
    String(String),
    /// Anonymous or typed object; the class name is not kept.
    Object(Properties),
    /// `null`.
    Null,
    /// `undefined`.
    Undefined,
    /// Associative array.
    EcmaArray(Properties),
    /// Dense array.
    StrictArray(Vec<Value>),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Date(f64),
    /// XML text.
    Xml(String),
    /// AMF3 `ByteArray`.
    Bytes(Vec<u8>),
}

impl Value {
    /// Text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(n) => Some(*n),
            _ => None,
        }
    }

    /// The named property of an object or associative array; the last of several.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(p) | Self::EcmaArray(p) => {
                p.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v)
            }
            _ => None,
        }
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Self {
        Self::Number(n)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::String(s.to_owned())
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Boolean(b)
    }
}

/// What one message may still spend: values, text and nesting.
#[derive(Debug)]
pub(crate) struct Budget {
    values: usize,
    bytes: usize,
    depth: usize,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self {
            values: AMF_PROPERTIES_MAX,
            bytes: COMMAND_BYTES_MAX,
            depth: AMF_DEPTH_MAX,
        }
    }

    /// One value or property more.
    pub(crate) fn value(&mut self) -> Result<(), Fault> {
        self.values = self.values.checked_sub(1).ok_or(Fault::AmfProperties)?;
        Ok(())
    }

    /// So many bytes of text more. AMF3 references cost as much as what they repeat.
    pub(crate) fn bytes(&mut self, n: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.checked_sub(n).ok_or(Fault::AmfBytes)?;
        Ok(())
    }

    /// One level deeper; paired with [`Budget::leave`].
    pub(crate) fn enter(&mut self) -> Result<(), Fault> {
        self.depth = self.depth.checked_sub(1).ok_or(Fault::AmfDepth)?;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth += 1;
    }
}
