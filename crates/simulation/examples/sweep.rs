//! Runs seeds and prints those that fail.
use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let (from, count) = (args.next().unwrap_or(0), args.next().unwrap_or(1_000));
    let mut out = std::io::stdout().lock();
    let began = std::time::Instant::now();
    let mut bad = 0;
    let mut orders = 0;
    let mut faults = 0;
    for seed in from..from + count {
        let report = onhand_simulation::run_seed(seed, false);
        orders += report.order_count;
        faults += report.fault_count;
        if let Some(first) = report.failures.first() {
            bad += 1;
            writeln!(out, "{seed}: {} {first}", report.failures.len())?;
        }
    }
    writeln!(out, "{bad} bad of {count}, {orders} orders, {faults} faults, {:?}", began.elapsed())
}
