//! Shares the shards of a service between its replicas: whoever holds a shard runs what works on it, and nobody else does.
//!
//! [`run`] announces a process as a member, asks for its fair share at once and then every third of a lease, starts what
//! works on a shard that it was given, and stops that before the shard is another's:
//!
//! * a shard that others should have is given back once the work on it has ended;
//! * work on a shard whose lease cannot be renewed is told to stop when a third of the lease is left, and is cut off before
//!   its end;
//! * at a stop of the process every shard is given back as its work ends, so that others need not wait for a lease to end;
//!   until then its lease is renewed, and nothing new is taken.
//!
//! Time is measured with the monotonic clock from before a lease was asked for: a clock that is set holds nothing longer.
#![warn(missing_docs)]

mod error;
mod member;
mod work;

pub use error::EndedEarly;
pub use member::{LEASE, Member, run};
pub use work::{Held, until_either};
