//! The trace a piece of work belongs to, as text that messages and database rows can carry (W3C `traceparent`).

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::TRACES;

/// The name of the header, in HTTP and in messages.
pub const TRACEPARENT: &str = "traceparent";

/// A version 00 header is this long; longer ones of later versions need not be kept.
const TRACEPARENT_BYTES_MAX: usize = 55;

/// The bit of the last two digits that says that the trace is sent.
const SAMPLED: u8 = 1;

/// The span's place in its trace; nothing when traces are off.
pub fn traceparent_of(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Whether a span is wanted that goes on from there: traces are on, and that trace is one of those that are sent. What has
/// none still hands the trace on as it came.
pub fn goes_on(traceparent: &str) -> bool {
    tracing::enabled!(target: TRACES, Level::INFO) && is_sampled(traceparent)
}

/// Makes `span` continue the trace that `traceparent` came from. To be called before the span is entered. Text that
/// is no traceparent is ignored: it comes from outside, and work is never refused over its trace.
pub fn set_traceparent(span: &Span, traceparent: &str) {
    let Some(context) = context(span, traceparent) else { return };
    if span.set_parent(context).is_err() {
        tracing::debug!("a span could not be joined to its trace; traces are off, or it was entered already");
    }
}

/// Says of `span` that what `traceparent` came from has to do with it, though it is not above it: a batch has many
/// causes. Text that is no traceparent is ignored.
pub fn link(span: &Span, traceparent: &str) {
    if let Some(context) = context(span, traceparent) {
        span.add_link(context.span().span_context().clone());
    }
}

fn context(span: &Span, traceparent: &str) -> Option<Context> {
    if span.is_disabled() || traceparent.len() > TRACEPARENT_BYTES_MAX {
        return None;
    }
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract(&carrier);
    context.span().span_context().is_valid().then_some(context)
}

fn is_sampled(traceparent: &str) -> bool {
    let flags = traceparent.rsplit('-').next().and_then(|flags| u8::from_str_radix(flags, 16).ok());
    traceparent.len() == TRACEPARENT_BYTES_MAX && flags.is_some_and(|flags| flags & SAMPLED != 0)
}
