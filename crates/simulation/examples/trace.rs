//! Prints what happened in one seed, or in one scenario by name.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let report = if let Ok(seed) = wanted.parse() {
        onhand_simulation::run_seed(seed, true)
    } else {
        let scenario = onhand_simulation::scenarios().into_iter().find(|scenario| scenario.name == wanted);
        let Some(scenario) = scenario else { return Ok(()) };
        scenario.run(1, None, true)
    };
    let mut out = std::io::stdout().lock();
    for line in report.trace.iter().chain(&report.failures) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
