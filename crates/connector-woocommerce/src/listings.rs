//! Single products and variations: read by their numbers, and made to keep a quantity.
//!
//! A list leaves the trash out unless it is asked for, so what is missing is looked for there before it is gone.

use std::collections::BTreeMap;

use connector::{
    CallError, ListingFact, ListingSet, ListingShown, ManageStock, Managed, ReadListings, Reply,
};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use values::{HolderId, ListingId, ProductId};

use crate::client::{API, Client, ITEMS_MAX, Stopwatch, at_most, items, joined, per_page};
use crate::product::{LISTING_FIELDS, WireProduct, listing};
use crate::reply::{Answer, Purpose};
use crate::transport::{Request, bad_reply, unreadable};

/// Asked for besides what is on sale or not yet.
const TRASH: &str = "trash";

impl ReadListings for Client {
    const LISTINGS_MAX: usize = ITEMS_MAX;

    async fn listings(
        &self,
        parent: Option<ProductId>,
        ids: &[HolderId],
        set: ListingSet,
    ) -> Result<Reply<Vec<ListingShown>>, CallError> {
        at_most(ids.len())?;
        let mut watch = Stopwatch::start();
        let mut query = vec![
            ("include", joined(ids.iter().map(|id| id.get()))),
            per_page(),
            ("_fields", LISTING_FIELDS.to_owned()),
        ];
        if set == ListingSet::Trash {
            query.push(("status", TRASH.to_owned()));
        }
        let path = match parent {
            Some(parent) => format!("{API}/products/{parent}/variations"),
            None => format!("{API}/products"),
        };
        let is_orphaned = |answer: &Answer| parent.is_some() && knows_no_parent(answer);
        let answer = self.transport.call_foreseeing(Request::read(&path, query), is_orphaned).await?;
        watch.note(&answer)?;
        if is_orphaned(&answer) {
            return watch.reply(vec![ListingShown::Gone; ids.len()]);
        }
        let mut seen = seen_in(&answer, parent, ids)?;
        watch.reply(ids.iter().map(|id| seen.remove(id).unwrap_or(ListingShown::Missing)).collect())
    }
}

fn own(listing: ListingId) -> HolderId {
    listing.variation.map_or_else(|| listing.product.into(), HolderId::from)
}

/// The parent itself is gone, and with it its variations.
fn knows_no_parent(answer: &Answer) -> bool {
    answer.status == 404 && answer.code().is_some_and(|code| code.ends_with("_invalid_id"))
}

/// What a list shows, by number.
fn seen_in(
    answer: &Answer,
    parent: Option<ProductId>,
    ids: &[HolderId],
) -> Result<BTreeMap<HolderId, ListingShown>, CallError> {
    let mut seen = BTreeMap::new();
    for item in items(answer)? {
        let (id, shown) = match listing(item.get(), parent) {
            Ok(fact) => (Some(own(fact.listing)), ListingShown::There(fact)),
            Err(unusable) => (unusable.id.and_then(HolderId::new), ListingShown::Unusable(unusable.reason)),
        };
        let Some(id) = id else { return Err(bad_reply("it lists a product without a number")) };
        if !ids.contains(&id) {
            return Err(bad_reply("it lists products that were not asked for"));
        }
        seen.insert(id, shown);
    }
    Ok(seen)
}

#[derive(Serialize)]
struct WireBatch {
    update: Vec<WireManaged>,
}

/// Without a quantity WooCommerce shows none at all once it is managed, which nobody can take a difference from. A difference of
/// nothing makes that a number: 0 where there was none. A quantity that is kept by then it leaves as it is, so that what was
/// sold from it since is not put back; an absolute 0 would. So WooCommerce's source says, which switches it on before it counts,
/// for products and for variations; no recording has the two in one call.
#[derive(Serialize)]
struct WireManaged {
    id: i64,
    manage_stock: bool,
    inventory_delta: i64,
}

#[derive(Deserialize)]
struct WireUpdated<'a> {
    #[serde(borrow)]
    update: Vec<&'a RawValue>,
}

impl ManageStock for Client {
    async fn manage_stock(
        &self,
        parent: Option<ProductId>,
        listings: &[HolderId],
    ) -> Result<Reply<Vec<Managed>>, CallError> {
        at_most(listings.len())?;
        let mut watch = Stopwatch::start();
        let wire = |id: &HolderId| WireManaged { id: id.get(), manage_stock: true, inventory_delta: 0 };
        let body = serde_json::to_string(&WireBatch { update: listings.iter().map(wire).collect() });
        let body = body.expect("numbers always serialise");
        let path = match parent {
            Some(parent) => format!("{API}/products/{parent}/variations/batch"),
            None => format!("{API}/products/batch"),
        };
        let answer = self.transport.call(Request::write(Method::POST, &path, Some(body))).await?;
        watch.note(&answer)?;
        let unreadable = || unreadable("it is not the batch asked for", Purpose::Write);
        let updated: WireUpdated<'_> = serde_json::from_str(&answer.body).map_err(|_| unreadable())?;
        if updated.update.len() != listings.len() {
            return Err(unreadable());
        }
        // Results come in the order of the request.
        let results = listings.iter().zip(updated.update);
        watch.reply(results.map(|(id, item)| managed(*id, parent, item)).collect())
    }
}

/// What a shop accepts and does not do, it answers as if it had: the answer has to show it.
fn managed(id: HolderId, parent: Option<ProductId>, item: &RawValue) -> Managed {
    let Ok(wire) = serde_json::from_str::<WireProduct<'_>>(item.get()) else { return Managed::Unclear };
    if let Some(error) = &wire.error {
        return Managed::Refused(error.code());
    }
    match listing(item.get(), parent) {
        Ok(fact) if own(fact.listing) != id => Managed::Unclear,
        Ok(fact @ ListingFact { holder: Some(_), .. }) if fact.holder == Some(id) => Managed::Done(fact),
        Ok(_) => Managed::Refused("stock management stayed off".to_owned()),
        Err(_) => Managed::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Managed {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        managed(HolderId::new(7).unwrap(), ProductId::new(5), raw)
    }

    #[test]
    fn only_an_answer_that_shows_it_is_done() {
        let good =
            r#"{"id":7,"parent_id":5,"type":"variation","sku":"A","manage_stock":true,"stock_quantity":0}"#;
        assert!(matches!(read(good), Managed::Done(fact) if fact.holder == HolderId::new(7)));
        let refused = r#"{"id":7,"error":{"code":"woocommerce_rest_invalid_id","message":"x"}}"#;
        assert_eq!(read(refused), Managed::Refused("woocommerce_rest_invalid_id".to_owned()));
        for ignored in [
            r#"{"id":7,"parent_id":5,"manage_stock":false,"stock_quantity":null}"#,
            r#"{"id":7,"parent_id":5,"manage_stock":"parent","stock_quantity":3}"#,
        ] {
            assert!(matches!(read(ignored), Managed::Refused(_)), "{ignored}");
        }
        for senseless in [r#"{"id":8,"parent_id":5,"manage_stock":true,"stock_quantity":0}"#, "{}", "[]"] {
            assert_eq!(read(senseless), Managed::Unclear, "{senseless}");
        }
    }
}
