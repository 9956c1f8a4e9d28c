//! Changes stocks by differences (`inventory_delta`), never to absolute numbers: those put back what was sold since.
//! WooCommerce answers 200 to much that it did not do, so every item of the answer is compared with what was asked.

use connector::{
    CallError, ChangeOutcome, ChangeStocks, Changed, NotSentCause, RefusalKind, RefusalReason, Shown,
    StockBatch, StockChange,
};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use values::HolderId;

use crate::client::{API, Client, ITEMS_MAX, at_most};
use crate::json;
use crate::product::WireProduct;
use crate::reply::Purpose;
use crate::transport::{Request, unreadable};

#[derive(Serialize)]
struct WireBatch {
    update: Vec<WireChange>,
}

/// A JSON integer, as batches do not check what they are given: `"abc"` becomes 0 without an error.
#[derive(Serialize)]
struct WireChange {
    id: i64,
    inventory_delta: i64,
}

#[derive(Deserialize)]
struct WireChanged<'a> {
    #[serde(borrow)]
    update: Vec<&'a RawValue>,
}

impl ChangeStocks for Client {
    const CHANGES_MAX: usize = ITEMS_MAX;

    async fn change_stocks(&self, batch: &StockBatch) -> Result<Changed, CallError> {
        at_most(batch.changes.len())?;
        let malformed = || CallError::NotSent { cause: NotSentCause::Malformed, source: None };
        let mut holders: Vec<HolderId> = batch.changes.iter().map(|change| change.holder).collect();
        holders.sort_unstable();
        // Both would be applied, but their answers could not be told apart.
        if holders.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(malformed());
        }
        let update: Vec<WireChange> = batch.changes.iter().filter_map(wire).collect();
        if update.is_empty() {
            let outcomes = batch.changes.iter().map(|_| NOT_WHOLE).collect();
            return Ok(Changed { outcomes, shop_time: None, took: std::time::Duration::ZERO });
        }
        let sent = update.len();
        let body = serde_json::to_string(&WireBatch { update }).map_err(|_| malformed())?;
        let path = match batch.parent {
            Some(parent) => format!("{API}/products/{parent}/variations/batch"),
            None => format!("{API}/products/batch"),
        };
        let answer = self.transport.call(Request::write(Method::POST, &path, Some(body))).await?;
        let unreadable = || unreadable("it is not the batch asked for", Purpose::Write);
        let changed: WireChanged<'_> = serde_json::from_str(&answer.body).map_err(|_| unreadable())?;
        if changed.update.len() != sent {
            return Err(unreadable());
        }
        // Results come in the order of the request.
        let mut results = changed.update.into_iter();
        let outcome = |change: &StockChange| {
            if wire(change).is_none() {
                return NOT_WHOLE;
            }
            results.next().map_or(ChangeOutcome::Uncertain, |item| outcome(change, item))
        };
        let outcomes = batch.changes.iter().map(outcome).collect();
        Ok(Changed { outcomes, shop_time: answer.date, took: answer.took })
    }
}

const NOT_WHOLE: ChangeOutcome = refused(RefusalKind::Permanent, RefusalReason::NotWhole);

const fn refused(kind: RefusalKind, reason: RefusalReason) -> ChangeOutcome {
    ChangeOutcome::Refused { kind, reason }
}

fn wire(change: &StockChange) -> Option<WireChange> {
    let units = change.delta.whole_units()?;
    Some(WireChange { id: change.holder.get(), inventory_delta: units })
}

fn outcome(change: &StockChange, item: &RawValue) -> ChangeOutcome {
    let Ok(item) = serde_json::from_str::<WireProduct<'_>>(item.get()) else {
        return ChangeOutcome::Uncertain;
    };
    if let Some(error) = &item.error {
        return refusal(&error.code());
    }
    if json::id::<HolderId>(item.id, "id") != Ok(Some(change.holder)) {
        return ChangeOutcome::Uncertain;
    }
    match item.shown() {
        Ok(Shown::Quantity(shown)) => ChangeOutcome::Applied { shown },
        Ok(Shown::Unmanaged) if item.is_managed() => ChangeOutcome::Uncertain,
        Ok(Shown::Unmanaged) => refused(RefusalKind::Permanent, RefusalReason::Unmanaged),
        Ok(Shown::AtParent) => refused(RefusalKind::Permanent, RefusalReason::AtParent),
        Ok(Shown::Gone | Shown::Unusable) | Err(_) => ChangeOutcome::Uncertain,
    }
}

/// What a per-item error means. Words not known here may pass, so they are not taken for permanent.
fn refusal(code: &str) -> ChangeOutcome {
    match code {
        "woocommerce_rest_product_invalid_id" | "woocommerce_rest_product_variation_invalid_id" => {
            refused(RefusalKind::Permanent, RefusalReason::Unknown)
        }
        "woocommerce_rest_invalid_product_id" => refused(RefusalKind::Permanent, RefusalReason::WrongParent),
        code if code.starts_with("woocommerce_rest_cannot_") => {
            refused(RefusalKind::Permanent, RefusalReason::NotAllowed)
        }
        _ => refused(RefusalKind::Temporary, RefusalReason::Other),
    }
}

#[cfg(test)]
mod tests {
    use values::Quantity;

    use super::*;

    #[test]
    fn each_answer_is_compared_with_what_was_asked() {
        let change = StockChange { holder: HolderId::new(40).unwrap(), delta: Quantity::from_units(-2) };
        let permanent = |reason| refused(RefusalKind::Permanent, reason);
        for (item, expected) in [
            (
                r#"{"id":40,"manage_stock":true,"stock_quantity":8}"#,
                ChangeOutcome::Applied { shown: Quantity::from_units(8) },
            ),
            (r#"{"id":40,"manage_stock":false,"stock_quantity":null}"#, permanent(RefusalReason::Unmanaged)),
            (r#"{"id":40,"manage_stock":"parent","stock_quantity":33}"#, permanent(RefusalReason::AtParent)),
            (
                r#"{"id":40,"error":{"code":"woocommerce_rest_product_invalid_id","message":"m","data":{"status":400}}}"#,
                permanent(RefusalReason::Unknown),
            ),
            (
                r#"{"id":40,"error":{"code":"woocommerce_rest_invalid_product_id"}}"#,
                permanent(RefusalReason::WrongParent),
            ),
            (
                r#"{"id":40,"error":{"code":"woocommerce_rest_cannot_edit"}}"#,
                permanent(RefusalReason::NotAllowed),
            ),
            (
                r#"{"id":40,"error":{"code":"db_error"}}"#,
                refused(RefusalKind::Temporary, RefusalReason::Other),
            ),
            (r#"{"id":41,"manage_stock":true,"stock_quantity":8}"#, ChangeOutcome::Uncertain),
            (r#"{"id":40,"manage_stock":true,"stock_quantity":null}"#, ChangeOutcome::Uncertain),
            (r#"{"id":40,"manage_stock":true,"stock_quantity":1e99}"#, ChangeOutcome::Uncertain),
            (r#"{"id":40}"#, ChangeOutcome::Uncertain),
            ("null", ChangeOutcome::Uncertain),
        ] {
            let item = RawValue::from_string(item.to_owned()).unwrap();
            assert_eq!(outcome(&change, &item), expected, "{}", item.get());
        }
    }
}
