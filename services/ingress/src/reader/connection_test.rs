//! Tests of the connection. Somebody waits for the answer, most of all while the shop fails: so they come before
//! everything else and do not wait until a call is let through again.

use std::time::Instant;

use connector::{Severity, TestConnection};
use store::TaskKind;

use super::job::Job;
use super::{CursorOf, ReadError, Reader};
use crate::Connect;
use crate::observe::Read;

/// Calls that a test of the connection makes.
const TEST_CALLS: u32 = 6;

/// Done before everything else, in a turn of its own.
pub(super) const fn is_urgent(kind: TaskKind) -> bool {
    matches!(kind, TaskKind::Test | TaskKind::Unhook)
}

impl<C: Connect> Reader<C> {
    /// Does the oldest of what somebody waits for; `false` if there is nothing.
    pub(super) async fn urgent_if_wanted(&mut self) -> Result<bool, ReadError> {
        if !self.looks.tasks {
            return Ok(false);
        }
        let tasks = self.shared.store.waiting_tasks(self.id).await?;
        let Some(task) = tasks.into_iter().find(|task| is_urgent(task.kind)) else {
            return Ok(false);
        };
        // Another job may be under way: it goes on afterwards. What was cut off is found again, being a task still.
        let other = self.job.take();
        let tested = self.one_step(Job::of_task(&task, self.connected)).await;
        self.job = other;
        tested.map(|()| true)
    }

    /// Some text: what stands in the way.
    pub(super) async fn step_test(
        &mut self,
        job: &mut Job<CursorOf<C>>,
    ) -> Result<Option<String>, ReadError> {
        // What is tested is what the registry says now.
        self.connection = None;
        let connection = self.connection().await?;
        let diagnosis = tokio::select! {
            () = self.stop.cancelled() => return Err(ReadError::Stopped),
            diagnosis = connection.test() => diagnosis,
        };
        self.gate.owe(Instant::now(), TEST_CALLS);
        self.shared.observe.read(Read::Test);
        job.report.note_findings(&diagnosis);
        if let Some(fatal) = diagnosis.findings.iter().find(|finding| finding.severity >= Severity::Fatal) {
            let why = format!("{} {}", fatal.what, fatal.todo);
            self.note_failure(&fatal.what, fatal.is_refusal()).await?;
            return Ok(Some(why));
        }
        Ok(None)
    }
}
