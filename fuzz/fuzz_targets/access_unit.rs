//! Feeds `weir_fuzz::codec::access_unit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::codec::access_unit(data));
