//! Pushing levels to a shop without putting sold units back, as pure rules.
//!
//! A shop lowers its own stock at checkout and tells us later, so an absolute write would put back what it sold in between.
//! We write *differences* and heal by proof. What we know of a stock is kept as
//!
//! * **base**: what it would show had the shop sold nothing (`shown + taken` at a moment that was proven);
//! * **expected** = base − all that the shop's known orders have taken: what it shows if every order is known;
//! * **slack**: lowerings that may not have arrived; **withheld**: units a person took out of the shop by hand, or left in it.
//!
//! # Invariants
//!
//! * No I/O, clock, randomness, float, async or wire format.
//! * One push per stock in flight; a doubtful one is taken as applied and never repeated unless a read shows it missing.
//! * A raise never exceeds what the shop is proven short of; while the level is below zero there is none.
//! * Nothing is pushed before the base was proven once.
#![warn(missing_docs)]

mod drift;
mod settle;
mod state;
mod target;

pub use drift::{Adopting, Drift, DriftAction, DriftClass, DriftPolicy};
pub use settle::{Distrust, Settle, Settled};
pub use state::{Base, CALL_DEADLINE, Intent, Next, PUSH_LOG_MAX, PushRecord, StockPush};
pub use target::Target;
