//! Signed push URLs: a query that lets its holder publish one stream until a moment.
//!
//! Two forms are known. Ours is
//!
//! ```text
//! NAME?expires=SECONDS&sig=HEX      HEX = HMAC-SHA-256(key, "weir1\npublish\nNAME\nSECONDS")
//! ```
//!
//! with seconds since 1970 in decimal and 64 hexadecimal digits. What is signed is the
//! logical name and not the URL, so that proxies, ports and host names do not matter. The
//! other one is that of Tencent's live push URLs,
//!
//! ```text
//! NAME?txSecret=HEX&txTime=TIME     HEX = MD5(key NAME TIME)
//! ```
//!
//! with `TIME` as eight hexadecimal digits of seconds since 1970, hashed as they were written.
//! No other length is taken: with it, digits could move between name and time without another
//! hash, and a decimal time, which Tencent also takes, would read as the year 5000.
//!
//! Both say until when publishing may *begin*; a session that runs is not ended. A clock that
//! runs apart by up to [`SIGNATURE_SKEW`] does no harm. Whoever has no valid signature is not told
//! about its time.

use crate::error::Refusal;
use crate::key::{Secret, hex, mac_bytes, unhex};
use crate::limits::{SIGNATURE_QUERY_BYTES_MAX, SIGNATURE_SKEW};
use md5::{Digest as _, Md5};
use subtle::{Choice, ConstantTimeEq as _};
use weir_http::target::Query;
use weir_media::{StreamName, Utc};

/// The names of the parameters in our form: until when, and the signature.
pub const PARAMETERS: [&str; 2] = ["expires", "sig"];

/// The same in Tencent's form.
pub const TENCENT_PARAMETERS: [&str; 2] = ["txTime", "txSecret"];

/// A query that lets its holder publish `name` until `expires`, rounded down to the second.
#[must_use]
pub fn query(key: &Secret, name: &StreamName, expires: Utc) -> String {
    let seconds = expires.seconds().to_string();
    let signature = hex(&hmac(key, name, &seconds));
    format!("expires={seconds}&sig={signature}")
}

/// The same in Tencent's form; `None` after February 2106, when its eight digits end.
#[must_use]
pub fn tencent_query(key: &Secret, name: &StreamName, expires: Utc) -> Option<String> {
    let seconds = u32::try_from(expires.seconds()).ok()?;
    let time = format!("{seconds:08X}");
    let secret = hex(&md5(key, name, &time));
    Some(format!("txSecret={secret}&txTime={time}"))
}

/// What a query claims, in one of the two forms.
#[derive(Debug)]
pub(crate) enum Claim {
    Hmac {
        seconds: String,
        signature: Option<[u8; 32]>,
    },
    Tencent {
        time: String,
        signature: Option<[u8; 16]>,
    },
}

impl Claim {
    /// The claim of a query, if it makes one. Ours goes before Tencent's.
    pub(crate) fn parse(query: &str) -> Option<Self> {
        if query.len() > SIGNATURE_QUERY_BYTES_MAX {
            return None;
        }
        let value = |name: &str| {
            let value = Query::new(Some(query)).first(name).ok().flatten();
            value.map(|v| v.into_owned())
        };
        let [expires, sig] = PARAMETERS;
        if let Some(signature) = value(sig) {
            return Some(Self::Hmac {
                seconds: value(expires).unwrap_or_default(),
                signature: unhex(&signature),
            });
        }
        let [time, secret] = TENCENT_PARAMETERS;
        value(secret).map(|signature| Self::Tencent {
            time: value(time).unwrap_or_default(),
            signature: unhex(&signature),
        })
    }

    /// Whether one of the keys of its form made the claim for `name`, and it still holds.
    pub(crate) fn check(
        &self,
        (ours, tencent): (&[Secret], &[Secret]),
        name: &StreamName,
        now: Utc,
    ) -> Result<(), Refusal> {
        let (valid, until) = match self {
            Self::Hmac { seconds, signature } => {
                let valid = any(ours, signature.as_ref(), |key| hmac(key, name, seconds));
                (valid, decimal(seconds))
            }
            Self::Tencent { time, signature } => {
                let valid = any(tencent, signature.as_ref(), |key| md5(key, name, time));
                (valid, hexadecimal(time))
            }
        };
        match until {
            Some(until) if valid => {
                let last = until.saturating_add(SIGNATURE_SKEW.as_secs());
                if now.seconds() <= last {
                    Ok(())
                } else {
                    Err(Refusal::Expired)
                }
            }
            _ => Err(Refusal::BadSignature),
        }
    }
}

/// Whether a key makes the signature. All keys are tried, in a time that does not depend on
/// how much of it is right.
fn any<const N: usize>(
    keys: &[Secret],
    signature: Option<&[u8; N]>,
    make: impl Fn(&Secret) -> [u8; N],
) -> bool {
    let Some(signature) = signature else {
        return false;
    };
    let each = keys.iter().map(|key| make(key).ct_eq(signature));
    each.fold(Choice::from(0), |all, one| all | one).into()
}

fn hmac(key: &Secret, name: &StreamName, seconds: &str) -> [u8; 32] {
    mac_bytes(key, &["weir1\npublish\n", name.as_str(), "\n", seconds])
}

fn md5(key: &Secret, name: &StreamName, time: &str) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in [key.expose(), name.as_str(), time] {
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn hexadecimal(text: &str) -> Option<u64> {
    let plain = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Utc = Utc(1_790_000_000_000_000);

    fn name(text: &str) -> StreamName {
        StreamName::parse(text).unwrap()
    }

    fn secret(text: &str) -> Secret {
        Secret::parse(text).unwrap()
    }

    fn after(seconds: i64) -> Utc {
        NOW.plus_us(seconds * 1_000_000)
    }

    fn check(query: &str, keys: &[&Secret], stream: &str) -> Result<(), Refusal> {
        let keys: Vec<Secret> = keys.iter().copied().cloned().collect();
        let keys = &keys[..];
        let claim = Claim::parse(query).expect("the query claims something");
        claim.check((keys, keys), &name(stream), NOW)
    }

    #[test]
    fn the_hmac_is_what_the_documentation_says() {
        // printf 'weir1\npublish\nstudio\n1790000000' | openssl dgst -sha256 -hmac KEY
        let key = secret("0123456789abcdef");
        let query = query(&key, &name("studio"), NOW);
        let want = "378cd99c2a0363b8a28821c43c52295989fc9bfd4cafcafb1b00bfa05e43850a";
        assert_eq!(query, format!("expires=1790000000&sig={want}"));
        assert_eq!(check(&query, &[&key], "studio"), Ok(()));
    }

    /// The example of Tencent's documentation, "Hotlink Protection URL Calculation".
    #[test]
    fn tencents_own_example_is_reproduced() {
        let key = secret("e12c46f2612d5106e2034781ab261ca3");
        let made = tencent_query(&key, &name("test"), Utc(0x5C27_1099 * 1_000_000));
        let want = "txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099";
        assert_eq!(made.as_deref(), Some(want));
        // Right, but of 2018.
        assert_eq!(check(want, &[&key], "test"), Err(Refusal::Expired));
    }

    #[test]
    fn a_signature_holds_for_one_name_one_key_and_its_time() {
        let (key, other) = (
            secret("the-first-key-of-two"),
            secret("the-second-key-of-2"),
        );
        for make in [
            query as fn(&Secret, &StreamName, Utc) -> String,
            |k, n, t| tencent_query(k, n, t).unwrap(),
        ] {
            let good = make(&key, &name("a"), after(60));
            assert_eq!(check(&good, &[&other, &key], "a"), Ok(()));
            assert_eq!(check(&good, &[&key], "b"), Err(Refusal::BadSignature));
            assert_eq!(check(&good, &[&other], "a"), Err(Refusal::BadSignature));
            assert_eq!(check(&good, &[], "a"), Err(Refusal::BadSignature));
            let (last, over) = (after(-30), after(-31));
            assert_eq!(check(&make(&key, &name("a"), last), &[&key], "a"), Ok(()));
            let late = make(&key, &name("a"), over);
            assert_eq!(check(&late, &[&key], "a"), Err(Refusal::Expired));
            // Without the key, nobody learns that the time is over.
            assert_eq!(check(&late, &[&other], "a"), Err(Refusal::BadSignature));
        }
    }

    #[test]
    fn time_and_name_are_signed() {
        let key = secret("0123456789abcdef");
        let good = query(&key, &name("a"), after(-3600));
        let expires = after(-3600).seconds().to_string();
        let longer = good.replace(&expires, &after(3600).seconds().to_string());
        assert_eq!(check(&longer, &[&key], "a"), Err(Refusal::BadSignature));
        // MD5 of one text: digits may not move from the name to the time.
        let time = format!("{:08X}", after(3600).seconds());
        let hash = hex(&md5(&key, &name("a"), &time));
        let moved = format!("txSecret={hash}&txTime={}", &time[1..]);
        let stream = format!("a{}", &time[..1]);
        assert_eq!(check(&moved, &[&key], &stream), Err(Refusal::BadSignature));
    }

    #[test]
    fn malformed_claims_are_refused() {
        let key = [&secret("0123456789abcdef")];
        let sig = "0".repeat(64);
        for query in [
            "sig=",
            "sig=abc",
            &format!("sig={sig}"),
            &format!("sig={sig}&expires="),
            &format!("sig={sig}&expires=%2b1"),
            &format!("sig={sig}&expires=99999999999999999999999"),
            &format!("sig={sig}0&expires=1"),
            "txSecret=f85a2ab363fe4deaffef9754d79da6fe",
            "txSecret=é&txTime=5C271099",
        ] {
            assert_eq!(
                check(query, &key, "a"),
                Err(Refusal::BadSignature),
                "{query}"
            );
        }
        for query in ["", "expires=5", "txTime=5C271099", "sig%zz=1"] {
            assert!(Claim::parse(query).is_none(), "{query}");
        }
        let long = format!("sig={sig}&a={}", "x".repeat(SIGNATURE_QUERY_BYTES_MAX));
        assert!(Claim::parse(&long).is_none());
    }

    #[test]
    fn digits_may_be_of_either_case() {
        let key = secret("0123456789abcdef");
        let ours = query(&key, &name("a"), after(60));
        let (head, digits) = ours.split_at(ours.find("sig=").unwrap() + 4);
        let upper = format!("{head}{}", digits.to_uppercase());
        assert_eq!(check(&upper, &[&key], "a"), Ok(()));
        let time = format!("{:08x}", after(60).seconds());
        let lower = format!(
            "txSecret={}&txTime={time}",
            hex(&md5(&key, &name("a"), &time))
        );
        assert_eq!(check(&lower, &[&key], "a"), Ok(()));
    }
}
