//! Sales while something is pushed: units that come back although they were sold, and units sold that were not there.
//!
//! Shops write as WooCommerce does: an order first, then the stock, then `_reduced_stock`; a quantity that is set or changed
//! is read in one step and written in the next. What they sold is told every [`HEARD_EVERY`].

mod sales;
mod scarcity;
mod writers;

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::NewProduct;
use tokio::time::{Instant, sleep};
use values::{HolderId, ProductId};

use crate::figure::{beside, middle, most, plain, real};
use crate::running::{LOOK_EVERY, Onhand};
use sales::{Sales, Until};
use scarcity::{BUFFER, SHARED, Scarce, Shared, UNITS, WINDOW};
use writers::{Writer, through_onhand};

/// Rounds if no number is given.
pub(crate) const ROUNDS: usize = 5;
/// Units sold in each round, by two buyers.
const SALES: usize = 60;
/// What there is where nothing runs out.
const PLENTY: i64 = 1_000;
/// Between two units that come in.
pub(crate) const PUSH_EVERY: Duration = Duration::from_millis(300);
/// How often shops tell of what they sold.
pub(crate) const HEARD_EVERY: Duration = Duration::from_secs(3);
/// A call to a shop, and each step of a write there.
const CALL: Duration = Duration::from_millis(60);
const STEP: Duration = Duration::from_millis(20);

/// How long until shops are connected; until all that was sold is known and told; until all is proven.
const CONNECTED_WITHIN: Duration = Duration::from_mins(4);
const KNOWN_WITHIN: Duration = Duration::from_secs(90);
const SETTLED_WITHIN: Duration = Duration::from_mins(4);

/// What onhand may put back right after, as a part of what an absolute writer does.
const RIGHT_AFTER_PART: f64 = 0.5;

/// A shop that onhand knows.
struct Place {
    name: &'static str,
    prefix: &'static str,
    buffer: i64,
    shop: FakeShop,
    /// One for each round; of the first shop also the scarce ones behind them.
    products: Vec<ProductId>,
}

/// What has to be shown at the end.
struct Truth {
    sku: String,
    place: usize,
    product: ProductId,
    /// What is left to sell; below nothing if more was sold than there was.
    level: i64,
}

/// What the rounds came to.
#[derive(Default)]
struct Seen {
    absolute: Vec<i64>,
    absolute_healed: Vec<i64>,
    read_and_write: Vec<i64>,
    onhand: Vec<i64>,
    scarce_absolute: Vec<i64>,
    scarce_onhand: Vec<i64>,
    shared: Vec<i64>,
    shared_after_last: Duration,
    kept: Vec<i64>,
    /// Put back, or oversold in one shop or by two with a buffer, and not by a sale inside a push of that product.
    unexplained: i64,
}

struct World {
    onhand: Onhand,
    places: Vec<Place>,
    /// Where the references write.
    other: FakeShop,
    truths: Vec<Truth>,
}

pub(crate) async fn measure(rounds: usize) -> anyhow::Result<Vec<Value>> {
    let mut world = World::open(rounds).await?;
    let mut seen = Seen::default();
    for round in 0..rounds {
        world.race(round, &mut seen).await?;
        world.scarcity(round, &mut seen).await?;
        println!("round {} of {rounds}", round + 1);
    }
    let left = world.settled().await?;
    Ok(figures(&seen, &left))
}

fn options() -> FakeShopOptions {
    FakeShopOptions {
        latency: CALL,
        step_pause: STEP,
        delivery_period: Some(HEARD_EVERY),
        ..FakeShopOptions::default()
    }
}

fn sku(prefix: &str, round: usize) -> String {
    format!("{prefix}-{round}")
}

fn add(shop: &FakeShop, sku: Option<&str>, units: i64) -> anyhow::Result<ProductId> {
    let sku = sku.map(str::parse).transpose()?;
    Ok(shop.with_model(|model, now| model.add_product(NewProduct::simple(sku, units), now)))
}

impl World {
    /// Five shops, connected and proven: one alone, two that share goods, and two that keep some of them back.
    async fn open(rounds: usize) -> anyhow::Result<Self> {
        let onhand = Onhand::start(&[]).await?;
        let mut places = Vec::new();
        let mut goods = Vec::new();
        for (name, prefix, units, buffer) in [
            ("alone", "RACE", PLENTY, 0),
            ("left", "SHARED", SHARED, 0),
            ("right", "SHARED", SHARED, 0),
            ("left-kept", "KEPT", SHARED, BUFFER),
            ("right-kept", "KEPT", SHARED, BUFFER),
        ] {
            let shop = FakeShop::start(options()).await?;
            let named = (0..rounds).map(|round| add(&shop, Some(&sku(prefix, round)), units - buffer));
            let mut products = named.collect::<Result<Vec<_>, _>>()?;
            if prefix == "RACE" {
                for round in 0..rounds {
                    products.push(add(&shop, Some(&sku("SCARCE", round)), UNITS)?);
                    goods.push((sku("SCARCE", round), UNITS));
                }
            }
            if !name.starts_with("right") {
                goods.extend((0..rounds).map(|round| (sku(prefix, round), units)));
            }
            places.push(Place { name, prefix, buffer, shop, products });
        }
        onhand.receive(&goods).await?;
        for place in &places {
            onhand.add_shop(place.name, &place.shop, place.buffer).await?;
        }
        for place in &places {
            let shops = if place.prefix == "RACE" { 1 } else { 2 };
            let skus: Vec<String> = (0..rounds).map(|round| sku(place.prefix, round)).collect();
            onhand.proven(&skus, shops, CONNECTED_WITHIN).await?;
        }
        println!("{} shops are connected and proven", places.len());
        // The references speak plain Basic.
        let other = FakeShop::start(FakeShopOptions { https: true, ..options() }).await?;
        Ok(Self { onhand, places, other, truths: Vec::new() })
    }

    fn place(&self, place: usize) -> &Place {
        self.places.get(place).expect("there are five")
    }

    fn product(&self, place: usize, number: usize) -> anyhow::Result<ProductId> {
        self.place(place).products.get(number).copied().context("there is one for each round")
    }

    fn shown(shop: &FakeShop, product: ProductId) -> i64 {
        shop.with_model(|model, _| model.stock(HolderId::from(product))).unwrap_or_default()
    }

    /// Units of a product that were sold inside a push and put back by it, as the shop saw it.
    fn put_back(&self, place: usize, product: ProductId) -> anyhow::Result<i64> {
        let counts = self.place(place).shop.counts();
        let units = counts.units_put_back_of.get(&HolderId::from(product)).copied().unwrap_or_default();
        Ok(i64::try_from(units)?)
    }

    /// The three ways beside each other, each with buyers of its own.
    async fn race(&mut self, round: usize, seen: &mut Seen) -> anyhow::Result<()> {
        let (sku, product) = (sku("RACE", round), self.product(0, round)?);
        let shop = &self.place(0).shop;
        let sales = [(); 3].map(|()| Sales::until(Until::Sold(SALES)));
        let [absolute, read_and_write] = [add(&self.other, None, PLENTY)?, add(&self.other, None, PLENTY)?]
            .map(|product| Writer::new(&self.other, product, PLENTY));
        let (absolute, read_and_write) = (absolute?, read_and_write?);
        let [first, second, third] = &sales;
        // A buyer who fails ends the writers too, who wait for all to be sold.
        let (one, two, three, _bought) = tokio::try_join!(
            absolute.absolute(first, i64::MAX),
            read_and_write.read_and_write(second, i64::MAX),
            through_onhand(&self.onhand, &sku, third, i64::MAX),
            async {
                tokio::try_join!(
                    first.buy(&self.other, absolute.product),
                    first.buy(&self.other, absolute.product),
                    second.buy(&self.other, read_and_write.product),
                    second.buy(&self.other, read_and_write.product),
                    third.buy(shop, product),
                    third.buy(shop, product),
                )
            },
        )?;
        let true_of = |added: i64, sales: &Sales| PLENTY + added - sales.units();
        let should = true_of(one, first);
        seen.absolute.push(Self::shown(&self.other, absolute.product) - should);
        absolute.write(should).await?;
        seen.absolute_healed.push(Self::shown(&self.other, absolute.product) - should);
        let should = true_of(two, second);
        seen.read_and_write.push(Self::shown(&self.other, read_and_write.product) - should);
        let should = true_of(three, third);
        self.known(&sku, should).await?;
        let put_back = Self::shown(&self.place(0).shop, product) - should;
        let explained = self.put_back(0, product)?;
        // Fewer than that are explained too: a comparison may have put some right already.
        let unexplained = (put_back - explained).max(-put_back).max(0);
        if unexplained > 0 {
            let told = self.onhand.explain(&sku).await?;
            println!("{sku}: {put_back} put back, {explained} inside pushes: {told:?}");
        }
        seen.unexplained += unexplained;
        seen.onhand.push(put_back);
        self.truths.push(Truth { sku, place: 0, product, level: should });
        Ok(())
    }

    /// Waits until onhand knows every sale and has told the shops.
    async fn known(&self, sku: &str, available: i64) -> anyhow::Result<()> {
        let deadline = Instant::now() + KNOWN_WITHIN;
        loop {
            let explained = self.onhand.explain(sku).await?;
            if explained.available() == Some(available) && explained.is_told() {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{sku} is not {available}: {explained:?}\n{}",
                self.onhand.log()
            );
            sleep(LOOK_EVERY).await;
        }
    }

    /// The last units, in one shop and in two.
    async fn scarcity(&mut self, round: usize, seen: &mut Seen) -> anyhow::Result<()> {
        let rounds = self.place(1).products.len();
        let scarce = self.product(0, rounds + round)?;
        let pair = |first: usize| -> anyhow::Result<[(&FakeShop, ProductId); 2]> {
            let of = |place| anyhow::Ok((&self.place(place).shop, self.product(place, round)?));
            Ok([of(first)?, of(first + 1)?])
        };
        let (shared, kept) = (pair(1)?, pair(3)?);
        let reference = add(&self.other, None, UNITS)?;
        let (sku_scarce, shop) = (sku("SCARCE", round), &self.place(0).shop);
        let (absolute, alone, shared, kept) = tokio::join!(
            scarcity::absolute(&self.other, reference),
            scarcity::one_shop(&self.onhand, shop, scarce, &sku_scarce),
            scarcity::two_shops(shared),
            scarcity::two_shops(kept),
        );
        let (absolute, alone, shared, kept): (Scarce, Scarce, Shared, Shared) =
            (absolute?, alone?, shared?, kept?);
        println!("scarce: {absolute:?}, {alone:?}, {shared:?}, {kept:?}");
        seen.scarce_absolute.push(absolute.oversold);
        seen.scarce_onhand.push(alone.oversold);
        seen.unexplained += (alone.oversold - self.put_back(0, scarce)?).max(0);
        let inside =
            self.put_back(3, self.product(3, round)?)? + self.put_back(4, self.product(4, round)?)?;
        seen.unexplained += (kept.oversold - inside).max(0);
        seen.shared.push(shared.oversold);
        seen.shared_after_last = seen.shared_after_last.max(shared.after_last);
        seen.kept.push(kept.oversold);
        let level = UNITS + alone.added - alone.sold;
        self.truths.push(Truth { sku: sku_scarce, place: 0, product: scarce, level });
        for (first, sold) in [(1, shared.sold), (3, kept.sold)] {
            for place in [first, first + 1] {
                let (product, left) = (self.product(place, round)?, self.place(place));
                let available = SHARED - sold;
                let level = if available > 0 { (available - left.buffer).max(0) } else { available };
                self.truths.push(Truth { sku: sku(left.prefix, round), place, product, level });
            }
        }
        Ok(())
    }

    /// Waits until everything is proven; then by how much each stock is wrong.
    async fn settled(&self) -> anyhow::Result<Vec<i64>> {
        let started = Instant::now();
        loop {
            let mut open = Vec::new();
            let wrong: Vec<i64> = self.truths.iter().map(|truth| self.wrong(truth)).collect();
            for truth in &self.truths {
                if !self.onhand.explain(&truth.sku).await?.is_settled() {
                    open.push(truth.sku.as_str());
                }
            }
            if open.is_empty() && wrong.iter().all(|wrong| *wrong == 0) {
                println!("all is proven {:.0} s after the last sale", started.elapsed().as_secs_f64());
                return Ok(wrong);
            }
            if started.elapsed() > SETTLED_WITHIN {
                println!("not proven within {SETTLED_WITHIN:?}: {open:?}\n{}", self.onhand.log());
                self.tell().await?;
                ensure!(open.is_empty(), "some stocks stay unproven");
                return Ok(wrong);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// What is wrong, for people to look into.
    async fn tell(&self) -> anyhow::Result<()> {
        for truth in self.truths.iter().filter(|truth| self.wrong(truth) != 0) {
            let explained = self.onhand.explain(&truth.sku).await?;
            let (shop, wrong) = (self.place(truth.place).name, self.wrong(truth));
            println!(
                "{} in {shop} has a level of {} and shows {wrong:+}: {explained:?}",
                truth.sku, truth.level
            );
        }
        Ok(())
    }

    /// By how much a stock shows something else than it should. Where there are too few, a shop that shows less than nothing
    /// is not told more.
    fn wrong(&self, truth: &Truth) -> i64 {
        let above = Self::shown(&self.place(truth.place).shop, truth.product) - truth.level.max(0);
        if truth.level < 0 { above.max(0) } else { above }
    }
}

fn figures(seen: &Seen, left: &[i64]) -> Vec<Value> {
    let absolute = middle("put back by an absolute writer, right after", &seen.absolute);
    let read_and_write = middle("put back by reading and writing, right after", &seen.read_and_write);
    let onhand = middle("put back by onhand, right after", &seen.onhand);
    let healed = middle("put back by an absolute writer that has heard of all", &seen.absolute_healed);
    let wrong: i64 = left.iter().map(|wrong| wrong.abs()).sum();
    let scarce = middle("oversold by an absolute writer", &seen.scarce_absolute);
    let alone = middle("oversold by onhand in one shop", &seen.scarce_onhand);
    let shared = middle("oversold by two shops", &seen.shared);
    let kept = middle("oversold by two shops that keep some back", &seen.kept);
    let after_last = seen.shared_after_last.as_secs_f64();
    vec![
        plain("put back right after, absolute writer", "of 60", absolute),
        plain("the same once it has heard of all", "of 60", healed),
        plain("put back for good, reading and writing", "of 60", read_and_write),
        beside("put back right after, onhand", "of 60", onhand, absolute, RIGHT_AFTER_PART),
        most("wrong after settle, all stocks", "units", real(wrong), 0.0),
        beside("oversold in one shop, beside absolute", "units", alone, scarce, RIGHT_AFTER_PART),
        plain("oversold by two shops, no buffer", "units", shared),
        most("from the last unit to the last oversold", "s", after_last, WINDOW.as_secs_f64()),
        plain("oversold by two shops with buffer", "units", kept),
        most("put back or oversold, not inside a push, all", "units", real(seen.unexplained), 0.0),
    ]
}
