//! What alerts say: what is the case and what to do about it, in plain words.

use push::{DriftAction, DriftClass};
use store::{AlertKind, Approval, DriftRow, ShopWaiting};
use values::{HolderId, Quantity, Sku};

/// A webhook says that its owner sees no orders.
pub(super) fn blind(shop: &str) -> String {
    format!(
        "A webhook of shop {shop} says that the user it belongs to may no longer see orders, so it tells of none. Make an \
         administrator of the shop the owner of the webhook and of the key, or give onhand a new key with `onhand shop set \
         {shop}`."
    )
}

/// The shop does not answer, or not well. `cause` is a code, `failure` plain words.
pub(super) fn unreachable(shop: &str, cause: Option<&str>, failure: Option<&str>) -> String {
    let why = why(cause, failure);
    format!(
        "Shop {shop} cannot be called{why}. Nothing is read from it and its stock is not changed until it can: what it sells \
         meanwhile is known late. See whether the shop is up; `onhand shop test {shop}` says what is in the way."
    )
}

/// The shop refuses who calls.
pub(super) fn refuses(shop: &str, cause: Option<&str>, failure: Option<&str>) -> String {
    let why = why(cause, failure);
    format!(
        "Shop {shop} refuses what onhand sends{why}. Its stock is not changed until somebody acts: give onhand a valid key \
         with read and write permission (`onhand shop set {shop}`), or let it through the firewall of the shop. `onhand shop \
         test {shop}` says what is in the way."
    )
}

/// After "cannot be called", before a full stop.
fn why(cause: Option<&str>, failure: Option<&str>) -> String {
    let failure = failure.map(|failure| failure.trim().trim_end_matches('.')).filter(|text| !text.is_empty());
    match (failure, cause) {
        (Some(failure), _) => format!(": {failure}"),
        (None, Some(cause)) => format!(": {}", cause_in_words(cause)),
        (None, None) => String::new(),
    }
}

/// What the lane's codes mean.
fn cause_in_words(cause: &str) -> &str {
    match cause {
        "dns" => "its name leads nowhere",
        "address_refused" => "its address is one that is never called",
        "connect" | "connect_timeout" => "nobody answers at its address",
        "tls" => "its certificate is not valid",
        "key_unknown" => "it does not know the key",
        "secret_wrong" => "the secret does not belong to the key",
        "no_read_permission" => "the key may not read",
        "no_write_permission" => "the key may not write",
        "signature_invalid" => "it does not accept the signature",
        "clock_skew" => "its clock and ours are too far apart",
        "user_lacks_rights" => "the key's user lacks rights",
        "firewall" => "a firewall stands before it",
        "access_refused" | "refused" => "it refuses access",
        "redirected" => "it sends callers to another address",
        "rate_limited" => "it asked for a pause",
        "unavailable" => "it says that it is not available",
        "server_error" => "it fails inside",
        "timeout" => "it does not answer in time",
        "cut" => "it cuts connections off",
        "bad_reply" => "it answers something that makes no sense",
        "settings" => "its settings cannot be used",
        other => other,
    }
}

/// A stock that takes no pushes.
pub(super) fn blocked(shop: &str, holder: HolderId, sku: Option<&Sku>, cause: &str) -> String {
    let of = sku.map_or_else(String::new, |sku| format!(" ({sku})"));
    let (why, todo) = match cause {
        "unmanaged" => ("the shop keeps no quantity for it", "Switch on `Manage stock?` for it in the shop"),
        "at_parent" => {
            ("its quantity is kept at its product", "Switch on `Manage stock?` for it in the shop")
        }
        "unknown" => {
            ("the shop no longer knows it", "Restore it in the shop, or leave it if it is not sold any more")
        }
        "wrong_parent" => ("it belongs to another product by now", "Have the catalogue read again"),
        "not_whole" => ("the shop counts it in whole units only", "Correct its stock to whole units"),
        "not_allowed" => {
            ("the key's user may not change it", "Give the user of the key the right to edit products")
        }
        _ => ("the shop refuses to change it", "See what is special about it in the shop"),
    };
    format!(
        "Stock {holder}{of} of shop {shop} is not kept up to date: {why}. {todo}; `onhand shop sync {shop}` has it looked at \
         again."
    )
}

/// More stocks than have an alert of their own.
pub(super) fn more_blocked(shop: &str, told: usize) -> String {
    format!(
        "More than {told} stocks of shop {shop} are not kept up to date; the first have alerts of their own. If `Manage stock?` \
         is off for many products, switch it on in the shop and run `onhand shop sync {shop}`."
    )
}

/// A shop showed something that neither its orders nor onhand made it show.
pub(super) fn drift(shop: &str, row: &DriftRow) -> String {
    let of = row.sku.as_ref().map_or_else(String::new, |sku| format!(" ({sku})"));
    let numbers = match (row.shown, row.expected) {
        (Some(shown), Some(expected)) => format!("showed {shown} where it should have shown {expected}"),
        (Some(shown), None) => format!("showed {shown}"),
        (None, _) => "keeps no quantity any more".to_owned(),
    };
    let why = match row.class {
        DriftClass::EditUp => "somebody, or another program, raised it in the shop",
        DriftClass::EditDown => "somebody, or another program, lowered it in the shop",
        DriftClass::BulkEdit => "an import, or many edits at once, changed it in the shop",
        DriftClass::Unmanaged => "`Manage stock?` was switched off",
        DriftClass::Unsettled => {
            "it could not be compared with proof for long, so what it shows is not certain"
        }
        DriftClass::LostUpdate | DriftClass::DoubtfulCall => {
            "a sale fell into a push, or a push was never answered"
        }
    };
    let done = match row.action {
        DriftAction::Corrected => " onhand puts it right.",
        DriftAction::Withheld => " It stays as it was set.",
        DriftAction::Adopting | DriftAction::Adopted => " The ledger takes it over.",
        DriftAction::Alerted => " Nothing was changed: decide with `onhand drift decide`.",
        DriftAction::None => "",
    };
    format!(
        "Stock {}{of} of shop {shop} {numbers}: {why}.{done} Stock is best changed with `onhand stock`; `onhand drift list {shop}` \
         lists what was found.",
        row.stock.holder
    )
}

/// More stocks than have an alert of their own.
pub(super) fn more_drifts(shop: &str, told: usize) -> String {
    format!(
        "More than {told} stocks of shop {shop} showed something else than they should have within a day; the first have alerts \
         of their own. `onhand drift list {shop}` lists all."
    )
}

/// More of a SKU was sold than there is.
pub(super) fn short(sku: &Sku, missing: impl Iterator<Item = (String, Quantity)>) -> String {
    let missing: Vec<String> =
        missing.map(|(warehouse, quantity)| format!("{quantity} in {warehouse}")).collect();
    format!(
        "More of {sku} is promised to orders than there is: {} missing. Bring some in (`onhand stock receive` or `onhand stock \
         transfer`), or cancel orders in their shop; `onhand explain {sku}` lists them.",
        missing.join(", ")
    )
}

/// More SKUs than have an alert of their own.
pub(super) fn more_short(told: u32) -> String {
    format!(
        "More is promised than there is of more than {told} SKUs; the first have alerts of their own. Was stock ever counted \
         or imported (`onhand stock import`)?"
    )
}

/// What is counted by shop.
pub(super) fn waiting(waiting: &ShopWaiting, shop: Option<&str>) -> String {
    let ShopWaiting { kind, count, first, .. } = *waiting;
    let one = count == 1;
    let (of, name) =
        (shop.map_or_else(String::new, |shop| format!(" of shop {shop}")), shop.unwrap_or("SHOP"));
    match kind {
        AlertKind::ParkedLines => format!(
            "{count} order {}{of} {} not counted, since nobody knows which SKU was sold or the line cannot be read; one is in \
             order {first}. `onhand parked list` says why; map what is sold with `onhand parked map {name} PRODUCT SKU`.",
            if one { "line" } else { "lines" },
            if one { "is" } else { "are" },
        ),
        AlertKind::DeadMessages => format!(
            "{count} {}{of} could not be applied and {} put aside, the first has the number {first}. While one is about orders no \
             comparison of stock is trusted. `onhand parked list` lists them; try again with `onhand parked replay {first}`, or \
             give it up with `onhand parked discard {first}`.",
            if one { "message" } else { "messages" },
            if one { "was" } else { "were" },
        ),
        AlertKind::ShipmentsGivenUp => format!(
            "{count} {}{of} {} sent and the shop could not be told; one is of order {first}. `onhand order untold` says why; tell the \
             shop again with `onhand order retry {name} {first}`, or set the order's status there.",
            if one { "shipment" } else { "shipments" },
            if one { "was" } else { "were" },
        ),
        _ => format!(
            "{count} {}{of} still {} stock although the shop no longer knows {}, or was removed; one is order {first}. If the \
             goods are not to be sent, let go with `onhand order release {name} {first}`.",
            if one { "order" } else { "orders" },
            if one { "holds" } else { "hold" },
            if one { "it" } else { "them" },
        ),
    }
}

/// What waits for consent.
pub(super) fn approvals(waiting: &[Approval]) -> String {
    let Some(first) = waiting.first() else { return String::new() };
    let others = match waiting.len() {
        0 | 1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    format!(
        "Something too large to be done unasked waits for consent: {}{others}. See `onhand approve list`; consent with `onhand \
         approve {}`, or refuse with `onhand approve {} --refuse`.",
        first.summary.trim_end_matches('.'),
        first.id,
        first.id
    )
}

#[cfg(test)]
mod tests {
    use values::ShopId;

    use super::*;

    #[test]
    fn one_is_one_and_two_are_two() {
        let of = |kind, count| {
            waiting(&ShopWaiting { kind, shop: ShopId::new(1), count, first: 17 }, Some("berlin"))
        };
        assert!(of(AlertKind::ParkedLines, 1).starts_with("1 order line of shop berlin is not counted"));
        assert!(of(AlertKind::ParkedLines, 2).starts_with("2 order lines of shop berlin are not counted"));
        assert!(
            of(AlertKind::DeadMessages, 1)
                .starts_with("1 message of shop berlin could not be applied and was")
        );
        assert!(of(AlertKind::ShipmentsGivenUp, 1).contains("`onhand order retry berlin 17`"));
        let orphaned = of(AlertKind::OrphanedOrders, 3);
        assert!(orphaned.starts_with("3 orders of shop berlin still hold stock"), "{orphaned}");
        assert!(orphaned.contains("onhand order release berlin 17"), "{orphaned}");
    }

    #[test]
    fn plain_words_go_before_codes() {
        let said = unreachable("berlin", Some("timeout"), Some("The shop answered 503."));
        assert!(said.starts_with("Shop berlin cannot be called: The shop answered 503. Nothing"), "{said}");
        let said = refuses("berlin", Some("key_unknown"), None);
        assert!(said.contains("refuses what onhand sends: it does not know the key."), "{said}");
        assert!(unreachable("berlin", None, Some(" ")).starts_with("Shop berlin cannot be called. "));
    }

    #[test]
    fn what_is_missing_is_said_by_warehouse() {
        let missing =
            [("main".to_owned(), Quantity::from_units(2)), ("annex".to_owned(), Quantity::from_units(1))];
        let said = short(&"TEE".parse().unwrap(), missing.into_iter());
        assert!(
            said.contains("More of TEE is promised to orders than there is: 2 in main, 1 in annex missing."),
            "{said}"
        );
    }
}
