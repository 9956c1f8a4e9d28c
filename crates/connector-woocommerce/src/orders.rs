//! Reads orders: those changed since a moment, and those with given numbers.

use connector::{
    CallError, OrderFact, OrderSet, OrdersById, OrdersCursor, OrdersPage, ReadOrders, Reply, Unusable,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use values::{OrderId, Timestamp};

use crate::client::{API, Client, ITEMS_MAX, Stopwatch, at_most, items, joined, per_page};
use crate::json::{self, to_gmt};
use crate::order::{ORDER_FIELDS, order};
use crate::transport::bad_reply;

/// Most pages that are counted, where dates cannot be followed: a hundred thousand orders changed in one second.
const PAGES_MAX: u32 = 1_000;

impl ReadOrders for Client {
    const ORDERS_BY_ID_MAX: usize = ITEMS_MAX;

    async fn orders_changed(&self, cursor: OrdersCursor) -> Result<Reply<OrdersPage>, CallError> {
        let mut watch = Stopwatch::start();
        let query = vec![
            ("modified_after", to_gmt(cursor.after)),
            ("dates_are_gmt", "true".to_owned()),
            ("orderby", "modified".to_owned()),
            ("order", "asc".to_owned()),
            ("status", status(cursor.set).to_owned()),
            per_page(),
            ("page", cursor.page.to_string()),
            ("_fields", ORDER_FIELDS.to_owned()),
        ];
        let answer = self.get(&format!("{API}/orders"), query).await?;
        watch.note(&answer)?;
        let items = items(&answer)?;
        let (orders, unusable) = read_all(&items);
        // An order that is changed while the shop puts the page together shows a date that is not its place.
        let asked_at = answer.date.unwrap_or_default() - answer.took;
        let settled: Vec<Timestamp> =
            orders.iter().map(|order| order.modified_at).filter(|date| *date < asked_at).collect();
        if heeds_not(&settled, cursor.after) {
            return Err(bad_reply(
                "it holds orders that were not changed lately: WooCommerce 5.8 or newer is needed",
            ));
        }
        // Where the order of dates cannot be trusted, pages are counted instead: some order may then come late.
        let last = settled.is_sorted().then(|| settled.last().copied()).flatten();
        let page = u64::from(cursor.page);
        let more = items.len() >= ITEMS_MAX || answer.pages.is_some_and(|pages| pages > page);
        let next = if more && !items.is_empty() { Some(next(cursor, last)?) } else { None };
        watch.reply(OrdersPage { orders, unusable, total: answer.total, next })
    }

    async fn orders_by_id(&self, wanted: &[OrderId]) -> Result<Reply<OrdersById>, CallError> {
        at_most(wanted.len())?;
        let mut watch = Stopwatch::start();
        let mut found = OrdersById::default();
        let mut missing = wanted.to_vec();
        // Lists leave the trash out, unless it alone is asked for.
        for set in [OrderSet::Live, OrderSet::Trash] {
            if missing.is_empty() {
                break;
            }
            let query = vec![
                ("include", joined(missing.iter().map(|order| order.get()))),
                ("status", status(set).to_owned()),
                per_page(),
                ("_fields", ORDER_FIELDS.to_owned()),
            ];
            let answer = self.get(&format!("{API}/orders"), query).await?;
            watch.note(&answer)?;
            let (orders, unusable) = read_all(&items(&answer)?);
            found.take(orders, unusable, &mut missing);
        }
        // That an order was in neither list is no proof: it may have been moved between the two.
        for order_id in missing {
            let query = vec![("_fields", ORDER_FIELDS.to_owned())];
            match self.get(&format!("{API}/orders/{order_id}"), query).await {
                Ok(answer) => {
                    watch.note(&answer)?;
                    match order(&answer.body) {
                        Ok(order) => found.orders.push(order),
                        Err(unusable) => {
                            found.unusable.push(Unusable { id: Some(order_id.get()), ..unusable });
                        }
                    }
                }
                Err(CallError::Refused { status: 404, code }) if code.ends_with("_invalid_id") => {
                    watch.note_failure();
                    found.gone.push(order_id);
                }
                Err(error) => return Err(error),
            }
        }
        watch.reply(found)
    }

    async fn order_count(&self, status: &str) -> Result<Reply<Option<u64>>, CallError> {
        let mut watch = Stopwatch::start();
        match self.get(&format!("{API}/orders"), how_many(status)).await {
            Ok(answer) => {
                watch.note(&answer)?;
                watch.reply(answer.total)
            }
            // A status of a plugin that is gone. A refusal does not tell the shop's time; this does.
            Err(CallError::Refused { status: 400, .. }) => {
                watch.note_failure();
                let set = self::status(OrderSet::Live);
                watch.note(&self.get(&format!("{API}/orders"), how_many(set)).await?)?;
                watch.reply(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn newest_order(&self) -> Result<Reply<Option<OrderId>>, CallError> {
        let mut watch = Stopwatch::start();
        let mut newest = None;
        for set in [OrderSet::Live, OrderSet::Trash] {
            let query = vec![
                ("orderby", "id".to_owned()),
                ("order", "desc".to_owned()),
                ("status", status(set).to_owned()),
                ("per_page", "1".to_owned()),
                ("_fields", "id".to_owned()),
            ];
            let answer = self.get(&format!("{API}/orders"), query).await?;
            watch.note(&answer)?;
            for item in items(&answer)? {
                let number = serde_json::from_str::<Numbered<'_>>(item.get()).ok();
                let order = number.and_then(|item| json::id::<OrderId>(item.id, "id").ok().flatten());
                let order = order.ok_or_else(|| bad_reply("it holds an order without a number"))?;
                newest = newest.max(Some(order));
            }
        }
        watch.reply(newest)
    }
}

/// An order of which only the number was asked for.
#[derive(Deserialize)]
struct Numbered<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

trait Take {
    fn take(&mut self, orders: Vec<OrderFact>, unusable: Vec<Unusable>, missing: &mut Vec<OrderId>);
}

impl Take for OrdersById {
    /// Keeps those that were asked for and not had before.
    fn take(&mut self, orders: Vec<OrderFact>, unusable: Vec<Unusable>, missing: &mut Vec<OrderId>) {
        let mut wanted = |id: i64| {
            let place = missing.iter().position(|order| order.get() == id);
            place.map(|place| missing.swap_remove(place)).is_some()
        };
        self.orders.extend(orders.into_iter().filter(|order| wanted(order.order.get())));
        self.unusable.extend(unusable.into_iter().filter(|item| item.id.is_some_and(&mut wanted)));
    }
}

/// Asks for the number of orders of a status, which stands in the head of any page.
fn how_many(status: &str) -> Vec<(&'static str, String)> {
    vec![("status", status.to_owned()), ("per_page", "1".to_owned()), ("_fields", "id".to_owned())]
}

fn status(set: OrderSet) -> &'static str {
    match set {
        OrderSet::Live => "any",
        // A shop's own statuses are not among them: what they mean is not known before they are met.
        OrderSet::Open => "pending,on-hold,processing",
        OrderSet::Trash => "trash",
    }
}

fn read_all(items: &[&RawValue]) -> (Vec<OrderFact>, Vec<Unusable>) {
    let (mut orders, mut unusable) = (Vec::with_capacity(items.len()), Vec::new());
    for item in items {
        match order(item.get()) {
            Ok(order) => orders.push(order),
            Err(bad) => unusable.push(bad),
        }
    }
    (orders, unusable)
}

/// Older shops pass over what they do not know, and would list all their orders at each poll. A few stale dates may be
/// those of a cache.
fn heeds_not(dates: &[Timestamp], after: Timestamp) -> bool {
    let stale = dates.iter().filter(|date| **date <= after).count();
    stale > dates.len() / 2
}

/// Goes on at the second in which the page ended. Only if all of it was one second are pages counted.
fn next(cursor: OrdersCursor, last: Option<Timestamp>) -> Result<OrdersCursor, CallError> {
    if let Some(last) = last {
        let from_there = OrdersCursor::since(cursor.set, last);
        if from_there.after > cursor.after {
            return Ok(from_there);
        }
    }
    if cursor.page >= PAGES_MAX {
        return Err(bad_reply("the list of changed orders does not end"));
    }
    Ok(OrdersCursor { page: cursor.page + 1, ..cursor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_dates_and_count_only_within_a_second() {
        let at = Timestamp::from_seconds;
        let cursor = OrdersCursor::since(OrderSet::Live, at(100));
        let onward = next(cursor, Some(at(105))).unwrap();
        assert_eq!((onward.after, onward.page), (at(104), 1), "the second 105 comes again");
        let stuck = next(onward, Some(at(105))).unwrap();
        assert_eq!((stuck.after, stuck.page), (at(104), 2), "all of the page was second 105");
        assert_eq!(next(stuck, Some(at(106))).unwrap(), OrdersCursor::since(OrderSet::Live, at(106)));
        assert_eq!(next(cursor, None).unwrap().page, 2);
        assert!(next(OrdersCursor { page: PAGES_MAX, ..cursor }, None).is_err());
    }
}
