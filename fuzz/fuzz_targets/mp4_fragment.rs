//! Feeds `weir_fuzz::mp4::fragment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::mp4::fragment(data));
