//! Where the broker is and how to reach it. The address holds a password, so it is never printed.

use std::fmt;
use std::time::{Duration, SystemTime};

use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri};
use secrecy::{ExposeSecret as _, SecretString};

/// Seconds between signs of life. A link that is open at one end only is noticed after two of them.
const HEARTBEAT_S: u16 = 10;
/// How long a connection may take to be opened, in milliseconds.
pub(super) const CONNECT_TIMEOUT_MS: u64 = 10_000;
/// Largest frame, in bytes. Each connection keeps buffers of some dozens of them; larger messages are several frames.
const FRAME_BYTES_MAX: u32 = 64 << 10;

/// How long a process that stops goes on to empty its spool at most.
const EMPTYING_MAX: Duration = Duration::from_secs(10);

/// The address is none. What it says is not repeated: there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmqpUrlError {
    /// It is of another kind.
    #[error("the broker's address must start with amqp:// or amqps://")]
    Scheme,
    /// It cannot be read.
    #[error("the broker's address must be amqp://name:password@host:port/vhost, special characters as %XX")]
    Unreadable,
}

/// How to reach the broker.
#[derive(Clone)]
pub struct AmqpOptions {
    pub(super) uri: AMQPUri,
    pub(super) tls: OwnedTLSConfig,
    /// Shown by the broker beside our connections.
    pub(super) name: String,
    /// Tells the time, for the age of messages only.
    pub(super) clock: fn() -> SystemTime,
    /// How long the spool is emptied after a stop.
    pub(super) emptying_max: Duration,
}

impl AmqpOptions {
    /// The broker at `url`, to which we are known as `name`. With `amqps://` its certificate has to be issued by one of
    /// the public authorities, or by that of [`AmqpOptions::trusting`].
    pub fn new(url: &SecretString, name: &str) -> Result<Self, AmqpUrlError> {
        let url = url.expose_secret().trim();
        if !(url.starts_with("amqp://") || url.starts_with("amqps://")) {
            return Err(AmqpUrlError::Scheme);
        }
        let mut uri: AMQPUri = url.parse().map_err(|_may_hold_the_password| AmqpUrlError::Unreadable)?;
        // The parser takes an IPv6 host for none, and none for localhost.
        if let Some(host) = bracketed_host(url) {
            host.clone_into(&mut uri.authority.host);
        }
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        uri.query.heartbeat = Some(HEARTBEAT_S);
        uri.query.connection_timeout = Some(CONNECT_TIMEOUT_MS);
        uri.query.frame_max = Some(FRAME_BYTES_MAX);
        let (tls, name) = (OwnedTLSConfig::default(), name.to_owned());
        Ok(Self { uri, tls, name, clock: SystemTime::now, emptying_max: EMPTYING_MAX })
    }

    /// Also trusts the authority whose certificate this is, in PEM.
    #[must_use]
    pub fn trusting(mut self, pem: String) -> Self {
        self.tls.cert_chain = Some(pem);
        self
    }

    /// After a stop, what waits in the spool goes on to the broker for this long, and for ten seconds at most.
    #[must_use]
    pub fn emptying_for(mut self, max: Duration) -> Self {
        self.emptying_max = max.min(EMPTYING_MAX);
        self
    }

    /// Takes the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> SystemTime) -> Self {
        self.clock = clock;
        self
    }
}

/// The address without name and password.
impl fmt::Display for AmqpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.uri;
        let scheme = match scheme {
            AMQPScheme::AMQP => "amqp",
            AMQPScheme::AMQPS => "amqps",
        };
        let slash = if vhost.starts_with('/') { "" } else { "/" };
        write!(f, "{scheme}://{}:{}{slash}{vhost}", authority.host, authority.port)
    }
}

impl fmt::Debug for AmqpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpOptions")
            .field("name", &self.name)
            .field("broker", &self.to_string())
            .finish_non_exhaustive()
    }
}

fn bracketed_host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("//")?;
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split_once(']').map(|(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let check = |url: &str, shown: &str| {
            let options = AmqpOptions::new(&SecretString::from(url), "ingress").unwrap();
            assert_eq!(options.to_string(), shown);
            assert!(!format!("{options:?}").contains("hunter2"), "{options:?}");
            options
        };
        check("amqp://onhand:hunter2@broker:5673/shops", "amqp://broker:5673/shops");
        check("amqps://onhand:hunter2@broker", "amqps://broker:5671/");
        check("amqp://onhand:hunter2@broker/", "amqp://broker:5672/");
        check("amqp://onhand:hunter2@broker/%2f", "amqp://broker:5672/");
        let ipv6 = check("amqp://onhand:hunter2@[::1]:5673/v", "amqp://::1:5673/v");
        assert_eq!((ipv6.uri.authority.host.as_str(), ipv6.uri.authority.port), ("::1", 5673));
        assert_eq!(ipv6.uri.authority.userinfo.password, "hunter2");
        assert_eq!(ipv6.uri.query.heartbeat, Some(HEARTBEAT_S));
    }

    #[test]
    fn what_is_no_address_is_not_repeated() {
        let check = |url: &str, expected: AmqpUrlError| {
            let error = AmqpOptions::new(&SecretString::from(url), "ingress").unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("hunter2"));
        };
        check("http://onhand:hunter2@broker", AmqpUrlError::Scheme);
        check("hunter2", AmqpUrlError::Scheme);
        check("amqp://onhand:hunter2@broker:port/", AmqpUrlError::Unreadable);
        check("amqp://onhand:hunter2@broker?heartbeat=hunter2", AmqpUrlError::Unreadable);
    }
}
