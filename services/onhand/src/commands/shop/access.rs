//! What `onhand shop add` and `onhand shop set` are told of how a shop is called and believed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use secrecy::SecretString;

use crate::failure::Failure;
use crate::secret_input::SecretInput;

/// The secrets of a shop, as flags or in files.
#[derive(Debug, Args)]
pub(super) struct Secrets {
    /// Consumer key of its REST API. Seen by everybody on this machine: rather give the file.
    #[arg(long, value_name = "KEY", value_parser = secret)]
    consumer_key: Option<SecretString>,
    /// File with the consumer key; `-` takes a line of standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "consumer_key")]
    consumer_key_file: Option<PathBuf>,
    /// Consumer secret of its REST API. Seen by everybody on this machine: rather give the file.
    #[arg(long, value_name = "SECRET", value_parser = secret)]
    consumer_secret: Option<SecretString>,
    /// File with the consumer secret; `-` takes a line of standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "consumer_secret")]
    consumer_secret_file: Option<PathBuf>,
    /// What its webhooks are signed with; made up for a new shop if it is not given.
    #[arg(long, value_name = "SECRET", value_parser = secret)]
    webhook_secret: Option<SecretString>,
    /// File with the webhook secret; `-` takes a line of standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "webhook_secret")]
    webhook_secret_file: Option<PathBuf>,
}

/// How the key reaches the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SignIn {
    /// In the Authorization header.
    Header,
    /// In the query, for hosts that drop that header.
    Query,
}

impl SignIn {
    /// Its word in the API.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Query => "query",
        }
    }
}

/// What is done about differences between what a shop shows and what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DriftPolicy {
    /// The ledger is right: what is too much is lowered again, what somebody took out stays out.
    Correct,
    /// What people set stays, up or down; only what may be onhand's own doing is put right.
    Withhold,
    /// What people set becomes the ledger's, where it can mean one thing only; else as `correct`.
    Adopt,
    /// No difference is put right, whoever made it.
    Alert,
}

impl DriftPolicy {
    /// Its word in the API.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Withhold => "withhold",
            Self::Adopt => "adopt",
            Self::Alert => "alert",
        }
    }
}

/// What becomes of what an order holds whose shop no longer knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Orphaned {
    /// It stays held until `onhand order release`.
    Keep,
    /// It is let go.
    Release,
}

impl Orphaned {
    /// Its word in the API.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Release => "release",
        }
    }
}

/// Clap would show the text of a wrong value; every text is a right one.
#[expect(clippy::unnecessary_wraps, reason = "the shape clap wants")]
fn secret(text: &str) -> Result<SecretString, String> {
    Ok(SecretString::from(text))
}

impl Secrets {
    pub(super) fn consumer_key(&self) -> SecretInput<'_> {
        SecretInput {
            what: "consumer key",
            flag: "consumer-key",
            text: self.consumer_key.as_ref(),
            file: self.consumer_key_file.as_deref(),
        }
    }

    pub(super) fn consumer_secret(&self) -> SecretInput<'_> {
        SecretInput {
            what: "consumer secret",
            flag: "consumer-secret",
            text: self.consumer_secret.as_ref(),
            file: self.consumer_secret_file.as_deref(),
        }
    }

    pub(super) fn webhook_secret(&self) -> SecretInput<'_> {
        SecretInput {
            what: "webhook secret",
            flag: "webhook-secret",
            text: self.webhook_secret.as_ref(),
            file: self.webhook_secret_file.as_deref(),
        }
    }

    /// Those that are given, by their field in the API. Lines of standard input are taken in this order.
    pub(super) fn given(&self) -> Result<Vec<(&'static str, SecretString)>, Failure> {
        let fields = [
            ("consumer_key", self.consumer_key()),
            ("consumer_secret", self.consumer_secret()),
            ("webhook_secret", self.webhook_secret()),
        ];
        let mut given = Vec::new();
        for (field, input) in fields {
            if let Some(secret) = input.optional()? {
                given.push((field, secret));
            }
        }
        Ok(given)
    }
}
