//! The ways to people, as they are set up.

use std::path::PathBuf;
use std::time::Duration;

use process::config::{Group, OptionalSetting, Reader, Setting};
use secrecy::{ExposeSecret, SecretString};

use crate::mail::{NoSender, Sender};
use crate::webhook::Target;
use crate::{Channels, Mail, Webhook};

/// How long a receiver of requests may take.
const WEBHOOK_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a mail server may take; some wait a while before they greet.
const MAIL_TIME_MAX: Duration = Duration::from_secs(20);
/// A shorter secret can be guessed, in characters.
const SECRET_CHARS_MIN: usize = 16;

const WEBHOOK_URL: OptionalSetting<SecretString> =
    Setting::secret("ONHAND_ALERT_WEBHOOK_URL", "An address that is told of alerts: `https://host/path`.")
        .optional();
const WEBHOOK_SECRET: OptionalSetting<SecretString> = Setting::secret(
    "ONHAND_ALERT_WEBHOOK_SECRET",
    "What requests to that address are signed with: at least 16 characters. Needed with the address.",
)
.optional();
const WEBHOOK_PRIVATE: Setting<bool> = Setting::switch(
    "ONHAND_ALERT_WEBHOOK_PRIVATE_ADDRESSES",
    "Whether that address may be in a private network, or on this machine.",
    false,
);
const SMTP_URL: OptionalSetting<SecretString> = Setting::secret(
    "ONHAND_ALERT_SMTP_URL",
    "A mail server that tells of alerts: `smtps://user:password@host` (TLS from the start) or `smtp://user:password@host` \
     (STARTTLS); a port may follow the host, `?tls=none` is for a server that knows no encryption.",
)
.optional();
const SMTP_CERTIFICATES: OptionalSetting<PathBuf> = Setting::path(
    "ONHAND_ALERT_SMTP_CERTIFICATES_FILE",
    "Certificates in PEM that are believed for the mail server besides the public ones.",
)
.optional();
const SMTP_FROM: OptionalSetting<String> = Setting::text(
    "ONHAND_ALERT_SMTP_FROM",
    "Who the mail is from: one address. Needed with the mail server.",
)
.optional();
const SMTP_TO: OptionalSetting<String> = Setting::text(
    "ONHAND_ALERT_SMTP_TO",
    "Who gets it: up to 20 addresses with commas between them. Needed with the mail server.",
)
.optional();

impl Channels {
    /// The settings of the ways to people.
    pub const GROUP: Group = Group {
        title: "Telling of alerts",
        about: "For `onhand up` and `onhand serve inventory`. [alerts.md](alerts.md) says more.",
        settings: &[
            WEBHOOK_URL.declaration(),
            WEBHOOK_SECRET.declaration(),
            WEBHOOK_PRIVATE.declaration(),
            SMTP_URL.declaration(),
            SMTP_CERTIFICATES.declaration(),
            SMTP_FROM.declaration(),
            SMTP_TO.declaration(),
        ],
    };

    /// As the source says.
    pub fn from_source(reader: &mut Reader<'_>) -> Self {
        Self { webhook: webhook(reader), mail: mail(reader) }
    }
}

fn webhook(reader: &mut Reader<'_>) -> Option<Webhook> {
    let (url, secret) = (reader.get_optional(&WEBHOOK_URL), reader.get_optional(&WEBHOOK_SECRET));
    let private_allowed = reader.get(&WEBHOOK_PRIVATE);
    let url = url?;
    let Some(secret) = secret.filter(|secret| secret.expose_secret().chars().count() >= SECRET_CHARS_MIN)
    else {
        reader.reject_optional(
            &WEBHOOK_SECRET,
            format!(
                "must have at least {SECRET_CHARS_MIN} characters, since there is ONHAND_ALERT_WEBHOOK_URL"
            ),
        );
        return None;
    };
    match Target::new(&url, secret, private_allowed, WEBHOOK_TIME_MAX) {
        Ok(target) => match Webhook::new(target) {
            Ok(webhook) => return Some(webhook),
            Err(error) => reader.reject_optional(&WEBHOOK_URL, format!("cannot be used: {error}")),
        },
        Err(wrong) => reader.reject_optional(&WEBHOOK_URL, wrong.to_string()),
    }
    None
}

fn mail(reader: &mut Reader<'_>) -> Option<Mail> {
    let url = reader.get_optional(&SMTP_URL);
    let certificates = reader.get_optional(&SMTP_CERTIFICATES);
    let (from, to) = (reader.get_optional(&SMTP_FROM), reader.get_optional(&SMTP_TO));
    let url = url?;
    let certificates = match certificates.map(std::fs::read).transpose() {
        Ok(certificates) => certificates,
        Err(error) => {
            reader.reject_optional(&SMTP_CERTIFICATES, format!("cannot be read: {error}"));
            return None;
        }
    };
    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
    match Sender::new(&url, certificates.as_deref(), &from, &to, MAIL_TIME_MAX) {
        Ok(sender) => return Some(Mail::new(sender)),
        Err(wrong) => {
            let reason = wrong.to_string();
            match wrong {
                NoSender::Address => reader.reject_optional(&SMTP_URL, reason),
                NoSender::Certificate => reader.reject_optional(&SMTP_CERTIFICATES, reason),
                NoSender::From => reader.reject_optional(&SMTP_FROM, reason),
                NoSender::To => reader.reject_optional(&SMTP_TO, reason),
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use process::config::{self, Source};

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Channels, config::Problems> {
        process::install_tls_provider();
        let source = Source::from_pairs(pairs.iter().copied());
        config::read(&source, &[Channels::GROUP], Channels::from_source)
    }

    const URL: (&str, &str) = ("ONHAND_ALERT_WEBHOOK_URL", "https://ops.example/token-in-it");
    const SECRET: (&str, &str) = ("ONHAND_ALERT_WEBHOOK_SECRET", "0123456789abcdef");
    const SMTP: (&str, &str) = ("ONHAND_ALERT_SMTP_URL", "smtps://u:hunter2@mail.example");
    const FROM: (&str, &str) = ("ONHAND_ALERT_SMTP_FROM", "onhand@example.com");
    const TO: (&str, &str) = ("ONHAND_ALERT_SMTP_TO", "boss@example.com");

    #[test]
    fn nothing_is_on_unless_it_is_set_up() {
        let channels = read(&[]).unwrap();
        assert!(channels.webhook.is_none() && channels.mail.is_none());
        let channels = read(&[URL, SECRET, SMTP, FROM, TO]).unwrap();
        assert!(channels.webhook.is_some() && channels.mail.is_some());
    }

    #[test]
    fn what_is_missing_is_said_without_what_is_secret() {
        let wrong: &[(&[(&str, &str)], &str)] = &[
            (&[URL], "ONHAND_ALERT_WEBHOOK_SECRET"),
            (&[URL, ("ONHAND_ALERT_WEBHOOK_SECRET", "hunter2")], "ONHAND_ALERT_WEBHOOK_SECRET"),
            (&[("ONHAND_ALERT_WEBHOOK_URL", "ops.example/token-in-it"), SECRET], "ONHAND_ALERT_WEBHOOK_URL"),
            (&[SMTP, TO], "ONHAND_ALERT_SMTP_FROM"),
            (&[SMTP, FROM], "ONHAND_ALERT_SMTP_TO"),
            (&[("ONHAND_ALERT_SMTP_URL", "mail.example/hunter2"), FROM, TO], "ONHAND_ALERT_SMTP_URL"),
            (
                &[SMTP, FROM, TO, ("ONHAND_ALERT_SMTP_CERTIFICATES_FILE", "/nowhere")],
                "ONHAND_ALERT_SMTP_CERTIFICATES_FILE",
            ),
        ];
        for (pairs, name) in wrong {
            let said = read(pairs).expect_err("it is refused").to_string();
            assert!(said.contains(name), "{said}");
            assert!(!said.contains("hunter2") && !said.contains("token-in-it"), "{said}");
        }
    }
}
