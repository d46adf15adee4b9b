//! Paths and queries: decoded once, then checked.

use weir_http::Error;
use weir_http::target::{Path, Query};

fn segments(raw: &str) -> Vec<String> {
    match Path::parse(raw) {
        Ok(path) => path.segments().map(str::to_owned).collect(),
        Err(error) => panic!("{raw}: {error}"),
    }
}

#[test]
fn splits_into_decoded_segments() {
    assert_eq!(segments("/"), [""]);
    assert_eq!(segments("/a"), ["a"]);
    assert_eq!(segments("/a/"), ["a", ""]);
    assert_eq!(segments("/a/b.c/d-e_f~"), ["a", "b.c", "d-e_f~"]);
    assert_eq!(segments("/%61%2e%62/%C3%A9+"), ["a.b", "\u{e9}+"]);
    assert_eq!(segments("/..."), ["..."]);
    assert_eq!(Path::parse("/%61/b").unwrap().as_str(), "/a/b");
}

#[test]
fn decodes_exactly_once() {
    assert_eq!(segments("/%2561"), ["%61"]);
    assert_eq!(segments("/%252e%252e"), ["%2e%2e"]);
}

#[test]
fn refuses_what_is_unsafe() {
    for raw in [
        "",
        "a",
        "*",
        "//",
        "//a",
        "/a//b",
        "/.",
        "/..",
        "/../a",
        "/a/../b",
        "/a/.",
        "/%2e%2e/a",
        "/.%2E",
        "/a%2fb",
        "/%2F",
        "/a%00",
        "/%0d%0a",
        "/%7f",
        "/%5c",
        "/a\\b",
        "/%",
        "/%4",
        "/%4g",
        "/%+1",
        "/%ff",
        "/%C3",
        "/%c0%ae",
        "/%ed%a0%80",
    ] {
        let got = Path::parse(raw);
        assert!(matches!(got, Err(Error::Path(_))), "{raw}: {got:?}");
    }
}

#[test]
fn queries_by_name() {
    let query = Query::new(Some("a=1&b=&c&a=2&%64=%26%3d+&e=x=y&"));
    let first = |name| query.first(name).unwrap().map(|value| value.into_owned());
    assert_eq!(first("a").as_deref(), Some("1"));
    assert_eq!(first("b").as_deref(), Some(""));
    assert_eq!(first("c").as_deref(), Some(""));
    assert_eq!(first("d").as_deref(), Some("&=+"));
    assert_eq!(first("e").as_deref(), Some("x=y"));
    assert_eq!(first("f"), None);
    assert_eq!(first(""), None);
    assert_eq!(query.iter().count(), 6);
    assert_eq!(Query::new(None).first("a"), Ok(None));
    assert!(Query::new(Some("a=%zz")).first("a").is_err());
    assert!(Query::new(Some("a=%ff")).first("a").is_err());
}
