//! From a connector's facts to messages.

use connector::{LineFact, ListingFact, OrderFact, Unusable};
use proto::{
    ListingObserved, Message, NameText, ORDER_LINES_MAX, OrderLine, OrderObserved, OrderState,
    OrderUnreadable, Source, StatusText, Word,
};
use values::{OrderId, ReadNumber, ShopId, Timestamp};

/// A whole order. One too long to be told is told as unreadable.
pub(crate) fn order(shop: ShopId, fact: OrderFact, source: Source) -> Message {
    if fact.lines.len() > ORDER_LINES_MAX {
        return unreadable(shop, Some(fact.order), "too-many-lines");
    }
    let state = OrderState::Present {
        status: StatusText::clipped(&fact.status),
        lines: fact.lines.into_iter().map(line).collect(),
    };
    OrderObserved { shop, order: fact.order, source, modified_at: Some(fact.modified_at), state }.into()
}

fn line(fact: LineFact) -> OrderLine {
    OrderLine {
        line: fact.line,
        listing: fact.listing,
        sku: fact.sku,
        quantity: fact.quantity,
        taken: fact.taken,
        restocked: fact.restocked,
        fault: fact.fault,
    }
}

/// An order that a read by number did not find.
pub(crate) fn gone(shop: ShopId, order: OrderId, number: ReadNumber, read_at: Timestamp) -> Message {
    let source = Source::Read { number, read_at, baseline: false };
    OrderObserved { shop, order, source, modified_at: None, state: OrderState::Gone }.into()
}

/// An order that was read and makes no sense. What exactly is wrong with it is logged, not told.
pub(crate) fn unusable(shop: ShopId, item: &Unusable) -> Message {
    unreadable(shop, item.id.and_then(OrderId::new), "unusable")
}

fn unreadable(shop: ShopId, order: Option<OrderId>, reason: &str) -> Message {
    OrderUnreadable { shop, order, reason: Word::clipped(reason) }.into()
}

/// An entry of the catalogue.
pub(crate) fn listing(shop: ShopId, fact: &ListingFact, number: ReadNumber) -> Message {
    ListingObserved {
        shop,
        listing: fact.listing,
        // Nothing can be told to what is in the trash.
        holder: fact.holder.filter(|_| fact.status != store::STATUS_TRASH),
        sku: fact.sku.clone(),
        name: NameText::clipped(&fact.name),
        status: StatusText::clipped(&fact.status),
        kind: Some(fact.kind),
        number,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use values::{LineId, Quantity};

    use super::*;

    #[test]
    fn an_order_too_long_is_unreadable_not_lost() {
        let line = |id| LineFact {
            line: LineId::new(id).unwrap(),
            listing: None,
            sku: None,
            quantity: Quantity::from_units(1),
            taken: None,
            restocked: Quantity::ZERO,
            fault: None,
        };
        let fact = |lines| OrderFact {
            order: OrderId::new(7).unwrap(),
            modified_at: Timestamp::from_seconds(9),
            status: "processing".to_owned(),
            lines: (1..=lines).map(line).collect(),
        };
        let told = |lines| order(ShopId::new(1).unwrap(), fact(lines), Source::Webhook);
        assert!(matches!(told(1_000), Message::OrderObserved(_)));
        assert!(told(1_000).encode().is_ok());
        assert!(
            matches!(told(1_001), Message::OrderUnreadable(message) if message.order == OrderId::new(7)),
            "inventory must know that something is missing"
        );
    }
}
