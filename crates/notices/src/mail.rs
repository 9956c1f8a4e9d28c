//! Mail by a server that an operator gave: encrypted unless he says otherwise, and for no longer than its time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::response::Category;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use crate::digest::Digest;
use crate::webhook::ID_HEADER;

/// Most people that a digest goes to.
const RECIPIENTS_MAX: usize = 20;
/// Where mail is handed in with STARTTLS, if the address names no other port.
const SUBMISSION_PORT: u16 = 587;
/// Most mails of which it is remembered who has them already.
const HALF_GIVEN_MAX: usize = 100;
/// Answers of a server to a mail that are told, in characters.
const ANSWER_CHARS_MAX: usize = 200;

/// Where mail is handed over, who sends it and who gets it.
#[derive(Clone)]
pub struct Sender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// How long handing a mail over may take.
    time_max: Duration,
}

impl std::fmt::Debug for Sender {
    /// The transport holds a password, and addresses are nobody else's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("recipients", &self.to.len()).finish_non_exhaustive()
    }
}

/// A way to people: mail.
#[derive(Debug)]
pub struct Mail {
    sender: Sender,
    /// Who of the recipients has a mail already that others are yet to get, by its id; the oldest goes first.
    given: Mutex<VecDeque<(String, BTreeSet<usize>)>>,
}

/// The server did not take it.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The mail cannot be written.
    #[error("the mail cannot be written")]
    Message(#[source] lettre::error::Error),
    /// The server did, or said, something else than that it took it.
    #[error("the mail server did not take it: {0}")]
    Server(String),
    /// Some have it. The server refuses the others for good, so it is not sent again.
    #[error("the mail server refuses {refused} of {of} recipients: {why}")]
    Partly {
        /// How many have it not.
        refused: usize,
        /// Of how many.
        of: usize,
        /// What the server said of one of them.
        why: String,
    },
    /// It took too long.
    #[error("the mail server did not answer within {} s", .0.as_secs())]
    TooLong(Duration),
}

/// What was given cannot be used. No text holds the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSender {
    #[error(
        "must be smtps://user:password@host (TLS from the start) or smtp://user:password@host (STARTTLS), with %-escapes in user \
         and password; add ?tls=none for a server that knows no encryption"
    )]
    Address,
    #[error("must hold certificates in PEM")]
    Certificate,
    #[error("must be one address, as in onhand@example.com")]
    From,
    #[error("must be 1 to {RECIPIENTS_MAX} addresses with commas between them")]
    To,
}

impl Sender {
    pub(crate) fn new(
        url: &SecretString,
        certificates: Option<&[u8]>,
        from: &str,
        to: &str,
        time_max: Duration,
    ) -> Result<Self, NoSender> {
        let mut url = Url::parse(url.expose_secret()).map_err(|_| NoSender::Address)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(NoSender::Address)?.to_owned();
        let encrypted = match url.query() {
            None => true,
            Some("tls=none") if url.scheme() == "smtp" => false,
            Some(_) => return Err(NoSender::Address),
        };
        url.set_query(None);
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str());
        let builder = builder.map_err(|_may_hold_the_password| NoSender::Address)?;
        let tls = match url.scheme() {
            "smtps" => Tls::Wrapper(parameters(host, certificates)?),
            "smtp" if encrypted => Tls::Required(parameters(host, certificates)?),
            "smtp" => Tls::None,
            _ => return Err(NoSender::Address),
        };
        let builder = match own_port(&url, encrypted) {
            Some(port) => builder.port(port),
            None => builder,
        };
        let transport = builder.tls(tls).timeout(Some(time_max)).build();
        let from = from.parse().map_err(|_| NoSender::From)?;
        let to: Mailboxes = to.parse().map_err(|_| NoSender::To)?;
        let to: Vec<Mailbox> = to.into_iter().collect();
        if to.is_empty() || to.len() > RECIPIENTS_MAX {
            return Err(NoSender::To);
        }
        Ok(Self { transport, from, to, time_max })
    }
}

/// The library takes an address without a number for that of mail between servers, which most networks block.
fn own_port(url: &Url, encrypted: bool) -> Option<u16> {
    (encrypted && url.scheme() == "smtp" && url.port().is_none()).then_some(SUBMISSION_PORT)
}

fn parameters(host: String, certificates: Option<&[u8]>) -> Result<TlsParameters, NoSender> {
    let mut parameters = TlsParameters::builder(host);
    if let Some(pem) = certificates {
        let certificate = Certificate::from_pem(pem).map_err(|_| NoSender::Certificate)?;
        parameters = parameters.add_root_certificate(certificate);
    }
    parameters.build().map_err(|_| NoSender::Certificate)
}

impl Mail {
    /// A way by the sender.
    pub const fn new(sender: Sender) -> Self {
        Self { sender, given: Mutex::new(VecDeque::new()) }
    }

    /// Sends a digest. A mail that comes twice has the same `Message-ID`. Who has it does not get it again when it is sent again
    /// for the others, as long as this process lasts.
    pub async fn send(&self, digest: &Digest) -> Result<(), MailError> {
        let Sender { from, to, time_max, .. } = &self.sender;
        let message = message(digest, from, to).map_err(MailError::Message)?;
        match timeout(*time_max, self.hand_over(&digest.id, &message)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(MailError::TooLong(*time_max)),
        }
    }

    /// To all at once; to each alone if the server has something against one of them.
    async fn hand_over(&self, id: &str, message: &Message) -> Result<(), MailError> {
        let Sender { transport, to, .. } = &self.sender;
        let given = self.given_of(id);
        if given.is_empty() {
            match transport.send_raw(message.envelope(), &message.formatted()).await {
                Ok(_accepted) => return Ok(()),
                Err(error) if to.len() > 1 && is_about_mail(&error) => {}
                Err(error) => return Err(MailError::Server(answer(&error))),
            }
        }
        let (mut refused, mut left) = (Vec::new(), None);
        for (number, mailbox) in to.iter().enumerate().filter(|(number, _)| !given.contains(number)) {
            let alone = Envelope::new(message.envelope().from().cloned(), vec![mailbox.email.clone()]);
            let alone = alone.map_err(MailError::Message)?;
            match transport.send_raw(&alone, &message.formatted()).await {
                Ok(_accepted) => self.note_given(id, number),
                Err(error) if is_about_mail(&error) && error.is_permanent() => refused.push(answer(&error)),
                Err(error) => {
                    left = Some(answer(&error));
                    // Without a word of the server about this mail the next one fares no better.
                    if !is_about_mail(&error) {
                        break;
                    }
                }
            }
        }
        match (left, refused.pop()) {
            (Some(why), _) => Err(MailError::Server(why)),
            (None, Some(why)) if refused.len() + 1 == to.len() => Err(MailError::Server(why)),
            (None, Some(why)) => Err(MailError::Partly { refused: refused.len() + 1, of: to.len(), why }),
            (None, None) => Ok(()),
        }
    }

    fn given_of(&self, id: &str) -> BTreeSet<usize> {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.iter().find(|(mail, _)| mail == id).map(|(_, to)| to.clone()).unwrap_or_default()
    }

    fn note_given(&self, id: &str, recipient: usize) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, to)) = given.iter_mut().find(|(mail, _)| mail == id) {
            to.insert(recipient);
            return;
        }
        if given.len() >= HALF_GIVEN_MAX {
            given.pop_front();
        }
        given.push_back((id.to_owned(), BTreeSet::from([recipient])));
    }
}

/// The server has something against this mail or who gets it, not against who hands it in: answers x5y.
fn is_about_mail(error: &lettre::transport::smtp::Error) -> bool {
    error.status().is_some_and(|code| code.category == Category::MailSystem)
}

fn message(digest: &Digest, from: &Mailbox, to: &[Mailbox]) -> Result<Message, lettre::error::Error> {
    let header = |name: &'static str, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    let mut message = Message::builder()
        .from(from.clone())
        .subject(digest.subject())
        .message_id(Some(format!("<{}@onhand>", digest.id)))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header(ID_HEADER, &digest.id))
        .header(ContentType::TEXT_PLAIN);
    for mailbox in to {
        message = message.to(mailbox.clone());
    }
    message.body(digest.text())
}

/// What the server said, or what came in between, without the addresses in it: they are of people.
fn answer(error: &lettre::transport::smtp::Error) -> String {
    without_addresses(&process::error_chain(error)).chars().take(ANSWER_CHARS_MAX).collect()
}

fn without_addresses(text: &str) -> String {
    let word = |word: &str| if word.contains('@') { "(address)".to_owned() } else { word.to_owned() };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(url: &str, from: &str, to: &str) -> Result<Sender, NoSender> {
        process::install_tls_provider();
        Sender::new(&url.into(), None, from, to, Duration::from_secs(1))
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let (from, to) = ("onhand@example.com", "boss@example.com, Ops <ops@example.com>");
        for good in
            ["smtps://u:p%40ss@mail.example", "smtp://mail.example:2525", "smtp://10.0.0.1:25?tls=none"]
        {
            assert_eq!(sender(good, from, to).unwrap().to.len(), 2, "{good}");
        }
        for wrong in [
            "",
            "mail.example",
            "https://mail.example",
            "smtps://mail.example?tls=none",
            "smtp://mail.example?tls=opportunistic",
            "smtp://",
        ] {
            assert_eq!(sender(wrong, from, to).err(), Some(NoSender::Address), "{wrong}");
        }
        assert_eq!(sender("smtp://mail.example", "nobody", to).err(), Some(NoSender::From));
        assert_eq!(sender("smtp://mail.example", from, "").err(), Some(NoSender::To));
        let crowd = vec!["a@example.com"; RECIPIENTS_MAX + 1].join(",");
        assert_eq!(sender("smtp://mail.example", from, &crowd).err(), Some(NoSender::To));
    }

    #[test]
    fn mail_is_handed_in_where_starttls_is() {
        for (address, encrypted, port) in [
            ("smtp://mail.example", true, Some(587)),
            ("smtp://mail.example:2525", true, None),
            ("smtp://mail.example", false, None),
            ("smtps://mail.example", true, None),
        ] {
            assert_eq!(own_port(&address.parse().unwrap(), encrypted), port, "{address}");
        }
    }

    #[test]
    fn an_answer_names_nobody() {
        let said = "permanent error (550): 5.1.1 <boss@example.com>: no such user";
        assert_eq!(without_addresses(said), "permanent error (550): 5.1.1 (address) no such user");
    }

    #[test]
    fn nothing_printed_holds_the_password() {
        let sender = sender("smtps://u:hunter2@mail.example", "a@example.com", "b@example.com").unwrap();
        let shown = format!("{:?}", Mail::new(sender));
        assert!(!shown.contains("hunter2") && !shown.contains("b@example.com"), "{shown}");
    }
}
