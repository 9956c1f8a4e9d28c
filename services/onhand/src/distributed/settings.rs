//! What the distributed form is told: where database and broker are, and what every process has to agree on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bus::{AmqpOptions, SHARDS_MAX, Topology};
use process::config::{Group, OptionalSetting, Reader, Setting, Within};
use secrecy::SecretString;
use store::PostgresOptions;

use crate::connection::LISTEN_DEFAULT;

/// Where `onhand serve ingress` listens unless told otherwise.
const INGRESS_LISTEN_DEFAULT: &str = "127.0.0.1:8018";
/// Where `onhand serve egress` listens unless told otherwise.
const EGRESS_LISTEN_DEFAULT: &str = "127.0.0.1:8019";
/// More shards than that are more than replicas of a small installation; it is the smallest power of two that still spreads
/// some hundred shops evenly.
const SHARDS_DEFAULT: u64 = 16;
/// How every certificate in a file begins that is PEM.
const CERTIFICATE_BEGINS: &str = "-----BEGIN CERTIFICATE-----";

const DATABASE_URL: Setting<SecretString> = Setting::secret(
    "ONHAND_DATABASE_URL",
    "The PostgreSQL database of `onhand serve` and `onhand migrate`: `postgres://name:password@host:port/database`.",
);
const DATABASE_CONNECTIONS_MAX: Setting<usize> = Setting::count(
    "ONHAND_DATABASE_CONNECTIONS_MAX",
    "How many connections to the database a process has at most. The server's `max_connections` has to suffice for all \
     processes together.",
    Within { default: 16, min: 4, max: 200 },
);
const BROKER_URL: Setting<SecretString> = Setting::secret(
    "ONHAND_BROKER_URL",
    "The RabbitMQ broker of `onhand serve` and `onhand migrate`: `amqp://name:password@host:port/vhost`, or `amqps://`.",
);
const BROKER_CERTIFICATES: OptionalSetting<PathBuf> = Setting::path(
    "ONHAND_BROKER_CERTIFICATES_FILE",
    "Certificates in PEM of authorities that are believed for the broker besides the public ones, with `amqps://`.",
)
.optional();
const SECRET_KEY_FILE: Setting<PathBuf> = Setting::path(
    "ONHAND_SECRET_KEY_FILE",
    "The file with the key that the keys of shops are sealed under: the same for every process of `onhand serve`. \
     `onhand migrate` makes it for a new database.",
);
const SHARDS: Setting<usize> = Setting::count(
    "ONHAND_SHARDS",
    "In how many shards the shops are divided among the replicas of each service; no more replicas than that have work. \
     The same for every process; `onhand migrate` changes it while no service runs.",
    Within { default: SHARDS_DEFAULT, min: 1, max: 256 },
);
const INGRESS_LISTEN: Setting<SocketAddr> = Setting::address(
    "ONHAND_INGRESS_LISTEN",
    "Where `onhand serve ingress` listens, for webhooks, health pages and metrics.",
)
.or(INGRESS_LISTEN_DEFAULT);
const INVENTORY_LISTEN: Setting<SocketAddr> = Setting::address(
    "ONHAND_INVENTORY_LISTEN",
    "Where `onhand serve inventory` listens, for the API, health pages and metrics.",
)
.or(LISTEN_DEFAULT);
const EGRESS_LISTEN: Setting<SocketAddr> = Setting::address(
    "ONHAND_EGRESS_LISTEN",
    "Where `onhand serve egress` listens, for health pages and metrics.",
)
.or(EGRESS_LISTEN_DEFAULT);
const SERVE_GRACE: Setting<Duration> = Setting::duration(
    "ONHAND_SERVE_GRACE_MS",
    "How long `onhand serve ingress` and `onhand serve inventory` go on to answer requests when they are told to stop, after \
     `/readyz` says that they are not ready: longer than a balancer takes to notice.",
    Within { default: 5_000, min: 0, max: 120_000 },
);
const SPOOL_DIR: Setting<PathBuf> = Setting::path(
    "ONHAND_INGRESS_SPOOL_DIR",
    "Where `onhand serve ingress` keeps webhooks that the broker cannot take now; each replica needs one of its own, on a \
     disk that stays.",
);

/// The settings of the distributed form.
pub const GROUP: Group = Group {
    title: "Distributed",
    about: "",
    settings: &[
        DATABASE_URL.declaration(),
        DATABASE_CONNECTIONS_MAX.declaration(),
        BROKER_URL.declaration(),
        BROKER_CERTIFICATES.declaration(),
        SECRET_KEY_FILE.declaration(),
        SHARDS.declaration(),
        INGRESS_LISTEN.declaration(),
        INVENTORY_LISTEN.declaration(),
        EGRESS_LISTEN.declaration(),
        SERVE_GRACE.declaration(),
        SPOOL_DIR.declaration(),
    ],
};

/// One of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Service {
    /// Takes webhooks and reads shops.
    Ingress,
    /// Keeps orders, ledger and levels, and serves the API.
    Inventory,
    /// Carries levels to the shops.
    Egress,
}

impl Service {
    /// As it is called.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Inventory => "inventory",
            Self::Egress => "egress",
        }
    }

    /// How long it answers requests after it was told to stop. Nobody sends egress any.
    pub(super) fn grace(self, reader: &mut Reader<'_>) -> Duration {
        let grace = reader.get(&SERVE_GRACE);
        match self {
            Self::Ingress | Self::Inventory => grace,
            Self::Egress => Duration::ZERO,
        }
    }

    /// Where it listens.
    pub(super) fn listen(self, reader: &mut Reader<'_>) -> SocketAddr {
        match self {
            Self::Ingress => reader.get(&INGRESS_LISTEN),
            Self::Inventory => reader.get(&INVENTORY_LISTEN),
            Self::Egress => reader.get(&EGRESS_LISTEN),
        }
    }
}

/// What every process needs.
#[derive(Debug)]
pub(super) struct Backing {
    pub(super) database: PostgresOptions,
    pub(super) broker: AmqpOptions,
    pub(super) secret_key: PathBuf,
    pub(super) topology: Topology,
}

impl Backing {
    /// `name` is shown by the broker. A value that cannot be used stands for one that is never looked at: reading fails.
    pub(super) fn from_source(reader: &mut Reader<'_>, name: &str) -> Self {
        let connections = u32::try_from(reader.get(&DATABASE_CONNECTIONS_MAX)).unwrap_or(u32::MAX);
        let database = PostgresOptions::new(reader.get(&DATABASE_URL)).connections_max(connections);
        let url = reader.get(&BROKER_URL);
        let broker = AmqpOptions::new(&url, name).unwrap_or_else(|error| {
            if !secrecy::ExposeSecret::expose_secret(&url).is_empty() {
                reader.reject(&BROKER_URL, format!("cannot be used: {error}"));
            }
            AmqpOptions::new(&"amqp://localhost".into(), name).expect("it is an address")
        });
        let broker = match broker_certificates(reader) {
            Some(pem) => broker.trusting(pem),
            None => broker,
        };
        let shards = reader.get(&SHARDS);
        let topology = u16::try_from(shards).ok().and_then(Topology::uniform);
        let topology = topology.unwrap_or_else(|| {
            // Its bounds are those of the topology, so this stands for a value that was refused already.
            Topology::uniform(SHARDS_MAX).expect("it is the largest")
        });
        Self { database, broker, secret_key: reader.get(&SECRET_KEY_FILE), topology }
    }
}

/// What is in the file of authorities, if there is one.
fn broker_certificates(reader: &mut Reader<'_>) -> Option<String> {
    let path = reader.get_optional(&BROKER_CERTIFICATES)?;
    match std::fs::read_to_string(path) {
        Ok(pem) if pem.contains(CERTIFICATE_BEGINS) => return Some(pem),
        // A file of something else would be told of by no more than a connection that fails.
        Ok(_) => reader.reject_optional(&BROKER_CERTIFICATES, "has no certificate in PEM".to_owned()),
        Err(error) => reader.reject_optional(&BROKER_CERTIFICATES, format!("cannot be read: {error}")),
    }
    None
}

/// The directory of the spool.
pub(super) fn spool_dir(reader: &mut Reader<'_>) -> PathBuf {
    reader.get(&SPOOL_DIR)
}

#[cfg(test)]
mod tests {
    use process::config::{self, Problems, Source};

    use super::*;

    fn read(more: &[(&str, &str)]) -> Result<Backing, Problems> {
        let must = [
            ("ONHAND_DATABASE_URL", "postgres://onhand:hunter2@database/onhand"),
            ("ONHAND_BROKER_URL", "amqps://onhand:hunter2@broker/onhand"),
            ("ONHAND_SECRET_KEY_FILE", "/nowhere/secret.key"),
        ];
        let source = Source::from_pairs(must.iter().chain(more).copied());
        config::read(&source, &[GROUP], |reader| Backing::from_source(reader, "test"))
    }

    fn refused(name: &str, value: &str) {
        let said = read(&[(name, value)]).unwrap_err().to_string();
        assert!(said.contains(name) && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn the_authorities_of_the_broker_are_read_from_their_file() {
        const NAME: &str = "ONHAND_BROKER_CERTIFICATES_FILE";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authorities.pem");
        let path = file.to_str().unwrap();
        refused(NAME, path);
        std::fs::write(&file, "no certificate").unwrap();
        refused(NAME, path);
        std::fs::write(&file, [0xFF, 0xFE]).unwrap();
        refused(NAME, path);
        std::fs::write(&file, format!("{CERTIFICATE_BEGINS}\nAAAA\n-----END CERTIFICATE-----\n")).unwrap();
        read(&[(NAME, path)]).unwrap();
        read(&[]).unwrap();
    }

    #[test]
    fn connections_to_the_database_have_bounds() {
        const NAME: &str = "ONHAND_DATABASE_CONNECTIONS_MAX";
        for (value, expected) in [("4", 4), ("200", 200), ("", 16)] {
            let database = read(&[(NAME, value)]).unwrap().database;
            assert!(
                format!("{database:?}").contains(&format!("connections_max: {expected}")),
                "{database:?}"
            );
        }
        refused(NAME, "3");
        refused(NAME, "201");
    }
}
