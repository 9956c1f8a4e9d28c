//! The life of a process that serves: from the moment it listens for signals until everything has ended.

use std::pin::Pin;

use process::health::Health;
use process::{Drain, Exit, Tasks, shutdown_signal};

use crate::failure::Failure;

type Signal = Pin<Box<dyn Future<Output = &'static str> + Send>>;

/// Listens for signals from before the first of them may be sent, which is when the process says that it is up.
pub(crate) struct Signals {
    first: Option<Signal>,
}

impl Signals {
    pub(crate) async fn listen() -> Self {
        let mut first: Signal = Box::pin(shutdown_signal());
        // It listens from the first look on. Should a signal be there already, it is as good as one right after.
        tokio::select! {
            biased;
            signal = &mut first => first = Box::pin(std::future::ready(signal)),
            () = std::future::ready(()) => {}
        }
        Self { first: Some(first) }
    }

    fn next(&mut self) -> Signal {
        self.first.take().unwrap_or_else(|| Box::pin(shutdown_signal()))
    }
}

/// Runs until a signal or until a task ends that was not told to; then drains.
pub(crate) async fn until_stopped(
    tasks: &Tasks,
    health: &Health,
    mut signals: Signals,
    drain: impl Into<Drain>,
) -> Result<(), Failure> {
    match tasks.run(|| signals.next(), health, drain).await {
        Exit::Stopped => {
            tracing::info!("stopped");
            Ok(())
        }
        other => Err(Failure::Stopped(other)),
    }
}
