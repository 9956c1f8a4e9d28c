//! What is logged, what is traced, and how a trace goes on elsewhere.

use std::io::Write;
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::SpanData;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;

/// Keeps what is written to it.
#[derive(Debug, Clone)]
struct Kept<T>(Arc<Mutex<Vec<T>>>);

impl<T> Kept<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn taken(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Write for Kept<u8> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Kept<SpanData> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

fn logged(format: LogFormat, level: LogLevel, work: impl FnOnce()) -> String {
    let kept = Kept::<u8>::new();
    let writer = kept.clone();
    tracing::subscriber::with_default(subscriber(format, level, move || writer.clone(), None), work);
    String::from_utf8(kept.taken()).unwrap()
}

fn traced(work: impl FnOnce()) -> Vec<SpanData> {
    let kept = Kept::<SpanData>::new();
    let provider = within_limits().with_simple_exporter(kept.clone()).build();
    let subscriber = subscriber(LogFormat::Json, LogLevel::Error, std::io::sink, Some(&provider));
    tracing::subscriber::with_default(subscriber, work);
    kept.taken()
}

#[test]
fn lines_are_json_objects_with_their_fields() {
    let text = logged(LogFormat::Json, LogLevel::Info, || tracing::info!(shop.id = 7, "a shop was added"));
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["message"], "a shop was added");
    assert_eq!(line["shop.id"], 7);
    assert_eq!(line["level"], "INFO");
}

#[test]
fn the_level_is_ours_and_libraries_stay_quiet() {
    let text = logged(LogFormat::Json, LogLevel::Debug, || {
        tracing::debug!("ours");
        tracing::trace!("too much");
        tracing::debug!(target: "hyper::proto", "theirs");
        tracing::warn!(target: "hyper::proto", "theirs, and it matters");
    });
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("ours") && lines[1].contains("it matters"), "{text}");
}

#[test]
fn pretty_lines_are_for_people() {
    let text = logged(LogFormat::Pretty, LogLevel::Info, || tracing::info!("hello"));
    assert!(text.contains("hello") && !text.contains('{') && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_trace_goes_on_where_its_traceparent_is_taken_up() {
    let spans = traced(|| {
        let carried = traceparent_of(&tracing::info_span!(target: TRACES, "publish"));
        let receive = tracing::info_span!(target: TRACES, "receive");
        set_traceparent(&receive, &carried.expect("traces are on"));
        receive.in_scope(|| {});
    });
    let [publish, receive] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((publish.name.as_ref(), receive.name.as_ref()), ("publish", "receive"));
    assert_eq!(publish.span_context.trace_id(), receive.span_context.trace_id());
    assert_eq!(publish.span_context.span_id(), receive.parent_span_id);
}

#[test]
fn nonsense_from_outside_begins_a_trace_of_its_own() {
    for nonsense in ["", "00-0-0-00", "é", &"0".repeat(10_000)] {
        let spans = traced(|| {
            let receive = tracing::info_span!(target: TRACES, "receive");
            set_traceparent(&receive, nonsense);
            link(&receive, nonsense);
            receive.in_scope(|| {});
        });
        assert_eq!((spans.len(), spans[0].links.len()), (1, 0));
        assert_eq!(spans[0].parent_span_id, opentelemetry::trace::SpanId::INVALID);
    }
}

#[test]
fn a_batch_is_linked_to_all_that_is_in_it() {
    let mut carried = Vec::new();
    let spans = traced(|| {
        let publish = || tracing::info_span!(target: TRACES, "publish");
        carried.extend((0..600).filter_map(|_| traceparent_of(&publish())));
        let batch = tracing::info_span!(target: TRACES, "batch");
        for place in &carried {
            link(&batch, place);
        }
    });
    let links = &spans.last().unwrap().links;
    let linked: Vec<String> = links.iter().map(|link| link.span_context.span_id().to_string()).collect();
    let published: Vec<String> = spans.iter().map(|span| span.span_context.span_id().to_string()).collect();
    assert_eq!((linked.len(), carried.len()), (600, 600));
    assert_eq!(linked, published[..600]);
}

#[test]
fn only_spans_for_traces_are_traced_and_only_others_are_logged() {
    let spans = traced(|| {
        tracing::info_span!(target: "h2::client", "frame").in_scope(|| {});
        tracing::info_span!("ours").in_scope(|| tracing::warn!("a line of the log"));
    });
    assert!(spans.is_empty(), "{spans:?}");
    let line = logged(LogFormat::Json, LogLevel::Trace, || {
        tracing::info_span!(target: TRACES, "publish").in_scope(|| tracing::info!("published"));
    });
    assert!(line.contains("published") && !line.contains("\"publish\""), "{line}");
}

#[test]
fn without_traces_no_span_is_made() {
    const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let off = subscriber(LogFormat::Json, LogLevel::Trace, std::io::sink, None);
    tracing::subscriber::with_default(off, || {
        let span = tracing::info_span!(target: TRACES, "publish");
        assert!(span.is_disabled());
        set_traceparent(&span, SENT);
        link(&span, SENT);
        assert_eq!(traceparent_of(&span), None);
        assert!(!goes_on(SENT));
    });
}

#[test]
fn a_trace_that_is_not_sent_is_not_gone_on_with() {
    traced(|| {
        assert!(goes_on("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for sent in ["", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "01", "x"] {
            assert!(!goes_on(sent), "{sent}");
        }
    });
}

#[tokio::test]
async fn the_last_spans_are_sent_but_a_silent_collector_does_not_hold_up_the_end() {
    let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", collector.local_addr().unwrap());
    let provider = provider("test", &Traces { url, sampled_permille: 1_000 }).unwrap();
    let subscriber = subscriber(LogFormat::Json, LogLevel::Error, std::io::sink, Some(&provider));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info_span!(target: TRACES, "publish").in_scope(|| {});
    });

    let patience = Duration::from_millis(300);
    let flushed = Telemetry { provider: Some(provider) }.flush_within(patience);
    let collected = async {
        let (mut connection, _) = collector.accept().await.unwrap();
        let mut preface = [0; 14];
        connection.read_exact(&mut preface).await.unwrap();
        (connection, preface)
    };
    let started = Instant::now();
    let ((), (_connection, preface)) = tokio::join!(flushed, collected);
    assert_eq!(&preface, b"PRI * HTTP/2.0");
    assert!(started.elapsed() < EXPORT_TIMEOUT, "{:?}", started.elapsed());
}
