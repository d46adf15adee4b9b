//! Damaged files: thousands of seeded flips, overwrites, copies and cuts. Nothing panics,
//! every reading ends, and memory stays bounded.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "behaviour/build.rs"]
mod build;

use build::{own_file, progressive_file};
use weir_mp4::{parse_fragment, read};

/// xorshift64 (Marsaglia 2003): the same seed gives the same damage.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

fn damage(file: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(file.len());
        match random.below(6) {
            0 => file[at] ^= 1 << random.below(8),
            1 => file[at] = random.below(256) as u8,
            2 => {
                let extreme = [0, 1, 7, 8, 0x7fff_ffff, 0x8000_0000, u32::MAX][random.below(7)];
                let end = file.len().min(at + 4);
                file[at..end].copy_from_slice(&extreme.to_be_bytes()[..end - at]);
            }
            3 => {
                let (from, len) = (random.below(file.len()), random.below(64));
                let len = len.min(file.len() - from).min(file.len() - at);
                file.copy_within(from..from + len, at);
            }
            4 => drop(file.drain(at..file.len().min(at + 4))),
            _ => file.truncate(at.max(32)),
        }
    }
}

/// Largest address space of this process so far, in KiB: it grows with what is reserved, even
/// if it is never touched.
fn vm_peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmPeak:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn read_and_walk(file: &[u8]) -> bool {
    let Ok(movie) = read(file) else {
        return false;
    };
    for track in &movie.tracks {
        // A damaged count may give millions of samples that lie in the file by constant size.
        let mut frames = 0;
        for sample in track.samples().take(10_000) {
            let end = sample.offset.map(|o| o + u64::from(sample.size));
            assert!(end.is_none_or(|end| end <= file.len() as u64));
            frames += 1;
        }
        if frames < 10_000 {
            assert_eq!(track.summary().frames, frames);
        }
    }
    true
}

#[test]
fn damaged_files_are_read_or_refused() {
    let files = [progressive_file(), own_file()];
    assert!(files.iter().all(|f| read_and_walk(f)));
    let before = vm_peak_kib();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut read, mut refused) = (0, 0);
    for round in 0..6_000 {
        let mut file = files[round % files.len()].clone();
        damage(&mut file, &mut random);
        if read_and_walk(&file) {
            read += 1;
        } else {
            refused += 1;
        }
        let moof = file
            .windows(4)
            .position(|w| w == b"moof")
            .unwrap_or(4)
            .max(4)
            - 4;
        let _ = parse_fragment(&file[moof..]);
    }
    // Both happen often, or the damage does not reach what it is meant to reach.
    assert!(
        read > 500 && refused > 500,
        "{read} read, {refused} refused"
    );
    let grown = vm_peak_kib() - before;
    assert!(grown < 64 * 1024, "address space grew by {grown} KiB");
}
