//! Rules for documents: those that are promised exist, and their links lead somewhere.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// Documents that must exist.
const REQUIRED: &[&str] = &["LICENSE", "docs/configuration.md", "docs/telemetry.md", ".env.example"];

/// A longer README is not read.
const README_LINES_MAX: usize = 150;

pub(super) fn check(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let missing = REQUIRED.iter().filter(|path| !root.join(path).is_file());
    let mut violations: Vec<String> = missing.map(|path| format!("{path}: must exist")).collect();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(root.join(path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        if path == Path::new("README.md") && text.lines().count() > README_LINES_MAX {
            violations.push(format!("README.md: longer than {README_LINES_MAX} lines"));
        }
        let directory = root.join(path.parent().unwrap_or(Path::new("")));
        let dead = links(&text).into_iter().filter(|link| !directory.join(link).exists());
        violations.extend(dead.map(|link| format!("{}: the link to {link} leads nowhere", path.display())));
    }
    Ok(violations)
}

/// The files that inline links point to; not web addresses, not places within the page.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.contains(':') && !link.contains(char::is_whitespace))
        .filter_map(|link| link.split('#').next())
        .filter(|link| !link.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_found() {
        let text = "[a](docs/a.md) [b](https://b.example/c) ![d](d.png) [e](#below) [f](f.md#part) vec![](not a link)";
        assert_eq!(links(text), ["docs/a.md", "d.png", "f.md"]);
    }

    #[test]
    fn what_is_promised_must_exist_and_links_must_lead_somewhere() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("LICENSE"), "").unwrap();
        std::fs::write(root.path().join("README.md"), format!("[gone](gone.md)\n{}", "\n".repeat(150)))
            .unwrap();
        let violations = check(root.path(), &[PathBuf::from("README.md")]).unwrap();
        let expected = [
            "docs/configuration.md: must exist",
            "docs/telemetry.md: must exist",
            ".env.example: must exist",
            "README.md: longer than 150 lines",
            "README.md: the link to gone.md leads nowhere",
        ];
        assert_eq!(violations, expected);
    }
}
