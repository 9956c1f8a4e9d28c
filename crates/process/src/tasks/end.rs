//! How a task ended, and what that makes of the process.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// The process was asked to stop and everything ended in time.
pub const EXIT_CODE_STOPPED: u8 = 0;
/// A task ended that should have run on (`EX_SOFTWARE` of sysexits).
pub const EXIT_CODE_TASK_ENDED: u8 = 70;
/// Tasks had to be cut off at the drain deadline (`EX_TEMPFAIL`); nothing is lost, the work is taken up again.
pub const EXIT_CODE_OVERDUE: u8 = 75;

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Returned,
    /// With the error and its causes.
    Failed(String),
    /// With the panic's message.
    Panicked(String),
}

/// A task that ended without having been told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyEnd {
    pub task: String,
    pub end: End,
}

/// Why and how the process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    Stopped,
    TaskEnded(EarlyEnd),
    /// The names of the tasks that were cut off.
    Overdue(Vec<String>),
}

/// What a task's future may give: nothing, or a result.
pub trait TaskResult {
    fn into_end(self) -> End;
}

impl TaskResult for () {
    fn into_end(self) -> End {
        End::Returned
    }
}

impl<E: Error> TaskResult for Result<(), E> {
    fn into_end(self) -> End {
        match self {
            Ok(()) => End::Returned,
            Err(error) => End::Failed(error_chain(&error)),
        }
    }
}

impl Exit {
    /// 0 stopped, 70 a task ended, 75 tasks were cut off at the deadline.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }

    pub(super) fn number(&self) -> u8 {
        match self {
            Self::Stopped => EXIT_CODE_STOPPED,
            Self::TaskEnded(_) => EXIT_CODE_TASK_ENDED,
            Self::Overdue(_) => EXIT_CODE_OVERDUE,
        }
    }
}

impl fmt::Display for EarlyEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            End::Returned => write!(f, "task {} returned although nobody told it to", self.task),
            End::Failed(error) => write!(f, "task {} failed: {error}", self.task),
            End::Panicked(message) => write!(f, "task {} panicked: {message}", self.task),
        }
    }
}

/// An error with all its causes in one line, for the place where it is logged.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

pub(super) fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}
