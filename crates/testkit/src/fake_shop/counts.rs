//! What a fake shop counts, for tests and benches.

use std::collections::BTreeMap;

/// Calls and writes since the shop was started or the counts were last taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls by method and route: `PUT products/{id}`, `POST products/batch`, `GET orders` …
    pub calls: BTreeMap<String, u64>,
    /// Items in batch calls.
    pub batch_items: u64,
    /// Requests or batch items that asked for a quantity or a difference.
    pub stock_writes: u64,
    /// Those of them after which the quantity was what it was before.
    pub stock_writes_without_effect: u64,
    /// Units that others took between the two steps of a difference, and that it put back: it writes what it had read.
    pub units_put_back: u64,
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
    /// Pings sent.
    pub pings: u64,
}

impl Counts {
    /// All calls, of any route.
    pub fn calls_total(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Calls whose method and route start so: `PUT`, `GET orders`.
    pub fn calls_of(&self, start: &str) -> u64 {
        self.calls.iter().filter(|(route, _)| route.starts_with(start)).map(|(_, count)| count).sum()
    }
}
