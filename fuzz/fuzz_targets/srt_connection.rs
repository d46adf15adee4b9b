//! Feeds `weir_fuzz::srt::connection`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::srt::connection(data));
