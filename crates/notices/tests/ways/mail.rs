//! Mail, and what becomes of it.

use notices::{Channels, MailError};

use crate::smtp_server::{Encrypts, Mood, SmtpServer};
use crate::{channels, digest};

/// `\0onhand\0hunter2@` in base64.
const LOGIN: &str = "PLAIN AG9uaGFuZABodW50ZXIyQA==";

struct Set {
    channels: Channels,
    _certificate: tempfile::TempDir,
}

/// Mail by a server, whose certificate is believed.
fn set(server: &SmtpServer, scheme: &str, query: &str) -> Set {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certificate.pem");
    std::fs::write(&file, &server.certificate).unwrap();
    let url = format!("{scheme}://onhand:hunter2%40@localhost:{}{query}", server.address.port());
    let channels = channels(&[
        ("ONHAND_ALERT_SMTP_URL", &url),
        ("ONHAND_ALERT_SMTP_CERTIFICATES_FILE", file.to_str().unwrap()),
        ("ONHAND_ALERT_SMTP_FROM", "onhand <onhand@example.com>"),
        ("ONHAND_ALERT_SMTP_TO", "boss@example.com, Ops <ops@example.com>"),
    ]);
    Set { channels, _certificate: folder }
}

async fn send(set: &Set) -> Result<(), MailError> {
    set.channels.mail.as_ref().unwrap().send(&digest("an-id")).await
}

#[tokio::test]
async fn mail_is_handed_over_encrypted() {
    for (encrypts, scheme) in [(Encrypts::FromTheStart, "smtps"), (Encrypts::WhenAsked, "smtp")] {
        let server = SmtpServer::start(encrypts, Mood::Takes).await;
        send(&set(&server, scheme, "")).await.unwrap();
        let given = server.given().pop().unwrap();
        assert!(given.encrypted, "{given:?}");
        assert_eq!(given.login.as_deref(), Some(LOGIN));
        assert_eq!((given.from.as_str(), given.to.len()), ("FROM:<onhand@example.com>", 2));
        for part in [
            "Subject: [onhand] critical: shortfall, TEE",
            "Message-ID: <an-id@onhand>",
            "X-Onhand-Id: an-id",
            "Auto-Submitted: auto-generated",
            "To: boss@example.com, Ops <ops@example.com>",
        ] {
            assert!(given.mail.contains(part), "{part}: {}", given.mail);
        }
    }
}

#[tokio::test]
async fn nothing_is_said_without_encryption_unless_that_is_wanted() {
    let server = SmtpServer::start(Encrypts::Never, Mood::Takes).await;
    let refused = send(&set(&server, "smtp", "")).await.unwrap_err();
    assert!(matches!(refused, MailError::Server(_)) && server.given().is_empty(), "{refused}");
    send(&set(&server, "smtp", "?tls=none")).await.unwrap();
    assert_eq!(server.given().len(), 1);
    // Its certificate is not that of the other.
    let (one, other) = (
        SmtpServer::start(Encrypts::FromTheStart, Mood::Takes).await,
        SmtpServer::start(Encrypts::FromTheStart, Mood::Takes).await,
    );
    let mut wrong = one;
    wrong.certificate = other.certificate;
    let refused = send(&set(&wrong, "smtps", "")).await.unwrap_err();
    assert!(wrong.given().is_empty() && !refused.to_string().contains("hunter2"), "{refused}");
}

#[tokio::test]
async fn what_the_server_says_against_it_is_told() {
    let server = SmtpServer::start(Encrypts::Never, Mood::Refuses).await;
    let refused = send(&set(&server, "smtp", "?tls=none")).await.unwrap_err();
    assert!(refused.to_string().contains("the disk is full"), "{refused}");
    assert_eq!(server.given(), []);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_long() {
    let server = SmtpServer::start(Encrypts::Never, Mood::SaysNothing).await;
    let hung = send(&set(&server, "smtp", "?tls=none")).await.unwrap_err();
    assert!(matches!(hung, MailError::TooLong(_) | MailError::Server(_)), "{hung}");
}
