//! A throwaway RabbitMQ: one for all tests with a virtual host for each, or one of one's own to be killed.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::kept::{Kept, Recipe, Signal};

/// 8 s of processor time, which other tests compete for.
const READY_WITHIN: Duration = Duration::from_mins(3);
/// How long the broker may take to say one byte or to answer one request of its management.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// What a client says first, and the first byte of what a broker says then.
const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";
const GREETED: u8 = 1;

const RECIPE: Recipe = Recipe {
    name: "rabbitmq",
    ports: &["AMQP_PORT", "API_PORT", "DISTRIBUTION_PORT", "EPMD_PORT"],
    script: include_str!("rabbitmq.sh"),
    ready: answers,
    ready_within: READY_WITHIN,
    end: Signal::Kill,
};

static VHOSTS: AtomicU32 = AtomicU32::new(0);

/// A broker that runs.
#[derive(Debug)]
pub struct RabbitMq {
    kept: Kept,
}

impl RabbitMq {
    /// The one that all tests share. Do nothing to it that others feel.
    pub fn shared() -> Self {
        Self { kept: Kept::shared(RECIPE) }
    }

    /// One for this test alone.
    pub fn own() -> Self {
        Self { kept: Kept::own(RECIPE) }
    }

    /// To stop it, to kill it and to start it again.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Asks it to end, and blocks until it has. For brokers of one's own.
    pub fn shut_down(&self) {
        self.control(&["stop"]);
        // Its name server is left.
        self.kept.signal(Signal::Kill);
        self.kept.wait_until_ended();
    }

    /// The port it speaks AMQP on.
    pub fn port(&self) -> u16 {
        self.kept.port("AMQP_PORT")
    }

    /// A virtual host that nobody else uses.
    pub async fn vhost(&self) -> Vhost {
        let started = self.kept.folder().file_name().unwrap_or_default().to_string_lossy();
        let number = VHOSTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{started}-{}-{number}", std::process::id());
        self.api("PUT", &format!("vhosts/{name}"), json!({})).await;
        let everything = json!({ "configure": ".*", "write": ".*", "read": ".*" });
        self.api("PUT", &format!("permissions/{name}/guest"), everything).await;
        Vhost { name, port: self.port() }
    }

    /// Asks its management: `path` is what follows `/api/`.
    pub async fn api(&self, method: &str, path: &str, body: Value) -> Value {
        // Whoever was first has installed the same one.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build();
        let client = client.expect("there is a TLS provider");
        let url = format!("http://127.0.0.1:{}/api/{path}", self.kept.port("API_PORT"));
        let method = method.parse().expect("a method of HTTP");
        let asked = client.request(method, &url).basic_auth("guest", Some("guest")).json(&body).send().await;
        let reply = asked.unwrap_or_else(|error| panic!("{url}: {error}"));
        let status = reply.status();
        let text = reply.text().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert!(status.is_success(), "{url}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Runs `rabbitmqctl`; takes a second.
    pub fn control(&self, arguments: &[&str]) {
        let done = Command::new("sh")
            .args(["-c", ". ./environment; exec \"$(cat control)\" \"$@\"", "control"])
            .args(arguments)
            .current_dir(self.kept.folder())
            .output()
            .expect("there is a shell");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// A virtual host of a broker.
#[derive(Debug, Clone)]
pub struct Vhost {
    /// Its name.
    pub name: String,
    port: u16,
}

impl Vhost {
    /// Its address, with name and password.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The same through another port of this machine, behind which something leads to the broker.
    pub fn url_at(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/{}", self.name)
    }
}

/// Whether it greets. Its management is there before that.
fn answers(kept: &Kept) -> bool {
    let greeted = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, kept.port("AMQP_PORT")))?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.write_all(GREETING)?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok(first == [GREETED])
    };
    greeted().unwrap_or(false)
}

#[cfg(test)]
mod tests;
