//! Something between us and the broker that can cut the line, or speak TLS to us.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::world::{pause, spawn};

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// Counts the cuts; odd while nobody gets through.
    cuts: watch::Sender<u64>,
    lines: Arc<AtomicU64>,
    running: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        Self::start(port, None).await
    }

    /// Speaks TLS as `localhost`; also gives the certificate of its authority.
    pub(crate) async fn tls(port: u16) -> (Self, String) {
        let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .unwrap();
        (Self::start(port, Some(TlsAcceptor::from(Arc::new(config)))).await, issued.cert.pem())
    }

    async fn start(to: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = watch::Sender::new(0);
        let watched = cuts.subscribe();
        let lines = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lines);
        let running = spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                counted.fetch_add(1, Ordering::Relaxed);
                let (tls, watched) = (tls.clone(), watched.clone());
                if *watched.borrow() % 2 == 0 {
                    drop(spawn(async move {
                        match tls {
                            Some(tls) => match tls.accept(stream).await {
                                Ok(stream) => pass(stream, to, watched).await,
                                Err(_refused) => {}
                            },
                            None => pass(stream, to, watched).await,
                        }
                    }));
                }
            }
        });
        Self { port, cuts, lines, running }
    }

    /// How often somebody came.
    pub(crate) fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Cuts every line, and lets nobody through for a while.
    pub(crate) async fn cut(&self, time: Duration) {
        self.cuts.send_modify(|cuts| *cuts += 1);
        pause(time).await;
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn pass(mut stream: impl AsyncRead + AsyncWrite + Unpin, to: u16, mut cuts: watch::Receiver<u64>) {
    let Ok(mut broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await else { return };
    cuts.mark_unchanged();
    tokio::select! {
        // Both ends are dropped either way.
        _ended = copy_bidirectional(&mut stream, &mut broker) => {}
        _cut = cuts.changed() => {}
    }
}
