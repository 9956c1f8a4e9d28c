//! What a lane looks at in one go: stocks that are due, and what is to be done for each.

use std::time::Duration;

use connector::{ReadStocks, StockRef};
use connector_woocommerce::Client;
use proto::StockEdited;
use push::Next;
use store::{DueStock, Error, SeenPush};
use values::{HolderId, ProductId, Quantity, StockId, Timestamp};

use super::Lane;
use super::call::{Asked, Call};
use crate::stock::Stock;
use crate::trace;

/// Stocks looked at in one go: enough for the calls that may be under way at once.
const PAGE_STOCKS_MAX: u32 = 200;
/// A stock that is being read back is not read again for so long, should nobody hear the answer.
const READ_TIME_MAX: Duration = Duration::from_mins(1);

/// Stocks that are due together.
pub(super) struct Page {
    pub(super) due: Vec<DueStock>,
    /// There are more.
    pub(super) full: bool,
    /// Some are due, not only to go along.
    pub(super) is_due: bool,
    /// What is due until then goes along.
    pub(super) horizon: Timestamp,
    /// The stocks, if the database need not be asked for them.
    pub(super) seen: Option<Vec<SeenPush>>,
}

/// What is due, sorted.
#[derive(Default)]
pub(super) struct Sorted {
    /// Stocks for which a settle is asked for.
    pub(super) asks: Vec<StockId>,
    /// Edits that the ledger is asked to take over.
    pub(super) edits: Vec<StockEdited>,
    /// Positions in the page of stocks to read back.
    pub(super) reads: Vec<usize>,
    /// Stocks to push.
    pub(super) pushes: Vec<(StockRef, Quantity)>,
}

impl Lane {
    /// What is due; with it goes what waits for company, as far as there is room.
    pub(super) async fn page(&self, now: Timestamp) -> Result<Page, Error> {
        let horizon = self.horizon(now);
        let wide = self.due_by(horizon).await?;
        if !is_full(&wide) {
            let is_due = wide.iter().any(|due| due.at <= now);
            return Ok(Page { due: wide, full: false, is_due, horizon, seen: None });
        }
        let due = self.due_by(now).await?;
        Ok(Page { full: is_full(&due), is_due: !due.is_empty(), due, horizon: now, seen: None })
    }

    /// What is due until then goes along with what is due now.
    pub(super) fn horizon(&self, now: Timestamp) -> Timestamp {
        now + self.shared.settings.flush_window.max(self.shared.settings.settle_window)
    }

    /// The same of what the database need not be asked for.
    pub(super) fn known_page(&self, now: Timestamp) -> Page {
        let horizon = self.horizon(now);
        let due = |seen: &SeenPush| {
            let at = seen.row.due_at?;
            Some(DueStock { id: seen.row.id, parent: seen.notes.parent, at })
        };
        let mut all: Vec<(DueStock, SeenPush)> =
            self.known.values().filter_map(|seen| Some((due(seen)?, seen.clone()))).collect();
        all.sort_unstable_by_key(|(due, _)| place(due));
        rotate(&mut all, self.after, |(due, _)| due);
        let (due, seen): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let is_due = due.iter().any(|due| due.at <= now);
        Page { due, full: false, is_due, horizon, seen: Some(seen) }
    }

    /// Goes on where the last call ended, so that no product has to wait for ever for those before it.
    async fn due_by(&self, by: Timestamp) -> Result<Vec<DueStock>, Error> {
        let mut all =
            self.shared.store.stocks_due(self.id(), self.due_from, by, None, PAGE_STOCKS_MAX).await?;
        if !is_full(&all) {
            // As a rule that is everything, and one question was enough.
            rotate(&mut all, self.after, |due| due);
            return Ok(all);
        }
        let mut due =
            self.shared.store.stocks_due(self.id(), self.due_from, by, self.after, PAGE_STOCKS_MAX).await?;
        let room = PAGE_STOCKS_MAX.saturating_sub(u32::try_from(due.len()).unwrap_or(u32::MAX));
        if let Some(after) = self.after.filter(|_| room > 0) {
            let before = self.shared.store.stocks_due(self.id(), self.due_from, by, None, room).await?;
            due.extend(before.into_iter().filter(|other| place(other) <= place(&after)));
        }
        Ok(due)
    }
}

/// The order in which stocks are pushed: those of one product together.
fn place(due: &DueStock) -> (Option<ProductId>, HolderId) {
    (due.parent, due.id.holder)
}

/// Begins behind `after`; what is before it comes last.
fn rotate<T>(all: &mut [T], after: Option<DueStock>, due: impl Fn(&T) -> &DueStock) {
    let before = all.partition_point(|one| after.is_some_and(|after| place(due(one)) <= place(&after)));
    all.rotate_left(before);
}

fn is_full(due: &[DueStock]) -> bool {
    due.len() >= usize::try_from(PAGE_STOCKS_MAX).unwrap_or(usize::MAX)
}

/// Tells what is to be done for each, and puts aside what needs nothing.
pub(super) fn sort(stocks: &mut [Stock], now: Timestamp, horizon: Timestamp) -> Sorted {
    let mut sorted = Sorted::default();
    for (place, stock) in stocks.iter_mut().enumerate() {
        if stock.asks(horizon) {
            sorted.asks.push(stock.row.id);
        }
        sorted.edits.extend(stock.asks_to_adopt(horizon));
        match stock.next(now) {
            Next::Push(delta) => {
                let stock = StockRef { holder: stock.row.id.holder, parent: stock.notes.parent };
                sorted.pushes.push((stock, delta));
            }
            Next::ReadBack if sorted.reads.len() < Client::STOCKS_MAX => sorted.reads.push(place),
            Next::ReadBack => {}
            Next::Nothing | Next::Settle | Next::Wait(_) => stock.plan(now, Duration::ZERO),
        }
    }
    sorted
}

/// A read of stocks whose push can no longer take effect, with what they should show as of now.
pub(super) fn read_back(stocks: &mut [Stock], places: &[usize], now: Timestamp) -> Call {
    let mut asked = Vec::with_capacity(places.len());
    for place in places {
        let stock = stocks.get_mut(*place).expect("it was sorted from these");
        let holder = stock.row.id.holder;
        let expected = stock.row.push.expected();
        let doubtful_until = stock.row.push.doubtful_until;
        asked.push(Asked {
            stock: StockRef { holder, parent: stock.notes.parent },
            expected,
            doubtful_until,
            span: trace::reading_back(stock),
        });
        stock.notes.held_until = Some(now + READ_TIME_MAX);
        stock.row.due_at = None;
        stock.plan(now, Duration::ZERO);
    }
    Call::ReadBack { asked }
}
