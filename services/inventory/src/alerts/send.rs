//! Sends notices until each is taken, or was tried often enough.

use std::sync::Arc;

use notices::{Channels, Digest, SendError};
use process::backoff::{Backoff, random};
use process::clock;
use store::{Channel, Notice, Store};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use values::Timestamp;

use super::TURN;
use super::observe::Observer;
use super::settings::AlertSettings;
use crate::error::guarded;

/// Notices sent in one round.
const ROUND_NOTICES_MAX: u32 = 10;
/// Times that a notice is tried: with the waits between them, most of a day.
const ATTEMPTS_MAX: u32 = 40;

/// Who sends one way, and how. A way that is slow to answer, or does not, delays nobody else's.
pub(crate) struct Post {
    pub(crate) channel: Channel,
    pub(crate) store: Arc<Store>,
    pub(crate) owner: String,
    pub(crate) channels: Arc<Channels>,
    pub(crate) settings: AlertSettings,
    pub(crate) observer: Observer,
    /// There is something to send.
    pub(crate) wake: Arc<Notify>,
}

impl Post {
    /// Sends what is due, until `stop`: what is under way then may arrive, and is sent again by whoever comes next.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let rounds = async {
            loop {
                if let Err(error) = guarded(self.round()).await {
                    self.observer.failed("sending notices", &error);
                }
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = sleep(self.settings.period) => {}
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = rounds => {}
        }
    }

    /// Until nothing is due: what waited for a notice that was taken is sent at once.
    async fn round(&self) -> Result<(), store::Error> {
        loop {
            let due = self.store.notices_due(self.channel, clock::now(), ROUND_NOTICES_MAX).await?;
            if due.is_empty() {
                return Ok(());
            }
            for notice in due {
                // Sending takes less than a turn.
                if !self.store.take_alert_turn(&self.owner, clock::now(), TURN).await? {
                    return Ok(());
                }
                let sent = send(&self.channels, &notice).await;
                self.note(&notice, sent, clock::now()).await?;
            }
        }
    }

    async fn note(
        &self,
        notice: &Notice,
        sent: Result<(), SendError>,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        match sent {
            Err(error) if !error.is_final() => return self.not_sent(notice, &error, now).await,
            Err(error) => self.observer.partly_sent(self.channel, &error),
            Ok(()) => {}
        }
        self.store.notice_sent(&notice.id, now).await?;
        self.observer.sent(self.channel);
        Ok(())
    }

    async fn not_sent(&self, notice: &Notice, error: &SendError, now: Timestamp) -> Result<(), store::Error> {
        let failures = notice.attempts.saturating_add(1);
        let why = process::error_chain(error);
        let again_at = (failures < ATTEMPTS_MAX).then(|| now + wait(&self.settings.retry, failures));
        self.observer.not_sent(self.channel, &why, again_at.is_some());
        self.store.notice_failed(&notice.id, &why, again_at, now).await
    }
}

/// At least half of it: who failed a moment ago fails again.
fn wait(retry: &Backoff, failures: u32) -> std::time::Duration {
    retry.ceiling(failures) / 2 + retry.delay(failures, random()) / 2
}

async fn send(channels: &Channels, notice: &Notice) -> Result<(), SendError> {
    match notice.channel {
        Channel::Webhook => {
            let webhook = channels.webhook.as_ref().ok_or(SendError::NotSetUp)?;
            Ok(webhook.send(&notice.id, &notice.body, clock::now().seconds()).await?)
        }
        Channel::Smtp => {
            let mail = channels.mail.as_ref().ok_or(SendError::NotSetUp)?;
            Ok(mail.send(&Digest::from_json(&notice.body)?).await?)
        }
    }
}

/// The ways that are set up.
pub(super) fn ways(channels: &Channels) -> Vec<Channel> {
    let webhook = channels.webhook.as_ref().map(|_| Channel::Webhook);
    let mail = channels.mail.as_ref().map(|_| Channel::Smtp);
    webhook.into_iter().chain(mail).collect()
}

/// Sends a notice that tells of nothing by each way; what came of it.
pub(crate) async fn send_test(channels: &Channels) -> Vec<(Channel, Result<(), SendError>)> {
    let mut outcomes = Vec::new();
    for channel in ways(channels) {
        let (id, now) = (uuid::Uuid::now_v7().to_string(), clock::now());
        let body = Digest::test(id.clone(), super::tell::text_of(now)).to_json();
        let notice = Notice { id, channel, body, made_at: now, attempts: 0 };
        outcomes.push((channel, send(channels, &notice).await));
    }
    outcomes
}
