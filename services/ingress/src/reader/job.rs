//! Long jobs, done one call at a time, so that polls go on between: connecting a shop, testing it, reading everything again.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use connector::{OrderSet, OrdersCursor, ReadOrders};
use proto::ShopConnected;
use store::{PAGE_ROWS_MAX, SettleWanted, ShopState, Task, TaskKind, TaskProgress, TaskState};
use values::{ListingId, OrderId, StockId, Timestamp};

use super::connection_test::is_urgent;
use super::counting::Count;
use super::cursor::Position;
use super::listings::ManageAt;
use super::orders::Told;
use super::report::Report;
use super::{CursorOf, ReadError, Reader};
use crate::Connect;
use crate::observe::Observe;

/// How far back orders are read when a shop is connected, whatever their status.
const BASELINE: Duration = Duration::from_hours(24 * 90);
/// How long routine jobs rest after a job failed.
const ROUTINE_REST: Duration = Duration::from_mins(5);
/// How often progress is written down within a phase.
const REPORT_PERIOD: Duration = Duration::from_millis(500);

/// What is done, in order; each holds where it goes on.
#[derive(Debug, Clone)]
enum Phase<K> {
    /// Tries the connection; a fatal finding ends the job.
    Test,
    Catalogue(K),
    /// Which orders are older than the connection.
    Newest,
    /// Orders there are, of one set; `None`: from the start of that set.
    Baseline(OrderSet, Option<OrdersCursor>),
    /// Polls begin where the baseline began.
    Activate,
    /// Every open order, by number.
    Audit(Option<OrderId>),
    /// Polls now, whatever their period says.
    Poll,
    /// The webhooks in the shop.
    Webhooks,
    /// Orders that broken webhooks may not have told of, of one set.
    Gap(OrderSet, Option<OrdersCursor>),
    /// Stock management is switched on, from here.
    Manage(ManageAt),
    /// Every stock.
    Settle(Option<StockId>),
    /// Our webhooks go.
    Unhook,
    /// What there is in the shop and in onhand; `None`: nothing was counted yet.
    Count(Option<Box<Count>>),
}

impl<K> Phase<K> {
    const fn word(&self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Catalogue(_) => "catalogue",
            Self::Newest | Self::Baseline(..) => "orders",
            Self::Activate => "activate",
            Self::Audit(_) => "audit",
            Self::Poll => "poll",
            Self::Webhooks => "webhooks",
            Self::Gap(..) => "gap",
            Self::Manage(_) => "manage_stock",
            Self::Settle(_) => "settle",
            Self::Unhook => "unhook",
            Self::Count(_) => "count",
        }
    }
}

/// A job under way.
#[derive(Debug)]
pub(super) struct Job<K> {
    /// The task somebody asked for; `None`: routine.
    task: Option<i64>,
    /// When it was asked for.
    pub(super) asked_at: Option<Timestamp>,
    kind: TaskKind,
    phases: VecDeque<Phase<K>>,
    pub(super) report: Report,
    /// What the catalogue has shown; as many as it has entries.
    seen: BTreeSet<ListingId>,
    done: u64,
    total: Option<u64>,
    /// Where polls begin once the baseline is read.
    begun: Option<Position>,
    /// When it last got on.
    moved_at: Instant,
    reported_at: Option<Instant>,
}

impl<K: Default> Job<K> {
    pub(super) fn of_task(task: &Task, is_active: bool) -> Self {
        let job = Self::routine(task.kind, is_active);
        Self { task: Some(task.id), asked_at: Some(task.created_at), ..job }
    }

    fn routine(kind: TaskKind, is_active: bool) -> Self {
        let catalogue = || Phase::Catalogue(K::default());
        let phases = match kind {
            TaskKind::Test => vec![Phase::Test],
            TaskKind::Catalogue => vec![catalogue()],
            TaskKind::Audit => vec![Phase::Audit(None)],
            TaskKind::Unhook => vec![Phase::Unhook],
            TaskKind::ManageStock => vec![Phase::Manage(ManageAt::default())],
            TaskKind::Sync if is_active => {
                vec![Phase::Poll, catalogue(), Phase::Audit(None), Phase::Webhooks, Phase::Settle(None)]
            }
            TaskKind::Connect | TaskKind::Sync => vec![
                Phase::Test,
                catalogue(),
                Phase::Newest,
                Phase::Baseline(OrderSet::Open, None),
                Phase::Baseline(OrderSet::Live, None),
                Phase::Baseline(OrderSet::Trash, None),
                Phase::Activate,
                Phase::Webhooks,
                Phase::Settle(None),
            ],
        };
        Self::of(kind, phases)
    }

    /// Counts what there is.
    fn count() -> Self {
        Self::of(TaskKind::Catalogue, vec![Phase::Count(None)])
    }

    /// Reads what broken webhooks may not have told of.
    fn gap() -> Self {
        let phases = vec![Phase::Gap(OrderSet::Live, None), Phase::Gap(OrderSet::Trash, None)];
        Self::of(TaskKind::Sync, phases)
    }

    fn of(kind: TaskKind, phases: Vec<Phase<K>>) -> Self {
        Self {
            task: None,
            asked_at: None,
            kind,
            phases: phases.into(),
            report: Report::default(),
            seen: BTreeSet::new(),
            done: 0,
            total: None,
            begun: None,
            moved_at: Instant::now(),
            reported_at: None,
        }
    }
}

impl<C: Connect> Reader<C> {
    /// Does one step of the present job, or takes up the next; `false` if there is none.
    pub(super) async fn job_turn(&mut self) -> Result<bool, ReadError> {
        let job = match self.job.take() {
            Some(job) => job,
            None => match self.next_task().await? {
                Some(task) => Job::of_task(&task, self.connected),
                None => return Ok(false),
            },
        };
        self.one_step(job).await?;
        Ok(true)
    }

    /// Does one step of a job; it is put where the next turn finds it unless that was its last, or ended it.
    pub(super) async fn one_step(&mut self, mut job: Job<CursorOf<C>>) -> Result<(), ReadError> {
        let stepped = self.step(&mut job).await;
        match stepped {
            Ok(None) if job.phases.is_empty() => self.end_job(job, None).await,
            Ok(None) => {
                job.moved_at = Instant::now();
                self.report_progress(&mut job, false).await?;
                self.job = Some(job);
                Ok(())
            }
            Ok(Some(why)) => self.end_job(job, Some(&why)).await,
            Err(ReadError::Call(error)) if error.needs_a_person() => {
                self.end_job(job, Some(&process::error_chain(&error))).await?;
                Err(ReadError::Call(error))
            }
            Err(ReadError::Connect(error)) => {
                self.end_job(job, Some(&process::error_chain(&error))).await?;
                Err(ReadError::Connect(error))
            }
            Err(error) => {
                self.job = Some(job);
                Err(error)
            }
        }
    }

    async fn next_task(&mut self) -> Result<Option<Task>, ReadError> {
        if !self.looks.tasks {
            return Ok(None);
        }
        let mut tasks = self.shared.store.waiting_tasks(self.id).await?.into_iter();
        let task = tasks.find(|task| !is_urgent(task.kind));
        self.looks.tasks = task.is_some();
        Ok(task)
    }

    /// Takes up what is to be done regularly, if it is time and nothing else is being done.
    pub(super) fn plan_routine(&mut self) {
        if self.job.is_some() || self.looks.tasks || Instant::now() < self.routine_after {
            return;
        }
        if !self.connected {
            // In service according to the registry, so the task that connects it did not come to its end.
            if self.shop.borrow().state == ShopState::Active {
                self.job = Some(Job::routine(TaskKind::Connect, false));
            }
            return;
        }
        if self.guard.has_gap() {
            self.job = Some(Job::gap());
            return;
        }
        let (now, settings) = (self.now(), &self.shared.settings);
        let due = |at: Option<Timestamp>, period| at.is_none_or(|at| now.since(at) >= period);
        let pause = if self.catalogue_wanted { settings.catalogue_pause } else { settings.catalogue_period };
        let kind = if due(self.reading.catalogued_at, pause) {
            self.catalogue_wanted = false;
            TaskKind::Catalogue
        } else if due(self.reading.audited_at, settings.audit_period) {
            TaskKind::Audit
        } else {
            if self.count_is_due() {
                self.job = Some(Job::count());
            }
            return;
        };
        self.job = Some(Job::routine(kind, true));
    }

    /// A job that does not get on because the shop fails is given up after a while; its asker is told.
    pub(super) async fn give_up_job_if_hopeless(&mut self) -> Result<(), ReadError> {
        let patience = self.shared.settings.task_patience;
        if self.job.as_ref().is_some_and(|job| job.moved_at.elapsed() >= patience)
            && let Some(job) = self.job.take()
        {
            let why = self.reading.failure.clone();
            self.end_job(job, Some(&why)).await?;
        }
        Ok(())
    }

    pub(super) async fn end_job(
        &mut self,
        mut job: Job<CursorOf<C>>,
        failure: Option<&str>,
    ) -> Result<(), ReadError> {
        if let Some(why) = failure {
            job.report.fail(why);
            self.routine_after = Instant::now() + ROUTINE_REST;
        }
        if let Some(task) = job.task {
            let progress = TaskProgress {
                state: if failure.is_some() { TaskState::Failed } else { TaskState::Done },
                done: job.done,
                total: job.total,
                phase: job.phases.front().map_or("done", Phase::word).to_owned(),
                report: job.report.to_json(),
            };
            self.shared.store.report_task(task, &progress, self.now()).await?;
            Observe::task_ended(self.id, job.kind.as_str(), failure.is_none());
        }
        Ok(())
    }

    async fn report_progress(&self, job: &mut Job<CursorOf<C>>, at_once: bool) -> Result<(), ReadError> {
        let Some(task) = job.task else { return Ok(()) };
        if !at_once && job.reported_at.is_some_and(|at| at.elapsed() < REPORT_PERIOD) {
            return Ok(());
        }
        job.reported_at = Some(Instant::now());
        let progress = TaskProgress {
            state: TaskState::Running,
            done: job.done,
            total: job.total,
            phase: job.phases.front().map_or("done", Phase::word).to_owned(),
            report: String::new(),
        };
        Ok(self.shared.store.report_task(task, &progress, self.now()).await?)
    }

    /// One call's worth of work. The phase stays as it is if it fails. Some text: the job cannot be done, and why.
    async fn step(&mut self, job: &mut Job<CursorOf<C>>) -> Result<Option<String>, ReadError> {
        let Some(phase) = job.phases.front().cloned() else { return Ok(None) };
        if job.reported_at.is_none() {
            self.report_progress(job, true).await?;
        }
        let goes_on = match phase {
            Phase::Test => match self.step_test(job).await? {
                None => None,
                why => return Ok(why),
            },
            Phase::Catalogue(cursor) => {
                let (next, count, total) =
                    self.read_catalogue(cursor, &mut job.seen, &mut job.report).await?;
                job.done += count;
                job.total = total;
                if next.is_none() {
                    self.want_missed(&std::mem::take(&mut job.seen)).await?;
                    self.reading.catalogued_at = Some(self.now());
                    self.counting.catalogue = Some(job.report.stock_sum());
                    self.save_reading().await?;
                }
                next.map(Phase::Catalogue)
            }
            Phase::Newest => {
                self.step_newest(job).await?;
                None
            }
            Phase::Baseline(set, cursor) => self.step_baseline(job, set, cursor).await?,
            Phase::Activate => {
                self.step_activate(job).await?;
                None
            }
            Phase::Audit(after) => self.step_audit(job, after).await?,
            Phase::Poll => {
                self.orders_due = Instant::now();
                self.trash_due = self.orders_due;
                None
            }
            Phase::Webhooks => {
                let looked = self.guard_webhooks().await?;
                job.report.note_webhooks(&looked);
                None
            }
            Phase::Gap(set, cursor) => {
                let next = self.read_gap(set, cursor).await?;
                if next.is_none() && job.phases.len() == 1 {
                    self.gap_read();
                }
                next.map(|next| Phase::Gap(set, Some(next)))
            }
            Phase::Manage(at) => self.manage_some(at, &mut job.report).await?.map(Phase::Manage),
            Phase::Settle(after) => self.step_settle(job, after).await?,
            Phase::Unhook => match self.step_unhook(job).await? {
                None => None,
                why => return Ok(why),
            },
            Phase::Count(count) => {
                let left = self.step_count(count.map(|count| *count)).await?;
                left.map(|count| Phase::Count(Some(Box::new(count))))
            }
        };
        advance(job, goes_on);
        Ok(None)
    }

    /// The highest number is read before the baseline is: what is numbered above it came later.
    async fn step_newest(&mut self, job: &mut Job<CursorOf<C>>) -> Result<(), ReadError> {
        let number = self.number().await?;
        let reply = self.newest_order().await?;
        let (begun, _) = self.began(&reply);
        let connected = ShopConnected { shop: self.id, baseline_last: reply.value, number };
        self.shared.outbound.publish(&[connected.into()], &self.stop).await?;
        job.begun = Some(begun);
        Ok(())
    }

    async fn step_baseline(
        &mut self,
        job: &mut Job<CursorOf<C>>,
        set: OrderSet,
        cursor: Option<OrdersCursor>,
    ) -> Result<Option<Phase<CursorOf<C>>>, ReadError> {
        let begun = job.begun.ok_or(ReadError::Stale)?;
        let first = match set {
            OrderSet::Open => Timestamp::from_seconds(1),
            OrderSet::Live | OrderSet::Trash => begun.shop_time - BASELINE,
        };
        let is_first = cursor.is_none();
        let number = self.number().await?;
        let reply = self.orders_changed(cursor.unwrap_or(OrdersCursor::since(set, first))).await?;
        let told = Told { number, read_at: reply.asked_at(), baseline: true };
        let page = reply.value;
        if is_first {
            job.done = 0;
            job.total = page.total;
        }
        job.done += u64::try_from(page.orders.len()).unwrap_or(u64::MAX);
        job.report.note_orders(page.orders.len(), page.unusable.len());
        self.publish_orders(told, page.orders, &page.unusable).await?;
        // What changed since the baseline began is the first poll's.
        let next = page.next.filter(|next| next.after < begun.shop_time);
        Ok(next.map(|next| Phase::Baseline(set, Some(next))))
    }

    async fn step_activate(&mut self, job: &Job<CursorOf<C>>) -> Result<(), ReadError> {
        let begun = job.begun.ok_or(ReadError::Stale)?;
        self.save_position(OrderSet::Live, begun).await?;
        self.save_position(OrderSet::Trash, begun).await?;
        self.orders_due = Instant::now();
        self.trash_due = self.orders_due;
        self.connected = true;
        self.reading.audited_at = Some(self.now());
        self.save_reading().await
    }

    async fn step_audit(
        &mut self,
        job: &mut Job<CursorOf<C>>,
        after: Option<OrderId>,
    ) -> Result<Option<Phase<CursorOf<C>>>, ReadError> {
        let limit = u32::try_from(C::Connection::ORDERS_BY_ID_MAX).unwrap_or(u32::MAX);
        let open = self.shared.store.open_orders(self.id, after, limit).await?;
        let Some(last) = open.last().copied() else {
            self.reading.audited_at = Some(self.now());
            self.save_reading().await?;
            return Ok(None);
        };
        let (orders, unusable) = self.read_by_id(&open).await?;
        job.report.note_orders(orders, unusable);
        job.done += u64::try_from(orders).unwrap_or(u64::MAX);
        Ok(Some(Phase::Audit(Some(last))))
    }

    async fn step_settle(
        &mut self,
        job: &mut Job<CursorOf<C>>,
        after: Option<StockId>,
    ) -> Result<Option<Phase<CursorOf<C>>>, ReadError> {
        let rows = self.shared.store.stocks_of_shop(self.id, after, PAGE_ROWS_MAX).await?;
        let Some(last) = rows.last().map(|row| row.id) else { return Ok(None) };
        let due_at = self.now();
        let want = |stock| SettleWanted { stock, why: job.kind.as_str().to_owned(), due_at };
        let wants: Vec<SettleWanted> =
            rows.iter().filter(|row| !row.removed).map(|row| want(row.id)).collect();
        self.shared.store.want_settles(&wants).await?;
        self.looks.settles = true;
        job.done += u64::try_from(wants.len()).unwrap_or(u64::MAX);
        Ok(Some(Phase::Settle(Some(last))))
    }
}

/// The phase goes on, or the next one begins.
fn advance<K>(job: &mut Job<K>, goes_on: Option<Phase<K>>) {
    match (goes_on, job.phases.front_mut()) {
        (Some(phase), Some(front)) => *front = phase,
        (None, Some(_)) => {
            job.phases.pop_front();
            job.reported_at = None;
            if !job.phases.is_empty() {
                job.done = 0;
                job.total = None;
            }
        }
        (_, None) => {}
    }
}
