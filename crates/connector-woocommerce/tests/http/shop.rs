//! A scripted web server in place of a shop: it answers as a test tells it to, and remembers what it was asked.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use axum::serve::Listener;
use onhand_connector_woocommerce::{Access, Client, ClientError, SignIn, Timeouts};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

pub(crate) const KEY: &str = "ck_1111";
pub(crate) const SECRET: &str = "cs_2222";

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// The path after the API's own.
    pub(crate) fn route(&self) -> &str {
        self.path.strip_prefix("/wp-json/wc/v3").unwrap_or(&self.path)
    }
}

pub(crate) type Answer = Response<Body>;

/// A server on a port of its own.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// The certificate it shows, in PEM.
    certificate: Option<String>,
}

type Script = Arc<dyn Fn(&Seen) -> Answer + Send + Sync>;
type Shared = (Script, Arc<Mutex<Vec<Seen>>>);

impl Shop {
    pub(crate) async fn start(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::serve(listener, address, Arc::new(script), None)
    }

    pub(crate) async fn start_tls(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TlsListener { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
        Self::serve(listener, address, Arc::new(script), Some(made.cert.pem()))
    }

    #[expect(clippy::disallowed_methods, reason = "the server of one test ends with its runtime")]
    fn serve<L>(listener: L, address: SocketAddr, script: Script, certificate: Option<String>) -> Self
    where
        L: Listener<Addr = SocketAddr>,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().fallback(handle).with_state((script, Arc::clone(&seen)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen, certificate }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn access(&self) -> Access {
        let encrypted = self.certificate.is_some();
        let url = if encrypted {
            format!("https://localhost:{}", self.address.port())
        } else {
            format!("http://{}", self.address)
        };
        Access { root_certificate: self.certificate.clone(), ..access(&url) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::with_timeouts(self.access(), SHORT).unwrap()
    }
}

async fn handle(
    State((script, seen)): State<Shared>,
    method: axum::http::Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let pairs = |text: &str| {
        let url = reqwest::Url::parse(&format!("http://x/?{text}")).unwrap();
        url.query_pairs().into_owned().collect()
    };
    let request = Seen {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: uri.query().map(pairs).unwrap_or_default(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    seen.lock().unwrap().push(request.clone());
    script(&request)
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.listener.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Long enough for a busy machine, short enough for a test that waits it out.
pub(crate) const SHORT: Timeouts =
    Timeouts { connect: Duration::from_secs(1), read: Duration::from_secs(2), call: Duration::from_secs(5) };

pub(crate) fn access(url: &str) -> Access {
    Access {
        url: url.parse().unwrap(),
        consumer_key: SecretString::from(KEY),
        consumer_secret: SecretString::from(SECRET),
        sign_in: SignIn::Header,
        private_addresses_allowed: true,
        root_certificate: None,
    }
}

pub(crate) fn client(url: &str) -> Result<Client, ClientError> {
    Client::with_timeouts(access(url), SHORT)
}

pub(crate) fn json(status: u16, body: impl Into<String>) -> Answer {
    Response::builder()
        .status(status)
        .header("content-type", "application/json; charset=UTF-8")
        .body(Body::from(body.into()))
        .unwrap()
}

pub(crate) fn error(status: u16, code: &str) -> Answer {
    json(status, format!(r#"{{"code":"{code}","message":"m","data":{{"status":{status}}}}}"#))
}

pub(crate) fn no_route() -> Answer {
    error(404, "rest_no_route")
}

pub(crate) fn html(status: u16) -> Answer {
    Response::builder()
        .status(status)
        .header("content-type", "text/html")
        .body(Body::from("<!DOCTYPE html><html><body>Something</body></html>"))
        .unwrap()
}

pub(crate) fn with(mut answer: Answer, name: &'static str, value: &str) -> Answer {
    answer.headers_mut().insert(name, value.parse().unwrap());
    answer
}

/// Reads a whole request, answers it with these bytes, and closes; `None` never answers.
#[expect(clippy::disallowed_methods, reason = "the server of one test ends with its runtime")]
pub(crate) async fn raw(bytes: Option<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(bytes) = bytes else {
                silent.push(stream);
                continue;
            };
            let mut request = vec![0; 64 * 1024];
            if stream.read(&mut request).await.is_ok() && stream.write_all(bytes).await.is_ok() {
                stream.shutdown().await.ok();
            }
        }
    });
    address
}

/// Answers byte by byte, each in time, for ever.
#[expect(clippy::disallowed_methods, reason = "the server of one test ends with its runtime")]
pub(crate) async fn drip() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
            let mut request = vec![0; 64 * 1024];
            let asked = stream.read(&mut request).await.is_ok();
            let mut alive = asked && stream.write_all(head).await.is_ok();
            while alive {
                tick.tick().await;
                alive = stream.write_all(b" ").await.is_ok();
            }
        }
    });
    address
}
