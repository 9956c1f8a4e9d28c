//! `onhand up`: all of onhand in this process, until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use process::Settings;
use process::config::{self, Group, Setting, Source};

use crate::arguments::Global;
use crate::connection::{self, DATA_DIR, LISTEN_DEFAULT, Public};
use crate::distributed;
use crate::failure::Failure;
use crate::running::{Signals, until_stopped};
use crate::screen::Screen;
use crate::standalone::{self, Options, Standalone};

/// Shown in telemetry.
const SERVICE: &str = "onhand";

const LISTEN: Setting<SocketAddr> = Setting::address(
    "ONHAND_LISTEN",
    "Where `onhand up` listens, for webhooks, API, health pages and metrics alike.",
)
.or(LISTEN_DEFAULT);

/// The settings of `onhand up` alone.
pub const GROUP: Group = Group { title: "Standalone", about: "", settings: &[LISTEN.declaration()] };

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Where to listen [environment: `ONHAND_LISTEN`; default: `127.0.0.1:8017`].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// How shops reach this onhand, for the webhooks it makes in them [environment: `ONHAND_PUBLIC_URL`].
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

/// Everything that is set.
struct Set {
    process: Settings,
    listen: SocketAddr,
    data_dir: Option<PathBuf>,
    public: Public,
    services: standalone::ServiceSettings,
}

impl Up {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let set = self.settings(global)?;
        let traces = set.process.traces.as_ref();
        let telemetry =
            process::telemetry::start(SERVICE, set.process.log_format, set.process.log_level, traces)
                .map_err(standalone::StartError::from)?;
        let drain = set.process.drain_deadline;
        let signals = Signals::listen().await;
        let options = Options {
            data_dir: connection::data_dir_or_default(set.data_dir),
            listen: set.listen,
            public: set.public,
            http: set.process.http,
            services: set.services,
        };
        let outcome = match standalone::start(options).await {
            Ok(running) => serve(running, signals, drain).await,
            Err(error) => Err(error.into()),
        };
        telemetry.flush().await;
        outcome
    }

    fn settings(&self, global: &Global) -> Result<Set, Failure> {
        let mut source = Source::environment();
        let data_dir = global.data_dir.as_ref().and_then(|path| path.to_str());
        let flags = [
            ("ONHAND_LISTEN", self.listen.as_deref()),
            ("ONHAND_PUBLIC_URL", self.public_url.as_deref()),
            ("ONHAND_DATA_DIR", data_dir),
        ];
        for (name, flag) in flags {
            if let Some(value) = flag {
                source.set(name, value);
            }
        }
        let groups = [
            &[Settings::GROUP, connection::GROUP, GROUP, distributed::GROUP],
            standalone::ServiceSettings::GROUPS,
        ]
        .concat();
        let set = config::read(&source, &groups, |reader| Set {
            process: Settings::from_source(reader),
            listen: reader.get(&LISTEN),
            data_dir: reader.get_optional(&DATA_DIR),
            public: Public::from_source(reader),
            services: standalone::ServiceSettings::from_source(reader),
        })?;
        Ok(set)
    }
}

async fn serve(running: Standalone, signals: Signals, drain: Duration) -> Result<(), Failure> {
    if announce(&running).is_err() {
        // The log says the same; that nobody reads this is no reason not to run.
        tracing::debug!("standard output is closed");
    }
    let (tasks, health) = (running.tasks.clone(), running.health.clone());
    // What is left of it holds the transport open, which is to end once its users have.
    drop(running);
    until_stopped(&tasks, &health, signals, drain).await
}

fn announce(running: &Standalone) -> Result<(), Failure> {
    let screen = Screen { json: false };
    screen.line(format!("onhand is up at http://{}", running.address))?;
    running.told().iter().try_for_each(|(what, told)| screen.line(format!("  {what:14} {told}")))
}
