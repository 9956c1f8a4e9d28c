//! Which queues there are and which message goes into which: the one place that names them.

use std::fmt;

use proto::{Kind, ShardKey};

/// Most shards of a flow.
pub const SHARDS_MAX: u16 = 256;

/// A purpose that messages are queued for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flow {
    /// Facts, for inventory: orders, shown and edited stocks, listings, ERP stocks.
    InventoryOrders,
    /// Levels, and shipments that shops are to be told of, for egress.
    EgressLevels,
    /// Wanted reads, for ingress.
    IngressReads,
}

impl Flow {
    /// Every flow.
    pub const ALL: [Self; 3] = [Self::InventoryOrders, Self::EgressLevels, Self::IngressReads];

    /// Where messages of that kind go. Facts share a flow, so that a shown stock stays behind the orders it proves.
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::OrderObserved
            | Kind::OrderUnreadable
            | Kind::ShopConnected
            | Kind::StockShown
            | Kind::StockEdited
            | Kind::ListingObserved
            | Kind::ErpStockObserved => Self::InventoryOrders,
            Kind::LevelChanged | Kind::LevelsChanged | Kind::ShipmentMade => Self::EgressLevels,
            Kind::ReadWanted => Self::IngressReads,
        }
    }

    /// Whether a queue of that name, of whatever number of shards, is of this flow.
    pub(crate) fn owns(self, name: &str) -> bool {
        name.strip_prefix(self.prefix()).is_some_and(|rest| rest.starts_with('.'))
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::InventoryOrders => "inventory.orders",
            Self::EgressLevels => "egress.levels",
            Self::IngressReads => "ingress.reads",
        }
    }
}

/// One queue: `inventory.orders.v1.4.2` is the shard 2 of 4. The count is part of the name, so that another count
/// means other queues and never a shop whose messages take two paths at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName {
    flow: Flow,
    count: u16,
    index: u16,
}

impl QueueName {
    /// The shard `index` of `count`.
    pub(crate) const fn of(flow: Flow, count: u16, index: u16) -> Self {
        Self { flow, count, index }
    }

    /// What it is for.
    pub const fn flow(self) -> Flow {
        self.flow
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.v1.{}.{}", self.flow.prefix(), self.count, self.index)
    }
}

/// How many shards each flow has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topology {
    inventory_orders: u16,
    egress_levels: u16,
    ingress_reads: u16,
}

impl Topology {
    /// The same number of shards for each flow; `None` unless it is from 1 to [`SHARDS_MAX`].
    pub const fn uniform(shards: u16) -> Option<Self> {
        Self::new(shards, shards, shards)
    }

    /// Shards of each flow; `None` unless each is from 1 to [`SHARDS_MAX`].
    pub const fn new(inventory_orders: u16, egress_levels: u16, ingress_reads: u16) -> Option<Self> {
        const fn fits(count: u16) -> bool {
            1 <= count && count <= SHARDS_MAX
        }
        if fits(inventory_orders) && fits(egress_levels) && fits(ingress_reads) {
            Some(Self { inventory_orders, egress_levels, ingress_reads })
        } else {
            None
        }
    }

    /// Number of shards of `flow`.
    pub const fn shards(self, flow: Flow) -> u16 {
        match flow {
            Flow::InventoryOrders => self.inventory_orders,
            Flow::EgressLevels => self.egress_levels,
            Flow::IngressReads => self.ingress_reads,
        }
    }

    /// The queues of `flow`.
    pub fn queues(self, flow: Flow) -> impl Iterator<Item = QueueName> {
        let count = self.shards(flow);
        (0..count).map(move |index| QueueName { flow, count, index })
    }

    /// The queue of a message: the flow of its kind, the shard of its key ([`ShardKey::shard`]).
    pub const fn route(self, kind: Kind, key: ShardKey) -> QueueName {
        self.queue(Flow::of(kind), key)
    }

    /// The queue of `flow` for that key.
    pub(crate) const fn queue(self, flow: Flow, key: ShardKey) -> QueueName {
        let count = self.shards(flow);
        QueueName { flow, count, index: key.shard(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_named_by_shard_count_and_shard() {
        let topology = Topology::new(4, 2, 1).unwrap();
        let names = |flow| topology.queues(flow).map(|queue| queue.to_string()).collect::<Vec<_>>();
        assert_eq!(names(Flow::EgressLevels), ["egress.levels.v1.2.0", "egress.levels.v1.2.1"]);
        assert_eq!(names(Flow::IngressReads), ["ingress.reads.v1.1.0"]);
        assert_eq!(Topology::uniform(0), None);
        assert_eq!(Topology::uniform(SHARDS_MAX + 1), None);
    }

    #[test]
    fn every_message_goes_to_a_queue_that_exists() {
        let topology = Topology::new(4, 2, 1).unwrap();
        for kind in Kind::ALL {
            for key in 1..100 {
                let queue = topology.route(kind, ShardKey::new(key));
                assert!(topology.queues(Flow::of(kind)).any(|there| there == queue), "{queue}");
            }
        }
    }

    #[test]
    fn a_shown_stock_takes_the_path_of_its_orders() {
        let topology = Topology::uniform(7).unwrap();
        for key in (1..50).map(ShardKey::new) {
            assert_eq!(topology.route(Kind::StockShown, key), topology.route(Kind::OrderObserved, key));
        }
    }
}
