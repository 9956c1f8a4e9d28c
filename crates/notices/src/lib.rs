//! Telling people: a digest of what is wrong and what is not any more, by a signed request to an address and by mail.
//!
//! Each way either took a digest or says why not; nothing is tried twice here. Whoever calls keeps what is to be sent, and
//! sends it again with the same id.
#![warn(missing_docs)]

mod digest;
mod mail;
mod settings;
mod webhook;

pub use digest::{Digest, TOLD_MAX, Told};
pub use mail::{Mail, MailError, Sender};
pub use webhook::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, Target, Webhook, WebhookError, signature};

/// The ways to people that there are.
#[derive(Debug, Default)]
pub struct Channels {
    /// By a signed request.
    pub webhook: Option<Webhook>,
    /// By mail.
    pub mail: Option<Mail>,
}

/// A digest was not taken, or not by all.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// By the receiver of requests.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// By the mail server.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// What was kept of it cannot be read.
    #[error("it cannot be read")]
    Body(#[from] serde_json::Error),
    /// There is no such way any more.
    #[error("it is not set up any more")]
    NotSetUp,
}

impl SendError {
    /// It is not to be sent again: whoever can have it has it.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Mail(MailError::Partly { .. }))
    }
}
