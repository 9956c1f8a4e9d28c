//! A client as plain as WordPress's: one connection a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
}

/// The signature WooCommerce makes with a secret that has no entities in it.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Sends a head and whatever bytes follow it; the rest of the body never comes.
pub(crate) async fn send(url: &str, head: &[(&str, String)], body: &[u8]) -> Answer {
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let mut request = format!("POST /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
    for (name, value) in head {
        for part in [*name, ": ", value, "\r\n"] {
            request.push_str(part);
        }
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // The answer to a body that is too large may come, and the connection close, before all of it is sent.
    stream.write_all(body).await.ok();
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while let Ok(count) = stream.read(&mut part).await {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&part[..count]);
    }
    let answer = String::from_utf8(answer).unwrap();
    let mut lines = answer.lines();
    let status = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or("0").parse().unwrap();
    let retry_after = lines.find_map(|line| line.strip_prefix("retry-after: ")).map(str::to_owned);
    Answer { status, retry_after }
}

/// A whole request with this signature, or none.
pub(crate) async fn post(url: &str, signature: Option<&str>, body: &[u8]) -> Answer {
    let mut head = vec![("Content-Length", body.len().to_string())];
    head.extend(signature.map(|signature| ("X-WC-Webhook-Signature", signature.to_owned())));
    send(url, &head, body).await
}
