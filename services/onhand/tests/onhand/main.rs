//! The program itself: its commands against a running onhand, its start and end, the demo, and fifty deaths.

mod demo;
mod exit_codes;
mod harness;
mod kills;
mod life;
mod truth;
mod walk;
