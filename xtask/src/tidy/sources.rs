//! Rules for Rust files: each says why it exists, is short enough to read, and its tests neither hide nor wait.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// More lines of code than this in one file, tests not counted, and it wants to be two.
const LINES_MAX: usize = 600;

/// Test files in which sleeping is right, each with the reason.
const SLEEPERS: &[(&str, &str)] = &[
    (
        "crates/bus/tests/faults/world.rs",
        "how long a real broker is out of reach is what varies, and it is looked at at intervals",
    ),
    (
        "services/onhand/tests/onhand/harness.rs",
        "it looks at real processes at intervals until a condition holds or a deadline passes",
    ),
    ("services/onhand/tests/onhand/kills.rs", "how long a process lives before it is killed is what varies"),
    (
        "services/onhand/tests/onhand/load.rs",
        "buyers pause between what they do, and a receipt is tried again at intervals",
    ),
    (
        "services/onhand/tests/onhand/outages.rs",
        "how long a server is there before it goes, and how long it is away, is what varies",
    ),
];

/// What must not be written, and what to do instead. In two parts, so that this file does not contain them.
const BANNED: &[(&str, &str, &str)] = &[
    ("#[", "ignore", "a test that does not run proves nothing: make it fast enough, or delete it"),
    ("#[should", "_panic", "assert on the returned error, or on `catch_unwind`"),
    ("todo", "!(", "do it, or leave it out"),
];

pub(super) fn check(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let full = root.join(path);
        let text =
            std::fs::read_to_string(&full).with_context(|| format!("cannot read {}", full.display()))?;
        violations.extend(check_file(path, &text));
    }
    Ok(violations)
}

fn check_file(path: &Path, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let shown = path.display();
    if !text.starts_with("//!") {
        violations
            .push(format!("{shown}: the first line is not a `//!` sentence that says why the file exists"));
    }
    if path.file_name().is_some_and(|name| name == "mod.rs") {
        violations.push(format!("{shown}: a module is named after its directory, not mod.rs"));
    }
    let tests_at = if is_test_file(path) { 0 } else { tests_start(text) };
    if tests_at > LINES_MAX {
        violations.push(format!("{shown}: {tests_at} lines without tests, more than {LINES_MAX}: split it"));
    }
    let may_sleep = text.contains("start_paused = true")
        || text.contains("time::pause()")
        || SLEEPERS.iter().any(|(sleeper, _)| path == Path::new(sleeper));
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        let at = format!("{shown}:{}", number + 1);
        for (start, end, instead) in BANNED {
            if line.contains(&format!("{start}{end}")) {
                violations.push(format!("{at}: {start}{end} is banned: {instead}"));
            }
        }
        if number >= tests_at && line.contains(concat!("sleep", "(")) && !may_sleep {
            violations.push(format!(
                "{at}: a test sleeps; wait for a condition with a deadline or pause tokio's time (or add the file \
                 to SLEEPERS in xtask/src/tidy/sources.rs with a reason)"
            ));
        }
    }
    violations
}

/// Whole files of tests: below a directory of tests or named `tests.rs`.
fn is_test_file(path: &Path) -> bool {
    let in_tests = path.parent().is_some_and(|parent| parent.iter().any(|part| part == "tests"));
    in_tests || path.file_name().is_some_and(|name| name == "tests.rs")
}

/// The number of lines before the tests that end a file.
fn tests_start(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{'))
        .unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let violations = check_file(Path::new(path), text);
        let matches =
            violations.len() == expected.len() && violations.iter().zip(expected).all(|(v, e)| v.contains(e));
        assert!(matches, "{violations:#?} instead of {expected:#?}");
    }

    #[test]
    fn a_file_says_why_it_exists() {
        check("crates/a/src/b.rs", "//! Why.\nfn b() {}\n", &[]);
        check("crates/a/src/b.rs", "fn b() {}\n", &["b.rs: the first line"]);
        check("crates/a/src/mod.rs", "//! Why.\n", &["mod.rs: a module is named"]);
    }

    #[test]
    fn only_lines_before_the_tests_count() {
        let code = format!("//! Why.\n{}", "// line\n".repeat(LINES_MAX - 1));
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "// line\n".repeat(LINES_MAX));
        check("crates/a/src/b.rs", &format!("{code}{tests}"), &[]);
        check("crates/a/src/b.rs", &format!("{code}// one more\n{tests}"), &["601 lines without tests"]);
        check("crates/a/src/b/tests.rs", &format!("{code}// one more\n"), &[]);
    }

    #[test]
    fn banned_words_are_found_outside_comments() {
        let banned =
            concat!("//! Why.\n#[", "ignore]\n// #[", "ignore] in a comment\nfn a() { todo", "!() }\n");
        check("crates/a/src/b.rs", banned, &["b.rs:2: #[", "b.rs:4: todo"]);
    }

    #[test]
    fn tests_do_not_sleep_unless_time_is_paused() {
        let sleep = concat!("    sleep", "(second).await;\n");
        let test = format!("#[cfg(test)]\nmod tests {{\n{sleep}}}\n");
        check("crates/a/src/b.rs", &format!("//! Why.\n{sleep}{test}"), &["b.rs:5: a test sleeps"]);
        check("tests/integration/a.rs", &format!("//! Why.\n{sleep}"), &["a.rs:2: a test sleeps"]);
        let paused = "#[tokio::test(start_paused = true)]\n";
        check("crates/a/src/tests.rs", &format!("//! Why.\n{paused}{sleep}"), &[]);
    }
}
