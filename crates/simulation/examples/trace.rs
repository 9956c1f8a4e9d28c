//! Prints what happened in one seed, or in one scenario by name.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let report = match wanted.parse() {
        Ok(seed) => onhand_simulation::run_seed(seed, true),
        Err(_) => {
            let scenario =
                onhand_simulation::scenarios().into_iter().find(|scenario| scenario.name == wanted);
            let Some(scenario) = scenario else { return Ok(()) };
            scenario.run(0, None, true)
        }
    };
    let mut out = std::io::stdout().lock();
    for line in report.trace.iter().chain(&report.failures) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
