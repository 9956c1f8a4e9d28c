//! What is to be read again, and what makes a shop's picture incomplete, as rows.

use values::{OrderId, Timestamp};

use super::{id, timestamp};
use crate::error::Error;
use crate::inventory::{Incomplete, Wanted, Wish};

/// Shop, kind, order or stock, wanted at.
pub(crate) type WishColumns = (i64, String, i64, i64);

pub(crate) fn wish(row: WishColumns) -> Result<(Wish, Timestamp), Error> {
    let (shop, kind, number, at) = row;
    let what = match kind.as_str() {
        "order" => Wanted::Order(id("order", number)?),
        "stock" => Wanted::Stock(id("stock", number)?),
        "audit" => Wanted::Audit,
        "catalogue" => Wanted::Catalogue,
        "listing" => Wanted::Listing(id("listing", number)?),
        _ => return Err(Error::damaged("kind of wish", kind)),
    };
    Ok((Wish { shop: id("shop", shop)?, what }, timestamp(at)))
}

/// Shop, kind, and an order or a stock; 0 for the kinds that are about the whole shop.
pub(crate) fn wish_columns(wish: &Wish) -> (i64, &'static str, i64) {
    let (kind, number) = match wish.what {
        Wanted::Order(order) => ("order", order.get()),
        Wanted::Stock(holder) => ("stock", holder.get()),
        Wanted::Audit => ("audit", 0),
        Wanted::Catalogue => ("catalogue", 0),
        Wanted::Listing(id) => ("listing", id.get()),
    };
    (wish.shop.get(), kind, number)
}

/// The same of those that were asked for, with when they were wanted.
pub(crate) fn done_columns(wishes: &[(Wish, Timestamp)]) -> Vec<(i64, &'static str, i64, i64)> {
    let row = |(wish, at): &(Wish, Timestamp)| {
        let (shop, kind, number) = wish_columns(wish);
        (shop, kind, number, at.micros())
    };
    wishes.iter().map(row).collect()
}

/// Shop, order, reason, at.
pub(crate) type MarkColumns = (i64, i64, String, i64);

pub(crate) fn mark(row: MarkColumns) -> Result<Incomplete, Error> {
    let (shop, order, reason, at) = row;
    Ok(Incomplete { shop: id("shop", shop)?, order: OrderId::new(order), reason, at: timestamp(at) })
}
