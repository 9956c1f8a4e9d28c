//! `onhand shop add --dry-run`: what would become of each SKU, in whichever direction the first synchronisation goes.
//! Nothing is changed: the catalogue is read from here, and the ledger is asked.

use std::collections::{BTreeMap, BTreeSet};

use connector::{ListingFact, ReadCatalogue};
use connector_woocommerce::{CatalogueCursor, Client, ITEMS_MAX};
use serde_json::{Value, json};
use values::{HolderId, Quantity, Sku, Step};

use crate::api::Api;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::screen::{Screen, Table, as_text, rows, text};

/// Most listings looked at; a shop with more cannot be previewed.
const LISTINGS_MAX: usize = 1_000_000;
/// SKUs asked for in one question: their codes are in its address, which has a bound.
const SKUS_TOGETHER: usize = 50;
/// SKUs shown to people; `--json` has all.
const SHOWN_MAX: usize = 1_000;

/// Which side the numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// What the shop shows becomes the opening stock of SKUs that have none.
    FromShop,
    /// The shop is told what the ledger has.
    ToShop,
}

/// How the shop would be connected.
#[derive(Debug)]
pub(super) struct Planned<'a> {
    pub(super) direction: Direction,
    pub(super) warehouses: &'a [String],
    pub(super) buffer: Quantity,
}

/// A stock of the shop that has a SKU.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    name: String,
    quantity: Quantity,
}

/// The catalogue, as far as it matters.
#[derive(Debug, Default)]
struct Read {
    listings: usize,
    stocks: BTreeMap<Sku, Shown>,
    holders: BTreeSet<HolderId>,
    without_sku: usize,
    duplicates: usize,
    unmanaged: usize,
    unusable: usize,
}

/// What the ledger has of a SKU.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Kept {
    /// It was received, counted or opened before in a warehouse that the shop would sell from.
    is_stocked: bool,
    available: Quantity,
}

/// What would become of one SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    /// Its stock is opened with what the shop shows.
    Opened,
    /// The ledger's number stays, and the shop shows it already.
    Agrees,
    /// The ledger's number stays, and the shop is told it.
    Told(Quantity),
    /// Less than nothing is left: the shop is not raised.
    Short,
}

/// Reads, asks, and prints.
pub(super) async fn run(
    api: &Api,
    screen: Screen,
    client: &Client,
    planned: &Planned<'_>,
) -> Result<(), Failure> {
    known_warehouses(api, planned.warehouses).await?;
    let read = catalogue(client).await?;
    let kept = ledger(api, read.stocks.keys(), planned.warehouses).await?;
    let mut items = Vec::with_capacity(read.stocks.len());
    let mut table = Table::new(&["SKU", ">shop shows", ">ledger", "becomes", "product"]);
    let (mut opened, mut told, mut agree, mut short) = (0_u64, 0_u64, 0_u64, 0_u64);
    for (place, (sku, shown)) in read.stocks.iter().enumerate() {
        let kept = kept.get(sku).copied().unwrap_or_default();
        let becomes = becomes(shown.quantity, kept, planned);
        match becomes {
            Becomes::Opened => opened += 1,
            Becomes::Told(_) => told += 1,
            Becomes::Agrees => agree += 1,
            Becomes::Short => short += 1,
        }
        let ledger = if kept.is_stocked { kept.available.to_string() } else { "-".to_owned() };
        if place < SHOWN_MAX {
            let shows = shown.quantity.to_string();
            table.row([
                sku.as_str(),
                &shows,
                &ledger,
                &in_words(becomes, shown.quantity, planned.buffer),
                &shown.name,
            ]);
        }
        items.push(json!({
            "sku": sku.as_str(),
            "name": shown.name,
            "shown": shown.quantity.to_string(),
            "available": kept.is_stocked.then(|| kept.available.to_string()),
            "becomes": word(becomes),
            "level": level_of(becomes, shown.quantity, kept, planned.buffer).to_string(),
        }));
    }
    let answer = json!({
        "listings": read.listings, "opened": opened, "told": told, "unchanged": agree, "short": short,
        "without_sku": read.without_sku, "duplicate_sku": read.duplicates, "unmanaged": read.unmanaged,
        "unusable": read.unusable, "items": items,
    });
    screen.show(&answer, |screen| {
        screen.table(&table, "no product of the shop has a SKU and a quantity of its own")?;
        if read.stocks.len() > SHOWN_MAX {
            screen.line(format!("and {} more; --json has all", read.stocks.len() - SHOWN_MAX))?;
        }
        screen.line(format!(
            "{opened} would be opened, {told} shown another quantity, {agree} left as they are, {short} short; not \
             mapped: {} without a SKU, {} with one that another has, {} whose stock the shop does not manage, {} that make no sense",
            read.without_sku, read.duplicates, read.unmanaged, read.unusable
        ))?;
        screen.line(
            "Nothing was changed. SKUs are compared letter by letter here. What is sold meanwhile, what open orders have yet to \
             take, and warehouses that another shop shares with this one count when it is done.",
        )
    })
}

async fn known_warehouses(api: &Api, wanted: &[String]) -> Result<(), Failure> {
    let known = api.list(&["warehouses"], &[], None).await?;
    let unknown = wanted.iter().find(|name| !known.iter().any(|known| text(known, "name") == **name));
    match unknown {
        None => Ok(()),
        Some(name) => {
            Err(Failure::NotThere { what: "warehouse", name: name.clone(), list: "`onhand warehouse list`" })
        }
    }
}

async fn catalogue(client: &Client) -> Result<Read, Failure> {
    let progress = Progress::counting("reading the catalogue");
    let mut read = Read::default();
    let mut cursor = Some(CatalogueCursor::default());
    while let Some(at) = cursor.take() {
        let page = client
            .catalogue(at)
            .await
            .map_err(|error| Failure::ShopNotRead { cause: process::error_chain(&error) })?;
        let page = page.value;
        read.unusable += page.unusable.len();
        for fact in page.listings {
            read.note(fact);
        }
        if read.listings > LISTINGS_MAX {
            return Err(Failure::ShopNotRead {
                cause: format!("it has more than {LISTINGS_MAX} products and variations"),
            });
        }
        let done = u64::try_from(read.listings).unwrap_or(u64::MAX);
        progress.show("reading the catalogue", done, page.total.unwrap_or(done));
        cursor = page.next;
    }
    Ok(read)
}

impl Read {
    fn note(&mut self, fact: ListingFact) {
        self.listings += 1;
        let own = fact.listing.variation.map_or(fact.listing.product.into(), HolderId::from);
        let Some(holder) = fact.holder else {
            self.unmanaged += 1;
            return;
        };
        // A variation that sells from its parent's stock is that stock.
        if holder != own || !self.holders.insert(holder) {
            return;
        }
        let Some(sku) = fact.sku else {
            self.without_sku += 1;
            return;
        };
        if self.stocks.contains_key(&sku) {
            self.duplicates += 1;
            return;
        }
        self.stocks.insert(sku, Shown { name: fact.name, quantity: fact.shown.unwrap_or_default() });
    }
}

async fn ledger(
    api: &Api,
    skus: impl Iterator<Item = &Sku>,
    warehouses: &[String],
) -> Result<BTreeMap<Sku, Kept>, Failure> {
    let skus: Vec<&Sku> = skus.collect();
    let mut kept = BTreeMap::new();
    for some in skus.chunks(SKUS_TOGETHER.min(ITEMS_MAX)) {
        let query: Vec<(&str, String)> = some.iter().map(|sku| ("sku", sku.to_string())).collect();
        for item in api.list(&["stock"], &query, None).await? {
            if let Ok(sku) = text(&item, "sku").parse() {
                kept.insert(sku, kept_of(&item, warehouses));
            }
        }
    }
    Ok(kept)
}

fn kept_of(item: &Value, warehouses: &[String]) -> Kept {
    let of_shop = |balance: &&Value| warehouses.contains(&text(balance, "warehouse"));
    let available = rows(item, "warehouses")
        .iter()
        .filter(of_shop)
        .filter_map(|balance| text(balance, "available").parse::<Quantity>().ok());
    let is_stocked = rows(item, "stocked").iter().any(|name| warehouses.contains(&as_text(Some(name))));
    Kept { is_stocked, available: available.sum() }
}

fn becomes(shown: Quantity, kept: Kept, planned: &Planned<'_>) -> Becomes {
    if planned.direction == Direction::FromShop && !kept.is_stocked {
        return Becomes::Opened;
    }
    if kept.available.is_negative() {
        return Becomes::Short;
    }
    let level = offered(kept.available, planned.buffer);
    if level == shown { Becomes::Agrees } else { Becomes::Told(level) }
}

/// As inventory computes it, for goods that are sold by the piece.
fn offered(available: Quantity, buffer: Quantity) -> Quantity {
    (available.floor_to(Step::ONE) - buffer).or_zero().floor_to(Step::ONE)
}

const fn word(becomes: Becomes) -> &'static str {
    match becomes {
        Becomes::Opened => "opened",
        Becomes::Agrees => "unchanged",
        Becomes::Told(_) => "told",
        Becomes::Short => "short",
    }
}

/// What the shop shows in the end.
fn level_of(becomes: Becomes, shown: Quantity, kept: Kept, buffer: Quantity) -> Quantity {
    match becomes {
        Becomes::Opened => offered(shown, buffer),
        Becomes::Agrees => shown,
        Becomes::Told(level) => level,
        Becomes::Short => kept.available,
    }
}

fn in_words(becomes: Becomes, shown: Quantity, buffer: Quantity) -> String {
    match becomes {
        Becomes::Opened if buffer.is_positive() => {
            format!("the ledger opens with {shown}, the shop is told {}", offered(shown, buffer))
        }
        Becomes::Opened => format!("the ledger opens with {shown}"),
        Becomes::Agrees => "stays as it is".to_owned(),
        Becomes::Told(level) => format!("the shop is told {level}"),
        Becomes::Short => "more is promised than there is: the shop is lowered, never raised".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(units: i64) -> Quantity {
        Quantity::from_units(units)
    }

    fn planned(direction: Direction, buffer: i64) -> Planned<'static> {
        Planned { direction, warehouses: &[], buffer: units(buffer) }
    }

    #[test]
    fn who_has_stock_keeps_it_and_the_other_is_told() {
        let stocked = |available| Kept { is_stocked: true, available: units(available) };
        let take = planned(Direction::FromShop, 0);
        assert_eq!(becomes(units(12), Kept::default(), &take), Becomes::Opened);
        assert_eq!(becomes(units(12), stocked(7), &take), Becomes::Told(units(7)));
        assert_eq!(becomes(units(7), stocked(7), &take), Becomes::Agrees);
        let give = planned(Direction::ToShop, 2);
        assert_eq!(becomes(units(12), Kept::default(), &give), Becomes::Told(units(0)));
        assert_eq!(becomes(units(12), stocked(7), &give), Becomes::Told(units(5)));
        assert_eq!(becomes(units(0), stocked(1), &give), Becomes::Agrees);
        assert_eq!(becomes(units(3), stocked(-1), &give), Becomes::Short);
        assert_eq!(level_of(Becomes::Opened, units(12), Kept::default(), units(2)), units(10));
    }

    #[test]
    fn only_the_warehouses_it_would_sell_from_count() {
        let item = json!({
            "sku": "A", "stocked": ["far", "other"],
            "warehouses": [
                { "warehouse": "main", "available": "5" },
                { "warehouse": "far", "available": "2.5" },
                { "warehouse": "other", "available": "100" },
            ],
        });
        let kept = kept_of(&item, &["main".to_owned(), "far".to_owned()]);
        assert_eq!(kept, Kept { is_stocked: true, available: Quantity::from_thousandths(7_500) });
        assert!(!kept_of(&item, &["main".to_owned()]).is_stocked, "in other warehouses only");
    }
}
