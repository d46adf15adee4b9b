//! What is fuzzed: every parser of bytes that a peer, a file or a crash wrote, and every
//! machine, as plain functions over any bytes.
//!
//! Each function panics only if the code it calls is at fault: it holds what comes out to
//! what the crate promises (bounds, round trips, the same events however the input was cut).
//! `cargo xtask fuzz TARGET` runs one with coverage guidance; `tests/replay.rs` runs all of
//! them over `corpus/` and seeded mutations of it with any compiler. An input that once found
//! a fault stays in the corpus under a name that tells which.
//!
//! | looking for | module |
//! |---|---|
//! | chunks, AMF, sessions of both ends, FLV | [`rtmp`], [`flv`] |
//! | both ends joined, as a list of operations | [`rtmp_pair`] |
//! | packets, a listener, a connection as a list of operations | [`srt`] |
//! | `avcC`, SPS, `AudioSpecificConfig`, ADTS, access units | [`codec`] |
//! | heads, bodies, targets, ranges, what proxies say | [`http`] |
//! | SCTE-35 sections and their date ranges | [`scte35`] |
//! | transport streams | [`ts`] |
//! | RTP: parity, order, frames, descriptions | [`rtp`] |
//! | what recovery reads of a log | [`store`] |
//! | files and fragments | [`mp4`] |
//! | playlists | [`playlist`] |
//! | a stream as a list of operations | [`hub`] |
//! | the configuration of nginx that is imported | [`nginx`] |
#![forbid(unsafe_code)]

pub mod codec;
pub mod flv;
pub mod http;
pub mod hub;
pub mod input;
pub mod mp4;
pub mod nginx;
pub mod playlist;
pub mod rtmp;
pub mod rtmp_pair;
pub mod rtp;
pub mod scte35;
pub mod srt;
pub mod store;
pub mod ts;

/// A target: any bytes may be given.
pub type Target = fn(&[u8]);

/// Every target by name: that of its program in `fuzz_targets` and its folder in `corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("access_unit", codec::access_unit),
    ("codec_config", codec::config),
    ("codec_record", codec::record),
    ("flv", flv::file),
    ("hls_playlist", playlist::read),
    ("http_body", http::body),
    ("http_encoding", http::accept_encoding),
    ("http_forwarded", http::forwarded_fields),
    ("http_proxy", http::proxy_header),
    ("http_range", http::range_value),
    ("http_request", http::request),
    ("http_response", http::response),
    ("http_target", http::target),
    ("hub", hub::operations),
    ("mp4_file", mp4::file),
    ("mp4_fragment", mp4::fragment),
    ("nginx_conf", nginx::file),
    ("rtmp_amf", rtmp::amf),
    ("rtmp_chunks", rtmp::chunks),
    ("rtmp_client", rtmp::client),
    ("rtmp_pair", rtmp_pair::operations),
    ("rtmp_server", rtmp::server),
    ("rtp_depacketize", rtp::depacketize),
    ("rtp_fec", rtp::fec),
    ("rtp_sdp", rtp::sdp),
    ("scte35", scte35::sections),
    ("srt_connection", srt::connection),
    ("srt_listener", srt::listener),
    ("srt_packet", srt::packet),
    ("store_index", store::index),
    ("store_samples", store::samples),
    ("store_tail", store::tail),
    ("ts_demux", ts::demux),
];
