//! The writer that calls for each change, as a reference.

use anyhow::ensure;
use connector::{ChangeOutcome, ChangeStocks, StockBatch, StockChange};
use testkit::fake_shop::{Counts, FakeShop};
use values::Quantity;

use crate::hub::{self, Hub};
use crate::shelf::{Line, fill};

/// Changes of which it tells; what a call costs does not depend on how many there are.
const CHANGES: usize = 300;
const STOCKS: usize = 30;

/// What the shop counted for so many changes.
pub(crate) async fn write(hub: &Hub, fake: &FakeShop) -> anyhow::Result<(usize, Counts)> {
    let lines: Vec<Line> = fill(fake, STOCKS);
    let shop = hub.add_shop("naive", &fake.url()).await?;
    let client = onhand_egress::woocommerce()(&shop, &hub::secrets())?;
    fake.take_counts();
    for line in lines.iter().cycle().take(CHANGES) {
        let change = StockChange { holder: line.holder, delta: Quantity::from_units(-1) };
        let batch = StockBatch { parent: line.parent, changes: vec![change] };
        let changed = client.change_stocks(&batch).await?;
        let applied = changed.outcomes.iter().all(|outcome| matches!(outcome, ChangeOutcome::Applied { .. }));
        ensure!(applied, "a change was refused: {:?}", changed.outcomes);
    }
    Ok((CHANGES, fake.take_counts()))
}
