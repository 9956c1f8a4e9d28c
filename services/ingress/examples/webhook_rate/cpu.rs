//! Processor time of the threads of a server, apart from the generator's in the same process.

use std::fs;
use std::path::Path;

use crate::served::THREADS;

/// `USER_HZ`: the unit of `/proc`, the same on every Linux that we measure on.
const TICK_MICROS: u64 = 10_000;
/// User and system time, counted from after the name of a thread.
const TIMES: std::ops::Range<usize> = 11..13;

/// Microseconds that the threads of servers have used so far.
pub(crate) fn served_micros() -> anyhow::Result<u64> {
    let mut ticks = 0;
    for task in fs::read_dir("/proc/self/task")? {
        ticks += ticks_of(&task?.path()).unwrap_or(0);
    }
    Ok(ticks * TICK_MICROS)
}

/// `None` if it is no thread of a server, or is gone.
fn ticks_of(task: &Path) -> Option<u64> {
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    let (head, rest) = stat.rsplit_once(") ")?;
    let ours = head.ends_with(THREADS) || head.contains("(sqlx-");
    let fields: Vec<&str> = rest.split(' ').collect();
    let times = fields.get(TIMES).filter(|_| ours)?;
    times.iter().map(|time| time.parse::<u64>().ok()).sum()
}
