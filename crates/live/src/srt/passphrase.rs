//! What encrypts SRT connections.

use crate::limits::SRT_PASSPHRASE_BYTES;
use std::fmt;

/// What encrypts an SRT connection: 10 to 79 bytes. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(String);

impl Passphrase {
    /// Takes a passphrase.
    ///
    /// # Errors
    /// What is wrong with its length.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match SRT_PASSPHRASE_BYTES.contains(&text.len()) {
            true => Ok(Self(text.to_owned())),
            false => Err("a passphrase has 10 to 79 characters"),
        }
    }

    /// The same for the machine.
    pub(super) fn machine(&self) -> Option<weir_srt::Passphrase> {
        weir_srt::Passphrase::new(&self.0)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}
