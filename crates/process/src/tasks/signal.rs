//! The signals that ask a process to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM (service managers, containers) or SIGINT (Ctrl-C) and names the one that came.
pub async fn shutdown_signal() -> &'static str {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM may be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT may be handled");
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::process::Command;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_signal_that_came_is_named() {
        for (sent, expected) in [("-TERM", "SIGTERM"), ("-INT", "SIGINT")] {
            let mut signal = pin!(shutdown_signal());
            assert_eq!(signal.as_mut().now_or_never(), None, "it waits, and from now on handles the signals");
            let own_id = std::process::id().to_string();
            assert!(Command::new("kill").args([sent, &own_id]).status().unwrap().success());
            assert_eq!(signal.await, expected);
        }
    }
}
