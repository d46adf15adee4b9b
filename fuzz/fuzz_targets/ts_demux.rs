//! Feeds `weir_fuzz::ts::demux`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::ts::demux(data));
