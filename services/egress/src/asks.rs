//! Asks ingress for settles.

use proto::{Envelope, Message, READ_IDS_MAX, ReadWanted, Wanted};
use store::Error;
use uuid::Uuid;
use values::{HolderId, ShopId, StockId};

use crate::shared::Shared;
use crate::work::Work;

/// Asks for settles of these stocks, and notes that they were asked for; `false` if they were not. A crash between the
/// two asks again, which does no harm.
pub(crate) async fn ask(shared: &Shared, shop: ShopId, stocks: &[StockId]) -> Result<bool, Error> {
    let holders: Vec<HolderId> = stocks.iter().map(|stock| stock.holder).collect();
    let now = shared.now();
    let envelopes: Vec<Envelope> = holders
        .chunks(READ_IDS_MAX)
        .map(|holders| {
            let wanted = ReadWanted { shop, what: Wanted::Stocks(holders.to_vec()) };
            Envelope::seal(&Message::from(wanted), Uuid::now_v7(), now, "egress")
                .expect("no more stocks than a message may hold")
        })
        .collect();
    for answer in shared.bus.publisher().publish(&envelopes).await {
        if let Err(error) = answer {
            shared.observe.not_asked(shop, &error);
            return Ok(false);
        }
    }
    let mut work = Work::on(&shared.store, stocks).await?;
    for stock in &mut work.stocks {
        stock.asked(now, &shared.settings);
    }
    work.commit().await?;
    shared.observe.asked(shop, stocks.len());
    Ok(true)
}
