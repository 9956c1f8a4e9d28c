//! `cargo xtask woo-conformance`: is a shop what the fake shop takes it for?

use crate::run::run_unseen;

/// Everything after the command goes on as it is; docs/conformance.md tells of it.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct WooConformance {
    /// Arguments of the replay; `--help` among them lists all.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl WooConformance {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut line = vec![
            "cargo",
            "run",
            "--quiet",
            "--package",
            "onhand-testkit",
            "--example",
            "woo_conformance",
            "--",
        ];
        line.extend(self.arguments.iter().map(String::as_str));
        run_unseen(&line)
    }
}
