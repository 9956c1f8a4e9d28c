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
    set_for(server, scheme, query, "boss@example.com, Ops <ops@example.com>")
}

fn set_for(server: &SmtpServer, scheme: &str, query: &str, to: &str) -> Set {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certificate.pem");
    std::fs::write(&file, &server.certificate).unwrap();
    let url = format!("{scheme}://onhand:hunter2%40@localhost:{}{query}", server.address.port());
    let channels = channels(&[
        ("ONHAND_ALERT_SMTP_URL", &url),
        ("ONHAND_ALERT_SMTP_CERTIFICATES_FILE", file.to_str().unwrap()),
        ("ONHAND_ALERT_SMTP_FROM", "onhand <onhand@example.com>"),
        ("ONHAND_ALERT_SMTP_TO", to),
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

/// Who was handed a mail, each as often as he was.
fn recipients(server: &SmtpServer) -> Vec<String> {
    let mut to: Vec<String> = server.given().into_iter().flat_map(|given| given.to).collect();
    to.sort();
    to
}

#[tokio::test]
async fn who_is_refused_keeps_it_from_nobody_else() {
    let server = SmtpServer::start(Encrypts::Never, Mood::KnowsNot).await;
    let to = "gone@example.com, boss@example.com, full@example.com";
    let set = set_for(&server, "smtp", "?tls=none", to);
    let partly = send(&set).await.unwrap_err();
    let said = partly.to_string();
    assert!(said.contains("refuses 1 of 3 recipients") && said.contains("no such user"), "{said}");
    assert!(!said.contains('@'), "{said}");
    assert!(notices::SendError::from(partly).is_final());
    assert_eq!(recipients(&server), ["TO:<boss@example.com>", "TO:<full@example.com>"]);
    assert!(server.given().iter().all(|given| given.mail.contains("Message-ID: <an-id@onhand>")));
    // Nobody takes it: it is to be sent again.
    let alone = set_for(&server, "smtp", "?tls=none", "gone@example.com, gone-too@example.com");
    let refused = send(&alone).await.unwrap_err();
    assert!(matches!(refused, MailError::Server(_)), "{refused}");
}

#[tokio::test]
async fn who_has_it_does_not_get_it_again_for_the_others() {
    let server = SmtpServer::start(Encrypts::Never, Mood::IsFull).await;
    let set = set_for(&server, "smtp", "?tls=none", "boss@example.com, full@example.com, ops@example.com");
    for _ in 0..2 {
        let left = send(&set).await.unwrap_err();
        assert!(left.to_string().contains("the box is full"), "{left}");
        assert!(!notices::SendError::from(left).is_final());
        assert_eq!(recipients(&server), ["TO:<boss@example.com>", "TO:<ops@example.com>"]);
    }
    server.becomes(Mood::Takes);
    send(&set).await.unwrap();
    assert_eq!(
        recipients(&server),
        ["TO:<boss@example.com>", "TO:<full@example.com>", "TO:<ops@example.com>"]
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_long() {
    let server = SmtpServer::start(Encrypts::Never, Mood::SaysNothing).await;
    let hung = send(&set(&server, "smtp", "?tls=none")).await.unwrap_err();
    assert!(matches!(hung, MailError::TooLong(_) | MailError::Server(_)), "{hung}");
}
