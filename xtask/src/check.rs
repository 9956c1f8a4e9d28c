//! `cargo xtask check`: what a reviewer should not have to look for.

use crate::{run, tidy};

pub(crate) fn run() -> anyhow::Result<()> {
    run::run(&["cargo", "fmt", "--all", "--check"])?;
    tidy::run()?;
    run::run(&["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
}
