//! What a call to the hook says.
//!
//! The form is nginx-rtmp's, field by field and in its order:
//!
//! ```text
//! app=live&flashver=…&swfurl=…&tcurl=…&pageurl=…&addr=192.0.2.7&clientid=5
//!     &call=publish&name=cam&type=live&…the arguments of the query
//! ```
//!
//! `type` is said of publishing only. Of the arguments, those that are called like a field are
//! left out: receivers take the last of two, and a peer could choose its own `name`. The JSON form
//! has the same as one object, with the arguments in `args`.

use super::{Call, Facts};
use crate::limits::HOOK_ARGUMENTS_MAX;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use weir_http::target::Query;

/// Names that arguments cannot have.
const FIELDS: [&str; 11] = [
    "app", "flashver", "swfurl", "tcurl", "pageurl", "addr", "clientid", "call", "name", "type",
    "args",
];

/// Arguments that hold a secret of ours.
const SECRETS: [&str; 3] = ["key", "sig", "txSecret"];

/// The body of a call as `application/x-www-form-urlencoded`.
#[must_use]
pub fn form(call: Call, facts: &Facts) -> String {
    let mut text = String::with_capacity(512);
    for (name, value) in fields(call, facts) {
        pair(&mut text, name, &value);
    }
    for (name, value) in arguments(&facts.query) {
        pair(&mut text, &name, &value);
    }
    text
}

/// The body of a call as `application/json`.
#[must_use]
pub fn json(call: Call, facts: &Facts) -> String {
    let mut object = Map::new();
    for (name, value) in fields(call, facts) {
        object.insert(name.into(), Value::String(value));
    }
    object.insert("clientid".into(), facts.connection.into());
    let arguments = arguments(&facts.query).into_iter();
    let arguments: Map<String, Value> = arguments.map(|(n, v)| (n, Value::String(v))).collect();
    object.insert("args".into(), Value::Object(arguments));
    Value::Object(object).to_string()
}

fn fields(call: Call, facts: &Facts) -> Vec<(&'static str, String)> {
    let client = &facts.client;
    let mut fields = vec![
        ("app", client.app.clone()),
        ("flashver", client.flash_ver.clone()),
        ("swfurl", client.swf_url.clone()),
        ("tcurl", client.tc_url.clone()),
        ("pageurl", client.page_url.clone()),
        ("addr", facts.address.to_canonical().to_string()),
        ("clientid", facts.connection.to_string()),
        ("call", call.as_str().to_owned()),
        ("name", facts.name.clone()),
    ];
    if call == Call::Publish {
        fields.push(("type", facts.kind.clone()));
    }
    fields
}

/// The arguments of a query that may be passed on, decoded.
fn arguments(query: &str) -> Vec<(String, String)> {
    let mut arguments = Vec::new();
    for (name, value) in Query::new(Some(query)).iter() {
        let (name, value) = (decode(name), decode(value));
        let is_field = |field: &&str| field.eq_ignore_ascii_case(&name);
        if arguments.len() < HOOK_ARGUMENTS_MAX && !FIELDS.iter().any(is_field) {
            arguments.push((name, value));
        }
    }
    arguments
}

/// Whether an argument, still encoded, is one that opens an input.
pub(super) fn is_secret(pair: &str) -> bool {
    let name = decode(pair.split('=').next().unwrap_or_default());
    SECRETS.contains(&name.as_str())
}

/// Percent-encoding taken off once; what is not encoded well stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = |b: u8| char::from(b).to_digit(16);
        match (first, after) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                let value = hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0);
                bytes.push(u8::try_from(value).unwrap_or(b'?'));
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Appends `name=value`, both percent-encoded but for what RFC 3986 calls unreserved.
fn pair(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    encode(out, name);
    out.push('=');
    encode(out, value);
}

fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HOOK_TEXT_BYTES_MAX;
    use std::net::IpAddr;
    use weir_media::StreamName;

    fn facts(query: &str) -> Facts {
        let name = StreamName::parse("cam").unwrap();
        let mut facts = Facts::new(&name, IpAddr::from([192, 0, 2, 7]), 5);
        facts.client.app = "live".into();
        facts.client.flash_ver = "FMLE/3.0 (compatible; FMSc/1.0)".into();
        facts.client.tc_url = "rtmp://h:1935/live".into();
        facts.kind = "live".into();
        facts.query = query.into();
        facts
    }

    #[test]
    fn the_form_is_nginx_rtmps() {
        assert_eq!(
            form(Call::Publish, &facts("token=a%20b&x")),
            "app=live&flashver=FMLE%2F3.0%20%28compatible%3B%20FMSc%2F1.0%29&swfurl=\
             &tcurl=rtmp%3A%2F%2Fh%3A1935%2Flive&pageurl=&addr=192.0.2.7&clientid=5\
             &call=publish&name=cam&type=live&token=a%20b&x="
        );
        let done = form(Call::Done, &facts(""));
        assert!(done.ends_with("&call=done&name=cam"), "{done}");
    }

    #[test]
    fn arguments_cannot_pose_as_fields() {
        for query in [
            "name=other",
            "na%6De=other",
            "NAME=other",
            "addr=127.0.0.1",
            "a=1%26name%3Dother",
            "a=1&call=play&name=other",
            "=x&name=other",
        ] {
            let text = form(Call::Publish, &facts(query));
            let names = text
                .split('&')
                .filter(|p| p.to_lowercase().starts_with("name="));
            assert_eq!(names.collect::<Vec<_>>(), ["name=cam"], "{query}");
            let json: Value = serde_json::from_str(&json(Call::Publish, &facts(query))).unwrap();
            assert_eq!(json["name"], "cam", "{query}");
            assert_eq!(json["args"]["name"], Value::Null, "{query}");
        }
    }

    #[test]
    fn the_json_form_says_the_same() {
        let text = json(Call::Play, &facts("token=a%20b"));
        let json: Value = serde_json::from_str(&text).unwrap();
        let want = serde_json::json!({
            "app": "live", "flashver": "FMLE/3.0 (compatible; FMSc/1.0)", "swfurl": "",
            "tcurl": "rtmp://h:1935/live", "pageurl": "", "addr": "192.0.2.7", "clientid": 5,
            "call": "play", "name": "cam", "args": { "token": "a b" },
        });
        assert_eq!(json, want);
    }

    #[test]
    fn what_a_peer_sends_is_bounded() {
        let mut facts = facts(&"a=é&".repeat(HOOK_TEXT_BYTES_MAX / 5));
        facts.client.tc_url = "é".repeat(100_000);
        facts.client = facts.client.cut();
        let limit = 3 * 3 * HOOK_TEXT_BYTES_MAX + 1024;
        assert!(form(Call::Publish, &facts).len() < limit);
        assert!(json(Call::Publish, &facts).len() < limit);
        let form = form(Call::Publish, &facts);
        assert_eq!(form.matches("&a=").count(), HOOK_ARGUMENTS_MAX);
    }

    #[test]
    fn odd_encodings_stay_as_they_are() {
        for (raw, want) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%ff", "%ff"),
            ("%41", "A"),
        ] {
            assert_eq!(decode(raw), want);
        }
    }
}
