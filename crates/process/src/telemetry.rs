//! Log lines on standard error, traces to a collector when there is one, and the trace's way through messages.
//!
//! Only spans of the target [`TRACES`] become traces: those of the HTTP and gRPC libraries would make the exporter trace
//! itself. They are not for the log, so with traces off nobody wants them and none is made.

mod propagation;

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, TracerProviderBuilder,
};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

pub use propagation::{TRACEPARENT, goes_on, link, set_traceparent, traceparent_of};

use crate::config::Word;

/// The broker's client reports as an error what is none, such as a queue that is not there when we ask whether it is; what
/// matters of it our own crates say where they deal with it.
const TOLD_BY_US: &str = "lapin";

/// How long sending one batch of spans may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last spans may take to be sent when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Spans that wait to be sent; what comes while so many do is lost.
const SPANS_WAITING_MAX: usize = 8_192;

/// Links of one span: a batch has one to each message in it. More than any batch may have messages.
const LINKS_MAX: u32 = 10_000;

/// Target of the spans that become traces.
pub const TRACES: &str = "onhand_traces";

/// What the targets of all our crates start with.
const OWN_TARGETS: &str = "onhand";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    Json,
    Pretty,
}

/// The least important lines that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Where traces go and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The gRPC address of an OTLP collector.
    pub url: String,
    /// Of a thousand traces that begin here.
    pub sampled_permille: usize,
}

/// Telemetry cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot prepare sending traces to {url}; check ONHAND_PROCESS_TRACES_URL")]
    Exporter { url: String, source: ExporterBuildError },
    #[error("this process already logs in another way")]
    AlreadyStarted { source: TryInitError },
}

/// Running telemetry; [`Telemetry::flush`] it last.
#[derive(Debug)]
#[must_use = "spans that were not sent are lost unless it is flushed"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("json", Self::Json), ("pretty", Self::Pretty)];
}

impl Word for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// Starts logging, and tracing if there is somewhere to send traces to; then it must be called inside the runtime.
pub fn start(
    service: &'static str,
    format: LogFormat,
    level: LogLevel,
    traces: Option<&Traces>,
) -> Result<Telemetry, StartError> {
    let provider = traces.map(|traces| provider(service, traces)).transpose()?;
    subscriber(format, level, std::io::stderr, provider.as_ref())
        .try_init()
        .map_err(|source| StartError::AlreadyStarted { source })?;
    Ok(Telemetry { provider })
}

impl Telemetry {
    /// Sends what is left of the traces, for a few seconds at most.
    pub async fn flush(self) {
        self.flush_within(FLUSH_TIMEOUT).await;
    }

    async fn flush_within(self, patience: Duration) {
        let Some(provider) = self.provider else { return };
        // The exporter needs the runtime while this waits for it.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(patience)).await;
        match flushed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces could not be sent"),
            Err(error) => tracing::warn!(%error, "the last traces could not be sent"),
        }
    }
}

fn provider(service: &'static str, traces: &Traces) -> Result<SdkTracerProvider, StartError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(traces.url.clone())
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|source| StartError::Exporter { url: traces.url.clone(), source })?;
    let permille = u32::try_from(traces.sampled_permille).unwrap_or(u32::MAX);
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(f64::from(permille) / 1_000.0)));
    let resource = Resource::builder().with_service_name(service).build();
    let waiting = BatchConfigBuilder::default().with_max_queue_size(SPANS_WAITING_MAX).build();
    let sending = BatchSpanProcessor::builder(exporter).with_batch_config(waiting).build();
    Ok(within_limits().with_span_processor(sending).with_sampler(sampler).with_resource(resource).build())
}

fn within_limits() -> TracerProviderBuilder {
    SdkTracerProvider::builder().with_max_links_per_span(LINKS_MAX)
}

fn subscriber<W>(
    format: LogFormat,
    level: LogLevel,
    writer: W,
    provider: Option<&SdkTracerProvider>,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Pretty => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if json {
        lines.json().flatten_event(true).with_span_list(false).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    };
    // Libraries say little of use below `info`, and say it very often.
    let others = level.filter().min(LevelFilter::INFO);
    let logged = Targets::new()
        .with_default(others)
        .with_target(OWN_TARGETS, level.filter())
        .with_target(TOLD_BY_US, LevelFilter::OFF)
        .with_target(TRACES, LevelFilter::OFF);
    let traced = Targets::new().with_target(TRACES, LevelFilter::INFO);
    let spans = provider.map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(OWN_TARGETS));
        let layer = layer.with_location(false).with_threads(false).with_target(false).with_level(false);
        layer.with_tracked_inactivity(false).with_filter(traced).boxed()
    });
    let mut layers = vec![lines.with_filter(logged).boxed()];
    layers.extend(spans);
    Registry::default().with(layers)
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

#[cfg(test)]
mod tests;
