//! A running API and a caller of it.

use std::net::SocketAddr;

use inventory::api;
use process::health::Health;
use process::metrics::Metrics;
use process::serve::{Limits, Server};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;
use store::Scope;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use values::Timestamp;

use crate::world::World;

pub(crate) struct Api {
    pub(crate) world: World,
    pub(crate) metrics: Metrics,
    pub(crate) address: SocketAddr,
    client: Client,
    tokens: [(Scope, String); 3],
    stop: CancellationToken,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The body of a good answer.
    pub(crate) fn good(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The text of a good answer.
    pub(crate) fn good_text(&self) -> &str {
        assert_eq!(self.status.as_u16(), 200, "{}", self.text);
        &self.text
    }

    /// The body of a refusal, which must be a problem of this kind.
    pub(crate) fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers.get("content-type").unwrap(), "application/problem+json");
        assert!(self.headers.contains_key("x-request-id"), "{:?}", self.headers);
        let body = self.json();
        assert_eq!(*body.get("type").unwrap(), format!("urn:onhand:problem:{kind}"), "{body}");
        assert_eq!(*body.get("status").unwrap(), status);
        assert!(body.get("title").unwrap().is_string() && body.get("detail").unwrap().is_string(), "{body}");
        body
    }

    /// The detail of a refusal.
    pub(crate) fn detail(&self, status: u16, kind: &str) -> String {
        self.problem(status, kind).get("detail").unwrap().as_str().unwrap().to_owned()
    }
}

impl Api {
    #[expect(clippy::disallowed_methods, reason = "test code")]
    pub(crate) async fn new() -> Self {
        process::install_tls_provider();
        let world = World::running().await;
        let metrics = Metrics::new();
        let health = Health::new();
        health.check("database").ready();
        let router = api::router(api::Parts {
            inventory: world.inventory().clone(),
            health,
            metrics: metrics.clone(),
            public_url: Some("https://hub.example/".to_owned()),
            makes_webhooks: true,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(Server::new(Limits::default(), &metrics).serve(listener, router, stop.clone()));
        let token = async |name, scope| {
            let (_, text) = world.store.create_token(name, scope, Timestamp::default()).await.unwrap();
            (scope, text.expose_secret().to_owned())
        };
        let tokens = [
            token("reader", Scope::Read).await,
            token("clerk", Scope::Operate).await,
            token("boss", Scope::Admin).await,
        ];
        let client = Client::builder().no_proxy().build().unwrap();
        Self { world, metrics, address, client, tokens, stop }
    }

    pub(crate) fn token(&self, scope: Scope) -> &str {
        let (_, text) = self.tokens.iter().find(|(of, _)| *of == scope).unwrap();
        text
    }

    /// A request without token; `path` may have a query.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{}{path}", self.address, api::PREFIX))
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(self.token(Scope::Admin))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Under an idempotency key.
    pub(crate) async fn keyed(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Operations under a key.
    pub(crate) async fn operate(&self, key: &str, operations: Value) -> Answer {
        let body = serde_json::json!({ "operations": operations });
        let request = self.request(Method::POST, "/operations").header("Idempotency-Key", key).json(&body);
        self.send(request).await
    }

    pub(crate) async fn receive(&self, sku: &str, quantity: &str) {
        let operation =
            serde_json::json!({ "kind": "receive", "sku": sku, "warehouse": "main", "quantity": quantity });
        let key = uuid::Uuid::new_v4().to_string();
        self.operate(&key, serde_json::json!([operation])).await.good(200);
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.world.check().await;
        self.world.stop().await;
    }
}
