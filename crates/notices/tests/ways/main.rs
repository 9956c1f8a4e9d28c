//! The ways to people against receivers that take, refuse, redirect and hang.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

extern crate onhand_notices as notices;

mod mail;
mod smtp_server;
mod webhook;

use notices::{Channels, Digest, Told};
use process::config::{self, Source};

/// The ways as these settings say.
fn channels(pairs: &[(&str, &str)]) -> Channels {
    process::install_tls_provider();
    let source = Source::from_pairs(pairs.iter().copied());
    config::read(&source, &[Channels::GROUP], Channels::from_source).unwrap()
}

fn digest(id: &str) -> Digest {
    let told = Told {
        id: 7,
        kind: "shortfall".to_owned(),
        severity: "critical".to_owned(),
        shop: None,
        subject: Some("TEE".to_owned()),
        sku: Some("TEE".to_owned()),
        what: "More of TEE is promised than there is: 2 in Główny missing.".to_owned(),
        first_seen: "2026-05-01T12:00:00Z".to_owned(),
        resolved_at: None,
        count: 1,
    };
    Digest {
        raised: vec![told],
        test: false,
        open: 1,
        ..Digest::test(id.to_owned(), "2026-05-01T12:00:30Z".to_owned())
    }
}
