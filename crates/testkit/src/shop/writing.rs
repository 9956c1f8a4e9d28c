//! The steps in which a change is written.

use values::{HolderId, LineId, OrderId, Timestamp};

use super::webhooks::Due;
use super::{Change, NewLine, NewOrder, Outcome, ProductEdit, Refusal, Shop, Status, Topic, to_second};

/// A change under way: what is still to be written, and what its end will queue.
#[derive(Debug, Clone)]
#[must_use = "a writing that is not stepped to its end is a PHP process that died"]
pub struct Writing {
    /// Last one first.
    steps: Vec<Step>,
    pub(super) events: Vec<Due>,
    pub(super) outcome: Outcome,
    /// No `order.*` fires: a status put on a trashed order.
    pub(super) silent: bool,
    /// Stock the storefront holds for it.
    pub(super) held: Vec<(HolderId, i64)>,
}

impl Writing {
    /// What it has made so far.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// Whether there is more to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is.
    More,
    /// The request is answered and its deliveries are queued.
    Done,
}

/// One statement, or a few that nobody can see between.
#[derive(Debug, Clone)]
pub(super) enum Step {
    InsertOrder(Box<NewOrder>),
    InsertLines(OrderId, Vec<NewLine>),
    SaveOrder(OrderId),
    StatusRow(OrderId, Status),
    PaymentComplete(OrderId),
    Placed(OrderId, std::sync::Arc<str>),
    TakeStock(OrderId, LineId),
    TakenMeta(OrderId, LineId, Option<i64>),
    GiveStock(OrderId, LineId),
    StockHandled(OrderId, bool),
    LineQuantity(OrderId, LineId, i64),
    AdjustStock(OrderId, LineId, i64),
    AddedLine(OrderId, NewLine),
    TakenLine(OrderId, NewLine, Option<i64>),
    DropLine(OrderId, LineId),
    InsertRefund { order: OrderId, lines: Vec<(LineId, i64)>, amount: i64, reason: &'static str },
    Restock(OrderId, LineId, i64),
    RestockedMeta(OrderId, LineId, i64),
    RefundedInFull(OrderId),
    DropRefund(OrderId, i64),
    TrashRow(OrderId),
    UntrashRow(OrderId),
    DropOrder(OrderId),
    ReadProduct(HolderId, Box<ProductEdit>),
    WriteProduct(HolderId, Box<ProductEdit>, Option<i64>),
    SilentStock(HolderId, i64),
    Product(Box<Change>),
    EndRequest,
}

impl Shop {
    /// Checks a change and plans it; nothing is written yet (the storefront's hold on stock excepted).
    pub fn begin(&mut self, change: Change, now: Timestamp) -> Result<Writing, Refusal> {
        let mut writing = Writing {
            steps: Vec::new(),
            events: Vec::new(),
            outcome: Outcome::default(),
            silent: false,
            held: Vec::new(),
        };
        let mut steps = match change {
            Change::CreateOrder(_)
            | Change::OpenCheckout(_)
            | Change::Checkout { .. }
            | Change::SetStatus { .. }
            | Change::PaymentComplete(_)
            | Change::CleanUpDrafts
            | Change::CancelUnpaid { .. }
            | Change::Trash(_)
            | Change::Untrash(_)
            | Change::DeleteForever(_)
            | Change::TouchOrder(_) => self.plan_order(change, &mut writing, now)?,
            Change::EditLine { .. }
            | Change::AddLine { .. }
            | Change::RemoveLine { .. }
            | Change::Refund { .. }
            | Change::RefundAmount { .. }
            | Change::DeleteRefund { .. } => self.plan_edit(change, &mut writing)?,
            change => self.plan_product(change, &mut writing)?,
        };
        steps.push(Step::EndRequest);
        steps.reverse();
        writing.steps = steps;
        Ok(writing)
    }

    /// Writes the next step.
    pub fn step(&mut self, writing: &mut Writing, now: Timestamp) -> Progress {
        match writing.steps.pop() {
            Some(Step::EndRequest) | None => {
                self.unreserve(&std::mem::take(&mut writing.held));
                self.enqueue(writing);
                writing.steps.clear();
                return Progress::Done;
            }
            Some(step) => self.write(writing, step, now),
        }
        Progress::More
    }

    /// Does all steps at once.
    pub fn run(&mut self, change: Change, now: Timestamp) -> Result<Outcome, Refusal> {
        let mut writing = self.begin(change, now)?;
        while self.step(&mut writing, now) == Progress::More {}
        Ok(writing.outcome)
    }

    fn write(&mut self, writing: &mut Writing, step: Step, now: Timestamp) {
        match step {
            Step::InsertOrder(new) => self.write_new_order(writing, *new, now),
            Step::InsertLines(order, lines) => {
                for line in &lines {
                    self.insert_line(order, line);
                }
            }
            Step::SaveOrder(order) => {
                self.save_order(writing, order, now);
                writing.outcome.order = Some(order);
            }
            Step::StatusRow(order, status) => self.write_status(writing, order, status, now),
            Step::PaymentComplete(order) => self.complete_payment(writing, order, now),
            Step::Placed(order, payment_method) => {
                if let Some(row) = self.orders.get_mut(&order) {
                    row.status = Status::Pending;
                    row.payment_method = payment_method;
                    self.save_order(writing, order, now);
                    self.emit(writing, Topic::OrderCreated, order.get());
                }
            }
            Step::StockHandled(order, reduced) => {
                if let Some(row) = self.orders.get_mut(&order) {
                    row.stock_reduced = reduced;
                }
                self.save_order(writing, order, now);
            }
            Step::TrashRow(_) | Step::UntrashRow(_) | Step::DropOrder(_) => {
                self.write_trash(writing, &step, now);
            }
            Step::ReadProduct(holder, edit) => {
                let read = self.products.get(&holder).and_then(|row| row.stock);
                writing.steps.push(Step::WriteProduct(holder, edit, read));
            }
            Step::WriteProduct(holder, edit, read) => {
                writing.outcome.product = Some(holder);
                self.write_product(writing, holder, *edit, read, now);
            }
            Step::SilentStock(holder, quantity) => {
                if let Some(row) = self.products.get_mut(&holder) {
                    row.stock = Some(quantity);
                }
            }
            Step::Product(change) => self.write_catalogue(writing, *change, now),
            Step::InsertRefund { order, lines, amount, reason } => {
                writing.outcome.order = Some(order);
                writing.outcome.refund = self.insert_refund(order, &lines, amount, reason, now);
            }
            Step::RefundedInFull(order) => self.write_refunded(writing, order),
            Step::DropRefund(order, refund) => {
                if let Some(row) = self.orders.get_mut(&order) {
                    row.refunds.retain(|other| other.id.0 != refund);
                }
                writing.outcome.order = Some(order);
            }
            Step::EndRequest => {}
            step => self.write_line(writing, step, now),
        }
    }

    /// An order of which nothing remains to be refunded becomes refunded.
    fn write_refunded(&mut self, writing: &mut Writing, order: OrderId) {
        let full = |row: &super::orders::Order| row.remaining_cents() <= 0 && row.status != Status::Refunded;
        if self.orders.get(&order).is_some_and(full) {
            writing.steps.push(Step::StatusRow(order, Status::Refunded));
        }
    }

    /// The steps at one line of an order. Stock and the line's meta are written apart, in that order.
    fn write_line(&mut self, writing: &mut Writing, step: Step, now: Timestamp) {
        match step {
            Step::TakeStock(order, line) => {
                if let Some(taken) = self.take_for_line(writing, order, line, now) {
                    writing.steps.push(Step::TakenMeta(order, line, Some(taken)));
                }
            }
            Step::GiveStock(order, line) => {
                let given = self.give_for_line(writing, order, line, now);
                writing.steps.extend(given.then_some(Step::TakenMeta(order, line, None)));
            }
            Step::TakenMeta(order, line, reduced) => {
                if let Some(line) = self.orders.get_mut(&order).and_then(|row| row.line_mut(line)) {
                    line.reduced = reduced;
                }
            }
            Step::LineQuantity(order, line, quantity) => {
                if let Some(line) = self.orders.get_mut(&order).and_then(|row| row.line_mut(line)) {
                    line.quantity = quantity;
                }
            }
            Step::AdjustStock(order, line, quantity) => {
                if let Some(reduced) = self.adjust_for_line(writing, order, line, quantity, now) {
                    writing.steps.push(Step::TakenMeta(order, line, Some(reduced)));
                }
            }
            Step::AddedLine(order, new) => self.write_added_line(writing, order, new, now),
            Step::TakenLine(order, new, taken) => {
                let line = self.insert_line(order, &new);
                let row = self.orders.get_mut(&order).zip(line).and_then(|(row, line)| row.line_mut(line));
                if let Some(row) = row {
                    row.reduced = taken;
                }
            }
            Step::DropLine(order, line) => {
                if let Some(row) = self.orders.get_mut(&order) {
                    row.lines.retain(|other| other.id != line);
                }
            }
            Step::Restock(order, line, units) => {
                let restocked = self.restock_for_line(writing, order, line, units, now);
                writing.steps.extend(restocked.then_some(Step::RestockedMeta(order, line, units)));
            }
            Step::RestockedMeta(order, line, units) => {
                if let Some(line) = self.orders.get_mut(&order).and_then(|row| row.line_mut(line)) {
                    line.reduced = Some(line.reduced.unwrap_or(0) - units);
                    line.restocked = Some(line.restocked.unwrap_or(0) + units);
                }
            }
            _ => {}
        }
    }

    fn write_new_order(&mut self, writing: &mut Writing, new: NewOrder, now: Timestamp) {
        let draft = new.status == Status::CheckoutDraft;
        let row_status = if draft { Status::CheckoutDraft } else { Status::Pending };
        let order = self.insert_order(&new, row_status, now);
        writing.outcome.order = Some(order);
        if !draft {
            self.emit(writing, Topic::OrderCreated, order.get());
        }
        if new.set_paid {
            writing.steps.push(Step::PaymentComplete(order));
        }
        if new.status != row_status {
            writing.steps.push(Step::StatusRow(order, new.status));
        }
        writing.steps.push(Step::SaveOrder(order));
        writing.steps.push(Step::InsertLines(order, new.lines));
    }

    fn complete_payment(&mut self, writing: &mut Writing, order: OrderId, now: Timestamp) {
        let Some(row) = self.orders.get_mut(&order) else {
            return;
        };
        row.paid = Some(to_second(now));
        let status = if &*row.payment_method == "cod" { Status::Completed } else { Status::Processing };
        if matches!(row.status, Status::Pending | Status::OnHold | Status::Failed | Status::Cancelled) {
            writing.steps.push(Step::StatusRow(order, status));
        }
    }

    /// The status and the date first; what the status does to stock follows.
    fn write_status(&mut self, writing: &mut Writing, order: OrderId, status: Status, now: Timestamp) {
        writing.outcome.order = Some(order);
        let Some(row) = self.orders.get_mut(&order) else {
            return;
        };
        let changed = row.status != status;
        row.status = status;
        let (stock_reduced, remaining) = (row.stock_reduced, row.remaining_cents());
        let lines: Vec<LineId> = row.lines.iter().rev().map(|line| line.id).collect();
        self.save_order(writing, order, now);
        if !changed {
            return;
        }
        if status.takes_stock() && !stock_reduced {
            writing.steps.push(Step::StockHandled(order, true));
            writing.steps.extend(lines.into_iter().map(|line| Step::TakeStock(order, line)));
        } else if status.gives_back() && stock_reduced {
            writing.steps.push(Step::StockHandled(order, false));
            writing.steps.extend(lines.into_iter().map(|line| Step::GiveStock(order, line)));
        } else if status == Status::Refunded && remaining > 0 {
            writing.steps.push(Step::InsertRefund {
                order,
                lines: Vec::new(),
                amount: remaining,
                reason: "Order fully refunded.",
            });
        }
    }

    /// A line added to an order that has taken stock: stock first, then the line together with its meta.
    fn write_added_line(&mut self, writing: &mut Writing, order: OrderId, new: NewLine, now: Timestamp) {
        let holder = new.variation.map_or_else(|| new.product.into(), HolderId::from);
        let keeper = self.stock_holder(holder).filter(|_| self.orders.contains_key(&order));
        if let Some(keeper) = keeper {
            self.move_stock(writing, keeper, -new.quantity, now);
        }
        let taken = keeper.map(|_| new.quantity);
        writing.steps.push(Step::TakenLine(order, new, taken));
    }

    fn write_trash(&mut self, writing: &mut Writing, step: &Step, now: Timestamp) {
        let (Step::TrashRow(order) | Step::UntrashRow(order) | Step::DropOrder(order)) = *step else {
            return;
        };
        writing.outcome.order = Some(order);
        let Some(row) = self.orders.get_mut(&order) else {
            return;
        };
        match step {
            Step::TrashRow(_) => {
                row.trashed_from = row.status;
                row.status = Status::Trash;
                self.touch(order, now);
                self.emit(writing, Topic::OrderDeleted, order.get());
                if self.options.orders_in_posts {
                    self.emit(writing, Topic::ProductDeleted, order.get());
                }
            }
            Step::UntrashRow(_) => {
                row.status = row.trashed_from;
                self.touch(order, now);
                self.emit(writing, Topic::OrderRestored, order.get());
            }
            _ => self.remove_order(order),
        }
    }

    fn write_catalogue(&mut self, writing: &mut Writing, change: Change, now: Timestamp) {
        match change {
            Change::CreateProduct(new) => {
                let holder = self.insert_product(new, now);
                writing.outcome.product = Some(holder);
                self.emit(writing, Topic::ProductCreated, holder.get());
            }
            Change::CreateVariation { parent, variation } => {
                let holder = self.insert_variation(parent, variation, now);
                writing.outcome.product = Some(holder);
                self.emit(writing, Topic::ProductCreated, holder.get());
            }
            Change::TrashProduct(holder) => self.trash_product(writing, holder, now),
            Change::UntrashProduct(holder) => self.untrash_product(writing, holder, now),
            Change::DeleteProduct(holder) => self.delete_product(holder, now),
            Change::TrashPage => {
                let id = self.take_id();
                self.emit(writing, Topic::ProductDeleted, id);
            }
            _ => {}
        }
    }
}
