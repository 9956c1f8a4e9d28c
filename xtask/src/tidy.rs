//! `cargo xtask tidy`: the rules of the repository that neither the compiler nor clippy knows.

mod documents;
mod fences;
mod sources;
mod writers;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::root::root;

/// Directories that hold nothing of ours.
const SKIPPED: &[&str] = &["target", ".git", "node_modules"];

/// Checks everything and prints every violation.
pub(crate) fn run() -> anyhow::Result<()> {
    let violations = violations(&root())?;
    for violation in &violations {
        println!("tidy: {violation}");
    }
    if !violations.is_empty() {
        bail!("{} rules of the repository are broken", violations.len());
    }
    println!("tidy: everything in order");
    Ok(())
}

fn violations(root: &Path) -> anyhow::Result<Vec<String>> {
    let files = files(root)?;
    let mut violations = sources::check(root, &files)?;
    violations.extend(fences::check()?);
    violations.extend(documents::check(root, &files)?);
    violations.extend(writers::check(root, &files)?);
    Ok(violations)
}

/// Every file of the repository, relative to `root`, sorted.
fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let entries =
            std::fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            let skipped = SKIPPED.iter().any(|name| path.ends_with(name));
            if path.is_dir() && !skipped {
                directories.push(path);
            } else if path.is_file() {
                files.push(path.strip_prefix(root).expect("it was found below the root").to_path_buf());
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        assert_eq!(violations(&root()).unwrap(), Vec::<String>::new());
    }
}
