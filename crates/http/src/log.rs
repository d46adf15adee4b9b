//! One line of the access log, in nginx's and Apache's combined format or as JSON.
//!
//! What a client sent cannot forge a line, nor reach a terminal as a control sequence, nor
//! leave a secret behind: in queries, those of `Referer` included, the value of a parameter
//! whose name is, or ends in (after `-`, `_` or `.`), one of `auth`, `jwt`, `key`, `pass`,
//! `passphrase`, `password`, `secret`, `sig`, `signature` or `token` is written as `-`. Names
//! compare decoded and without case, so that `access_token`, `X-Amz-Signature` and `%74oken`
//! are found.

use crate::date::{MONTHS, UNIX_SECONDS_MAX, civil_from_days, two_digits};
use std::fmt::Write;
use std::net::IpAddr;

/// What is logged of one request and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The client's address; see [`crate::forwarded::client`].
    pub client: IpAddr,
    /// When the answer was complete, in milliseconds since 1970-01-01T00:00:00Z. The
    /// combined format has seconds.
    pub time_ms: u64,
    /// What was asked for; `None` if the head could not be read.
    pub line: Option<Line<'a>>,
    /// The answer's status code.
    pub status: u16,
    /// Bytes of the body that were sent. Zero is written as such.
    pub body_bytes: u64,
    /// Microseconds from the request's first byte to the answer's last.
    pub duration_us: u64,
    /// `Referer`
    pub referer: Option<&'a [u8]>,
    /// `User-Agent`
    pub user_agent: Option<&'a [u8]>,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// The request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, still percent-encoded.
    pub path: &'a str,
    /// What follows the `?`, still percent-encoded.
    pub query: Option<&'a str>,
    /// The protocol as nginx writes it: `HTTP/1.0`, `HTTP/1.1`, `HTTP/2.0`.
    pub protocol: &'a str,
    /// Host and port that the client asked for.
    pub host: Option<&'a str>,
}

impl Entry<'_> {
    /// Appends the line in combined format, with its line feed:
    ///
    /// ```text
    /// 192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] "GET /x?token=- HTTP/1.1" 200 5 "-" "curl/8.5"
    /// ```
    ///
    /// Quotes, backslashes, control characters and bytes above ASCII become `\xNN`, as in
    /// nginx. What is absent is `-`.
    pub fn write_combined(&self, out: &mut String) {
        let seconds = self.time_ms / 1000;
        put_client(out, self.client);
        out.push_str(" - - [");
        put_clf_time(out, seconds);
        out.push_str("] \"");
        match &self.line {
            Some(line) => {
                put_plain(out, line.method.as_bytes());
                out.push(' ');
                put_uri(
                    out,
                    line.path.as_bytes(),
                    line.query.map(str::as_bytes),
                    put_plain,
                );
                out.push(' ');
                put_plain(out, line.protocol.as_bytes());
            }
            None => out.push('-'),
        }
        out.push_str("\" ");
        put_number(out, self.status.into());
        out.push(' ');
        put_number(out, self.body_bytes);
        out.push_str(" \"");
        match self.referer {
            Some(referer) => put_referer(out, referer, put_plain),
            None => out.push('-'),
        }
        out.push_str("\" \"");
        put_plain(out, self.user_agent.unwrap_or(b"-"));
        out.push_str("\"\n");
    }

    /// Appends the line as one JSON object (RFC 8259), with its line feed:
    ///
    /// ```text
    /// {"time":"1994-11-06T08:49:37.000Z","client":"192.0.2.1","method":"GET","target":"/x",
    /// "protocol":"HTTP/1.1","host":"h","tls":false,"status":200,"bytes":5,"duration_us":120,
    /// "referer":null,"user_agent":"curl/8.5"}
    /// ```
    ///
    /// Control characters become `\u00NN`; a byte that is not UTF-8 becomes the four
    /// characters `\xNN`.
    pub fn write_json(&self, out: &mut String) {
        let line = self.line.as_ref();
        out.push_str("{\"time\":\"");
        put_rfc3339_time(out, self.time_ms);
        out.push_str("\",\"client\":\"");
        put_client(out, self.client);
        out.push_str("\",\"method\":");
        put_json_or_null(out, line.map(|l| l.method.as_bytes()), put_json);
        out.push_str(",\"target\":");
        match line {
            Some(line) => {
                out.push('"');
                put_uri(
                    out,
                    line.path.as_bytes(),
                    line.query.map(str::as_bytes),
                    put_json,
                );
                out.push('"');
            }
            None => out.push_str("null"),
        }
        out.push_str(",\"protocol\":");
        put_json_or_null(out, line.map(|l| l.protocol.as_bytes()), put_json);
        out.push_str(",\"host\":");
        put_json_or_null(out, line.and_then(|l| l.host).map(str::as_bytes), put_json);
        out.push_str(if self.tls {
            ",\"tls\":true"
        } else {
            ",\"tls\":false"
        });
        out.push_str(",\"status\":");
        put_number(out, self.status.into());
        out.push_str(",\"bytes\":");
        put_number(out, self.body_bytes);
        out.push_str(",\"duration_us\":");
        put_number(out, self.duration_us);
        out.push_str(",\"referer\":");
        put_json_or_null(out, self.referer, |out, referer| {
            put_referer(out, referer, put_json);
        });
        out.push_str(",\"user_agent\":");
        put_json_or_null(out, self.user_agent, put_json);
        out.push_str("}\n");
    }
}

/// Appends text in the form that the format needs inside quotes.
type Put = fn(&mut String, &[u8]);

/// Last words of parameter names whose values are secret.
const SECRETS: [&[u8]; 10] = [
    b"auth",
    b"jwt",
    b"key",
    b"pass",
    b"passphrase",
    b"password",
    b"secret",
    b"sig",
    b"signature",
    b"token",
];

fn put_uri(out: &mut String, path: &[u8], query: Option<&[u8]>, put: Put) {
    put(out, path);
    let Some(query) = query else {
        return;
    };
    out.push('?');
    for (i, pair) in query.split(|&b| b == b'&').enumerate() {
        if i > 0 {
            out.push('&');
        }
        match pair.iter().position(|&b| b == b'=') {
            Some(equals) if is_secret(pair.get(..equals).unwrap_or_default()) => {
                put(out, pair.get(..=equals).unwrap_or_default());
                out.push('-');
            }
            _ => put(out, pair),
        }
    }
}

/// A URI, its fragment cut off: it is none of a server's business and may hold a token.
fn put_referer(out: &mut String, referer: &[u8], put: Put) {
    let uri = referer.split(|&b| b == b'#').next().unwrap_or_default();
    let mut parts = uri.splitn(2, |&b| b == b'?');
    let path = parts.next().unwrap_or_default();
    put_uri(out, path, parts.next(), put);
}

/// Whether the last word of a parameter's name is one of [`SECRETS`].
fn is_secret(name: &[u8]) -> bool {
    // Filled from its end; only as long as the longest of the words, and one more.
    let mut word = [0_u8; 11];
    let mut len = 0;
    for byte in decoded(name) {
        if matches!(byte, b'-' | b'_' | b'.') {
            len = 0;
        } else {
            if let Some(slot) = word.get_mut(len) {
                *slot = byte.to_ascii_lowercase();
            }
            len += 1;
        }
    }
    word.get(..len).is_some_and(|word| SECRETS.contains(&word))
}

/// Takes percent-encoding off where it is sound.
fn decoded(mut text: &[u8]) -> impl Iterator<Item = u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    std::iter::from_fn(move || {
        if let [b'%', high, low, rest @ ..] = text
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            text = rest;
            // Two hexadecimal digits are at most 255.
            return Some((high << 4 | low) as u8);
        }
        let (&byte, rest) = text.split_first()?;
        text = rest;
        Some(byte)
    })
}

/// Printable ASCII as it is, all else and what would end the quotes as `\xNN`.
fn put_plain(out: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => put_byte(out, byte),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => put_byte(out, byte),
        }
    }
}

fn put_byte(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push_str("\\x");
    for nibble in [byte >> 4, byte & 0xf] {
        out.push(char::from(DIGITS[usize::from(nibble)]));
    }
}

fn put_json(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                // Those after ASCII begin sequences in terminals too.
                c if c.is_control() => {
                    // A String takes everything.
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for &byte in chunk.invalid() {
            out.push('\\');
            put_byte(out, byte);
        }
    }
}

fn put_json_or_null<'v>(
    out: &mut String,
    value: Option<&'v [u8]>,
    put: impl FnOnce(&mut String, &'v [u8]),
) {
    match value {
        Some(value) => {
            out.push('"');
            put(out, value);
            out.push('"');
        }
        None => out.push_str("null"),
    }
}

fn put_client(out: &mut String, client: IpAddr) {
    // A String takes everything.
    let _ = write!(out, "{client}");
}

fn put_number(out: &mut String, n: u64) {
    // A String takes everything.
    let _ = write!(out, "{n}");
}

fn put_two(out: &mut String, n: u64) {
    out.extend(two_digits(n).map(char::from));
}

/// `06/Nov/1994:08:49:37 +0000`
fn put_clf_time(out: &mut String, seconds: u64) {
    let seconds = seconds.min(UNIX_SECONDS_MAX);
    let (year, month, day) = civil_from_days(seconds / 86_400);
    put_two(out, day);
    out.push('/');
    out.push_str(MONTHS[(month - 1) as usize % 12]);
    out.push('/');
    put_two(out, year / 100);
    put_two(out, year % 100);
    for part in [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60] {
        out.push(':');
        put_two(out, part);
    }
    out.push_str(" +0000");
}

/// `1994-11-06T08:49:37.000Z` (RFC 3339)
fn put_rfc3339_time(out: &mut String, ms: u64) {
    let seconds = (ms / 1000).min(UNIX_SECONDS_MAX);
    let (year, month, day) = civil_from_days(seconds / 86_400);
    put_two(out, year / 100);
    put_two(out, year % 100);
    for (before, part) in [
        ('-', month),
        ('-', day),
        ('T', seconds / 3600 % 24),
        (':', seconds / 60 % 60),
        (':', seconds % 60),
    ] {
        out.push(before);
        put_two(out, part);
    }
    // Hundreds have the form of two digits and one.
    out.push('.');
    put_two(out, ms % 1000 / 10);
    out.push(char::from(b'0' + (ms % 10) as u8));
    out.push('Z');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry<'static> {
        Entry {
            client: "192.0.2.1".parse().unwrap(),
            time_ms: 784_111_777_042,
            line: Some(Line {
                method: "GET",
                path: "/live/x.m3u8",
                query: Some("a=b&token=s3cret"),
                protocol: "HTTP/1.1",
                host: Some("h:8080"),
            }),
            status: 206,
            body_bytes: 1024,
            duration_us: 120,
            referer: Some(b"https://site.example/p?key=1#token=2"),
            user_agent: Some(b"curl/8.5"),
            tls: true,
        }
    }

    fn combined(entry: &Entry<'_>) -> String {
        let mut out = String::new();
        entry.write_combined(&mut out);
        out
    }

    fn json(entry: &Entry<'_>) -> String {
        let mut out = String::new();
        entry.write_json(&mut out);
        out
    }

    #[test]
    fn writes_both_formats_byte_by_byte() {
        assert_eq!(
            combined(&entry()),
            "192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] \"GET /live/x.m3u8?a=b&token=- HTTP/1.1\" \
             206 1024 \"https://site.example/p?key=-\" \"curl/8.5\"\n"
        );
        assert_eq!(
            json(&entry()),
            "{\"time\":\"1994-11-06T08:49:37.042Z\",\"client\":\"192.0.2.1\",\"method\":\"GET\",\
             \"target\":\"/live/x.m3u8?a=b&token=-\",\"protocol\":\"HTTP/1.1\",\"host\":\"h:8080\",\
             \"tls\":true,\"status\":206,\"bytes\":1024,\"duration_us\":120,\
             \"referer\":\"https://site.example/p?key=-\",\"user_agent\":\"curl/8.5\"}\n"
        );
    }

    #[test]
    fn what_is_absent_is_said_to_be() {
        let absent = Entry {
            client: "2001:db8::1".parse().unwrap(),
            time_ms: u64::MAX,
            line: None,
            status: 400,
            referer: None,
            user_agent: None,
            tls: false,
            ..entry()
        };
        assert_eq!(
            combined(&absent),
            "2001:db8::1 - - [31/Dec/9999:23:59:59 +0000] \"-\" 400 1024 \"-\" \"-\"\n"
        );
        let line = json(&absent);
        assert!(line.contains("\"method\":null,\"target\":null,\"protocol\":null,\"host\":null"));
        assert!(
            line.contains("\"referer\":null,\"user_agent\":null") && line.contains("9999-12-31T")
        );
    }

    #[test]
    fn nothing_that_is_sent_forges_a_line() {
        let hostile = Entry {
            user_agent: Some(b"a\"b\\c\r\n\x1b[2J\x7f\0\xc3\xa9\xff\xc2\x9bx"),
            ..entry()
        };
        let line = combined(&hostile);
        assert!(line.ends_with(
            "\"a\\x22b\\x5Cc\\x0D\\x0A\\x1B[2J\\x7F\\x00\\xC3\\xA9\\xFF\\xC2\\x9Bx\"\n"
        ));
        assert_eq!(line.matches('\n').count(), 1);
        let line = json(&hostile);
        assert!(line.ends_with(
            "\"a\\\"b\\\\c\\u000d\\u000a\\u001b[2J\\u007f\\u0000\u{e9}\\\\xFF\\u009bx\"}\n"
        ));
        assert_eq!(line.matches('\n').count(), 1);
    }

    #[test]
    fn secrets_are_left_out() {
        for (query, want) in [
            ("token=a", "token=-"),
            ("TOKEN=a&b=c", "TOKEN=-&b=c"),
            ("b=c&access_token=a=b&d", "b=c&access_token=-&d"),
            ("X-Amz-Signature=a", "X-Amz-Signature=-"),
            ("%74oken=a", "%74oken=-"),
            ("to%6ben=a", "to%6ben=-"),
            ("my.key=a&sig=&pass=x", "my.key=-&sig=-&pass=-"),
            ("passphrase=x", "passphrase=-"),
            (
                "tokens=a&keyframe=1&monkey=2",
                "tokens=a&keyframe=1&monkey=2",
            ),
            ("token", "token"),
            ("=a&&=", "=a&&="),
            ("passphrasestoken=a", "passphrasestoken=a"),
            ("%zz=a&%=b&key%=c", "%zz=a&%=b&key%=c"),
            ("", ""),
        ] {
            let line = Line {
                query: Some(query),
                ..entry().line.unwrap()
            };
            let text = combined(&Entry {
                line: Some(line),
                ..entry()
            });
            assert!(
                text.contains(&format!("x.m3u8?{want} HTTP")),
                "{query}: {text}"
            );
        }
    }
}
