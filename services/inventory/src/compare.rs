//! Compares what a shop showed with what it should show and takes nothing over: for runs that are to change nothing.

use std::collections::BTreeMap;

use proto::StockShown;
use push::{DriftPolicy, Settle, Settled, StockPush};
use store::{Comparison, InventoryTx, StockRow};
use values::{Quantity, StockId};

use crate::shown::id;
use crate::work::Work;

/// Its base is not known: what it shows would be taken as it is.
const FIRST_LOOK: &str = "first_look";
const NOT_MANAGED: &str = "unmanaged";
/// Nothing would be done.
const NONE: &str = "none";

/// What each would come to if it were taken over now, by the rules that egress takes it over by.
pub(crate) async fn apply(
    tx: &mut InventoryTx,
    work: &Work,
    shown: &[&StockShown],
    is_quiet: impl Fn(&StockRow, &StockShown) -> bool,
) -> Result<(), store::Error> {
    let ids: Vec<StockId> = shown.iter().map(|shown| id(shown)).collect();
    let pushes: BTreeMap<StockId, StockPush> =
        tx.pushes(&ids).await?.into_iter().map(|row| (row.id, row.push)).collect();
    let mut found: BTreeMap<StockId, Comparison> = BTreeMap::new();
    for what in shown {
        let Some(row) = work.stocks.get(&id(what)) else { continue };
        let push = pushes.get(&row.id).cloned().unwrap_or_default();
        let policy = work.shops.get(&what.shop).map_or(DriftPolicy::default(), |shop| shop.settings.drift);
        let (class, action, difference) = compare(push, row, what, is_quiet(row, what), policy);
        let comparison = Comparison { stock: row.id, number: what.number, class, action, difference };
        found.insert(row.id, comparison);
    }
    tx.save_comparisons(&found.into_values().collect::<Vec<_>>()).await
}

/// Class, action and how much more is shown; no class if nothing is proven.
fn compare(
    mut push: StockPush,
    row: &StockRow,
    what: &StockShown,
    quiet: bool,
    policy: DriftPolicy,
) -> (Option<&'static str>, &'static str, Quantity) {
    let Some(shown) = what.shown else { return (Some(NOT_MANAGED), NONE, Quantity::ZERO) };
    let settle = Settle {
        number: what.number,
        epoch: row.epoch,
        shown,
        asked: what.asked,
        answered: what.answered,
        taken_total: row.taken_total,
        quiet,
        dated: what.modified_at,
        policy,
    };
    if push.target.is_none() {
        return (quiet.then_some(FIRST_LOOK), NONE, Quantity::ZERO);
    }
    let known = push.expected().is_some();
    match push.settle(&settle) {
        Settled::Untrusted(_) => (None, NONE, Quantity::ZERO),
        Settled::Trusted(None) if !known => (Some(FIRST_LOOK), NONE, Quantity::ZERO),
        Settled::Trusted(None) => (Some(store::AGREED), NONE, Quantity::ZERO),
        Settled::Trusted(Some(drift)) => {
            (Some(drift.class.as_str()), drift.action.as_str(), drift.difference())
        }
    }
}

#[cfg(test)]
mod tests {
    use push::{Base, Target};
    use values::{Epoch, HolderId, Moment, ReadNumber, Revision, ShopId, Step, Timestamp};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn units(units: i64) -> Quantity {
        Quantity::from_units(units)
    }

    fn shown(quantity: Option<i64>) -> StockShown {
        let moment = |seconds| Moment { shop: at(seconds), hub: at(seconds) };
        StockShown {
            shop: ShopId::new(1).unwrap(),
            holder: HolderId::new(2).unwrap(),
            shown: quantity.map(units),
            number: ReadNumber::new(9),
            asked: moment(100),
            answered: moment(101),
            orders_read_to: at(140),
            modified_at: None,
            dry_run: true,
        }
    }

    fn row() -> StockRow {
        StockRow {
            id: id(&shown(None)),
            sku: "A".parse().ok(),
            parent: None,
            step: Step::ONE,
            buffer: None,
            removed: false,
            level: units(7),
            untaken: Quantity::ZERO,
            taken_total: units(3),
            last_order_date: None,
            last_applied_at: None,
            order_dates: None,
            trace: None,
            opening: store::StockOpening::None,
            epoch: Epoch::ZERO.next(),
            revision: Revision::ZERO.next(),
            settle: None,
            adoption: None,
            released: Quantity::ZERO,
        }
    }

    /// Ten at first, three taken: it should show seven.
    fn push() -> StockPush {
        let row = row();
        let target = Target {
            epoch: row.epoch,
            revision: row.revision,
            level: row.level,
            untaken: row.untaken,
            taken_total: row.taken_total,
            step: row.step,
            released: row.released,
        };
        let base = Base::proven(row.epoch, units(10));
        StockPush { target: Some(target), base: Some(base), ..StockPush::default() }
    }

    #[test]
    fn what_would_come_of_it_is_said() {
        let none = Quantity::ZERO;
        let pushed = StockPush { pushed_since_settle: true, ..push() };
        let unknown = StockPush { base: None, ..push() };
        let doubtful = StockPush { doubtful_until: Some(at(200)), ..push() };
        let rows = [
            (push(), Some(7), true, (Some(store::AGREED), NONE, none)),
            (push(), Some(9), true, (Some("edit_up"), "corrected", units(2))),
            (push(), Some(6), true, (Some("edit_down"), "withheld", units(-1))),
            (pushed, Some(6), true, (Some("lost_update"), "corrected", units(-1))),
            (push(), Some(9), false, (None, NONE, none)),
            (doubtful, Some(9), true, (None, NONE, none)),
            (unknown, Some(9), true, (Some(FIRST_LOOK), NONE, none)),
            (StockPush::default(), Some(9), true, (Some(FIRST_LOOK), NONE, none)),
            (push(), None, true, (Some(NOT_MANAGED), NONE, none)),
        ];
        for (push, quantity, quiet, found) in rows {
            assert_eq!(
                compare(push.clone(), &row(), &shown(quantity), quiet, DriftPolicy::Correct),
                found,
                "{push:?} {quantity:?}"
            );
        }
    }
}
