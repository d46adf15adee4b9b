//! The player library in the binary is exactly what npm publishes.

use crate::{Result, tools};

/// Where the pinned copy stands, below the workspace's root.
const OURS: &str = "crates/serve/assets/hls.js";

/// Compares our copy of hls.js and its licence with the npm package, byte by byte.
pub fn check() -> Result<()> {
    tools::ensure_node()?;
    let package = tools::target_dir().join("tools/node/node_modules/hls.js");
    let ours = tools::root().join(OURS);
    for (published, kept) in [("dist/hls.min.js", "hls.min.js"), ("LICENSE", "LICENSE")] {
        let read = |path: std::path::PathBuf| {
            std::fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))
        };
        if read(package.join(published))? != read(ours.join(kept))? {
            return Err(format!(
                "{OURS}/{kept} differs from {published} of the npm package"
            ));
        }
    }
    println!("{OURS} is the published package");
    Ok(())
}
