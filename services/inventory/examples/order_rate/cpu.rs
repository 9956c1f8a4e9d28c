//! Processor time, of this process and of the database server's.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

/// Ticks of the kernel's accounts in a second, on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// What was used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// This process: user and system.
    pub(crate) own: Duration,
    /// Every process of the server, those that ended too.
    pub(crate) server: Duration,
}

impl Cpu {
    /// Now; `postmaster` is the server's first process.
    pub(crate) fn now(postmaster: u32) -> anyhow::Result<Self> {
        let own = stat(std::process::id()).context("this process has no account")?;
        let mut server = 0;
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            let Some(stat) = stat(pid) else { continue };
            if pid == postmaster {
                server += stat.used + stat.children;
            } else if stat.parent == postmaster {
                server += stat.used;
            }
        }
        Ok(Self { own: time(own.used), server: time(server) })
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self { own: self.own.saturating_sub(before.own), server: self.server.saturating_sub(before.server) }
    }
}

/// The first process of the server whose files are in this folder.
pub(crate) fn postmaster(folder: &Path) -> anyhow::Result<u32> {
    let text = fs::read_to_string(folder.join("data/postmaster.pid"))?;
    text.lines().next().context("an empty file")?.trim().parse().context("no number")
}

struct Stat {
    parent: u32,
    used: u64,
    children: u64,
}

/// `None` if the process has ended.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        used: number(11)? + number(12)?,
        children: number(13)? + number(14)?,
    })
}

fn time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
}
