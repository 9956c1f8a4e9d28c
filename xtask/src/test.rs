//! `cargo xtask test`: the whole suite, on a fresh machine too.

use clap::Args;

use crate::run::{run, run_with, succeeds};
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
            let line =
                ["cargo", "nextest", "run", "--workspace", "--locked", "--profile", "ci", "--test-threads"];
            run(&[&line[..], &[&side_by_side()]].concat())
        } else {
            run_with(&["cargo", "test", "--workspace", "--locked"], &[("RUST_TEST_THREADS", &side_by_side())])
        }
    }
}

/// How many tests run at a time: more than there are processors, since those from end to end wait most of their time.
fn side_by_side() -> String {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (2 * processors).to_string()
}
