//! Messages that wait a moment for company while the broker is busy with others.
//!
//! A message that goes alone costs a write and several wake-ups here, and at the broker as many again and a sync of its own:
//! where there is no processor to spare for that, messages queue up that would have gone well together. While nothing is in
//! flight nobody waits.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::confirms::Submission;

/// So many messages are company enough. A quorum queue of RabbitMQ has a channel wait when it has more than 32 to answer
/// (`quorum_commands_soft_limit`).
const COMPANY: usize = 32;
/// How long one waits at most, whatever becomes of those in flight; the clock's grain of 1 ms comes on top.
const LINGER_MAX: Duration = Duration::from_millis(2);
/// Why what waits is not published once its connection is gone.
const LOST: &str = "the connection was lost before it was sent";

/// What waits, in its order. It counts as in flight, and is bounded with that.
#[derive(Debug)]
pub(super) struct Lingering {
    submissions: Vec<Submission>,
    messages: usize,
    until: Instant,
}

impl Lingering {
    pub(super) fn new() -> Self {
        Self { submissions: Vec::new(), messages: 0, until: Instant::now() }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.submissions.is_empty()
    }

    pub(super) fn push(&mut self, submission: Submission) {
        if self.is_empty() {
            self.until = Instant::now() + LINGER_MAX;
        }
        self.messages += submission.messages.len();
        self.submissions.push(submission);
    }

    /// Everything, once it has waited long enough or is enough; at once if nothing is `ahead` that it could wait for.
    pub(super) fn due(&mut self, ahead: bool) -> Vec<Submission> {
        if ahead && self.messages < COMPANY && Instant::now() < self.until {
            return Vec::new();
        }
        self.messages = 0;
        std::mem::take(&mut self.submissions)
    }

    /// Until something is due that only waits for the time.
    pub(super) async fn waited(&self) {
        sleep_until(self.until).await;
    }
}

impl Drop for Lingering {
    /// The broker was not asked for any of it, and will not be.
    fn drop(&mut self) {
        for submission in self.submissions.drain(..) {
            submission.decline(LOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Semaphore, oneshot};
    use tokio::time::advance;

    use super::super::confirms::{Answers, Outgoing};
    use super::*;
    use crate::publish::PublishError;

    fn submission(messages: usize) -> (Submission, oneshot::Receiver<Answers>) {
        let message = || Outgoing {
            queue: "queue".into(),
            properties: lapin::BasicProperties::default(),
            body: Vec::new(),
        };
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("it is new");
        let (answer, answered) = oneshot::channel();
        let messages = std::iter::repeat_with(message).take(messages).collect();
        (Submission { messages, answer, room }, answered)
    }

    fn lingering(counts: &[usize]) -> Lingering {
        let mut lingering = Lingering::new();
        for count in counts {
            lingering.push(submission(*count).0);
        }
        lingering
    }

    fn counts(due: &[Submission]) -> Vec<usize> {
        due.iter().map(|submission| submission.messages.len()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_waits_when_nothing_is_in_flight() {
        assert_eq!(counts(&lingering(&[1, 2]).due(false)), [1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn while_something_is_in_flight_few_wait_for_company_or_for_the_time_and_go_in_their_order() {
        let mut lingering = lingering(&[1, COMPANY - 2]);
        assert!(lingering.due(true).is_empty());
        lingering.push(submission(1).0);
        assert_eq!(counts(&lingering.due(true)), [1, COMPANY - 2, 1]);
        assert!(lingering.is_empty());

        lingering.push(submission(3).0);
        advance(LINGER_MAX / 2).await;
        lingering.push(submission(4).0);
        assert!(lingering.due(true).is_empty());
        // From when the first came.
        lingering.waited().await;
        assert_eq!(counts(&lingering.due(true)), [3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_when_the_connection_ends_is_answered() {
        let mut lingering = Lingering::new();
        let (submission, answered) = submission(2);
        lingering.push(submission);
        drop(lingering);
        let answers = answered.await.expect("an answer");
        assert_eq!(answers.len(), 2);
        for answer in answers {
            assert!(matches!(&answer, Err(PublishError::Unavailable { why }) if why == LOST), "{answer:?}");
        }
    }
}
