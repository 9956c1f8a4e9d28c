//! Entry point: parses the command line, runs the command, says what went wrong.
#![expect(clippy::print_stderr, reason = "a command line tool speaks to its user")]

use std::process::ExitCode;

use clap::Parser;
use onhand::{Arguments, Failure};

/// Many small values are made and dropped on every core at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    process::install_tls_provider();
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            return ExitCode::from(process::tasks::EXIT_CODE_TASK_ENDED);
        }
    };
    match runtime.block_on(onhand::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_output() => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure);
            failure.code()
        }
    }
}

fn say(failure: &Failure) {
    eprintln!("error: {}", process::error_chain(failure));
}
