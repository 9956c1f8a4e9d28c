//! What may be said of a shop, checked.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Uri;
use ledger::{Routing, StatusMap};
use secrecy::{ExposeSecret, SecretString};
use store::{ROUTING_MAX, ShopSecrets, ShopSettings};
use values::Quantity;

use super::super::names::Warehouses;
use super::super::problem::Problem;
use super::super::wire::Amount;
use super::body::{AddShop, ChangeShop, Rule};

/// Longest address of a shop, in bytes.
const URL_BYTES_MAX: usize = 500;
/// Longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 200;
/// Thirty days.
const PENDING_HOLD_MAX_MINUTES: u64 = 30 * 24 * 60;
/// Most statuses of its own a shop has.
const STATUSES_MAX: usize = 100;
/// Longest word of a status that is set, in bytes.
const SHIPPING_STATUS_BYTES_MAX: usize = 40;
/// Longest word of a status, in bytes.
const STATUS_BYTES_MAX: usize = 50;

impl AddShop {
    pub(super) fn settings(&self, warehouses: &Warehouses) -> Result<ShopSettings, Problem> {
        let routing = routing(&self.warehouses, warehouses)?;
        let defaults = ShopSettings::new(checked_url(&self.url)?, routing);
        Ok(ShopSettings {
            buffer: self.buffer.map_or(Ok(defaults.buffer), buffer)?,
            statuses: with_rules(defaults.statuses, &self.statuses)?,
            pending_hold: self.pending_hold_minutes.map_or(Ok(defaults.pending_hold), pending_hold)?,
            private_allowed: self.private_addresses,
            sign_in: self.sign_in.into(),
            orphaned: self.orphaned.into(),
            drift: self.drift.into(),
            ..defaults
        })
    }
}

impl ChangeShop {
    pub(super) fn settings(
        &self,
        now: &ShopSettings,
        warehouses: &Warehouses,
    ) -> Result<ShopSettings, Problem> {
        let mut settings = now.clone();
        if let Some(url) = &self.url {
            settings.url = checked_url(url)?;
        }
        if let Some(wanted) = &self.warehouses {
            settings.routing = routing(wanted, warehouses)?;
        }
        if let Some(wanted) = self.buffer {
            settings.buffer = buffer(wanted)?;
        }
        if let Some(allowed) = self.private_addresses {
            settings.private_allowed = allowed;
        }
        if let Some(word) = self.sign_in {
            settings.sign_in = word.into();
        }
        if let Some(word) = self.orphaned {
            settings.orphaned = word.into();
        }
        if let Some(word) = self.drift {
            settings.drift = word.into();
        }
        if let Some(word) = &self.shipped_status {
            settings.shipping.shipped = shipping_status("shipped_status", word)?;
        }
        if let Some(word) = &self.partly_shipped_status {
            settings.shipping.partly = shipping_status("partly_shipped_status", word)?;
        }
        if let Some(note) = self.shipment_note {
            settings.shipping.note = note;
        }
        for (key, value) in &self.tags {
            if value.is_none() {
                settings.tags.remove(key);
            }
        }
        for (key, value) in &self.tags {
            if let Some(value) = value {
                settings.tags.set(key, value).map_err(|error| Problem::invalid(error.to_string()))?;
            }
        }
        if let Some(minutes) = self.pending_hold_minutes {
            settings.pending_hold = pending_hold(minutes)?;
        }
        settings.statuses = with_rules(settings.statuses, &self.statuses)?;
        Ok(settings)
    }

    /// `None` if no secret changes.
    pub(super) fn secrets(&self, now: Option<ShopSecrets>) -> Result<Option<ShopSecrets>, Problem> {
        if self.consumer_key.is_none() && self.consumer_secret.is_none() && self.webhook_secret.is_none() {
            return Ok(None);
        }
        let now = now.ok_or_else(|| Problem::internal("a shop in service has no secrets"))?;
        let (webhook_secret, webhook_secret_previous) = match &self.webhook_secret {
            // The same once more, as when an answer was lost: what came before it is still believed.
            Some(new) if new.expose_secret() == now.webhook_secret.expose_secret() => {
                (now.webhook_secret, now.webhook_secret_previous)
            }
            Some(new) => (webhook_secret(new)?, Some(now.webhook_secret)),
            None => (now.webhook_secret, now.webhook_secret_previous),
        };
        let new_or =
            |field, new: &Option<SecretString>, now| new.as_ref().map_or(Ok(now), |new| secret(field, new));
        Ok(Some(ShopSecrets {
            consumer_key: new_or("consumer_key", &self.consumer_key, now.consumer_key)?,
            consumer_secret: new_or("consumer_secret", &self.consumer_secret, now.consumer_secret)?,
            webhook_secret,
            webhook_secret_previous,
        }))
    }
}

/// A secret that can be sent in a header; its text is not told.
pub(super) fn secret(field: &str, secret: &SecretString) -> Result<SecretString, Problem> {
    let text = secret.expose_secret();
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && (1..=SECRET_BYTES_MAX).contains(&text.len()) {
        return Ok(secret.clone());
    }
    Err(Problem::invalid(format!(
        "{field} must be 1 to {SECRET_BYTES_MAX} printable characters without blanks; was it pasted whole?"
    )))
}

/// A secret that webhooks are signed with: WooCommerce takes any text. Its text is not told.
pub(super) fn webhook_secret(secret: &SecretString) -> Result<SecretString, Problem> {
    let text = secret.expose_secret();
    if !text.trim().is_empty() && text.len() <= SECRET_BYTES_MAX && !text.chars().any(char::is_control) {
        return Ok(secret.clone());
    }
    Err(Problem::invalid(format!(
        "webhook_secret must be text of 1 to {SECRET_BYTES_MAX} bytes in one line; was it pasted whole?"
    )))
}

fn checked_url(text: &str) -> Result<String, Problem> {
    let wrong = || {
        Problem::invalid(
            "url must be the shop's address, as in https://shop.example or https://example.com/shop: with http or \
             https, without user, query or fragment",
        )
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri
        .authority()
        .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    let plain = uri.query().is_none() && !text.contains('#') && text.len() <= URL_BYTES_MAX;
    if scheme && host && plain { Ok(text.trim_end_matches('/').to_owned()) } else { Err(wrong()) }
}

fn routing(wanted: &[String], warehouses: &Warehouses) -> Result<Routing, Problem> {
    if wanted.len() > ROUTING_MAX {
        return Err(Problem::invalid(format!("a shop sells from at most {ROUTING_MAX} warehouses")));
    }
    let ids: Result<Vec<_>, String> = wanted.iter().map(|name| warehouses.find(name)).collect();
    let ids = ids.map_err(Problem::invalid)?;
    Routing::new(ids).ok_or_else(|| Problem::invalid("warehouses must name at least one warehouse"))
}

fn buffer(amount: Amount) -> Result<Quantity, Problem> {
    if amount.0.is_negative() {
        return Err(Problem::invalid("buffer must not be negative"));
    }
    Ok(amount.0)
}

fn pending_hold(minutes: u64) -> Result<Duration, Problem> {
    if !(1..=PENDING_HOLD_MAX_MINUTES).contains(&minutes) {
        return Err(Problem::invalid(format!(
            "pending_hold_minutes must be from 1 to {PENDING_HOLD_MAX_MINUTES}"
        )));
    }
    Ok(Duration::from_secs(minutes * 60))
}

/// The status an order gets; `None` for one that is to be left alone.
fn shipping_status(field: &str, word: &str) -> Result<Option<String>, Problem> {
    if word.is_empty() {
        return Ok(None);
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if word.len() > SHIPPING_STATUS_BYTES_MAX || !word.bytes().all(plain) {
        return Err(Problem::invalid(format!(
            "{field} must be the word of an order status, as in `completed`: 1 to {SHIPPING_STATUS_BYTES_MAX} of \
             `a-z 0-9 - _`, or empty to leave the status alone"
        )));
    }
    // Some plugins show the database's form of the word.
    Ok(Some(word.strip_prefix("wc-").unwrap_or(word).to_owned()))
}

fn with_rules(map: StatusMap, rules: &BTreeMap<String, Rule>) -> Result<StatusMap, Problem> {
    let map = rules.iter().try_fold(map, |map, (word, rule)| {
        let plain = word.bytes().all(|byte| byte.is_ascii_graphic());
        if plain && (1..=STATUS_BYTES_MAX).contains(&word.len()) {
            return Ok(map.with(word, (*rule).into()));
        }
        Err(Problem::invalid(format!("{word:?} cannot be an order status")))
    })?;
    if map.iter().count() > STATUSES_MAX {
        return Err(Problem::invalid(format!("a shop has at most {STATUSES_MAX} statuses")));
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_shops() {
        for (text, kept) in [
            ("https://shop.example", "https://shop.example"),
            ("https://shop.example/", "https://shop.example"),
            ("http://127.0.0.1:8080/shop/", "http://127.0.0.1:8080/shop"),
        ] {
            assert_eq!(checked_url(text).unwrap(), kept);
        }
        for wrong in [
            "",
            "shop.example",
            "ftp://shop.example",
            "https://",
            "https://user:pass@shop.example",
            "https://shop.example/?a=1",
            "https://shop.example/#a",
            "/shop",
        ] {
            assert!(checked_url(wrong).is_err(), "{wrong}");
        }
    }
}
