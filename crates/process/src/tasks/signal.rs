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
