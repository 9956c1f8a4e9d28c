//! The orders that shops tell of, two lines each: one of a hundred is told twice, one of a hundred in the wrong order.

use anyhow::Context;
use proto::{Message, OrderLine, OrderObserved, OrderState, Source, StatusText};
use values::{LineId, ListingId, OrderId, ProductId, Quantity, ShopId, Sku, Timestamp};

use crate::world::World;

/// One of so many messages comes a second time.
const TWICE_EVERY: u32 = 100;
/// One of so many orders is told of in the wrong order: what it was before comes after what it is.
const LATE_EVERY: u32 = 100;
/// When the first order was made, by the shops' clocks.
const FIRST: i64 = 1_700_000_000;

/// Which SKUs are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// All alike.
    Uniform,
    /// One alone.
    Hot,
}

/// So many orders of two lines each, as messages in the order in which they are told.
pub(crate) fn orders(world: &mut World, count: u32, of: Of) -> anyhow::Result<Vec<Message>> {
    let first = world.orders_made + 1;
    world.orders_made += count;
    let mut random = Random(u64::from(first));
    let mut messages = Vec::new();
    for number in first..first + count {
        let place = random.below(world.size.shops);
        let shop = *world.shops.get(usize::try_from(place)?).context("there are shops")?;
        let skus = [0, 1].map(|_| match of {
            Of::Hot => world.hot(),
            Of::Uniform => sold_by(world, place, &mut random),
        });
        let told = |status, later: i64| told(shop, number, status, later, skus);
        if number % LATE_EVERY == 0 {
            messages.push(told("completed", 1)?);
        }
        messages.push(told("processing", 0)?);
        if number % TWICE_EVERY == TWICE_EVERY / 2 {
            messages.push(told("processing", 0)?);
        }
    }
    Ok(messages)
}

/// SKU `n` is sold by the shops from place `n` on.
fn sold_by(world: &World, place: u32, random: &mut Random) -> u32 {
    let (shops, sellers) = (world.size.shops, world.size.sellers);
    let offset = (place + shops - random.below(sellers)) % shops;
    shops * random.below(world.size.skus / shops) + offset
}

fn told(shop: ShopId, number: u32, status: &str, later: i64, skus: [u32; 2]) -> anyhow::Result<Message> {
    let mut lines = Vec::new();
    for (index, place) in (0..).zip(skus) {
        let product = ProductId::try_from(i64::from(place) + 1)?;
        lines.push(OrderLine {
            line: LineId::try_from(i64::from(number) * 2 + index)?,
            listing: Some(ListingId { product, variation: None }),
            sku: Some(format!("SKU-{:07}", place + 1).parse::<Sku>()?),
            quantity: Quantity::from_units(1),
            taken: Some(Quantity::from_units(1)),
            restocked: Quantity::ZERO,
            fault: None,
        });
    }
    Ok(Message::OrderObserved(OrderObserved {
        shop,
        order: OrderId::try_from(i64::from(number))?,
        source: Source::Webhook,
        modified_at: Some(Timestamp::from_seconds(FIRST + i64::from(number) + later)),
        state: OrderState::Present { status: StatusText::clipped(status), lines },
    }))
}

/// Splitmix64: the same orders in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        u32::try_from(mixed % u64::from(bound)).unwrap_or(0)
    }
}
