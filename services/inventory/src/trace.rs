//! The trace a change belongs to: the id alone is kept with movements, the whole context goes on to egress.

use std::sync::Arc;

use process::telemetry::{TRACES, goes_on, link, set_traceparent, traceparent_of};
use tracing::Span;
use tracing::field::Empty;

use crate::batch::Item;

/// A W3C trace context, as it came with a message or a request.
pub(crate) type Context = Option<Arc<str>>;

/// What is handed on of a message's trace, and the message's own span.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    /// The place of the span, or of what was before if it has none.
    pub(crate) context: Context,
    /// Disabled unless the message is in a trace that is sent.
    pub(crate) span: Span,
}

impl Trace {
    pub(crate) fn from_message(traceparent: Option<&str>) -> Self {
        Self { context: traceparent.map(Into::into), span: Span::none() }
    }
}

/// The span of a batch, disabled if no message in it is traced. It stands in the trace of the first one and is linked to
/// those of the others. Each message has a span of its own in its own trace, linked to the batch, from which the trace
/// goes on.
pub(crate) fn begin(items: &mut [Item<'_>]) -> Span {
    let message_count = items.len();
    let mut batch: Option<(Span, Option<String>)> = None;
    for item in items {
        let before = item.trace().context.as_ref().filter(|context| goes_on(context)).cloned();
        let Some(before) = before else { continue };
        let (batch, place) = batch.get_or_insert_with(|| {
            let span = tracing::info_span!(
                target: TRACES, parent: None, "batch", otel.kind = "consumer", messages = message_count
            );
            set_traceparent(&span, &before);
            let place = traceparent_of(&span);
            (span, place)
        });
        link(batch, &before);
        let properties = item.properties();
        let span = tracing::info_span!(
            target: TRACES, parent: None, "apply", otel.kind = "consumer", kind = %properties.message_type,
            message.id = %properties.message_id, shop.id = item.shop().map(values::ShopId::get),
            order.id = item.order().map(values::OrderId::get), decision = Empty
        );
        set_traceparent(&span, &before);
        if let Some(place) = place {
            link(&span, place);
        }
        let context = traceparent_of(&span).map_or(before, Into::into);
        item.set_trace(Trace { context: Some(context), span });
    }
    batch.map_or_else(Span::none, |(span, _)| span)
}

/// The trace id within a context; `None` if it is none.
pub(crate) fn trace_id(context: &str) -> Option<[u8; 16]> {
    let text = context.split('-').nth(1).filter(|text| text.len() == 32 && text.is_ascii())?;
    let mut id = [0; 16];
    for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_id_is_taken() {
        let id = trace_id("00-0102030405060708090a0b0c0d0e0f10-00f067aa0ba902b7-01");
        assert_eq!(id, Some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]));
        for strange in
            ["", "00", "00-xyz-1-1", "00-0102-00f067aa0ba902b7-01", "00-zz02030405060708090a0b0c0d0e0f10-1-1"]
        {
            assert_eq!(trace_id(strange), None, "{strange}");
        }
    }
}
