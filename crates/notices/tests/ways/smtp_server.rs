//! A mail server that speaks as much of SMTP as is needed, and keeps what it was given.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// How it encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encrypts {
    Never,
    WhenAsked,
    FromTheStart,
}

/// What it does with a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    Refuses,
    /// Whoever begins with "gone", for good.
    KnowsNot,
    /// Whoever begins with "full", for now; whoever begins with "gone", for good.
    IsFull,
    SaysNothing,
}

/// What was said to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) encrypted: bool,
    pub(crate) login: Option<String>,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) mail: String,
}

#[derive(Clone)]
pub(crate) struct SmtpServer {
    pub(crate) address: SocketAddr,
    /// The certificate to believe, in PEM.
    pub(crate) certificate: String,
    given: Arc<Mutex<Vec<Given>>>,
    mood: Arc<Mutex<Mood>>,
}

#[derive(Clone)]
struct Ways {
    acceptor: TlsAcceptor,
    encrypts: Encrypts,
    mood: Arc<Mutex<Mood>>,
    given: Arc<Mutex<Vec<Given>>>,
}

impl SmtpServer {
    #[expect(clippy::disallowed_methods, reason = "test code")]
    pub(crate) async fn start(encrypts: Encrypts, mood: Mood) -> Self {
        process::install_tls_provider();
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            certificate: cert.pem(),
            given: Arc::default(),
            mood: Arc::new(Mutex::new(mood)),
        };
        let (given, mood) = (Arc::clone(&server.given), Arc::clone(&server.mood));
        let ways = Ways { acceptor: TlsAcceptor::from(Arc::new(config)), encrypts, mood, given };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let ways = ways.clone();
                tokio::spawn(async move { ways.serve(stream).await });
            }
        });
        server
    }

    pub(crate) fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn given(&self) -> Vec<Given> {
        self.given.lock().unwrap().clone()
    }
}

impl Ways {
    /// A connection that breaks is over.
    async fn serve(self, stream: TcpStream) -> Option<()> {
        if self.mood() == Mood::SaysNothing {
            let mut stream = stream;
            let mut sink = tokio::io::sink();
            tokio::io::copy(&mut stream, &mut sink).await.ok()?;
            return None;
        }
        if self.encrypts == Encrypts::FromTheStart {
            let stream = self.acceptor.accept(stream).await.ok()?;
            return self.talk(BufReader::new(stream), true, true).await.map(drop);
        }
        let asked = self.talk(BufReader::new(stream), false, true).await?;
        let stream = self.acceptor.accept(asked.into_inner()).await.ok()?;
        self.talk(BufReader::new(stream), true, false).await.map(drop)
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn knows(&self, recipient: &str) -> bool {
        !matches!(self.mood(), Mood::KnowsNot | Mood::IsFull) || !recipient.contains("<gone")
    }

    /// The stream, if it is to be encrypted from now on.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: BufReader<S>,
        encrypted: bool,
        greets: bool,
    ) -> Option<BufReader<S>> {
        let mut given = Given { encrypted, ..Given::default() };
        if greets {
            say(&mut stream, "220 mail.example at your service").await?;
        }
        loop {
            let line = line(&mut stream).await?;
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let answer = match word.to_ascii_uppercase().as_str() {
                "EHLO" if self.encrypts == Encrypts::WhenAsked && !encrypted => {
                    "250-mail.example\r\n250-AUTH PLAIN\r\n250 STARTTLS"
                }
                "EHLO" => "250-mail.example\r\n250 AUTH PLAIN",
                "STARTTLS" => {
                    say(&mut stream, "220 go on").await?;
                    return Some(stream);
                }
                "AUTH" => {
                    given.login = Some(rest.to_owned());
                    "235 welcome"
                }
                "MAIL" => {
                    rest.clone_into(&mut given.from);
                    "250 ok"
                }
                "RCPT" if self.mood() == Mood::IsFull && rest.contains("<full") => {
                    "452 4.2.2 the box is full"
                }
                "RCPT" if !self.knows(rest) => "550 5.1.1 no such user",
                "RCPT" => {
                    given.to.push(rest.to_owned());
                    "250 ok"
                }
                "DATA" if self.mood() == Mood::Refuses => "451 the disk is full",
                "DATA" => {
                    say(&mut stream, "354 go on").await?;
                    given.mail = mail(&mut stream).await?;
                    self.given.lock().unwrap().push(std::mem::take(&mut given));
                    "250 taken"
                }
                "QUIT" => {
                    say(&mut stream, "221 bye").await?;
                    return None;
                }
                _ => "250 ok",
            };
            say(&mut stream, answer).await?;
        }
    }
}

async fn mail<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut mail = String::new();
    loop {
        let line = line(stream).await?;
        if line == "." {
            return Some(mail);
        }
        mail.push_str(&line);
        mail.push('\n');
    }
}

async fn line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, line: &str) -> Option<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
    stream.flush().await.ok()
}
