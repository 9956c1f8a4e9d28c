//! What an external system can do, in words that belong to no system: facts read, changes asked for, how a call can
//! fail, and the two state machines that decide when to call at all.
//!
//! * [`may_call`]: addresses that lead into our own network.
//! * [`facts`]: orders, listings and stocks as a system reports them.
//! * [`capability`]: small traits, one for each thing a system may be able to do.
//! * [`error`]: one error for every call, classed by what the caller must know: had it an effect, and when to try again.
//! * [`breaker`] and [`pace`]: pure and visible; time and randomness are passed in.
//! * [`diagnosis`]: what a connection test found, in plain words.
//! * [`webhooks`]: keeping webhooks in a shop, and whether what they send would arrive.

mod address;
pub mod breaker;
pub mod capability;
pub mod diagnosis;
pub mod error;
pub mod facts;
pub mod listings;
pub mod pace;
pub mod webhooks;

pub use address::may_call;
pub use breaker::{Breaker, BreakerConfig, BreakerState, Permit};
pub use capability::{
    CataloguePage, ChangeOutcome, ChangeStocks, Changed, OrderNote, OrderSet, OrdersById, OrdersCursor,
    OrdersPage, ReadCatalogue, ReadOrders, ReadStocks, RefusalKind, RefusalReason, Reply, StockBatch,
    StockChange, StocksRead, TellOrders, TestConnection, Unusable,
};
pub use diagnosis::{Diagnosis, Finding, Severity};
pub use error::{AuthProblem, CallError, Effect, NotSentCause, UncertainCause};
pub use facts::{LineFact, ListingFact, OrderFact, Shown, StockFact, StockRef};
pub use listings::{ListingSet, ListingShown, ManageStock, Managed, ReadListings};
pub use pace::{CALLS_PER_REFUSAL, Ceiling, Pace, PaceConfig, PaceState, Signal, Start};
pub use values::ListingKind;
pub use webhooks::{KeepWebhooks, Tried, Webhook, WebhookStatus};
