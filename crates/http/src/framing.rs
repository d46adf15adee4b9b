//! How a message says where its body ends (RFC 9112 §6).

use crate::body::BodyLength;
use crate::error::Error;
use crate::headers::{Version, list};

/// The two fields that delimit a body, as far as they were seen.
#[derive(Default)]
pub(crate) struct Framing {
    content_length: Option<u64>,
    transfer_encoding: TransferEncoding,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum TransferEncoding {
    #[default]
    Absent,
    /// A coding that is not `chunked` came last so far.
    Unfinished,
    /// `chunked`, and nothing else.
    Chunked,
    /// `chunked` after codings that we do not have.
    Foreign,
}

impl Framing {
    /// Every repetition is refused, even of the same number, which RFC 9110 §8.6 leaves
    /// to the server: no client is known to need it.
    pub(crate) fn content_length(&mut self, value: &[u8]) -> Result<(), Error> {
        if self.content_length.is_some() {
            return Err(Error::ContentLength("is repeated"));
        }
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Error::ContentLength("is not a decimal number"));
        }
        let length = value.iter().try_fold(0_u64, |n, &digit| {
            n.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        });
        self.content_length = Some(length.ok_or(Error::ContentLength("is too large"))?);
        Ok(())
    }

    pub(crate) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Error> {
        use TransferEncoding::{Absent, Chunked, Foreign, Unfinished};
        let mut empty = true;
        for coding in list(value) {
            empty = false;
            let chunked = coding.eq_ignore_ascii_case(b"chunked");
            self.transfer_encoding = match (self.transfer_encoding, chunked) {
                (Chunked | Foreign, _) => {
                    return Err(Error::TransferEncoding("goes on after chunked"));
                }
                (Absent, true) => Chunked,
                (Unfinished, true) => Foreign,
                (Absent | Unfinished, false) => Unfinished,
            };
        }
        if empty {
            return Err(Error::TransferEncoding("is empty"));
        }
        Ok(())
    }

    /// What the fields say together; `None` when neither is there.
    pub(crate) fn length(&self, version: Version) -> Result<Option<BodyLength>, Error> {
        let chunked = match self.transfer_encoding {
            TransferEncoding::Absent => false,
            _ if version == Version::Http10 => {
                return Err(Error::TransferEncoding("stands in HTTP/1.0"));
            }
            _ if self.content_length.is_some() => return Err(Error::TwoLengths),
            TransferEncoding::Unfinished => {
                return Err(Error::TransferEncoding("does not end in chunked"));
            }
            TransferEncoding::Foreign => return Err(Error::TransferCoding),
            TransferEncoding::Chunked => true,
        };
        Ok(match self.content_length {
            _ if chunked => Some(BodyLength::Chunked),
            Some(0) => Some(BodyLength::None),
            Some(length) => Some(BodyLength::Length(length)),
            None => None,
        })
    }
}
