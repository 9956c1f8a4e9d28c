//! The trace a piece of work belongs to, as text that messages and database rows can carry (W3C `traceparent`).

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The name of the header, in HTTP and in messages.
pub const TRACEPARENT: &str = "traceparent";

/// A version 00 header is this long; longer ones of later versions need not be kept.
const TRACEPARENT_BYTES_MAX: usize = 55;

/// The present span's place in its trace; nothing when traces are off.
pub fn traceparent() -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Makes `span` continue the trace that `traceparent` came from. To be called before the span is entered. Text that
/// is no traceparent is ignored: it comes from outside, and work is never refused over its trace.
pub fn set_traceparent(span: &Span, traceparent: &str) {
    if traceparent.len() > TRACEPARENT_BYTES_MAX {
        return;
    }
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract(&carrier);
    if context.span().span_context().is_valid() && span.set_parent(context).is_err() {
        tracing::debug!("a span could not be joined to its trace; traces are off, or it was entered already");
    }
}
