//! What an order's status means for its stock. Each shop has its own map; unknown words follow the shop.

use std::collections::BTreeMap;

/// What an order in some status does to stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusRule {
    /// Reserve, until the shop takes the stock or the reservation expires: the shop has not taken it yet.
    ReservePending,
    /// Reserve: sold, not yet shipped.
    Reserve,
    /// Deduct from on hand: shipped.
    Deduct,
    /// Hold nothing.
    Release,
    /// Not an order yet: hold what is held, which is nothing.
    Ignore,
    /// Hold what the shop still keeps taken; unchanged if it never took any.
    Follow,
}

/// Map from a shop's status words to rules. The default is WooCommerce's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMap {
    rules: BTreeMap<String, StatusRule>,
}

impl StatusMap {
    /// The rule of a status; unknown ones follow the shop.
    pub fn rule(&self, status: &str) -> StatusRule {
        self.rules.get(status).copied().unwrap_or(StatusRule::Follow)
    }

    /// Whether an order in that status holds nothing: it is cancelled, or none yet.
    pub fn holds_nothing(&self, status: &str) -> bool {
        match self.rule(status) {
            StatusRule::Release | StatusRule::Ignore => true,
            StatusRule::ReservePending | StatusRule::Reserve | StatusRule::Deduct | StatusRule::Follow => {
                false
            }
        }
    }

    /// Adds or replaces the rule of one status word.
    #[must_use]
    pub fn with(mut self, status: &str, rule: StatusRule) -> Self {
        self.rules.insert(status.to_owned(), rule);
        self
    }

    /// All words that have a rule of their own.
    pub fn iter(&self) -> impl Iterator<Item = (&str, StatusRule)> {
        self.rules.iter().map(|(status, rule)| (status.as_str(), *rule))
    }
}

impl Default for StatusMap {
    /// WooCommerce's own statuses. `refunded`, `failed` and `trash` are left to follow: only cancelled and pending make
    /// WooCommerce give stock back.
    fn default() -> Self {
        let rules = [
            ("pending", StatusRule::ReservePending),
            ("on-hold", StatusRule::Reserve),
            ("processing", StatusRule::Reserve),
            ("completed", StatusRule::Deduct),
            ("cancelled", StatusRule::Release),
            ("checkout-draft", StatusRule::Ignore),
            ("refunded", StatusRule::Follow),
            ("failed", StatusRule::Follow),
            ("trash", StatusRule::Follow),
        ];
        Self { rules: rules.into_iter().map(|(status, rule)| (status.to_owned(), rule)).collect() }
    }
}
