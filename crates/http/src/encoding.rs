//! Choosing a content coding (RFC 9110 §8.4, §12.5.3).

use crate::headers::list;

/// A content coding that weir can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// None: the bytes as they are.
    Identity,
    /// gzip (RFC 1952)
    Gzip,
    /// Brotli (RFC 7932)
    Br,
    /// Zstandard (RFC 8878)
    Zstd,
}

impl Encoding {
    /// The value of `Content-Encoding`; for [`Encoding::Identity`] that field is left out.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Br => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Reads a name, whatever its case. `x-gzip` is gzip (RFC 9110 §8.4.1.3).
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            2 if is("br") => Some(Self::Br),
            4 if is("gzip") => Some(Self::Gzip),
            4 if is("zstd") => Some(Self::Zstd),
            6 if is("x-gzip") => Some(Self::Gzip),
            8 if is("identity") => Some(Self::Identity),
            _ => None,
        }
    }
}

/// Weights, in thousandths, as far as a client gave any.
#[derive(Default)]
struct Weights {
    identity: Option<u16>,
    gzip: Option<u16>,
    br: Option<u16>,
    zstd: Option<u16>,
    any: Option<u16>,
}

impl Weights {
    fn of(&mut self, encoding: Encoding) -> &mut Option<u16> {
        match encoding {
            Encoding::Identity => &mut self.identity,
            Encoding::Gzip => &mut self.gzip,
            Encoding::Br => &mut self.br,
            Encoding::Zstd => &mut self.zstd,
        }
    }
}

/// The coding to send, of those in `available`, which stand in the server's order of
/// preference. `values` are those of all `Accept-Encoding` fields; if there are none nothing
/// is encoded.
///
/// The highest weight wins, and among equal ones the server's preference. `identity` need
/// be neither listed nor available; unless the client lists it, it is what is sent when
/// nothing else is acceptable, even if the client rules it out too (`identity;q=0`, `*;q=0`):
/// RFC 9110 §12.5.3 lets a server choose between that and 415 or 406, and a player has more
/// use for the content. Of a coding that is listed twice the first weight counts; an element
/// with a malformed weight is ignored.
#[must_use]
pub fn choose<'v>(values: impl IntoIterator<Item = &'v [u8]>, available: &[Encoding]) -> Encoding {
    let mut weights = Weights::default();
    for element in values.into_iter().flat_map(list) {
        let (name, weight) = match element.iter().position(|&b| b == b';') {
            Some(at) => {
                let (name, parameter) = element.split_at(at);
                match weight(parameter) {
                    Some(weight) => (name.trim_ascii_end(), weight),
                    None => continue,
                }
            }
            None => (element, 1000),
        };
        if name == b"*" {
            weights.any.get_or_insert(weight);
        } else if let Some(encoding) = Encoding::parse(name) {
            weights.of(encoding).get_or_insert(weight);
        }
    }
    let any = weights.any;
    let mut chosen = (Encoding::Identity, 0);
    for encoding in available.iter().copied().chain([Encoding::Identity]) {
        let listed = *weights.of(encoding);
        let weight = match encoding {
            // The asterisk stands for the codings there are, of which none is no wish.
            Encoding::Identity => listed,
            _ => listed.or(any),
        };
        if weight.is_some_and(|weight| weight > chosen.1) {
            chosen = (encoding, weight.unwrap_or(0));
        }
    }
    chosen.0
}

/// A `weight` (RFC 9110 §12.4.2) with the semicolon before it, in thousandths.
fn weight(parameter: &[u8]) -> Option<u16> {
    let parameter = parameter.strip_prefix(b";")?.trim_ascii_start();
    let (name, value) = parameter.split_at_checked(2)?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let (whole, decimals) = match value {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', decimals @ ..] => (whole, decimals),
        _ => return None,
    };
    if decimals.len() > 3 || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandths = [100, 10, 1].iter().zip(decimals);
    let thousandths: u16 = thousandths
        .map(|(n, digit)| n * u16::from(digit - b'0'))
        .sum();
    let weight = u16::from(whole - b'0') * 1000 + thousandths;
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::Encoding::{Br, Gzip, Identity, Zstd};
    use super::*;

    #[test]
    fn the_highest_weight_wins_then_the_server() {
        for (field, available, want) in [
            ("gzip, deflate, br, zstd", &[Zstd, Br, Gzip][..], Zstd),
            ("gzip, deflate, br, zstd", &[Br, Zstd, Gzip], Br),
            ("gzip, deflate", &[Br, Zstd, Gzip], Gzip),
            ("gzip, deflate", &[Br], Identity),
            ("gzip;q=0.5, br;q=0.4", &[Br, Gzip], Gzip),
            ("gzip;q=0.500, br;q=0.501", &[Gzip, Br], Br),
            ("GZIP ; Q=1.000 ,Br;q=0.999", &[Br, Gzip], Gzip),
            ("x-gzip", &[Br, Gzip], Gzip),
            ("deflate", &[Br, Gzip], Identity),
            ("", &[Br, Gzip], Identity),
            (",, ,", &[Br, Gzip], Identity),
            ("gzip", &[], Identity),
            ("*", &[Br, Gzip], Br),
            ("br;q=0, *", &[Br, Gzip], Gzip),
            ("*;q=0.1, gzip;q=0.2", &[Br, Gzip], Gzip),
            ("gzip;q=0", &[Gzip], Identity),
            ("*;q=0", &[Br, Gzip], Identity),
            ("identity;q=0, gzip;q=0.001", &[Br, Gzip], Gzip),
            ("identity;q=0", &[Br, Gzip], Identity),
            ("identity, gzip;q=0.5", &[Br, Gzip], Identity),
            ("identity;q=0.5, gzip;q=0.5", &[Gzip], Gzip),
            ("identity;q=0.5, gzip;q=0.5", &[Identity, Gzip], Identity),
            ("gzip;q=0, gzip", &[Gzip], Identity),
        ] {
            assert_eq!(choose([field.as_bytes()], available), want, "{field}");
        }
        assert_eq!(choose([], &[Br, Gzip]), Identity);
        let lines = [&b"gzip;q=0.1"[..], b"br;q=0.2"];
        assert_eq!(choose(lines, &[Gzip, Br]), Br);
    }

    #[test]
    fn malformed_weights_take_their_element_out() {
        for weight in [
            "",
            "q",
            "q=",
            "q=2",
            "q=1.001",
            "q=-1",
            "q=.5",
            "q=0.1234",
            "q=0,5",
            "q=0.5;a=b",
            "q =1",
            "q= 1",
            "q=1e0",
            "level=9",
            "q=0x1",
            "q=\u{661}",
        ] {
            let field = format!("br;{weight}");
            assert_eq!(choose([field.as_bytes()], &[Br]), Identity, "{field}");
        }
        for weight in ["q=1", "q=1.", "q=1.0", "q=0.001", "\tQ=0.5 "] {
            let field = format!("br;{weight}");
            assert_eq!(choose([field.as_bytes()], &[Br]), Br, "{field}");
        }
    }

    #[test]
    fn names_read_back() {
        for encoding in [Identity, Gzip, Br, Zstd] {
            assert_eq!(
                Encoding::parse(encoding.as_str().as_bytes()),
                Some(encoding)
            );
        }
        assert_eq!(Encoding::parse(b"deflate"), None);
    }
}
