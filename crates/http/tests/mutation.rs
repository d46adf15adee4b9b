//! Broken input of any kind: seeded, so that a failure can be repeated.

use weir_http::body::{Decoded, Decoder};
use weir_http::conditional::{Validators, evaluate};
use weir_http::target::{Path, Query};
use weir_http::{BodyLength, ByteRange, Parsed, client, date, range, request};

const SEEDS: [&[u8]; 4] = [
    b"GET /a%20b/./c?x=%41&y HTTP/1.1\r\nHost: [::1]:80\r\nRange: bytes=5-9\r\n\
      If-None-Match: W/\"a\", \"b\"\r\nIf-Modified-Since: Sun Nov  6 08:49:37 1994\r\n\
      If-Range: \"a\"\r\nConnection: keep-alive, close\r\n\r\n",
    b"POST http://h:1/p?q HTTP/1.0\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\
      If-Match: *\r\nIf-Unmodified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n\r\n",
    b"HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n",
    b"5;a=b\r\nhello\r\nff\r\n0\r\nA: b\r\n\r\n",
];

/// Bytes that mean something to a parser here.
const SPICE: &[u8] = b"\r\n\0\t :;,%/?#*\"-=.0159afF\x7f\x80\xc3\xff";

struct Random(u64);

impl Random {
    /// xorshift64*
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(4) {
            0 => bytes.insert(at, SPICE[random.below(SPICE.len())]),
            1 if at < bytes.len() => bytes[at] = SPICE[random.below(SPICE.len())],
            2 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {
                let end = (at + random.below(20)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
        }
    }
}

/// Goes through everything that looks at what a peer sent.
fn exercise(bytes: &[u8]) -> bool {
    let mut accepted = false;
    if let Ok(Parsed::Head { head, len }) = request::parse(bytes) {
        accepted = true;
        let read = &bytes[..len];
        // What two programs could read differently must not get through.
        let line_feeds = read.iter().enumerate().filter(|(_, b)| **b == b'\n');
        for (at, _) in line_feeds {
            assert_eq!(read[at - 1], b'\r');
        }
        let count = |name| head.headers.values(name).count();
        assert!(count("content-length") + count("transfer-encoding") <= 1);
        assert!(count("host") <= 1);
        let validators = Validators {
            etag: Some("\"a\""),
            last_modified: Some(784_111_777),
        };
        let _ = evaluate(&head, &validators);
        let _ = range::requested(&head, validators.etag).map(|range| range.resolve(7));
        if let Ok(path) = Path::parse(head.path) {
            assert!(
                path.segments()
                    .all(|s| !matches!(s, "." | "..") && !s.contains(['/', '\0']))
            );
        }
        let _ = Query::new(head.query).first("x");
        for (_, value) in head.headers.iter() {
            let _ = (date::parse(value), ByteRange::parse(value));
        }
    }
    accepted |= matches!(client::parse(bytes, false), Ok(Parsed::Head { .. }));

    let mut decoder = Decoder::new(BodyLength::Chunked);
    let mut at = 0;
    while let Ok(Decoded::Data { consumed, .. }) = decoder.handle_bytes(&bytes[at..]) {
        assert!(consumed > 0);
        at += consumed;
    }
    accepted | decoder.is_done()
}

#[test]
fn mutated_messages_are_answered_one_way_or_the_other() {
    let mut random = Random(0x5eed);
    let mut accepted = 0;
    for round in 0..40_000 {
        let mut bytes = SEEDS[round % SEEDS.len()].to_vec();
        mutate(&mut random, &mut bytes);
        accepted += usize::from(exercise(&bytes));
    }
    // Neither all nor nothing gets through, or the mutations are not worth their name.
    assert!((2_000..38_000).contains(&accepted), "{accepted}");
}

#[test]
fn cutting_the_input_changes_no_verdict() {
    let mut random = Random(7);
    for round in 0..2_000 {
        let mut bytes = SEEDS[round % 2].to_vec();
        mutate(&mut random, &mut bytes);
        let whole = request::parse(&bytes);
        for end in 0..bytes.len() {
            match request::parse(&bytes[..end]) {
                Ok(Parsed::NeedMore) => {}
                Ok(head) => assert_eq!(Ok(&head), whole.as_ref(), "{end}"),
                // The fault is in what has come, so more bytes cannot mend it.
                Err(_) => assert!(whole.is_err(), "{end}"),
            }
        }
    }
}
