//! Demuxing from memory: what `mux_segment` writes of four seconds, and null packets.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::{CodecConfig, Mono, Sample, SampleFlags};
use weir_ts::demux::Demuxer;
use weir_ts::{TrackSegment, mux_segment};

const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// Datagrams as SRT and UDP bring them.
const DATAGRAM_BYTES: usize = 7 * 188;

/// Bytes as an entropy coder writes them: any, but no two zeros in a row.
fn coded(len: u32, seed: &mut u64) -> Vec<u8> {
    let bytes = (0..len).map(|_| {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed as u8
    });
    let mut coded: Vec<u8> = bytes.collect();
    for i in 1..coded.len() {
        if coded[i - 1] | coded[i] == 0 {
            coded[i] = 1;
        }
    }
    coded
}

/// Four seconds at 30 pictures a second, four slices each, and AAC of 128 kbit/s.
fn segment(bit_rate: u32) -> Vec<u8> {
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let unit = bit_rate / 8 * 2 / 69;
    let frames = (0..120).map(|i| {
        let key = i % 60 == 0;
        let slice = if key { 10 * unit } else { unit } / 4;
        let mut payload = Vec::new();
        for _ in 0..4 {
            payload.extend((slice + 1).to_be_bytes());
            payload.push(if key { 0x65 } else { 0x41 });
            payload.extend(coded(slice, &mut seed));
        }
        let sample = Sample {
            size: payload.len() as u32,
            duration: 3000,
            composition_offset: 3000,
            flags: SampleFlags(u32::from(key)),
        };
        (sample, payload)
    });
    let (samples, payload): (Vec<_>, Vec<_>) = frames.unzip();
    let avc = AvcConfig::from_parameter_sets(&[SPS], &[PPS]).expect("parameter sets of x264");
    let aac = AacConfig::parse(vec![0x11, 0x90].into()).expect("AAC LC, 48 kHz, stereo");
    let (avc, aac) = (CodecConfig::H264(avc), CodecConfig::Aac(aac));
    let audio = Sample {
        size: 341,
        duration: 1024,
        ..Sample::default()
    };
    let audio_samples = vec![audio; 187];
    let audio_payload = vec![vec![0x21; 341]; 187];
    let track = |config, decode_time, samples, payload| TrackSegment {
        config,
        decode_time,
        packets_before: 0,
        samples,
        payload,
    };
    let tracks = [
        track(&avc, 900_000, &samples[..], &payload[..]),
        track(&aac, 480_000, &audio_samples, &audio_payload),
    ];
    let mut out = Vec::new();
    mux_segment(0, &tracks, &mut out).expect("tables and payload agree");
    out
}

fn demux(data: &[u8]) -> u64 {
    let mut demuxer = Demuxer::new(None);
    for datagram in data.chunks(DATAGRAM_BYTES) {
        demuxer.handle_data(datagram, Mono(0));
        while demuxer.poll_media().is_some() {}
    }
    demuxer.stats().frames
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("demux");
    for mbit in [5, 50] {
        let data = segment(mbit * 1_000_000);
        group.throughput(Throughput::Bytes(data.len() as u64));
        group.bench_function(format!("{mbit} Mbit/s"), |b| b.iter(|| demux(&data)));
    }
    let null: Vec<u8> = [0x47, 0x1f, 0xff, 0x10]
        .into_iter()
        .chain([0xff; 184])
        .collect();
    let null = null.repeat(7000);
    group.throughput(Throughput::Bytes(null.len() as u64));
    group.bench_function("null packets", |b| b.iter(|| demux(&null)));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
