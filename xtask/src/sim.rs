//! `cargo xtask sim`: the simulation, built for speed.

use crate::run::run;

/// Everything after the command goes to the simulation as it is: `--seeds`, `--from`, `--scenario`, `--bugs`, `--trace`, `--json`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Sim {
    /// Arguments of the simulation; `--help` among them lists all.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Sim {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut line = vec![
            "cargo",
            "run",
            "--quiet",
            "--release",
            "--package",
            "onhand-simulation",
            "--bin",
            "simulate",
            "--",
        ];
        line.extend(self.arguments.iter().map(String::as_str));
        run(&line)
    }
}
