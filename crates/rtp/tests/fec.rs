//! Forward error correction against an encoder and a search of what can be repaired that are
//! written independently here.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use weir_rtp::Packet;
use weir_rtp::fec::Decoder;

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn media(r: &mut Random, sequence: u16) -> Bytes {
    let len = 1 + r.below(200);
    let payload: Vec<u8> = (0..len).map(|_| r.below(256) as u8).collect();
    Packet {
        payload_type: 33,
        marker: r.below(2) == 0,
        sequence,
        timestamp: r.below(1 << 32) as u32,
        ssrc: 77,
        payload: payload.into(),
    }
    .to_bytes()
}

/// A FEC packet over these media packets, byte by byte as the specification draws it.
fn parity(base: u16, offset: u8, covered: &[&Bytes], is_row: bool) -> Bytes {
    let longest = covered.iter().map(|m| m.len() - 12).max().unwrap();
    let mut out = vec![0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut head = [0u8; 16];
    let mut body = vec![0u8; longest];
    for m in covered {
        let length = ((m.len() - 12) as u16).to_be_bytes();
        head[2] ^= length[0];
        head[3] ^= length[1];
        head[4] ^= m[1] & 0x7f;
        out[1] ^= m[1] & 0x80;
        for i in 0..4 {
            head[8 + i] ^= m[4 + i];
        }
        for (to, from) in body.iter_mut().zip(&m[12..]) {
            *to ^= from;
        }
    }
    head[..2].copy_from_slice(&base.to_be_bytes());
    head[4] |= 0x80;
    head[12] = u8::from(is_row) << 6;
    head[13] = offset;
    head[14] = covered.len() as u8;
    out.extend(head);
    out.extend(body);
    out.into()
}

/// One packet of parity: which it covers, from 0 on, and after which media packet it is sent.
struct Line {
    covers: Vec<usize>,
    after: usize,
    bytes: Bytes,
}

/// Lines over `matrices` of L × D. In a staircase each column begins a row and a column later.
fn lines(all: &[Bytes], first: u16, (l, d): (usize, usize), rows: bool, stair: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut push = |covers: Vec<usize>, offset: usize, after: usize, is_row: bool| {
        if covers.iter().any(|i| *i >= all.len()) {
            return;
        }
        let base = first.wrapping_add(covers[0] as u16);
        let covered: Vec<&Bytes> = covers.iter().map(|i| &all[*i]).collect();
        let bytes = parity(base, offset as u8, &covered, is_row);
        lines.push(Line {
            covers,
            after,
            bytes,
        });
    };
    for start in (0..all.len()).step_by(l * d) {
        for column in 0..l {
            let from = start + column + if stair { column % d * l } else { 0 };
            let covers: Vec<_> = (0..d).map(|i| from + i * l).collect();
            // Spread over the next matrix.
            let after = covers[d - 1] + column * d / 2;
            push(covers, l, after, false);
        }
        for row in 0..if rows { d } else { 0 } {
            let covers: Vec<_> = (0..l).map(|i| start + row * l + i).collect();
            let after = covers[l - 1];
            push(covers, 1, after, true);
        }
    }
    lines
}

/// What can be repaired: peeling, from the definition.
fn repairable(lost: &BTreeSet<usize>, lines: &[&Line]) -> BTreeSet<usize> {
    let mut left = lost.clone();
    loop {
        let one = lines.iter().find_map(|line| {
            let mut missing = line.covers.iter().filter(|i| left.contains(i));
            match (missing.next(), missing.next()) {
                (Some(i), None) => Some(*i),
                _ => None,
            }
        });
        match one {
            Some(i) => left.remove(&i),
            None => return lost.difference(&left).copied().collect(),
        };
    }
}

#[test]
fn every_pattern_within_the_code_is_repaired() {
    let mut r = Random(0x9e37_79b9_7f4a_7c15);
    let (mut repaired, mut impossible) = (0, 0);
    for seed in 0..300 {
        let shapes = [(1, 4), (4, 4), (5, 20), (20, 5), (10, 10), (8, 5), (4, 6)];
        let (l, d) = shapes[seed % shapes.len()];
        let (rows, stair) = (r.below(3) > 0 && l >= 4, r.below(2) == 0);
        let first: u16 = [0, 65_500, 1000][r.below(3) as usize];
        let all: Vec<_> = (0..4 * l * d)
            .map(|_| media(&mut r, 0).to_vec())
            .enumerate()
            .map(|(i, mut bytes)| {
                bytes[2..4].copy_from_slice(&(first.wrapping_add(i as u16)).to_be_bytes());
                Bytes::from(bytes)
            })
            .collect();
        let lines = lines(&all, first, (l, d), rows, stair);
        let rate = [3, 10, 25][r.below(3) as usize];
        // The first arrives, so that there is a sequence to begin with.
        let lost: BTreeSet<_> = (1..all.len()).filter(|_| r.below(100) < rate).collect();
        let kept: Vec<&Line> = lines.iter().filter(|_| r.below(100) >= 5).collect();

        let (mut decoder, mut found) = (Decoder::new(), BTreeMap::new());
        for (i, media) in all.iter().enumerate() {
            if !lost.contains(&i) {
                decoder.handle_media(media).unwrap();
            }
            for line in kept.iter().filter(|line| line.after == i) {
                decoder.handle_fec(&line.bytes).unwrap();
            }
            found.extend(std::iter::from_fn(|| {
                let packet = decoder.poll_recovered()?;
                Some((usize::from(packet.sequence.wrapping_sub(first)), packet))
            }));
        }
        for line in kept.iter().filter(|line| line.after >= all.len()) {
            decoder.handle_fec(&line.bytes).unwrap();
        }
        found.extend(std::iter::from_fn(|| {
            let packet = decoder.poll_recovered()?;
            Some((usize::from(packet.sequence.wrapping_sub(first)), packet))
        }));
        let expected = repairable(&lost, &kept);
        let got: BTreeSet<usize> = found.keys().copied().collect();
        assert_eq!(
            got, expected,
            "{seed}: {l} x {d}, rows {rows}, stair {stair}"
        );
        for (i, packet) in &found {
            assert_eq!(packet.to_bytes(), all[*i], "{seed}: {i}");
        }
        repaired += got.len();
        impossible += lost.len() - got.len();
        assert_eq!(decoder.stats().garbage, 0);
    }
    // Both happen often.
    assert!(
        repaired > 2000 && impossible > 500,
        "{repaired} {impossible}"
    );
}

#[test]
fn what_does_not_fit_is_ignored() {
    let mut r = Random(5);
    let all: Vec<_> = (0..20).map(|i| media(&mut r, i)).collect();
    let covered: Vec<&Bytes> = all[..4].iter().collect();
    let good = parity(0, 1, &covered, true);
    let mut decoder = Decoder::new();
    decoder.handle_fec(&good).unwrap();
    assert_eq!(decoder.stats().ignored, 1, "before any media");
    for m in [&all[0], &all[1], &all[3]] {
        decoder.handle_media(m).unwrap();
    }
    for (at, byte) in [
        (12 + 13, 0),
        (12 + 13, 21),
        (12 + 14, 0),
        (12 + 14, 21),
        (12 + 12, 8),
    ] {
        let mut bad = good.to_vec();
        bad[at] = byte;
        assert!(decoder.handle_fec(&bad.into()).is_err(), "{at} {byte}");
    }
    for n in 0..28 {
        assert!(decoder.handle_fec(&good.slice(..n)).is_err());
    }
    let mut far = good.to_vec();
    far[12] = 0x40;
    decoder.handle_fec(&far.into()).unwrap();
    assert_eq!(decoder.poll_recovered(), None);
    // Parity of another run: what comes out would be longer than any.
    let mut garbage = good.to_vec();
    garbage[14] ^= 0xff;
    decoder.handle_fec(&garbage.into()).unwrap();
    assert_eq!(
        (decoder.poll_recovered(), decoder.stats().garbage),
        (None, 1)
    );
    decoder.handle_fec(&good).unwrap();
    assert_eq!(decoder.poll_recovered().unwrap().to_bytes(), all[2]);
    // One packet of another source changes nothing, two in a row forget all.
    let mut other = |sequence| {
        let mut other = media(&mut r, sequence).to_vec();
        other[8] = 9;
        decoder.handle_media(&other.into()).unwrap();
        let before = decoder.stats().ignored;
        decoder.handle_fec(&far_row(&all)).unwrap();
        decoder.stats().ignored > before
    };
    assert_eq!(
        [other(2), other(7), other(30_000), other(30_001)],
        [false, false, false, true]
    );
}

/// Parity that fits the first source alone.
fn far_row(all: &[Bytes]) -> Bytes {
    let covered: Vec<&Bytes> = all[4..8].iter().collect();
    parity(4, 1, &covered, true)
}
