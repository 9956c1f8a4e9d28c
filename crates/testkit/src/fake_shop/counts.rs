//! What a fake shop counts, for tests and benches.

use std::collections::BTreeMap;
use std::time::Duration;

use values::HolderId;

/// Most calls that are kept in order; later ones are only counted.
pub(super) const IN_ORDER_MAX: usize = 10_000;
/// Most deliveries of which is kept how long they took; later ones are only counted.
pub(super) const DELIVERY_TIMES_MAX: usize = 1_000_000;

/// Calls and writes since the shop was started or the counts were last taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls by method and route: `PUT products/{id}`, `POST products/batch`, `GET orders` …
    pub calls: BTreeMap<String, u64>,
    /// The first of them in the order in which they came, at most 10,000.
    pub in_order: Vec<&'static str>,
    /// Items in batch calls.
    pub batch_items: u64,
    /// Requests or batch items that asked for a quantity or a difference.
    pub stock_writes: u64,
    /// The same by product or variation.
    pub stock_writes_of: BTreeMap<HolderId, u64>,
    /// Those of them after which the quantity was what it was before.
    pub stock_writes_without_effect: u64,
    /// Units that others took between the two steps of a difference, and that it put back, by product or variation: it
    /// writes what it had read.
    pub units_put_back_of: BTreeMap<HolderId, u64>,
    /// Bytes in the bodies of requests.
    pub bytes_received: u64,
    /// Bytes in the bodies of answers.
    pub bytes_sent: u64,
    /// Calls a scripted fault touched.
    pub faults: u64,
    /// Calls refused with 401.
    pub unauthorized: u64,
    /// Webhook deliveries sent.
    pub deliveries: u64,
    /// Those of them not answered 200 to 302 in time.
    pub deliveries_failed: u64,
    /// How long each delivery took that was answered, from the connection on.
    pub deliveries_took: Vec<Duration>,
    /// Pings sent.
    pub pings: u64,
}

impl Counts {
    /// A call of this method and route has come.
    pub(super) fn called(&mut self, name: &'static str) {
        *self.calls.entry(name.to_owned()).or_default() += 1;
        if self.in_order.len() < IN_ORDER_MAX {
            self.in_order.push(name);
        }
    }

    /// Units put back, of any product or variation.
    pub fn units_put_back(&self) -> u64 {
        self.units_put_back_of.values().sum()
    }

    /// All calls, of any route.
    pub fn calls_total(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Calls whose method and route start so: `PUT`, `GET orders`.
    pub fn calls_of(&self, start: &str) -> u64 {
        self.calls.iter().filter(|(route, _)| route.starts_with(start)).map(|(_, count)| count).sum()
    }
}
