//! The program itself: its commands against a running onhand, its start and end, the demo; and whole, in every form that it
//! is deployed in: from end to end, in one trace, through a hundred deaths, through outages of what it stands on, through
//! restarts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a failed assumption is a failed test")]

mod alerts;
mod connecting;
mod demo;
mod deployment;
mod distributed;
mod doctor;
mod drift;
mod exit_codes;
mod harness;
mod kills;
mod letters;
mod life;
mod load;
mod outage;
mod outages;
mod reconcile;
mod resharding;
mod restore;
mod returning;
mod rolling;
mod shipping;
mod sink;
mod situations;
mod suite;
mod told;
mod traces;
mod truth;
mod walk;
mod world;
