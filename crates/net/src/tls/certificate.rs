//! The few fields of a certificate that choosing one needs (X.509, RFC 5280 section 4.1): the
//! names of its subject alternative name extension, and its validity. Nothing is verified here:
//! the certificate is the operator's own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What choosing a certificate needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// `dNSName`s, in lower case, as they stand: a wildcard begins with `*.`.
    pub(crate) names: Vec<String>,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Facts {
    /// `None` if `der` is no certificate.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Reader(Reader(der).expect(SEQUENCE)?);
        let mut tbs = Reader(certificate.expect(SEQUENCE)?);
        tbs.optional(VERSION);
        tbs.expect(INTEGER)?;
        tbs.expect(SEQUENCE)?; // signature
        tbs.expect(SEQUENCE)?; // issuer
        let mut validity = Reader(tbs.expect(SEQUENCE)?);
        tbs.expect(SEQUENCE)?; // subject
        tbs.expect(SEQUENCE)?; // subjectPublicKeyInfo
        let mut names = Vec::new();
        while let Some((tag, content)) = tbs.element() {
            if tag == EXTENSIONS {
                names = alternative_names(Reader(content).expect(SEQUENCE)?)?;
            }
        }
        Some(Self {
            names,
            not_before: validity.time()?,
            not_after: validity.time()?,
        })
    }
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// `dNSName` in a `GeneralName`.
const DNS_NAME: u8 = 0x82;
/// `id-ce-subjectAltName`, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// The `dNSName`s in a list of extensions.
fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let mut extensions = Reader(extensions);
    let mut names = Vec::new();
    while !extensions.0.is_empty() {
        let mut extension = Reader(extensions.expect(SEQUENCE)?);
        if extension.expect(OBJECT_IDENTIFIER)? != SUBJECT_ALT_NAME {
            continue;
        }
        // The element between, `critical`, may be absent.
        while let Some((tag, content)) = extension.element() {
            if tag != OCTET_STRING {
                continue;
            }
            let mut general_names = Reader(Reader(content).expect(SEQUENCE)?);
            while let Some((tag, name)) = general_names.element() {
                if tag == DNS_NAME {
                    names.push(std::str::from_utf8(name).ok()?.to_ascii_lowercase());
                }
            }
        }
    }
    Some(names)
}

/// Reads elements of DER (X.690): tag, length, content. Tags above 30 do not occur.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], mut rest) = self.0.split_first_chunk()?;
        let len = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = after;
                bytes
                    .iter()
                    .fold(0, |len: usize, byte| (len << 8) | usize::from(*byte))
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (tag, content) = self.element()?;
        (tag == wanted).then_some(content)
    }

    /// Reads over an element that may be absent.
    fn optional(&mut self, tag: u8) {
        if self.0.first() == Some(&tag) {
            self.element();
        }
    }

    /// `UTCTime` or `GeneralizedTime`, both in seconds and `Z` (RFC 5280 section 4.1.2.5).
    fn time(&mut self) -> Option<SystemTime> {
        let (tag, text) = self.element()?;
        let (year, rest) = match tag {
            UTC_TIME => {
                let (year, rest) = number(text, 2)?;
                (year + if year < 50 { 2000 } else { 1900 }, rest)
            }
            GENERALIZED_TIME => number(text, 4)?,
            _ => return None,
        };
        let (month, rest) = number(rest, 2)?;
        let (day, rest) = number(rest, 2)?;
        let (hour, rest) = number(rest, 2)?;
        let (minute, rest) = number(rest, 2)?;
        let (second, _) = number(rest, 2)?;
        if !(1..=12).contains(&month) {
            return None;
        }
        let days = days_since_epoch(year, month, day);
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        match u64::try_from(seconds) {
            Ok(after) => UNIX_EPOCH.checked_add(Duration::from_secs(after)),
            Err(_) => UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs())),
        }
    }
}

/// A decimal number of `len` digits, at most four.
fn number(text: &[u8], len: usize) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(len)?;
    let mut value = 0;
    for digit in digits {
        value = value * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some((value, rest))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Counts from March, so that the leap
/// day is the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - DAYS_TO_EPOCH
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn certificate(names: &[&str]) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2024, 2, 29);
        parameters.not_after = rcgen::date_time_ymd(2051, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn reads_names_and_validity() {
        let der = certificate(&["Live.Example", "*.cdn.example", "192.0.2.1"]);
        let facts = Facts::read(&der).unwrap();
        assert_eq!(facts.names, ["live.example", "*.cdn.example"]);
        // 2024 as UTCTime, 2051 as GeneralizedTime.
        assert_eq!(facts.not_before, at(1_709_164_800));
        assert_eq!(facts.not_after, at(2_556_144_000));
    }

    #[test]
    fn a_certificate_without_names_has_none() {
        assert!(Facts::read(&certificate(&[])).unwrap().names.is_empty());
    }

    #[test]
    fn no_mutation_panics() {
        let der = certificate(&["a.example"]);
        for end in 0..der.len() {
            assert!(Facts::read(&der[..end]).is_none());
        }
        for at in 0..der.len() {
            for bits in [0x01, 0x80, 0xff] {
                let mut broken = der.clone();
                broken[at] ^= bits;
                let _ = Facts::read(&broken);
            }
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(days_since_epoch(1970, 1, 1), 0);
        assert_eq!(days_since_epoch(2000, 3, 1), 11_017);
        assert_eq!(days_since_epoch(1969, 12, 31), -1);
    }
}
