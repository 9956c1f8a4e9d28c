//! Products and variations, from WooCommerce's JSON to facts.

use connector::{ListingFact, ListingKind, Shown, Unusable};
use serde::Deserialize;
use serde_json::value::RawValue;
use values::{HolderId, ListingId, ProductId, Quantity, Timestamp, VariationId};

use crate::json::{self, BadField};

/// What a read of the catalogue asks for.
pub(crate) const LISTING_FIELDS: &str = "id,parent_id,type,sku,name,status,manage_stock,stock_quantity";
/// What a read of stocks asks for.
pub(crate) const STOCK_FIELDS: &str = "id,parent_id,manage_stock,stock_quantity,date_modified_gmt";

/// A product, a variation, or one item of a batch's answer.
#[derive(Deserialize)]
pub(crate) struct WireProduct<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow)]
    parent_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    sku: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    manage_stock: Option<&'a RawValue>,
    #[serde(borrow)]
    stock_quantity: Option<&'a RawValue>,
    #[serde(borrow)]
    date_modified_gmt: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) error: Option<WireItemError<'a>>,
}

/// What a batch says of an item it refused.
#[derive(Deserialize)]
pub(crate) struct WireItemError<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

impl WireItemError<'_> {
    /// The shop's word for it.
    pub(crate) fn code(&self) -> String {
        json::words(self.code)
    }
}

/// One listing from its JSON. `parent` is the one it was asked for under: older shops do not repeat it.
pub(crate) fn listing(body: &str, parent: Option<ProductId>) -> Result<ListingFact, Unusable> {
    let wire: WireProduct<'_> = serde_json::from_str(body)
        .map_err(|_| Unusable { id: None, reason: "the JSON is not that of a product".to_owned() })?;
    let id = json::id::<HolderId>(wire.id, "id");
    wire.listing(parent)
        .map_err(|bad| Unusable { id: id.ok().flatten().map(HolderId::get), reason: bad.to_string() })
}

impl WireProduct<'_> {
    /// The parent, if the shop says it has one.
    pub(crate) fn parent(&self) -> Option<ProductId> {
        json::id(self.parent_id, "parent_id").ok().flatten()
    }

    /// When it was saved last, if the shop says so in a way that can be read.
    pub(crate) fn modified_at(&self) -> Option<Timestamp> {
        json::gmt(self.date_modified_gmt, "date_modified_gmt").ok().flatten()
    }

    /// It says that it keeps a quantity itself, whether or not it shows one.
    pub(crate) fn is_managed(&self) -> bool {
        self.manage_stock.is_some_and(|managed| managed.get() == "true")
    }

    /// What it shows, as a stock.
    pub(crate) fn shown(&self) -> Result<Shown, BadField> {
        match self.manage_stock.map(RawValue::get) {
            Some("true") => {
                let shown = json::quantity(self.stock_quantity, "stock_quantity")?;
                Ok(shown.map_or(Shown::Unmanaged, Shown::Quantity))
            }
            Some("false") => Ok(Shown::Unmanaged),
            Some("\"parent\"") => Ok(Shown::AtParent),
            Some(_) => Err(BadField::Unreadable("manage_stock")),
            None => Err(BadField::Missing("manage_stock")),
        }
    }

    fn listing(&self, asked_under: Option<ProductId>) -> Result<ListingFact, BadField> {
        let missing = BadField::Missing("id");
        let parent = json::id::<ProductId>(self.parent_id, "parent_id")?.or(asked_under);
        let word = json::words(self.kind);
        let is_variation =
            word.contains("variation") || asked_under.is_some() || (word.is_empty() && parent.is_some());
        let kind = match word.as_str() {
            _ if is_variation => ListingKind::Variation,
            "simple" => ListingKind::Simple,
            word if word.starts_with("variable") => ListingKind::Parent,
            _ => ListingKind::Other,
        };
        let listing = if kind == ListingKind::Variation {
            let product = parent.ok_or(BadField::Missing("parent_id"))?;
            let variation: VariationId = json::id(self.id, "id")?.ok_or(missing)?;
            ListingId { product, variation: Some(variation) }
        } else {
            ListingId { product: json::id(self.id, "id")?.ok_or(missing)?, variation: None }
        };
        let own: HolderId = json::id(self.id, "id")?.ok_or(missing)?;
        let (holder, shown) = match self.shown()? {
            Shown::Quantity(quantity) => (Some(own), Some(quantity)),
            Shown::AtParent => {
                let quantity: Option<Quantity> = json::quantity(self.stock_quantity, "stock_quantity")?;
                (Some(listing.product.into()), quantity)
            }
            Shown::Unmanaged | Shown::Gone | Shown::Unusable => (None, None),
        };
        Ok(ListingFact {
            listing,
            kind,
            holder,
            sku: json::parsed(self.sku),
            name: json::words(self.name),
            status: json::words(self.status),
            shown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, parent: i64) -> Result<ListingFact, Unusable> {
        listing(json, ProductId::new(parent))
    }

    #[test]
    fn where_the_quantity_is_kept() {
        let simple = read(
            r#"{"id":11,"type":"simple","parent_id":0,"sku":"S","name":"n","status":"publish","manage_stock":true,"stock_quantity":-974}"#,
            0,
        )
        .unwrap();
        assert_eq!((simple.kind, simple.holder), (ListingKind::Simple, HolderId::new(11)));
        assert_eq!(simple.shown, Some(Quantity::from_units(-974)));
        let at_parent = read(
            r#"{"id":57,"type":"variation","parent_id":56,"sku":"","manage_stock":"parent","stock_quantity":33}"#,
            0,
        )
        .unwrap();
        assert_eq!((at_parent.kind, at_parent.holder), (ListingKind::Variation, HolderId::new(56)));
        assert_eq!((at_parent.sku, at_parent.shown), (None, Some(Quantity::from_units(33))));
        let unmanaged =
            read(r#"{"id":59,"type":"simple","manage_stock":false,"stock_quantity":null}"#, 0).unwrap();
        assert_eq!((unmanaged.holder, unmanaged.shown), (None, None));
        let old = read(r#"{"id":42,"manage_stock":true,"stock_quantity":"7"}"#, 41).unwrap();
        assert_eq!(old.listing.to_string(), "41/42", "an older shop does not repeat the parent");
    }

    #[test]
    fn what_is_no_listing() {
        for json in [
            r#"{"type":"simple","manage_stock":true}"#,
            r#"{"id":1,"type":"simple"}"#,
            r#"{"id":1,"type":"simple","manage_stock":"yes"}"#,
            r#"{"id":1,"type":"variation","manage_stock":true,"stock_quantity":1}"#,
            r#"{"id":1,"type":"simple","manage_stock":true,"stock_quantity":1e99}"#,
            "[]",
        ] {
            assert!(read(json, 0).is_err(), "{json}");
        }
    }
}
