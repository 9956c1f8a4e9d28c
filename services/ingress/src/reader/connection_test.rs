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

impl<C: Connect> Reader<C> {
    /// Makes the oldest test that was asked for; `false` if there is none.
    pub(super) async fn test_if_wanted(&mut self) -> Result<bool, ReadError> {
        if !self.looks.tasks {
            return Ok(false);
        }
        let tasks = self.shared.store.waiting_tasks(self.id).await?;
        let Some(task) = tasks.into_iter().find(|task| task.kind == TaskKind::Test) else {
            return Ok(false);
        };
        // Another job may be under way: it goes on afterwards. A test that was cut off is found again, being a task still.
        let other = self.job.take();
        let tested = self.one_step(Job::new(Some(task.id), task.kind, self.connected)).await;
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
            self.note_failure(&fatal.what).await?;
            return Ok(Some(why));
        }
        Ok(None)
    }
}
