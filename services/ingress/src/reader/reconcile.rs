//! Comparing a whole shop with the ledger: the stocks of a run are read in as few calls as they fit in, and judged by what
//! came of their proof.
//!
//! All that a run has come to is in the store, so that whoever reads the shop next goes on with it.

use std::time::{Duration, Instant};

use connector::{ReadStocks, Shown, StockRef};
use store::{
    AGREED, Answer, NewRun, PAGE_ROWS_MAX, Run, RunAdded, RunAnswer, RunCause, RunJob, RunRead, RunState,
    RunVerdict, SettleJob, SettleWanted, ShopState,
};
use values::{Quantity, StockId, Timestamp};

use super::settling::{Batch, Purpose, moments};
use super::{ReadError, Reader, Work};
use crate::Connect;
use crate::observe::Observe;

/// A stock that is read so often without proof is left unsettled: it sells all the time, or is pushed to.
pub(super) const TRIES_MAX: u32 = 4;
/// Longest that what was read and published is waited for: inventory and egress have it in seconds when all is well.
const ANSWER_PATIENCE: Duration = Duration::from_mins(2);
/// How long a run that the schedule began may take.
const SCHEDULED_RUN_MAX: Duration = Duration::from_hours(6);
/// So many times the wait for a proof, stocks that could be read wait for others that would fill their call: those may be
/// stocks that sell all the time.
const COMPANY_WAITS: u32 = 2;
/// They wait no longer than this part of the time that is left for the run: what is read has to be proven by then.
const COMPANY_SHARE: u32 = 4;
/// How often the schedule is looked at.
const SCHEDULE_LOOK: Duration = Duration::from_mins(1);

/// The class of a stock that is not decided, as a code.
const UNSETTLED: &str = "unsettled";
/// The class of a stock that is no longer the shop's, as a code.
const GONE: &str = "gone";
const NO_ACTION: &str = "none";

/// The run of the shop, as far as its reader needs to remember it.
#[derive(Debug)]
pub(super) struct Runs {
    /// The one under way.
    open: Option<Run>,
    /// When it, or the schedule, is to be looked at.
    look_at: Instant,
    /// When it last got on.
    moved_at: Instant,
    /// One may have been asked for.
    pub(super) asked: bool,
    /// More of it is to be read at once, so that proofs wait for each other.
    reading: bool,
    /// When it is to be looked again what came of proofs: all that was read is looked at for that.
    judge_at: Instant,
    /// Since when products, and since when variations, wait for others that would fill their call.
    company: [Option<Instant>; 2],
}

/// What a step came to.
enum Step {
    /// There is more to do.
    Again,
    /// Nothing to do before the next look.
    Wait,
    Ended,
}

impl Runs {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            open: None,
            look_at: now,
            moved_at: now,
            asked: true,
            reading: false,
            judge_at: now,
            company: [None; 2],
        }
    }

    /// Whether one is under way of which more is to be read at once.
    pub(super) fn is_reading(&self) -> bool {
        self.reading && self.open.is_some()
    }

    /// There may be something to do for the one under way.
    pub(super) fn look_now(&mut self) {
        if self.open.is_some() {
            self.look_at = Instant::now();
        }
    }

    /// When there may be something to do.
    pub(super) fn look_at(&self) -> Instant {
        self.look_at
    }
}

impl<C: Connect> Reader<C> {
    /// Does one step of the run under way, or takes one up; `false` if there is nothing to do now.
    pub(super) async fn reconcile(&mut self, now: Instant) -> Result<bool, ReadError> {
        if self.runs.open.is_none() && !self.find_run(now).await? {
            return Ok(false);
        }
        if now < self.runs.look_at {
            return Ok(false);
        }
        let Some(run) = self.runs.open.take() else { return Ok(false) };
        let step = self.step_run(&run).await;
        let failed = matches!(step, Err(ReadError::Call(ref error)) if error.needs_a_person());
        self.runs.reading = matches!(step, Ok(Step::Again));
        match step {
            Err(ReadError::Call(error)) if failed => {
                self.end_run(&run, RunState::Failed, &process::error_chain(&error)).await?;
                Err(ReadError::Call(error))
            }
            Err(error) => {
                self.runs.open = Some(run);
                Err(error)
            }
            Ok(Step::Ended) => Ok(true),
            Ok(Step::Again) => {
                self.runs.moved_at = now;
                // It may have begun to run with this step.
                self.runs.open = self.shared.store.open_run(self.id).await?;
                Ok(true)
            }
            Ok(Step::Wait) => {
                self.runs.moved_at = now;
                self.runs.look_at = now + self.shared.settings.look_period;
                self.runs.open = Some(run);
                Ok(false)
            }
        }
    }

    /// Looks for a run that somebody asked for, and begins one if the schedule says so.
    async fn find_run(&mut self, now: Instant) -> Result<bool, ReadError> {
        if now >= self.runs.look_at {
            self.runs.look_at = now + SCHEDULE_LOOK;
            self.begin_scheduled().await?;
        } else if !self.runs.asked {
            return Ok(false);
        }
        self.runs.asked = false;
        let Some(run) = self.shared.store.open_run(self.id).await? else { return Ok(false) };
        // What was read of it before was lost with whoever read it.
        self.shared.store.reopen_run(run.id, self.now()).await?;
        self.runs = Runs { open: Some(run), asked: false, ..Runs::new() };
        Ok(true)
    }

    async fn begin_scheduled(&mut self) -> Result<(), ReadError> {
        let (store, now) = (&self.shared.store, self.now());
        let scheduled = store.schedule(self.id).await?;
        if scheduled.is_none_or(|scheduled| scheduled.due_at() > now)
            || self.shop.borrow().state != ShopState::Active
        {
            return Ok(());
        }
        let new = NewRun {
            shop: self.id,
            dry_run: false,
            cause: RunCause::Scheduled,
            deadline: now + SCHEDULED_RUN_MAX,
            chosen: None,
        };
        if let RunAdded::UnderWay(other) = store.add_run(&new, now).await? {
            Observe::run_not_begun(self.id, other);
        }
        Ok(store.note_scheduled(self.id, now).await?)
    }

    /// A shop that a person has to mend first is not compared, whatever poll found it so: those that fail again and again
    /// come before it. Webhooks, products and jobs may be forbidden to a key that reads orders and stocks well.
    pub(super) async fn end_run_if_refused(
        &mut self,
        work: Work,
        error: &ReadError,
    ) -> Result<(), ReadError> {
        let ReadError::Call(error) = error else { return Ok(()) };
        let is_needed = matches!(work, Work::Orders | Work::Trash | Work::Prove | Work::Stocks);
        if !is_needed || !error.needs_a_person() {
            return Ok(());
        }
        let open = match self.runs.open.take() {
            Some(run) => Some(run),
            None => self.shared.store.open_run(self.id).await?,
        };
        if let Some(run) = open {
            self.end_run(&run, RunState::Failed, &process::error_chain(error)).await?;
        }
        Ok(())
    }

    /// A run that does not get on because the shop fails is given up after a while.
    pub(super) async fn give_up_run_if_hopeless(&mut self) -> Result<(), ReadError> {
        let patience = self.shared.settings.task_patience;
        if self.runs.moved_at.elapsed() >= patience
            && let Some(run) = self.runs.open.take()
        {
            let why = self.reading.failure.clone();
            self.end_run(&run, RunState::Failed, &why).await?;
        }
        Ok(())
    }

    async fn end_run(&mut self, run: &Run, state: RunState, why: &str) -> Result<(), ReadError> {
        self.shared.store.end_run(run.id, state, why, self.now()).await?;
        if let Some(ended) = self.shared.store.run(run.id).await? {
            self.shared.observe.run_ended(&ended);
        }
        Ok(())
    }

    async fn step_run(&mut self, run: &Run) -> Result<Step, ReadError> {
        let now = self.now();
        if now >= run.deadline {
            self.end_run(run, RunState::Done, "").await?;
            return Ok(Step::Ended);
        }
        if run.state == RunState::Waiting {
            self.shared.store.fill_run(run.id, PAGE_ROWS_MAX, now).await?;
            return Ok(Step::Again);
        }
        if self.judge(run).await? {
            return Ok(Step::Again);
        }
        if self.settling.has_room()
            && let Some(jobs) = self.next_of_run(run).await?
        {
            self.read_for_run(run, &jobs).await?;
            return Ok(Step::Again);
        }
        if self.shared.store.run_left(run.id).await?.is_none() {
            self.end_run(run, RunState::Done, "").await?;
            return Ok(Step::Ended);
        }
        Ok(Step::Wait)
    }

    /// Judges what is known by now of stocks that were read; `false` if nothing is.
    async fn judge(&mut self, run: &Run) -> Result<bool, ReadError> {
        if Instant::now() < self.runs.judge_at {
            return Ok(false);
        }
        let now = self.now();
        let overdue = now - self.shared.settings.settle_wait * 2 - ANSWER_PATIENCE;
        let answers = self.shared.store.run_answers(run, overdue, PAGE_ROWS_MAX).await?;
        if answers.is_empty() {
            self.runs.judge_at = Instant::now() + self.shared.settings.look_period;
            return Ok(false);
        }
        let again_at = now + self.shared.settings.settle_wait;
        let verdicts: Vec<RunVerdict> = answers.into_iter().map(|answer| verdict(answer, again_at)).collect();
        self.shared.store.judge_run(run.id, &verdicts).await?;
        Ok(true)
    }

    /// As many stocks as one call reads, or the last of their kind. Products and variations are different calls; a stock
    /// that could prove nothing yet is waited for, though not for long, unless enough others fill the call.
    async fn next_of_run(&mut self, run: &Run) -> Result<Option<Vec<RunJob>>, ReadError> {
        let together = C::Connection::STOCKS_MAX;
        let limit = u32::try_from(together).unwrap_or(u32::MAX);
        let (now, hold) = (self.now(), self.settle_hold());
        let patience = self.shared.settings.settle_wait * COMPANY_WAITS;
        let patience = patience.min(run.deadline.since(now) / COMPANY_SHARE);
        let [products, variations] = &mut self.runs.company;
        for (variations, waiting) in [(false, products), (true, variations)] {
            let ready = self.shared.store.run_to_read(run.id, variations, now, hold, limit).await?;
            if ready.is_empty() {
                *waiting = None;
                continue;
            }
            let mut fills = ready.len() >= together;
            if !fills {
                let left = self.shared.store.run_left(run.id).await?;
                let all = if variations { left.variations } else { left.products };
                fills = u64::try_from(ready.len()).unwrap_or(u64::MAX) >= all;
            }
            if is_to_be_read(fills, waiting, Instant::now(), patience) {
                return Ok(Some(ready));
            }
        }
        Ok(None)
    }

    async fn read_for_run(&mut self, run: &Run, jobs: &[RunJob]) -> Result<(), ReadError> {
        let refs: Vec<StockRef> =
            jobs.iter().map(|job| StockRef { holder: job.holder, parent: job.parent }).collect();
        let number = self.number().await?;
        let reply = self.stocks(&refs).await?;
        let (asked, answered) = moments(reply.shop_time, reply.took, reply.calls, self.now());
        let reads: Vec<RunRead> = reply
            .value
            .iter()
            .map(|fact| RunRead {
                holder: fact.stock.holder,
                shown: quantity_of(fact.shown),
                class: class_of(fact.shown),
            })
            .collect();
        let calls = reply.calls;
        self.shared.store.note_run_read(run.id, &reads, number, calls, self.now()).await?;
        let job = |holder| SettleJob {
            want: SettleWanted {
                stock: StockId { shop: self.id, holder },
                why: String::new(),
                due_at: answered.hub,
            },
            wanted: 0,
        };
        let stocks =
            reply.value.iter().map(|fact| (job(fact.stock.holder), fact.shown, fact.modified_at)).collect();
        let ready_at = Instant::now() + self.shared.settings.settle_wait;
        let purpose = Purpose::Run { dry_run: run.dry_run };
        self.settling.add(Batch { number, asked, answered, stocks, ready_at, purpose });
        Ok(())
    }
}

/// Whether stocks are read now, with no others that could be read with them before long.
fn is_to_be_read(fills: bool, waiting: &mut Option<Instant>, now: Instant, patience: Duration) -> bool {
    let since = *waiting.get_or_insert(now);
    let is = fills || now.saturating_duration_since(since) >= patience;
    if is {
        *waiting = None;
    }
    is
}

const fn quantity_of(shown: Shown) -> Option<Quantity> {
    match shown {
        Shown::Quantity(quantity) => Some(quantity),
        Shown::Unmanaged | Shown::AtParent | Shown::Gone | Shown::Unusable => None,
    }
}

/// What is clear from the read alone.
const fn class_of(shown: Shown) -> Option<&'static str> {
    match shown {
        Shown::Quantity(_) => None,
        Shown::Unmanaged | Shown::AtParent => Some("unmanaged"),
        Shown::Gone => Some(GONE),
        Shown::Unusable => Some("unusable"),
    }
}

fn verdict(answer: RunAnswer, again_at: Timestamp) -> RunVerdict {
    let RunAnswer { holder, tries, shown, answer } = answer;
    let judged = |class: String, action: String, expected, difference| RunVerdict::Judged {
        holder,
        class,
        action,
        expected,
        difference,
    };
    match answer {
        Answer::Proven { class, action, difference } => {
            let expected = shown.filter(|_| class == AGREED || !difference.is_zero());
            let expected = expected.map(|shown| shown - difference);
            judged(class, action, expected, Some(difference))
        }
        Answer::Removed => judged(GONE.to_owned(), NO_ACTION.to_owned(), None, None),
        Answer::NotProven | Answer::Overdue if tries < TRIES_MAX => {
            RunVerdict::Again { holder, due_at: again_at }
        }
        Answer::NotProven | Answer::Overdue => judged(UNSETTLED.to_owned(), NO_ACTION.to_owned(), None, None),
    }
}

#[cfg(test)]
mod tests {
    use values::HolderId;

    use super::*;

    fn answer(answer: Answer, tries: u32) -> RunAnswer {
        let shown = Some(Quantity::from_units(5));
        RunAnswer { holder: HolderId::new(1).unwrap(), tries, shown, answer }
    }

    fn proven(class: &str, units: i64) -> Answer {
        let difference = Quantity::from_units(units);
        Answer::Proven { class: class.to_owned(), action: "corrected".to_owned(), difference }
    }

    #[test]
    fn a_stock_does_not_wait_for_ever_for_those_that_sell() {
        let (begun, patience) = (Instant::now(), Duration::from_secs(64));
        let mut waiting = None;
        let mut is_read =
            |fills, after| is_to_be_read(fills, &mut waiting, begun + Duration::from_secs(after), patience);
        assert!(!is_read(false, 0), "others may come");
        assert!(!is_read(false, 63));
        assert!(is_read(true, 63), "they fill their call");
        assert!(!is_read(false, 70), "these wait since then");
        assert!(!is_read(false, 133));
        assert!(is_read(false, 134), "nobody came");
    }

    #[test]
    fn what_proves_nothing_is_read_again_a_few_times() {
        let at = Timestamp::from_seconds(9);
        let class = |wanted, tries| match verdict(answer(wanted, tries), at) {
            RunVerdict::Judged { class, expected, .. } => (class, expected.map(Quantity::thousandths)),
            RunVerdict::Again { due_at, .. } => (format!("again at {}", due_at.micros()), None),
        };
        let again = ("again at 9000000".to_owned(), None);
        assert_eq!(class(Answer::NotProven, 1), again);
        assert_eq!(class(Answer::Overdue, TRIES_MAX - 1), again);
        assert_eq!(class(Answer::NotProven, TRIES_MAX), (UNSETTLED.to_owned(), None));
        assert_eq!(class(Answer::Removed, 1), (GONE.to_owned(), None));
        assert_eq!(class(proven(AGREED, 0), 9), (AGREED.to_owned(), Some(5_000)));
        assert_eq!(class(proven("edit_up", 2), 1), ("edit_up".to_owned(), Some(3_000)));
        assert_eq!(class(proven("first_look", 0), 1), ("first_look".to_owned(), None));
    }
}
