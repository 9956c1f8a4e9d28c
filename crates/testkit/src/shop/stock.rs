//! Where a quantity is kept, and how an order takes from it and gives back.

use values::{HolderId, LineId, OrderId, Timestamp};

use super::{Backorders, NewLine, Refusal, Shop, Writing};

impl Shop {
    /// The quantity a row of the catalogue shows: its own, or its parent's if that is where it is managed.
    pub fn stock(&self, holder: HolderId) -> Option<i64> {
        self.stock_holder(holder).and_then(|holder| self.products.get(&holder)).and_then(|row| row.stock)
    }

    /// The row at which the stock of `holder` is managed: itself, its parent, or none.
    pub fn stock_holder(&self, holder: HolderId) -> Option<HolderId> {
        let row = self.products.get(&holder)?;
        if row.manage {
            return Some(holder);
        }
        let parent = self.products.get(&row.parent?.into())?;
        parent.manage.then_some(parent.id)
    }

    /// The product object WooCommerce finds for a line: the variation; if that is gone the product; else none.
    pub(super) fn line_product(&self, line: &super::orders::Line) -> Option<HolderId> {
        let variation = line.variation.map(HolderId::from).filter(|id| self.products.contains_key(id));
        variation.or_else(|| Some(HolderId::from(line.product)).filter(|id| self.products.contains_key(id)))
    }

    fn line_stock(&self, order: OrderId, line: LineId) -> Option<HolderId> {
        let line = self.orders.get(&order)?.line(line)?;
        self.stock_holder(self.line_product(line)?)
    }

    /// One atomic statement: no reader or other writer comes between.
    pub(super) fn move_stock(&mut self, writing: &mut Writing, holder: HolderId, delta: i64, now: Timestamp) {
        let Some(row) = self.products.get_mut(&holder) else {
            return;
        };
        row.stock = Some(row.stock.unwrap_or(0).saturating_add(delta));
        self.product_saved(writing, holder, now);
    }

    /// Takes what a line wants, if it has not taken anything; the quantity its meta will have.
    pub(super) fn take_for_line(
        &mut self,
        writing: &mut Writing,
        order: OrderId,
        line: LineId,
        now: Timestamp,
    ) -> Option<i64> {
        let holder = self.line_stock(order, line)?;
        let row = self.orders.get(&order)?.line(line)?;
        if row.reduced.is_some_and(|reduced| reduced != 0) {
            return None;
        }
        let quantity = row.quantity;
        self.move_stock(writing, holder, -quantity, now);
        Some(quantity)
    }

    /// Gives back what a line has taken; `false` if that is nothing.
    pub(super) fn give_for_line(
        &mut self,
        writing: &mut Writing,
        order: OrderId,
        line: LineId,
        now: Timestamp,
    ) -> bool {
        let reduced =
            self.orders.get(&order).and_then(|order| order.line(line)).and_then(|line| line.reduced);
        match (self.line_stock(order, line), reduced.filter(|reduced| *reduced != 0)) {
            (Some(holder), Some(reduced)) => {
                self.move_stock(writing, holder, reduced, now);
                true
            }
            _ => false,
        }
    }

    /// Puts refunded units back; `false` if the line has nothing taken or its stock is not managed.
    pub(super) fn restock_for_line(
        &mut self,
        writing: &mut Writing,
        order: OrderId,
        line: LineId,
        quantity: i64,
        now: Timestamp,
    ) -> bool {
        let reduced =
            self.orders.get(&order).and_then(|order| order.line(line)).and_then(|line| line.reduced);
        if quantity == 0 || reduced.unwrap_or(0) == 0 {
            return false;
        }
        let Some(holder) = self.line_stock(order, line) else {
            return false;
        };
        self.move_stock(writing, holder, quantity, now);
        true
    }

    /// Adjusts stock to an edited line (`quantity` 0: it goes); the `_reduced_stock` it will have.
    pub(super) fn adjust_for_line(
        &mut self,
        writing: &mut Writing,
        order: OrderId,
        line: LineId,
        quantity: i64,
        now: Timestamp,
    ) -> Option<i64> {
        let holder = self.line_stock(order, line)?;
        let row = self.orders.get(&order)?.line(line)?;
        let (reduced, restocked) = (row.reduced.unwrap_or(0), row.restocked.unwrap_or(0));
        let wanted = if quantity == 0 { 0 } else { quantity - restocked };
        if wanted == reduced {
            return None;
        }
        self.move_stock(writing, holder, reduced - wanted, now);
        Some(wanted)
    }

    /// The storefront's check of a cart, and the hold it puts on the units until the checkout is through.
    pub(super) fn reserve(&mut self, lines: &[NewLine]) -> Result<Vec<(HolderId, i64)>, Refusal> {
        let mut held: Vec<(HolderId, i64)> = Vec::new();
        for line in lines {
            let product = line.variation.map_or_else(|| line.product.into(), HolderId::from);
            let Some(holder) = self.stock_holder(product) else {
                continue;
            };
            match held.iter_mut().find(|(other, _)| *other == holder) {
                Some((_, units)) => *units += line.quantity,
                None => held.push((holder, line.quantity)),
            }
        }
        for &(holder, units) in &held {
            let row = self.products.get(&holder).ok_or(Refusal::UnknownProduct(holder))?;
            let reserved = self.reserved.get(&holder).copied().unwrap_or(0);
            if row.backorders == Backorders::No && row.stock.unwrap_or(0) - reserved < units {
                return Err(Refusal::NotEnoughStock(holder));
            }
        }
        for &(holder, units) in &held {
            *self.reserved.entry(holder).or_default() += units;
        }
        Ok(held)
    }

    pub(super) fn unreserve(&mut self, held: &[(HolderId, i64)]) {
        for (holder, units) in held {
            if let Some(reserved) = self.reserved.get_mut(holder) {
                *reserved -= units;
            }
            if self.reserved.get(holder) == Some(&0) {
                self.reserved.remove(holder);
            }
        }
    }
}
