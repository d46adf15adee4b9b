//! Feeds `weir_fuzz::rtmp_pair::operations`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::rtmp_pair::operations(data));
