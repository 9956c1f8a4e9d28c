//! Shops, products and connections, before and while time passes.

use super::{
    BTreeMap, BTreeSet, Bug, CHECK_PERIOD, Duration, Egress, Event, HolderId, ListingId, Manage, Message,
    NewProduct, ProductFilter, Quantity, Reader, Registry, Routing, SETTLE_PERIOD, Shop, ShopId, ShopOptions,
    ShopSide, ShopTerms, Sku, StatusMap, StatusRule, Topic, Which, World, warehouse,
};

impl World {
    /// A shop that sells from the one warehouse.
    pub(crate) fn add_shop(&mut self, buffer: i64) -> usize {
        let index = self.shops.len();
        let mut model = Shop::new(ShopOptions::default());
        model.skip_ids_to(10);
        for topic in Topic::ALL {
            model.create_webhook(topic, "http://127.0.0.1/", "secret", self.now);
        }
        let id = ShopId::new(i64::try_from(index).unwrap_or(0) + 1).expect("counted from 1");
        let mut statuses = StatusMap::default();
        if self.has(Bug::RefundReleases) {
            statuses = statuses.with("refunded", StatusRule::Release);
        }
        if self.has(Bug::TrashReleases) {
            statuses = statuses.with("trash", StatusRule::Release);
        }
        self.inventory.shops.push(ShopTerms {
            id,
            routing: Routing::new([warehouse()]).expect("there is one"),
            statuses,
            buffer: Quantity::from_units(buffer),
            policy: push::DriftPolicy::Correct,
            registry: Registry::default(),
            baseline_last: None,
            opening: BTreeSet::new(),
        });
        self.shops.push(ShopSide {
            model,
            clock_ahead_micros: 0,
            writings: BTreeMap::new(),
            reader: Reader::new(self.now, self.now),
            egress: Egress::default(),
            inbox_ready: self.now,
            publish_planned: false,
            flush_planned: false,
            connected: false,
            placed: Vec::new(),
            over_since: BTreeMap::new(),
            disturbed: BTreeSet::new(),
            forced_fates: Vec::new(),
            push_gap: (30, 120),
        });
        index
    }

    /// A simple product with managed stock, known to the oracle.
    pub(crate) fn add_product(&mut self, shop: usize, sku: &str, stock: i64) -> HolderId {
        let sku: Sku = sku.parse().expect("a test's SKU is one");
        let now = self.shop_now(shop);
        let side = &mut self.shops[shop];
        let product = side.model.add_product(NewProduct::simple(Some(sku.clone()), stock), now);
        let holder = HolderId::from(product);
        self.oracle.map(shop, Some(ListingId { product, variation: None }), holder, Some(sku));
        holder
    }

    /// Reads the catalogue: new stocks are known from then on.
    pub(crate) fn read_catalogue(&mut self, shop: usize) {
        let all = ProductFilter { per_page: 10_000, ..ProductFilter::default() };
        let model = &self.shops[shop].model;
        let mut views = model.list_products(&all).items;
        views.extend(model.list_variations(&all).items);
        let per_variation = self.has(Bug::StockPerVariation);
        let mut holders = BTreeSet::new();
        for view in &views {
            let registry = &mut self.inventory.shops[shop].registry;
            registry.observe(view, per_variation);
            if view.manage == Manage::Yes || per_variation && view.manage == Manage::Parent {
                holders.insert(view.id);
            }
        }
        for holder in holders {
            if !self.inventory.rows.contains_key(&(shop, holder)) {
                let effects = self.inventory.map(shop, holder);
                self.take_effects(shop, effects);
            }
        }
    }

    /// Connects a shop: catalogue, baseline, and from then on webhooks, polls and settles. With `opening` what it shows is
    /// where its SKUs start from.
    pub(crate) fn connect(&mut self, shop: usize, opening: bool) {
        let (now, shop_now) = (self.now, self.shop_now(shop));
        self.read_catalogue(shop);
        let since = shop_now - Duration::from_hours(90 * 24);
        let side = &mut self.shops[shop];
        side.connected = true;
        let newest = side.model.order_ids().max();
        self.inventory.shops[shop].baseline_last =
            newest.filter(|_| self.options.bug != Some(Bug::ForgetPast));
        side.reader = Reader::new(shop_now, now);
        let baseline = side.reader.baseline(&side.model, shop_now, since);
        self.publish(shop, Message::Snapshots(baseline));
        let holders: Vec<HolderId> = self
            .inventory
            .rows
            .keys()
            .filter(|(owner, _)| *owner == shop)
            .map(|(_, holder)| *holder)
            .collect();
        if opening {
            self.inventory.shops[shop].opening = holders.iter().copied().collect();
        }
        self.want_settle(shop, holders, Duration::from_secs(2));
        let spread = self.dice.millis(0, 60_000);
        self.plan(spread, Event::Queue(shop));
        let spread = self.dice.millis(1_000, 60_000);
        self.plan(spread, Event::Poll { shop, which: Which::Any });
        self.plan(spread * 3, Event::Poll { shop, which: Which::Trash });
        if !self.has(Bug::NeverSettle) {
            self.plan(SETTLE_PERIOD, Event::SettleAll(shop));
        }
        if shop == 0 {
            self.plan(CHECK_PERIOD, Event::Check);
        }
    }

    /// What a shop's stock would be available had nobody ordered: what it shows and what its orders took.
    pub(crate) fn supply_from(&mut self, shop: usize, holder: HolderId, sku: &str) {
        let sku: Sku = sku.parse().expect("a test's SKU is one");
        let model = &self.shops[shop].model;
        let shown = model.product(holder).and_then(|product| product.stock).unwrap_or(0);
        let taken: i64 = model
            .order_ids()
            .filter_map(|id| model.order(id))
            .flat_map(|order| order.lines)
            .filter(|line| line.sku.as_ref() == Some(&sku))
            .filter_map(|line| line.reduced)
            .sum();
        self.oracle.supply(&sku, shown + taken);
    }
}
