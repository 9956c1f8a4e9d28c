//! What an authentic webhook comes to: a fact to publish, or something to read again. Reads prove, webhooks only hint, so
//! what a body does not say is read.

use connector::Unusable;
use connector_woocommerce::{Content, HintOf};
use proto::{Message, ReadWanted, Source, Wanted};
use values::{HolderId, OrderId, ReadNumber, ShopId};

use crate::facts;
use crate::observe::Heard;

/// The second is what a bare number may be besides an order: products are deleted with nothing but their number.
pub(super) fn of(shop: ShopId, content: Content) -> (Heard, Vec<Message>) {
    let listing = match &content {
        Content::Hint { of: HintOf::Anything, id } => HolderId::new(*id),
        _ => None,
    };
    let (heard, message) = alone(shop, content);
    let listing = listing.map(|id| ReadWanted { shop, what: Wanted::Listings(vec![id]) }.into());
    (heard, message.into_iter().chain(listing).collect())
}

fn alone(shop: ShopId, content: Content) -> (Heard, Option<Message>) {
    match content {
        Content::Order(order) => (Heard::Order, Some(facts::order(shop, order, Source::Webhook))),
        // The body may be old, so it counts as older than every read: it makes a listing known, never another one.
        Content::Listing(listing) => (Heard::Listing, Some(facts::listing(shop, &listing, ReadNumber::ZERO))),
        Content::Hint { of, id } => hint(shop, of, Some(id)),
        // The owner of the webhook lost the right to see anything; what is missed the next poll reads.
        Content::Error(error) if error.owner_lost_rights() => (Heard::Blind, None),
        // Something is gone, or could not be read; it does not say what.
        Content::Error(_) => wanted(shop, Heard::Audit, Wanted::OrderAudit),
        Content::Unusable { of, what: Unusable { id, .. } } => hint(shop, of, id),
    }
}

fn hint(shop: ShopId, of: HintOf, id: Option<i64>) -> (Heard, Option<Message>) {
    match (of, id.and_then(OrderId::new)) {
        (HintOf::Product, _) => wanted(shop, Heard::Reread, Wanted::Catalogue),
        (HintOf::Order | HintOf::Anything, Some(order)) => {
            wanted(shop, Heard::Reread, Wanted::Orders(vec![order]))
        }
        (HintOf::Order | HintOf::Anything, None) => wanted(shop, Heard::Audit, Wanted::OrderAudit),
    }
}

fn wanted(shop: ShopId, heard: Heard, what: Wanted) -> (Heard, Option<Message>) {
    (heard, Some(ReadWanted { shop, what }.into()))
}

#[cfg(test)]
mod tests {
    use connector_woocommerce::content;

    use super::*;

    #[test]
    fn what_a_body_does_not_say_is_read() {
        let shop = ShopId::new(3).unwrap();
        let order = |id| vec![Wanted::Orders(vec![OrderId::new(id).unwrap()])];
        let anything = |id| [order(id), vec![Wanted::Listings(vec![HolderId::new(id).unwrap()])]].concat();
        let cases = [
            (r#"{"id":97}"#, Heard::Reread, anything(97)),
            (r#"{"id":97,"status":"completed","line_items":[{"id":1}]}"#, Heard::Reread, order(97)),
            (r#"{"order":{"id":5}}"#, Heard::Reread, order(5)),
            (r#"{"product":{"id":6}}"#, Heard::Reread, vec![Wanted::Catalogue]),
            (
                r#"{"code":"woocommerce_rest_shop_order_invalid_id","message":"x","data":{"status":404}}"#,
                Heard::Audit,
                vec![Wanted::OrderAudit],
            ),
            (
                r#"{"code":"woocommerce_rest_cannot_view","message":"x","data":{"status":403}}"#,
                Heard::Blind,
                vec![],
            ),
            ("[]", Heard::Audit, vec![Wanted::OrderAudit]),
        ];
        for (body, heard, wanted) in cases {
            let expected: Vec<Message> =
                wanted.into_iter().map(|what| ReadWanted { shop, what }.into()).collect();
            assert_eq!(of(shop, content(body.as_bytes())), (heard, expected), "{body}");
        }
    }
}
