//! How much faster than real time the simulation runs, on one core.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::time::{Duration, Instant};

use onhand_simulation::run_seed;

/// Enough for a second or so.
const SEEDS: u64 = 1_000;

fn main() {
    let began = Instant::now();
    let mut virtual_time = Duration::ZERO;
    let mut failed = 0;
    for seed in 0..SEEDS {
        let report = run_seed(seed, false);
        virtual_time += report.virtual_time;
        failed += u32::from(!report.failures.is_empty());
    }
    let took = began.elapsed();
    println!(
        "{{\"figures\":[{{\"name\":\"virtual seconds\",\"value\":{},\"unit\":\"s\",\"limit\":{:.3},\"ratio\":{:.0},\"least\":1000}},\
         {{\"name\":\"failed seeds of {SEEDS}\",\"value\":{failed},\"unit\":\"\",\"most\":0}}]}}",
        virtual_time.as_secs(),
        took.as_secs_f64(),
        virtual_time.as_secs_f64() / took.as_secs_f64(),
    );
}
