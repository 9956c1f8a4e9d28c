//! `cargo xtask test`: the whole suite, on a fresh machine too.

use clap::Args;

use crate::run::{run, succeeds};
use crate::{packages, tidy};

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Say what is missing instead of installing it.
    #[arg(long)]
    no_install: bool,
}

impl Test {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        packages::ensure(!self.no_install)?;
        tidy::run()?;
        // nextest runs the tests of all packages side by side, but not the examples in the documentation.
        if succeeds(&["cargo", "nextest", "--version"]) {
            run(&["cargo", "test", "--workspace", "--locked", "--doc"])?;
            run(&["cargo", "nextest", "run", "--workspace", "--locked", "--profile", "ci"])
        } else {
            run(&["cargo", "test", "--workspace", "--locked"])
        }
    }
}
