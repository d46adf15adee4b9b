//! Files made by hand, box by box, so that a reader is tested against the standard and not
//! only against its own writer.

use bytes::{Bytes, BytesMut};
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::{CodecConfig, Sample, SampleFlags, TrackId};

/// `avcC` of x264, High profile, 640x360 with a sample aspect ratio of 2:1.
const AVCC_SAR_2X1: &[u8] = &[
    0x01, 0x64, 0x00, 0x1e, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0,
    0x2f, 0xf9, 0x71, 0x01, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x0f, 0x16,
    0x2d, 0x96, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

pub fn video() -> CodecConfig {
    CodecConfig::H264(AvcConfig::parse(Bytes::from_static(AVCC_SAR_2X1)).unwrap())
}

/// AAC LC, 48 kHz, stereo.
pub fn audio() -> CodecConfig {
    CodecConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap())
}

pub fn boxed(four_cc: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], four_cc, &body].concat()
}

pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

/// A full box of 32-bit words, the first being version and flags.
pub fn table(four_cc: &[u8; 4], body: &[u32]) -> Vec<u8> {
    boxed(four_cc, &[&words(body)])
}

/// A track with the description of our own writer and sample tables by hand.
pub fn trak(id: u32, config: &CodecConfig, timescale: u32, tables: &[Vec<u8>]) -> Vec<u8> {
    let (handler, entry) = match config {
        CodecConfig::H264(_) => (b"vide", b"avc1"),
        _ => (b"soun", b"mp4a"),
    };
    let mut tkhd = vec![7, 0, 0, id, 0, 0, 0, 0, 0, 0];
    // 90 degrees clockwise
    tkhd.extend([0, 0x1_0000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000, 0, 0]);
    let handler = words(&[0, 0, u32::from_be_bytes(*handler), 0, 0, 0, 0]);
    let stsd = boxed(b"stsd", &[&words(&[0, 1]), &cut(&own_init(config), entry)]);
    let stbl = boxed(b"stbl", &[&stsd, &tables.concat()]);
    // Empty edit of 2 s, then from tick 100 of the media on.
    let elst = table(
        b"elst",
        &[0, 2, 2000, u32::MAX, 0x1_0000, 5000, 100, 0x1_0000],
    );
    let mdia = boxed(
        b"mdia",
        &[
            &table(b"mdhd", &[0, 0, 0, timescale, 7 * timescale, 0x15c7_0000]),
            &boxed(b"hdlr", &[&handler]),
            &boxed(b"minf", &[&stbl]),
        ],
    );
    let edts = boxed(b"edts", &[&elst]);
    boxed(b"trak", &[&table(b"tkhd", &tkhd), &edts, &mdia])
}

/// A movie of these tracks; with `mvex` if `trex` is not empty.
pub fn moov(traks: &[Vec<u8>], trex: &[Vec<u8>]) -> Vec<u8> {
    let mut mvhd = vec![0, 0, 0, 1000, 7000];
    mvhd.extend([0; 20]);
    let mvex = if trex.is_empty() {
        Vec::new()
    } else {
        boxed(b"mvex", &[&trex.concat()])
    };
    boxed(b"moov", &[&table(b"mvhd", &mvhd), &traks.concat(), &mvex])
}

/// One box out of the middle of others.
fn cut(bytes: &[u8], four_cc: &[u8; 4]) -> Vec<u8> {
    let at = bytes.windows(4).position(|w| w == four_cc).unwrap() - 4;
    let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    bytes[at..at + size].to_vec()
}

fn own_init(config: &CodecConfig) -> Bytes {
    weir_mp4::init_segment(TrackId(1), config)
}

/// A whole file of five pictures and four packets: tables of every kind, `moov` last.
pub fn progressive_file() -> Vec<u8> {
    let ftyp = boxed(b"ftyp", &[b"isom\0\0\0\0isom"]);
    let mdat = boxed(b"mdat", &[&[0xaa; 190]]);
    let data = u32::try_from(ftyp.len() + 8).unwrap();
    let video_tables = [
        table(b"stts", &[0, 2, 2, 3000, 3, 3003]),
        table(
            b"ctts",
            &[0x0100_0000, 3, 1, 0, 2, 6000, 2, (-3000i32) as u32],
        ),
        table(b"stss", &[0, 2, 1, 4]),
        table(b"stsc", &[0, 2, 1, 2, 1, 2, 3, 1]),
        table(b"stsz", &[0, 0, 5, 10, 20, 30, 40, 50]),
        table(b"stco", &[0, 2, data, data + 50]),
    ];
    let audio_tables = [
        table(b"stts", &[0, 1, 4, 1024]),
        table(b"stsc", &[0, 1, 1, 2, 1]),
        // Field size 16.
        boxed(b"stz2", &[&words(&[0, 16, 4, 3 << 16 | 4, 5 << 16 | 8])]),
        table(b"co64", &[0, 2, 0, data + 30, 0, data + 177]),
    ];
    let moov = moov(
        &[
            trak(1, &video(), 90_000, &video_tables),
            trak(2, &audio(), 48_000, &audio_tables),
        ],
        &[],
    );
    [ftyp, mdat, moov].concat()
}

/// An initialisation segment and four chunks, as the live packager writes them.
pub fn own_file() -> Vec<u8> {
    let mut out = BytesMut::from(&weir_mp4::init_segment(TrackId(1), &video())[..]);
    let mut time = 0;
    for number in 0..4u32 {
        let samples: Vec<Sample> = (0..3 + number)
            .map(|i| Sample {
                size: 20 + 7 * i + number,
                duration: if number == 2 { 2970 + 30 * i } else { 3000 },
                composition_offset: [3000, 6000, -3000][i as usize % 3] * (number as i32 % 2),
                flags: if i == 0 {
                    SampleFlags::KEY
                } else {
                    SampleFlags::default()
                },
            })
            .collect();
        weir_mp4::fragment_head(&mut out, TrackId(1), number + 1, time, &samples);
        out.resize(
            out.len() + samples.iter().map(|s| s.size as usize).sum::<usize>(),
            0xaa,
        );
        time += samples.iter().map(|s| u64::from(s.duration)).sum::<u64>();
    }
    out.to_vec()
}
