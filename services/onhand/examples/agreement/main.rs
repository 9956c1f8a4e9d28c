//! Whether shops come to agree with the ledger, seen from outside of a whole onhand in one process: `race` (sales while
//! something is pushed, beside writers that do it otherwise) and `reconcile` (a large shop that was changed behind onhand's
//! back). `cargo build -p onhand`, then `cargo run -p onhand --example agreement -- race [ROUNDS]` or `reconcile [STOCKS]`.
#![expect(clippy::print_stdout, reason = "a measurement speaks to its user")]

mod figure;
mod race;
mod reconcile;
mod running;

use anyhow::bail;

const USAGE: &str = "say what to measure: race [ROUNDS] or reconcile [STOCKS]";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    process::install_tls_provider();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let figures = match words.as_slice() {
        ["race"] => race::measure(race::ROUNDS).await?,
        ["race", rounds] => race::measure(rounds.parse()?).await?,
        ["reconcile"] => reconcile::measure(reconcile::STOCKS).await?,
        ["reconcile", stocks] => reconcile::measure(stocks.parse()?).await?,
        _ => bail!(USAGE),
    };
    println!("{}", serde_json::json!({ "figures": figures }));
    Ok(())
}
