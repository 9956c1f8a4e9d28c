//! Asks ingress for settles, and inventory to take over what people set in shops.

use proto::{Envelope, Message, READ_IDS_MAX, ReadWanted, StockEdited, Wanted};
use store::Error;
use uuid::Uuid;
use values::{HolderId, ShopId, StockId, Timestamp};

use crate::shared::Shared;
use crate::work::{Hold, Work};

/// Asks for settles of these stocks, and notes that they were asked for; `false` if they were not. A crash between the
/// two asks again, which does no harm.
pub(crate) async fn ask(shared: &Shared, shop: ShopId, stocks: &[StockId]) -> Result<bool, Error> {
    let holders: Vec<HolderId> = stocks.iter().map(|stock| stock.holder).collect();
    let now = shared.now();
    let envelopes: Vec<Envelope> = holders
        .chunks(READ_IDS_MAX)
        .map(|holders| seal(&ReadWanted { shop, what: Wanted::Stocks(holders.to_vec()) }.into(), now))
        .collect();
    if !publish(shared, shop, &envelopes).await {
        return Ok(false);
    }
    let mut work = Work::on(&shared.store, stocks, Hold::Locked).await?;
    for stock in &mut work.stocks {
        stock.asked(now, &shared.settings);
    }
    work.commit().await?;
    shared.observe.asked(shop, stocks.len());
    Ok(true)
}

/// Asks inventory to take over edits, and notes that it was asked; `false` if it was not. Asked twice, it decides once.
pub(crate) async fn ask_to_adopt(
    shared: &Shared,
    shop: ShopId,
    edits: &[StockEdited],
) -> Result<bool, Error> {
    let now = shared.now();
    let envelopes: Vec<Envelope> = edits.iter().map(|edit| seal(&edit.clone().into(), now)).collect();
    if !publish(shared, shop, &envelopes).await {
        return Ok(false);
    }
    let stocks: Vec<StockId> = edits.iter().map(|edit| edit.stock).collect();
    let mut work = Work::on(&shared.store, &stocks, Hold::Locked).await?;
    for (stock, edit) in work.stocks.iter_mut().zip(edits) {
        // It may have been answered meanwhile.
        if stock.row.push.adopting().is_some_and(|adopting| adopting.number == edit.number) {
            stock.asked_to_adopt(now);
        }
    }
    work.commit().await?;
    Ok(true)
}

fn seal(message: &Message, now: Timestamp) -> Envelope {
    Envelope::seal(message, Uuid::now_v7(), now, "egress").expect("no more stocks than a message may hold")
}

async fn publish(shared: &Shared, shop: ShopId, envelopes: &[Envelope]) -> bool {
    for answer in shared.bus.publisher().publish(envelopes).await {
        if let Err(error) = answer {
            shared.observe.not_asked(shop, &error);
            return false;
        }
    }
    true
}
