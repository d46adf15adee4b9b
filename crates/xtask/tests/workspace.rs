//! Rules that hold over the whole workspace: layers, licences, top level, `unsafe`.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::BTreeSet;
use std::path::Path;

/// `design.md` §4, top row first. A crate depends on lower rows only, never on its own.
const ROWS: [&[&str]; 6] = [
    &["weir"],
    &[
        "weir-live",
        "weir-serve",
        "weir-api",
        "weir-package",
        "weir-chat",
    ],
    &[
        "weir-hub",
        "weir-store",
        "weir-net",
        "weir-auth",
        "weir-catalog",
        "weir-webrtc",
        "weir-encode",
    ],
    &[
        "weir-rtmp",
        "weir-srt",
        "weir-ts",
        "weir-rtp",
        "weir-mp4",
        "weir-manifest",
        "weir-http",
    ],
    &["weir-media"],
    &["weir-ring", "weir-sim"],
];

/// These stand above all rows and may depend on any.
const ABOVE: [&str; 4] = ["xtask", "protocol-tests", "weir-benches", "weir-fuzz"];

/// Crates that may hold `unsafe`: the ring, and foreign functions of codecs.
const MAY_BE_UNSAFE: [&str; 2] = ["weir-ring", "weir-encode"];

/// Licences that code linked into weir may have.
const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .exec()
        .expect("cargo metadata runs")
}

fn row(name: &str) -> usize {
    if ABOVE.contains(&name) {
        return 0;
    }
    let row = ROWS.iter().position(|r| r.contains(&name));
    1 + row.unwrap_or_else(|| panic!("{name} has no row in design §4"))
}

fn ours(metadata: &Metadata) -> Vec<&Package> {
    metadata.workspace_packages()
}

#[test]
fn crates_depend_on_lower_rows_only() {
    let metadata = metadata();
    let names: BTreeSet<_> = ours(&metadata).iter().map(|p| p.name.to_string()).collect();
    for package in ours(&metadata) {
        for dependency in &package.dependencies {
            if !names.contains(&dependency.name) {
                continue;
            }
            let (from, to) = (row(&package.name), row(&dependency.name));
            let allowed = from < to || (from == 0 && to == 0);
            assert!(
                allowed,
                "{} may not depend on {}",
                package.name, dependency.name
            );
        }
    }
}

#[test]
fn ring_depends_on_no_other_crate_of_ours() {
    let metadata = metadata();
    for package in ours(&metadata)
        .iter()
        .filter(|p| ["weir-ring", "weir-sim"].contains(&p.name.as_str()))
    {
        for dependency in &package.dependencies {
            assert!(
                !dependency.name.starts_with("weir"),
                "{} → {}",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn folders_are_named_after_packages() {
    let metadata = metadata();
    for package in ours(&metadata) {
        let folder = package.manifest_path.parent().unwrap().file_name().unwrap();
        let name = package.name.strip_prefix("weir-").unwrap_or(&package.name);
        assert_eq!(folder, name, "package {}", package.name);
    }
}

#[test]
fn linked_code_has_a_licence_we_accept() {
    let metadata = metadata();
    for package in &metadata.packages {
        let licence = package.license.as_deref().unwrap_or("");
        // fdk-aac's C code carries the Fraunhofer licence; NOTICE and README say so.
        let accepted = licence
            .split(" OR ")
            .flat_map(|l| l.split('/'))
            .any(|choice| {
                let all: Vec<_> = choice
                    .trim_matches(|c| "() ".contains(c))
                    .split(" AND ")
                    .collect();
                all.iter()
                    .all(|l| LICENCES.contains(&l.trim_matches(|c| "() ".contains(c))))
            });
        assert!(
            accepted,
            "{} {} has licence {licence:?}",
            package.name, package.version
        );
    }
}

#[test]
fn one_crypto_stack_and_no_runtime_below_the_control_plane() {
    let metadata = metadata();
    for package in ours(&metadata) {
        let may = ["weir", "weir-api"].contains(&package.name.as_str()) || row(&package.name) == 0;
        let uses = package
            .dependencies
            .iter()
            .filter(|d| d.name == "tokio" && d.kind == DependencyKind::Normal)
            // Without features it is traits alone, which h2 speaks.
            .any(|d| d.uses_default_features || !d.features.is_empty());
        assert!(
            may || !uses,
            "{} may not use tokio's runtime: it runs on workers",
            package.name
        );
    }
    assert!(!metadata.packages.iter().any(|p| *p.name == "openssl-sys"));
}

#[test]
fn unsafe_is_forbidden_outside_ring_and_codec_edges() {
    let metadata = metadata();
    for package in ours(&metadata) {
        if MAY_BE_UNSAFE.contains(&package.name.as_str()) {
            continue;
        }
        for target in &package.targets {
            if !target.is_lib() && !target.is_bin() {
                continue;
            }
            // libFuzzer's entry point is a macro with `no_mangle` in it.
            if *package.name == "weir-fuzz" && target.is_bin() {
                continue;
            }
            let text = std::fs::read_to_string(&target.src_path).unwrap();
            assert!(
                text.contains("#![forbid(unsafe_code)]"),
                "{} does not forbid unsafe code",
                target.src_path
            );
        }
    }
}

#[test]
fn the_top_level_holds_what_the_design_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "crates",
        "protocol-tests",
        "benches",
        "fuzz",
        "docs",
        "README.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "CHANGELOG.md",
        "deny.toml",
        // Ignored by git: what building and running leaves.
        "target",
        "weir-data",
        "weir-demo-data",
    ];
    for entry in std::fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || allowed.contains(&&*name),
            "{name} at the top level"
        );
    }
}

/// Files past 800 lines are split (`style.md` §10). A ratchet: the list only shrinks.
#[test]
fn files_stay_below_800_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let mut todo = vec![
        root.join("crates"),
        root.join("protocol-tests"),
        root.join("benches"),
    ];
    let mut seen = 0;
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let lines = std::fs::read_to_string(&path).unwrap().lines().count();
                assert!(lines <= 800, "{} has {lines} lines", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 20);
}
