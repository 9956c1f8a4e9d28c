//! What is logged of a broker that cannot be used: each cause once, however often it is tried again, and its end.
//!
//! The library's own log is off, so this is all an operator learns of a password that was changed, a permission that is
//! missing or a queue that is made differently.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::options::AmqpOptions;
use crate::topology::QueueName;

/// What holds this long is said to work again. A broker that lets us in and then refuses what we ask does so at once, and
/// would else be back and away again with every attempt.
const HELD_AFTER: Duration = Duration::from_secs(2);

/// What the broker is used for. One cause that ails both is logged once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    Publishing,
    Consuming,
}

/// Why the broker, or one of its queues, cannot be used now.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Its address, without name and password.
    broker: String,
    queue: Option<QueueName>,
    causes: Mutex<BTreeMap<Use, String>>,
}

impl Trouble {
    /// With the connections.
    pub(super) fn of_connections(options: &AmqpOptions) -> Self {
        Self { broker: options.to_string(), queue: None, causes: Mutex::default() }
    }

    /// With one queue, over connections that are there.
    pub(super) fn of_queue(options: &AmqpOptions, queue: QueueName) -> Self {
        Self { broker: options.to_string(), queue: Some(queue), causes: Mutex::default() }
    }

    /// It cannot be used, and why.
    pub(super) fn is(&self, ailing: Use, why: &str) {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let said = causes.values().any(|cause| cause == why);
        causes.insert(ailing, why.to_owned());
        drop(causes);
        if !said {
            let queue = self.queue.map(tracing::field::display);
            tracing::warn!(broker = %self.broker, queue, "the broker cannot be used: {why}");
        }
    }

    /// Waits until what just began to work has held for a while, and says that the trouble is over, if there was any. Never
    /// ends, so that it can be waited for beside what works.
    pub(super) async fn over_if_it_holds(&self, works: Use) -> Infallible {
        sleep(HELD_AFTER).await;
        self.is_over(works);
        std::future::pending().await
    }

    /// It works; says so if it did not.
    pub(super) fn is_over(&self, works: Use) {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let over = causes.remove(&works).is_some() && causes.is_empty();
        drop(causes);
        if over {
            let queue = self.queue.map(tracing::field::display);
            tracing::info!(broker = %self.broker, queue, "the broker can be used again");
        }
    }
}

/// An error with its causes. The library's errors say their cause themselves; it is not said twice.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::amqp::BrokerError;
    use crate::bus::BusError;

    #[test]
    fn a_cause_is_said_once() {
        let refused = BrokerError(io::Error::other("nobody listens").into());
        assert_eq!(chain(&refused), "IO error: nobody listens");
        assert_eq!(chain(&BusError::Broker(refused)), "the broker refused: IO error: nobody listens");
    }
}
