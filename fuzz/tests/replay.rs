//! Runs every target over its corpus and over seeded mutations of it: no sanitizer, no
//! coverage, any compiler.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use weir_fuzz::input::Random;
use weir_fuzz::{TARGETS, Target};

/// Mutations of each target's corpus.
const MUTATIONS: usize = 3000;

/// When a target's mutations end early, so that a busy machine is not kept busy. It decides
/// nothing but how many are tried.
const TIME_MAX: Duration = Duration::from_millis(900);

/// Inputs of one target, and their longest: the corpus is kept small.
const INPUTS_MAX: usize = 30;
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// Numbers that meet limits and signs.
const EXTREMES: [u32; 7] = [0, 1, 0x7f, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder("corpus").join(target);
    let inputs: Vec<_> = names(&folder)
        .into_iter()
        .map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap()))
        .collect();
    assert!(!inputs.is_empty(), "{target} has an empty corpus");
    inputs
}

fn mutate(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(40)).min(input.len());
        match random.below(7) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.below(256) as u8,
            2 => {
                let extreme = EXTREMES[random.below(EXTREMES.len())].to_be_bytes();
                let n = (input.len() - at).min(4);
                input[at..at + n].copy_from_slice(&extreme[..n]);
            }
            3 => drop(input.drain(at..end)),
            4 => {
                let copied = input[at..end].to_vec();
                let to = random.below(input.len() + 1);
                input.splice(to..to, copied);
            }
            5 => {
                let from = random.below(other.len());
                input.truncate(at);
                input.extend(&other[from..]);
            }
            _ => input.truncate(at),
        }
    }
    input.truncate(4 * INPUT_BYTES_MAX);
}

/// Shows the input if the target panics.
struct Naming<'a>(&'a str, &'a [u8]);

impl Drop for Naming<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = std::env::temp_dir().join(format!("weir-fuzz-{}", self.0));
            let kept = std::fs::write(&path, self.1);
            eprintln!("{}: the input is in {} ({kept:?})", self.0, path.display());
        }
    }
}

fn run(name: &str, target: Target, input: &[u8]) {
    let _naming = Naming(name, input);
    target(input);
}

#[test]
fn every_target_takes_its_corpus_and_mutations_of_it() {
    for &(name, target) in TARGETS {
        let inputs = corpus(name);
        for (_, input) in &inputs {
            run(name, target, input);
        }
        let (mut random, begun) = (Random::new(0x5eed), Instant::now());
        for round in 0..MUTATIONS {
            if begun.elapsed() > TIME_MAX {
                break;
            }
            let mut input = inputs[round % inputs.len()].1.clone();
            let other = &inputs[random.below(inputs.len())].1;
            mutate(&mut random, &mut input, other);
            run(name, target, &input);
        }
    }
}

#[test]
fn every_target_takes_nothing_at_all() {
    for &(name, target) in TARGETS {
        run(name, target, &[]);
    }
}

#[test]
fn programs_folders_and_targets_have_the_same_names() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let programs = names(&folder("fuzz_targets"));
    let programs: BTreeSet<String> = programs
        .iter()
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect();
    assert_eq!(programs, targets);
    assert_eq!(names(&folder("corpus")), targets);
}

#[test]
fn the_corpus_is_small() {
    let mut all = 0;
    for (name, _) in TARGETS {
        let inputs = corpus(name);
        assert!(inputs.len() <= INPUTS_MAX, "{name}: {}", inputs.len());
        for (file, input) in inputs {
            assert!(input.len() <= INPUT_BYTES_MAX, "{name}/{file}");
            all += input.len();
        }
    }
    assert!(all <= 400 * 1024, "{all} bytes");
}
