//! Feeds `weir_fuzz::srt::listener`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::srt::listener(data));
