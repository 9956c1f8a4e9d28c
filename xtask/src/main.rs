//! The project's own tasks, as `cargo xtask <command>`: what people and CI run, in one place.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to its user")]

mod bench;
mod check;
mod docs;
mod packages;
mod root;
mod run;
mod sim;
mod test;
mod tidy;
mod woo_conformance;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own tasks")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// One file a command, named as the command.
#[derive(Debug, Subcommand)]
enum Command {
    /// The whole test suite; installs what it needs where it may.
    Test(test::Test),
    /// Formatting, clippy with warnings as errors, and tidy.
    Check,
    /// The rules of the repository.
    Tidy,
    /// The simulation: random seeds, named scenarios, and every rule broken once.
    Sim(sim::Sim),
    /// Speed and economy, each beside a limit of the same run.
    Bench(bench::Arguments),
    /// Replays the recorded WooCommerce transcripts against a shop.
    WooConformance(woo_conformance::WooConformance),
    /// Writes docs/configuration.md and .env.example from the declared settings.
    Docs,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Test(test) => test.run(),
        Command::Check => check::run(),
        Command::Tidy => tidy::run(),
        Command::Sim(sim) => sim.run(),
        Command::Bench(bench) => bench.run(),
        Command::WooConformance(conformance) => conformance.run(),
        Command::Docs => docs::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
