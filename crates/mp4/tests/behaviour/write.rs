//! What is written is read back the same by `mp4-atom`, which shares no code with us, and by
//! our own reader.

use crate::build::{audio, own_file, video};
use bytes::BytesMut;
use mp4_atom::{Codec, Decode, FourCC, Ftyp, Mdat, Moof, Moov, TrunEntry};
use weir_media::{CodecConfig, Sample, SampleFlags, TrackId};
use weir_mp4::{Error, Kind, Parsed, fragment_head, init_segment, parse_fragment, read};

fn sample(size: u32, duration: u32, composition_offset: i32, key: bool) -> Sample {
    let flags = if key {
        SampleFlags::KEY
    } else {
        SampleFlags::default()
    };
    Sample {
        size,
        duration,
        composition_offset,
        flags,
    }
}

/// Reads an initialisation segment with the independent reader.
fn foreign_init(track: TrackId, config: &CodecConfig) -> Moov {
    let init = init_segment(track, config);
    let mut rest = &init[..];
    let ftyp = Ftyp::decode(&mut rest).unwrap();
    assert_eq!(ftyp.major_brand, FourCC::new(b"iso6"));
    let brands = [*b"iso6", *b"cmfc", *b"mp41"].map(|b| FourCC::new(&b));
    assert_eq!(ftyp.compatible_brands, brands);
    let moov = Moov::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    assert_eq!(moov.mvhd.duration, 0);
    assert_eq!(moov.mvhd.next_track_id, u32::from(track.0) + 1);
    let trak = &moov.trak[0];
    assert_eq!(trak.tkhd.track_id, u32::from(track.0));
    assert!(trak.tkhd.enabled && trak.tkhd.in_movie);
    assert_eq!(trak.tkhd.duration, 0);
    assert!(trak.edts.is_none());
    assert_eq!(trak.mdia.mdhd.timescale, config.timescale());
    assert_eq!(trak.mdia.mdhd.language, "und");
    let trex = &moov.mvex.as_ref().unwrap().trex[0];
    assert_eq!(trex.track_id, u32::from(track.0));
    assert_eq!(trex.default_sample_description_index, 1);
    moov
}

#[test]
fn a_foreign_reader_understands_the_video_init() {
    let config = video();
    let moov = foreign_init(TrackId(1), &config);
    let trak = &moov.trak[0];
    assert_eq!(trak.mdia.hdlr.handler, FourCC::new(b"vide"));
    assert_eq!(
        (trak.tkhd.width.integer(), trak.tkhd.height.integer()),
        (1280, 360)
    );
    assert!(trak.mdia.minf.vmhd.is_some());
    let [Codec::Avc1(avc1)] = &trak.mdia.minf.stbl.stsd.codecs[..] else {
        panic!("one avc1 entry expected");
    };
    assert_eq!((avc1.visual.width, avc1.visual.height), (640, 360));
    let pasp = avc1.pasp.as_ref().unwrap();
    assert_eq!((pasp.h_spacing, pasp.v_spacing), (2, 1));
    let CodecConfig::H264(avc) = &config else {
        unreachable!()
    };
    assert_eq!(avc1.avcc.sequence_parameter_sets, [avc.sps()[0].to_vec()]);
    assert_eq!(avc1.avcc.picture_parameter_sets, [avc.pps()[0].to_vec()]);
    assert_eq!(avc1.avcc.length_size, 4);
}

#[test]
fn a_foreign_reader_understands_the_audio_init() {
    let moov = foreign_init(TrackId(2), &audio());
    let trak = &moov.trak[0];
    assert_eq!(trak.mdia.hdlr.handler, FourCC::new(b"soun"));
    assert!(trak.mdia.minf.smhd.is_some());
    let [Codec::Mp4a(mp4a)] = &trak.mdia.minf.stbl.stsd.codecs[..] else {
        panic!("one mp4a entry expected");
    };
    assert_eq!(mp4a.audio.channel_count, 2);
    assert_eq!(mp4a.audio.sample_rate.integer(), 48_000);
    let decoder = &mp4a.esds.es_desc.dec_config;
    assert_eq!(decoder.object_type_indication, 0x40);
    let specific = decoder.dec_specific.as_ref().unwrap();
    assert_eq!(
        (specific.profile, specific.freq_index, specific.chan_conf),
        (2, 3, 2)
    );
}

#[test]
fn our_reader_understands_the_init() {
    for (track, config, kind) in [(1, video(), Kind::Video), (2, audio(), Kind::Audio)] {
        let movie = read(&init_segment(TrackId(track), &config)).unwrap();
        assert!(movie.fragmented);
        assert_eq!(movie.fault, None);
        let [t] = &movie.tracks[..] else {
            panic!("one track expected")
        };
        assert_eq!((t.id, t.kind), (u32::from(track), kind));
        assert_eq!((t.timescale, t.duration), (config.timescale(), 0));
        assert_eq!((t.rotation, t.language.as_str()), (Some(0), "und"));
        assert!(t.edits.is_empty());
        assert_eq!(t.descriptions[0].config, Some(Ok(config)));
        assert_eq!(t.samples().count(), 0);
    }
}

/// Writes a fragment, reads it with both readers and returns the length of its head.
fn round_trip(samples: &[Sample]) -> usize {
    let payload: u32 = samples.iter().map(|s| s.size).sum();
    let decode_time = 1 << 40;
    let mut out = BytesMut::from(&b"before"[..]);
    fragment_head(&mut out, TrackId(7), 99, decode_time, samples);
    let mut chunk = out.split_off(6);
    let head_len = chunk.len();

    let Parsed::Fragment(own) = parse_fragment(&chunk).unwrap() else {
        panic!("the head is whole");
    };
    assert_eq!((own.track, own.sequence_number), (TrackId(7), 99));
    assert_eq!(own.decode_time, decode_time);
    assert_eq!(own.samples, samples);
    assert_eq!(own.head_len, head_len as u64);
    assert_eq!(own.payload_len, u64::from(payload));

    chunk.resize(head_len + payload as usize, 0);
    let mut rest = &chunk[..];
    let moof = Moof::decode(&mut rest).unwrap();
    assert_eq!(
        Mdat::decode(&mut rest).unwrap().data.len(),
        payload as usize
    );
    assert!(rest.is_empty());
    assert_eq!(moof.mfhd.sequence_number, 99);
    let traf = &moof.traf[0];
    assert_eq!(traf.tfhd.track_id, 7);
    assert!(traf.tfhd.default_base_is_moof && traf.tfhd.base_data_offset.is_none());
    assert_eq!(
        traf.tfdt.as_ref().unwrap().base_media_decode_time,
        decode_time
    );
    let [trun] = &traf.trun[..] else {
        panic!("one trun expected")
    };
    assert_eq!(trun.data_offset, Some(head_len as i32));
    let foreign: Vec<_> = trun
        .samples
        .iter()
        .map(|e: TrunEntry| {
            let flags = e.flags.or(traf.tfhd.default_sample_flags).unwrap();
            assert!(matches!(flags, 0x0200_0000 | 0x0101_0000));
            let size = e.size.or(traf.tfhd.default_sample_size).unwrap();
            let duration = e.duration.or(traf.tfhd.default_sample_duration).unwrap();
            let cts = i32::try_from(e.cts.unwrap_or(0)).unwrap();
            sample(size, duration, cts, flags == 0x0200_0000)
        })
        .collect();
    assert_eq!(foreign, samples);
    head_len
}

#[test]
fn fields_that_agree_are_written_once() {
    let (moof, mfhd, traf, tfhd, tfdt, trun, mdat) = (8, 16, 8, 16, 20, 20, 8);
    let fixed = moof + mfhd + traf + tfhd + tfdt + trun + mdat;
    let each = |n: u32, f: &dyn Fn(u32) -> Sample| round_trip(&(0..n).map(f).collect::<Vec<_>>());
    // AAC: sizes per packet, duration and flags once.
    let audio = each(23, &|i| sample(300 + i, 1024, 0, true));
    assert_eq!(audio, fixed + 2 * 4 + 23 * 4);
    // Video at a fixed rate that begins with a key frame: its flags stand for themselves.
    let video = each(15, &|i| sample(9000 + i, 3000, 0, i == 0));
    assert_eq!(video, fixed + 2 * 4 + 4 + 15 * 4);
    // The same with B-frames.
    let b_frames = each(15, &|i| {
        sample(9000 + i, 3000, 3000 * (i as i32 % 3 - 1), i == 0)
    });
    assert_eq!(b_frames, fixed + 2 * 4 + 4 + 15 * 8);
    // Durations that differ, and a key frame in the middle.
    let dearest = each(15, &|i| sample(9000 + i, 3000 + i, i as i32, i == 3));
    assert_eq!(dearest, fixed + 15 * 16);
    // All alike: no entries at all.
    assert_eq!(each(4, &|_| sample(320, 960, 0, true)), fixed + 3 * 4);
}

#[test]
fn the_smallest_fragments_survive() {
    round_trip(&[]);
    round_trip(&[sample(1, 1, 0, false)]);
    round_trip(&[
        sample(0, 0, i32::MIN, true),
        sample(1, u32::MAX, i32::MAX, false),
    ]);
    round_trip(&[sample(1, 1, 0, false), sample(1, 1, 0, true)]);
}

#[test]
fn a_payload_over_4_gib_gets_a_64_bit_size() {
    let samples = [sample(u32::MAX, 1, 0, true), sample(u32::MAX, 1, 0, true)];
    let mut out = BytesMut::new();
    fragment_head(&mut out, TrackId(1), 1, 0, &samples);
    let Parsed::Fragment(f) = parse_fragment(&out).unwrap() else {
        panic!("the head is whole");
    };
    assert_eq!(f.payload_len, 2 * u64::from(u32::MAX));
    assert_eq!(f.head_len, out.len() as u64);
    assert_eq!(f.samples, samples);
}

#[test]
fn a_cut_off_head_says_how_much_is_missing() {
    let mut out = BytesMut::new();
    fragment_head(&mut out, TrackId(1), 1, 0, &[sample(5, 1, 0, true); 3]);
    for n in 0..out.len() {
        let Parsed::Need(more) = parse_fragment(&out[..n]).unwrap() else {
            panic!("{n} bytes are not a whole head");
        };
        assert!(more > 0 && n + more <= out.len(), "{n} + {more}");
    }
}

#[test]
fn what_is_no_fragment_of_ours_is_refused() {
    let mut out = BytesMut::new();
    fragment_head(
        &mut out,
        TrackId(1),
        1,
        0,
        &[sample(5, 1, 0, true), sample(6, 1, 0, true)],
    );
    let fault = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = out.to_vec();
        change(&mut bytes);
        parse_fragment(&bytes).unwrap_err()
    };
    let at = |bytes: &[u8], four_cc: &[u8; 4]| bytes.windows(4).position(|w| w == four_cc).unwrap();
    assert!(matches!(fault(&|b| b.fill(0)), Error::NotAFragment { .. }));
    let mdat = at(&out, b"mdat");
    assert!(
        matches!(fault(&|b| b[mdat] = b'f'), Error::NotAFragment { at } if at.offset == mdat as u64 - 4)
    );
    assert!(matches!(
        fault(&|b| b[mdat - 1] += 1),
        Error::FragmentPayload {
            samples: 11,
            payload: 12,
            ..
        }
    ));
    assert!(matches!(
        fault(&|b| b[mdat - 1] = 3),
        Error::BoxSize { size: 3, .. }
    ));
    let moof = fault(&|b| b[..4].copy_from_slice(&[0x7f, 0, 0, 0]));
    assert!(matches!(moof, Error::BoxPastEnd { .. }));
    let tfhd = at(&out, b"tfhd");
    assert!(matches!(
        fault(&|b| b[tfhd + 9] = 1),
        Error::Field {
            field: "track_ID",
            ..
        }
    ));
    let tfdt = at(&out, b"tfdt");
    assert!(matches!(fault(&|b| b[tfdt] = b'f'), Error::Missing { .. }));
    assert!(matches!(
        fault(&|b| b[tfdt + 4] = 2),
        Error::Version { version: 2, .. }
    ));
    let trun = at(&out, b"trun");
    assert!(matches!(
        fault(&|b| b[trun + 8] = 1),
        Error::EntryCount { .. }
    ));
    assert!(matches!(
        fault(&|b| b[trun + 15] += 1),
        Error::FragmentPayload { .. }
    ));
}

#[test]
fn a_file_of_our_own_fragments_reads_back_in_order() {
    let movie = read(&own_file()).unwrap();
    assert_eq!(movie.fault, None);
    let track = &movie.tracks[0];
    let summary = track.summary();
    assert_eq!(summary.frames, 3 + 4 + 5 + 6);
    assert_eq!(summary.key_frames, 4);
    assert_eq!(
        (summary.gop_frames_min, summary.gop_frames_max),
        (Some(3), Some(6))
    );
    assert_eq!(summary.faults, weir_mp4::Faults::default());
    let samples: Vec<_> = track.samples().collect();
    for pair in samples.windows(2) {
        assert_eq!(pair[1].dts, pair[0].dts + i64::from(pair[0].duration));
    }
    assert_eq!(samples[4].composition_offset, 6000);
    assert_eq!(samples[5].composition_offset, -3000);
}
