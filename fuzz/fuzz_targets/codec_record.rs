//! Feeds `weir_fuzz::codec::record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::codec::record(data));
