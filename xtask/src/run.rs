//! Runs other programs, saying which, and fails when they do.

use std::process::Command;

use anyhow::{Context, bail};

use crate::root::root;

/// Cargo tells this program about its own package. A build script that looks at one of these would be run again, and half of
/// all libraries built again, whenever cargo is run from here and by hand in turns.
const OF_THIS_PACKAGE: [&str; 9] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
    "CARGO_PKG_RUST_VERSION",
];

/// Runs `line` in the root of the repository with its output passed on.
pub(crate) fn run(line: &[&str]) -> anyhow::Result<()> {
    run_with(line, &[])
}

/// As [`run`], with environment variables added.
pub(crate) fn run_with(line: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let shown = line.join(" ");
    println!("+ {shown}");
    let status = command(line)
        .envs(environment.iter().copied())
        .status()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// As [`run`], without saying what: among `line` may be secrets.
pub(crate) fn run_unseen(line: &[&str]) -> anyhow::Result<()> {
    let program = line.first().copied().unwrap_or_default();
    let status = command(line).status().with_context(|| format!("cannot start `{program}`"))?;
    if !status.success() {
        bail!("`{program}` failed ({status})");
    }
    Ok(())
}

/// Whether `line` runs and succeeds; says nothing.
pub(crate) fn succeeds(line: &[&str]) -> bool {
    command(line).output().is_ok_and(|output| output.status.success())
}

/// What `line` writes to standard output.
pub(crate) fn output(line: &[&str]) -> anyhow::Result<String> {
    let shown = line.join(" ");
    let output = command(line).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` did not write text"))
}

fn command(line: &[&str]) -> Command {
    let (program, arguments) = line.split_first().expect("a command line has a program");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    for variable in OF_THIS_PACKAGE {
        command.env_remove(variable);
    }
    command
}
