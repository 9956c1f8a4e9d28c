//! How many comparisons with proof were made, and what they came to.

use serde_json::{Value, json};

use super::world::World;

/// As egress counts them.
const COUNTED: &str = "onhand_egress_settles_total{";

/// Comparisons of one stock each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Settles {
    /// Those that proved what a shop shows.
    pub(super) proven: u64,
    /// Those that proved nothing, since an order or a push touched the stock meanwhile.
    pub(super) useless: u64,
}

impl Settles {
    pub(super) fn of(world: &World) -> Self {
        Self::read(&world.hub.metrics.render())
    }

    fn read(page: &str) -> Self {
        let mut settles = Self::default();
        for line in page.lines().filter(|line| line.starts_with(COUNTED)) {
            let count = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
            let proven = ["agreed", "drift"].iter().any(|word| line.contains(&format!("\"{word}\"")));
            *(if proven { &mut settles.proven } else { &mut settles.useless }) += count;
        }
        settles
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self { proven: self.proven - before.proven, useless: self.useless - before.useless }
    }

    pub(super) fn json(self) -> Value {
        json!({ "proven": self.proven, "useless": self.useless })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_metrics_is_read() {
        let page = "# HELP onhand_egress_settles_total Comparisons.\n\
                    onhand_egress_settles_total{outcome=\"agreed\"} 400\n\
                    onhand_egress_settles_total{outcome=\"drift\"} 3\n\
                    onhand_egress_settles_total{outcome=\"not_quiet\"} 20\n\
                    onhand_egress_settles_asked_total 9\n\
                    onhand_egress_settles_total{outcome=\"push_in_flight\"} 1\n";
        assert_eq!(Settles::read(page), Settles { proven: 403, useless: 21 });
    }
}
