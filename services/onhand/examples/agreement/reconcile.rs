//! A large shop that was changed behind onhand's back, compared as a whole while it sells: whether every difference is found
//! as what it is, and put right once, and nothing else is touched.

mod goods;
mod load;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use testkit::fake_shop::{Counts, FakeShop, FakeShopOptions, Fault, FaultKind};
use tokio::time::{Instant, sleep};
use values::HolderId;

use crate::figure::{all, beside, count, most, plain, real};
use crate::running::{LOOK_EVERY, Onhand};
use goods::{Goods, Kind, UNITS};

/// Stocks if no number is given.
pub(crate) const STOCKS: usize = 100_000;
const SHOP: &str = "large";
/// One call reads so many stocks.
const READ_MAX: usize = 100;

/// Nothing but the machine limits how fast the shop is read.
const SETTINGS: [(&str, &str); 2] =
    [("ONHAND_SHOP_CALLS_PER_MINUTE_MAX", "60000"), ("ONHAND_SHOP_READS_PERCENT", "50")];
/// How often the shop's queue of webhooks is run.
const DELIVERED_EVERY: Duration = Duration::from_secs(1);
const CONNECTED_WITHIN: Duration = Duration::from_hours(1);
const DONE_WITHIN: Duration = Duration::from_mins(30);
/// A comparison may take so long, and a second more for so many stocks; what sells all the time is open until then.
const COMPARED_WITHIN: Duration = Duration::from_mins(6);
const STOCKS_A_SECOND: usize = 400;
/// How often it is looked how far a comparison is: that counts all its stocks.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// How long answers are measured before anything is compared.
const BEFORE: Duration = Duration::from_secs(30);
/// So long after a push a sale is certain not to have fallen into it.
const AFTER_PUSH: Duration = Duration::from_secs(3);
/// Pushes that are cut at most.
const CUTS_MAX: u64 = 1_000;
/// Stocks whose push is cut at a time, and the most that are.
const DOUBTFUL_TOGETHER: usize = 100;
const PAGE_ROWS: usize = 1_000;

/// What calls may come to beside the fewest, with sales going on: what sells meanwhile is read again.
const CALLS_PART: f64 = 1.1;
/// What 99 of a hundred answers may take beside before.
const ANSWERS_PART: f64 = 1.1;

/// What a comparison came to.
struct Compared {
    calls: usize,
    /// Until all was decided but what sells all the time.
    took: Duration,
    /// Class of what did not agree, by product or variation.
    classes: BTreeMap<HolderId, String>,
}

/// What was done while buyers bought.
struct Sold<T> {
    done: T,
    orders: usize,
    asked: Vec<Duration>,
    counts: Counts,
}

pub(crate) async fn measure(stocks: usize) -> anyhow::Result<Vec<Value>> {
    let began = Instant::now();
    let options = FakeShopOptions { delivery_period: Some(DELIVERED_EVERY), ..FakeShopOptions::default() };
    let shop = FakeShop::start(options).await?;
    let mut goods = Goods::fill(&shop, stocks)?;
    let said = |what: &str| println!("{what} after {:.0} s", began.elapsed().as_secs_f64());
    said("the shop is filled");
    let onhand = connect(&shop, &goods).await?;
    said("connected");
    let within = COMPARED_WITHIN + Duration::from_secs(u64::try_from(stocks / STOCKS_A_SECOND)?);
    println!(
        "{} calls, of orders {}",
        shop.counts().calls_total(),
        shop.take_counts().calls_of("GET orders")
    );
    let quiet = compare(&onhand, true, 0, within, || {}).await?;
    let counts = shop.take_counts();
    let (quiet_calls, quiet_writes) = (counts.calls_total(), counts.stock_writes);
    said("compared while nothing happens");
    println!("{quiet_calls} calls, of orders {}", counts.calls_of("GET orders"));
    let before = while_selling(&onhand, &shop, &mut goods, async {
        sleep(BEFORE).await;
        Ok(())
    })
    .await?;
    shop.set_deliveries(false);
    push_some(&onhand, &shop, &goods).await?;
    goods.change(&shop)?;
    said("changed behind onhand's back");
    let busy = goods.of(Kind::Busy).count();
    let compared = compare(&onhand, false, busy, within, || shop.set_deliveries(true));
    let during = while_selling(&onhand, &shop, &mut goods, compared).await?;
    said("compared while it sells");
    let drifts = drifts(&onhand).await?;
    let left = settled(&onhand, &shop, &goods).await?;
    said("settled");
    let report =
        Report { goods: &goods, quiet, quiet_calls, quiet_writes, before, during, drifts, left, shop: &shop };
    Ok(report.figures())
}

/// onhand with all goods in its warehouse, and the shop.
async fn connect(shop: &FakeShop, goods: &Goods) -> anyhow::Result<Onhand> {
    let onhand = Onhand::start(&SETTINGS).await?;
    let received: Vec<(String, i64)> = goods.0.iter().map(|good| (good.sku.clone(), UNITS)).collect();
    onhand.receive(&received).await?;
    onhand.add_shop(SHOP, shop, 0).await?;
    let mut samples: Vec<String> = goods.0.iter().rev().take(READ_MAX).map(|good| good.sku.clone()).collect();
    samples.extend(goods.0.iter().rfind(|good| good.is_variation()).map(|good| good.sku.clone()));
    samples.extend(goods.0.first().map(|good| good.sku.clone()));
    onhand.proven(&samples, 1, CONNECTED_WITHIN).await?;
    Ok(onhand)
}

/// Does something while buyers buy and onhand is asked.
async fn while_selling<T>(
    onhand: &Onhand,
    shop: &FakeShop,
    goods: &mut Goods,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<Sold<T>> {
    shop.take_counts();
    let over = AtomicBool::new(false);
    let sku = goods.0.last().map(|good| good.sku.clone()).context("there are goods")?;
    let work = async {
        let done = work.await;
        over.store(true, Ordering::Relaxed);
        done
    };
    let (done, orders, asked) =
        tokio::join!(work, load::sell(shop, goods, &over), load::ask(onhand, &sku, &over));
    Ok(Sold { done: done?, orders: orders?, asked: asked?, counts: shop.counts() })
}

/// A unit comes in of those of which a push is to look as if a sale had fallen into it, and of those whose push is to be
/// cut.
async fn push_some(onhand: &Onhand, shop: &FakeShop, goods: &Goods) -> anyhow::Result<()> {
    receive_one(onhand, goods.of(Kind::Lost).map(|good| good.sku.as_str())).await?;
    sleep(AFTER_PUSH).await;
    let doubtful: Vec<&str> = goods.of(Kind::Doubtful).map(|good| good.sku.as_str()).collect();
    for some in doubtful.chunks(DOUBTFUL_TOGETHER) {
        shop.fault(Fault::many("POST products/batch", CUTS_MAX, FaultKind::CutBefore));
        shop.fault(Fault::many("PUT products/{id}", CUTS_MAX, FaultKind::CutBefore));
        receive_one(onhand, some.iter().copied()).await?;
        shop.clear_faults();
    }
    Ok(())
}

/// A unit of each comes in and is told to the shop, whatever comes of that.
async fn receive_one<'a>(onhand: &Onhand, skus: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let goods: Vec<(String, i64)> = skus.map(|sku| (sku.to_owned(), 1)).collect();
    onhand.receive(&goods).await?;
    let deadline = Instant::now() + DONE_WITHIN;
    for (sku, _) in &goods {
        while !onhand.explain(sku).await?.is_tried() {
            ensure!(Instant::now() < deadline, "a unit of {sku} is not told to the shop\n{}", onhand.log());
            sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

/// Compares the whole shop; `begun` is called once all its stocks are listed.
async fn compare(
    onhand: &Onhand,
    dry_run: bool,
    busy: usize,
    within: Duration,
    begun: impl FnOnce(),
) -> anyhow::Result<Compared> {
    let started = Instant::now();
    let body = json!({ "dry_run": dry_run, "timeout_seconds": within.as_secs() });
    let asked = onhand.post(&["shops", SHOP, "reconcile"], &body).await?;
    let id = asked["id"].as_i64().context("a comparison has a number")?.to_string();
    let (mut begun, mut took) = (Some(begun), None);
    let ended = loop {
        let run = onhand.get(&["reconciliations", &id]).await?;
        let state = run["state"].as_str().unwrap_or_default();
        if state != "waiting"
            && let Some(begun) = begun.take()
        {
            begun();
        }
        let left = run["left"].as_u64().and_then(|left| usize::try_from(left).ok());
        if state != "waiting" && left.is_some_and(|left| left <= busy) {
            took.get_or_insert_with(|| started.elapsed());
        }
        ensure!(state != "failed", "the comparison failed: {run}");
        if state == "done" {
            break run;
        }
        ensure!(started.elapsed() < within + DONE_WITHIN, "it does not end: {run}\n{}", onhand.log());
        sleep(FOLLOW_EVERY).await;
    };
    println!("{} calls: {}", ended["calls"], ended["totals"]);
    let rows = pages(onhand, &["reconciliations", &id, "stocks"], &[]).await?;
    let class = |row: &Value| {
        let holder = row["variation"].as_i64().or(row["product"].as_i64()).and_then(HolderId::new)?;
        Some((holder, row["class"].as_str()?.to_owned()))
    };
    let classes = rows.iter().map(class).collect::<Option<_>>().context("a row has a stock and a class")?;
    let calls = ended["calls"].as_u64().and_then(|calls| usize::try_from(calls).ok());
    Ok(Compared {
        calls: calls.context("calls are counted")?,
        took: took.unwrap_or_else(|| started.elapsed()),
        classes,
    })
}

/// All rows of a list.
async fn pages(onhand: &Onhand, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Vec<Value>> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let mut query = query.to_vec();
        query.push(("limit", PAGE_ROWS.to_string()));
        query.extend(after.take().map(|after| ("after", after)));
        let mut page = onhand.page(path, &query).await?;
        rows.extend(page["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(rows),
        }
    }
}

/// The classes of all differences that were ever found, by stock.
async fn drifts(onhand: &Onhand) -> anyhow::Result<BTreeMap<HolderId, Vec<String>>> {
    let mut found: BTreeMap<HolderId, Vec<String>> = BTreeMap::new();
    for row in pages(onhand, &["drifts"], &[("shop", SHOP.to_owned())]).await? {
        let holder = row["stock"].as_i64().and_then(HolderId::new).context("a difference is of a stock")?;
        found.entry(holder).or_default().push(row["class"].as_str().unwrap_or_default().to_owned());
    }
    Ok(found)
}

/// What is wrong once all is put right: in the shop, and in the ledger.
struct Left {
    shop: usize,
    ledger: usize,
    unsound: usize,
}

async fn settled(onhand: &Onhand, shop: &FakeShop, goods: &Goods) -> anyhow::Result<Left> {
    let deadline = Instant::now() + DONE_WITHIN;
    loop {
        let available = onhand.available().await?;
        let should = |good: &goods::Good| UNITS - good.sold + good.received();
        let ledger = goods.0.iter().filter(|good| available.get(&good.sku) != Some(&should(good))).count();
        let wrong = goods.wrong(shop);
        if (wrong.is_empty() && ledger == 0) || Instant::now() > deadline {
            for good in wrong.iter().take(PAGE_ROWS) {
                println!("{good:?} is wrong: {:?}", onhand.explain(&good.sku).await?);
            }
            let check = onhand.get(&["check"]).await?;
            let unsound = check["broken"].as_array().map_or(1, Vec::len);
            return Ok(Left { shop: wrong.len(), ledger, unsound });
        }
        sleep(FOLLOW_EVERY).await;
    }
}

struct Report<'a> {
    goods: &'a Goods,
    shop: &'a FakeShop,
    quiet: Compared,
    quiet_calls: u64,
    quiet_writes: u64,
    before: Sold<()>,
    during: Sold<Compared>,
    drifts: BTreeMap<HolderId, Vec<String>>,
    left: Left,
}

impl Report<'_> {
    fn figures(&self) -> Vec<Value> {
        let variations = self.goods.0.iter().filter(|good| good.is_variation()).count();
        let fewest = variations.div_ceil(READ_MAX) + (self.goods.0.len() - variations).div_ceil(READ_MAX);
        let compared = &self.during.done;
        let (calls, quiet_calls) = (count(compared.calls), count(self.quiet.calls));
        let mut figures = vec![
            beside("calls, nothing going on", "calls", quiet_calls, count(fewest), 1.0),
            most(
                "found there, and written",
                "stocks",
                count(self.quiet.classes.len() + self.quiet_written()),
                0.0,
            ),
            plain(
                "with those that read orders, and all others",
                "calls",
                real(i64::try_from(self.quiet_calls).unwrap_or(i64::MAX)),
            ),
            plain("time, nothing going on", "s", self.quiet.took.as_secs_f64()),
            beside("calls while it sells", "calls", calls, count(fewest), CALLS_PART),
            plain("time while it sells", "s", compared.took.as_secs_f64()),
        ];
        figures.extend(Kind::ALL.into_iter().filter(|kind| self.goods.of(*kind).count() > 0).map(|kind| {
            let found = self.goods.of(kind).filter(|good| self.is_found(good.holder(), kind)).count();
            all(&format!("found: {kind:?}"), "stocks", count(found), count(self.goods.of(kind).count()))
        }));
        let (once, falsely) = self.written();
        let more = self.goods.0.iter().filter(|good| !self.is_found_once(good)).count();
        let answers = |name, before: &[Duration], during: &[Duration]| {
            println!("{name}: {} before, {} during", before.len(), during.len());
            let (before, during) = (load::most(before.to_vec()), load::most(during.to_vec()));
            beside(name, "ms", during, before, ANSWERS_PART)
        };
        let (before, during) = (&self.before.counts.deliveries_took, &self.during.counts.deliveries_took);
        figures.extend([
            most("found as something else, or twice", "stocks", count(more), 0.0),
            most("not put right by one write each", "stocks", count(once), 0.0),
            most("written to though nothing was wrong", "stocks", count(falsely), 0.0),
            most("wrong in the shop afterwards", "stocks", count(self.left.shop), 0.0),
            most(
                "wrong in the ledger afterwards",
                "stocks",
                count(self.left.ledger + self.left.unsound),
                0.0,
            ),
            plain("orders made meanwhile", "orders", count(self.during.orders)),
            answers("99 % of webhooks answered within", before, during),
            answers("99 % of questions answered within", &self.before.asked, &self.during.asked),
        ]);
        figures
    }

    fn quiet_written(&self) -> usize {
        usize::try_from(self.quiet_writes).unwrap_or(usize::MAX)
    }

    /// By the comparison, or by a comparison of that stock alone that came before it: a push in doubt asks for one.
    fn is_found(&self, holder: HolderId, kind: Kind) -> bool {
        let by_run = self.during.done.classes.get(&holder).is_some_and(|class| class == kind.class());
        let by_itself = kind == Kind::Doubtful
            && self
                .drifts
                .get(&holder)
                .is_some_and(|classes| classes.iter().any(|class| class == kind.class()));
        by_run || by_itself
    }

    /// Not as anything else, and kept as one difference if it is one.
    fn is_found_once(&self, good: &goods::Good) -> bool {
        let drifts = self.drifts.get(&good.holder()).map_or(0, Vec::len);
        let run = self.during.done.classes.get(&good.holder());
        let is_meant = run.is_none_or(|class| good.kind.is_some_and(|kind| kind.class() == class));
        let differs = good.kind.is_some_and(Kind::differs);
        let fits = is_meant && drifts == usize::from(differs);
        if !fits {
            println!("{good:?}: {run:?}, {:?}", self.drifts.get(&good.holder()));
        }
        fits
    }

    /// How many were not put right by as many writes as that takes; and how many were written to though nothing was wrong.
    fn written(&self) -> (usize, usize) {
        let counts = self.shop.counts();
        let writes = |good: &goods::Good| counts.stock_writes_of.get(&good.holder()).copied().unwrap_or(0);
        let differs = |good: &&goods::Good| good.kind.is_some_and(Kind::differs);
        let (changed, others): (Vec<_>, Vec<_>) = self.goods.0.iter().partition(differs);
        let once = changed.iter().filter(|good| good.kind.map(Kind::writes) != Some(writes(good))).count();
        (once, others.iter().filter(|good| writes(good) > 0).count())
    }
}
