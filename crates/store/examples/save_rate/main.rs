//! How fast a batch of inventory is saved, against a raw insert of the same rows into the same database.
//!
//! `cargo run --release -p onhand-store --example save_rate -- [SKUS] [BATCHES]`

extern crate onhand_store as store;

#[path = "../../tests/contract/batch.rs"]
mod batch;
mod measure;
mod raw;

use measure::Plan;

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut plan = Plan::default();
    if let Some(skus) = arguments.next() {
        plan.sku_count = skus.parse()?;
    }
    if let Some(batches) = arguments.next() {
        plan.batch_count = batches.parse()?;
    }
    let directory = tempfile::tempdir()?;
    let rates = measure::save_rate(&directory.path().join("onhand.db"), plan).await?;
    println!("{plan:?}");
    println!("batch: {:>9.0} rows/s, {:>7.0} orders/s", rates.batch_rows, rates.orders);
    println!("raw:   {:>9.0} rows/s", rates.raw_rows);
    let ratio = rates.batch_rows / rates.raw_rows;
    println!("ratio: {:>9.1} %", 100.0 * ratio);
    println!(
        "{{\"figures\":[{{\"name\":\"rows saved, of orders with 2 lines\",\"value\":{:.0},\"unit\":\"rows/s\",\"limit\":{:.0},\
         \"ratio\":{ratio:.3},\"least\":0.2}},{{\"name\":\"orders saved\",\"value\":{:.0},\"unit\":\"orders/s\"}}]}}",
        rates.batch_rows, rates.raw_rows, rates.orders,
    );
    Ok(())
}
