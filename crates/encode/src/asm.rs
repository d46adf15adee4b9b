//! Whether openh264 runs its assembler code.
//!
//! The build falls back to C++ silently, and a cached build stays slow after nasm was installed.
//! So the question is put to the linked library itself, not to the build environment. (`build.rs`
//! looks at the environment too, for a warning at build time.)

// One call into the library; see the SAFETY note at the declaration.
#![allow(unsafe_code)]

/// Which code paths the linked openh264 uses on this processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsmState {
    /// SIMD code is compiled in and the processor has what it needs.
    Active,
    /// Plain C++ only: encoding 1280x720 takes about 2.7 times the processor time.
    Missing,
}

impl AsmState {
    /// A sentence for the operator when encoding is slow for want of assembler code.
    #[must_use]
    pub const fn warning(self) -> Option<&'static str> {
        match self {
            Self::Active => None,
            Self::Missing => Some(
                "openh264 was built without assembler code, H.264 encoding takes about 2.7 times \
                 the processor time; install nasm, run `cargo clean -p openh264-sys2 -p \
                 weir-encode` and build again",
            ),
        }
    }
}

/// Asks the linked openh264 which SIMD instructions it will use. Costs a few CPUID instructions.
#[must_use]
pub fn asm_state() -> AsmState {
    // A library built without assembler code reports no features on any processor.
    if WelsCPUFeatureDetect(None) == 0 {
        AsmState::Missing
    } else {
        AsmState::Active
    }
}

// SAFETY: `uint32_t WelsCPUFeatureDetect (int32_t* pNumberOfLogicProcessors)` has C linkage in
// openh264's `codec/common/inc/cpu.h` and is defined in every build of its `common` library, which
// `openh264-sys2` links statically (feature `source`). It keeps no state; it writes at most one
// `int32_t` through the argument and checks it for null first, which is what `Option<&mut i32>`
// allows, so that every call from safe code is sound. The `openh264` crate offers no way to ask.
unsafe extern "C" {
    safe fn WelsCPUFeatureDetect(logic_processors: Option<&mut i32>) -> u32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_library_matches_build_environment() {
        let expected = match env!("WEIR_ENCODE_ASM_EXPECTED") {
            "yes" => AsmState::Active,
            _ => AsmState::Missing,
        };
        assert_eq!(
            asm_state(),
            expected,
            "stale build? cargo clean -p openh264-sys2"
        );
        assert_eq!(
            asm_state().warning().is_some(),
            expected == AsmState::Missing
        );
    }
}
