//! How well the pace finds a limit that nobody tells: scenarios on virtual time, so that none of them waits.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![expect(clippy::unchecked_time_subtraction, reason = "virtual time only goes forward")]

mod fleet;
mod scenarios;
mod shop;
