//! Orders, from WooCommerce's JSON to facts. Nothing about the buyer is read.

use connector::{LineFact, OrderFact, Unusable};
use serde::Deserialize;
use serde_json::value::RawValue;
use values::{LineFault, LineId, ListingId, OrderId, ProductId, Quantity, VariationId};

use crate::json::{self, BadField, List};

/// What a read of orders asks for. Fields inside `line_items` cannot be chosen: they are a list.
pub(crate) const ORDER_FIELDS: &str = "id,status,date_modified_gmt,date_created_gmt,line_items";

/// How many of a line the shop has taken from its stock.
const TAKEN: &str = "_reduced_stock";
/// How many of a line refunds have put back.
const RESTOCKED: &str = "_restock_refunded_items";

#[derive(Deserialize)]
pub(crate) struct WireOrder<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) status: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) date_modified_gmt: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) date_created_gmt: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) line_items: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireLine<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    product_id: Option<&'a RawValue>,
    #[serde(borrow)]
    variation_id: Option<&'a RawValue>,
    #[serde(borrow)]
    quantity: Option<&'a RawValue>,
    #[serde(borrow)]
    sku: Option<&'a RawValue>,
    #[serde(borrow, default)]
    meta_data: Option<List<WireMeta<'a>>>,
}

#[derive(Deserialize)]
struct WireMeta<'a> {
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// One order from its JSON.
pub(crate) fn order(body: &str) -> Result<OrderFact, Unusable> {
    let wire: WireOrder<'_> = serde_json::from_str(body).map_err(|_| no_order(number(body)))?;
    wire.order()
}

fn no_order(id: Option<i64>) -> Unusable {
    Unusable { id, reason: "the JSON is not that of an order".to_owned() }
}

/// The number alone, of a body whose other parts are not where they should be: enough to read it again.
fn number(body: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Numbered<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let numbered: Numbered<'_> = serde_json::from_str(body).ok()?;
    json::id::<OrderId>(numbered.id, "id").ok().flatten().map(OrderId::get)
}

impl WireOrder<'_> {
    /// The order that these are the fields of.
    pub(crate) fn order(&self) -> Result<OrderFact, Unusable> {
        let id = json::id::<OrderId>(self.id, "id").ok().flatten().map(OrderId::get);
        let lines = match self.line_items {
            Some(list) => Some(serde_json::from_str(list.get()).map_err(|_| no_order(id))?),
            None => None,
        };
        self.fact(lines).map_err(|bad| Unusable { id, reason: bad.to_string() })
    }

    fn fact(&self, lines: Option<List<&RawValue>>) -> Result<OrderFact, BadField> {
        // An order that was never changed has no date of a change.
        let changed = json::gmt(self.date_modified_gmt, "date_modified_gmt")?;
        let modified_at = match changed {
            Some(changed) => changed,
            None => json::gmt(self.date_created_gmt, "date_created_gmt")?
                .ok_or(BadField::Missing("date_modified_gmt"))?,
        };
        let status = json::words(self.status);
        if status.is_empty() {
            return Err(BadField::Missing("status"));
        }
        let lines = lines.ok_or(BadField::Missing("line_items"))?;
        Ok(OrderFact {
            order: json::id(self.id, "id")?.ok_or(BadField::Missing("id"))?,
            modified_at,
            // Some plugins hand out the database's form of the word.
            status: status.strip_prefix("wc-").unwrap_or(&status).to_owned(),
            lines: lines.0.iter().map(|line| self::line(line)).collect::<Result<_, _>>()?,
        })
    }
}

/// One line, which may be wrong in itself; without a number of its own it cannot be told from the others.
fn line(raw: &RawValue) -> Result<LineFact, BadField> {
    if let Ok(wire) = serde_json::from_str::<WireLine<'_>>(raw.get()) {
        return wire.fact();
    }
    let line = number(raw.get()).and_then(LineId::new).ok_or(BadField::Unreadable("line_items"))?;
    let (taken, restocked) = (None, Quantity::ZERO);
    let fault = Some(LineFault::Unreadable);
    Ok(LineFact { line, listing: None, sku: None, quantity: Quantity::ZERO, taken, restocked, fault })
}

impl WireLine<'_> {
    fn fact(&self) -> Result<LineFact, BadField> {
        let line = json::id::<LineId>(self.id, "line id")?.ok_or(BadField::Missing("line id"))?;
        let listing = self.listing();
        let quantity = self.quantity();
        // Below nothing once a refund has put back more than was taken: the shop's stock rose by it all the same.
        let taken = json::quantity(self.meta(TAKEN), TAKEN);
        let restocked = json::amount(self.meta(RESTOCKED), RESTOCKED);
        let fault = match (quantity, &taken, &restocked, listing) {
            (Err(fault), ..) => Some(fault),
            (Ok(_), Err(_), ..) => Some(LineFault::Taken),
            (Ok(_), Ok(_), Err(_), _) => Some(LineFault::Restocked),
            (Ok(_), Ok(_), Ok(_), Err(_)) => Some(LineFault::Product),
            (Ok(_), Ok(_), Ok(_), Ok(_)) => None,
        };
        Ok(LineFact {
            line,
            listing: listing.unwrap_or_default(),
            sku: json::parsed(self.sku),
            quantity: quantity.ok().filter(|_| fault.is_none()).unwrap_or_default(),
            taken: taken.unwrap_or_default(),
            restocked: restocked.unwrap_or_default().unwrap_or_default(),
            fault,
        })
    }

    fn listing(&self) -> Result<Option<ListingId>, BadField> {
        let product = json::id::<ProductId>(self.product_id, "product_id")?;
        let variation = json::id::<VariationId>(self.variation_id, "variation_id")?;
        Ok(product.map(|product| ListingId { product, variation }))
    }

    fn quantity(&self) -> Result<Quantity, LineFault> {
        match json::amount(self.quantity, "quantity") {
            Ok(Some(_)) if json::is_too_fine(self.quantity) => Err(LineFault::TooFine),
            Ok(Some(quantity)) => Ok(quantity),
            Err(BadField::Negative(_)) => Err(LineFault::Negative),
            Ok(None) | Err(_) => Err(LineFault::Quantity),
        }
    }

    /// The first of that name, as WooCommerce itself reads it.
    fn meta(&self, key: &str) -> Option<&RawValue> {
        let named = |meta: &&WireMeta<'_>| json::is(meta.key, key);
        self.meta_data.as_ref()?.0.iter().find(named)?.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = r#"{"id":63,"status":"processing","date_modified_gmt":"2026-11-22T03:48:13","billing":{"email":"a@b"},
        "line_items":[
            {"id":1,"product_id":41,"variation_id":42,"quantity":2,"sku":"VAR","meta_data":[
                {"id":9,"key":"pa_size","value":{"deep":[1]}},
                {"id":10,"key":"_reduced_stock","value":"1.5"},{"id":11,"key":"_restock_refunded_items","value":1},
                {"id":12,"key":"_reduced_stock","value":"7"}]},
            {"id":2,"product_id":0,"variation_id":0,"quantity":"3","sku":null,"meta_data":[]}]}"#;

    #[test]
    fn an_order_becomes_a_fact() {
        let fact = order(ORDER).unwrap();
        let listing = ListingId { product: ProductId::new(41).unwrap(), variation: VariationId::new(42) };
        assert_eq!((fact.order.get(), fact.status.as_str()), (63, "processing"));
        assert_eq!(fact.lines[0].listing, Some(listing));
        assert_eq!(fact.lines[0].taken, Some(Quantity::from_thousandths(1_500)), "the first of two");
        assert_eq!(fact.lines[0].restocked, Quantity::from_units(1));
        assert_eq!(fact.lines[1].listing, None, "the product is deleted");
        assert_eq!((fact.lines[1].quantity, fact.lines[1].taken), (Quantity::from_units(3), None));
    }

    #[test]
    fn a_list_with_holes_is_a_list() {
        let holes = ORDER.replace(r#""meta_data":[]}]"#, r#""meta_data":{}}]"#);
        let holes = holes.replacen(r#""line_items":["#, r#""line_items":{"0":"#, 1);
        let holes = holes.replacen(r#"{"id":2"#, r#""2":{"id":2"#, 1);
        let holes = format!("{}}}}}", holes.strip_suffix("]}").unwrap());
        assert_eq!(order(&holes).unwrap(), order(ORDER).unwrap(), "{holes}");
    }

    #[test]
    fn a_refund_may_put_back_more_than_was_taken() {
        let fact = order(&ORDER.replacen(r#""value":"1.5""#, r#""value":"-1""#, 1)).unwrap();
        assert_eq!(fact.lines[0].taken, Some(Quantity::from_units(-1)));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_wrong_alone() {
        let (taken, none) = (Some(Quantity::from_thousandths(1_500)), None);
        for (from, to, fault, taken) in [
            (r#""quantity":2"#, r#""quantity":1e309"#, LineFault::Quantity, taken),
            (r#""quantity":2"#, r#""quantity":null"#, LineFault::Quantity, taken),
            (r#""quantity":2,"#, "", LineFault::Quantity, taken),
            (r#""quantity":2"#, r#""quantity":-2"#, LineFault::Negative, taken),
            (r#""quantity":2"#, r#""quantity":"0.3333""#, LineFault::TooFine, taken),
            (r#""value":"1.5""#, r#""value":["1.5"]"#, LineFault::Taken, none),
            (r#""value":1}"#, r#""value":-1}"#, LineFault::Restocked, taken),
            (r#""product_id":41"#, r#""product_id":"a till's own""#, LineFault::Product, taken),
            (r#""variation_id":42"#, r#""variation_id":-1"#, LineFault::Product, taken),
            (r#""meta_data":["#, r#""meta_data":"none","other":["#, LineFault::Unreadable, none),
        ] {
            let body = ORDER.replacen(from, to, 1);
            assert_ne!(body, ORDER, "the case must change something");
            let fact = order(&body).unwrap();
            let [wrong, right] = &fact.lines[..] else { panic!("{} lines", fact.lines.len()) };
            assert_eq!((wrong.line.get(), wrong.fault, wrong.taken), (1, Some(fault), taken), "{to}");
            assert_eq!((wrong.quantity, right), (Quantity::ZERO, &order(ORDER).unwrap().lines[1]), "{to}");
        }
    }

    #[test]
    fn what_cannot_be_an_order_is_said_with_its_number_and_without_its_content() {
        for (from, to, reason) in [
            (r#"{"id":1,"#, "{", "`line id` is missing"),
            (r#"{"id":1,"#, r#"{"id":"x","#, "`line id` cannot be read"),
            (r#""line_items":["#, r#""line_items":[null,"#, "`line_items` cannot be read"),
            (r#""status":"processing""#, r#""status":"""#, "`status` is missing"),
            (
                r#""date_modified_gmt":"2026"#,
                r#""date_modified_gmt":"x"#,
                "`date_modified_gmt` cannot be read",
            ),
        ] {
            let body = ORDER.replacen(from, to, 1);
            assert_ne!(body, ORDER, "the case must change something");
            let unusable = order(&body).unwrap_err();
            assert_eq!((unusable.id, unusable.reason.as_str()), (Some(63), reason));
        }
        assert_eq!(order(r#"{"id":63}"#).unwrap_err().id, Some(63));
        let odd = order(r#"{"id":63,"status":"processing","line_items":"none"}"#).unwrap_err();
        assert_eq!(odd.id, Some(63), "whatever the rest is");
        assert_eq!(order(r#"{"id":63,"id":64}"#).unwrap_err().id, None, "a name twice is no order");
    }
}
