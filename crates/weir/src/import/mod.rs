//! `weir config import`: what nginx-rtmp was told, as a commented `weir.toml`.
//!
//! Files are read here, within bounds; [`syntax`] takes their text apart and [`convert`] says what
//! it means to weir. What weir does not have becomes a comment with its line and the reason, so
//! that nothing is dropped in silence.

mod convert;
mod names;
mod syntax;

use std::fs;
use std::path::{Path, PathBuf};
use syntax::Directive;

/// Files that are read, the first included.
const FILES_MAX: usize = 64;

/// Includes inside of each other.
const INCLUDES_MAX: usize = 8;

/// Bytes of all files together.
const BYTES_MAX: u64 = 4 << 20;

/// Reads nginx's configuration and gives weir's.
///
/// # Errors
/// A text with the file and line at fault.
pub fn import(path: &Path) -> Result<String, String> {
    let mut files = Files {
        root: path.parent().unwrap_or(Path::new("")).to_owned(),
        names: Vec::new(),
        left: BYTES_MAX,
    };
    let directives = files.read(path, 0)?;
    Ok(convert::convert(&directives, &files.names))
}

struct Files {
    /// What includes are relative to: the first file's directory, as in nginx.
    root: PathBuf,
    names: Vec<String>,
    /// Bytes that may still be read.
    left: u64,
}

impl Files {
    fn read(&mut self, path: &Path, depth: usize) -> Result<Vec<Directive>, String> {
        let shown = path.display();
        if self.names.len() >= FILES_MAX {
            return Err(format!("{shown}: more than {FILES_MAX} files"));
        }
        let failed = |e: std::io::Error| format!("cannot read {shown}: {e}");
        let len = fs::metadata(path).map_err(failed)?.len();
        self.left = self.left.checked_sub(len).ok_or_else(|| {
            let mib = BYTES_MAX >> 20;
            format!("{shown}: the files are longer than {mib} MiB together")
        })?;
        let bytes = fs::read(path).map_err(failed)?;
        let file = self.names.len();
        self.names.push(shown.to_string());
        let text = String::from_utf8_lossy(&bytes);
        let parsed = syntax::parse(&text, file);
        let directives = parsed.map_err(|e| format!("{shown}: line {}: {}", e.line, e.why))?;
        self.expand(directives, depth)
    }

    /// Puts the files that are included in the place of `include`.
    fn expand(&mut self, from: Vec<Directive>, depth: usize) -> Result<Vec<Directive>, String> {
        let mut to = Vec::with_capacity(from.len());
        for mut directive in from {
            if let Some(block) = directive.block.take() {
                directive.block = Some(self.expand(block, depth)?);
            }
            if directive.name != "include" {
                to.push(directive);
                continue;
            }
            let place = format!("{}: line {}", self.names[directive.file], directive.line);
            let Some(pattern) = directive.args.first() else {
                return Err(format!("{place}: include of nothing"));
            };
            if depth >= INCLUDES_MAX {
                return Err(format!(
                    "{place}: more includes inside of each other than are read"
                ));
            }
            let found = self
                .matching(pattern)
                .map_err(|e| format!("{place}: {e}"))?;
            for path in found {
                let read = self.read(&path, depth + 1);
                to.extend(read.map_err(|e| format!("{place}: {e}"))?);
            }
        }
        Ok(to)
    }

    /// The files that a pattern names: `*` and `?` stand for text in the last part of the path.
    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let path = self.root.join(pattern);
        let Some(last) = path.file_name().and_then(|n| n.to_str()) else {
            return Err(format!("include of {pattern:?}, which is no file"));
        };
        if !last.contains(['*', '?']) {
            return Ok(vec![path]);
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        let Ok(entries) = fs::read_dir(directory) else {
            // As in nginx, a pattern that nothing matches includes nothing.
            return Ok(Vec::new());
        };
        let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
        let mut found: Vec<PathBuf> = names
            .filter(|name| !name.starts_with('.') && matches(last.as_bytes(), name.as_bytes()))
            .take(FILES_MAX + 1)
            .map(|name| directory.join(name))
            .collect();
        found.sort();
        Ok(found)
    }
}

/// Whether a name fits a pattern, in time that both lengths bound.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut retry {
                Some((star, from)) => {
                    *from += 1;
                    (p, n) = (*star + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests;
