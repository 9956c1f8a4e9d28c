//! The goods of the large shop: what becomes of each behind onhand's back, and what each has to show in the end.

use anyhow::Context;
use testkit::fake_shop::FakeShop;
use testkit::shop::{Change, NewLine, NewOrder, NewProduct, NewVariation, Shop, Status};
use values::{HolderId, ProductId, Timestamp, VariationId};

/// Units of each in the beginning: more than busy ones sell.
pub(crate) const UNITS: i64 = 1_000;
/// Of so many stocks, as many are variations of one product.
const GROUP: usize = 80;
const VARIATIONS: usize = 8;
/// Of each kind, one stock in so many.
const ONE_IN: usize = 100;
/// Of those that could be busy, one in so many is: each sells all the time.
const BUSY_ONE_IN: usize = 10;

/// What is done to a stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Somebody raised it.
    Raised,
    /// Somebody lowered it.
    Lowered,
    /// Raised by SQL or an import.
    ImportedUp,
    /// Lowered by SQL or an import.
    ImportedDown,
    /// A unit that came in was pushed, one was sold, and is shown again, as after a sale inside a push.
    Lost,
    /// The push of a unit that came in was cut before the shop did it.
    Doubtful,
    /// Its stock is no longer managed.
    Unmanaged,
    /// It is in the trash.
    Trashed,
    /// It sells all the time, so that nothing can be proven.
    Busy,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Raised,
        Self::Lowered,
        Self::ImportedUp,
        Self::ImportedDown,
        Self::Lost,
        Self::Doubtful,
        Self::Unmanaged,
        Self::Trashed,
        Self::Busy,
    ];

    /// As what it has to be found.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Raised => "edit_up",
            Self::Lowered => "edit_down",
            Self::ImportedUp | Self::ImportedDown => "bulk_edit",
            Self::Lost => "lost_update",
            Self::Doubtful => "doubtful_call",
            Self::Unmanaged => "unmanaged",
            Self::Trashed => "gone",
            Self::Busy => "unsettled",
        }
    }

    /// It shows another quantity than it should.
    pub(crate) const fn differs(self) -> bool {
        !matches!(self, Self::Unmanaged | Self::Trashed | Self::Busy)
    }

    /// What is written to each to put it right. What was taken out stays out.
    pub(crate) const fn writes(self) -> u64 {
        match self {
            Self::Raised | Self::ImportedUp | Self::Lost | Self::Doubtful => 1,
            Self::Lowered | Self::ImportedDown | Self::Unmanaged | Self::Trashed | Self::Busy => 0,
        }
    }

    /// By how much somebody changes it.
    const fn change(self) -> i64 {
        match self {
            Self::Raised => 5,
            Self::Lowered => -3,
            Self::ImportedUp => 7,
            Self::ImportedDown => -4,
            _ => 0,
        }
    }

    /// What it shows in the end, sales left out. `None`: no quantity.
    const fn shows(self) -> Option<i64> {
        match self {
            Self::Raised | Self::ImportedUp | Self::Trashed | Self::Busy => Some(UNITS),
            Self::Lowered | Self::ImportedDown => Some(UNITS + self.change()),
            Self::Lost | Self::Doubtful => Some(UNITS + 1),
            Self::Unmanaged => None,
        }
    }
}

/// One stock of the shop.
#[derive(Debug, Clone)]
pub(crate) struct Good {
    pub(crate) sku: String,
    product: ProductId,
    variation: Option<VariationId>,
    pub(crate) kind: Option<Kind>,
    /// Units that buyers bought.
    pub(crate) sold: i64,
}

impl Good {
    pub(crate) fn holder(&self) -> HolderId {
        self.variation.map_or_else(|| self.product.into(), HolderId::from)
    }

    pub(crate) const fn is_variation(&self) -> bool {
        self.variation.is_some()
    }

    /// A line of an order of one unit.
    pub(crate) fn line(&self) -> NewLine {
        match self.variation {
            Some(variation) => NewLine::of_variation(self.product, variation, 1),
            None => NewLine::of(self.product, 1),
        }
    }

    /// Units that came in after the beginning.
    pub(crate) fn received(&self) -> i64 {
        i64::from(matches!(self.kind, Some(Kind::Lost | Kind::Doubtful)))
    }

    /// Whether it shows what it has to in the end.
    pub(crate) fn is_right(&self, model: &Shop) -> bool {
        let should = self.kind.map_or(Some(UNITS), Kind::shows).map(|units| units - self.sold);
        model.stock(self.holder()) == should
    }

    /// Changes it behind onhand's back.
    fn change(&mut self, model: &mut Shop, now: Timestamp) -> anyhow::Result<()> {
        let holder = self.holder();
        let shown = model.stock(holder).context("it is managed")?;
        let change = match self.kind {
            Some(kind @ (Kind::Raised | Kind::Lowered)) => {
                Change::SetStock { holder, quantity: shown + kind.change() }
            }
            Some(kind @ (Kind::ImportedUp | Kind::ImportedDown)) => {
                Change::SetStockSilently { holder, quantity: shown + kind.change() }
            }
            Some(Kind::Lost) => {
                let order = NewOrder::by_rest(Status::Processing, vec![self.line()]);
                model.run(Change::CreateOrder(order), now)?;
                self.sold += 1;
                Change::SetStockSilently { holder, quantity: shown }
            }
            Some(Kind::Unmanaged) => Change::SetManageStock { holder, manage: false },
            Some(Kind::Trashed) => Change::TrashProduct(holder),
            Some(Kind::Doubtful | Kind::Busy) | None => return Ok(()),
        };
        model.run(change, now)?;
        Ok(())
    }
}

/// Every stock of the shop.
#[derive(Debug)]
pub(crate) struct Goods(pub(crate) Vec<Good>);

impl Goods {
    /// Puts so many into a shop.
    pub(crate) fn fill(shop: &FakeShop, count: usize) -> anyhow::Result<Self> {
        shop.with_model(|model, now| {
            let mut goods = Vec::with_capacity(count);
            let mut parent = None;
            for number in 0..count {
                let sku = format!("SKU-{number:06}");
                let code = Some(sku.parse()?);
                let (product, variation) = if number % GROUP < VARIATIONS {
                    let known = parent.filter(|_| number % GROUP > 0);
                    let product =
                        known.unwrap_or_else(|| model.add_product(NewProduct::variable(None, None), now));
                    parent = Some(product);
                    let new = NewVariation::with_stock(code, UNITS);
                    (product, Some(model.add_variation(product, new, now)))
                } else {
                    (model.add_product(NewProduct::simple(code, UNITS), now), None)
                };
                let kind = kind_of(number, variation.is_some());
                goods.push(Good { sku, product, variation, kind, sold: 0 });
            }
            Ok(Self(goods))
        })
    }

    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &Good> {
        self.0.iter().filter(move |good| good.kind == Some(kind))
    }

    /// Changes all but those that pushes were to change.
    pub(crate) fn change(&mut self, shop: &FakeShop) -> anyhow::Result<()> {
        shop.with_model(|model, now| self.0.iter_mut().try_for_each(|good| good.change(model, now)))
    }

    /// How many show something else than they have to.
    pub(crate) fn wrong(&self, shop: &FakeShop) -> Vec<&Good> {
        shop.with_model(|model, _| self.0.iter().filter(|good| !good.is_right(model)).collect())
    }
}

/// Spread over the whole shop, so that no read finds many edited at once, which would be taken for an import's.
fn kind_of(number: usize, is_variation: bool) -> Option<Kind> {
    let kind = Kind::ALL.get(number % ONE_IN).copied()?;
    let is_meant = match kind {
        // A call changes the variations of one product only; doubts would come one by one.
        Kind::Doubtful => !is_variation,
        Kind::Busy => (number / ONE_IN).is_multiple_of(BUSY_ONE_IN),
        _ => true,
    };
    is_meant.then_some(kind)
}
