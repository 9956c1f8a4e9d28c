//! Buyers who order one unit after the other, and when each sale was through.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use testkit::fake_shop::FakeShop;
use testkit::shop::{Change, NewLine, NewOrder, Refusal, Status};
use values::ProductId;

/// Between two orders of one buyer.
const BUYER_PAUSE: Duration = Duration::from_millis(120);

/// How long buyers go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// So many units are sold.
    Sold(usize),
    /// Nothing could be bought for so long.
    SoldOutFor(Duration),
}

/// What was sold of one product, in one shop or in several.
#[derive(Debug)]
pub(crate) struct Sales {
    until: Until,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    begun: usize,
    done: Vec<Instant>,
    last: Instant,
}

impl Sales {
    pub(crate) fn until(until: Until) -> Self {
        Self { until, book: Mutex::new(Book { begun: 0, done: Vec::new(), last: Instant::now() }) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        act(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether one more order is to be tried.
    fn begin(&self) -> bool {
        self.with(|book| {
            let wanted = match self.until {
                Until::Sold(units) => book.begun < units,
                Until::SoldOutFor(patience) => book.last.elapsed() < patience,
            };
            book.begun += usize::from(wanted);
            wanted
        })
    }

    /// Nobody buys any more.
    pub(crate) fn is_over(&self) -> bool {
        match self.until {
            Until::Sold(units) => self.with(|book| book.done.len()) >= units,
            Until::SoldOutFor(patience) => self.with(|book| book.last.elapsed()) >= patience,
        }
    }

    /// When each sale was through, in order.
    pub(crate) fn done(&self) -> Vec<Instant> {
        let mut done = self.with(|book| book.done.clone());
        done.sort_unstable();
        done
    }

    /// Units sold so far.
    pub(crate) fn units(&self) -> i64 {
        self.units_before(Instant::now())
    }

    /// Units sold before a moment.
    pub(crate) fn units_before(&self, moment: Instant) -> i64 {
        let count = self.with(|book| book.done.iter().filter(|done| **done < moment).count());
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// One buyer in the storefront of a shop, which sells no more than it shows.
    pub(crate) async fn buy(&self, shop: &FakeShop, product: ProductId) -> anyhow::Result<()> {
        while self.begin() {
            let order = NewOrder::by_checkout(Status::Processing, vec![NewLine::of(product, 1)]);
            match shop.act(Change::CreateOrder(order)).await {
                Ok(_) => self.with(|book| {
                    book.last = Instant::now();
                    book.done.push(book.last);
                }),
                Err(Refusal::NotEnoughStock(_)) => self.with(|book| book.begun -= 1),
                Err(other) => return Err(other.into()),
            }
            tokio::time::sleep(BUYER_PAUSE).await;
        }
        Ok(())
    }
}
