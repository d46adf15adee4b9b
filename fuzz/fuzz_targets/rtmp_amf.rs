//! Feeds `weir_fuzz::rtmp::amf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::rtmp::amf(data));
