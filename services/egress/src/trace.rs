//! The spans of egress: a level that is taken in, a stock's part in a call, and the call. Each level goes on with the trace
//! it came in; a call has many causes, stands in the trace of the first and is linked to those of the others.

use bus::Delivery;
use connector::CallError;
use process::telemetry::{TRACES, goes_on, link, set_traceparent, traceparent_of};
use tracing::Span;
use tracing::field::Empty;
use values::{Quantity, Sku};

use crate::gate::cause;
use crate::levels::Published;
use crate::stock::Stock;

/// The span of a batch, disabled if no level in it is traced. It stands in the trace of the first one and is linked to
/// those of the others. Each level has a span of its own in its own trace, linked to the batch, from which the trace goes
/// on.
pub(crate) fn taking_in<'a>(levels: impl Iterator<Item = &'a mut Published>, batch: &[Delivery]) -> Span {
    let mut begun: Option<(Span, Option<String>)> = None;
    for published in levels {
        let Some(before) = published.trace.take_if(|trace| goes_on(trace)) else { continue };
        let (whole, place) = begun.get_or_insert_with(|| {
            let span = tracing::info_span!(
                target: TRACES, parent: None, "batch", otel.kind = "consumer", messages = batch.len()
            );
            set_traceparent(&span, &before);
            let place = traceparent_of(&span);
            (span, place)
        });
        link(whole, &before);
        let level = &published.level;
        let span = tracing::info_span!(
            target: TRACES, parent: None, "receive", otel.kind = "consumer", shop.id = level.stock.shop.get(),
            stock.id = level.stock.holder.get(), sku = %level.sku, level = %level.level,
            revision = level.revision.get(), fresh = Empty
        );
        set_traceparent(&span, &before);
        if let Some(place) = place {
            link(&span, place);
        }
        published.trace = traceparent_of(&span).or(Some(before));
        published.span = span;
    }
    begun.map_or_else(Span::none, |(span, _)| span)
}

/// A stock that is pushed, in the trace of what made it necessary first, linked to what came to it since. Disabled if
/// nothing of that is traced.
pub(crate) fn pushing(stock: &Stock, delta: Quantity) -> Span {
    caused(stock, || {
        tracing::info_span!(
            target: TRACES, parent: None, "push", shop.id = stock.row.id.shop.get(),
            stock.id = stock.row.id.holder.get(), sku = stock.row.sku.as_ref().map(Sku::as_str), delta = %delta,
            outcome = Empty
        )
    })
}

/// The same for a stock that is read because nobody knows whether its push arrived.
pub(crate) fn reading_back(stock: &Stock) -> Span {
    caused(stock, || {
        tracing::info_span!(
            target: TRACES, parent: None, "read back", shop.id = stock.row.id.shop.get(),
            stock.id = stock.row.id.holder.get(), sku = stock.row.sku.as_ref().map(Sku::as_str)
        )
    })
}

fn caused(stock: &Stock, make: impl FnOnce() -> Span) -> Span {
    let mut traces = stock.notes.traces.iter().filter(|trace| goes_on(trace));
    let Some(first) = traces.next() else { return Span::none() };
    let span = make();
    set_traceparent(&span, first);
    for other in traces {
        link(&span, other);
    }
    span
}

/// A call for what has these spans: below the first, linked to the others and they to it. Disabled if all of them are.
pub(crate) fn calling<'a>(kind: &str, parts: impl Iterator<Item = &'a Span>) -> Span {
    let mut parts = parts.filter_map(|part| Some((part, traceparent_of(part)?)));
    let Some((_, above)) = parts.next() else { return Span::none() };
    let span = tracing::info_span!(
        target: TRACES, parent: None, "call", otel.kind = "client", kind, http.response.status_code = Empty,
        failure = Empty, otel.status_code = Empty
    );
    set_traceparent(&span, &above);
    let Some(place) = traceparent_of(&span) else { return span };
    for (part, beside) in parts {
        link(&span, &beside);
        link(part, &place);
    }
    span
}

/// Notes what came of a call; its status was noted when it came.
pub(crate) fn answered<T>(span: &Span, result: &Result<T, CallError>) {
    if let Err(error) = result {
        span.record("failure", cause(error)).record("otel.status_code", "ERROR");
    }
}
