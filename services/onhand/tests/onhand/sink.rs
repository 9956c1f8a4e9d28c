//! A collector of traces in the process of the test: as much of OTLP over gRPC as an exporter needs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, Bytes};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the exporters call.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Before a message of gRPC: whether it is compressed, and four bytes of its length.
const FRAME_BYTES: usize = 5;

/// A span as it was told.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) name: String,
    /// Trace and span.
    pub(crate) place: Place,
    pub(crate) parent: Option<Place>,
    pub(crate) links: Vec<Place>,
    pub(crate) attributes: BTreeMap<String, String>,
    /// In nanoseconds since 1970.
    pub(crate) ended: u64,
}

/// Id of a trace, id of a span in it.
pub(crate) type Place = (String, String);

type Spans = Arc<Mutex<Vec<Span>>>;

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) url: String,
    spans: Spans,
    _listening: JoinSet<()>,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Spans::default();
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, Arc::clone(&spans)));
        Self { url, spans, _listening: listening }
    }

    /// All that was told so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

async fn listen(listener: TcpListener, spans: Spans) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, Arc::clone(&spans)));
    }
}

async fn serve(stream: TcpStream, spans: Spans) {
    let service = service_fn(|request| answer(request, Arc::clone(&spans)));
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // A process that was killed ends it as it likes.
    connection.serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn answer(
    request: Request<Incoming>,
    spans: Spans,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible>>, Infallible> {
    assert_eq!(request.uri().path(), EXPORT);
    let mut body = request.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.get_u8(), 0, "it is not compressed");
    let length = usize::try_from(body.get_u32()).unwrap();
    assert_eq!(body.len(), length);
    spans.lock().unwrap().extend(told(ExportTraceServiceRequest::decode(body).unwrap()));
    let empty = Full::new(Bytes::from_static(&[0; FRAME_BYTES]));
    let status = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
    let mut response = Response::new(empty.with_trailers(std::future::ready(Some(Ok(status)))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

fn told(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_service in request.resource_spans {
        let resource = attributes(of_service.resource.unwrap().attributes);
        for scope in of_service.scope_spans {
            spans.extend(scope.spans.into_iter().map(|span| told_span(&resource["service.name"], span)));
        }
    }
    spans
}

fn told_span(service: &str, span: otlp::Span) -> Span {
    let trace = hex(&span.trace_id);
    let parent = (!span.parent_span_id.is_empty()).then(|| (trace.clone(), hex(&span.parent_span_id)));
    assert_eq!(span.dropped_links_count, 0);
    Span {
        service: service.to_owned(),
        name: span.name,
        place: (trace, hex(&span.span_id)),
        parent,
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        attributes: attributes(span.attributes),
        ended: span.end_time_unix_nano,
    }
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    all.into_iter().map(|one| (one.key, text(one.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
