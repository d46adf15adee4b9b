//! Bodies: where they end however the bytes arrive, and how much is read over.

use weir_http::body::{Decoded, Decoder, Drain, Drained};
use weir_http::{BodyLength, Error};

const CHUNKED: &[u8] =
    b"5\r\nhello\r\n00a;x=\"y\"\r\n, my world\r\n1 ; z\r\n!\r\n0\r\nA: b\r\n\r\n";

/// Decodes `wire`, handed over in pieces of `step` bytes; the data, and the bytes used.
fn decode(length: BodyLength, wire: &[u8], step: usize) -> Result<(Vec<u8>, usize), Error> {
    let mut decoder = Decoder::new(length);
    let (mut body, mut used) = (Vec::new(), 0);
    for piece in wire.chunks(step) {
        let mut at = 0;
        loop {
            match decoder.handle_bytes(&piece[at..])? {
                Decoded::Data { data, consumed } => {
                    assert!(!data.is_empty());
                    body.extend_from_slice(data);
                    at += consumed;
                }
                Decoded::NeedMore => break,
                Decoded::End { consumed } => {
                    assert!(decoder.is_done());
                    return Ok((body, used + at + consumed));
                }
            }
        }
        used += piece.len();
    }
    assert!(!decoder.is_done());
    Ok((body, used))
}

#[test]
fn chunked_framing_comes_off_in_pieces_of_any_size() {
    let wire = [CHUNKED, b"GET / HTTP/1.1\r\n"].concat();
    for step in 1..=wire.len() {
        let (body, used) = decode(BodyLength::Chunked, &wire, step).unwrap();
        assert_eq!(body, b"hello, my world!");
        assert_eq!(used, CHUNKED.len());
    }
}

#[test]
fn every_truncation_needs_more() {
    for end in 0..CHUNKED.len() {
        let (_, used) = decode(BodyLength::Chunked, &CHUNKED[..end], 7).unwrap();
        assert_eq!(used, end);
    }
}

#[test]
fn a_known_length_ends_where_it_says() {
    for step in 1..6 {
        let got = decode(BodyLength::Length(5), b"helloGET", step);
        assert_eq!(got, Ok((b"hello".to_vec(), 5)));
    }
    assert_eq!(decode(BodyLength::None, b"GET", 1), Ok((vec![], 0)));
}

#[test]
fn broken_framing_is_refused() {
    for wire in [
        &b"\r\n"[..],
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b" 1\r\n",
        b"0x1\r\n",
        b"1\n",
        b"1\r\r\n",
        b"1\ra",
        b"1;x\ny\r\n",
        b"1;x\0\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1\r\na\r\r",
        b"10000000000000000\r\n",
        b"00000000000000000\r\n",
        b"0\r\n\n",
        b"0\r\n folded\r\n",
        b"0\r\nA: b\n\r\n",
        b"0\r\nA: \0\r\n",
        b"0\r\n\r\r",
    ] {
        for step in [1, wire.len()] {
            let got = decode(BodyLength::Chunked, wire, step);
            let shown = String::from_utf8_lossy(wire);
            assert!(matches!(got, Err(Error::Chunk(_))), "{shown:?}: {got:?}");
        }
    }
}

#[test]
fn what_is_no_data_is_bounded() {
    let extension = [b"1;", &b"x".repeat(300)[..], b"\r\na\r\n0\r\n\r\n"].concat();
    assert!(decode(BodyLength::Chunked, &extension, 64).is_err());
    let trailers = [b"0\r\n", &b"A: bcdef\r\n".repeat(2000)[..], b"\r\n"].concat();
    assert!(decode(BodyLength::Chunked, &trailers, 64).is_err());
    let one_trailer = [b"0\r\nA: ", &b"x".repeat(9000)[..], b"\r\n\r\n"].concat();
    assert!(decode(BodyLength::Chunked, &one_trailer, 64).is_err());
}

#[test]
fn the_largest_chunk_does_not_overflow() {
    let wire = b"ffffffffffffffff\r\nabc";
    assert_eq!(
        decode(BodyLength::Chunked, wire, 4),
        Ok((b"abc".to_vec(), wire.len()))
    );
}

#[test]
fn drain_stops_at_the_next_message_and_at_its_bound() {
    let wire = [CHUNKED, b"GET"].concat();
    let len = CHUNKED.len();
    let mut drain = Drain::new(BodyLength::Chunked, len as u64).unwrap();
    let first = drain.handle_bytes(&wire[..10]).unwrap();
    assert_eq!(
        first,
        Drained {
            consumed: 10,
            done: false
        }
    );
    let rest = drain.handle_bytes(&wire[10..]).unwrap();
    assert_eq!(
        rest,
        Drained {
            consumed: len - 10,
            done: true
        }
    );
    let after = drain.handle_bytes(b"GET").unwrap();
    assert_eq!(
        after,
        Drained {
            consumed: 0,
            done: true
        }
    );

    let mut short = Drain::new(BodyLength::Chunked, len as u64 - 1).unwrap();
    assert_eq!(short.handle_bytes(&wire), Err(Error::BodyTooLong));
    // Framing counts, so that chunks of one byte are no way around the bound.
    let mut tiny = Drain::new(BodyLength::Chunked, 100).unwrap();
    assert_eq!(
        tiny.handle_bytes(&b"1\r\na\r\n".repeat(20)),
        Err(Error::BodyTooLong)
    );

    assert!(Drain::new(BodyLength::Length(100), 100).is_ok());
    let long = Drain::new(BodyLength::Length(101), 100).map(|_| ());
    assert_eq!(long, Err(Error::BodyTooLong));
}
