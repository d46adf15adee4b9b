//! Which bytes to send, and whether to send any.

use weir_http::conditional::{Outcome, Validators, evaluate};
use weir_http::range::{ByteRange, Growing, OPEN_END, Resolved, requested, requested_growing};
use weir_http::{Parsed, Request, request};

const MODIFIED: u64 = 784_111_777;
const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sunday, 06-Nov-94 08:49:38 GMT";

fn with_request<T>(method: &str, lines: &[&str], f: impl FnOnce(&Request<'_>) -> T) -> T {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let text = format!("{method} /x HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
    match request::parse(text.as_bytes()) {
        Ok(Parsed::Head { head, .. }) => f(&head),
        other => panic!("{text}: {other:?}"),
    }
}

fn outcome(method: &str, etag: Option<&str>, lines: &[&str]) -> Outcome {
    let validators = Validators {
        etag,
        last_modified: Some(MODIFIED),
    };
    with_request(method, lines, |request| evaluate(request, &validators))
}

#[test]
fn reads_one_range() {
    for (value, want) in [
        ("bytes=0-0", ByteRange::FromTo { first: 0, last: 0 }),
        ("Bytes=5-9", ByteRange::FromTo { first: 5, last: 9 }),
        ("bytes= 5-9 ,", ByteRange::FromTo { first: 5, last: 9 }),
        ("bytes=5-", ByteRange::From(5)),
        ("bytes=-5", ByteRange::Suffix(5)),
        (
            "bytes=-99999999999999999999999",
            ByteRange::Suffix(u64::MAX),
        ),
        ("bytes=99999999999999999999999-", ByteRange::From(u64::MAX)),
    ] {
        assert_eq!(ByteRange::parse(value.as_bytes()), Some(want), "{value}");
    }
}

#[test]
fn ignores_what_is_no_single_range() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=9-5",
        "bytes=a-5",
        "bytes=5-a",
        "bytes=5",
        "bytes=--5",
        "bytes=5--",
        "bytes=+5-9",
        "bytes=5 - 9",
        "bytes =5-9",
        "items=0-5",
        "bytes=0-1,2-3",
        "bytes=0-1, -1",
        "bytes=\u{661}-",
    ] {
        assert_eq!(ByteRange::parse(value.as_bytes()), None, "{value}");
    }
    let many = format!("bytes={}", "0-,".repeat(5000));
    assert_eq!(ByteRange::parse(many.as_bytes()), None);
}

#[test]
fn cuts_to_the_length() {
    let part = |first, last| Resolved::Part { first, last };
    for (value, length, want) in [
        ("bytes=0-0", 1, part(0, 0)),
        ("bytes=2-5", 10, part(2, 5)),
        ("bytes=2-50", 10, part(2, 9)),
        ("bytes=9-", 10, part(9, 9)),
        ("bytes=10-", 10, Resolved::Unsatisfiable),
        ("bytes=10-20", 10, Resolved::Unsatisfiable),
        ("bytes=0-", 0, Resolved::Unsatisfiable),
        ("bytes=-3", 10, part(7, 9)),
        ("bytes=-30", 10, part(0, 9)),
        ("bytes=-0", 10, Resolved::Unsatisfiable),
        ("bytes=-1", 0, Resolved::Whole),
        ("bytes=0-", u64::MAX, part(0, u64::MAX - 1)),
        (
            "bytes=99999999999999999999999-",
            u64::MAX,
            Resolved::Unsatisfiable,
        ),
    ] {
        let range = ByteRange::parse(value.as_bytes()).unwrap();
        assert_eq!(range.resolve(length), want, "{value} of {length}");
    }
}

#[test]
fn a_growing_representation_has_no_length_yet() {
    let part = |first, last| Growing::Part { first, last };
    let open = |first, last| Growing::Open { first, last };
    for (value, available, want) in [
        ("bytes=0-", 10, part(0, 9)),
        ("bytes=0-3", 10, part(0, 3)),
        ("bytes=5-20", 10, part(5, 9)),
        ("bytes=10-", 10, Growing::Unsatisfiable),
        ("bytes=10-20", 10, Growing::Unsatisfiable),
        ("bytes=0-", 0, Growing::Unsatisfiable),
        ("bytes=-5", 10, Growing::Whole),
        // The values of LL-HLS and of RFC 8673's own examples.
        ("bytes=7-9007199254740991", 10, open(7, OPEN_END)),
        ("bytes=7-999999999999", 10, open(7, 999_999_999_999)),
        ("bytes=10-9007199254740991", 10, open(10, OPEN_END)),
        ("bytes=0-9007199254740991", 0, open(0, OPEN_END)),
        ("bytes=11-9007199254740991", 10, Growing::Unsatisfiable),
        ("bytes=7-549755813888", 10, open(7, 1 << 39)),
        ("bytes=7-549755813887", 10, part(7, 9)),
        ("bytes=7-18446744073709551614", 10, open(7, u64::MAX - 1)),
        ("bytes=7-18446744073709551615", 10, part(7, 9)),
        ("bytes=7-99999999999999999999999999", 10, part(7, 9)),
    ] {
        let range = ByteRange::parse(value.as_bytes()).unwrap();
        assert_eq!(range.resolve_growing(available), want, "{value}");
    }
    // Once it has grown, an open end is an end like any other.
    let open = ByteRange::parse(b"bytes=7-9007199254740991").unwrap();
    assert_eq!(open.resolve(10), Resolved::Part { first: 7, last: 9 });
}

#[test]
fn a_growing_representation_tells_its_length_to_head() {
    for (method, growing, grown) in [
        ("GET", true, true),
        ("HEAD", true, false),
        ("POST", false, false),
    ] {
        with_request(method, &["Range: bytes=0-"], |request| {
            assert_eq!(
                requested_growing(request, None).is_some(),
                growing,
                "{method}"
            );
            assert_eq!(requested(request, None).is_some(), grown, "{method}");
        });
    }
}

#[test]
fn a_range_counts_in_get_and_while_the_tag_is_the_same() {
    let asked = |method, etag, lines: &[&str]| {
        with_request(method, lines, |request| requested(request, etag).is_some())
    };
    let range = "Range: bytes=0-1";
    assert!(asked("GET", Some("\"a\""), &[range]));
    assert!(!asked("HEAD", Some("\"a\""), &[range]));
    assert!(!asked("GET", Some("\"a\""), &[]));
    assert!(asked("GET", Some("\"a\""), &[range, "If-Range: \"a\""]));
    assert!(!asked("GET", Some("\"a\""), &[range, "If-Range: \"b\""]));
    assert!(!asked("GET", None, &[range, "If-Range: \"a\""]));
    // Weak tags and dates are not strong validators.
    assert!(!asked(
        "GET",
        Some("W/\"a\""),
        &[range, "If-Range: W/\"a\""]
    ));
    assert!(!asked(
        "GET",
        Some("\"a\""),
        &[range, &format!("If-Range: {AT}")]
    ));
}

#[test]
fn what_may_stand_once_has_no_meaning_twice() {
    let twice = |line: &str| [line.to_owned(), line.to_owned()];
    for line in [
        "Range: bytes=0-1",
        &format!("If-Modified-Since: {AFTER}"),
        &format!("If-Unmodified-Since: {BEFORE}"),
    ] {
        let lines = twice(line);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        assert_eq!(
            outcome("GET", Some("\"a\""), &lines),
            Outcome::Proceed,
            "{line}"
        );
        with_request("GET", &lines, |r| {
            assert_eq!(requested(r, Some("\"a\"")), None)
        });
    }
    let lines = ["Range: bytes=0-1", "If-Range: \"a\"", "If-Range: \"a\""];
    with_request("GET", &lines, |r| {
        assert_eq!(requested(r, Some("\"a\"")), None)
    });
}

#[test]
fn if_none_match_compares_weakly() {
    for line in [
        "\"a\"",
        "W/\"a\"",
        "\"x\", \"a\"",
        ",\"x\",\t,W/\"a\" ,",
        "*",
        "\"x,\" , \"a\"",
    ] {
        let line = format!("If-None-Match: {line}");
        assert_eq!(
            outcome("GET", Some("\"a\""), &[&line]),
            Outcome::NotModified,
            "{line}"
        );
        assert_eq!(
            outcome("HEAD", Some("W/\"a\""), &[&line]),
            Outcome::NotModified,
            "{line}"
        );
        assert_eq!(
            outcome("POST", Some("\"a\""), &[&line]),
            Outcome::PreconditionFailed
        );
    }
    for line in [
        "\"b\"",
        "a",
        "\"A\"",
        "",
        "\"a",
        "x\"a\"",
        "w/\"a\"",
        "\"x\"\"a\"",
        "**",
        "\"*\"",
        "W/a",
    ] {
        let line = format!("If-None-Match: {line}");
        assert_eq!(
            outcome("GET", Some("\"a\""), &[&line]),
            Outcome::Proceed,
            "{line}"
        );
    }
    // Several lines are one list.
    let lines = ["If-None-Match: \"x\"", "If-None-Match: \"a\""];
    assert_eq!(outcome("GET", Some("\"a\""), &lines), Outcome::NotModified);
    assert_eq!(
        outcome("GET", None, &["If-None-Match: \"a\""]),
        Outcome::Proceed
    );
    assert_eq!(
        outcome("GET", None, &["If-None-Match: *"]),
        Outcome::NotModified
    );
}

#[test]
fn if_match_compares_strongly() {
    for (etag, line, want) in [
        (Some("\"a\""), "\"x\", \"a\"", Outcome::Proceed),
        (Some("\"a\""), "*", Outcome::Proceed),
        (None, "*", Outcome::Proceed),
        (Some("\"a\""), "\"b\"", Outcome::PreconditionFailed),
        (Some("W/\"a\""), "W/\"a\"", Outcome::PreconditionFailed),
        (Some("\"a\""), "W/\"a\"", Outcome::PreconditionFailed),
        (None, "\"a\"", Outcome::PreconditionFailed),
        (Some("\"a\""), "", Outcome::PreconditionFailed),
    ] {
        let line = format!("If-Match: {line}");
        assert_eq!(outcome("GET", etag, &[&line]), want, "{etag:?} {line}");
    }
}

#[test]
fn dates_compare_by_second() {
    for (name, date, want) in [
        ("If-Modified-Since", BEFORE, Outcome::Proceed),
        ("If-Modified-Since", AT, Outcome::NotModified),
        ("If-Modified-Since", AFTER, Outcome::NotModified),
        ("If-Modified-Since", "yesterday", Outcome::Proceed),
        ("If-Unmodified-Since", BEFORE, Outcome::PreconditionFailed),
        ("If-Unmodified-Since", AT, Outcome::Proceed),
        ("If-Unmodified-Since", AFTER, Outcome::Proceed),
        ("If-Unmodified-Since", "yesterday", Outcome::Proceed),
    ] {
        let line = format!("{name}: {date}");
        assert_eq!(outcome("GET", None, &[&line]), want, "{line}");
    }
    let line = format!("If-Modified-Since: {AFTER}");
    assert_eq!(outcome("POST", None, &[&line]), Outcome::Proceed);
    let nothing_known = Validators::default();
    let got = with_request("GET", &[&line], |request| evaluate(request, &nothing_known));
    assert_eq!(got, Outcome::Proceed);
}

#[test]
fn tags_go_before_dates_and_match_before_none_match() {
    let tag = Some("\"a\"");
    let unmodified = format!("If-Unmodified-Since: {BEFORE}");
    let modified = format!("If-Modified-Since: {AFTER}");
    assert_eq!(
        outcome("GET", tag, &["If-Match: \"a\"", &unmodified]),
        Outcome::Proceed
    );
    assert_eq!(
        outcome("GET", tag, &["If-None-Match: \"b\"", &modified]),
        Outcome::Proceed
    );
    let both = ["If-None-Match: \"a\"", "If-Match: \"b\""];
    assert_eq!(outcome("GET", tag, &both), Outcome::PreconditionFailed);
    let both = ["If-None-Match: \"a\"", "If-Match: \"a\""];
    assert_eq!(outcome("GET", tag, &both), Outcome::NotModified);
    assert_eq!(
        outcome("GET", tag, &["If-None-Match: \"a\"", &unmodified]),
        Outcome::PreconditionFailed
    );
}
