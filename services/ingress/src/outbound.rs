//! Publishing what was read: sealed once, tried until it is confirmed, in order.

use bus::{PublishError, Publisher};
use process::backoff::{Backoff, random};
use process::telemetry::{TRACES, traceparent_of};
use proto::{EncodeError, Envelope, Message};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};
use uuid::Uuid;
use values::Timestamp;

use crate::observe::Observe;

/// Who published it.
const APP_ID: &str = "ingress";
/// Most messages published at once.
const TOGETHER_MAX: usize = 250;
/// Waits between tries.
const RETRY: Backoff =
    Backoff { first: std::time::Duration::from_millis(100), max: std::time::Duration::from_secs(10) };

/// It was told to stop before all was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("told to stop before what was read was published")]
pub(crate) struct Stopped;

/// A message was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    #[error("a message cannot be put into bytes")]
    Encode(#[source] EncodeError),
    #[error("a message is not confirmed")]
    Publish(#[source] PublishError),
}

/// Seals messages and publishes them.
#[derive(Debug, Clone)]
pub(crate) struct Outbound {
    publisher: Publisher,
    clock: fn() -> Timestamp,
    observe: Observe,
}

impl Outbound {
    pub(crate) fn new(publisher: Publisher, clock: fn() -> Timestamp, observe: Observe) -> Self {
        Self { publisher, clock, observe }
    }

    /// `trace` is where they are in it: the same for all that are published together.
    fn seal(&self, message: &Message, trace: Option<&str>) -> Result<Envelope, EncodeError> {
        let mut envelope = Envelope::seal(message, Uuid::now_v7(), (self.clock)(), APP_ID)?;
        envelope.properties.traceparent = trace.map(str::to_owned);
        Ok(envelope)
    }

    /// Tries once: whoever sent it sends it again.
    pub(crate) async fn publish_once(&self, messages: &[Message]) -> Result<(), OutboundError> {
        let span = publish_span(messages);
        let trace = traceparent_of(&span);
        let sealed: Result<Vec<_>, _> =
            messages.iter().map(|message| self.seal(message, trace.as_deref())).collect();
        let sealed = sealed.map_err(OutboundError::Encode)?;
        for answer in self.publisher.publish(&sealed).instrument(span).await {
            answer.map_err(OutboundError::Publish)?;
        }
        Ok(())
    }

    /// Publishes all, in order, trying until they are confirmed.
    pub(crate) async fn publish(
        &self,
        messages: &[Message],
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        for together in messages.chunks(TOGETHER_MAX) {
            let span = publish_span(together);
            let trace = traceparent_of(&span);
            let mut sealed = Vec::with_capacity(together.len());
            for message in together {
                match self.seal(message, trace.as_deref()) {
                    Ok(envelope) => sealed.push(envelope),
                    // Facts are bounded where they are made, so this is a defect; one message must not stop a shop.
                    Err(error) => Observe::never_published(&error),
                }
            }
            self.until_confirmed(&sealed, stop).instrument(span).await?;
        }
        Ok(())
    }

    async fn until_confirmed(&self, sealed: &[Envelope], stop: &CancellationToken) -> Result<(), Stopped> {
        let mut left = sealed;
        let mut failures = 0;
        while !left.is_empty() {
            let answers = self.publisher.publish(left).await;
            let failed = answers.iter().enumerate().find_map(|(index, answer)| {
                let error = answer.as_ref().err()?;
                Some((index, error))
            });
            let Some((index, error)) = failed else { return Ok(()) };
            // What follows the first failure is published again behind it: their order is kept.
            left = left.get(index..).unwrap_or_default();
            if matches!(error, PublishError::Unroutable { .. } | PublishError::TooLarge { .. }) {
                Observe::never_published(error);
                left = left.get(1..).unwrap_or_default();
                continue;
            }
            self.observe.publish_failed(error);
            failures += 1;
            tokio::select! {
                () = stop.cancelled() => return Err(Stopped),
                () = tokio::time::sleep(RETRY.delay(failures, random())) => {}
            }
        }
        Ok(())
    }
}

/// The span of what is published together. Of a webhook it is below the webhook's; what was read begins a trace here.
fn publish_span(messages: &[Message]) -> Span {
    let kind = messages.first().map_or("", |message| message.kind().type_name());
    tracing::info_span!(target: TRACES, "publish", otel.kind = "producer", kind, messages = messages.len())
}
