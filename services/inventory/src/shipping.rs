//! Shipments: what an order reserves leaves, and its shop is told of it.

use std::fmt::Write as _;
use std::sync::Arc;

use ledger::{NotShipped, Parcel, ShipOutcome};
use sha2::{Digest, Sha256};
use store::{
    InventoryTx, KeyState, OperationKey, OperationRecord, OrderRow, Shipment, ShipmentId, ShippedLine, Shop,
    ShopState,
};
use values::{LineId, OrderId, Quantity, ShopId, Timestamp};

use crate::operations::Requester;
use crate::work::{Occasion, Scope, Work};

/// A parcel to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShipmentRequest {
    /// Who asks.
    pub requester: Requester,
    /// The caller's own key: the same request sent again has no further effect.
    pub key: String,
    /// The shop.
    pub shop: ShopId,
    /// The order.
    pub order: OrderId,
    /// What is in it; nothing: all that the order still reserves.
    pub lines: Vec<(LineId, Quantity)>,
    /// How it travels.
    pub carriage: Carriage,
}

/// How a parcel travels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Carriage {
    /// Who carries it.
    pub carrier: Option<String>,
    /// Its number there.
    pub tracking: Option<String>,
    /// Where it can be followed.
    pub tracking_url: Option<String>,
}

/// What shipping came to. Only if it was done now was anything done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shipped {
    /// It is on its way.
    Done(ShipmentId),
    /// The same was asked for under this key before, and this was the shipment.
    Repeated(ShipmentId),
    /// Something else was done under this key before.
    Conflict,
    /// There is no such order.
    Unknown,
    /// The order reserves nothing.
    NothingLeft,
    /// The order is cancelled in its shop, or is none yet.
    NotOpen {
        /// Its status.
        status: String,
    },
    /// These lines stand in the way.
    Refused(Vec<NotShipped>),
}

/// Ships within `tx`; to be committed only if it was done.
pub(crate) async fn ship(
    tx: &mut InventoryTx,
    request: &ShipmentRequest,
    now: Timestamp,
) -> Result<Shipped, store::Error> {
    let (shop, order) = (request.shop, request.order);
    let key = OperationKey { actor: request.requester.actor.clone(), key: request.key.clone() };
    let digest = digest(request);
    match tx.operation_keys(&[(key.clone(), digest)]).await?.pop() {
        None | Some(KeyState::New) => {}
        Some(KeyState::Same(number)) => {
            // The first is one that was certainly made.
            let number = number.parse().unwrap_or(1);
            return Ok(Shipped::Repeated(ShipmentId { shop, order, number }));
        }
        Some(KeyState::Conflict) => return Ok(Shipped::Conflict),
    }
    let place = (shop, order);
    let mut work = Work::load(tx, Scope { orders: [place].into(), ..Scope::default() }).await?;
    if work.orders.get(&place).is_none_or(|row| row.order.applied.is_none()) {
        return Ok(Shipped::Unknown);
    }
    let occasion = Occasion {
        now,
        trace: request.requester.traceparent.as_deref().map(Arc::from),
        actor: Some(request.requester.actor.as_str().into()),
        reason: None,
        operation: Some(request.key.as_str().into()),
    };
    let parcel = if request.lines.is_empty() { Parcel::Rest } else { Parcel::Lines(&request.lines) };
    let (sent, complete) = match work.ship(place, parcel, &occasion) {
        None => return Ok(Shipped::Unknown),
        Some(ShipOutcome::NothingLeft) => return Ok(Shipped::NothingLeft),
        Some(ShipOutcome::NotOpen) => {
            let status = work.orders.get(&place).map(|row| row.order.status.clone());
            return Ok(Shipped::NotOpen { status: status.unwrap_or_default() });
        }
        Some(ShipOutcome::Refused(refused)) => return Ok(Shipped::Refused(refused)),
        Some(ShipOutcome::Shipped { sent, complete }) => (sent, complete),
    };
    let told = match (work.shops.get(&shop), work.orders.get(&place)) {
        (Some(terms), Some(row)) => Told::of(terms, row, complete, &request.carriage),
        _ => Told::default(),
    };
    let line = |sent: ledger::Sent| ShippedLine { line: sent.line, sku: sent.sku, quantity: sent.quantity };
    let new = Shipment {
        id: ShipmentId { shop, order, number: 0 },
        at: now,
        actor: request.requester.actor.clone(),
        carrier: request.carriage.carrier.clone(),
        tracking: request.carriage.tracking.clone(),
        tracking_url: request.carriage.tracking_url.clone(),
        lines: sent.into_iter().map(line).collect(),
        complete,
        revision: u64::from(told.status.is_some() || told.note.is_some()),
        status: told.status,
        note: told.note,
        trace: request.requester.traceparent.clone(),
    };
    let id = tx.add_shipment(&new).await?;
    let record = OperationRecord { key, digest, outcome: id.number.to_string(), at: now };
    work.save(tx, &[record], now).await?;
    Ok(Shipped::Done(id))
}

/// What the shop is to be told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    status: Option<String>,
    note: Option<String>,
}

impl Told {
    /// Nothing, if the shop does not know the order, or was removed.
    fn of(shop: &Shop, row: &OrderRow, complete: bool, carriage: &Carriage) -> Self {
        if row.order.gone || shop.state == ShopState::Removed {
            return Self::default();
        }
        let shipping = &shop.settings.shipping;
        let status = if complete { &shipping.shipped } else { &shipping.partly };
        Self {
            status: status.clone().filter(|status| *status != row.order.status),
            note: if shipping.note { note(complete, carriage) } else { None },
        }
    }
}

/// What the customer reads; `None`: there is nothing to say beside the status.
fn note(complete: bool, carriage: &Carriage) -> Option<String> {
    let Carriage { carrier, tracking, tracking_url } = carriage;
    if carrier.is_none() && tracking.is_none() && tracking_url.is_none() {
        return None;
    }
    let what = if complete { "Your order has been shipped" } else { "Part of your order has been shipped" };
    let mut text = what.to_owned();
    if let Some(carrier) = carrier {
        write!(text, " with {carrier}").expect("writing to a string cannot fail");
    }
    if let Some(tracking) = tracking {
        write!(text, ", tracking number {tracking}").expect("writing to a string cannot fail");
    }
    match tracking_url {
        // A full stop would become a part of the address.
        Some(url) => {
            write!(text, ": {url}").expect("writing to a string cannot fail");
        }
        None => text.push('.'),
    }
    Some(text)
}

/// Fingerprint of what is asked; it is stored, so it must not change between versions.
fn digest(request: &ShipmentRequest) -> [u8; 16] {
    let Carriage { carrier, tracking, tracking_url } = &request.carriage;
    let mut text = format!("ship {} {}\n", request.shop, request.order);
    for (line, quantity) in &request.lines {
        writeln!(text, "{line} {}", quantity.thousandths()).expect("writing to a string cannot fail");
    }
    for part in [carrier, tracking, tracking_url] {
        let said = part.as_deref().unwrap_or_default();
        writeln!(text, "{} {}:{said}", part.is_some(), said.len()).expect("writing to a string cannot fail");
    }
    let hash = Sha256::digest(text.as_bytes());
    let mut digest = [0; 16];
    digest.iter_mut().zip(hash.iter()).for_each(|(to, from)| *to = *from);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carriage(carrier: Option<&str>, tracking: Option<&str>, url: Option<&str>) -> Carriage {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Carriage { carrier: owned(carrier), tracking: owned(tracking), tracking_url: owned(url) }
    }

    #[test]
    fn what_a_customer_reads() {
        let url = "https://dhl.example/00340";
        for (complete, carriage, expected) in [
            (true, carriage(None, None, None), None),
            (
                true,
                carriage(Some("DHL"), Some("00340"), None),
                Some("Your order has been shipped with DHL, tracking number 00340."),
            ),
            (
                false,
                carriage(Some("DHL"), Some("00340"), Some(url)),
                Some(
                    "Part of your order has been shipped with DHL, tracking number 00340: https://dhl.example/00340",
                ),
            ),
            (true, carriage(None, Some("7"), None), Some("Your order has been shipped, tracking number 7.")),
            (
                true,
                carriage(None, None, Some(url)),
                Some("Your order has been shipped: https://dhl.example/00340"),
            ),
        ] {
            assert_eq!(note(complete, &carriage).as_deref(), expected);
        }
    }

    #[test]
    fn another_parcel_has_another_digest() {
        let request = |lines: &[(i64, i64)], carriage: Carriage| ShipmentRequest {
            requester: Requester::default(),
            key: "k".to_owned(),
            shop: ShopId::new(1).unwrap(),
            order: OrderId::new(7).unwrap(),
            lines: lines
                .iter()
                .map(|(line, units)| (LineId::new(*line).unwrap(), Quantity::from_units(*units)))
                .collect(),
            carriage,
        };
        let none = || carriage(None, None, None);
        let requests = [
            request(&[], none()),
            request(&[(1, 2)], none()),
            request(&[(1, 2), (1, 2)], none()),
            request(&[], carriage(Some("a"), None, None)),
            request(&[], carriage(None, Some("a"), None)),
            request(&[], carriage(Some("a\ntrue 1:b"), None, None)),
            request(&[], carriage(Some("a"), Some("b"), None)),
        ];
        for (index, one) in requests.iter().enumerate() {
            for other in requests.get(index + 1..).unwrap_or_default() {
                assert_ne!(digest(one), digest(other), "{one:?} {other:?}");
            }
            assert_eq!(digest(one), digest(&one.clone()));
        }
    }
}
