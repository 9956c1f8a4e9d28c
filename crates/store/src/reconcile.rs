//! Comparing a whole shop with the ledger: a run, what it found of each stock, when it is begun by itself, and the daily
//! counts.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use values::{HolderId, ProductId, Quantity, ReadNumber, ShopId, Sku, StockId, Timestamp};

use crate::registry::words;

/// Most stocks that a run may be asked to compare by name.
pub const RUN_CHOSEN_MAX: usize = 1_000;
/// Longest text of why a run failed, in characters.
pub const RUN_FAILURE_CHARS_MAX: usize = 300;

/// The class of a stock that shows what it should.
pub const AGREED: &str = "agreed";

/// Why a run was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunCause {
    /// Somebody asked for it.
    Asked,
    /// The shop's schedule says so.
    Scheduled,
}

words!(RunCause { Asked = "asked", Scheduled = "scheduled" });

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// Its stocks are being listed.
    Waiting,
    /// They are read and judged.
    Running,
    /// Every stock has a class.
    Done,
    /// It ended before that.
    Failed,
}

words!(RunState { Waiting = "waiting", Running = "running", Done = "done", Failed = "failed" });

/// A run to begin.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The shop.
    pub shop: ShopId,
    /// It compares and changes nothing.
    pub dry_run: bool,
    /// Why.
    pub cause: RunCause,
    /// What is not decided by then is left unsettled.
    pub deadline: Timestamp,
    /// These stocks only, at most [`RUN_CHOSEN_MAX`]; `None`: every stock of the shop.
    pub chosen: Option<Vec<HolderId>>,
}

/// What asking for a run came to: a shop has at most one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunAdded {
    /// It is there now; its number.
    Added(i64),
    /// Another is under way; its number.
    UnderWay(i64),
}

/// How many stocks of a class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunTotal {
    /// The class, as a code.
    pub class: String,
    /// What was done, as a code.
    pub action: String,
    /// How many stocks.
    pub stocks: u64,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// The shop.
    pub shop: ShopId,
    /// It compares and changes nothing.
    pub dry_run: bool,
    /// Why it was begun.
    pub cause: RunCause,
    /// Only stocks that were named.
    pub chosen: bool,
    /// How far it has come.
    pub state: RunState,
    /// What is not decided by then is left unsettled.
    pub deadline: Timestamp,
    /// Reads of stocks.
    pub reads: u64,
    /// The calls that they took.
    pub calls: u64,
    /// What was found so far, by class and action.
    pub totals: Vec<RunTotal>,
    /// Why it failed; empty if it did not. At most [`RUN_FAILURE_CHARS_MAX`] characters.
    pub failure: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its first stock was to be read.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What a run found of a stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStock {
    /// The product or variation that keeps the quantity.
    pub holder: HolderId,
    /// The product, if that is a variation.
    pub parent: Option<ProductId>,
    /// What it holds.
    pub sku: Option<Sku>,
    /// How often it was read.
    pub tries: u32,
    /// Number of its last read.
    pub number: Option<ReadNumber>,
    /// What it showed then.
    pub shown: Option<Quantity>,
    /// What it was found to be, as a code; `None` while that is not known.
    pub class: Option<String>,
    /// What was done about it, as a code.
    pub action: Option<String>,
    /// What it should have shown.
    pub expected: Option<Quantity>,
    /// How much more it showed.
    pub difference: Option<Quantity>,
}

/// A stock of a run that may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunJob {
    /// Which.
    pub holder: HolderId,
    /// The product, if that is a variation.
    pub parent: Option<ProductId>,
}

/// How many stocks of a run are not decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunLeft {
    /// Products that are to be read.
    pub products: u64,
    /// Variations that are to be read.
    pub variations: u64,
    /// Stocks that were read and have yet to be judged.
    pub read: u64,
}

impl RunLeft {
    /// Every stock has a class.
    pub const fn is_none(&self) -> bool {
        self.products == 0 && self.variations == 0 && self.read == 0
    }
}

/// What reading a stock for a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRead {
    /// Which.
    pub holder: HolderId,
    /// What it showed.
    pub shown: Option<Quantity>,
    /// What is clear from the read alone, as a code; `None`: it is to be judged.
    pub class: Option<&'static str>,
}

/// What is known by now of a stock that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAnswer {
    /// Which.
    pub holder: HolderId,
    /// How often it was read.
    pub tries: u32,
    /// What it showed.
    pub shown: Option<Quantity>,
    /// What that came to.
    pub answer: Answer,
}

/// What a read of a stock came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It proved something: the class, what was done, and how much more was shown than expected.
    Proven {
        /// As a code.
        class: String,
        /// As a code.
        action: String,
        /// How much more was shown.
        difference: Quantity,
    },
    /// It proved nothing.
    NotProven,
    /// Nobody has looked at it for too long.
    Overdue,
    /// The stock is no longer ours.
    Removed,
}

/// What is decided of a stock that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunVerdict {
    /// It has a class.
    Judged {
        /// Which.
        holder: HolderId,
        /// As a code.
        class: String,
        /// As a code.
        action: String,
        /// What it should have shown.
        expected: Option<Quantity>,
        /// How much more it showed.
        difference: Option<Quantity>,
    },
    /// It is to be read again.
    Again {
        /// Which.
        holder: HolderId,
        /// Not before.
        due_at: Timestamp,
    },
}

/// What a comparison without consequences came to. Inventory writes it, for the run to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Which.
    pub stock: StockId,
    /// Number of the read.
    pub number: ReadNumber,
    /// As a code; `None`: it proved nothing.
    pub class: Option<&'static str>,
    /// What would have been done, as a code.
    pub action: &'static str,
    /// How much more was shown than expected.
    pub difference: Quantity,
}

/// When a shop is compared as a whole by itself. All times are UTC, so that no hour comes twice or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// Every so many hours, 1 to [`Schedule::HOURS_MAX`].
    Every(u16),
    /// Every day, so many minutes after midnight.
    Daily(u16),
}

/// A shop's schedule as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduled {
    /// When.
    pub schedule: Schedule,
    /// When it was set so.
    pub since: Timestamp,
    /// When a run was last begun by it.
    pub last_at: Option<Timestamp>,
}

/// The text is no schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a schedule looks like `daily@03:00` (UTC) or `every 6h` (1 to {}), or is `off`",
    Schedule::HOURS_MAX
)]
pub struct ScheduleError;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;
const MICROS: i64 = 1_000_000;

impl Schedule {
    /// Four weeks.
    pub const HOURS_MAX: u16 = 28 * 24;

    /// When it is due next after `last`.
    pub fn after(self, last: Timestamp) -> Timestamp {
        match self {
            Self::Every(hours) => last + Duration::from_hours(u64::from(hours)),
            Self::Daily(minutes) => {
                let at = i64::from(minutes) * MINUTE;
                let seconds = last.micros().div_euclid(MICROS);
                let midnight = seconds - seconds.rem_euclid(DAY);
                let today = midnight + at;
                Timestamp::from_seconds(if today > seconds { today } else { today + DAY })
            }
        }
    }
}

impl Scheduled {
    /// When it is due next. What was missed is made up for once.
    pub fn due_at(&self) -> Timestamp {
        self.schedule.after(self.last_at.map_or(self.since, |last| last.max(self.since)))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(hours) => write!(f, "every {hours}h"),
            Self::Daily(minutes) => write!(f, "daily@{:02}:{:02}", minutes / 60, minutes % 60),
        }
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        if let Some(hours) = text.strip_prefix("every ").and_then(|rest| rest.strip_suffix('h')) {
            let hours: u16 = number(hours)?;
            return if (1..=Self::HOURS_MAX).contains(&hours) {
                Ok(Self::Every(hours))
            } else {
                Err(ScheduleError)
            };
        }
        let time = text.strip_prefix("daily@").ok_or(ScheduleError)?;
        let (hours, minutes) = time.split_once(':').ok_or(ScheduleError)?;
        let (hours, minutes): (u16, u16) = (number(hours)?, number(minutes)?);
        if hours > 23 || minutes > 59 { Err(ScheduleError) } else { Ok(Self::Daily(hours * 60 + minutes)) }
    }
}

fn number(text: &str) -> Result<u16, ScheduleError> {
    let plain = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().map_err(|_| ScheduleError) } else { Err(ScheduleError) }
}

/// What there was in a shop and in onhand on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCount {
    /// The shop.
    pub shop: ShopId,
    /// Days since 1970, UTC.
    pub day: i64,
    /// When it was counted.
    pub at: Timestamp,
    /// Orders of the shop by its own word for their status.
    pub shop_orders: BTreeMap<String, u64>,
    /// The shop's catalogue, when it was last read.
    pub shop_stocks: Option<StockSum>,
    /// What onhand knows.
    pub hub: HubCount,
}

/// A number of stocks and the sum of what they show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StockSum {
    /// How many.
    pub stocks: u64,
    /// What they show together.
    pub sum: Quantity,
}

/// What onhand knows of a shop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HubCount {
    /// Orders by status.
    pub orders: BTreeMap<String, u64>,
    /// Stocks that are mapped.
    pub stocks: u64,
    /// What they should show together, as far as that is proven.
    pub expected: Quantity,
    /// What is left to sell of them together.
    pub level: Quantity,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let (day, time) = text.split_once(' ').unwrap();
        let (hours, minutes) = time.split_once(':').unwrap();
        let [day, hours, minutes] = [day, hours, minutes].map(|part| part.parse::<i64>().unwrap());
        Timestamp::from_seconds(day * DAY + (hours * 60 + minutes) * MINUTE)
    }

    #[test]
    fn schedules_are_read_and_written_alike() {
        for text in ["every 1h", "every 672h", "daily@00:00", "daily@23:59"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "off",
            "every 0h",
            "every 673h",
            "every h",
            "every 6",
            "daily",
            "daily@24:00",
            "daily@3:60",
            "every -1h",
        ] {
            assert_eq!(wrong.parse::<Schedule>(), Err(ScheduleError), "{wrong}");
        }
    }

    #[test]
    fn what_was_missed_is_made_up_for_once() {
        let due = |text: &str, since: &str, last: Option<&str>| {
            let schedule = text.parse().unwrap();
            Scheduled { schedule, since: at(since), last_at: last.map(at) }.due_at()
        };
        assert_eq!(due("daily@03:00", "5 02:00", None), at("5 03:00"));
        assert_eq!(due("daily@03:00", "5 03:00", None), at("6 03:00"), "not twice at the same minute");
        assert_eq!(due("daily@03:00", "1 00:00", Some("5 17:30")), at("6 03:00"));
        assert_eq!(due("every 6h", "5 02:10", None), at("5 08:10"));
        assert_eq!(due("every 6h", "5 02:10", Some("1 00:00")), at("5 08:10"), "set anew, it begins anew");
    }
}
