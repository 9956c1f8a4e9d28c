//! Reads what stocks show. Products are asked for by number; variations in one list of all where the shop has it
//! (10.5 has), under each parent where it has not.

use std::collections::BTreeMap;

use connector::{CallError, ReadStocks, Reply, Shown, StockFact, StockRef, StocksRead};
use values::{HolderId, ProductId, Timestamp};

use crate::client::{API, Client, ITEMS_MAX, Stopwatch, at_most, is_no_route, items, joined, per_page};
use crate::json;
use crate::product::{STOCK_FIELDS, WireProduct};

impl ReadStocks for Client {
    const STOCKS_MAX: usize = ITEMS_MAX;

    async fn stocks(&self, stocks: &[StockRef]) -> Result<Reply<StocksRead>, CallError> {
        at_most(stocks.len())?;
        let mut watch = Stopwatch::start();
        let mut shown = Seen::new();
        let mut by_parent = BTreeMap::<Option<ProductId>, Vec<HolderId>>::new();
        for stock in stocks {
            by_parent.entry(stock.parent).or_default().push(stock.holder);
        }
        if let Some(products) = by_parent.remove(&None) {
            self.stocks_in("/products", &products, &mut shown, &mut watch).await?;
        }
        if by_parent.len() > 1 {
            let holders: Vec<HolderId> = by_parent.values().flatten().copied().collect();
            match self.stocks_in("/variations", &holders, &mut shown, &mut watch).await {
                Ok(true) => by_parent.clear(),
                Ok(false) => {}
                Err(error) if is_no_route(&error) => watch.note_failure(),
                Err(error) => return Err(error),
            }
        }
        for (parent, holders) in by_parent {
            let Some(parent) = parent else { continue };
            let path = format!("/products/{parent}/variations");
            match self.stocks_in(&path, &holders, &mut shown, &mut watch).await {
                Ok(_) => {}
                // The parent itself is gone, and with it its variations.
                Err(CallError::Refused { status: 404, code }) if code.ends_with("_invalid_id") => {
                    watch.note_failure();
                }
                Err(error) => return Err(error),
            }
        }
        let fact = |stock: &StockRef| {
            let (shown, modified_at) = shown.of(*stock);
            StockFact { stock: *stock, shown, modified_at }
        };
        watch.reply(stocks.iter().map(fact).collect())
    }
}

/// What was seen, by holder, with the parent it was seen under if the shop said so.
struct Seen(BTreeMap<HolderId, (Option<ProductId>, Shown, Option<Timestamp>)>);

impl Seen {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn of(&self, stock: StockRef) -> (Shown, Option<Timestamp>) {
        match self.0.get(&stock.holder) {
            Some((parent, shown, modified_at)) if parent.is_none() || *parent == stock.parent => {
                (*shown, *modified_at)
            }
            _ => (Shown::Gone, None),
        }
    }
}

impl Client {
    /// Asks one list for these holders. `false` if the list does not heed what it is asked for, and so proves nothing.
    async fn stocks_in(
        &self,
        path: &str,
        holders: &[HolderId],
        seen: &mut Seen,
        watch: &mut Stopwatch,
    ) -> Result<bool, CallError> {
        let query = vec![
            ("include", joined(holders.iter().map(|holder| holder.get()))),
            per_page(),
            ("_fields", STOCK_FIELDS.to_owned()),
        ];
        let answer = self.get(&format!("{API}{path}"), query).await?;
        watch.note(&answer)?;
        let mut heeded = true;
        for item in items(&answer)? {
            let wire = serde_json::from_str::<WireProduct<'_>>(item.get());
            let Ok(wire) = wire else { continue };
            let Ok(Some(holder)) = json::id::<HolderId>(wire.id, "id") else { continue };
            heeded &= holders.contains(&holder);
            let shown = wire.shown().unwrap_or(Shown::Unusable);
            seen.0.insert(holder, (wire.parent(), shown, wire.modified_at()));
        }
        Ok(heeded)
    }
}
