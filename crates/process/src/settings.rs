//! The settings every process has, whatever its service.

use std::time::Duration;

use crate::config::{Group, OptionalSetting, Reader, Setting, Within};
use crate::serve::Limits;
use crate::telemetry::{LogFormat, LogLevel, Traces};

const LOG_FORMAT: Setting<LogFormat> = Setting::words(
    "ONHAND_PROCESS_LOG_FORMAT",
    "How log lines look on standard error; `auto` is `pretty` on a terminal and `json` elsewhere.",
)
.or("auto");
const LOG_LEVEL: Setting<LogLevel> =
    Setting::words("ONHAND_PROCESS_LOG_LEVEL", "The least important lines to log.").or("info");
const TRACES_URL: OptionalSetting<String> = Setting::url(
    "ONHAND_PROCESS_TRACES_URL",
    "Where traces go: an OTLP collector's gRPC address, as in `http://127.0.0.1:4317`.",
    &["http"],
)
.optional();
const TRACES_SAMPLED: Setting<usize> = Setting::count(
    "ONHAND_PROCESS_TRACES_SAMPLED_PERMILLE",
    "How many of a thousand traces are sent; a trace that began elsewhere follows what was decided there.",
    Within { default: 100, min: 0, max: 1_000 },
);
const DRAIN_DEADLINE: Setting<Duration> = Setting::duration(
    "ONHAND_PROCESS_DRAIN_DEADLINE_MS",
    "How long the process may take to finish its work when it is told to stop.",
    Within { default: 20_000, min: 100, max: 600_000 },
);
const HTTP_CONNECTIONS: Setting<usize> = Setting::count(
    "ONHAND_PROCESS_HTTP_CONNECTIONS_MAX",
    "Connections served at a time on each listening address.",
    Within { default: 1_024, min: 1, max: 65_536 },
);
const HTTP_HEADER_READ_TIMEOUT: Setting<Duration> = Setting::duration(
    "ONHAND_PROCESS_HTTP_HEADER_READ_TIMEOUT_MS",
    "How long a client may take to send a request's head, and how long a kept connection may idle.",
    Within { default: 10_000, min: 100, max: 120_000 },
);

/// What the settings of [`Settings::GROUP`] say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub log_format: LogFormat,
    pub log_level: LogLevel,
    /// None when traces are off.
    pub traces: Option<Traces>,
    pub drain_deadline: Duration,
    pub http: Limits,
}

impl Settings {
    pub const GROUP: Group = Group {
        title: "Every process",
        about: "",
        settings: &[
            LOG_FORMAT.declaration(),
            LOG_LEVEL.declaration(),
            TRACES_URL.declaration(),
            TRACES_SAMPLED.declaration(),
            DRAIN_DEADLINE.declaration(),
            HTTP_CONNECTIONS.declaration(),
            HTTP_HEADER_READ_TIMEOUT.declaration(),
        ],
    };

    pub fn from_source(reader: &mut Reader<'_>) -> Self {
        let sampled_permille = reader.get(&TRACES_SAMPLED);
        Self {
            log_format: reader.get(&LOG_FORMAT),
            log_level: reader.get(&LOG_LEVEL),
            traces: reader.get_optional(&TRACES_URL).map(|url| Traces { url, sampled_permille }),
            drain_deadline: reader.get(&DRAIN_DEADLINE),
            http: Limits {
                connections_max: reader.get(&HTTP_CONNECTIONS),
                header_read_timeout: reader.get(&HTTP_HEADER_READ_TIMEOUT),
                ..Limits::default()
            },
        }
    }

    /// Small bounds, so that tests meet them.
    pub fn for_testing() -> Self {
        Self {
            log_format: LogFormat::Pretty,
            log_level: LogLevel::Warn,
            traces: None,
            drain_deadline: Duration::from_secs(5),
            http: Limits {
                connections_max: 16,
                header_read_timeout: Duration::from_secs(1),
                ..Limits::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Source};

    fn read(pairs: &[(&str, &str)]) -> Settings {
        let source = Source::from_pairs(pairs.iter().copied());
        config::read(&source, &[Settings::GROUP], Settings::from_source).unwrap()
    }

    #[test]
    fn every_default_can_be_read() {
        let settings = read(&[]);
        assert_eq!(settings.http, Limits::default());
        assert_eq!((settings.log_format, settings.log_level), (LogFormat::Auto, LogLevel::Info));
        assert_eq!(settings.traces, None);
    }

    #[test]
    fn traces_are_on_when_they_have_somewhere_to_go() {
        let settings = read(&[("ONHAND_PROCESS_TRACES_URL", "http://127.0.0.1:4317")]);
        let expected = Traces { url: "http://127.0.0.1:4317".to_owned(), sampled_permille: 100 };
        assert_eq!(settings.traces, Some(expected));
    }
}
