//! Between rows and values, alike for every backend: what is bound, and what is read back with every value checked.

pub(crate) mod alerts;
pub(crate) mod batch;
pub(crate) mod columns;
pub(crate) mod decisions;
pub(crate) mod egress;
pub(crate) mod ingress;
pub(crate) mod lines;
pub(crate) mod lists;
pub(crate) mod outbox;
pub(crate) mod read;
pub(crate) mod reconcile;
pub(crate) mod registry;
pub(crate) mod shipments;
pub(crate) mod upkeep;
pub(crate) mod wishes;

use std::collections::BTreeSet;

use ledger::{Applied, Balance, Digest, Hold, Order, Origin, SkuBook};
use serde::Serialize;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use values::{
    Epoch, HolderId, ListingId, Moment, OrderId, ParseIdError, ProductId, Quantity, ReadNumber, Revision,
    ShopId, Sku, Step, StockId, Timestamp, VariationId,
};

use crate::error::Error;
use crate::inventory::{Adoption, OrderRow, Settled, StockOpening, StockRow};

/// JSON of what is stored as such. For SQLite also rows as one parameter: an array of arrays, unpacked by `jsonb_each`.
pub(crate) fn json<T: Serialize + ?Sized>(rows: &T) -> String {
    serde_json::to_string(rows).expect("numbers and text always serialise")
}

pub(crate) fn id<T: TryFrom<i64, Error = ParseIdError>>(what: &'static str, raw: i64) -> Result<T, Error> {
    T::try_from(raw).map_err(|_| Error::damaged(what, raw))
}

pub(crate) fn some_id<T: TryFrom<i64, Error = ParseIdError>>(
    what: &'static str,
    raw: Option<i64>,
) -> Result<Option<T>, Error> {
    raw.map(|raw| id(what, raw)).transpose()
}

pub(crate) fn sku(text: &str) -> Result<Sku, Error> {
    text.parse().map_err(|_| Error::damaged("SKU", text))
}

pub(crate) fn unsigned(what: &'static str, raw: i64) -> Result<u64, Error> {
    u64::try_from(raw).map_err(|_| Error::damaged(what, raw))
}

/// Counters never come near 2⁶³.
pub(crate) fn signed(raw: u64) -> i64 {
    i64::try_from(raw).expect("a counter stays below 2^63")
}

pub(crate) fn quantity(raw: i64) -> Quantity {
    Quantity::from_thousandths(raw)
}

pub(crate) fn thousandths(quantity: Option<Quantity>) -> Option<i64> {
    quantity.map(Quantity::thousandths)
}

pub(crate) fn timestamp(raw: i64) -> Timestamp {
    Timestamp::from_micros(raw)
}

pub(crate) fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::micros)
}

pub(crate) fn bytes16(what: &'static str, raw: &[u8]) -> Result<[u8; 16], Error> {
    raw.try_into().map_err(|_| Error::damaged(what, hex(raw)))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// 0 stands for none in keys.
pub(crate) fn listing_key(listing: ListingId) -> (i64, i64) {
    (listing.product.get(), listing.variation.map_or(0, VariationId::get))
}

/// The keys of listings, each once.
pub(crate) fn wanted_listings(listings: &[(ShopId, ListingId)]) -> BTreeSet<(i64, i64, i64)> {
    let key = |(shop, listing): &(ShopId, ListingId)| {
        let (product, variation) = listing_key(*listing);
        (shop.get(), product, variation)
    };
    listings.iter().map(key).collect()
}

pub(crate) fn listing(product: i64, variation: i64) -> Result<ListingId, Error> {
    let variation = if variation == 0 { None } else { Some(id("variation", variation)?) };
    Ok(ListingId { product: id("product", product)?, variation })
}

pub(crate) fn stock_id(shop: i64, holder: i64) -> Result<StockId, Error> {
    Ok(StockId { shop: id("shop", shop)?, holder: id("stock", holder)? })
}

pub(crate) fn order_keys(rows: Vec<(i64, i64)>) -> Result<Vec<(ShopId, OrderId)>, Error> {
    rows.into_iter().map(|(shop, order)| Ok((id("shop", shop)?, id("order", order)?))).collect()
}

/// Those of the stocks that a doubtful order is on; one without holder is on all of its shop.
pub(crate) fn stocks_in_doubt(stocks: &[StockId], doubtful: Vec<(i64, Option<i64>)>) -> BTreeSet<StockId> {
    let rows: BTreeSet<(i64, Option<i64>)> = doubtful.into_iter().collect();
    let is_doubtful = |stock: &&StockId| {
        let shop = stock.shop.get();
        rows.contains(&(shop, None)) || rows.contains(&(shop, Some(stock.holder.get())))
    };
    stocks.iter().filter(is_doubtful).copied().collect()
}

/// The sums by their place among `count`; zero where there is none.
pub(crate) fn effects(count: usize, sums: Vec<(i64, i64)>) -> Vec<Quantity> {
    let mut effects = vec![Quantity::ZERO; count];
    for (place, sum) in sums {
        let effect = usize::try_from(place).ok().and_then(|place| effects.get_mut(place));
        *effect.expect("the place is one that was asked for") = quantity(sum);
    }
    effects
}

/// An order's own columns, in the order that every query of them names them.
pub(crate) type OrderColumns = (
    i64,
    i64,
    Option<i64>,
    Option<Vec<u8>>,
    Option<String>,
    Option<i64>,
    bool,
    Option<i64>,
    Option<Vec<u8>>,
    String,
    bool,
    bool,
    bool,
    Option<i64>,
    Option<i64>,
    bool,
);

fn applied(row: &OrderColumns) -> Result<Option<Applied>, Error> {
    let (_, _, modified_at, digest, origin, last_read, confirmed, older_at, older_digest, ..) = row;
    let (Some(modified_at), Some(digest), Some(origin), Some(last_read)) =
        (modified_at, digest, origin, last_read)
    else {
        return Ok(None);
    };
    let older = match (older_at, older_digest) {
        (Some(at), Some(digest)) => Some((timestamp(*at), Digest::from_bytes(bytes16("digest", digest)?))),
        _ => None,
    };
    Ok(Some(Applied {
        modified_at: timestamp(*modified_at),
        digest: Digest::from_bytes(bytes16("digest", digest)?),
        origin: origin_of(origin)?,
        last_read: ReadNumber::new(unsigned("read number", *last_read)?),
        confirmed: *confirmed,
        older,
    }))
}

pub(crate) const fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Webhook => "webhook",
        Origin::Read => "read",
    }
}

fn origin_of(word: &str) -> Result<Origin, Error> {
    match word {
        "webhook" => Ok(Origin::Webhook),
        "read" => Ok(Origin::Read),
        _ => Err(Error::damaged("origin", word)),
    }
}

pub(crate) fn order_row(row: OrderColumns) -> Result<OrderRow, Error> {
    let applied = applied(&row)?;
    let (
        shop,
        order,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        status,
        gone,
        reread,
        expired,
        expires_at,
        unconfirmed_since,
        predates,
    ) = row;
    Ok(OrderRow {
        shop: id("shop", shop)?,
        order: Order {
            id: id("order", order)?,
            applied,
            status,
            gone,
            reread,
            expired,
            predates,
            lines: Vec::new(),
        },
        expires_at: expires_at.map(timestamp),
        unconfirmed_since: unconfirmed_since.map(timestamp),
    })
}

pub(crate) fn holds_text(holds: &[Hold]) -> String {
    if holds.is_empty() {
        return "[]".to_owned();
    }
    // What nothing was sent of is written as it was before there were shipments.
    let row = |hold: &Hold| {
        let mut row = vec![hold.warehouse.get(), hold.reserved.thousandths(), hold.shipped.thousandths()];
        row.extend(Some(hold.sent.thousandths()).filter(|sent| *sent != 0));
        row
    };
    json(&holds.iter().map(row).collect::<Vec<_>>())
}

pub(crate) fn holds(text: &str) -> Result<Vec<Hold>, Error> {
    if text == "[]" {
        return Ok(Vec::new());
    }
    let damaged = || Error::damaged("list of holds", text);
    let rows: Vec<Vec<i64>> = serde_json::from_str(text).map_err(|_| damaged())?;
    rows.iter()
        .map(|row| {
            let (warehouse, reserved, shipped, sent) = match row.as_slice() {
                [warehouse, reserved, shipped] => (*warehouse, *reserved, *shipped, 0),
                [warehouse, reserved, shipped, sent] => (*warehouse, *reserved, *shipped, *sent),
                _ => return Err(damaged()),
            };
            Ok(Hold {
                warehouse: id("warehouse", warehouse)?,
                reserved: quantity(reserved),
                shipped: quantity(shipped),
                sent: quantity(sent),
            })
        })
        .collect()
}

pub(crate) fn balances_text(book: &SkuBook) -> String {
    let warehouses: BTreeSet<_> = book.balances.keys().chain(&book.stocked).collect();
    let rows: Vec<_> = warehouses
        .into_iter()
        .map(|warehouse| {
            let balance = book.balances.get(warehouse).copied().unwrap_or_default();
            let stocked = i64::from(book.stocked.contains(warehouse));
            (warehouse.get(), balance.on_hand.thousandths(), balance.reserved.thousandths(), stocked)
        })
        .collect();
    json(&rows)
}

pub(crate) fn sku_book(count: i64, counted_at: Option<i64>, balances: &str) -> Result<SkuBook, Error> {
    let rows: Vec<(i64, i64, i64, i64)> =
        serde_json::from_str(balances).map_err(|_| Error::damaged("list of balances", balances))?;
    let mut book = SkuBook {
        movement_count: unsigned("movement count", count)?,
        counted_at: counted_at.map(timestamp),
        ..SkuBook::default()
    };
    for (warehouse, on_hand, reserved, stocked) in rows {
        if reserved < 0 {
            return Err(Error::damaged("reserved quantity", reserved));
        }
        let warehouse = id("warehouse", warehouse)?;
        let balance = Balance { on_hand: quantity(on_hand), reserved: quantity(reserved) };
        book.balances.insert(warehouse, balance);
        if stocked != 0 {
            book.stocked.insert(warehouse);
        }
    }
    Ok(book)
}

/// The columns of [`StockColumns`], of `inventory_stocks AS s` joined with `inventory_skus AS k`.
macro_rules! stock_columns {
    () => {
        "s.shop, s.holder, s.sku_id, k.sku, s.parent, s.step, s.buffer, s.removed, s.level, s.untaken, \
         s.taken_total, s.last_order_date, s.last_applied_at, s.opening, s.epoch, s.revision, s.settle, \
         s.dated, s.adoption, s.released"
    };
}
pub(crate) use stock_columns;

/// How many columns [`stock_columns`] names.
pub(crate) const STOCK_COLUMN_COUNT: usize = 20;

/// The columns of a stock: its mapping, its level, and its proof.
#[derive(Debug)]
pub(crate) struct StockColumns {
    shop: i64,
    holder: i64,
    pub(crate) sku_id: Option<i64>,
    pub(crate) sku: Option<String>,
    parent: Option<i64>,
    step: i64,
    buffer: Option<i64>,
    removed: bool,
    level: i64,
    untaken: i64,
    taken_total: i64,
    last_order_date: Option<i64>,
    last_applied_at: Option<i64>,
    opening: i64,
    epoch: i64,
    revision: i64,
    settle: Option<String>,
    dated: Option<i64>,
    adoption: Option<String>,
    released: i64,
}

impl<'r, R: Row> FromRow<'r, R> for StockColumns
where
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            shop: row.try_get(0)?,
            holder: row.try_get(1)?,
            sku_id: row.try_get(2)?,
            sku: row.try_get(3)?,
            parent: row.try_get(4)?,
            step: row.try_get(5)?,
            buffer: row.try_get(6)?,
            removed: row.try_get(7)?,
            level: row.try_get(8)?,
            untaken: row.try_get(9)?,
            taken_total: row.try_get(10)?,
            last_order_date: row.try_get(11)?,
            last_applied_at: row.try_get(12)?,
            opening: row.try_get(13)?,
            epoch: row.try_get(14)?,
            revision: row.try_get(15)?,
            settle: row.try_get(16)?,
            dated: row.try_get(17)?,
            adoption: row.try_get(18)?,
            released: row.try_get(19)?,
        })
    }
}

impl StockColumns {
    /// Its SKU was added after the statement that read it had begun.
    pub(crate) const fn is_torn(&self) -> bool {
        self.sku_id.is_some() && self.sku.is_none()
    }

    pub(crate) fn id(&self) -> Result<StockId, Error> {
        Ok(StockId { shop: id("shop", self.shop)?, holder: id::<HolderId>("stock", self.holder)? })
    }

    pub(crate) fn row(&self) -> Result<StockRow, Error> {
        Ok(StockRow {
            id: self.id()?,
            sku: self.sku.as_deref().map(sku).transpose()?,
            parent: some_id::<ProductId>("product", self.parent)?,
            step: Step::new(quantity(self.step)).ok_or_else(|| Error::damaged("step", self.step))?,
            buffer: self.buffer.map(quantity),
            removed: self.removed,
            level: quantity(self.level),
            untaken: quantity(self.untaken),
            taken_total: quantity(self.taken_total),
            last_order_date: self.last_order_date.map(timestamp),
            last_applied_at: self.last_applied_at.map(timestamp),
            order_dates: None,
            trace: None,
            opening: opening(self.opening)?,
            epoch: Epoch::new(unsigned("epoch", self.epoch)?),
            revision: Revision::new(unsigned("revision", self.revision)?),
            settle: self.settle.as_deref().map(|text| settled(text, self.dated)).transpose()?,
            adoption: self.adoption.as_deref().map(adoption).transpose()?,
            released: quantity(self.released),
        })
    }
}

/// As it is stored: its place among all.
pub(crate) fn opening_number(opening: StockOpening) -> i64 {
    let place = StockOpening::ALL.iter().position(|other| *other == opening);
    place.and_then(|place| i64::try_from(place).ok()).expect("every one of the few is among all")
}

pub(crate) fn opening(number: i64) -> Result<StockOpening, Error> {
    let found = usize::try_from(number).ok().and_then(|place| StockOpening::ALL.get(place));
    found.copied().ok_or_else(|| Error::damaged("opening of a stock", number))
}

pub(crate) fn settled_text(settled: &Settled) -> String {
    json(&(
        settled.number.get(),
        thousandths(settled.shown),
        settled.asked.shop.micros(),
        settled.asked.hub.micros(),
        settled.answered.shop.micros(),
        settled.answered.hub.micros(),
        settled.taken_total.thousandths(),
        settled.quiet,
    ))
}

pub(crate) fn adoption_text(adoption: &Adoption) -> String {
    json(&(adoption.number.get(), &adoption.refused))
}

fn adoption(text: &str) -> Result<Adoption, Error> {
    let (number, refused) =
        serde_json::from_str(text).map_err(|_| Error::damaged("edit that was decided on", text))?;
    Ok(Adoption { number: ReadNumber::new(number), refused })
}

fn settled(text: &str, dated: Option<i64>) -> Result<Settled, Error> {
    type Columns = (u64, Option<i64>, i64, i64, i64, i64, i64, bool);
    let (number, shown, asked_shop, asked_hub, answered_shop, answered_hub, taken, quiet): Columns =
        serde_json::from_str(text).map_err(|_| Error::damaged("proof", text))?;
    let moment = |shop, hub| Moment { shop: timestamp(shop), hub: timestamp(hub) };
    Ok(Settled {
        number: ReadNumber::new(number),
        shown: shown.map(quantity),
        asked: moment(asked_shop, asked_hub),
        answered: moment(answered_shop, answered_hub),
        dated: dated.map(timestamp),
        taken_total: quantity(taken),
        quiet,
    })
}
