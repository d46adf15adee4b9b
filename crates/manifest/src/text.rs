//! Pieces of playlist text: numbers, strings, attributes.

use crate::error::Error;

/// Appends `n` in decimal with at least `width` digits.
pub(crate) fn put_decimal(out: &mut String, mut n: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
        first -= 1;
        if n == 0 {
            break;
        }
    }
    let first = first.min(digits.len().saturating_sub(width));
    let text = digits.get(first..).and_then(|d| str::from_utf8(d).ok());
    out.push_str(text.unwrap_or_default());
}

/// Appends a tag line `#NAME:n`.
pub(crate) fn put_number_tag(out: &mut String, tag: &str, n: u64) {
    out.push_str(tag);
    put_decimal(out, n, 1);
    out.push('\n');
}

/// Appends a URI line.
pub(crate) fn put_uri_line(out: &mut String, uri: &str) -> Result<(), Error> {
    if uri.is_empty() || uri.starts_with('#') || uri.contains(is_forbidden) {
        return Err(Error::Uri);
    }
    out.push_str(uri);
    out.push('\n');
    Ok(())
}

/// Appends `NAME="value"`. Quoted strings have no escapes, so what cannot stand in one is an
/// error (rfc8216bis §4.2).
pub(crate) fn put_quoted(out: &mut String, name: &'static str, value: &str) -> Result<(), Error> {
    if value.is_empty() || value.contains(|c| c == '"' || is_forbidden(c)) {
        return Err(match name {
            "URI" => Error::Uri,
            _ => Error::QuotedString(name),
        });
    }
    out.push_str(name);
    out.push_str("=\"");
    out.push_str(value);
    out.push('"');
    Ok(())
}

/// Control characters, which a playlist may not hold outside line ends (§4.1).
fn is_forbidden(c: char) -> bool {
    c.is_control()
}

/// Runs `write`; on error `out` is as it was.
pub(crate) fn all_or_nothing(
    out: &mut String,
    write: impl FnOnce(&mut String) -> Result<(), Error>,
) -> Result<(), Error> {
    let before = out.len();
    let result = write(out);
    if result.is_err() {
        out.truncate(before);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_their_width() {
        let text = |n, width| {
            let mut out = String::new();
            put_decimal(&mut out, n, width);
            out
        };
        assert_eq!(text(0, 1), "0");
        assert_eq!(text(7, 2), "07");
        assert_eq!(text(1234, 2), "1234");
        assert_eq!(text(u64::MAX, 1), u64::MAX.to_string());
        assert_eq!(text(5, 20), format!("{:020}", 5));
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let mut out = String::new();
        for bad in ["", "#x", "a\nb", "a\r", "a\u{85}b", "a\0"] {
            assert_eq!(put_uri_line(&mut out, bad), Err(Error::Uri), "{bad:?}");
        }
        for bad in ["", "a\"b", "a\nb", "\r"] {
            let name = Err(Error::QuotedString("NAME"));
            assert_eq!(put_quoted(&mut out, "NAME", bad), name, "{bad:?}");
            assert_eq!(put_quoted(&mut out, "URI", bad), Err(Error::Uri));
        }
        assert_eq!(out, "");
        put_quoted(&mut out, "NAME", "Français, #1").unwrap();
        assert_eq!(out, "NAME=\"Français, #1\"");
    }
}
