//! Rules for documents: those that are promised exist, their links lead somewhere, and what they list is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Documents that must exist.
const REQUIRED: &[&str] = &[
    "LICENSE",
    "README.md",
    ARCHITECTURE,
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "deny.toml",
    ".env.example",
    "docs/adr/README.md",
    "docs/configuration.md",
    "docs/glossary.md",
    "docs/operations.md",
    "docs/roadmap.md",
    SIMULATION,
    "docs/telemetry.md",
    "docs/woocommerce.md",
];

/// Names in a table the tests that hold each invariant.
const ARCHITECTURE: &str = "ARCHITECTURE.md";
/// Lists the scenarios of the simulation and the bugs they notice, which are in the table of [`SCENARIOS`].
const SIMULATION: &str = "docs/simulation.md";
const SCENARIOS: &str = "crates/simulation/src/scenario.rs";

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
        if path == Path::new(ARCHITECTURE) {
            violations.extend(unheld(&text, &functions(root, files)?));
        }
        if path == Path::new(SIMULATION) {
            let table = std::fs::read_to_string(root.join(SCENARIOS))
                .with_context(|| format!("cannot read {SCENARIOS}"))?;
            violations.extend(unlisted(&text, &table));
        }
    }
    Ok(violations)
}

/// Scenarios and bugs of the simulation's table that the page does not list.
fn unlisted(page: &str, table: &str) -> Vec<String> {
    let scenarios = table.split("scenario(").filter_map(|rest| {
        let name = rest.trim_start().strip_prefix('"')?.split('"').next()?;
        Some(format!("| {name} |"))
    });
    let bugs = table.split("Bug::").skip(1).map(|rest| {
        let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        format!("`{name}`")
    });
    let wanted: BTreeSet<String> = scenarios.chain(bugs).collect();
    let missing = wanted.into_iter().filter(|wanted| !page.contains(wanted.as_str()));
    missing
        .map(|missing| format!("{SIMULATION}: does not list {}", missing.trim_matches([' ', '|'])))
        .collect()
}

/// The names of all functions of the repository.
fn functions(root: &Path, files: &[PathBuf]) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let text = std::fs::read_to_string(root.join(path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        let after_fn = text.split("fn ").skip(1);
        names.extend(
            after_fn.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()),
        );
    }
    Ok(names)
}

/// Invariants without a test, and tests named that are not among `functions`. An invariant is a table row that begins with
/// its number; its last cell names the tests.
fn unheld(text: &str, functions: &BTreeSet<String>) -> Vec<String> {
    let mut violations = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, number, .., held, _] = cells.as_slice() else { continue };
        if number.parse::<u32>().is_err() {
            continue;
        }
        let named: Vec<&str> = held.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            violations.push(format!("{ARCHITECTURE}: no test is named for invariant {number}"));
        }
        let gone = named.into_iter().filter(|name| !functions.contains(*name));
        violations.extend(
            gone.map(|name| format!("{ARCHITECTURE}: there is no test {name} to hold invariant {number}")),
        );
    }
    violations
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
        for path in REQUIRED.iter().filter(|path| **path != "docs/roadmap.md") {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::write(root.path().join("README.md"), format!("[gone](gone.md)\n{}", "\n".repeat(150)))
            .unwrap();
        let violations = check(root.path(), &[PathBuf::from("README.md")]).unwrap();
        let expected = [
            "docs/roadmap.md: must exist",
            "README.md: longer than 150 lines",
            "README.md: the link to gone.md leads nowhere",
        ];
        assert_eq!(violations, expected);
    }
    #[test]
    fn every_scenario_and_bug_is_listed() {
        let table =
            "scenario(\"a sale\", &[Bug::Lost], …), scenario(\n  \"a refund\",\n  &[Bug::Twice, Bug::Lost],";
        let page = "| a sale | `Lost` | … |";
        assert_eq!(
            unlisted(page, table),
            ["docs/simulation.md: does not list `Twice`", "docs/simulation.md: does not list a refund"]
        );
    }

    #[test]
    fn an_invariant_names_tests_that_are_there() {
        let functions = BTreeSet::from(["one_is_held".to_owned()]);
        let text = "| | What | Held by |\n|---|---|---|\n| 1 | `a` | `one_is_held` |\n| 2 | b | lints |\n\
                    | 3 | c | `one_is_held`, `gone` |\n";
        let expected = [
            "ARCHITECTURE.md: no test is named for invariant 2",
            "ARCHITECTURE.md: there is no test gone to hold invariant 3",
        ];
        assert_eq!(unheld(text, &functions), expected);
    }
}
