//! What a change will write: checked, refused or planned as steps.

use std::time::Duration;

use values::{HolderId, LineId, OrderId, Timestamp};

use super::orders::Order;
use super::writing::Step;
use super::{Change, NewLine, NewOrder, ProductEdit, Refusal, Shop, Status, Writing};

/// Age at which the daily clean-up deletes a checkout draft.
const DRAFT_AGE_MAX: Duration = Duration::from_hours(24);

impl Shop {
    fn status_of(&self, order: OrderId) -> Result<Status, Refusal> {
        self.orders.get(&order).map(|row| row.status).ok_or(Refusal::UnknownOrder(order))
    }

    fn live(&self, order: OrderId) -> Result<Status, Refusal> {
        match self.status_of(order)? {
            Status::Trash => Err(Refusal::WrongStatus(order, Status::Trash)),
            status => Ok(status),
        }
    }

    pub(super) fn plan_order(
        &mut self,
        change: Change,
        writing: &mut Writing,
        now: Timestamp,
    ) -> Result<Vec<Step>, Refusal> {
        let steps = match change {
            Change::CreateOrder(new) => {
                if new.created_via.is_storefront() {
                    writing.held = self.reserve(&new.lines)?;
                }
                vec![Step::InsertOrder(Box::new(new))]
            }
            Change::OpenCheckout(new) => {
                let new = NewOrder { status: Status::CheckoutDraft, ..new };
                vec![Step::InsertOrder(Box::new(new))]
            }
            Change::Checkout { order, status, payment_method } => {
                let found = self.status_of(order)?;
                if found != Status::CheckoutDraft {
                    return Err(Refusal::WrongStatus(order, found));
                }
                writing.held = self.reserve(&self.cart_of(order))?;
                vec![
                    Step::SaveOrder(order),
                    Step::Placed(order, payment_method),
                    Step::StatusRow(order, status),
                ]
            }
            Change::SetStatus { order, status } => {
                let found = self.status_of(order)?;
                if matches!(status, Status::Trash | Status::CheckoutDraft) {
                    return Err(Refusal::WrongStatus(order, found));
                }
                writing.silent = found == Status::Trash && !self.options.orders_in_posts;
                vec![Step::StatusRow(order, status)]
            }
            Change::Trash(order) => {
                self.live(order)?;
                vec![Step::TrashRow(order)]
            }
            Change::Untrash(order) => match self.status_of(order)? {
                Status::Trash => vec![Step::UntrashRow(order)],
                found => return Err(Refusal::WrongStatus(order, found)),
            },
            Change::DeleteForever(order) => {
                self.status_of(order)?;
                vec![Step::DropOrder(order)]
            }
            Change::PaymentComplete(order) => {
                self.live(order)?;
                vec![Step::PaymentComplete(order), Step::SaveOrder(order)]
            }
            Change::TouchOrder(order) => {
                self.live(order)?;
                vec![Step::SaveOrder(order)]
            }
            Change::CleanUpDrafts => {
                let stale = self.orders_of(Status::CheckoutDraft, DRAFT_AGE_MAX, false, now);
                stale.into_iter().map(Step::DropOrder).collect()
            }
            Change::CancelUnpaid { hold } => {
                let unpaid = self.orders_of(Status::Pending, hold, true, now);
                unpaid.into_iter().map(|order| Step::StatusRow(order, Status::Cancelled)).collect()
            }
            _ => Vec::new(),
        };
        Ok(steps)
    }

    fn orders_of(&self, status: Status, age: Duration, storefront: bool, now: Timestamp) -> Vec<OrderId> {
        let rows = self.orders.values().filter(|row| {
            row.status == status
                && row.modified < now - age
                && (!storefront || row.created_via.is_storefront())
        });
        rows.map(|row| row.id).collect()
    }

    fn cart_of(&self, order: OrderId) -> Vec<NewLine> {
        let lines = self.orders.get(&order).map_or(&[][..], |row| &row.lines);
        let cart = lines.iter().map(|line| NewLine {
            product: line.product,
            variation: line.variation,
            quantity: line.quantity,
            total: None,
        });
        cart.collect()
    }

    pub(super) fn plan_edit(&self, change: Change, writing: &mut Writing) -> Result<Vec<Step>, Refusal> {
        let steps = match change {
            Change::EditLine { order, line, quantity } => {
                let adjusts = self.line_status(order, line)?.takes_stock();
                let mut steps = vec![Step::LineQuantity(order, line, quantity)];
                if adjusts {
                    steps.push(Step::AdjustStock(order, line, quantity));
                }
                steps.push(Step::SaveOrder(order));
                steps
            }
            Change::AddLine { order, line } => {
                if self.live(order)?.takes_stock() {
                    vec![Step::AddedLine(order, line), Step::SaveOrder(order)]
                } else {
                    vec![Step::SaveOrder(order), Step::InsertLines(order, vec![line])]
                }
            }
            Change::RemoveLine { order, line } => {
                self.line_status(order, line)?;
                vec![Step::AdjustStock(order, line, 0), Step::SaveOrder(order), Step::DropLine(order, line)]
            }
            change => self.plan_refund(change, writing)?,
        };
        Ok(steps)
    }

    fn line_status(&self, order: OrderId, line: LineId) -> Result<Status, Refusal> {
        let status = self.live(order)?;
        let row = self.orders.get(&order).ok_or(Refusal::UnknownOrder(order))?;
        row.line(line).map(|_| status).ok_or(Refusal::UnknownLine(order, line))
    }

    fn plan_refund(&self, change: Change, writing: &mut Writing) -> Result<Vec<Step>, Refusal> {
        let steps = match change {
            Change::Refund { order, lines, amount, restock } => {
                for (line, _) in &lines {
                    self.line_status(order, *line)?;
                }
                let amount =
                    self.refundable(order, amount.unwrap_or_else(|| self.price_of(order, &lines)))?;
                let mut steps = vec![Step::InsertRefund { order, lines: lines.clone(), amount, reason: "" }];
                if restock {
                    steps.extend(lines.iter().map(|(line, units)| Step::Restock(order, *line, *units)));
                }
                steps.extend([Step::RefundedInFull(order), Step::SaveOrder(order)]);
                steps
            }
            Change::RefundAmount { order, amount } => {
                self.live(order)?;
                let all = self.orders.get(&order).map_or(0, Order::remaining_cents);
                let amount = self.refundable(order, amount.unwrap_or(all))?;
                vec![
                    Step::InsertRefund { order, lines: Vec::new(), amount, reason: "" },
                    Step::RefundedInFull(order),
                    Step::SaveOrder(order),
                ]
            }
            Change::DeleteRefund { order, refund } => {
                self.status_of(order)?;
                let row = self.orders.get(&order).ok_or(Refusal::UnknownOrder(order))?;
                if !row.refunds.iter().any(|other| other.id == refund) {
                    return Err(Refusal::UnknownRefund(order, refund.0));
                }
                writing.outcome.refund = Some(refund);
                vec![Step::DropRefund(order, refund.0)]
            }
            _ => Vec::new(),
        };
        Ok(steps)
    }

    fn refundable(&self, order: OrderId, amount: i64) -> Result<i64, Refusal> {
        self.live(order)?;
        let remaining = self.orders.get(&order).map_or(0, Order::remaining_cents);
        if amount <= remaining && amount >= 0 {
            Ok(amount)
        } else {
            Err(Refusal::InvalidRefundAmount(order, remaining))
        }
    }

    fn price_of(&self, order: OrderId, lines: &[(LineId, i64)]) -> i64 {
        let Some(row) = self.orders.get(&order) else {
            return 0;
        };
        let price = |(line, units): &(LineId, i64)| {
            row.line(*line).map_or(0, |line| line.total_cents.saturating_mul(*units) / line.quantity.max(1))
        };
        lines.iter().map(price).sum()
    }

    pub(super) fn plan_product(&self, change: Change, writing: &mut Writing) -> Result<Vec<Step>, Refusal> {
        let edit = |holder: HolderId, edit: ProductEdit| {
            if !self.products.contains_key(&holder) {
                return Err(Refusal::UnknownProduct(holder));
            }
            if let Some(sku) = &edit.sku {
                self.check_sku(sku.as_ref(), Some(holder))?;
            }
            Ok(vec![Step::ReadProduct(holder, Box::new(edit))])
        };
        match change {
            Change::SetStock { holder, quantity } => {
                edit(holder, ProductEdit { stock: Some(quantity), ..ProductEdit::default() })
            }
            Change::DeltaStock { holder, delta } => {
                edit(holder, ProductEdit { delta: Some(delta), ..ProductEdit::default() })
            }
            Change::RenameSku { holder, sku } => {
                edit(holder, ProductEdit { sku: Some(sku), ..ProductEdit::default() })
            }
            Change::SetManageStock { holder, manage } => {
                edit(holder, ProductEdit { manage: Some(manage), ..ProductEdit::default() })
            }
            Change::SaveProduct { holder, edit: wanted } => edit(holder, wanted),
            Change::SetStockSilently { holder, quantity } => Ok(vec![Step::SilentStock(holder, quantity)]),
            Change::CreateProduct(new) => {
                self.check_sku(new.sku.as_ref(), None)?;
                Ok(vec![Step::Product(Box::new(Change::CreateProduct(new)))])
            }
            Change::CreateVariation { parent, variation } => {
                self.check_sku(variation.sku.as_ref(), None)?;
                if !self.products.contains_key(&parent.into()) {
                    return Err(Refusal::UnknownProduct(parent.into()));
                }
                Ok(vec![Step::Product(Box::new(Change::CreateVariation { parent, variation }))])
            }
            Change::TrashProduct(holder) | Change::UntrashProduct(holder) | Change::DeleteProduct(holder) => {
                if !self.products.contains_key(&holder) {
                    return Err(Refusal::UnknownProduct(holder));
                }
                writing.outcome.product = Some(holder);
                Ok(vec![Step::Product(Box::new(change))])
            }
            change => Ok(vec![Step::Product(Box::new(change))]),
        }
    }
}
