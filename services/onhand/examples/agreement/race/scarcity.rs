//! The last units: whether more is sold than there is, and when.

use std::time::{Duration, Instant};

use testkit::fake_shop::FakeShop;
use values::ProductId;

use super::sales::{Sales, Until};
use super::writers::{Writer, through_onhand};
use crate::running::Onhand;

/// Until a sale in one shop is known in the other at the latest, as [`super::HEARD_EVERY`] and onhand's own time make it.
pub(crate) const WINDOW: Duration = Duration::from_secs(6);
/// Units there are in the beginning, and that come in while they are sold.
pub(crate) const UNITS: i64 = 40;
pub(crate) const COME_IN: i64 = 20;
/// Units that two shops sell together.
pub(crate) const SHARED: i64 = 80;
/// What a shop of two keeps back: more than the other sells in the window.
pub(crate) const BUFFER: i64 = 25;

/// What one shop sold of scarce goods.
#[derive(Debug)]
pub(crate) struct Scarce {
    /// Units sold beyond what there was.
    pub(crate) oversold: i64,
    /// Units that came in.
    pub(crate) added: i64,
    pub(crate) sold: i64,
}

impl Scarce {
    fn of(sales: &Sales, added: i64) -> Self {
        let sold = sales.units();
        Self { oversold: (sold - UNITS - added).max(0), added, sold }
    }
}

/// Two buyers until nothing is left, while an absolute writer adds units.
pub(crate) async fn absolute(shop: &FakeShop, product: ProductId) -> anyhow::Result<Scarce> {
    let writer = Writer::new(shop, product, UNITS)?;
    let sales = Sales::until(Until::SoldOutFor(WINDOW));
    let (added, one, other) =
        tokio::join!(writer.absolute(&sales, COME_IN), sales.buy(shop, product), sales.buy(shop, product));
    one.and(other)?;
    Ok(Scarce::of(&sales, added?))
}

/// The same through onhand.
pub(crate) async fn one_shop(
    onhand: &Onhand,
    shop: &FakeShop,
    product: ProductId,
    sku: &str,
) -> anyhow::Result<Scarce> {
    let sales = Sales::until(Until::SoldOutFor(WINDOW));
    let (added, one, other) = tokio::join!(
        through_onhand(onhand, sku, &sales, COME_IN),
        sales.buy(shop, product),
        sales.buy(shop, product)
    );
    one.and(other)?;
    Ok(Scarce::of(&sales, added?))
}

/// What two shops sold of the same goods.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) oversold: i64,
    pub(crate) sold: i64,
    /// From the sale of the last unit there was until the last sale of one there was not.
    pub(crate) after_last: Duration,
}

/// A buyer in each of two shops, until nothing can be bought in either.
pub(crate) async fn two_shops(shops: [(&FakeShop, ProductId); 2]) -> anyhow::Result<Shared> {
    let sales = Sales::until(Until::SoldOutFor(WINDOW));
    let [(left, left_product), (right, right_product)] = shops;
    let (one, other) = tokio::join!(sales.buy(left, left_product), sales.buy(right, right_product));
    one.and(other)?;
    let done = sales.done();
    let gone: Option<&Instant> = usize::try_from(SHARED).ok().and_then(|units| done.get(units - 1));
    let after_last = gone.zip(done.last()).map_or(Duration::ZERO, |(gone, last)| *last - *gone);
    let sold = sales.units();
    Ok(Shared { oversold: (sold - SHARED).max(0), sold, after_last })
}
