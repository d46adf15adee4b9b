//! MP4 files and fragments.

use crate::input::Random;
use bytes::BytesMut;
use weir_media::SampleFlags;
use weir_mp4::{Error, Movie, Output, Parsed, Reader, fragment_head, parse_fragment, read};

/// Samples looked at in each track: a damaged count may give millions by constant size.
const SAMPLES_WALKED: usize = 10_000;

/// A file: the same movie by its ranges as in memory; no sample outside of it.
pub fn file(data: &[u8]) {
    let whole = read(data);
    let by_ranges = read_by_ranges(data);
    match (&whole, &by_ranges) {
        (Ok(a), Ok(b)) => assert_eq!(facts(a), facts(b)),
        (Err(a), Err(b)) => assert_eq!(a, b),
        (a, b) => panic!("{a:?} is not {b:?}"),
    }
    let Ok(movie) = whole else {
        return;
    };
    assert!(movie.timescale > 0 && movie.tracks.len() <= weir_mp4::limits::TRACKS_MAX);
    for track in &movie.tracks {
        assert!(track.timescale > 0);
        let (mut frames, mut bytes) = (0, 0);
        for sample in track.samples().take(SAMPLES_WALKED) {
            let end = sample.offset.map(|o| o + u64::from(sample.size));
            assert!(end.is_none_or(|end| end <= data.len() as u64));
            frames += 1;
            bytes += u64::from(sample.size);
        }
        if frames < SAMPLES_WALKED {
            let summary = track.summary();
            assert_eq!((summary.frames, summary.bytes), (frames as u64, bytes));
            assert!(summary.key_frames <= summary.frames);
        }
    }
}

/// What can be compared of a movie.
fn facts(movie: &Movie) -> impl PartialEq + std::fmt::Debug {
    let tracks: Vec<_> = movie
        .tracks
        .iter()
        .map(|t| {
            let samples: Vec<_> = t.samples().take(100).collect();
            (t.id, t.kind, t.timescale, t.duration, t.rotation, samples)
        })
        .collect();
    (
        movie.major_brand,
        movie.timescale,
        movie.duration,
        movie.fragmented,
        movie.fault,
        tracks,
    )
}

/// Gives the reader what it asks for and a little more, as reads of a file do.
fn read_by_ranges(data: &[u8]) -> Result<Movie, Error> {
    let mut random = Random::of(data);
    let mut reader = Reader::new(data.len() as u64);
    while let Output::Need { offset, len } = reader.poll_output() {
        let Ok(from) = usize::try_from(offset) else {
            panic!("asks for what is outside the file");
        };
        assert!(len > 0 && from + len <= data.len());
        let more = random.below(100).min(data.len() - from - len);
        reader.handle_bytes(&data[from..from + len + more])?;
    }
    reader.into_movie()
}

/// The head of a fragment: a shorter input gives no other one, and what was read can be
/// written and read again.
pub fn fragment(data: &[u8]) {
    let whole = parse_fragment(data);
    let cut = Random::of(data).below(data.len() + 1);
    match (parse_fragment(&data[..cut]), &whole) {
        (Ok(Parsed::Need(more)), _) => assert!(more > 0),
        (found, whole) => assert!(found == *whole || found.is_err() && whole.is_err()),
    }
    if let Ok(Parsed::Need(more)) = whole {
        assert!(more > 0);
    }
    let Ok(Parsed::Fragment(found)) = whole else {
        return;
    };
    assert!(found.head_len <= data.len() as u64);
    let sizes: u64 = found.samples.iter().map(|s| u64::from(s.size)).sum();
    assert_eq!(sizes, found.payload_len);
    let known = SampleFlags::KEY;
    assert!(found.samples.iter().all(|s| known.contains(s.flags)));
    let mut head = BytesMut::new();
    fragment_head(
        &mut head,
        found.track,
        found.sequence_number,
        found.decode_time,
        &found.samples,
    );
    let Ok(Parsed::Fragment(again)) = parse_fragment(&head) else {
        panic!("our own fragment of {found:?}");
    };
    assert_eq!(again.head_len, head.len() as u64);
    assert_eq!(
        (again.track, again.sequence_number, again.decode_time),
        (found.track, found.sequence_number, found.decode_time)
    );
    assert_eq!(again.samples, found.samples);
}
