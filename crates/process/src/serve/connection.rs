//! The life of one connection: requests in turn until someone asks it to end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::slots::{Holder, Phase, Slot};

/// A connection with its place.
pub(super) struct Connection {
    pub(super) limits: Limits,
    pub(super) slot: Slot,
    /// Each answer is to be the last of its connection.
    pub(super) leaving: CancellationToken,
    pub(super) stop: CancellationToken,
}

impl Connection {
    /// Serves until the client closes, the connection is asked to end, or a bound is reached.
    pub(super) async fn serve(self, stream: TcpStream, router: Router) {
        // Answers are small and complete; waiting to fill a packet only delays them.
        let (Ok(peer), Ok(())) = (stream.peer_addr(), stream.set_nodelay(true)) else {
            return;
        };
        let (holder, leaving) = (Arc::clone(&self.slot.holder), self.leaving.clone());
        let service = service_fn(move |request| {
            let answered = answer(request, peer, router.clone(), Arc::clone(&holder));
            let leaving = leaving.clone();
            async move {
                let mut response = answered.await?;
                if leaving.is_cancelled() {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_read_timeout)
            .max_buf_size(self.limits.header_bytes_max);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));

        let asked_to_end = async {
            tokio::select! {
                () = self.stop.cancelled() => true,
                () = self.slot.holder.evicted() => self.slot.holder.phase() != Phase::Fresh,
                () = tokio::time::sleep(self.limits.connection_life_max) => true,
            }
        };
        let may_finish = tokio::select! {
            ended = connection.as_mut() => return note(ended),
            may_finish = asked_to_end => may_finish,
        };
        if !may_finish {
            return;
        }
        connection.as_mut().graceful_shutdown();
        if let Ok(ended) = tokio::time::timeout(Limits::CLOSE_GRACE, connection).await {
            note(ended);
        } else {
            tracing::debug!("a connection did not finish in time and was cut off");
        }
    }
}

async fn answer(
    mut request: Request<Incoming>,
    peer: SocketAddr,
    router: Router,
    holder: Arc<Holder>,
) -> Result<Response, Infallible> {
    holder.set_phase(Phase::Serving);
    request.extensions_mut().insert(ConnectInfo(peer));
    let answered = TowerToHyperService::new(router).call(request).await;
    holder.set_phase(Phase::Idle);
    answered
}

/// What clients do wrong is theirs; it is logged only for someone who looks for it.
fn note(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}
