//! Says at build time when H.264 will be encoded without assembler code.
//!
//! The build of `openh264-sys2` falls back to plain C++ without a word when `nasm` is missing or
//! `OPENH264_NO_ASM` is set: the encoder then needs 2.7 times the processor time. Cargo shows the
//! warnings printed here on each build of the workspace.

use std::process::{Command, Stdio};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=NASM");
    println!("cargo:rerun-if-env-changed=OPENH264_NO_ASM");
    let fault = fault();
    if let Some(fault) = fault {
        println!(
            "cargo:warning={fault}: openh264 is built without assembler code and encodes H.264 \
             about 2.7 times slower. Install nasm, unset OPENH264_NO_ASM, run \
             `cargo clean -p openh264-sys2 -p weir-encode` and build again."
        );
    }
    let expected = if fault.is_some() { "no" } else { "yes" };
    println!("cargo:rustc-env=WEIR_ENCODE_ASM_EXPECTED={expected}");
}

/// Why the assembler code of openh264 cannot be built, if so.
fn fault() -> Option<&'static str> {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if !matches!(arch.as_str(), "x86" | "x86_64") {
        // ARM sources are assembled by the C compiler; other processors have none.
        let has_sources = matches!(arch.as_str(), "arm" | "aarch64");
        return (!has_sources).then_some("this processor has no assembler sources in openh264");
    }
    if std::env::var_os("OPENH264_NO_ASM").is_some() {
        return Some("OPENH264_NO_ASM is set");
    }
    let nasm = std::env::var_os("NASM").unwrap_or_else(|| "nasm".into());
    let found = Command::new(nasm)
        .arg("-v")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    (!found).then_some("nasm was not found")
}
